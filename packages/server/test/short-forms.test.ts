import { execFile } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { listen } from '../src/listen.js'
import { fakeServer } from './fake-database.js'

let server: Awaited<ReturnType<typeof fakeServer>>

beforeEach(async () => {
  server = await fakeServer()
  await server.cache.settled()
})

afterEach(() => server.close())

describe('the short forms', () => {
  it('drop keys', async () => {
    await server.store('user:123')
    const body = { keys: ['user:123', 'user:456'], triggered_by: 'admin', request_id: 'req-001' }
    const answer = await server.post('/invalidate/key', body)
    expect(answer).toMatchObject({
      success: true,
      invalidated_count: 2,
      keys: body.keys,
      request_id: 'req-001',
      removed: { l1: 1 },
    })
    expect(server.database.fake.log.commits.at(-1)!.changes).toMatchObject([
      { by: { actor: 'admin', requestId: 'req-001' } },
    ])
  })

  it('match among keys that are given, whether they are cached or not', async () => {
    await server.store('user:123:a', 'user:123:c')
    const body = { pattern: 'user:123:*', cache_keys: ['user:123:a', 'user:123:b', 'user:9:a', 'user:123:a'] }
    const answer = await server.post('/invalidate/pattern', body)
    expect(answer).toMatchObject({
      success: true,
      invalidated_count: 2,
      matched_keys: ['user:123:a', 'user:123:b'],
      removed: { l1: 1 },
    })
    expect(server.isStored('user:123:c')).toBe(true)
    const nothing = await server.post('/invalidate/pattern', { pattern: 'x*', cache_keys: ['a'] })
    expect(nothing).toMatchObject({ success: true, invalidated_count: 0, matched_keys: [], removed: { l1: 0 } })
    // It was asked for all the same.
    const { lsn, changes } = server.database.fake.log.commits.at(-1)!
    expect(nothing.position).toContain(lsn.toString(16).toUpperCase())
    expect(changes).toMatchObject([{ kind: 'target', targets: [{ kind: 'tag', tag: '' }], by: { pattern: 'x*' } }])
    expect(server.isStored('user:123:c')).toBe(true)
  })

  it('count what was asked for, in whatever form', async () => {
    await server.store('user:1', 'user:2')
    await server.post('/invalidate/key', { keys: ['user:1', 'x'], request_id: 'a' })
    await server.post('/invalidate/key', { keys: ['user:1', 'x'], request_id: 'a' })
    await server.post('/api/invalidate/pattern', { pattern: 'user:*' })
    await server.post('/api/invalidate/pattern', { pattern: '[' })
    expect((await server.app.inject('/invalidate/metrics')).json()).toMatchObject({
      total_invalidations: 2,
      key_invalidations: 1,
      pattern_invalidations: 1,
      total_keys_invalidated: 3,
      entries_removed: 2,
      failed_invalidations: 1,
      repeated_requests: 1,
    })
  })

  it.skipIf(lacks('curl'))('are what curl sends and gets (needs curl)', async () => {
    const port = await listen(server.app, '127.0.0.1', 0)
    const curl = (path: string, body: string) =>
      run([
        '-s',
        '--fail',
        '-X',
        'POST',
        `http://127.0.0.1:${port}${path}`,
        '-H',
        'Content-Type: application/json',
        '-d',
        body,
      ])
    const byKey = await curl(
      '/invalidate/key',
      '{"keys":["user:123","user:456"],"triggered_by":"admin","request_id":"req-001"}',
    )
    expect(byKey).toMatchObject({
      success: true,
      invalidated_count: 2,
      keys: ['user:123', 'user:456'],
      request_id: 'req-001',
      published_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    })
    const body =
      '{"pattern":"user:123:*","cache_keys":["user:123:profile","user:123:settings","user:456:profile"],"triggered_by":"admin"}'
    expect(await curl('/invalidate/pattern', body)).toMatchObject({
      success: true,
      invalidated_count: 2,
      matched_keys: ['user:123:profile', 'user:123:settings'],
      request_id: expect.any(String),
    })
  })
})

/** Runs curl beside this process, which answers it. */
function run(args: readonly string[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    execFile('curl', args, { timeout: 20_000 }, (error, stdout) =>
      error ? reject(error) : resolve(JSON.parse(stdout)),
    )
  })
}
