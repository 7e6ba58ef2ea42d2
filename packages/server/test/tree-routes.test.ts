import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tokenDatabase } from '../src/access/token-database.js'
import { createToken } from '../src/index.js'
import { asking, JSON_TYPE, type Method, treeServer } from './tree-server.js'

/* What config trees have over HTTP besides their nodes; who may do what; and the API's document. */

let server: Awaited<ReturnType<typeof treeServer>>
beforeAll(async () => {
  server = await treeServer()
})
afterAll(() => server?.close())

const ask: (typeof server)['ask'] = (...asked) => server.ask(...asked)
const get = (url: string, headers: Record<string, string> = {}) => ask('GET', url, undefined, headers)
const put = (url: string, value: unknown) => ask('PUT', url, JSON.stringify(value), JSON_TYPE)

describe('lists', () => {
  it('configs and nodes, page by page, by what they contain', async () => {
    for (const name of ['alpha', 'beta', 'gamma', 'lambda'])
      await put(`/api/trees/lists/${name}`, { color: `${name}-red`, size: 12 })
    await put('/api/trees/other/alpha', 1)
    const first = await get('/api/trees/lists?limit=3')
    expect(first.body.configs.map(({ config }: { config: string }) => config)).toEqual(['alpha', 'beta', 'gamma'])
    expect(first.body.configs[0]).toMatchObject({ version: 1, base: null, has_schema: false })
    const rest = await get(`/api/trees/lists?limit=3&after=${first.body.next}`)
    expect(rest.body.configs.map(({ config }: { config: string }) => config)).toEqual(['lambda'])
    expect((await get('/api/trees/lists?contains=bd')).body.configs).toHaveLength(1)
    const nodes = await get('/api/trees/lists/~nodes?contains=a-red&limit=3')
    expect(nodes.body.nodes.map(({ config, path, value }: Record<string, string>) => [config, path, value])).toEqual([
      ['alpha', '/color', 'alpha-red'],
      ['beta', '/color', 'beta-red'],
      ['gamma', '/color', 'gamma-red'],
    ])
    const more = await get(
      `/api/trees/lists/~nodes?contains=a-red&limit=3&after=${encodeURIComponent(nodes.body.next)}`,
    )
    expect(more.body.nodes).toHaveLength(1)
    for (const list of ['lists', 'lists/~nodes', 'lists/alpha/~nodes'])
      for (const query of ['after=a%00b', 'after=%00', 'contains=a%00b', 'after=a/%00', 'after=/%00'])
        expect((await get(`/api/trees/${list}?${query}`)).status, `${list}?${query}`).toBe(400)
  })

  it('the nodes of a config, and how the cache has them', async () => {
    await put('/api/trees/lists/states', { a: { b: 1 }, c: 2, big: 1 })
    await ask('PUT', '/api/trees/lists/states/big', '12345678901234567890.5', JSON_TYPE)
    await ask('PUT', '/api/trees/lists/states/a?dependency=/c', '{"b":1}', JSON_TYPE)
    for (const path of ['/a', '/c', '/c']) await get(`/api/trees/lists/states${path}`)
    const before = await get('/api/trees/lists/states/~nodes')
    const states = Object.fromEntries(before.body.nodes.map((node: { path: string }) => [node.path, node]))
    expect(before.text).toContain('"value":12345678901234567890.5')
    expect(states['/c']).toMatchObject({ state: 'cached', kind: 'scalar', value: 2, hits: 1, misses: 1 })
    // The view of /c goes along with /a, as was declared.
    expect(states['/a']).toMatchObject({ state: 'cached', declared: ['/c'] })
    expect(states['/a'].dependents.keys).toEqual(expect.arrayContaining(['states:/a', 'states:/c']))
    expect(states['/a/b']).toMatchObject({ state: 'absent', hits: 0, last_read_at: null })
    await ask('PUT', '/api/trees/lists/states/a/b', '9', JSON_TYPE)
    const after = await get('/api/trees/lists/states/~nodes?path=/c')
    expect(after.body.nodes).toMatchObject([{ path: '/c', state: 'invalidated' }])
  })
})

describe('history', () => {
  it('who and why, differences, and back again', async () => {
    await put('/api/trees/past/settings', { color: 'red', size: 1 })
    await put('/api/trees/past/settings/color?cause=spring', 'blue')
    const history = await get('/api/trees/past/settings/~history?path=/color')
    expect(history.body.edits).toMatchObject([
      { version: 2, actor: 'local', cause: 'spring', changes: [{ path: '/color', before: 'red', after: 'blue' }] },
      { version: 1, changes: [{ path: '/color', after: 'red' }] },
    ])
    const diff = await get('/api/trees/past/settings/~diff?from=1&to=2')
    expect(diff.body.differences).toEqual([{ path: '/color', before: 'red', after: 'blue' }])
    const dry = await ask('POST', '/api/trees/past/settings/~rollback?dryRun=true', { version: 1 })
    expect(dry.body).toMatchObject({ dry_run: true, changes: [{ path: '/color', change: 'changed' }] })
    expect((await ask('POST', '/api/trees/past/settings/~rollback', { version: 1 })).body.version).toBe(3)
    expect((await get('/api/trees/past/settings')).text).toBe('{"color":"red","size":1}')
    expect((await ask('POST', '/api/trees/past/settings/~rollback', { version: 'x' })).body.errors).toMatchObject([
      { parameter: 'version' },
    ])
    expect((await get('/api/trees/past/settings/~diff?from=1&to=77')).status).toBe(404)
  })
})

