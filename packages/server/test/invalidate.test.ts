import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fakeServer } from './fake-database.js'

let server: Awaited<ReturnType<typeof fakeServer>>

beforeEach(async () => {
  server = await fakeServer()
  await server.cache.settled()
})

afterEach(() => server.close())

describe('POST /api/invalidate', () => {
  it('drops keys, tags and what was computed from keys, and says what really went', async () => {
    await server.store('user:1', 'user:2', 'order:1', 'order:2')
    await server.cache.get('page', async () => server.cache.get('user:1', () => 1))
    const answer = await server.post('/api/invalidate', { keys: ['user:1', 'user:1', 'nobody'], tags: ['order'] })
    expect(answer).toMatchObject({
      status: 200,
      success: true,
      dry_run: false,
      local: false,
      mode: 'hard',
      invalidated_count: 4,
      keys: ['user:1', 'nobody'],
      removed: { l1: 4 },
      position: server.cache.status().tidemark,
    })
    expect([...answer.matched_keys].sort()).toEqual(['order:1', 'order:2'])
    expect(answer.request_id).toMatch(/^[0-9a-f-]{36}$/)
    expect(new Date(answer.published_at).toISOString()).toBe(answer.published_at)
    expect(['user:1', 'user:2', 'order:1', 'page'].map(server.isStored)).toEqual([false, true, false, false])
  })

  it('counts an entry once that is named by its key and has the tag, as the dry run does', async () => {
    await server.store('user:1', 'user:2')
    const named = { keys: ['user:1', 'nobody'], tags: ['user'] }
    expect(await server.post('/api/invalidate', { ...named, dryRun: true })).toMatchObject({ invalidated_count: 3 })
    const answer = await server.post('/api/invalidate', named)
    expect(answer).toMatchObject({ invalidated_count: 3, removed: { l1: 2 } }) // both entries, and `nobody`
    expect([...answer.matched_keys].sort()).toEqual(['user:1', 'user:2'])
  })

  it('says of a body that is no object that it is the body', async () => {
    const response = await server.app.inject({ method: 'POST', url: '/api/invalidate', payload: [] })
    expect(response.json()).toMatchObject({ status: 400, errors: [{ parameter: 'body' }] })
  })

  it('counts all that went where a tag has thousands of entries', async () => {
    await server.store('other:1', ...Array.from({ length: 3_000 }, (_, i) => `user:${i}`))
    for (const mode of ['soft', 'hard']) {
      const answer = await server.post('/api/invalidate', { tags: ['user'], mode, request_id: mode })
      expect(answer).toMatchObject({ status: 200, invalidated_count: 3_000 })
      await vi.waitFor(async () => {
        const { sweeping, removed } = (await server.app.inject(`/api/invalidations/${mode}`)).json()
        expect({ sweeping, removed }).toEqual({ sweeping: undefined, removed: { l1: 3_000 } })
      }, 45_000)
    }
    expect(server.cache.status().entries).toBe(1)
  })

  it('enters the log with who and why, also when nothing here matches', async () => {
    const answer = await server.post('/api/invalidate', {
      dependencies: ['elsewhere'],
      request_id: 'r-1',
      cause: 'import',
    })
    expect(answer).toMatchObject({ status: 200, invalidated_count: 1, removed: { l1: 0 } })
    expect(server.database.fake.log.commits.at(-1)!.changes).toMatchObject([
      {
        kind: 'target',
        targets: [{ kind: 'key', tenant: 'default', key: 'elsewhere' }],
        by: { actor: 'local', requestId: 'r-1', cause: 'import' },
      },
    ])
  })

  it('expires where it is soft', async () => {
    await server.cache.get('user:1', () => 1, { tags: ['user'], grace: '1m' })
    expect(await server.post('/api/invalidate', { keys: ['user:1'], mode: 'soft' })).toMatchObject({ mode: 'soft' })
    expect(server.cache.explain('user:1')).toMatchObject({ stored: true, state: 'expired' })
  })

  it('changes nothing as a dry run, and says what would go, what goes along and what a refill costs', async () => {
    await server.store('user:1', 'user:2')
    await server.cache.get('page', async () => server.cache.get('user:1', () => 1))
    const before = server.database.fake.log.commits.length
    const answer = await server.post('/api/invalidate', { keys: ['user:1', 'nobody'], dryRun: true })
    expect(answer).toMatchObject({
      dry_run: true,
      invalidated_count: 2,
      keys: ['user:1', 'nobody'],
      removed: { l1: 2 },
      dependents: { count: 1, keys: ['page'] },
      refill: { loads: 2, unmeasured: 0 },
    })
    expect(answer.refill.source_seconds).toBeGreaterThanOrEqual(0)
    const url = '/api/invalidate/preview?keys=user:1&keys=nobody&tags=nothing&pattern=page*'
    expect((await server.app.inject(url)).json()).toMatchObject({
      invalidated_count: 3,
      keys: ['user:1', 'nobody'],
      matched_keys: ['page'],
      removed: { l1: 2 },
      dependents: { count: 0 },
    })
    expect(server.database.fake.log.commits.length).toBe(before)
    expect(server.isStored('user:1')).toBe(true)
  })

  it('reaches its own tenant alone', async () => {
    await server.store('user:1')
    await server.cache.tenant('acme').get('user:1', () => 1, { static: true })
    const answers = [
      await server.post('/api/invalidate?tenant=acme', { keys: ['user:1'] }),
      await server.post('/api/invalidate', { keys: ['user:1'] }, { 'tidemark-tenant': 'other' }),
    ]
    expect(answers.map(({ removed }) => removed)).toEqual([{ l1: 1 }, { l1: 0 }])
    expect(server.isStored('user:1')).toBe(true)
    for (const [query, header] of [
      ['', 'x'],
      ['%00', undefined],
      ['a', 'b'],
      ['x'.repeat(300), undefined],
    ] as const) {
      const headers = header === undefined ? {} : { 'tidemark-tenant': header }
      const answer = await server.post(`/api/invalidate?tenant=${query}`, { keys: ['a'] }, headers)
      expect(answer, query).toMatchObject({
        status: 400,
        code: 'TIDEMARK_PARAMETER',
        errors: [{ parameter: 'tenant' }],
      })
    }
  })

  it('takes entries out of this process alone where it is local, and says so', async () => {
    await server.store('user:1', 'user:2')
    const { tidemark } = server.cache.status()
    const answer = await server.post('/api/invalidate/pattern?local=true', { pattern: 'user:*' })
    expect(answer).toMatchObject({ local: true, invalidated_count: 2, removed: { l1: 2 } })
    expect(answer.position).toBe(undefined)
    expect(server.cache.status()).toMatchObject({ entries: 0, tidemark })
  })

  it('is 503 while the log cannot be written, and changes nothing; the same request works later', async () => {
    await server.store('user:1')
    server.database.fake.log.isUp = false
    const body = { keys: ['user:1'], request_id: 'r-1' }
    const response = await server.app.inject({ method: 'POST', url: '/api/invalidate', payload: body })
    expect([response.statusCode, response.json().code]).toEqual([503, 'TIDEMARK_SOURCE_DOWN'])
    expect(response.headers['retry-after']).toBe('1')
    expect(server.isStored('user:1')).toBe(true)
    server.database.fake.log.isUp = true
    expect(await server.post('/api/invalidate', body)).toMatchObject({ status: 200, removed: { l1: 1 } })
  })

  it('is refused where nothing is named, or what no key can be', async () => {
    const bodies = [
      {},
      { keys: [] },
      { keys: [''] },
      { keys: ['a\ud800'] },
      { keys: ['ü'.repeat(513)] },
      { keys: 'a' },
      { keys: ['a'], mode: 'gentle' },
      { keys: ['a'], surplus: 1 },
      { keys: ['a'], request_id: 'a\nb' },
      { keys: Array.from({ length: 10_001 }, String) },
      [],
      { tags: [''] },
      { tags: ['a\udc00'] },
    ]
    for (const body of bodies) {
      const answer = await server.post('/api/invalidate', body)
      expect(answer, JSON.stringify(body).slice(0, 80)).toMatchObject({ status: 400, code: 'TIDEMARK_PARAMETER' })
    }
    expect(await server.post('/api/invalidate', { keys: ['ü'.repeat(512)] })).toMatchObject({ status: 200 })
  })
})

