import { afterEach, beforeEach, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { type Recorder, until, type World, world } from './recorder.js'

let db: World
let log: Recorder

beforeEach(async () => {
  db = await world()
  await db.sql('create table posts (id int primary key)')
  log = await db.log({ cataloguePollMs: 200 })
})

afterEach(async () => {
  await db?.end()
})

function isFollowed(table: string): boolean {
  return log.log.followed(table) !== undefined
}

test('a table that is created later is published, followed, and its rows are delivered', async () => {
  await db.sql('create table late (id int primary key)')
  log.log.want('public.late')
  await until(() => isFollowed('public.late'))
  await log.since()
  await db.sql('insert into late values (1)')
  await log.caughtUp()
  expect(log.rows).toMatchObject([{ table: 'public.late', new: { id: '1' } }])
})

test('a table counts as followed only when no transaction that wrote to it before is open', async () => {
  // Another program creates the table and writes to it; of its transaction only the later rows would be delivered.
  const creator = await db.connect()
  await creator.query('create table late (id int primary key)')
  const writer = await db.connect()
  await writer.query('begin; insert into late values (1)')
  await until(async () => (await db.sql(`select from pg_publication_tables where tablename = 'late'`)).length === 1)
  await until(() => log.log.whyNotFollowed('public.late').includes('transactions from before are open'))
  await writer.query('insert into late values (2)')
  expect(isFollowed('public.late')).toBe(false)
  await writer.query('commit')
  await until(() => isFollowed('public.late'))
  await log.since()
  await db.sql('insert into late values (3)')
  expect((await log.rowsSince()).map((change) => change.new?.id)).toEqual(['3'])
})

// On older ones such a table waits for the end of every transaction that is open.
if (!isBefore(14)) {
  test('a long transaction that wrote elsewhere does not hold a late table up, and its later rows are delivered', async () => {
    const writer = await db.connect()
    await writer.query('begin; insert into posts values (1)')
    await db.sql('create table late (id int primary key)')
    await until(() => isFollowed('public.late'))
    await writer.query('insert into late values (7); commit')
    await log.caughtUp()
    expect(log.rows.map((row) => [row.table, row.new?.id])).toEqual([
      ['public.posts', '1'],
      ['public.late', '7'],
    ])
  })
}

test('a table that loses its identity leaves the publication before its own updates fail for long', async () => {
  await db.sql('insert into posts values (1)')
  await db.sql('alter table posts drop constraint posts_pkey')
  await until(() => !isFollowed('public.posts'))
  await db.sql('update posts set id = 2')
  expect(log.log.whyNotFollowed('public.posts')).toContain('no usable replica identity')
  await until(() => log.changes.some((change) => change.kind === 'table' && change.table === 'public.posts'))
})

test('a table that left the publication for a moment is not believed', async () => {
  await db.sql('alter publication tidemark drop table posts', 'insert into posts values (5)')
  await until(async () => {
    await log.caughtUp()
    return log.changes.some((change) => change.kind === 'table' && change.table === 'public.posts')
  })
  await until(() => isFollowed('public.posts'))
  await log.since()
  await db.sql('insert into posts values (6)')
  expect((await log.rowsSince()).map((change) => change.new?.id)).toEqual(['6'])
})

test('a publication that is dropped is a loss, and is made anew', async () => {
  await db.sql('drop publication tidemark')
  await until(() => log.losses.length > 0)
  expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_LOG_GAP' })
  await log.hasStarted(2)
  await db.sql('insert into posts values (9)')
  await log.caughtUp()
  expect(log.rows).toMatchObject([{ new: { id: '9' } }])
})

test('two processes that start at once share one publication', async () => {
  const many = Array.from({ length: 30 }, (_, i) => `create table many${i} (id int primary key)`)
  await db.sql(...many)
  const [a, b, c] = [
    db.open({ publication: 'shared' }),
    db.open({ publication: 'shared' }),
    db.open({ publication: 'shared' }),
  ]
  for (const each of [a, b, c]) await each.hasStarted(1)
  for (const each of [a, b, c]) await until(() => each.log.followed('public.many29') !== undefined)
  expect(
    await db.sql(
      `select count(*)::int as n from pg_publication_rel r join pg_publication p on p.oid = prpubid where pubname = 'shared'`,
    ),
    // With the one for messages, where the log carries none.
  ).toEqual([{ n: isBefore(14) ? 32 : 31 }])
})
