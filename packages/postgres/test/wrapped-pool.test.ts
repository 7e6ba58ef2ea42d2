import pg from 'pg'
import { type Cache, currentReading } from 'tidemark'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { Sql } from '../src/index.js'
import { notKept, until, World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create(`
    create schema tenant;
    create table posts (id bigint primary key, author_id bigint, title text);
    create table tenant.posts (id bigint primary key, author_id bigint, title text);
    insert into posts select n, 1 + n % 2, 'post ' || n from generate_series(1, 10) n;
    insert into tenant.posts values (1, 1, 'theirs');
  `)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

async function opened(settings: pg.PoolConfig = {}): Promise<{ cache: Cache<{ sql: Sql }>; pool: pg.Pool }> {
  const { cache, source } = await world.open()
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url, ...settings }))
  world.onClose(() => pool.end())
  return { cache, pool }
}

const title = async (pool: pg.Pool | pg.PoolClient, id: number): Promise<string> =>
  (await pool.query('select id, title from posts where id = $1', [id])).rows[0].title

it('gathers what a loader reads through the pool', async () => {
  const { cache, pool } = await opened()
  const post = cache.define('post', (_, id: number) => title(pool, id))
  await until(async () => (await post.ask(1)).from === 'l1')
  await until(async () => (await post.ask(2)).from === 'l1')
  expect(cache.explain('post(1)').dependencies).toEqual([
    { kind: 'rows', table: 'public.posts', columns: ['id'], values: ['1'], old: 'coarse', reads: ['id', 'title'] },
  ])
  await pool.query("update posts set title = 'new' where id = 1")
  await until(() => post.peek(1) === undefined)
  expect(post.peek(2)).toBe('post 2')
  expect(await post(1)).toBe('new')
})

it('understands each form of a query', async () => {
  const { cache, pool } = await opened()
  const text = 'select * from posts where author_id = $1 and id < 5'
  const forms: Record<string, () => Promise<unknown>> = {
    'text and values': () => pool.query(text, [1]),
    config: () => pool.query({ text, values: [1] }),
    'config and values': () => pool.query({ text }, [1]),
    'arrays of values': () => pool.query({ text, values: [1], rowMode: 'array' }),
    named: () => pool.query({ name: 'named', text, values: [1] }),
    callback: () =>
      new Promise((resolve, reject) =>
        pool.query(text, [1], (error, result) => (error ? reject(error) : resolve(result))),
      ),
    client: async () => {
      const client = await pool.connect()
      try {
        return await client.query(text, [1])
      } finally {
        client.release()
      }
    },
    'client and callbacks': () =>
      new Promise((resolve, reject) =>
        pool.connect((error, client, done) => {
          if (error || !client) return reject(error)
          client.query(text, [1], (failure, result) => {
            done()
            if (failure) reject(failure)
            else resolve(result)
          })
        }),
      ),
  }
  for (const [form, run] of Object.entries(forms)) {
    expect(await notKept(cache, async () => ((await run()) as pg.QueryResult).rows), form).toBeUndefined()
    await cache.get(form, async () => ((await run()) as pg.QueryResult).rows)
    const shapes = cache
      .explain(form)
      .dependencies.map((each) => (each.kind === 'rows' ? `${each.columns} ${each.old}` : each.kind))
    expect(new Set(shapes), form).toEqual(new Set(['author_id ignored', 'id coarse']))
  }
})

it('gives each fill what it read itself, however connections change hands', async () => {
  const { cache, pool } = await opened({ max: 1 })
  const post = cache.define('post', (_, id: number) => title(pool, id))
  const byCallback = cache.define(
    'called',
    (_, id: number) =>
      new Promise<string>((resolve, reject) => {
        pool.query('select id, title from posts where id = $1', [id], (error, result) =>
          error ? reject(error) : resolve(result.rows[0].title),
        )
      }),
  )
  const ids = [1, 2, 3, 4, 5]
  await until(async () => (await post.ask(1)).from === 'l1')
  await Promise.all(ids.flatMap((id) => [post(id), byCallback(id)]))
  for (const id of ids) {
    for (const name of ['post', 'called']) {
      expect(cache.explain(`${name}(${id})`).dependencies, `${name}(${id})`).toEqual([
        {
          kind: 'rows',
          table: 'public.posts',
          columns: ['id'],
          values: [String(id)],
          old: 'coarse',
          reads: ['id', 'title'],
        },
      ])
    }
  }
})

it('leaves queries outside of fills as they are', async () => {
  const { pool } = await opened()
  expect(currentReading()).toBeUndefined()
  expect(await title(pool, 3)).toBe('post 3')
  const client = await pool.connect()
  await client.query('begin')
  const results = await Promise.all([client.query('select 1 as n'), client.query('select 2 as n')])
  expect(results.map(({ rows }) => rows[0].n)).toEqual([1, 2])
  await client.query('rollback')
  client.release()
  await expect(pool.query('selec 1')).rejects.toMatchObject({ code: '42601' })
})