describe('a request id', () => {
  const body = { keys: ['user:1'], request_id: 'r-1' }

  it('makes a request once: asked again it is answered as before, and nothing changes', async () => {
    await server.store('user:1')
    const first = await server.post('/api/invalidate', body)
    await server.store('user:1')
    expect(await server.post('/api/invalidate', body)).toEqual(first)
    expect(await server.post('/api/invalidate', { keys: ['user:1'] }, { 'idempotency-key': '"r-1"' })).toEqual(first)
    expect(server.isStored('user:1')).toBe(true)
    const found = (await server.app.inject('/api/invalidations/r-1')).json()
    expect({ status: 200, ...found }).toEqual(first)
  })

  it('joins requests that are under way', async () => {
    server.database.fake.log.isAutomatic = false
    const asked = [server.post('/api/invalidate', body), server.post('/api/invalidate', body)]
    const { log } = server.database.fake
    await expect.poll(() => log.waiting, { timeout: 45_000 }).toBe(1)
    log.deliver()
    const [one, other] = await Promise.all(asked)
    expect(one).toEqual(other)
    expect(log.commits).toHaveLength(1)
  })

  it('is another in another tenant, and is 422 for another request, which changes nothing', async () => {
    await server.store('user:1', 'user:2')
    expect(await server.post('/api/invalidate?tenant=acme', body)).toMatchObject({ status: 200 })
    expect(await server.post('/api/invalidate', body)).toMatchObject({ status: 200, removed: { l1: 1 } })
    const others = [
      await server.post('/api/invalidate', { ...body, keys: ['user:2'] }),
      await server.post('/api/invalidate', { ...body, mode: 'soft' }),
      await server.post('/api/invalidate/pattern', { pattern: 'user:1', request_id: 'r-1' }),
      await server.post('/invalidate/key', { ...body, keys: ['user:2'] }),
    ]
    for (const other of others) expect(other).toMatchObject({ status: 422, code: 'TIDEMARK_REQUEST_ID' })
    expect(server.isStored('user:2')).toBe(true)
    expect(await server.post('/api/invalidate', body, { 'idempotency-key': 'r-2' })).toMatchObject({ status: 400 })
    expect((await server.app.inject('/api/invalidations/r-9')).json()).toMatchObject({
      code: 'TIDEMARK_REQUEST_UNKNOWN',
    })
  })

  it('is forgotten by number: the oldest first', async () => {
    await server.close()
    server = await fakeServer({ config: 'invalidation: { requestsMax: 2 }' })
    await server.cache.settled()
    for (const id of ['a', 'b', 'c']) await server.post('/api/invalidate', { keys: [id], request_id: id })
    const states = await Promise.all(['a', 'b', 'c'].map((id) => server.app.inject(`/api/invalidations/${id}`)))
    expect(states.map(({ statusCode }) => statusCode)).toEqual([404, 200, 200])
    for (const key of ['x', 'y', 'z']) await server.post('/api/invalidate', { keys: [key] })
    expect((await server.app.inject('/api/invalidations/c')).statusCode).toBe(200)
  })

  it('is answered 503 where as many run as are remembered, and within appliedMax where nothing is applied', async () => {
    await server.close()
    server = await fakeServer({ config: 'invalidation: { requestsMax: 1, appliedMax: 100ms }' })
    await server.cache.settled()
    server.database.fake.log.isAutomatic = false
    const waiting = server.post('/api/invalidate', body)
    expect(await server.post('/api/invalidate', { ...body, request_id: 'r-2' })).toMatchObject({
      status: 503,
      code: 'TIDEMARK_BUSY',
    })
    expect(await waiting).toMatchObject({ status: 503, code: 'TIDEMARK_BEHIND' })
  })
})