describe('heads', () => {
  it('a schema is kept to, with pointers to what is wrong', async () => {
    await put('/api/trees/heads/ruled', { size: 1 })
    const schema = { type: 'object', properties: { size: { type: 'integer' } } }
    expect((await put('/api/trees/heads/ruled/~schema', schema)).status).toBe(200)
    expect((await get('/api/trees/heads/ruled/~schema')).body).toEqual(schema)
    expect(await put('/api/trees/heads/ruled/size', 'x')).toMatchObject({
      status: 422,
      body: { code: 'TIDEMARK_TREE_SCHEMA', errors: [{ pointer: '/size', message: 'must be integer' }] },
    })
    expect((await ask('DELETE', '/api/trees/heads/ruled/~schema')).status).toBe(200)
    expect((await put('/api/trees/heads/ruled/size', 'x')).status).toBe(200)
    expect((await get('/api/trees/heads/ruled/~schema')).status).toBe(404)
  })

  it('a config inherits, and If-Match sees what the base has changed', async () => {
    await put('/api/trees/shared/defaults', { color: 'red', size: 1 })
    await put('/api/trees/heads/app', { size: 2 })
    expect((await put('/api/trees/heads/app/~base', { tenant: 'shared', config: 'defaults' })).status).toBe(200)
    const read = await get('/api/trees/heads/app')
    expect(read.body).toEqual({ color: 'red', size: 2 })
    expect((await get('/api/trees/heads/app?own=true')).body).toEqual({ size: 2 })
    expect((await get('/api/trees/heads/app/~head')).body).toMatchObject({
      base: { tenant: 'shared', config: 'defaults' },
      has_schema: false,
    })
    await put('/api/trees/shared/defaults/color', 'blue')
    const match = { ...JSON_TYPE, 'if-match': String(read.headers.etag) }
    expect((await ask('PUT', '/api/trees/heads/app', '{}', match)).body.code).toBe('TIDEMARK_TREE_VERSION')
    expect((await put('/api/trees/heads/app/~base', { tenant: 'lists', config: 'alpha' })).status).toBe(404)
    expect((await ask('DELETE', '/api/trees/heads/app/~base')).status).toBe(200)
    expect((await get('/api/trees/heads/app')).body).toEqual({ size: 2 })
  })

  it('dependencies are declared and told', async () => {
    await put('/api/trees/heads/deps', { a: 1, b: 2 })
    expect((await put('/api/trees/heads/deps/~dependencies?path=/a', ['/b'])).status).toBe(200)
    expect((await get('/api/trees/heads/deps/~dependencies')).body).toEqual({
      dependencies: [{ path: '/a', dependent: '/b' }],
    })
    expect((await put('/api/trees/heads/nothing/~dependencies?path=/a', ['/b'])).status).toBe(404)
    expect((await put('/api/trees/heads/deps/~dependencies?path=/a', 7)).status).toBe(400)
  })
})

it('YAML goes in and comes out', async () => {
  const yaml = '# a comment\ntheme: &t { color: red, "size": 12345678901234567890.5 }\ncopy: *t\non: "yes"\n'
  expect((await ask('PUT', '/api/trees/T1/yaml', yaml, { 'content-type': 'application/yaml' })).status).toBe(200)
  expect((await get('/api/trees/T1/yaml')).text).toBe(
    '{"theme":{"color":"red","size":12345678901234567890.5},"copy":{"color":"red","size":12345678901234567890.5},"on":"yes"}',
  )
  const shown = await get('/api/trees/T1/yaml/theme?format=yaml')
  expect([shown.headers['content-type'], shown.text]).toEqual([
    'application/yaml; charset=utf-8',
    'color: red\nsize: 12345678901234567890.5\n',
  ])
  expect((await get('/api/trees/T1/yaml', { accept: 'application/yaml' })).text).toContain('"on": "yes"')
  const refused = await ask('PUT', '/api/trees/T1/yaml', 'a: !!binary x', { 'content-type': 'application/yaml' })
  expect(refused).toMatchObject({ status: 422, body: { code: 'TIDEMARK_TREE_VALUE' } })
})

