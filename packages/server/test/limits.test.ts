import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { listen } from '../src/listen.js'
import { EventStream } from './event-stream.js'
import { CONFIG, fakeServer } from './fake-database.js'
import { startIssuer } from './issuer.js'
import { BOUND } from './serving.js'

let issuer: Awaited<ReturnType<typeof startIssuer>> | undefined
let server: Awaited<ReturnType<typeof fakeServer>> | undefined
const streams: EventStream[] = []

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close()
  await server?.close()
  issuer?.close()
  server = undefined
})

async function start(limits: string, more = '') {
  issuer = await startIssuer()
  server = await fakeServer({ config: `${CONFIG}${issuer.config}limits: { ${limits} }\n${more}` })
  await server.cache.settled()
}

async function as(sub: string, tenant = 'default', role = 'operator') {
  const token = await issuer!.sign({ sub, roles: [role], tenants: [tenant] })
  return { authorization: `Bearer ${token}`, 'tidemark-tenant': tenant }
}

async function ask(headers: Record<string, string>, payload?: object, url = '/api/invalidate') {
  const response = await server!.app.inject({ url, headers, ...(payload ? { method: 'POST', payload } : {}) })
  return { status: response.statusCode, headers: response.headers, json: response.json() }
}

describe('requests', () => {
  it('are counted for each principal in each tenant, and those that are too many are told when to come', async () => {
    await start('requests: 3, window: 1h')
    const ann = await as('ann')
    for (const left of [2, 1, 0]) {
      const answer = await ask(ann, { keys: ['x'] })
      expect(answer.status).toBe(200)
      expect(answer.headers['ratelimit-policy']).toBe('"requests";q=3;w=3600')
      expect(answer.headers['ratelimit']).toMatch(new RegExp(`^"requests";r=${left};t=\\d+$`))
    }
    const refused = await ask(ann, { keys: ['x'] })
    expect([refused.status, refused.json.code]).toEqual([429, 'TIDEMARK_RATE'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(1_000)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(1_200)
    expect((await ask(await as('bob'), { keys: ['x'] })).status).toBe(200)
    expect((await ask(await as('ann', 'another'), { keys: ['x'] })).status).toBe(200)
    expect((await ask({}, undefined, '/health')).status).toBe(200)
  })

  it('cost a key for each character of SQL that is to be explained, however it is sent', async () => {
    await start('requests: 10, window: 1h, keysPerUnit: 10')
    const sql = `select ${'1,'.repeat(20)}1` // 48 characters
    const ann = await as('ann')
    expect((await ask(ann, { sql }, '/api/explain')).headers['ratelimit']).toMatch(/r=5;/)
    expect((await ask(ann, undefined, `/api/explain?sql=${encodeURIComponent(sql)}`)).headers['ratelimit']).toMatch(
      /r=0;/,
    )
    expect((await ask(await as('bob'), { sql: sql.repeat(3) }, '/api/explain')).json.code).toBe('TIDEMARK_RATE')
  })

  it('cost by the keys that they name, before, and that they touch, after', async () => {
    await start('requests: 10, window: 1h, keysPerUnit: 2')
    const keys = Array.from({ length: 12 }, (_, n) => `k:${n}`)
    expect((await ask(await as('ann'), { keys })).headers['ratelimit']).toMatch(/r=3;/)
    expect((await ask(await as('ann'), { keys })).status).toBe(429)

    for (const key of keys) await server!.cache.get(key, () => 1, { tags: ['t'] })
    const bob = await as('bob')
    expect((await ask(bob, { tags: ['t'] })).json.invalidated_count).toBe(12)
    const after = await ask(bob, { keys: ['one'] })
    expect(after.headers['ratelimit']).toMatch(/r=3;/)
  })

  it('cost a tenth for each key that a pattern is held against, beforehand; one with a beginning is held against none', async () => {
    await start('requests: 20, window: 1h, keysPerUnit: 1, keys: 1000')
    const own = server!.cache.tenant('default')
    for (let n = 0; n < 50; n++) await own.get(`k:${n}`, () => n, { static: true })
    const ann = await as('ann')
    const asked = (pattern: string, syntax: string, more = {}) =>
      ask(ann, { pattern, syntax, ...more }, '/api/invalidate/pattern')
    expect((await asked('none:*', 'glob')).headers['ratelimit']).toMatch(/r=19;/)
    expect((await asked('no.ne', 'regex')).headers['ratelimit']).toMatch(/r=13;/)
    expect((await asked('[mn]one', 'glob', { cache_keys: ['x'] })).headers['ratelimit']).toMatch(/r=11;/)
    expect((await asked('[mn]o*n[ef]', 'glob', { dryRun: true })).headers['ratelimit']).toMatch(/r=5;/)
    const refused = await asked('no.ne', 'regex')
    expect([refused.status, refused.json.code]).toEqual([429, 'TIDEMARK_RATE'])
    // Before it is read: whether the names are right is not looked at.
    expect((await ask(ann, { keys: Array(20).fill('') })).status).toBe(429)
  })

  it('with patterns are counted for each tenant', async () => {
    await start('patterns: 2')
    const pattern = (sub: string, tenant?: string) =>
      as(sub, tenant).then((who) => ask(who, { pattern: 'a*' }, '/api/invalidate/pattern'))
    const answers = await Promise.all(['ann', 'bob', 'cid', 'dan', 'eve', 'fay'].map((sub) => pattern(sub)))
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThan(0)
    expect((await pattern('ann', 'another')).status).toBe(200)
    expect((await ask(await as('ann'), { keys: ['x'] })).status).toBe(200)
  })

  it('with patterns have another number for a tenant of whom that is said, and what is refused is counted', async () => {
    await start('patterns: 1000, tenants: { small: { patterns: 1 } }')
    const ask20 = async (tenant: string) => {
      const who = await as('ann', tenant)
      const asked = Array.from({ length: 20 }, () => ask(who, { pattern: 'a*' }, '/api/invalidate/pattern'))
      return (await Promise.all(asked)).filter(({ status }) => status === 429).length
    }
    const refused = await ask20('small')
    expect(refused).toBeGreaterThan(0)
    expect(await ask20('large')).toBe(0)
    const all = await issuer!.sign({ roles: ['viewer'], tenants: ['*'] })
    const { json } = await ask({ authorization: `Bearer ${all}` }, undefined, '/api/metrics')
    expect(json.refused).toEqual({ requests: 0, patterns: refused, streams: 0 })
  })

  it('are not limited where nobody is asked who they are: that is this machine', async () => {
    server = await fakeServer({ config: `${CONFIG}limits: { requests: 1, window: 1h }\n` })
    await server.cache.settled()
    for (let time = 0; time < 5; time++) expect((await ask({}, { keys: ['x'] })).status).toBe(200)
  })

  it('that do not arrive are given up', async () => {
    server = await fakeServer({ config: `${CONFIG}server: { receive: 300ms }\n` })
    const port = await listen(server.app, '127.0.0.1', 0)
    for (const part of [
      'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ',
      `POST /api/explain HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{`,
    ]) {
      const ended = new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.write(part))
        socket.on('error', () => {}).on('close', () => resolve())
        socket.resume()
      })
      await ended
    }
  })
})

