import type { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Recorder, until, type World, world } from './recorder.js'

/** A server that streams every transaction of more than 64 kB before it is committed. */
let db: World
let log: Recorder

beforeAll(async () => {
  db = await world({ logical_decoding_work_mem: '64kB' })
  await db.sql(
    'create table posts (id int primary key, title text)',
    'create table big (id int primary key, v text)',
    'create table other (id int primary key, v text)',
  )
  log = await db.log({ rowsMax: 3_000 })
})
beforeEach(async () => {
  await db.sql('truncate posts, big, other')
  await log.since()
})
afterAll(async () => {
  await db?.end()
})

/** What tables changed: that a look at the catalogue saw the TRUNCATE is told too, at any moment. */
const changes = () => log.changes.filter(({ kind }) => kind !== 'target')

async function begun(): Promise<Client> {
  const client = await db.connect()
  await client.query('begin')
  return client
}

const fill = (client: Client, table: string, from: number, count: number) =>
  client.query(
    `insert into ${table} select i, repeat('x', 200) from generate_series(${from}, ${from + count - 1}) as i`,
  )

test('what others commit meanwhile is delivered before a large transaction that began first', async () => {
  const writer = await begun()
  await fill(writer, 'big', 1, 2_000)
  await db.sql("insert into posts values (1, 'meanwhile')")
  await log.caughtUp()
  expect(changes()).toMatchObject([{ kind: 'row', table: 'public.posts' }])
  await fill(writer, 'big', 2_001, 500)
  await writer.query('commit')
  await log.caughtUp()
  const rows = log.rows.filter(({ table }) => table === 'public.big')
  expect(rows.map(({ new: image }) => Number(image!.id))).toEqual(Array.from({ length: 2_500 }, (_, i) => i + 1))
  expect(log.commits.filter((commit) => commit.changes.some(({ kind }) => kind === 'row'))).toHaveLength(2)
})

test('a large transaction that is rolled back, or whose server process is ended, leaves nothing', async () => {
  const rolledBack = await begun()
  await fill(rolledBack, 'big', 1, 2_000)
  const ended = await begun()
  await fill(ended, 'other', 1, 2_000)
  await db.sql("insert into posts values (1, 'meanwhile')")
  await log.caughtUp()
  await rolledBack.query('rollback')
  const { rows } = await ended.query('select pg_backend_pid() as pid')
  await db.sql(`select pg_terminate_backend(${rows[0].pid})`)
  await db.sql("insert into posts values (2, 'after')")
  await log.caughtUp()
  expect(changes()).toMatchObject([{ table: 'public.posts' }, { table: 'public.posts' }])
})

test('savepoints that are rolled back leave nothing, those that are released what they changed', async () => {
  const writer = await begun()
  await fill(writer, 'big', 1, 600)
  await writer.query('savepoint one')
  await fill(writer, 'other', 1, 600)
  await writer.query('savepoint inner_one')
  await fill(writer, 'other', 1_001, 600)
  await writer.query('rollback to savepoint one')
  await writer.query('savepoint two')
  await fill(writer, 'big', 5_001, 600)
  await writer.query('release savepoint two')
  await writer.query('commit')
  await log.caughtUp()
  expect(new Set(log.rows.map(({ table }) => table))).toEqual(new Set(['public.big']))
  expect(log.rows).toHaveLength(1_200)
})

test('of one that is too large to be kept by rows only the tables remain that it really changed', async () => {
  const writer = await begun()
  await writer.query('savepoint gone')
  await fill(writer, 'other', 1, 5_000)
  await writer.query('rollback to savepoint gone')
  await fill(writer, 'big', 1, 5_000)
  await writer.query('commit')
  await log.caughtUp()
  expect(changes()).toEqual([{ kind: 'table', table: 'public.big', reason: 'large' }])
})

test('a large transaction that changes a table between its rows is read by each definition', async () => {
  const writer = await begun()
  await fill(writer, 'big', 1, 1_000)
  await writer.query('alter table big add column w int default 7')
  await fill(writer, 'big (id, v)', 1_001, 1_000)
  await writer.query('commit')
  await db.sql('insert into big values (9999, $$x$$, 1)')
  await log.caughtUp()
  expect(log.rows.find(({ new: image }) => image!.id === '1')!.new).not.toHaveProperty('w')
  expect(log.rows.find(({ new: image }) => image!.id === '2000')!.new).toMatchObject({ w: '7' })
  expect(log.rows.find(({ new: image }) => image!.id === '9999')!.new).toMatchObject({ w: '1' })
  expect(log.changes).toContainEqual({ kind: 'table', table: 'public.big', reason: 'ddl' })
  await db.sql('alter table big drop column w')
})

test('thirty thousand savepoints and a hundred thousand rows take little memory, and hold nobody up', {
  timeout: 180_000,
}, async () => {
  const before = process.memoryUsage().rss
  const writer = await begun()
  const done = writer.query(`do $$ begin
    for i in 1..30000 loop
      begin
        insert into big values (i, repeat('x', 20));
        if i % 2 = 0 then raise exception 'undone'; end if;
      exception when raise_exception then null;
      end;
    end loop;
    insert into other select i, repeat('x', 20) from generate_series(1, 100000) i;
  end $$`)
  let isDone = false
  const ended = done
    .then(() => writer.query('commit'))
    .then(() => {
      isDone = true
    })
  let others = 0
  while (!isDone) {
    await db.sql(`insert into posts values (${++others}, 'meanwhile')`)
    await until(() => log.rows.length >= others)
  }
  await ended
  await log.caughtUp(60_000)
  expect(others).toBeGreaterThan(0)
  expect(changes().filter((change) => change.kind === 'table' && change.reason === 'large')).toEqual([
    { kind: 'table', table: 'public.big', reason: 'large' },
    { kind: 'table', table: 'public.other', reason: 'large' },
  ])
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20)
})