it('keeps nothing read on a connection whose settings were changed, until they are reset', async () => {
  const { cache, pool } = await opened({ max: 1 })
  const load = () => title(pool, 4)
  expect(await notKept(cache, load)).toBeUndefined()
  for (const statement of [
    'set search_path to tenant, public',
    "set timezone to 'Asia/Tokyo'",
    "select set_config('datestyle', 'German', false)",
  ]) {
    await pool.query(statement)
    expect(
      await notKept(cache, () => pool.query('select * from public.posts where id = 4').then(({ rows }) => rows)),
      statement,
    ).toBe('dirty-connection')
    await pool.query('reset all')
    expect(await notKept(cache, load), statement).toBeUndefined()
  }
  await pool.query("create temp table posts (id bigint, title text); insert into pg_temp.posts values (4, 'hidden')")
  expect(await notKept(cache, load)).toBe('dirty-connection')
  await pool.query('discard all')
  expect(await notKept(cache, load)).toBe('dirty-connection')
  await pool.query('drop table if exists pg_temp.posts')
})

it("takes what the pool's own set-up sets for its settings", async () => {
  const { cache, source } = await world.open()
  const pool = new pg.Pool({ connectionString: world.database.url })
  pool.on('connect', (client) => {
    client.query('set search_path to tenant')
  })
  source.wrapPool(pool)
  world.onClose(() => pool.end())
  expect(await notKept(cache, () => title(pool, 1))).toBeUndefined()
  await cache.get('theirs', () => title(pool, 1))
  expect(cache.peek('theirs')).toBe('theirs')
  expect(cache.explain('theirs').dependencies).toMatchObject([{ table: 'tenant.posts' }])
})

it('keeps nothing read in a transaction that was open before', async () => {
  const { cache, pool } = await opened()
  const client = await pool.connect()
  try {
    await client.query('begin isolation level repeatable read')
    expect(await notKept(cache, () => title(client, 5))).toBe('open-transaction')
    await client.query('rollback')
    expect(await notKept(cache, () => title(client, 5))).toBeUndefined()
    const own = async () => {
      await client.query('begin')
      const found = await title(client, 5)
      await client.query('commit')
      return found
    }
    expect(await notKept(cache, own)).toBeUndefined()
    const writes = async () => {
      await client.query('begin')
      await client.query("update posts set title = 'mine' where id = 5")
      const found = await title(client, 5)
      await client.query('rollback')
      return found
    }
    expect(await notKept(cache, writes)).toBe('writes')
    const nested = cache.define('nested', () => title(client, 6))
    const outer = async () => {
      await client.query('begin')
      const found = await nested()
      await client.query('commit')
      return found
    }
    expect(await notKept(cache, outer)).toBe('nested')
    expect(cache.explain('nested()').notKept).toBe('open-transaction')
  } finally {
    client.release()
  }
})

it('keeps nothing of several statements in one text', async () => {
  const { cache, pool } = await opened()
  expect(await notKept(cache, () => pool.query('select 1; select * from posts').then(() => 1))).toBe('not-understood')
})

it('sets a declared session on the connection that a loader uses', async () => {
  await world.admin.query('create role wrapped_reader; grant select on posts to wrapped_reader')
  const { cache, pool } = await opened()
  const as = cache.as({ role: 'wrapped_reader', timeZone: 'Asia/Tokyo' })
  const who = () =>
    pool
      .query("select current_user as who, current_setting('TimeZone') as zone, id from posts where id = 1")
      .then(({ rows }) => rows[0])
  expect(await as.get('who', who)).toEqual({ who: 'wrapped_reader', zone: 'Asia/Tokyo', id: '1' })
  expect(await notKept(as, who)).toBeUndefined()
  expect((await who()).who).toBe('postgres')
  const client = await pool.connect()
  await client.query('begin')
  const inside = () => client.query('select current_user from posts where id = 1').then(({ rows }) => rows[0])
  await expect(as.get('inside', inside)).rejects.toMatchObject({ code: 'TIDEMARK_SESSION' })
  expect((await inside()).current_user).toBe('postgres')
  await client.query('rollback')
  client.release()
  await world.admin.query('drop owned by wrapped_reader; drop role wrapped_reader')
})

it("makes a pool of the source's own for an ORM", async () => {
  const { cache, source } = await world.open()
  expect(source.pool).toBe(source.pool)
  expect(await notKept(cache, () => title(source.pool, 7))).toBeUndefined()
})
