import { afterAll, beforeAll, expect, test } from 'vitest'
import { plain, type Recorder, type World, world } from './recorder.js'

let db: World
let log: Recorder

beforeAll(async () => {
  db = await world()
  await db.sql(
    'create table posts (id int primary key, author int, body text)',
    'alter table posts alter body set storage external',
    'create table fully (id int primary key, a int, body text)',
    'alter table fully replica identity full, alter body set storage external',
    'create table keyed (id int not null, code text not null, a int)',
    'create unique index keyed_code on keyed (code)',
    'alter table keyed replica identity using index keyed_code',
    'create table nothing (id int primary key, a int)',
    'alter table nothing replica identity nothing',
    'create table keyless (a int)',
    'create unlogged table unlogged (id int primary key)',
  )
  log = await db.log()
})

afterAll(async () => {
  await db?.end()
})

test('an insert has the new row, as text, with null for null', async () => {
  await db.sql("insert into posts values (1, null, 'a''b')")
  expect(plain(await log.since())).toEqual([
    { kind: 'row', op: 'insert', table: 'public.posts', old: null, new: { id: '1', author: null, body: "a'b" } },
  ])
})

test('an update under identity DEFAULT has the old identity, and says nothing of the other old values', async () => {
  await db.sql('update posts set author = 7 where id = 1')
  expect(plain(await log.since())).toEqual([
    { kind: 'row', op: 'update', table: 'public.posts', old: { id: '1' }, new: { id: '1', author: '7', body: "a'b" } },
  ])
})

const LONG = 'x'.repeat(10_000)

test('an unchanged TOAST value is absent from the new row, not null', async () => {
  await db.sql(`insert into posts values (2, 1, $$${LONG}$$)`)
  await log.since()
  await db.sql('update posts set author = 8 where id = 2')
  await log.caughtUp()
  const [change] = log.rows
  log.commits.length = 0
  expect(change).toMatchObject({ op: 'update', new: { id: '2', author: '8' } })
  expect(Object.keys(change!.new!)).toEqual(['id', 'author'])
})

test('under identity FULL an unchanged TOAST value is filled from the old row', async () => {
  await db.sql(`insert into fully values (1, 1, $$${LONG}$$)`)
  await log.since()
  await db.sql('update fully set a = 2 where id = 1', 'delete from fully')
  expect(plain(await log.since())).toEqual([
    {
      kind: 'row',
      op: 'update',
      table: 'public.fully',
      old: { id: '1', a: '1', body: LONG },
      new: { id: '1', a: '2', body: LONG },
    },
    { kind: 'row', op: 'delete', table: 'public.fully', old: { id: '1', a: '2', body: LONG }, new: null },
  ])
})

test('a change of the key has the old key, and no null for the columns that were not sent', async () => {
  await db.sql("insert into posts values (3, 1, 'x')")
  await log.since()
  await db.sql('update posts set id = 30 where id = 3', 'delete from posts where id = 30')
  expect(plain(await log.since())).toEqual([
    {
      kind: 'row',
      op: 'update',
      table: 'public.posts',
      old: { id: '3' },
      new: { id: '30', author: '1', body: 'x' },
    },
    { kind: 'row', op: 'delete', table: 'public.posts', old: { id: '30' }, new: null },
  ])
})

test('under identity USING INDEX the index columns are the identity', async () => {
  await db.sql(
    "insert into keyed values (1, 'a', 1)",
    'update keyed set a = 2',
    "update keyed set code = 'b'",
    'delete from keyed',
  )
  expect(plain(await log.since())).toEqual([
    { kind: 'row', op: 'insert', table: 'public.keyed', old: null, new: { id: '1', code: 'a', a: '1' } },
    { kind: 'row', op: 'update', table: 'public.keyed', old: { code: 'a' }, new: { id: '1', code: 'a', a: '2' } },
    { kind: 'row', op: 'update', table: 'public.keyed', old: { code: 'a' }, new: { id: '1', code: 'b', a: '2' } },
    { kind: 'row', op: 'delete', table: 'public.keyed', old: { code: 'b' }, new: null },
  ])
})

