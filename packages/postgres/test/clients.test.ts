import { once } from 'node:events'
import pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import type { Cache } from 'tidemark'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { PostgresSource, Sql } from '../src/index.js'
import { notKept, until, World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id bigint primary key, author_id bigint, title text);
    insert into posts select n, 1 + n % 2, 'post ' || n from generate_series(1, 10) n;
  `)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

interface Opened {
  readonly cache: Cache<{ sql: Sql }>
  readonly source: PostgresSource
  readonly client: pg.Client
}

async function opened(): Promise<Opened> {
  const { cache, source } = await world.open()
  const client = source.wrapClient(new pg.Client({ connectionString: world.database.url }))
  await client.connect()
  world.onClose(() => client.end())
  return { cache, source, client }
}

const TEXT = 'select id, title from posts where author_id = $1'

/** The columns of what an entry depends on, with how old values are dealt with. */
async function shapes(cache: Cache<{ sql: Sql }>, load: () => Promise<unknown>): Promise<string[]> {
  expect(await notKept(cache, load)).toBeUndefined()
  await cache.get('shaped', load)
  const { dependencies } = cache.explain('shaped')
  await cache.invalidate({ keys: ['shaped'] })
  await until(() => cache.peek('shaped') === undefined)
  return [
    ...new Set(dependencies.map((each) => (each.kind === 'rows' ? `${each.columns} ${each.old}` : each.kind))),
  ].sort()
}

it('gathers what a loader reads through a client', async () => {
  const { cache, client } = await opened()
  const feed = cache.define('feed', async (_, author: number) => (await client.query(TEXT, [author])).rows.length)
  await until(async () => (await feed.ask(1)).from === 'l1')
  await world.admin.query("insert into posts values (11, 1, 'another')")
  await until(async () => (await feed(1)) === 6)
  await world.admin.query('delete from posts where id = 11')
})

it('wraps a client that is connected already, and one that connects with a callback', async () => {
  const { cache, source } = await world.open()
  for (const isConnected of [true, false]) {
    const client = new pg.Client({ connectionString: world.database.url })
    world.onClose(() => client.end())
    if (isConnected) await client.connect()
    expect(source.wrapClient(client)).toBe(client)
    expect(source.wrapClient(client)).toBe(client)
    if (!isConnected)
      await new Promise<void>((resolve, reject) =>
        client.connect((error?: unknown) => (error ? reject(error) : resolve())),
      )
    expect(await shapes(cache, async () => (await client.query(TEXT, [1])).rows.length)).toEqual([
      'author_id ignored',
      'id coarse',
    ])
  }
})

it('tells of a client that cannot connect as the driver does', async () => {
  const { source } = await world.open()
  const client = source.wrapClient(new pg.Client({ connectionString: 'postgres://nobody@127.0.0.1:1/none' }))
  client.on('error', () => {})
  await expect(client.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

it('knows what was prepared under a name, when it is called by name alone', async () => {
  const { cache, client } = await opened()
  await client.query({ name: 'by author', text: TEXT, values: [1] })
  const byName = () =>
    client.query({ name: 'by author', values: [2] } as pg.QueryConfig).then(({ rows }) => rows.length)
  expect(await shapes(cache, byName)).toEqual(['author_id ignored', 'id coarse'])
  const unknown = () => client.query({ name: 'never prepared', values: [] } as unknown as pg.QueryConfig)
  await expect(cache.get('unknown', unknown)).rejects.toThrow()
})

it('keeps what cursors and streams read, by its condition alone', async () => {
  const { cache, client } = await opened()
  const byCursor = async () => {
    const cursor = client.query(new Cursor(TEXT, [1]))
    const rows = await cursor.read(2)
    await cursor.close()
    return rows.length
  }
  expect(await shapes(cache, byCursor)).toEqual(['author_id coarse'])
  const byStream = async () => {
    let rows = 0
    for await (const _ of client.query(new QueryStream(TEXT, [1]))) rows++
    return rows
  }
  expect(await shapes(cache, byStream)).toEqual(['author_id coarse'])
  const byQuery = async () => {
    let rows = 0
    const query = client.query(new pg.Query(TEXT, [1]))
    query.on('row', () => rows++)
    await once(query, 'end')
    return rows
  }
  expect(await shapes(cache, byQuery)).toEqual(['author_id coarse'])
  const feed = cache.define('feed', byStream)
  await until(async () => (await feed.ask()).from === 'l1')
  await world.admin.query("update posts set title = 'streamed anew' where id = 2")
  await until(() => feed.peek() === undefined)
})

it('submits nothing that was closed before its turn, and tells its errors', async () => {
  const { cache, client } = await opened()
  const closed = async () => {
    const cursor = client.query(new Cursor(TEXT, [1]))
    await cursor.close()
    return (await client.query('select 1 as n from posts where id = 1')).rows[0].n
  }
  expect(await cache.get('closed', closed)).toBe(1)
  const broken = () => client.query(new Cursor('selec 1')).read(1)
  await expect(cache.get('broken', broken)).rejects.toThrow(/does not parse|syntax/)
  const missing = () => client.query(new Cursor('select * from nowhere')).read(1)
  await expect(cache.get('missing', missing)).rejects.toThrow(/nowhere/)
  expect((await client.query('select 1 as n')).rows[0].n).toBe(1)
})

it('keeps nothing of what it cannot look into', async () => {
  const { cache, client } = await opened()
  const of = (text: string) => () => client.query(text).then(() => 1)
  expect(await notKept(cache, of('select 1; select * from posts'))).toBe('not-understood')
  expect(await notKept(cache, of('prepare p as select * from posts'))).toBe('not-understood')
  expect(await notKept(cache, of('execute p'))).toBe('not-understood')
  expect(await notKept(cache, of('insert into posts select 99, 1, null where false'))).toBe('writes')
  const opaque = async () => {
    const query = { submit: (connection: pg.Connection) => connection.query('select 1'), ...handlers() }
    client.query(query as never)
    await query.done
    return 1
  }
  expect(await notKept(cache, opaque)).toBe('not-understood')
})

function handlers() {
  let resolve = (): void => {}
  const done = new Promise<void>((ended) => {
    resolve = ended
  })
  const ignore = (): void => {}
  return {
    done,
    handleReadyForQuery: () => resolve(),
    handleRowDescription: ignore,
    handleDataRow: ignore,
    handleCommandComplete: ignore,
  }
}

it('declares a session for a cursor only in a transaction of the loader', async () => {
  const { cache, client } = await opened()
  const as = cache.as({ timeZone: 'Asia/Tokyo' })
  const zone = async () => {
    const cursor = client.query(new Cursor("select current_setting('TimeZone') as zone, id from posts where id = 1"))
    const [row] = await cursor.read(1)
    await cursor.close()
    return row.zone
  }
  await expect(as.get('outside', zone)).rejects.toMatchObject({ code: 'TIDEMARK_SESSION' })
  const inside = async () => {
    await client.query('begin')
    const found = await zone()
    await client.query('commit')
    return found
  }
  expect(await as.get('inside', inside)).toBe('Asia/Tokyo')
})

it('keeps nothing on a client on which something of an extension was set, until it is reset', async () => {
  const { cache, client } = await opened()
  const load = () => client.query(TEXT, [1]).then(({ rows }) => rows.length)
  expect(await notKept(cache, load)).toBeUndefined()
  await client.query('set gin_fuzzy_search_limit = 10')
  expect(await notKept(cache, load)).toBe('dirty-connection')
  await client.query('reset all')
  expect(await notKept(cache, load)).toBeUndefined()
  await client.query("set statement_timeout = '10s'; set application_name = 'mine'; set work_mem = '8MB'")
  expect(await notKept(cache, load)).toBeUndefined()
})

it('refuses clients that it cannot see through', async () => {
  const { source } = await world.open()
  const native = { native: {}, query: () => {}, connect: () => {} }
  expect(() => source.wrapClient(native as never)).toThrow(expect.objectContaining({ code: 'TIDEMARK_CLIENT' }))
})
