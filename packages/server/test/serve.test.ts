import { createServer } from 'node:net'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Running, type ServeOptions, serve } from '../src/index.js'
import { EventStream } from './event-stream.js'
import { BOUND, CONFIG, SCHEMA, sql, temporaryFolder } from './serving.js'

let database: TestDatabase
let folder: ReturnType<typeof temporaryFolder>
let running: Running | undefined
const streams: EventStream[] = []

beforeAll(async () => {
  folder = temporaryFolder()
  database = await testDatabase()
  await sql(database.url, SCHEMA)
})

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close()
  await running?.close()
  running = undefined
})

afterAll(async () => {
  await database?.drop()
  folder?.remove()
})

async function start(options: Partial<ServeOptions> = {}): Promise<Running> {
  const config = folder.write('tidemark.yaml', CONFIG)
  running = await serve({
    config,
    port: 0,
    env: { DATABASE_URL: database.url },
    signals: false,
    logLevel: 'silent',
    ...options,
  })
  return running
}

const get = async (path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(running!.url + path, { headers })
  return {
    status: response.status,
    headers: response.headers,
    json: (await response.json()) as never as Record<string, unknown>,
  }
}

const keeping = () => expect.poll(() => running!.cache.status().keeping, BOUND).toBe(true)

function open(path: string, headers: Record<string, string> = {}): EventStream {
  const stream = new EventStream(running!.url + path, headers)
  streams.push(stream)
  return stream
}

const titles = (stream: EventStream) => stream.events.map(({ data }) => JSON.parse(data).title)

