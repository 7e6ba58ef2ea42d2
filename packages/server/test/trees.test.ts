import pg from 'pg'
import { parsePosition } from 'tidemark'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JSON_PATCH, JSON_TYPE, MERGE_PATCH, treeServer } from './tree-server.js'

/* The nodes of config trees over HTTP. */

let server: Awaited<ReturnType<typeof treeServer>>
beforeAll(async () => {
  server = await treeServer()
})
afterAll(() => server?.close())

const ask: (typeof server)['ask'] = (...asked) => server.ask(...asked)
const get = (url: string, headers: Record<string, string> = {}) => ask('GET', url, undefined, headers)

describe('/api/trees/:tenant/:config', () => {
  it('a position covers all that the answer may show, though the log has not brought it yet', async () => {
    await ask('PUT', '/api/trees/T1/shown', { a: 1 })
    const admin = new pg.Client({ connectionString: server.database.url })
    await admin.connect()
    for (let i = 0; i < 5; i++) {
      await ask('PUT', '/api/trees/T1/shown/a', String(i), JSON_TYPE)
      // Far more than the log has brought by the time of the answer.
      await admin.query("select pg_logical_emit_message(true, 'elsewhere', repeat('x', 4000000))")
      const { rows } = await admin.query<{ end: string }>('select pg_current_wal_flush_lsn()::text as end')
      const read = await get('/api/trees/T1/shown')
      expect(parsePosition(String(read.headers['tidemark-position'])).lsn).toBeGreaterThanOrEqual(
        parsePosition(rows[0]!.end).lsn,
      )
    }
    await admin.end()
  })

  it('sets, reads and deletes a config and its nodes', async () => {
    const put = await ask('PUT', '/api/trees/T1/settings', { theme: { color: 'red', size: 12 }, flags: [true] })
    expect(put).toMatchObject({ status: 200, body: { success: true, dry_run: false, version: 1 } })
    expect(put.headers['tidemark-position']).toBe(put.body.position)
    const read = await get('/api/trees/T1/settings')
    expect(read.text).toBe('{"theme":{"color":"red","size":12},"flags":[true]}')
    expect(read.headers).toMatchObject({ 'cache-control': 'no-cache', 'tidemark-version': '1', etag: put.headers.etag })
    expect((await get('/api/trees/T1/settings')).headers['cache-status']).toContain('tidemark-from=l1')
    expect((await get('/api/trees/T1/settings', { 'if-none-match': String(read.headers.etag) })).status).toBe(304)
    expect((await get('/api/trees/T1/settings/theme/color')).text).toBe('"red"')
    expect((await get('/api/trees/T1/settings/flags/0')).text).toBe('true')
    expect((await get('/api/trees/T1/settings?depth=1')).text).toBe('{"theme":{},"flags":[]}')
    expect(await ask('DELETE', '/api/trees/T1/settings/theme/size')).toMatchObject({
      status: 200,
      body: { changes: [{ path: '/theme/size', change: 'removed' }] },
    })
    expect((await get('/api/trees/T1/settings/theme')).text).toBe('{"color":"red"}')
    expect(await get('/api/trees/T1/settings/theme/size')).toMatchObject({
      status: 404,
      body: { code: 'TIDEMARK_TREE_ABSENT' },
    })
    expect((await get('/api/trees/T1/settings?at=1')).body.theme.size).toBe(12)
    expect((await get('/api/trees/T1/settings?at=9')).status).toBe(404)
  })

  it('keeps digits, the order of members, and odd names', async () => {
    const text = '{"2":1,"1":12345678901234567890.5,"a/b":{"~":null,"":[]},"__proto__":{"x":1}}'
    expect((await ask('PUT', '/api/trees/T1/odd', text, JSON_TYPE)).status).toBe(200)
    expect((await get('/api/trees/T1/odd')).text).toBe(text)
    expect((await get('/api/trees/T1/odd/a~1b/~0')).text).toBe('null')
    expect((await get('/api/trees/T1/odd/a~1b/')).text).toBe('[]')
    expect((await get('/api/trees/T1/odd/__proto__/x')).text).toBe('1')
  })

  it('patches, all or nothing', async () => {
    await ask('PUT', '/api/trees/T1/patched', { a: 1, list: [1, 3] })
    const operations = [
      { op: 'test', path: '/a', value: 1 },
      { op: 'add', path: '/list/1', value: 2 },
      { op: 'move', from: '/a', path: '/b' },
    ]
    expect((await ask('PATCH', '/api/trees/T1/patched', JSON.stringify(operations), JSON_PATCH)).status).toBe(200)
    expect((await get('/api/trees/T1/patched')).text).toBe('{"list":[1,2,3],"b":1}')
    const refused = await ask(
      'PATCH',
      '/api/trees/T1/patched/list',
      '[{"op":"remove","path":"/0"},{"op":"remove","path":"/9"}]',
      JSON_PATCH,
    )
    expect(refused).toMatchObject({ status: 422, body: { code: 'TIDEMARK_TREE_PATCH', errors: [{ pointer: '/1' }] } })
    expect((await ask('PATCH', '/api/trees/T1/patched', '{"b":null,"c":{"d":1}}', MERGE_PATCH)).status).toBe(200)
    expect((await get('/api/trees/T1/patched')).text).toBe('{"list":[1,2,3],"c":{"d":1}}')
    expect((await ask('PATCH', '/api/trees/T1/patched', '{}', JSON_TYPE)).status).toBe(415)
  })

  it('edits only what If-Match names, as readers see it', async () => {
    await ask('PUT', '/api/trees/T1/matched', { a: { x: 1 }, b: 1 })
    const { etag } = (await get('/api/trees/T1/matched/a')).headers
    await ask('PUT', '/api/trees/T1/matched/b', 2)
    const match = { 'content-type': 'application/json', 'if-match': String(etag) }
    const done = await ask('PUT', '/api/trees/T1/matched/a/x', '2', { ...match, 'if-match': '"1"' })
    expect(done.status).toBe(200)
    const late = await ask('PUT', '/api/trees/T1/matched/a', '3', match)
    expect(late).toMatchObject({ status: 412, body: { code: 'TIDEMARK_TREE_VERSION' } })
    expect((await ask('PUT', '/api/trees/T1/matched/a', '3', { ...match, 'if-match': '"never"' })).status).toBe(412)
    const create = { 'content-type': 'application/json', 'if-none-match': '*' }
    expect((await ask('PUT', '/api/trees/T1/matched/a', '3', create)).status).toBe(412)
    expect((await ask('PUT', '/api/trees/T1/matched/new', '3', create)).status).toBe(200)
  })

  it('says what a dry run would change, and changes nothing', async () => {
    await ask('PUT', '/api/trees/T1/dry', { a: 1, b: 2 })
    for (const path of ['', '/a', '/b']) await get(`/api/trees/T1/dry${path}`)
    expect(await ask('PUT', '/api/trees/T1/dry/a?dryRun=true', '5', JSON_TYPE)).toMatchObject({
      status: 200,
      body: {
        dry_run: true,
        changes: [{ path: '/a', change: 'changed' }],
        touched: { count: 2, keys: expect.arrayContaining(['dry:', 'dry:/a']) },
      },
    })
    expect((await get('/api/trees/T1/dry/a')).text).toBe('1')
  })

  it('shows rows that SQL changed', async () => {
    await ask('PUT', '/api/trees/T1/sql', { a: { b: 1 }, c: 1 })
    await get('/api/trees/T1/sql')
    const client = new pg.Client({ connectionString: server.database.url })
    await client.connect()
    await client.query(
      `update tidemark_trees.configs set value = '2' where tenant = 'T1' and config = 'sql' and path = '/a/b'`,
    )
    const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as at')
    await client.end()
    expect((await get(`/api/trees/T1/sql?min-position=${rows[0].at}`)).text).toBe('{"a":{"b":2},"c":1}')
  })
})

