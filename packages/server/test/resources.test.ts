import { afterEach, describe, expect, it } from 'vitest'
import { ConfigError } from '../src/errors.js'
import { FakeDatabase, fakeServer } from './fake-database.js'

let server: Awaited<ReturnType<typeof fakeServer>> | undefined

afterEach(async () => {
  await server?.close()
  server = undefined
})

async function start(options: Parameters<typeof fakeServer>[0] = {}) {
  server = await fakeServer(options)
  server.database.fake.put('posts', { id: 1, author: 7, title: 'a' })
  server.database.fake.put('posts', { id: 2, author: 7, title: 'b' })
  await server.cache.settled()
  return server
}

const get = async (url: string, headers: Record<string, string> = {}) => {
  const response = await server!.app.inject({ url, headers })
  return { status: response.statusCode, headers: response.headers, body: response.body, json: () => response.json() }
}

describe('GET /api/resources/:name', () => {
  it('answers with the rows, from the database and then from memory', async () => {
    await start()
    const first = await get('/api/resources/feed?author=7')
    expect(first.json()).toEqual([
      { id: 1, author: '7', title: 'a' },
      { id: 2, author: '7', title: 'b' },
    ])
    expect(first.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache',
      'cache-status': 'tidemark; fwd=miss; stored; tidemark-state=fresh; tidemark-from=source',
      age: '0',
    })
    expect(first.headers['tidemark-position']).toMatch(/^[\w.-]+:[0-9A-F]+\/[0-9A-F]+$/)
    const second = await get('/api/resources/feed?author=007')
    expect(second.headers['cache-status']).toBe('tidemark; hit; tidemark-state=fresh; tidemark-from=l1')
    expect(second.headers['etag']).toBe(first.headers['etag'])
    expect(server!.database.queries).toBe(1)
  })

  it('answers with one row, or null, where one is declared', async () => {
    await start()
    expect((await get('/api/resources/post?id=1')).json()).toEqual({ id: 1, author: '7', title: 'a' })
    expect((await get('/api/resources/post?id=99')).body).toBe('null')
  })

  it('takes the default of a parameter that is not given', async () => {
    await start()
    expect((await get('/api/resources/top')).json()).toEqual([])
    expect((await get('/api/resources/top?author=7')).json()).toHaveLength(2)
  })

  it('never answers with a value from before a change', async () => {
    const { database, cache } = await start()
    await get('/api/resources/post?id=1')
    database.fake.put('posts', { id: 1, author: 7, title: 'new' })
    await cache.settled()
    expect((await get('/api/resources/post?id=1')).json().title).toBe('new')
  })

  it('says 304 to a client that has the value, and 200 after a change', async () => {
    const { database, cache } = await start()
    const { headers } = await get('/api/resources/post?id=1')
    const etag = String(headers['etag'])
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const again = await get('/api/resources/post?id=1', { 'if-none-match': known })
      expect([again.status, again.body], known).toEqual([304, ''])
      expect(again.headers).toMatchObject({ etag, 'cache-control': 'no-cache' })
      expect(again.headers['tidemark-position']).toBeDefined()
    }
    database.fake.put('posts', { id: 1, author: 7, title: 'new' })
    await cache.settled()
    expect((await get('/api/resources/post?id=1', { 'if-none-match': etag })).status).toBe(200)
  })

  it('answers HEAD with the headers alone', async () => {
    await start()
    const { body, headers } = await get('/api/resources/post?id=1')
    const head = await server!.app.inject({ method: 'HEAD', url: '/api/resources/post?id=1' })
    expect([head.statusCode, head.body, head.headers['content-length']]).toEqual([
      200,
      '',
      String(Buffer.byteLength(body)),
    ])
    expect(head.headers['etag']).toBe(headers['etag'])
  })

  it('takes the position of an earlier answer, in the query or a header', async () => {
    await start()
    const position = String((await get('/api/resources/post?id=1')).headers['tidemark-position'])
    expect((await get(`/api/resources/post?id=1&min-position=${encodeURIComponent(position)}`)).status).toBe(200)
    expect((await get('/api/resources/post?id=1', { 'tidemark-position': position })).status).toBe(200)
    const both = await get(`/api/resources/post?id=1&min-position=0/1`, { 'tidemark-position': position })
    expect([both.status, both.json().code]).toEqual([400, 'TIDEMARK_POSITION'])
  })

  it('says that it is behind a position that it has not reached, and refuses one that it cannot read', async () => {
    await start({ config: 'resources: { posts: { sql: select * from posts } }' })
    const behind = await get('/api/resources/posts?min-position=FFFFF/0')
    expect([behind.status, behind.json().code]).toEqual([503, 'TIDEMARK_BEHIND'])
    expect(behind.headers['retry-after']).toBe('1')
    for (const malformed of ['x', '0/', '0/1/2', ' ', '1FFFFFFF/0']) {
      const refused = await get(`/api/resources/posts?min-position=${encodeURIComponent(malformed)}`)
      expect([refused.status, refused.json().code], malformed).toEqual([400, 'TIDEMARK_POSITION'])
    }
  })

  it.each([
    ['missing', '', [['id', 'is missing']]],
    ['mistyped', '?id=x', [['id', 'must be a whole number']]],
    [
      'out of range of what is declared',
      '?id=9223372036854775808',
      [['id', 'must be between -9223372036854775808 and 9223372036854775807']],
    ],
    ["out of range of the column's type", '?id=2147483648', [['id', 'must be between -2147483648 and 2147483647']]],
    ['given twice', '?id=1&id=2', [['id', 'must be given once']]],
    [
      'surplus',
      '?id=1&page=2&x=3',
      [
        ['page', 'is not a parameter here'],
        ['x', 'is not a parameter here'],
      ],
    ],
    ['NUL', '?id=%00', [['id', 'must be a whole number']]],
    [
      'named like a property of every object',
      '?id=1&__proto__=2&constructor=3',
      [
        ['__proto__', 'is not a parameter here'],
        ['constructor', 'is not a parameter here'],
      ],
    ],
  ])('refuses a parameter that is %s, and names it', async (_, query, errors) => {
    await start()
    const refused = await get(`/api/resources/post${query}`)
    expect(refused.status).toBe(400)
    expect(refused.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    const problem = refused.json()
    expect(problem).toMatchObject({
      type: '/docs/errors.md#tidemark_parameter',
      status: 400,
      code: 'TIDEMARK_PARAMETER',
    })
    expect(
      problem.errors.map((each: { parameter: string; message: string }) => [each.parameter, each.message]),
    ).toEqual(errors)
    expect(server!.database.queries).toBe(0)
  })

  it('does not know what is not declared', async () => {
    await start()
    for (const url of [
      '/api/resources/nothing',
      '/api/resources/Post?id=1',
      '/api/resources/post%00',
      '/api/streams/nothing',
    ]) {
      const unknown = await get(url)
      expect([unknown.status, unknown.json().code], url).toEqual([404, 'TIDEMARK_RESOURCE_UNKNOWN'])
    }
  })

  it('blames values that PostgreSQL refuses on the request, and tells none of them', async () => {
    const { database } = await start()
    database.failure = '22003'
    const refused = await get('/api/resources/post?id=1')
    expect([refused.status, refused.json().code]).toEqual([400, 'TIDEMARK_PARAMETER'])
    database.failure = '42P01'
    const broken = await get('/api/resources/post?id=1')
    expect([broken.status, broken.json().code]).toEqual([500, 'TIDEMARK_RESOURCE_BROKEN'])
    database.failure = 'XX000'
    const failed = await get('/api/resources/post?id=1')
    expect([failed.status, failed.json().code]).toEqual([500, 'TIDEMARK_QUERY'])
    expect(refused.body + broken.body + failed.body).not.toMatch(/secret/)
  })
})

