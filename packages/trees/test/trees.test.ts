import type { Sql } from '@tidemark/postgres'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openTrees } from '../src/index.js'
import { readRows } from '../src/stored.js'
import type { Process } from './opened.js'
import { until, World } from './opened.js'

let world: World
let process: Process

beforeAll(async () => {
  world = await World.create()
  process = await world.open()
})
afterAll(() => world?.drop())

it('keeps a tree node by node: order, digits, odd names', async () => {
  const { trees, cache } = process
  const tree = trees.tree('T1', 'odd')
  const json =
    '{"b":1,"a":[1,{"z":null,"10":true,"2":"x"},[]],"":{"/":"~","~1":"é"},"n":12345678901234567890.123,"i":9007199254740993,"__proto__":{"x":1},"e":{},"s":"a\\"b\\n"}'
  const { version, position, changes } = await tree.put('', { json })
  expect(version).toBe(1)
  expect(changes).toContainEqual({ path: '/a/1/10', change: 'added' })
  expect((await tree.node('').ask({ minPosition: position! })).value!.json).toBe(json)
  expect(await tree.node('/a/1/10').get()).toBe(true)
  expect(await tree.node('//~1').get()).toBe('~')
  expect(await tree.node('/i').get()).toBe(9007199254740993n)
  expect(await tree.node('/absent').get()).toBeUndefined()
  await cache.settled()
  await until(async () => (await tree.node('').ask()).from === 'l1')
})

it('an edit invalidates exactly what it changed, what contains it, and nothing beside', async () => {
  const { trees, cache } = process
  const tree = trees.tree('T1', 'exact')
  await tree.put('', { value: { a: { b: { c: 1, d: 2 }, e: 3 }, f: { g: 4 }, list: [1, 2, 3] } })
  const paths = [
    '',
    '/a',
    '/a/b',
    '/a/b/c',
    '/a/b/d',
    '/a/e',
    '/f',
    '/f/g',
    '/list',
    '/list/0',
    '/list/1',
    '/list/3',
    '/x',
    '/a/b/c/d',
  ]
  const fill = async () => {
    await cache.settled()
    for (const path of paths)
      await until(
        async () => (await tree.node(path).ask()).from === 'l1',
        () => `${path} ${tree.node(path).explain().text}`,
      )
  }
  const gone = async (edit: Promise<unknown>) => {
    await edit
    await cache.settled()
    return paths.filter((path) => !tree.node(path).explain().stored)
  }
  await fill()
  expect(await gone(tree.put('/a/b/c', { value: 5 }))).toEqual(['', '/a', '/a/b', '/a/b/c'])
  await fill()
  expect(await gone(tree.put('/a/b', { value: { d: 2, c: 5, k: 1 } }))).toEqual(['', '/a', '/a/b'])
  await fill()
  expect(await gone(tree.put('/x', { value: 1 }))).toEqual(['', '/x'])
  await fill()
  expect(await gone(tree.patch({ value: [{ op: 'add', path: '/list/1', value: 9 }] }))).toEqual([
    '',
    '/list',
    '/list/1',
    '/list/3',
  ])
  await fill()
  expect(await gone(tree.delete('/a/b'))).toEqual(['', '/a', '/a/b', '/a/b/c', '/a/b/d'])
  await fill()
  expect(await gone(tree.put('/f/g', { value: 4 }))).toEqual([])
  expect(
    await gone(
      world.admin.query(
        `update tidemark_trees.configs set value = '7' where tenant = 'T1' and config = 'exact' and path = '/a/e'`,
      ),
    ),
  ).toEqual(['', '/a', '/a/e'])
  expect(await tree.node('').get()).toEqual({ a: { e: 7 }, f: { g: 4 }, list: [1, 9, 2, 3], x: 1 })
})

it('declared dependencies, inheritance and references are followed', async () => {
  const { trees, cache } = process
  await trees
    .tree('shared', 'base')
    .put('', { value: { theme: { color: 'red', size: 1 }, flags: { a: true, b: false }, list: [1] } })
  await world.admin.query(
    `insert into tidemark_trees.config_heads (tenant, config, base_tenant, base_config) values ('T2', 'app', 'shared', 'base'), ('T3', 'app', 'shared', 'base')`,
  )
  await cache.settled()
  const two = trees.tree('T2', 'app')
  const three = trees.tree('T3', 'app')
  await two.put('/theme/color', { value: 'blue' })
  await three.put('/own', { value: { $ref: '#/theme' } })
  await cache.settled()
  expect(await two.node('').get()).toEqual({
    theme: { color: 'blue', size: 1 },
    flags: { a: true, b: false },
    list: [1],
  })
  expect(await two.node('/theme/size').get()).toBe(1)
  const kept = async (tree: typeof two, path: string) => {
    await until(
      async () => (await tree.node(path).ask()).from === 'l1',
      () => tree.node(path).explain().text,
    )
  }
  for (const tree of [two, three])
    for (const path of ['', '/theme', '/theme/color', '/flags', '/own']) await kept(tree, path)
  await trees.tree('shared', 'base').put('/theme/color', { value: 'green' })
  await cache.settled()
  const stored = (tree: typeof two, path: string) => tree.node(path).explain().stored
  expect(['', '/theme', '/theme/color', '/flags', '/own'].filter((path) => !stored(two, path))).toEqual([])
  expect(['', '/theme', '/theme/color', '/flags', '/own'].filter((path) => !stored(three, path))).toEqual([
    '',
    '/theme',
    '/theme/color',
    '/own',
  ])
  expect(await three.node('').get()).toEqual({
    theme: { color: 'green', size: 1 },
    flags: { a: true, b: false },
    list: [1],
    own: { color: 'green', size: 1 },
  })
})

