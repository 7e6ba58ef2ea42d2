import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fakeServer } from './fake-database.js'

let server: Awaited<ReturnType<typeof fakeServer>>

beforeEach(async () => {
  server = await fakeServer()
  await server.cache.settled()
})

afterEach(() => server.close())

type Headers = Record<string, string>
const ask = async (method: 'GET' | 'PUT' | 'DELETE' | 'POST', url: string, payload?: object, headers: Headers = {}) => {
  const response = await server.app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
  return {
    status: response.statusCode,
    headers: response.headers,
    body: response.body === '' ? undefined : response.json(),
  }
}
const path = (key: string) => `/api/cache/${encodeURIComponent(key)}`
const put = (key: string, body: object, headers: Headers = {}) => ask('PUT', path(key), body, headers)
const get = (key: string, headers: Headers = {}) => ask('GET', path(key), undefined, headers)

describe('PUT and GET /api/cache/:key', () => {
  it('store a value and tell it, as of when, and for whom it is new', async () => {
    await server.cache.get('page', async () => server.cache.get('user:7', () => 1, { static: true }))
    const stored = await put('user:7', { value: { name: 'Ada', nested: [1, null, 'ü'] }, ttl: '10m', tags: ['users'] })
    expect(stored).toMatchObject({ status: 200, body: { success: true, key: 'user:7', kept: true } })
    expect(stored.body.position).toBe(server.cache.status().tidemark)
    expect(server.cache.peek('page')).toBe(undefined)
    const found = await get('user:7')
    expect(found.body).toEqual({ name: 'Ada', nested: [1, null, 'ü'] })
    expect(found.headers).toMatchObject({ age: '0', 'cache-control': 'no-cache' })
    expect(found.headers['cache-status']).toBe('tidemark; hit; tidemark-state=fresh; tidemark-from=l1')
    expect((await get('user:7', { 'if-none-match': String(found.headers['etag']) })).status).toBe(304)
    await ask('POST', '/api/invalidate', { tags: ['users'] })
    expect((await get('user:7')).body.code).toBe('TIDEMARK_NOT_STORED')
  })

  it('know any key of up to 1,024 bytes byte for byte, in its own tenant', async () => {
    const keys = [
      'a/b',
      'a b+c%20?#&',
      '😀:ü',
      'x'.repeat(1_024),
      'ü'.repeat(512),
      '{a}',
      '*',
      '"',
      'a\u0000b',
      '__proto__',
      'keys ',
    ]
    for (const key of keys) expect((await put(key, { value: key })).status, key.slice(0, 20)).toBe(200)
    // Clients take this out of a path.
    await ask('POST', '/api/cache/batch/put', { entries: [{ key: '..', value: '..' }] })
    for (const key of keys) expect((await get(key)).body, key.slice(0, 20)).toBe(key)
    const listed = await ask('GET', '/api/cache/keys?limit=1000')
    expect(listed.body.keys.map(({ key }: { key: string }) => key).sort()).toEqual([...keys, '..'].sort())
    for (const key of ['ü'.repeat(513), 'x'.repeat(1_025)]) expect((await put(key, { value: 1 })).status).toBe(400)
    expect((await ask('GET', `${path('a/b')}?tenant=other`)).status).toBe(404)
    expect((await ask('PUT', `${path('a/b')}?tenant=other`, { value: 2 })).status).toBe(200)
    expect((await get('a/b')).body).toBe('a/b')
  })

  it('take what was read since an answer, and say why it is not kept where a change came between', async () => {
    const missed = await get('user:7')
    expect(missed).toMatchObject({ status: 404, body: { code: 'TIDEMARK_NOT_STORED' } })
    const asOf = missed.headers['tidemark-position']
    expect(asOf).toMatch(/^[\w.-]+:[0-9A-F]+\/[0-9A-F]+~\d+$/)
    await ask('POST', '/api/invalidate', { keys: ['user:8'] })
    expect((await put('user:7', { value: 1, as_of: asOf })).body).toMatchObject({ kept: true })
    await ask('POST', '/api/invalidate', { keys: ['user:7'] })
    const late = await put('user:7', { value: 1, as_of: asOf })
    expect(late).toMatchObject({ status: 200, body: { success: true, kept: false, not_kept: 'overtaken' } })
    expect((await get('user:7')).status).toBe(404)
    expect((await put('user:7', { value: 1, as_of: 'yesterday' })).body.code).toBe('TIDEMARK_POSITION')
  })

  it('depend on keys', async () => {
    await put('page', { value: 1, dependencies: ['user:7'] })
    await put('user:7', { value: 2 })
    expect((await get('page')).status).toBe(404)
  })

  it('store only what If-Match allows: what is there now, by its ETag or position', async () => {
    expect((await put('a', { value: 1 }, { 'if-match': '*' })).status).toBe(412)
    await put('a', { value: 1 })
    const { etag } = (await get('a')).headers
    const position = server.cache.explain('a').asOf!
    expect(await put('a', { value: 2 }, { 'if-match': '"0/1"' })).toMatchObject({
      status: 412,
      body: { code: 'TIDEMARK_PRECONDITION' },
    })
    expect((await get('a')).body).toBe(1)
    expect((await put('a', { value: 2 }, { 'if-match': String(etag) })).body.kept).toBe(true)
    expect((await put('a', { value: 3 }, { 'if-match': String(etag) })).status).toBe(412)
    expect((await put('a', { value: 3 }, { 'if-match': `"${position}"` })).status).toBe(412)
    const now = server.cache.explain('a').asOf!
    expect((await put('a', { value: 4 }, { 'if-match': `"${now}"` })).body.kept).toBe(true)
  })

  it('tell what a resource has stored, and do not overwrite it', async () => {
    server.database.fake.put('posts', { id: 7, author: 1, title: 'a' })
    const rows = (await server.app.inject('/api/resources/post?id=7')).body
    const key = (await server.cache.keys()).keys[0]!.key
    const found = await server.app.inject(path(key))
    expect([found.statusCode, found.body]).toEqual([200, rows])
    const refused = await put(key, { value: 1 })
    expect(refused).toMatchObject({ status: 400, body: { code: 'TIDEMARK_PARAMETER', errors: [{ parameter: 'key' }] } })
  })

  it('tell values that JSON does not know as rows tell them', async () => {
    const value = {
      n: 2n ** 70n,
      at: new Date(0),
      map: new Map([['a', 1n]]),
      set: new Set([1]),
      bytes: Buffer.from('hi'),
      nan: Number.NaN,
    }
    await server.cache.set('odd', value)
    expect((await get('odd')).body).toEqual({
      n: '1180591620717411303424',
      at: '1970-01-01T00:00:00.000Z',
      map: [['a', '1']],
      set: [1],
      bytes: 'aGk=',
      nan: 'NaN',
    })
    await server.cache.set('nothing', undefined)
    expect(await get('nothing')).toMatchObject({ status: 200, body: null })
  })

  it('change nothing while the log cannot be written', async () => {
    await put('a', { value: 1 })
    server.database.fake.log.isUp = false
    expect(await put('a', { value: 2 })).toMatchObject({ status: 503, body: { code: 'TIDEMARK_SOURCE_DOWN' } })
    expect(await ask('DELETE', path('a'))).toMatchObject({ status: 503 })
    expect(await ask('POST', '/api/cache/batch/put', { entries: [{ key: 'a', value: 2 }] })).toMatchObject({
      status: 503,
    })
    expect((await get('a')).body).toBe(1)
  })

  it('refuse what is no value, no expiry and no key', async () => {
    const deep = JSON.parse(`${'['.repeat(600)}${']'.repeat(600)}`)
    expect(await put('a', { value: deep })).toMatchObject({ status: 400, body: { code: 'TIDEMARK_REQUEST' } })
    for (const body of [
      {},
      { value: 1, ttl: 'soon' },
      { value: 1, ttl: -1 },
      { value: 1, x: 1 },
      { value: 1, tags: [1] },
      { value: 1, tags: ['\ud800'] },
      { value: 1, dependencies: ['\ud800'] },
    ])
      expect((await put('a', body)).body.code, JSON.stringify(body)).toBe('TIDEMARK_PARAMETER')
    const sent = async (method: 'PUT' | 'POST', url: string, payload: string) => {
      const headers = { 'content-type': 'application/json' }
      return (await server.app.inject({ method, url, headers, payload })).json()
    }
    const refused = { status: 400, code: 'TIDEMARK_REQUEST' }
    expect(await sent('PUT', '/api/cache/a', '{"value":{"__proto__":{"x":1}}}')).toMatchObject(refused)
    // Before it is parsed: it is no JSON, and nobody has found out.
    const many = await sent('PUT', '/api/cache/a', `{"value":1,"tags":[${'"t",'.repeat(10_001)}`)
    expect(many).toMatchObject({ code: 'TIDEMARK_PARAMETER', errors: [{ parameter: 'tags' }] })
    // No number of JavaScript's: it would be stored as Infinity.
    const large = await sent('PUT', '/api/cache/a', '{"value":{"a/b":[1e3,-1e400]}}')
    expect(large).toMatchObject({ ...refused, detail: expect.stringContaining('"/value/a~1b/1"') })
    for (const number of ['1E+999', `1${'0'.repeat(309)}`, `${'9'.repeat(300)}.5e09`]) {
      const batch = `{"entries":[{"key":"a","value":${number}}]}`
      expect(await sent('POST', '/api/cache/batch/put', batch), number.slice(0, 9)).toMatchObject(refused)
    }
    expect(await sent('PUT', '/api/cache/large', '{"value":1.7e308}')).toMatchObject({ success: true })
    expect((await server.app.inject('/api/cache/%ff')).statusCode).toBe(400)
    expect((await get('a')).status).toBe(404)
  })
})

