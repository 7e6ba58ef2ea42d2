import type pg from 'pg'
import type { Change } from 'tidemark'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { INSTALL_SQL } from '../src/wal/ddl-triggers.js'
import { type Recorder, until, type World, world } from './recorder.js'

/*
 * What each kind of DDL touches, as the log tells it: by a look at the catalogue, or by event triggers, at the command's own position.
 */

/** What changes say, shortly: tables without their schema, `+` for new columns, `*` for everything; nothing for a renewal. */
function said(changes: readonly Change[]): string {
  const parts = changes.map((change) => {
    if (change.kind === 'everything') return `* ${change.reason}`
    if (change.kind !== 'table') return ''
    return (change.reason === 'columns-added' ? '+' : '') + change.table.replace('public.', '')
  })
  return [...new Set(parts)]
    .filter((part) => part !== '')
    .sort()
    .join(' ')
}

/** `told`: what event triggers tell, where that is not the same. */
const statements: readonly (readonly [what: string, sql: string, touched: string, told?: string])[] = [
  ['a new table', 'create table fresh (id int primary key)', 'fresh'],
  ['an index', 'create index posts_v on posts (v)', ''],
  ['a unique index', 'create unique index authors_name on authors (name)', ''],
  ['a comment', "comment on table posts is 'x'; create sequence s1", ''],
  ['statistics', 'alter table posts alter v set statistics 50; analyze posts', ''],
  ['a grant', 'grant select on posts to public; grant select (v) on posts to public', ''],
  ['a trigger', 'create trigger t before insert on posts for each row execute function g()', ''],
  ['a default of a column that is there', 'alter table posts alter v set default 3', ''],
  ['a check', 'alter table posts add check (v > -1000)', ''],
  ['a table written anew', 'vacuum full authors', ''],
  ['a column that is NULL everywhere', 'alter table posts add x1 int', '+posts'],
  ['a column whose name others have', 'alter table posts add name text', 'posts'],
  ['a column with a default', 'alter table posts add w int default 7', 'posts'],
  ['a column of another type', 'alter table posts alter v type bigint', 'posts'],
  ['a renamed column', 'alter table posts rename w to w2', 'posts'],
  ['a dropped column', 'alter table posts drop w2', 'posts'],
  ['a renamed table', 'alter table orphan rename to orphans', 'orphan orphans'],
  [
    'a table renamed and back',
    'alter table authors rename to writers; alter table writers rename to authors',
    'authors',
    'authors writers',
  ],
  ['a table in another schema', 'create schema s; alter table orphans set schema s', 'orphans s.orphans'],
  ['a function of a schema', "create function s.k() returns int language sql stable as 'select 1'", 's.k()'],
  ['a renamed schema', 'alter schema s rename to s2', 's.k() s.orphans s2.k() s2.orphans'],
  ['a table of the same name elsewhere', 'create table s2.posts (id int primary key)', 'posts s2.posts'],
  [
    'a table dropped and made again',
    'drop table authors; create table authors (id int primary key, name text)',
    'authors',
  ],
  ['a new partition', 'create table leaf2 partition of tree for values from (100) to (200)', 'leaf2 tree'],
  ['a detached partition', 'alter table tree detach partition leaf1', 'leaf1 tree', 'tree'],
  ['an attached partition', 'alter table tree attach partition leaf1 for values from (0) to (100)', 'tree'],
  ['a dropped partition', 'drop table leaf2', 'leaf2 tree'],
  ['a column of all partitions', 'alter table tree add x2 int', '+leaf1 +tree'],
  ['an inherited table', 'alter table s2.orphans inherit parent', 'parent'],
  ['a replaced view', 'create or replace view seen as select a.id from authors a join parent p on p.id = a.id', 'seen'],
  ['a dropped view', 'drop view seen', 'seen'],
  ['row security', 'alter table posts enable row level security', 'posts'],
  [
    'row security and back',
    'alter table authors enable row level security; alter table authors disable row level security',
    'authors',
  ],
  ['a policy', 'create policy p on posts using (true)', 'posts'],
  ['a changed policy', 'alter policy p on posts using (v > 0)', 'posts'],
  ['another replica identity', 'alter table posts replica identity full', 'posts'],
  [
    'a replaced function',
    "create or replace function f(int) returns int language sql immutable as 'select 2'",
    '* a function changed',
  ],
  [
    'a function that no query calls',
    "create or replace function g() returns trigger language plpgsql as 'begin return null; end'",
    '',
  ],
  ['a function of a new name', "create function h() returns int language sql stable as 'select 1'", 'h()'],
  [
    'a replaced function that is not IMMUTABLE',
    "create or replace function h() returns int language sql stable as 'select 2'",
    'h()',
  ],
  [
    'another default of an argument',
    "create or replace function by_name(name_asked text default 'b') returns int language sql stable as 'select 1'",
    'by_name()',
  ],
  ['a column that is called like an argument', 'alter table parent add name_asked text', 'parent s2.orphans'],
  ['a renamed function', 'alter function h() rename to "H"; alter function "H"() rename to h', 'h()', '"H"() h()'],
  ['rights on a function', 'grant execute on function h() to public; comment on function h() is null', ''],
  [
    'a function of a known name',
    "create function h(text) returns int language sql immutable as 'select 1'",
    '* a function changed',
  ],
  ['a new value of an enum', "alter type mood add value 'c'", ''],
  ['a renamed value of an enum', "alter type mood rename value 'a' to 'b'", '* a type changed'],
  ['a new domain', 'create domain d as int', ''],
  [
    'a setting of the database',
    'do $$ begin execute format($x$alter database %I set search_path = s2, public$x$, current_database()); end $$',
    '* settings of the database or a role changed',
    '',
  ],
  ['a table that left the publication', 'alter publication tidemark drop table authors', 'authors', ''],
  [
    'a publication changed',
    "alter publication tidemark set (publish = 'insert'); alter publication tidemark set (publish = 'insert, update, delete, truncate')",
    '* the publication changed',
    '',
  ],
]