describe('the short forms', () => {
  it('take a node, its value and what goes along, under the content type that curl sends', async () => {
    const body = '{"path":"/settings/theme/color","value":"red","dependencies":["/settings/theme/color/dark"]}'
    const posted = await ask('POST', '/api/T1/C1', body, { 'content-type': 'application/x-www-form-urlencoded' })
    expect(posted).toMatchObject({ status: 200, body: { success: true, version: 1 } })
    expect((await get('/api/T1/C1')).text).toBe('{"settings":{"theme":{"color":"red"}}}')
    expect((await get('/api/trees/T1/C1/settings/theme/color')).text).toBe('"red"')
    const metrics = await get('/metrics/T1/C1')
    expect(metrics).toMatchObject({ status: 200, body: { tenant: 'T1', config: 'C1', version: 1, nodes_read: 2 } })
    expect(metrics.body.hits + metrics.body.misses).toBeGreaterThan(1)
    expect((await ask('POST', '/api/T1/C1', '{"path":"/a"}')).body).toMatchObject({ errors: [{ parameter: 'value' }] })
    expect(await server.trees.tree('T1', 'C1').dependencies()).toEqual([
      { path: '/settings/theme/color', dependent: '/settings/theme/color/dark' },
    ])
  })

  it('are in the way of no other path, and refuse pages of other origins', async () => {
    for (const url of ['/api/cache/nothing', '/api/resources/nothing', '/api/invalidations/nothing'])
      expect((await get(url)).body.code, url).not.toBe('TIDEMARK_TREE_ABSENT')
    expect((await ask('POST', '/api/cache/T1', '{"path":"","value":1}')).status).toBe(405)
    expect((await get('/api/invalidate/nothing')).body.code).toBe('TIDEMARK_NOT_FOUND')
    expect(
      (await ask('POST', '/api/T1/C1', '{"path":"","value":1}', { origin: 'https://evil.example' })).body.code,
    ).toBe('TIDEMARK_FOREIGN_ORIGIN')
  })
})