describe('DELETE /api/cache/:key', () => {
  it('drops a key for all, or shows what would go', async () => {
    await put('a', { value: 1 })
    await put('b', { value: 1, dependencies: ['a'] })
    expect((await ask('DELETE', `${path('a')}?dryRun=true`)).body).toMatchObject({
      dry_run: true,
      dependents: { keys: ['b'] },
    })
    expect((await ask('DELETE', path('a'))).body).toMatchObject({ success: true, keys: ['a'], removed: { l1: 2 } })
    expect((await ask('DELETE', path('a'))).body).toMatchObject({ success: true, removed: { l1: 0 } })
  })
})

describe('GET /api/cache/keys', () => {
  const names = (body: { keys: { key: string }[] }) => body.keys.map(({ key }) => key)

  it('lists, searches, sorts and pages', async () => {
    for (let n = 0; n < 60; n++)
      await put(`user:${n}`, { value: 'x'.repeat(n), tags: [n % 2 ? 'odd' : 'even'], ttl: '1h' })
    await put('order:1', { value: 1 })
    await server.cache.tenant('acme').set('secret', 1)
    const first = await ask('GET', '/api/cache/keys')
    expect(names(first.body)).toHaveLength(50)
    const second = await ask('GET', `/api/cache/keys?cursor=${first.body.cursor}`)
    expect(new Set([...names(first.body), ...names(second.body)]).size).toBe(61)
    expect(second.body.cursor).toBe(undefined)
    expect(first.body.keys[1]).toEqual({
      key: 'user:0',
      state: 'fresh',
      bytes: expect.any(Number),
      position: expect.any(String),
      filled_at: expect.any(String),
      expires_at: expect.any(String),
      tags: ['even'],
    })
    expect(names((await ask('GET', '/api/cache/keys?prefix=order:')).body)).toEqual(['order:1'])
    expect(names((await ask('GET', '/api/cache/keys?search=er:5&limit=3')).body)).toEqual([
      'user:5',
      'user:50',
      'user:51',
    ])
    expect(names((await ask('GET', '/api/cache/keys?pattern=user:5[12]')).body)).toEqual(['user:51', 'user:52'])
    expect(names((await ask('GET', '/api/cache/keys?tag=odd&limit=100')).body)).toHaveLength(30)
    expect(names((await ask('GET', '/api/cache/keys?sort=size&order=desc&limit=2')).body)).toEqual([
      'user:59',
      'user:58',
    ])
    expect(names((await ask('GET', '/api/cache/keys?tenant=acme')).body)).toEqual(['secret'])
  })

  it('says what cannot be asked for', async () => {
    const asked = [
      'cursor=x',
      'limit=0',
      'limit=1001',
      'limit=1e3',
      'tier=l2',
      'sort=x',
      'prefix=a&pattern=b',
      'x=1',
      'state=stale',
    ]
    for (const query of asked) {
      expect((await ask('GET', `/api/cache/keys?${query}`)).body, query).toMatchObject({
        status: 400,
        code: 'TIDEMARK_PARAMETER',
      })
    }
    expect((await ask('GET', '/api/cache/keys?pattern=[')).body.code).toBe('TIDEMARK_PATTERN')
  })
})