describe('at the start', () => {
  it('everything that the database refuses is told at once, with its place in the file', async () => {
    const config = `resources:
  post: { params: { id: text }, sql: select * from posts where id = :id }
  gone: { sql: select * from nowhere }
  twice: { sql: select * from posts twice }
`
    const refused = await fakeServer({ config }).catch((error) => error)
    expect(refused).toBeInstanceOf(ConfigError)
    expect(refused.problems.map((each: { line: number; column: number }) => [each.line, each.column])).toEqual([
      [2, 25],
      [3, 30],
      [4, 17],
    ])
    expect(refused.message).toMatch(
      /is declared text, but the SQL uses it as integer; declare it so, or write :id::text/,
    )
  })

  it('a database that is down is waited for: reads say so, and are answered once it is there', async () => {
    const database = new FakeDatabase()
    database.isDown = true
    await start({ database })
    const down = await get('/api/resources/post?id=1')
    expect([down.status, down.json().code, down.headers['retry-after']]).toEqual([503, 'TIDEMARK_SOURCE_DOWN', '1'])
    const health = await get('/health')
    expect([health.status, health.json().ready]).toEqual([503, false])
    expect(health.body).toMatch(/The database does not answer. Start it./)
    expect((await get('/health/live')).status).toBe(200)
    database.isDown = false
    await expect.poll(async () => (await get('/api/resources/post?id=1')).status, { timeout: 45_000 }).toBe(200)
    await expect.poll(async () => (await get('/health')).status, { timeout: 45_000 }).toBe(200)
  })

  it('a table that is missing once the database is there is told by health, and mended by making it', async () => {
    const database = new FakeDatabase()
    database.isDown = true
    database.tables.clear()
    await start({ database })
    database.isDown = false
    await expect.poll(async () => (await get('/health')).body, { timeout: 45_000 }).toMatch(/There is no table posts/)
    expect((await get('/api/resources/post?id=1')).json().code).toBe('TIDEMARK_RESOURCE_BROKEN')
    database.tables.add('posts')
    await expect.poll(async () => (await get('/api/resources/post?id=1')).status, { timeout: 45_000 }).toBe(200)
  })
})