describe('memory', () => {
  it('holds of a tenant no more than its numbers: what it stores takes the place of its oldest', async () => {
    const config = 'limits: { keys: 1000, tenants: { small: { keys: 3, bytes: 3000 } } }\n'
    server = await fakeServer({ config: `${CONFIG}${config}` })
    await server.cache.settled()
    const put = async (key: string, value: unknown, tenant = 'small') => {
      const asked = { method: 'PUT', url: `/api/cache/${key}?tenant=${tenant}`, payload: { value } } as const
      return (await server!.app.inject(asked)).json()
    }
    await put('own', 1, 'large')
    for (const n of [1, 2, 3, 4, 5]) expect(await put(`key:${n}`, n)).toMatchObject({ success: true, kept: true })
    expect(await put('huge', 'x'.repeat(3_000))).toMatchObject({ kept: false, not_kept: 'too-large' })
    const { keys } = (await server.app.inject('/api/cache/keys?tenant=small')).json()
    expect(keys.map(({ key }: { key: string }) => key).sort()).toEqual(['key:3', 'key:4', 'key:5'])
    const used = { bytes: expect.any(Number) }
    expect((await server.app.inject('/api/metrics')).json().tenants).toEqual([
      { ...used, tenant: 'small', keys: 3, keys_max: 3, bytes_max: 3_000 },
      { ...used, tenant: 'large', keys: 1, keys_max: 1_000, bytes_max: null },
    ])
    const text = (await server.app.inject('/metrics')).body
    expect(text).toContain('tidemark_tenant_entries{tenant="small"} 3\n')
    expect(text).toContain('tidemark_tenant_bytes_max{tenant="large"} +Inf\n')
    expect(text).toMatch(/^tidemark_evicted_for_quota_total 2$/m)
  })
})

describe('streams', () => {
  it('are so many for a tenant, and another client may come when one has left', async () => {
    await start('streams: 100, tenants: { default: { streams: 2 } }')
    const port = await listen(server!.app, '127.0.0.1', 0)
    const open = async (sub: string) => {
      const stream = new EventStream(`http://127.0.0.1:${port}/api/streams/posts`, await as(sub))
      streams.push(stream)
      await expect.poll(() => stream.status, BOUND).toBeDefined()
      return stream
    }
    const [one, two, three] = [await open('ann'), await open('bob'), await open('cid')]
    expect([one.status, two.status, three.status]).toEqual([200, 200, 429])
    one.close()
    await expect.poll(async () => (await open('dan')).status, BOUND).toBe(200)
  })

  it('hold a value on one line, whatever is in it', async () => {
    server = await fakeServer()
    await server.cache.settled()
    const evil = 'a\n\nevent: problem\ndata: {}\r\n\r\nid: 1\rretry: 1\u2028\u2029'
    server.database.fake.put('posts', { id: 1, author: 1, title: evil })
    const port = await listen(server.app, '127.0.0.1', 0)
    const stream = new EventStream(`http://127.0.0.1:${port}/api/streams/post?id=1`)
    streams.push(stream)
    await expect.poll(() => stream.events.length, BOUND).toBe(1)
    expect(stream.events[0]).toMatchObject({ event: undefined })
    expect(JSON.parse(stream.events[0]!.data).title).toBe(evil)
    expect(stream.retries).toHaveLength(1)
  })
})