describe('batches', () => {
  it('put, get and delete many, each for itself', async () => {
    const entries = [
      { key: 'a', value: 1, tags: ['t'] },
      { key: 'b', value: null },
      { key: 'c', value: { x: [] } },
    ]
    const stored = await ask('POST', '/api/cache/batch/put', { entries })
    expect(stored.body).toMatchObject({
      success: true,
      entries: [
        { key: 'a', kept: true },
        { key: 'b', kept: true },
        { key: 'c', kept: true },
      ],
    })
    const found = await ask('POST', '/api/cache/batch/get', { keys: ['c', 'x', 'b'] })
    expect(found.body.entries).toMatchObject([
      { key: 'c', found: true, value: { x: [] }, from: 'l1' },
      { key: 'x', found: false },
      { key: 'b', found: true, value: null },
    ])
    const { position } = found.body
    await ask('POST', '/api/cache/batch/delete', { keys: ['a', 'x'] })
    const again = await ask('POST', '/api/cache/batch/put', {
      entries: [
        { key: 'a', value: 1 },
        { key: 'x2', value: 1 },
      ],
      as_of: position,
    })
    expect(again.body.entries).toMatchObject([{ kept: false, not_kept: 'overtaken' }, { kept: true }])
    expect((await ask('POST', '/api/cache/batch/get', { keys: [] })).status).toBe(400)
  })
})

describe('GET /api/metrics', () => {
  it('says what this process has done', async () => {
    await put('a', { value: 1 })
    await get('a')
    await get('b')
    await ask('POST', '/api/invalidate', { keys: ['a', 'b'] })
    const { body } = await ask('GET', '/api/metrics')
    expect(body).toMatchObject({
      hits: 1,
      misses: 1,
      hit_ratio: 0.5,
      entries: 0,
      counters: { hits: 1, kept: 1, notKept: {} },
      log: { state: 'following', position: server.cache.status().tidemark },
      current: true,
      invalidations: { requests: 1, keys: 2, removed: 1 },
    })
  })
})