describe('POST /api/invalidate/pattern', () => {
  it('drops what matches, in every syntax', async () => {
    const cases = [
      [{ pattern: 'user:*' }, ['user:1', 'user:22']],
      [{ pattern: 'user:*', syntax: 'exact' }, []],
      [{ pattern: 'user:1', syntax: 'exact' }, ['user:1']],
      [{ pattern: 'us', syntax: 'prefix' }, ['user:1', 'user:22']],
      [{ pattern: '1', syntax: 'suffix' }, ['order:1', 'user:1']],
      [{ pattern: ':\\d\\d$', syntax: 'regex' }, ['user:22']],
    ] as const
    for (const [body, keys] of cases) {
      await server.store('user:1', 'user:22', 'order:1')
      const answer = await server.post('/api/invalidate/pattern', body)
      expect(answer, JSON.stringify(body)).toMatchObject({
        status: 200,
        invalidated_count: keys.length,
        removed: { l1: keys.length },
      })
      expect([...answer.matched_keys].sort(), JSON.stringify(body)).toEqual(keys)
    }
  })

  it('tells the first thousand keys, and the others page by page', async () => {
    // A busy machine may keep some of what it loads, not all: it takes rounds.
    const many = Array.from({ length: 2_345 }, (_, n) => `user:${n}`)
    const missing = () => many.filter((key) => server.cache.peek(key) === undefined)
    while (missing().length > 0) await server.store(...missing())
    let answer = await server.post('/api/invalidate/pattern', { pattern: 'user:*', request_id: 'all' })
    expect(answer).toMatchObject({ invalidated_count: 2_345, removed: { l1: 2_345 } })
    const keys = new Set<string>(answer.matched_keys)
    while (answer.cursor !== undefined) {
      answer = (await server.app.inject(`/api/invalidations/all?cursor=${answer.cursor}`)).json()
      for (const key of answer.matched_keys) keys.add(key)
    }
    expect(keys.size).toBe(2_345)
  })

  it('is answered as soon as it holds, and the count of what went follows, where it matches thousands', async () => {
    const many = Array.from({ length: 6_000 }, (_, n) => `many:${n}`)
    const missing = () => many.filter((key) => server.cache.peek(key) === undefined).slice(0, 500)
    while (missing().length > 0) await server.store(...missing())
    const answer = await server.post('/api/invalidate/pattern', { pattern: 'many:*', request_id: 'many' })
    expect(answer).toMatchObject({ status: 200, invalidated_count: 6_000 })
    expect(server.cache.peek('many:5999')).toBe(undefined)
    const came = async () => (await server.app.inject('/api/invalidations/many')).json()
    await expect.poll(came, { timeout: 45_000 }).toMatchObject({ removed: { l1: 6_000 } })
    expect((await came()).sweeping).toBe(undefined)
    expect(server.cache.status().entries).toBe(0)
  })

  it('is 422 with the reason where it cannot be used', async () => {
    for (const [pattern, syntax] of [
      ['[', 'glob'],
      ['(a)\\1', 'regex'],
      ['x'.repeat(2_000), 'glob'],
    ] as const) {
      const answer = await server.post('/api/invalidate/pattern', { pattern, syntax })
      expect(answer, pattern).toMatchObject({ status: 422, code: 'TIDEMARK_PATTERN' })
      expect(answer.detail.length).toBeGreaterThan(20)
      const url = `/api/invalidate/preview?syntax=${syntax}&pattern=${encodeURIComponent(pattern)}`
      expect((await server.app.inject(url)).statusCode).toBe(422)
    }
  })
})