test('what has no usable identity is not published, so that its own updates go on working', async () => {
  await db.sql('insert into nothing values (1, 1)', 'update nothing set a = 2', 'delete from nothing')
  await db.sql('insert into keyless values (1)', 'update keyless set a = 2', 'delete from keyless')
  await db.sql('insert into unlogged values (1)', 'update unlogged set id = 2')
  expect(await log.since()).toEqual([])
  for (const table of ['nothing', 'keyless', 'unlogged']) expect(log.log.followed(`public.${table}`)).toBeUndefined()
  expect(log.log.whyNotFollowed('public.keyless')).toContain('no usable replica identity')
  expect(log.log.whyNotFollowed('public.unlogged')).toContain('unlogged')
})

test('the tables that are followed are known with their identity', () => {
  expect(log.log.followed('public.posts')).toEqual({ table: 'public.posts', identity: 'default', columns: ['id'] })
  expect(log.log.followed('public.fully')).toEqual({
    table: 'public.fully',
    identity: 'full',
    columns: ['id', 'a', 'body'],
  })
  expect(log.log.followed('public.keyed')).toEqual({ table: 'public.keyed', identity: 'index', columns: ['code'] })
})

test('a rolled back transaction, or part of one, is not delivered', async () => {
  await db.sql('begin', 'insert into posts values (10)', 'rollback')
  await db.sql(
    'begin',
    'insert into posts values (11)',
    'savepoint a',
    'insert into posts values (12)',
    'rollback to a',
    'savepoint b',
    'insert into posts values (13)',
    'release b',
    'commit',
  )
  const changes = await log.since()
  expect(changes.map((change) => change.kind === 'row' && change.new?.id)).toEqual(['11', '13'])
})

test('a truncate names its table, and those that it cascades to', async () => {
  await db.sql('create table child (id int primary key references posts)')
  await db.sql('truncate posts cascade')
  const tables = (await log.since()).filter((change) => change.kind === 'table')
  expect(plain(tables)).toContainEqual({ kind: 'table', table: 'public.posts', reason: 'truncate' })
  await db.sql('drop table child')
})

test('a transaction is one commit, with its 64-bit id and the end of its commit as position', async () => {
  await log.since()
  const writer = await db.connect()
  await writer.query('begin; insert into posts values (20); insert into fully values (20)')
  const { rows } = await writer.query('select pg_current_xact_id()::text as xid')
  const before = Date.now()
  await writer.query('commit')
  await log.caughtUp()
  // A heartbeat may have come behind it.
  const commit = log.commits.find(({ xid }) => xid === Number(rows[0].xid))!
  log.commits.length = 0
  expect(commit.changes.length).toBe(2)
  expect(Math.abs(commit.committedAt - before)).toBeLessThan(5_000)
})

test('values have the same text whatever the role and the database have set', async () => {
  await db.sql(
    `do $$ begin execute format('alter database %I set datestyle = ''German''', current_database());
       execute format('alter database %I set timezone = ''Asia/Tokyo''', current_database());
       execute format('alter database %I set bytea_output = ''escape''', current_database());
       execute format('alter database %I set extra_float_digits = 0', current_database()); end $$`,
    'create table texts (id int primary key, t timestamptz, b bytea, f float8, j interval)',
  )
  const other = await db.log({ publication: 'texts' })
  await db.sql(`insert into texts values (1, '2024-01-31 12:00:00+00', '\\x00ff', 0.1::float8 + 0.2, '1 day 02:00')`)
  const changes = await other.rowsSince()
  expect(changes[0]?.new).toMatchObject({
    t: '2024-01-31 12:00:00+00',
    b: '\\x00ff',
    f: '0.30000000000000004',
    j: '1 day 02:00:00',
  })
})

test('names that need quotes are quoted as quote_ident does', async () => {
  await db.sql(
    'create schema "My Schema"',
    'create table "My Schema"."user" (id int primary key, "Ä" text, "__proto__" text)',
  )
  const other = await db.log({ publication: 'names' })
  expect(other.log.followed('"My Schema"."user"')).toEqual({
    table: '"My Schema"."user"',
    identity: 'default',
    columns: ['id'],
  })
  await db.sql(`insert into "My Schema"."user" values (1, 'é', 'p')`)
  // Rows only: the other log of this file may tell of the new table in between.
  const [change] = await other.rowsSince()
  expect(change).toMatchObject({ table: '"My Schema"."user"' })
  expect(Object.entries(change!.new!)).toEqual([
    ['id', '1'],
    ['Ä', 'é'],
    ['__proto__', 'p'],
  ])
})
