import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Process, until, World } from './opened.js'

let world: World
let opened: Process

beforeAll(async () => {
  world = await World.create()
  opened = await world.open()
})
afterAll(() => world?.drop())

const tree = (config: string, tenant = 'T1') => opened.trees.tree(tenant, config)

it('an edit for another version than the node has is refused, and changes nothing', async () => {
  const config = tree('versions')
  const { version: first } = await config.put('', { value: { a: { x: 1 }, b: 2 } })
  const { version: second } = await config.put('/b', { value: 3 }, { ifVersion: first })
  // Somebody else's edit beside it does not count.
  const { version: third } = await config.put('/a/x', { value: 2 }, { ifVersion: first })
  await expect(config.put('/b', { value: 4 }, { ifVersion: first })).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_VERSION',
    version: String(second),
  })
  await expect(config.put('/new', { value: 1 }, { ifVersion: 7 })).rejects.toMatchObject({ version: '0' })
  await config.put('/new', { value: 1 }, { ifVersion: 0 })
  // A node is another one when something below it went.
  await config.delete('/a/x', { ifVersion: third })
  await expect(config.delete('/a', { ifVersion: third })).rejects.toMatchObject({ code: 'TIDEMARK_TREE_VERSION' })
  expect(JSON.parse((await config.at((await config.history())[0]!.version))!)).toEqual({ a: {}, b: 3, new: 1 })
})

it('edits of one config at once are done one after the other, none lost', async () => {
  const config = tree('busy')
  await config.put('', { value: { list: [], counts: {} } })
  const edits = Array.from({ length: 40 }, (_, index) =>
    index % 2 === 0
      ? config.patch({ value: [{ op: 'add', path: '/list/-', value: index }] })
      : config.put(`/counts/${index}`, { value: index }),
  )
  const versions = (await Promise.all(edits)).map(({ version }) => version)
  expect(new Set(versions).size).toBe(40)
  await opened.cache.settled()
  const { list, counts } = (await config.node().get()) as { list: number[]; counts: object }
  expect(list.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index * 2))
  expect(Object.keys(counts)).toHaveLength(20)
})

it('a config that a program wrote by SQL is edited like any other, each edit a version of its own', async () => {
  await world.admin.query(
    `insert into tidemark_trees.configs (tenant, config, path, value) values ('T1', 'by-sql', '', '{}'), ('T1', 'by-sql', '/a', '1')`,
  )
  const config = tree('by-sql')
  const versions: number[] = []
  for (const value of [2, 3]) {
    const { version } = await config.patch({ value: [{ op: 'replace', path: '/a', value }] })
    versions.push(version)
  }
  expect(versions).toEqual([1, 2])
  await expect(tree('nowhere').delete('/a')).rejects.toMatchObject({ code: 'TIDEMARK_TREE_ABSENT' })
  const { rows } = await world.admin.query("select from tidemark_trees.config_heads where config = 'nowhere'")
  expect(rows).toEqual([])
})

it('a dry run says what an edit would change, or why it would be refused, and changes nothing', async () => {
  const config = tree('dry')
  await config.put('', { value: { a: [1, 2], b: { c: 1 } } })
  const { changes, position } = await config.patch(
    {
      value: [
        { op: 'remove', path: '/a/0' },
        { op: 'remove', path: '/b' },
      ],
    },
    { dryRun: true },
  )
  expect(changes).toEqual([
    { path: '/a/0', change: 'changed' },
    { path: '/a/1', change: 'removed' },
    { path: '/b', change: 'removed' },
    { path: '/b/c', change: 'removed' },
  ])
  expect(position).toBeUndefined()
  await expect(config.put('/a/0/x/y', { value: 1 }, { dryRun: true })).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_ABSENT',
  })
  expect(await config.node().get()).toEqual({ a: [1, 2], b: { c: 1 } })
  expect(await config.history()).toHaveLength(1)
})

