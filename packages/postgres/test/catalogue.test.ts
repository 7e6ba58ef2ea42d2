import { afterAll, beforeAll, expect, test } from 'vitest'
import { plain, type Recorder, until, type World, world } from './recorder.js'

let db: World
let log: Recorder

beforeAll(async () => {
  db = await world()
  await db.sql(
    'create table posts (id int primary key, v int)',
    'create table tree (id int, at int, v int, primary key (id, at)) partition by range (at)',
    'create table leaf1 partition of tree for values from (0) to (100)',
    'create table leaf2 partition of tree for values from (100) to (200) partition by range (at)',
    'create table leaf21 partition of leaf2 for values from (100) to (150)',
    'create table parent (id int primary key, v int)',
    'create table child (primary key (id)) inherits (parent)',
    'create table orphan (like parent including all)',
    'create table bare (id int primary key, v int) partition by range (id)',
    'create table bare1 partition of bare for values from (0) to (100)',
    'alter table bare1 replica identity nothing',
    'create table bare2 partition of bare for values from (100) to (200)',
  )
  log = await db.log()
})

afterAll(async () => {
  await db?.end()
})

test("a partition's rows are delivered under its own name and its roots'", async () => {
  await db.sql('insert into tree values (1, 10, 1), (2, 120, 2)')
  const rows = (await log.rowsSince()).map((change) => [change.table, change.new?.id])
  expect(rows).toEqual([
    ['public.leaf1', '1'],
    ['public.tree', '1'],
    ['public.leaf21', '2'],
    ['public.leaf2', '2'],
    ['public.tree', '2'],
  ])
  expect(log.log.followed('public.tree')).toEqual({ table: 'public.tree', identity: 'default', columns: ['id', 'at'] })
})

test('a row that moves between partitions is a delete and an insert', async () => {
  await db.sql('update tree set at = 130 where id = 1')
  const rows = (await log.rowsSince()).map((change) => `${change.op} ${change.table}`)
  expect(rows).toEqual([
    'delete public.leaf1',
    'delete public.tree',
    'insert public.leaf21',
    'insert public.leaf2',
    'insert public.tree',
  ])
})

test('a truncate of one partition, or of the root, names the root', async () => {
  await db.sql('truncate leaf1')
  expect(plain(await log.since())).toContainEqual({ kind: 'table', table: 'public.tree', reason: 'truncate' })
  await db.sql('truncate tree')
  expect(plain(await log.since())).toContainEqual({ kind: 'table', table: 'public.leaf21', reason: 'truncate' })
})

test('a new partition needs no look at the catalogue: until it is known its changes count for everything', async () => {
  const slow = await db.log({ publication: 'slow', cataloguePollMs: 60_000 })
  await db.sql(
    'create table leaf22 partition of leaf2 for values from (150) to (200)',
    'insert into tree values (9, 160, 9)',
  )
  await slow.caughtUp()
  expect(slow.changes).toContainEqual({ kind: 'everything', reason: expect.any(String) })
  // The change itself made it look.
  await until(async () => {
    await db.sql('update tree set v = v + 1 where id = 9')
    return (await slow.since()).some((change) => change.kind === 'row' && change.table === 'public.tree')
  })
  await log.since()
})

test('children by INHERITS are delivered under their own name and their parents', async () => {
  await db.sql('insert into child values (1, 1)')
  await log.caughtUp()
  expect(log.rows.map(({ table }) => table)).toEqual(['public.child', 'public.parent'])
  log.commits.length = 0
  expect(log.log.followed('public.parent')).toMatchObject({ columns: ['id'] })
})

test('a partitioned table is published as a whole only if no partition could break', async () => {
  const published = await db.sql(
    `select relname::text from pg_publication_rel r join pg_publication p on p.oid = prpubid join pg_class c on c.oid = prrelid
     where pubname = 'tidemark' and relname like 'bare%'`,
  )
  expect(published).toEqual([{ relname: 'bare2' }])
  expect(log.log.followed('public.bare')).toBeUndefined()
  expect(log.log.followed('public.bare2')).toBeDefined()
  await db.sql('insert into bare values (1, 1)', 'update bare set v = 2 where id = 1', 'delete from bare where id = 1')
  await log.since()
})

test('rows that come after a change of their table are read by its new definition, and mark it', async () => {
  const slow = await db.log({ publication: 'definition', cataloguePollMs: 60_000 })
  await db.sql('insert into posts values (1, 1)')
  await slow.since()
  await db.sql('alter table posts add added text', "insert into posts values (2, 2, 'new')")
  const changes = await slow.since()
  expect(changes).toContainEqual({ kind: 'table', table: 'public.posts', reason: 'ddl' })
  expect(changes).toContainEqual(
    expect.objectContaining({ kind: 'row', new: expect.objectContaining({ added: 'new' }) }),
  )
})

test('a rename that the catalogue poll has not seen counts for everything', async () => {
  const slow = await db.log({ publication: 'renames', cataloguePollMs: 60_000 })
  await db.sql('alter table posts rename to articles', 'insert into articles values (3, 3)')
  await slow.caughtUp()
  expect(slow.changes).toContainEqual({ kind: 'everything', reason: expect.any(String) })
})
