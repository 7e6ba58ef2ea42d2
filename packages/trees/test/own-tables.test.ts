import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Trees } from '../src/index.js'
import { schemaOf } from '../src/own-tables.js'
import { until, World } from './opened.js'

// Tenants that have tables of their own.

let world: World

beforeEach(async () => {
  world = await World.create()
})
afterEach(() => world?.drop())

const LONG = `${'Long.tenant-'.repeat(10)}x`

const treeOf = (trees: Trees, tenant: string, path = '') => trees.tree(tenant, 'app').node(path).get()

async function tenantsIn(table: string): Promise<string[]> {
  const { rows } = await world.admin.query<{ tenant: string }>(`select distinct tenant from ${table} order by tenant`)
  return rows.map(({ tenant }) => tenant)
}

async function isKept(trees: Trees, tenant: string, path: string): Promise<void> {
  await until(
    async () => (await trees.tree(tenant, 'app').node(path).ask()).from === 'l1',
    () => trees.tree(tenant, 'app').node(path).explain().text,
  )
}

it('what a tenant has moves there, with its history, and goes on as before, in processes that know of it and in others', async () => {
  const { trees: before } = await world.open()
  for (const tenant of ['T1', 'T2', LONG, 'shared'])
    await before.tree(tenant, 'app').put('', { value: { of: tenant, a: { b: 1 } } }, { by: { actor: 'ann' } })
  await before.tree('T1', 'app').put('/a/b', { value: 2 }, { dependencies: ['/of'] })
  await before.tree('T2', 'heir').extend({ tenant: 'shared', config: 'app' })
  await isKept(before, 'T1', '/a')

  const { trees } = await world.open({ ownTables: ['T1', LONG, 'shared', 'new'] })
  expect(schemaOf(LONG).length).toBe(63)
  expect(await tenantsIn('"tidemark_trees_T1".configs')).toEqual(['T1'])
  expect(await tenantsIn(`"${schemaOf(LONG)}".config_edit_nodes`)).toEqual([LONG])
  expect(await tenantsIn('tidemark_trees.configs_of_others')).toEqual(['T2'])
  expect(await tenantsIn('tidemark_trees.configs')).toEqual([LONG, 'T1', 'T2', 'shared'].sort())

  const history = await trees.tree('T1', 'app').history({ path: '' })
  expect(history.map(({ version, actor }) => [version, actor])).toEqual([
    [2, undefined],
    [1, 'ann'],
  ])
  for (const each of [before, trees]) {
    expect(await treeOf(each, 'T1')).toEqual({ of: 'T1', a: { b: 2 } })
    for (const tenant of ['T1', 'T2', LONG]) await isKept(each, tenant, '/a')
    expect(await each.tree('T2', 'heir').node('/of').get()).toBe('shared')
  }

  // By an edit, by SQL as everybody writes it, and by SQL that goes to the tenant's own table.
  const sees = async (tenant: string, expected: unknown) => {
    for (const each of [before, trees])
      await until(async () => JSON.stringify(await treeOf(each, tenant, '/a')) === JSON.stringify(expected))
    for (const each of [before, trees]) await isKept(each, tenant, '/a')
  }
  await trees.tree('T1', 'app').put('/a/b', { value: 3 })
  await sees('T1', { b: 3 })
  await world.admin.query(`update tidemark_trees.configs set value = '4' where tenant = 'T1' and path = '/a/b'`)
  await sees('T1', { b: 4 })
  await world.admin.query(`update "tidemark_trees_T1".configs set value = '5' where path = '/a/b'`)
  await sees('T1', { b: 5 })
  await world.admin.query(
    `insert into "tidemark_trees_T1".configs (tenant, config, path, value) values ('T1', 'app', '/a/c', '6')`,
  )
  await sees('T1', { b: 5, c: 6 })
  await before.tree('new', 'app').put('', { value: { a: 1 } })
  await sees('new', 1)
  expect(await tenantsIn('tidemark_trees_new.configs')).toEqual(['new'])
  await before.tree('T2', 'app').put('/a/b', { value: 9 })
  await sees('T2', { b: 9 })
  await trees.tree('T1', 'app').rollback(1)
  // What SQL made is in no history.
  expect(await treeOf(trees, 'T1')).toEqual({ of: 'T1', a: { b: 1, c: 6 } })
}, 120_000)

it('is done once: who opens the trees again changes no definition, and a tenant that is named later moves then', async () => {
  const definitions = async () => {
    const { rows } = await world.admin.query(
      `select c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname like 'tidemark_trees%' order by 1`,
    )
    return rows
  }
  await world.open({ ownTables: ['T1'] })
  const first = await definitions()
  const { trees } = await world.open({ ownTables: ['T1', 'T1'] })
  await world.open()
  expect(await definitions()).toEqual(first)
  await trees.tree('T2', 'app').put('', { value: [1] })
  expect(await tenantsIn('tidemark_trees.configs_of_others')).toEqual(['T2'])
  await world.open({ ownTables: ['T2'] })
  expect(await tenantsIn('"tidemark_trees_T2".configs')).toEqual(['T2'])
  expect(await treeOf(trees, 'T2')).toEqual([1])
}, 120_000)

it('no tenant sees the rows of another, whose tables they are in', async () => {
  const { trees } = await world.open({ ownTables: ['T1', 'T2'] })
  for (const tenant of ['T1', 'T2', 'T3']) await trees.tree(tenant, 'app').put('', { value: tenant })
  await world.admin.query('begin')
  await world.admin.query(`set local role tidemark_trees; set local tidemark.tenant = 'T1'`)
  expect(await tenantsIn('tidemark_trees.configs')).toEqual(['T1'])
  await expect(world.admin.query('select from "tidemark_trees_T1".configs')).rejects.toThrow(/permission denied/)
  await world.admin.query('rollback')
})

it('a name that is none of a tenant is refused', async () => {
  await expect(world.open({ ownTables: ['a/b'] })).rejects.toMatchObject({ code: 'TIDEMARK_TREE_NAME' })
})