it('the history has every edit of a node, who and why, and any version comes back', async () => {
  const config = tree('past')
  const by = { actor: 'ada', requestId: 'r-1', cause: 'spring sale' }
  const json = '{"z":1,"a":{"x":[1,2,{"y":null}]},"n":9007199254740993}'
  const { version: first } = await config.put('', { json }, { by })
  const { version: second } = await config.put('/a/x/2/y', { value: 'é' })
  await config.delete('/a')
  await config.merge('', { value: { z: null, b: { c: 1, d: null } } })
  expect((await config.history({ path: '/a/x/2/y' })).map(({ version, changes }) => [version, changes.at(-1)])).toEqual(
    [
      [3, { path: '/a/x/2/y', before: '"é"', after: undefined }],
      [2, { path: '/a/x/2/y', before: 'null', after: '"é"' }],
      [1, { path: '/a/x/2/y', before: undefined, after: 'null' }],
    ],
  )
  expect((await config.history({ before: 2 }))[0]).toMatchObject({ ...by, version: 1 })
  expect(await config.history({ limit: 1 })).toHaveLength(1)
  expect(await config.at(first)).toBe(json)
  expect(await config.at(second, '/a')).toBe('{"x":[1,2,{"y":"é"}]}')
  expect(await config.at(3, '/a')).toBeUndefined()
  expect(await config.diff(1, 2)).toEqual([{ path: '/a/x/2/y', before: 'null', after: '"é"' }])
  await expect(config.at(9)).rejects.toMatchObject({ code: 'TIDEMARK_TREE_ABSENT' })
  const { version } = await config.rollback(first)
  await opened.cache.settled()
  expect((await config.node().ask()).value!.json).toBe(json)
  expect(await config.diff(first, version)).toEqual([])
  await config.rollback(4, { path: '/b' })
  await opened.cache.settled()
  expect(await config.node('/b').get()).toEqual({ c: 1 })
})

it('a config keeps to its schema, with what it inherits; what is wrong is named', async () => {
  const base = tree('defaults')
  const config = tree('typed')
  await base.put('', { value: { port: 80, host: 'a' } })
  await config.extend({ config: 'defaults' })
  await config.put('/port', { value: 443 })
  await config.setSchema({
    value: {
      type: 'object',
      required: ['host'],
      properties: { host: {}, port: { type: 'integer', maximum: 65535 }, name: { type: 'string', pattern: '^(a+)+$' } },
      additionalProperties: false,
    },
  })
  await expect(config.put('/port', { value: 'x' })).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_SCHEMA',
    problems: [{ path: '/port', message: 'must be integer' }],
  })
  await expect(config.put('/other', { value: 1 })).rejects.toMatchObject({ problems: [{ path: '' }] })
  // A rule that takes other engines years.
  await expect(config.put('/name', { value: `${'a'.repeat(5_000)}!` })).rejects.toMatchObject({
    problems: [{ path: '/name' }],
  })
  await expect(config.setSchema({ value: { type: 'nonsense' } })).rejects.toMatchObject({ code: 'TIDEMARK_TREE_VALUE' })
  await expect(config.extend(undefined)).rejects.toMatchObject({ code: 'TIDEMARK_TREE_SCHEMA' })
  await config.setSchema(undefined)
  await config.put('/port', { value: 'x' })
})

it('what leads back to itself is refused', async () => {
  const config = tree('round')
  await config.put('', { value: { a: { b: 1 }, c: { $ref: '#/a' } } })
  for (const ref of ['#', '#/a', '#/c', '#/a/self', '#/a/self/x'])
    await expect(config.put('/a/self', { value: { $ref: ref } }), ref).rejects.toMatchObject({
      code: expect.stringMatching(/TIDEMARK_TREE_(CYCLE|LIMIT)/),
    })
  await expect(config.extend({ config: 'round' })).rejects.toMatchObject({ code: 'TIDEMARK_TREE_CYCLE' })
  await tree('round2').extend({ config: 'round' })
  await tree('round2').put('', { value: {} })
  const tells = (message: RegExp) => ({ code: 'TIDEMARK_TREE_CYCLE', message: expect.stringMatching(message) })
  await expect(config.extend({ config: 'round2' })).rejects.toMatchObject(
    tells(/^References or bases would lead from the root of config "round2?" back to it\.$/),
  )
  await tree('mine').put('', { value: { a: { b: 1 } } })
  await tree('theirs').put('', { value: { a: { $ref: 'mine#/a' } } })
  await expect(tree('mine').put('/a', { value: { $ref: 'theirs#/a' } })).rejects.toMatchObject(
    tells(/^References or bases would lead from node "\/a" of config "(mine|theirs)" back to it\.$/),
  )
  await opened.cache.settled()
  expect(await config.node().get()).toEqual({ a: { b: 1 }, c: { b: 1 } })
})