describe('a server before a PostgreSQL', () => {
  it('answers from memory, and never with what a commit has changed', async () => {
    await start()
    await keeping()
    expect((await get('/api/resources/post?id=1')).json).toEqual({ id: 1, author_id: '1', title: 'post 1' })
    expect((await get('/api/resources/post?id=1')).headers.get('cache-status')).toMatch(
      /^tidemark; hit; tidemark-state=fresh/,
    )
    for (let round = 1; round <= 50; round++) {
      // Statements sent as one are one transaction: asked for in the same text, the position would be before the commit.
      await sql(database.url, `update posts set title = 'round ${round}' where id = 1`)
      const [{ lsn }] = (await sql(database.url, 'select pg_current_wal_insert_lsn()::text as lsn')) as [
        { lsn: string },
      ]
      const { json } = await get(`/api/resources/post?id=1&min-position=${encodeURIComponent(lsn)}`)
      expect(json['title']).toBe(`round ${round}`)
    }
  })

  it('sends what any program commits to the streams that it touches, and to no others', async () => {
    await start()
    const [post, feed, other] = [
      open('/api/streams/post?id=2'),
      open('/api/streams/feed?author=2'),
      open('/api/streams/feed?author=3'),
    ]
    await expect.poll(() => [post, feed, other].map(({ events }) => events.length), BOUND).toEqual([1, 1, 1])
    await sql(database.url, `update posts set title = 'two' where id = 2`)
    await expect.poll(() => titles(post).at(-1), BOUND).toBe('two')
    await expect.poll(() => feed.last?.data.includes('"two"'), BOUND).toBe(true)
    await sql(database.url, `insert into posts values (1002, 2, 'new')`)
    await expect.poll(() => feed.last?.data.includes('"new"'), BOUND).toBe(true)
    expect([post.events.length, other.events.length]).toEqual([2, 1])
  })

  it('is ready, and says how its parts are', async () => {
    await start()
    await keeping()
    await expect
      .poll(async () => (await get('/health')).json, BOUND)
      .toMatchObject({
        live: true,
        ready: true,
        parts: [
          { name: 'server', state: 'serving', ready: true },
          { name: 'database', state: 'up', ready: true },
          { name: 'resources', state: 'ready', ready: true },
          { name: 'log', state: 'following', ready: true },
          { name: 'journal', state: 'off', ready: true },
          { name: 'cache', state: 'keeping', ready: true },
        ],
      })
  })

  it('loads a change once, or twice, for a thousand clients of an entry', async () => {
    await start()
    await keeping()
    const clients = Array.from({ length: 1_000 }, () => open('/api/streams/post?id=3'))
    await expect.poll(() => clients.every(({ events }) => events.length === 1), BOUND).toBe(true)
    const { loads } = running!.cache.counters
    await sql(database.url, `update posts set title = 'three' where id = 3`)
    await expect.poll(() => clients.every((client) => titles(client).at(-1) === 'three'), BOUND).toBe(true)
    // A second load where the first began before the change could be seen.
    expect(running!.cache.counters.loads - loads).toBeLessThanOrEqual(2)
    expect(new Set(clients.map(({ lastEventId }) => lastEventId)).size).toBe(1)
    await sql(
      database.url,
      `do $$ begin for n in 1..200 loop update posts set title = 'fast ' || n where id = 3; commit; end loop; end $$`,
    )
    await expect.poll(() => clients.every((client) => titles(client).at(-1) === 'fast 200'), BOUND).toBe(true)
    expect(running!.cache.counters.loads - loads).toBeLessThanOrEqual(402)
  }, 180_000)

  it('writes every type as documented, losing nothing', async () => {
    const config = `resources:
  all:
    one: true
    sql: |
      select 1::int2 as "int2", 2147483647 as "int4", 9223372036854775807 as "int8", 0.10::numeric as "numeric", 1e-5::float8 as "float8",
        'NaN'::float8 as "nan", true as "bool", 'a"b' as "text", '{"a": 1.0000000000000000001}'::json as "json", '[12345678901234567890]'::jsonb as "jsonb",
        '\\x00ff'::bytea as "bytea", '2026-01-31 12:00:00.123456+02'::timestamptz as "timestamptz", '2026-01-31 12:00:00.1'::timestamp as "timestamp",
        '2026-01-31'::date as "date", 'infinity'::timestamptz as "infinity", array[array[1, null], array[3, 4]] as "int4s", array['a,b', null, 'NULL'] as "texts",
        null::int as "null", '10.0.0.1'::inet as "inet", '1 day 02:00'::interval as "interval"
`
    await start({ config: folder.write('types.yaml', config) })
    const response = await fetch(`${running!.url}/api/resources/all`)
    expect(await response.text()).toBe(
      '{"int2":1,"int4":2147483647,"int8":"9223372036854775807","numeric":"0.10","float8":1e-05,"nan":"NaN","bool":true,"text":"a\\"b",' +
        '"json":{"a": 1.0000000000000000001},"jsonb":[12345678901234567890],"bytea":"AP8=","timestamptz":"2026-01-31T10:00:00.123456+00:00",' +
        '"timestamp":"2026-01-31T12:00:00.1","date":"2026-01-31","infinity":"infinity","int4s":[[1,null],[3,4]],"texts":["a,b",null,"NULL"],' +
        '"null":null,"inet":"10.0.0.1","interval":"1 day 02:00:00"}',
    )
  })

  it('takes every type of parameter', async () => {
    const names = [
      'smallint',
      'integer',
      'bigint',
      'numeric',
      'real',
      'double precision',
      'text',
      'boolean',
      'uuid',
      'date',
      'timestamp',
      'timestamptz',
    ]
    const values = [
      '-1',
      '2',
      '9007199254740993',
      '1.50',
      '0.5',
      '1e3',
      "it's",
      'true',
      'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
      '2026-01-31',
      '2026-01-31T12:00:00.5',
      '2026-01-31T12:00:00%2B02:00',
    ]
    const params = names.map((name, index) => `p${index}: ${name}`).join(', ')
    const select = names.map((name, index) => `(:p${index}::${name})::text as c${index}`).join(', ')
    await start({
      config: folder.write(
        'parameters.yaml',
        `resources:\n  all: { one: true, params: { ${params} }, sql: "select ${select}" }\n`,
      ),
    })
    const query = values.map((value, index) => `p${index}=${value}`).join('&')
    expect(Object.values((await get(`/api/resources/all?${query}`)).json)).toEqual([
      '-1',
      '2',
      '9007199254740993',
      '1.50',
      '0.5',
      '1000',
      "it's",
      'true',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      '2026-01-31',
      '2026-01-31 12:00:00.5',
      '2026-01-31 10:00:00+00',
    ])
  })

  it('blames values on the request that PostgreSQL cannot use', async () => {
    await sql(
      database.url,
      `create type mood as enum ('calm', 'rough'); create table sea (day int primary key, mood mood)`,
    )
    const config = `resources:\n  sea: { params: { mood: text }, sql: "select * from sea where mood = :mood" }\n`
    await start({ config: folder.write('sea.yaml', config) })
    expect((await get('/api/resources/sea?mood=calm')).json).toEqual([])
    expect(await get('/api/resources/sea?mood=odd')).toMatchObject({
      status: 400,
      json: { code: 'TIDEMARK_PARAMETER' },
    })
  })

  it('refuses to start with SQL that the database refuses, and tells the places of all of it', async () => {
    const config = `resources:
  unknown: { sql: select * from nowhere }
  writes: { sql: "delete from posts returning *" }
  hidden: { sql: "with gone as (delete from posts returning id) select * from gone" }
  broken:
    sql: |
      select id
      form posts
  mistyped: { params: { id: text }, sql: select * from posts where id = :id }
  twice: { sql: "select id, id from posts" }
  nothing: { sql: "set search_path to public" }
  two: { sql: "select 1 as a; select 2 as b" }
`
    const refused = await start({ config: folder.write('refused.yaml', config) }).catch((error) => error)
    expect(refused.code).toBe('TIDEMARK_CONFIG')
    expect(refused.problems.map(({ line, path }: { line: number; path: string }) => `${line} ${path}`)).toEqual([
      '2 resources.unknown.sql',
      '3 resources.writes.sql',
      '4 resources.hidden.sql',
      '8 resources.broken.sql',
      '9 resources.mistyped.params.id',
      '10 resources.twice.sql',
      '11 resources.nothing.sql',
      '12 resources.two.sql',
    ])
    expect(await sql(database.url, 'select count(*)::int as n from posts')).toMatchObject([{ n: expect.any(Number) }])
    expect((await sql(database.url, 'select count(*)::int as n from posts where id <= 100'))[0]!['n']).toBe(100)
  })

  it('refuses to stream what can never be kept, and says why', async () => {
    await start({ config: folder.write('time.yaml', 'resources:\n  clock: { sql: "select now() as now" }\n') })
    await keeping()
    expect((await get('/api/resources/clock')).status).toBe(200)
    const stream = open('/api/streams/clock')
    await expect.poll(() => stream.isEnded, BOUND).toBe(true)
    expect(stream.last?.event).toBe('problem')
    expect(JSON.parse(stream.last!.data)).toMatchObject({ status: 409, code: 'TIDEMARK_NOT_WATCHABLE' })
  })

  it('leaves nothing behind when its port is taken', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    const refused = await start({ port }).catch((error) => error)
    expect([refused.code, refused.port]).toEqual(['TIDEMARK_PORT_TAKEN', port])
    await new Promise((resolve) => other.close(resolve))
    await expect.poll(() => sql(database.url, 'select slot_name from pg_replication_slots'), BOUND).toEqual([])
    await expect
      .poll(
        () =>
          sql(
            database.url,
            `select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
          ),
        BOUND,
      )
      .toEqual([])
  })

  it('refuses a port that is none', async () => {
    const refused = await start({ port: undefined, env: { DATABASE_URL: database.url, TIDEMARK_PORT: 'http' } }).catch(
      (error) => error,
    )
    expect([refused.code, refused.message]).toEqual(['TIDEMARK_OPTION', expect.stringMatching(/TIDEMARK_PORT/)])
  })

  it('serves the routes and files of an application, and fills its tables before', async () => {
    folder.write('index.html', '<!doctype html><title>Page</title>')
    await start({
      static: folder.path,
      seed: async ({ url, embedded }) => {
        expect(embedded).toBe(false)
        await sql(
          url,
          `create table if not exists seeded (id int primary key); insert into seeded values (1) on conflict do nothing`,
        )
      },
      routes: (app, { url }) => {
        app.post('/write', async () => sql(url, `update posts set title = 'written' where id = 4 returning id`))
      },
      config: folder.write('seeded.yaml', `${CONFIG}  seeded: { sql: select * from seeded }\n`),
    })
    expect(await (await fetch(running!.url)).text()).toMatch(/<title>Page/)
    expect((await fetch(`${running!.url}/%2e%2e/etc/passwd`)).status).toBe(404)
    expect((await get('/api/resources/seeded')).json).toEqual([{ id: 1 }])
    const stream = open('/api/streams/post?id=4')
    await expect.poll(() => stream.events.length, BOUND).toBe(1)
    await fetch(`${running!.url}/write`, { method: 'POST' })
    await expect.poll(() => titles(stream).at(-1), BOUND).toBe('written')
  })
})