/** A database on which all the statements can be run, in their order. */
async function made(): Promise<World> {
  const db = await world()
  await db.sql(
    ...[...statements, undefined].map((_, i) => `create table mark${i} (id int primary key)`),
    'create table posts (id int primary key, v int)',
    'create table authors (id int primary key, name text)',
    'create table tree (id int, at int, v int, primary key (id, at)) partition by range (at)',
    'create table leaf1 partition of tree for values from (0) to (100)',
    'create table parent (id int primary key, v int)',
    'create table orphan (like parent including all)',
    "create type mood as enum ('a')",
    'create view seen as select id from posts',
    "create function f(int) returns int language sql immutable as 'select 1'",
    "create function g() returns trigger language plpgsql as 'begin return new; end'",
    "create function by_name(name_asked text default 'a') returns int language sql stable as 'select 1'",
  )
  return db
}

describe('a look at the catalogue tells of', () => {
  let db: World
  let log: Recorder

  beforeAll(async () => {
    db = await made()
    log = await db.log()
  })

  afterAll(async () => {
    await db?.end()
  })

  let marks = 0

  /** What statements are told to touch. A table of its own is marked after them, so that it is told of last. */
  async function touchedBy(...statements: string[]): Promise<string> {
    const mark = `public.mark${marks++}`
    await db.sql(...statements, `alter table ${mark} add marked int`)
    await until(async () => {
      await log.caughtUp()
      return log.changes.some(
        (change) => change.kind === 'everything' || (change.kind === 'table' && change.table === mark),
      )
    })
    return said(
      (await log.since()).filter((change) => !(change.kind === 'table' && change.table.startsWith('public.mark'))),
    )
  }

  const asLooked = statements.map(([what, sql, touched]) => [what, sql, touched] as const)
  test.each(asLooked)('%s', async (_, sql, touched) => {
    expect(await touchedBy(sql)).toBe(touched)
  })

  test('materialised views and temporary tables change nothing', async () => {
    const temporary = await db.connect()
    await temporary.query('create temp table t (id int primary key); create temp view tv as select * from t')
    const made = 'create materialized view stored as select count(*) from parent'
    expect(await touchedBy(made, 'refresh materialized view stored', 'drop materialized view stored')).toBe('')
  })
})

// Before, the log carries no messages.
if (!isBefore(14)) {
  describe('event triggers tell, in the transaction itself, of', () => {
    let db: World
    let client: pg.Client
    let log: Recorder

    beforeAll(async () => {
      db = await made()
      await db.sql(INSTALL_SQL)
      client = await db.connect()
      log = await db.log({ cataloguePollMs: 60_000 })
    })

    afterAll(async () => {
      await db?.end()
    })

    let marks = 0

    /** Waits until a look at the catalogue has told of all up to here. */
    async function looked(): Promise<void> {
      const table = `mark${marks++ % statements.length}`
      const xid = await ran(`alter table ${table} add marked${marks} int`)
      const isMark = (change: Change): boolean =>
        change.kind === 'everything' || (change.kind === 'table' && change.table === `public.${table}`)
      await until(async () => {
        await log.caughtUp()
        return log.commits.some((commit) => (commit.xid ?? 0) > xid && commit.changes.some(isMark))
      })
    }

    async function ran(sql: string): Promise<number> {
      await client.query('begin')
      await client.query(sql)
      const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      await client.query('commit')
      return Number(rows[0]!.xid)
    }

    /** What the log tells of one transaction. */
    async function told(sql: string): Promise<string> {
      await looked()
      const xid = await ran(sql)
      await log.caughtUp()
      return said(log.commits.filter((commit) => commit.xid === xid).flatMap(({ changes }) => changes))
    }

    const inTransaction = statements
      .filter(([, sql]) => !sql.startsWith('vacuum'))
      .map(([what, sql, touched, otherwise = touched]) => [what, sql, otherwise] as const)
    test.each(inTransaction)('%s', async (_, sql, touched) => {
      expect(await told(sql)).toBe(touched)
    })

    test('what a function does, and not what is rolled back', async () => {
      expect(await told("do $$ begin alter table parent rename v to w; execute 'drop table leaf1'; end $$")).toBe(
        'leaf1 parent s2.orphans tree',
      )
      await client.query('begin; drop table parent cascade; rollback')
      expect(await told('comment on table parent is null')).toBe('')
    })

    test('a schema dropped with all that is in it', async () => {
      expect(await told('drop schema s2 cascade')).toBe('parent posts s2.k() s2.orphans s2.posts')
    })

    test('nothing temporary', async () => {
      const before = log.commits.length
      await client.query('create temp table t (id int); alter table t add x int; drop table t')
      await log.caughtUp()
      expect(log.commits.length).toBe(before)
    })
  })
}