it('an inherited array or value is replaced as a whole', async () => {
  const [base, config] = [tree('lists'), tree('own')]
  await base.put('', { value: { list: [{ a: 1 }, 2], deep: { value: 1 } } })
  await config.extend({ config: 'lists' })
  await expect(config.put('/list/0', { value: 1 })).rejects.toMatchObject({ code: 'TIDEMARK_TREE_ABSENT' })
  await config.put('/list', { value: [{ b: 2 }] })
  await config.put('/deep/more', { value: 2 })
  await opened.cache.settled()
  expect(await config.node().get()).toEqual({ list: [{ b: 2 }], deep: { value: 1, more: 2 } })
  expect(await config.node('/list/1').get()).toBeUndefined()
  expect(await config.node('/list/0').get()).toEqual({ b: 2 })
})

it('no tenant reads or writes what is of another, but all read what is shared', async () => {
  await tree('secret', 'A').put('', { value: { key: 1 } })
  await tree('common', 'shared').put('', { value: { all: true } })
  await opened.cache.settled()
  expect(await tree('secret', 'B').node().get()).toBeUndefined()
  await expect(tree('secret', 'B').delete('/key')).rejects.toMatchObject({ code: 'TIDEMARK_TREE_ABSENT' })
  await expect(tree('secret', 'B').extend({ tenant: 'A', config: 'secret' })).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_ABSENT',
  })
  await tree('uses', 'B').extend({ tenant: 'shared', config: 'common' })
  await opened.cache.settled()
  expect(await tree('uses', 'B').node().get()).toEqual({ all: true })
  // The second wall: statements of one tenant's transactions do not see others' rows, whatever they ask for.
  const client = await opened.source.pool.connect()
  try {
    await client.query("begin; set local role tidemark_trees; select set_config('tidemark.tenant', 'B', true)")
    const { rows } = await client.query('select distinct tenant from tidemark_trees.configs order by 1')
    expect(rows).toEqual([{ tenant: 'shared' }])
    await expect(
      client.query("update tidemark_trees.configs set value = '2' where tenant = 'shared'"),
    ).resolves.toMatchObject({ rowCount: 0 })
    await expect(
      client.query("insert into tidemark_trees.configs (tenant, config, path, value) values ('shared', 'x', '', '1')"),
    ).rejects.toMatchObject({ code: '42501' })
  } finally {
    await client.query('rollback')
    client.release()
  }
})

it('hostile paths and names are refused, or are plain data', async () => {
  const config = tree('hostile')
  await config.put('', { value: {} })
  for (const path of [
    '/__proto__/x',
    '/constructor/prototype/x',
    '/..',
    '/%2e%2e',
    "/'; drop table tidemark_trees.configs; --",
  ]) {
    await config.put(path, { value: 'kept' })
    await opened.cache.settled()
    expect(await config.node(path).get()).toBe('kept')
  }
  expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  for (const path of ['a', '/a\0', '/\ud800', '/~2', `/${'x'.repeat(2_000)}`, '/a'.repeat(10_000), 'x'.repeat(2 ** 20)])
    await expect(config.put(path, { value: 1 }), path.slice(0, 20)).rejects.toMatchObject({
      code: 'TIDEMARK_TREE_PATH',
    })
  for (const name of ['', '..', 'a/b', 'a:b', 'é', 'x'.repeat(129), '-a'])
    expect(() => tree(name), name).toThrow(expect.objectContaining({ code: 'TIDEMARK_TREE_NAME' }))
  await expect(config.put('/big', { value: Array.from({ length: 20_001 }, () => 1) })).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_LIMIT',
  })
})

it('watching a node tells of its own changes', async () => {
  const config = tree('live')
  await config.put('', { value: { a: 1, b: 1 } })
  await opened.cache.settled()
  const seen: unknown[] = []
  const controller = new AbortController()
  const watching = (async () => {
    for await (const value of config.node('/a').watch({ signal: controller.signal })) {
      seen.push(value)
      if (value === undefined) return
    }
  })()
  await expect.poll(() => seen, { timeout: 45_000 }).toEqual([1])
  await config.put('/b', { value: 2 })
  await config.put('/a', { value: 2 })
  await expect.poll(() => seen, { timeout: 45_000 }).toEqual([1, 2])
  await config.delete('/a')
  await watching
  expect(seen).toEqual([1, 2, undefined])
})

