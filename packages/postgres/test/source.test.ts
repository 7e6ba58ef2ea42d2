import pg from 'pg'
import { OptionError, SourceDownError } from 'tidemark'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { postgres, type Sql, SqlError, SqlRowsError, SqlWritesError } from '../src/index.js'
import { notKept, until, World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id bigint primary key, author_id bigint, title text);
    create table authors (id bigint primary key, name text);
    create table heap (n int);
    create unlogged table scratch (id int primary key);
    create view titles as select id, title from posts;
    create table members (group_id int, user_id int, role text, primary key (group_id, user_id));
    insert into members values (1, 1, 'a'), (1, 2, 'b');
    insert into authors values (1, 'Ada'), (2, 'Bob');
    insert into posts select n, 1 + n % 2, 'post ' || n from generate_series(1, 20) n;
  `)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

interface Post {
  id: string
  author_id: string
  title: string
}

it('keeps what a query answered until a row that it depends on changes', async () => {
  const { cache } = await world.open()
  const post = cache.define('post', ({ sql }, id: number) => sql.one<Post>`select * from posts where id = ${id}`)
  await until(async () => (await post.ask(1)).from === 'l1')
  await until(async () => (await post.ask(2)).from === 'l1')
  await world.admin.query("update posts set title = 'changed' where id = 1")
  await until(() => post.peek(1) === undefined)
  expect(post.peek(2)?.title).toBe('post 2')
  expect((await post(1))?.title).toBe('changed')
})

it('runs any number of queries at once for one loader, and Node warns of no leak', async () => {
  const warned: string[] = []
  const hear = ({ name }: Error): unknown => warned.push(name)
  process.on('warning', hear)
  const { cache } = await world.open()
  const titles = await cache.get('titles', ({ sql }) =>
    Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        sql.one<Post>`select title from posts where id = ${i + 1}`.then((post) => post?.title),
      ),
    ),
  )
  expect(titles[19]).toBe('post 20')
  // One signal for as many waits.
  const { signal } = new AbortController()
  await Promise.all(Array.from({ length: 20 }, () => cache.settled({ signal })))
  process.off('warning', hear)
  expect(warned).not.toContain('MaxListenersExceededWarning')
})

it('drops an answer when a row leaves or enters it, and no other', async () => {
  const { cache } = await world.open()
  const feed = cache.define('feed', async ({ sql }, author: number) => {
    const rows = await sql.many<Post>`select id, title from posts where author_id = ${author} order by id limit 5`
    return rows.map(({ id }) => id)
  })
  await until(async () => (await feed.ask(1)).from === 'l1')
  await until(async () => (await feed.ask(2)).from === 'l1')
  expect(cache.explain('feed(1)').dependencies).toHaveLength(6)
  const [first] = await feed(1)
  await world.admin.query('update posts set author_id = 3 where id = $1', [first])
  await until(() => feed.peek(1) === undefined)
  expect(feed.peek(2)).toBeDefined()
  expect(await feed(1)).not.toContain(first)
  await world.admin.query('update posts set author_id = 1 where id = $1', [first])
  await until(() => feed.peek(1) === undefined)
  expect(await feed(1)).toContain(first)
  expect(feed.peek(2)).toBeDefined()
})

it('knows an absent row, and sees it come', async () => {
  const { cache } = await world.open()
  const post = cache.define('post', ({ sql }, id: number) => sql.one<Post>`select * from posts where id = ${id}`)
  await until(async () => (await post.ask(99)).from === 'l1')
  expect(post.peek(99)).toBeNull()
  await world.admin.query("insert into posts values (99, 1, 'new')")
  await until(() => post.peek(99) === undefined)
  expect((await post(99))?.title).toBe('new')
  await world.admin.query('delete from posts where id = 99')
})

it('says why an answer is not kept', async () => {
  const { cache } = await world.open()
  expect(await notKept(cache, ({ sql }) => sql.many`select * from posts where id = 1`)).toBeUndefined()
  expect(await notKept(cache, ({ sql }) => sql.many`select * from titles`)).toBeUndefined()
  expect(await notKept(cache, ({ sql }) => sql.many`select * from heap`)).toBe('unfollowed-table')
  expect(await notKept(cache, ({ sql }) => sql.many`select * from scratch`)).toBe('unfollowed-table')
  expect(await notKept(cache, ({ sql }) => sql.many`select relname from pg_class`)).toBe('unfollowed-table')
  expect(await notKept(cache, ({ sql }) => sql.many`select *, now() from posts where id = 1`)).toBe('time')
  expect(
    await notKept(cache, ({ sql }) => sql.many`select *, now() from posts where id = 1`, { ttl: '1m' }),
  ).toBeUndefined()
  expect(await notKept(cache, ({ sql }) => sql.many`select *, ${'now'}::timestamptz from posts where id = 1`)).toBe(
    'time',
  )
  expect(
    await notKept(
      cache,
      ({ sql }) => sql.many`select * from posts where id = 1 and ${'today'}::text::date > '2020-01-01'`,
    ),
  ).toBe('time')
  expect(await notKept(cache, ({ sql }) => sql.many`select current_user from posts where id = 1`)).toBe('session')
  expect(await notKept(cache, ({ sql }) => sql.many`select * from posts where id = 1 for update`)).toBe('writes')
  expect(await notKept(cache, ({ sql }) => sql.many`insert into heap values (1) returning n`)).toBe('writes')
  expect(await notKept(cache, ({ sql }) => sql.query('explain select 1'))).toBe('not-understood')
})

it('follows a table that is made later, once a query wants it', async () => {
  const { cache } = await world.open()
  await world.admin.query('create table later (id int primary key, v text)')
  await world.admin.query("insert into later values (1, 'a')")
  const later = cache.define(
    'later',
    ({ sql }, id: number) => sql.one<{ v: string }>`select * from later where id = ${id}`,
  )
  await until(async () => (await later.ask(1)).from === 'l1')
  await world.admin.query("update later set v = 'b' where id = 1")
  await until(() => later.peek(1) === undefined)
  expect((await later(1))?.v).toBe('b')
})

it('sees a view that is redefined', async () => {
  const { cache } = await world.open()
  await world.admin.query('create view shown as select name as v from authors')
  const shown = cache.define('shown', async ({ sql }) =>
    (await sql.many<{ v: string }>`select v from shown order by v`).map(({ v }) => v),
  )
  await until(async () => (await shown.ask()).from === 'l1')
  await world.admin.query('create or replace view shown as select role as v from members')
  await until(async () => (await shown()).includes('a'))
  await until(async () => (await shown.ask()).from === 'l1')
  await world.admin.query("update members set role = 'c' where user_id = 2")
  await until(() => shown.peek() === undefined)
  expect(await shown()).toEqual(['a', 'c'])
})

it('binds parameters and never puts values into the text', async () => {
  const { cache } = await world.open()
  const { sql } = await capture(cache)
  const evil = "x'; drop table posts; --"
  expect(await sql.one`select ${evil}::text as t`).toEqual({ t: evil })
  const mine = sql.fragment`author_id = ${1} and ${sql.identifier('ti"tle')} is null`
  await expect(sql.many`select * from posts where ${mine}`).rejects.toThrow('ti"tle')
  const filter = sql.fragment`author_id = ${2} ${sql.fragment`and id < ${4}`}`
  expect(await sql.many`select id from posts where id > ${0} and ${filter} order by id`).toEqual([
    { id: '1' },
    { id: '3' },
  ])
  expect(await sql.many`select id from posts where id = any(${[1, 2]}) order by id`).toHaveLength(2)
  expect(await sql.query('select $1::int as n', [7])).toEqual({ rows: [{ n: 7 }], columns: [{ name: 'n', oid: 23 }] })
  expect(await sql.texts('select $1::int8, null', [7n])).toMatchObject({ rows: [['7', null]] })
})

it('answers one row or null, and refuses several', async () => {
  const { cache } = await world.open()
  const { sql } = await capture(cache)
  expect(await sql.one`select id from posts where id = -1`).toBeNull()
  await expect(sql.one`select * from posts`).rejects.toThrow(SqlRowsError)
  const schema = { parse: (row: unknown) => ({ id: Number((row as { id: string }).id) }) }
  expect(await sql.one(schema)`select id from posts where id = ${5}`).toEqual({ id: 5 })
  expect(await sql.many(schema)`select id from posts where id < ${3} order by id`).toEqual([{ id: 1 }, { id: 2 }])
  const refusing = {
    parse: (): never => {
      throw new Error('not so')
    },
  }
  await expect(sql.one(refusing)`select 1`).rejects.toMatchObject({ code: 'TIDEMARK_SQL_ROWS' })
})

it('says what is wrong with SQL, without values', async () => {
  const { cache } = await world.open()
  const { sql } = await capture(cache)
  await expect(sql.many`selec 1`).rejects.toMatchObject({ code: 'TIDEMARK_SQL', sqlState: '42601', position: 1 })
  await expect(sql.many`select * from nowhere`).rejects.toMatchObject({
    code: 'TIDEMARK_SQL',
    sqlState: '42P01',
    position: 15,
  })
  const error: unknown = await sql.many`select ${'secret'}::int`.catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'TIDEMARK_SQL', sqlState: '22P02' })
  expect(String(error)).not.toContain('secret')
  await expect(sql.query('select 1; select 2')).rejects.toBeInstanceOf(SqlError)
  // The connection is as good as before.
  expect(await sql.one`select 1 as n`).toEqual({ n: 1 })
})

it('describes a statement, and refuses one that writes', async () => {
  const { source } = await world.open()
  expect(
    await source.describe('select p.id, title, name from posts p join authors a on a.id = p.author_id where a.id = $1'),
  ).toEqual({
    parameters: [20],
    columns: [
      { name: 'id', oid: 20 },
      { name: 'title', oid: 25 },
      { name: 'name', oid: 25 },
    ],
    tables: ['public.authors', 'public.posts'],
    verdict: ['rows of public.posts where author_id = $1', 'rows of public.authors where id = $1'],
  })
  for (const text of [
    'delete from posts',
    'select 1; select 2',
    'select * from posts for update',
    'with d as (delete from posts returning 1) select 1',
    "select setval('x', 1)",
    '-- nothing',
  ]) {
    await expect(source.describe(text), text).rejects.toBeInstanceOf(
      text.includes('setval') ? SqlError : SqlWritesError,
    )
  }
  await expect(source.describe('select * from nowhere')).rejects.toMatchObject({ sqlState: '42P01' })
})

it('cancels what nobody waits for any more', async () => {
  const { cache } = await world.open()
  const giving = new AbortController()
  const slow = cache.get('slow', ({ sql }) => sql.one`select pg_sleep(60)`, { signal: giving.signal })
  const running = async () =>
    (
      await world.admin.query(
        "select from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()",
      )
    ).rowCount
  await until(async () => (await running()) === 1)
  giving.abort(new Error('enough'))
  await expect(slow).rejects.toThrow()
  await until(async () => (await running()) === 0)
  expect(await cache.get('after', ({ sql }) => sql.one`select 1 as n`)).toEqual({ n: 1 })
})

it('says that the database is down, and goes on when it is back', async () => {
  const { cache } = await world.open()
  const { sql } = await capture(cache)
  const busy = sql.many`select pg_sleep(60)`
  // It may be rejected before it is waited for.
  busy.catch(() => {})
  await until(
    async () =>
      (
        await world.admin.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()",
        )
      ).rowCount === 1,
  )
  await expect(busy).rejects.toBeInstanceOf(SourceDownError)
  expect(await sql.one`select 1 as n`).toEqual({ n: 1 })
  const elsewhere = postgres({ url: 'postgres://nobody:secret@127.0.0.1:1/none', follow: 'off' })
  world.onClose(() => elsewhere.close())
  const error: unknown = await elsewhere.describe('select 1').catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'TIDEMARK_SOURCE_DOWN' })
  expect(String(error)).not.toContain('secret')
})

it('does not keep what it reads in another database than the followed one', async () => {
  const other = await world.database.server.createDatabase('other_one')
  const client = new pg.Client({ connectionString: other })
  await client.connect()
  await client.query('create table posts (id bigint primary key, author_id bigint, title text)')
  await client.end()
  const { cache } = await world.open({ url: other, directUrl: world.database.url })
  expect(await notKept(cache, ({ sql }) => sql.many`select * from posts where id = 1`)).toBe('elsewhere')
})

it('keeps answers for 30 s where it does not follow', async () => {
  const { cache } = await world.open({ follow: 'off' })
  expect(await notKept(cache, ({ sql }) => sql.many`select * from heap`)).toBeUndefined()
  expect(await notKept(cache, ({ sql }) => sql.many`select current_user`)).toBe('session')
  await cache.get('kept', ({ sql }) => sql.many`select * from posts where id = 1`)
  const { expiresAt, filledAt } = cache.explain('kept')
  expect(expiresAt! - filledAt!).toBe(30_000)
})

it('two sources of one address share what is followed', async () => {
  const first = await world.open()
  const second = await world.open()
  expect(second.source.id).toBe(first.source.id)
  expect(second.source.id).not.toContain(world.database.url)
  const walsenders = await world.admin.query(
    "select from pg_replication_slots where slot_name like 'tidemark%' and database = current_database()",
  )
  expect(walsenders.rowCount).toBe(1)
  await first.cache.close()
  const post = second.cache.define('post', ({ sql }, id: number) => sql.one<Post>`select * from posts where id = ${id}`)
  await until(async () => (await post.ask(3)).from === 'l1')
  await world.admin.query("update posts set title = 'x' where id = 3")
  await until(() => post.peek(3) === undefined)
})

it('refuses options that are out of their range', () => {
  const url = world.database.url
  expect(() => postgres({ url: 'localhost' })).toThrow(OptionError)
  expect(() => postgres({ url, directUrl: '' })).toThrow(OptionError)
  expect(() => postgres({ url, publication: 'x'.repeat(64) })).toThrow(OptionError)
  expect(() => postgres({ url, pool: { max: 0 } })).toThrow(OptionError)
  expect(() => postgres({ url, membersMax: -1 })).toThrow(OptionError)
  expect(() => postgres({ url, follow: 'on' as 'off' })).toThrow(OptionError)
})

/** `sql` of a loader that runs. */
async function capture(cache: Awaited<ReturnType<World['open']>>['cache']) {
  let context: { sql: Sql } | undefined
  await cache.get('capture', (own) => {
    context = own
    return null
  })
  return context!
}