it('the first edit of what SQL wrote, and another process that opens the trees, leave other views where they are', async () => {
  const { trees, cache } = process
  const tree = trees.tree('T1', 'by-sql')
  await world.admin.query(
    `insert into tidemark_trees.configs (tenant, config, path, value)
     values ('T1', 'by-sql', '', '{}'), ('T1', 'by-sql', '/a', '{}'), ('T1', 'by-sql', '/a/x', '1'), ('T1', 'by-sql', '/b', '2')`,
  )
  await cache.settled()
  const paths = ['', '/a', '/a/x', '/b', '/absent']
  for (const path of paths)
    await until(
      async () => (await tree.node(path).ask()).from === 'l1',
      () => `${path} ${tree.node(path).explain().text}`,
    )
  await openTrees(process)
  await tree.put('/b', { value: 3 })
  // Definitions may be followed late: whatever was changed before this table came has been seen with it.
  const seen = new Set<string>()
  const stop = cache.on('applied', ({ changes }) => {
    for (const change of Object.keys(changes)) seen.add(change)
  })
  await world.admin.query('create table public.later ()')
  await until(
    () => seen.has('public.later ddl'),
    () => [...seen].join(', '),
  )
  stop()
  await cache.settled()
  expect(paths.filter((path) => !tree.node(path).explain().stored)).toEqual(['', '/b'])
})

it('a base that refers to a value which the config has itself is no circle, and adds nothing to it', async () => {
  const { trees, cache } = process
  const [base, app] = [trees.tree('T4', 'base'), trees.tree('T4', 'app')]
  await base.put('', { value: { e: 1 } })
  await app.put('', { value: { e: { b: 'own' }, f: [1] } })
  await app.extend({ config: 'base' })
  const { position } = await base.put('', { value: { $ref: 'app#/e/b' } })
  await cache.settled()
  const read = async (tree: typeof app, path: string) =>
    (await tree.node(path).ask({ minPosition: position! })).value?.json
  expect(await read(app, '')).toBe('{"e":{"b":"own"},"f":[1]}')
  expect(await read(app, '/e')).toBe('{"b":"own"}')
  expect(await read(app, '/e/c')).toBe(undefined)
  expect(await read(base, '')).toBe('"own"')
  // One that leads to a node above what is inherited there does go round.
  await expect(base.put('', { value: { $ref: 'app#' } })).rejects.toMatchObject({ code: 'TIDEMARK_TREE_CYCLE' })
})

it('a search for text ends within its time', async () => {
  const { trees } = await world.open({ limits: { searchMaxMs: 50 } })
  await trees.tree('T1', 'searched').put('', { value: { red: 1 } })
  const holding = await process.source.pool.connect()
  try {
    // Whoever reads the table waits.
    await holding.query('begin; lock table tidemark_trees.configs in access exclusive mode')
    const late = { code: 'TIDEMARK_TREE_LIMIT', message: expect.stringContaining('searchMaxMs') }
    await expect(trees.nodes('T1', { contains: 'red' })).rejects.toMatchObject(late)
    await expect(trees.tree('T1', 'searched').nodes({ contains: 'red' })).rejects.toMatchObject(late)
    await expect(trees.configs('T1', { contains: 'sea' })).rejects.toMatchObject(late)
  } finally {
    await holding.query('rollback')
    holding.release()
  }
  expect(await trees.nodes('T1', { contains: 'red' })).toMatchObject([{ config: 'searched', path: '/red' }])
})

it('reads and edits of a node look at its own rows, also while the server has no statistics of the table', async () => {
  const { admin } = world
  const setting = 'alter table tidemark_trees.configs set (autovacuum_enabled ='
  await admin.query(`${setting} false)`)
  await admin.query(`
    insert into tidemark_trees.configs (tenant, config, path, value)
    select 'T1', 'many', case n when 0 then '' else '/k' || n end, case n when 0 then '{}'::jsonb else to_jsonb(n) end from generate_series(0, 2000) n`)
  const removed: number[] = []
  const sql = {
    async texts(text: string, values: readonly unknown[]) {
      const { rows } = await admin.query(`explain (analyze, format json) ${text}`, [...values])
      removed.push(...filtered(rows[0]['QUERY PLAN'][0].Plan))
      return { rows: [] }
    },
  } as unknown as Sql
  await readRows(sql, { tenant: 'T1', config: 'many', path: '/k7' })
  expect(removed.length).toBeGreaterThan(5)
  expect(Math.max(...removed)).toBe(0)
  await admin.query(`${setting} true)`)
})

it('tables of the version before are brought to this one', async () => {
  const { cache, source } = process
  const { admin } = world
  await admin.query(`
    delete from tidemark_trees.config_schema where version > 1;
    drop index tidemark_trees.configs_parent;
    create index configs_parent on tidemark_trees.configs (tenant, config, parent)`)
  const trees = await openTrees({ cache, source })
  const { rows } = await admin.query("select pg_get_indexdef('tidemark_trees.configs_parent'::regclass) as index")
  expect(rows[0].index).toMatch(/\(parent, config, tenant\)$/)
  await trees.tree('T1', 'after').put('', { value: { a: 1 } })
  expect(await trees.tree('T1', 'after').node('/a').get()).toBe(1)
})

/** Of each part of a plan the rows that it read in vain. */
function filtered(plan: { Plans?: never[]; 'Rows Removed by Filter'?: number }): number[] {
  return [plan['Rows Removed by Filter'] ?? 0, ...(plan.Plans ?? []).flatMap(filtered)]
}