it('a base may refer to a node of whoever inherits it, where that is covered: nobody follows it in a circle', async () => {
  const base = tree('circled')
  const config = tree('covering')
  await base.put('', { value: { a: { b: { c: 1 } } } })
  await config.put('', { value: { a: { b: null } } })
  await config.extend({ config: 'circled' })
  const { position } = await base.put('/a/b/c', { value: { $ref: 'covering#/a/b/c' } })
  const at = position === undefined ? {} : { minPosition: position }
  expect(await base.node('/a/b').get(at)).toEqual({})
  expect(await config.node('/a/b/c').get(at)).toBe(undefined)
  expect(await config.node().get(at)).toEqual({ a: { b: null } })
})

it('nor where the reference leads further down each time', async () => {
  const base = tree('deepening')
  const config = tree('covered')
  await config.put('', { value: { a: [] } })
  await config.extend({ config: 'deepening' })
  const { position } = await base.put('', { value: { a: { $ref: 'covered#/a/0' } } })
  const at = position === undefined ? {} : { minPosition: position }
  expect(await config.node('/a/0').get(at)).toBe(undefined)
  expect(await base.node('/a').get(at)).toBe(undefined)
  expect(await config.node().get(at)).toEqual({ a: [] })
})

// A thousand nodes are read, one for the other, before it is given up.
it('a reference below itself is refused; where SQL has written one, its readers are told so', async () => {
  await tree('endless').put('', { value: { a: { b: 1 } } })
  await expect(tree('endless').put('/a', { value: { $ref: '#/a/b' } })).rejects.toMatchObject({
    code: 'TIDEMARK_TREE_LIMIT',
  })
  // Far down at each step, so that few steps end it.
  await world.admin.query(
    `insert into tidemark_trees.configs (tenant, config, path, value) values ('T1', 'endless', '/a/$ref', to_jsonb('#/a' || repeat('/b', 50)))`,
  )
  const read = (): Promise<unknown> => tree('endless').node('/a').get()
  await expect.poll(() => read().catch(({ code }) => code), { timeout: 30_000 }).toBe('TIDEMARK_TREE_LIMIT')
  expect(await tree('beside').node().get()).toBe(undefined)
})

it('two may extend each other while one covers the other; an edit that uncovers the circle is refused', async () => {
  const [one, other] = [tree('one'), tree('other')]
  await one.put('', { value: 1 })
  await other.put('', { value: { b: true } })
  await other.extend({ config: 'one' })
  await one.extend({ config: 'other' })
  await expect(one.put('', { value: { a: 1 } })).rejects.toMatchObject({ code: 'TIDEMARK_TREE_CYCLE' })
  await expect(one.delete('')).rejects.toMatchObject({ code: 'TIDEMARK_TREE_CYCLE' })
  const { position } = await one.put('', { value: 2 })
  expect(await one.node().get(position === undefined ? {} : { minPosition: position })).toBe(2)
})

it('text is stored as it is, whatever it means to PostgreSQL or JSON, and so is it in the history', async () => {
  const config = tree('texts')
  const texts = [
    'NULL',
    '',
    ' ',
    '\\',
    '\\\\"',
    '"',
    '{a,"b"}',
    '{}',
    '[]',
    '\u0001\t\n\u007f\u2028',
    "'",
    '😀',
    '\\u0000',
    '\\"'.repeat(300_000),
  ]
  const { version } = await config.put('', { value: texts })
  expect(JSON.parse((await config.own())!)).toEqual(texts)
  await config.put('', { value: texts.map(() => null) })
  expect(await config.own()).toBe(JSON.stringify(texts.map(() => null)))
  await config.rollback(version)
  expect(JSON.parse((await config.own())!)).toEqual(texts)
  expect(await config.node('').get()).toEqual(texts)
})

it('a circle that SQL made is told as one to readers, and an edit ends it', async () => {
  const config = tree('circle')
  await config.put('', { value: { a: { x: 1 }, r: { $ref: '#/a' } } })
  await world.admin.query(
    `update tidemark_trees.configs set value = '"#/r"' where config = 'circle' and path = '/r/$ref'`,
  )
  const reason = async (path: string) =>
    config
      .node(path)
      .get()
      .then(
        () => undefined,
        (error: unknown) => error,
      )
  await until(async () => (await reason('')) !== undefined)
  for (const path of ['', '/r', '/r/x'])
    expect(await reason(path)).toMatchObject({
      code: 'TIDEMARK_TREE_CYCLE',
      message: expect.stringContaining('circle'),
    })
  expect(await config.node('/a').get()).toEqual({ x: 1 })
  const { position } = await config.put('/r', { value: { $ref: '#/a' } })
  expect(await config.node('').get({ minPosition: position! })).toEqual({ a: { x: 1 }, r: { x: 1 } })
})