it('viewers read and editors edit, each in their own tenants and what is shared; tenants of others are not there', async () => {
  const client = new pg.Client({ connectionString: server.database.url })
  await client.connect()
  const tokens = tokenDatabase(server.database.url)
  const asked = asking(await server.serve('access: { tokens: true }', { tokens }))
  const as = async (role: 'viewer' | 'operator' | 'editor', tenants: readonly string[] | 'all') => {
    const { token } = await createToken(client, { name: role, roles: [role], tenants, expiresInMs: 60_000 })
    return async (method: Method, url: string, value?: unknown) => {
      const answer = await asked(method, url, value, { authorization: `Bearer ${token}` })
      return answer.status === 200 ? 200 : `${answer.status} ${answer.body.code}`
    }
  }
  const [viewer, operator, editor] = [
    await as('viewer', ['T1']),
    await as('operator', ['T1']),
    await as('editor', ['T1']),
  ]
  await put('/api/trees/T1/rights', { a: 1 })
  await put('/api/trees/T2/rights', { a: 1 })
  await put('/api/trees/shared/rights', { a: 1 })
  const reads = ['', '/a', '/~nodes', '/~history', '/~head', '/~dependencies']
  for (const path of reads) {
    expect(await viewer('GET', `/api/trees/T1/rights${path}`), path).toBe(200)
    expect(await viewer('GET', `/api/trees/shared/rights${path}`), path).toBe(200)
    for (const who of [viewer, editor])
      expect(await who('GET', `/api/trees/T2/rights${path}`), path).toBe('404 TIDEMARK_TENANT_UNKNOWN')
  }
  expect(await viewer('GET', '/api/trees/never/rights')).toBe('404 TIDEMARK_TENANT_UNKNOWN')
  expect(await viewer('GET', '/api/T1/rights')).toBe(200)
  expect(await viewer('GET', '/metrics/T2/rights')).toBe('404 TIDEMARK_TENANT_UNKNOWN')
  expect(await viewer('GET', '/api/trees/T1')).toBe(200)
  expect(await viewer('GET', '/api/trees/T2/~nodes')).toBe('404 TIDEMARK_TENANT_UNKNOWN')
  const edits: [Method, string, unknown?][] = [
    ['PUT', '/api/trees/T1/rights/a', { b: 1 }],
    ['DELETE', '/api/trees/T1/rights/a'],
    ['POST', '/api/T1/rights', { path: '/a', value: 1 }],
    ['PUT', '/api/trees/T1/rights/~base', { config: 'rights2' }],
    ['DELETE', '/api/trees/T1/rights/~base'],
    ['PUT', '/api/trees/T1/rights/~schema', {}],
    ['PUT', '/api/trees/T1/rights/~dependencies?path=/a', ['/b']],
    ['POST', '/api/trees/T1/rights/~rollback', { version: 1 }],
  ]
  for (const [method, url, value] of edits) {
    for (const who of [viewer, operator]) expect(await who(method, url, value), url).toBe('403 TIDEMARK_FORBIDDEN')
    expect(await editor(method, url.replace('T1', 'T2'), value), url).toBe('404 TIDEMARK_TENANT_UNKNOWN')
    expect(await editor(method, url.replace('T1', 'shared'), value), url).toBe('404 TIDEMARK_TENANT_UNKNOWN')
    expect(await editor(method, url, value), url).toBe(200)
  }
  expect(await editor('PUT', '/api/trees/T1/rights/a?tenant=T2', { b: 1 })).toBe('400 TIDEMARK_PARAMETER')
  expect((await asked('GET', '/api/trees/T1/rights')).status).toBe(401)
  await client.end()
  await tokens.close()
})

interface Operation {
  readonly parameters?: readonly { name: string; in: string; example?: unknown }[]
  readonly requestBody?: {
    readonly content: Record<string, { example?: unknown; examples?: Record<string, { value: unknown }> }>
  }
}

it('every example of the API’s document is answered', async () => {
  await put('/api/trees/shared/defaults', {})
  await put('/api/trees/T1/C1', { theme: {} })
  await put('/api/trees/T1/C1/theme', { color: 'red' })
  const { paths } = (await get('/api/openapi.json')).body as { paths: Record<string, Record<string, Operation>> }
  // A stream has no end.
  const wanted = Object.entries(paths).filter(
    ([path]) => /^\/api\/trees|^\/(api|metrics)\/\{tenant\}/.test(path) && !path.endsWith('/~live'),
  )
  expect(wanted.length).toBeGreaterThan(10)
  let count = 0
  for (const method of ['put', 'post', 'patch', 'get'] as const) {
    for (const [path, methods] of wanted) {
      const operation = methods[method]
      if (!operation) continue
      const { parameters = [], requestBody } = operation
      const example = (name: string) => String(parameters.find((each) => each.name === name)?.example)
      const query = parameters
        .filter((each) => each.in === 'query' && each.example !== undefined)
        .map(({ name, example: value }) => `${name}=${value}`)
      const url = `${path.replace(/\{([\w*]+)\}/g, (_, name: string) => example(name))}?${query.join('&')}`
      const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? []
      const bodies = content
        ? content.example === undefined
          ? Object.values(content.examples ?? {}).map(({ value }) => value)
          : [content.example]
        : [undefined]
      expect(bodies.length, `${method} ${path}`).toBeGreaterThan(0)
      for (const body of bodies) {
        const text = body === undefined ? undefined : JSON.stringify(body)
        const response = await ask(method.toUpperCase() as Method, url, text, type ? { 'content-type': type } : {})
        expect(response.status, `${method} ${url} ${text}: ${response.text}`).toBe(200)
        count++
      }
    }
  }
  expect(count).toBeGreaterThan(20)
})
