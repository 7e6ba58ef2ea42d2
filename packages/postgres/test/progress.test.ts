import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Recorder, until, type World, world } from './recorder.js'

let db: World
let log: Recorder

beforeAll(async () => {
  db = await world({ wal_writer_delay: '10ms' })
  await db.sql(
    'create table posts (id int primary key, v text)',
    'create table keyless (v text)',
    'alter table keyless alter v set storage external',
    'create database other',
  )
  log = await db.log()
})

afterAll(async () => {
  await db?.end()
})

async function confirmed(): Promise<number> {
  const [row] = await db.sql(
    `select (confirmed_flush_lsn - '0/0')::text as lsn from pg_replication_slots where slot_name like 'tidemark%'`,
  )
  return Number(row!.lsn)
}

test('the slot of a database at rest advances while another database writes', async () => {
  const other = new URL(db.url)
  other.pathname = '/other'
  const before = await confirmed()
  const client = await db.connect()
  await client.query('select 1')
  const { Client } = await import('pg')
  const writer = new Client({ connectionString: other.href })
  await writer.connect()
  await writer.query('create table t as select generate_series(1, 20000) as i')
  await writer.end()
  const { flushed } = await log.log.probe()
  await log.caughtUp()
  await until(async () => (await confirmed()) >= flushed)
  expect(flushed).toBeGreaterThan(before + 500_000)
  expect(log.commits).toEqual([])
})

test('only what was applied is acknowledged', async () => {
  await db.sql("insert into posts values (1, 'a')")
  await log.caughtUp()
  const applied = log.commits.at(-1)!.lsn
  await until(async () => (await confirmed()) >= applied)
  expect(await confirmed()).toBeLessThanOrEqual(log.tidemark)
})

test('a flushed end in the middle of a record is passed all the same', async () => {
  // An open transaction writes across the ends of pages, which are flushed as they are full: half of such ends lie in a record.
  // Nothing else happens, so nothing flushes the rest of it: the server can't decode it, and the log would stand still.
  const writer = await db.connect()
  await writer.query('begin')
  for (let i = 0; i < 12; i++) {
    const { flushed } = await log.log.probe()
    await writer.query("insert into keyless select repeat('a', 3000 + $1::int) from generate_series(1, 7)", [i])
    await until(async () => (await log.log.probe()).flushed > flushed)
    await log.caughtUp(3_000)
  }
  await writer.query('rollback')
})

test('a transaction of 100,000 rows is delivered as its tables, and what comes after it as rows', async () => {
  await log.since()
  await db.sql('create table big (id int primary key, v text)')
  await until(() => log.log.followed('public.big') !== undefined && log.changes.some(({ kind }) => kind === 'table'))
  await log.since()
  const memoryBefore = process.memoryUsage().rss
  await db.sql(
    'begin',
    "insert into posts values (500, 'in the same transaction')",
    "insert into big select i, repeat('x', 200) from generate_series(1, 100000) as i",
    'commit',
  )
  await db.sql("insert into posts values (501, 'after')")
  await log.caughtUp()
  const [large, small] = log.commits.splice(0)
  expect(large!.changes).toEqual([
    { kind: 'table', table: 'public.posts', reason: 'large' },
    { kind: 'table', table: 'public.big', reason: 'large' },
  ])
  expect(small!.changes).toMatchObject([{ kind: 'row', op: 'insert', new: { id: '501' } }])
  // 100,000 rows as changes would be well above this.
  expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(60 * 2 ** 20)
})

test('a transaction of few rows but many bytes is delivered as its tables too', async () => {
  const small = await db.log({ publication: 'bytes', bytesMax: 100_000 })
  await db.sql('insert into posts select i, repeat(md5(i::text), 100) from generate_series(1000, 1100) as i')
  await small.caughtUp()
  expect(small.changes).toEqual([{ kind: 'table', table: 'public.posts', reason: 'large' }])
})
