import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { type PostgresOptions, type PostgresSource, postgres, type Sql } from '@tidemark/postgres'
import pg from 'pg'
import { type Cache, createCache } from 'tidemark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { redisRelay } from '../src/index.js'
import { RedisServer, until } from './redis-server.js'

// Processes on one PostgreSQL and one Redis: one reads the WAL, the others what it relays.

interface Member {
  readonly cache: Cache<{ sql: Sql }>
  readonly source: PostgresSource
  /** The counter's value as this process answers it. */
  ask(id: number, minPosition?: string): Promise<{ value: number; state: string; from: string }>
}

let database: TestDatabase
let server: RedisServer
let admin: pg.Client
let members: Member[]
let joined = 0

beforeEach(async () => {
  members = []
  ;[database, server] = await Promise.all([testDatabase(), RedisServer.start()])
  admin = new pg.Client({ connectionString: database.url })
  admin.on('error', () => {})
  await admin.connect()
  await admin.query('create table counters (id int primary key, n int not null)')
  await admin.query('insert into counters select i, 0 from generate_series(1, 20) i')
})
afterEach(async () => {
  await Promise.all(members.map(({ cache }) => cache.close()))
  await admin.end()
  await Promise.all([database.drop(), server.drop()])
})

async function join(options: Partial<PostgresOptions> = {}): Promise<Member> {
  const relay = redisRelay({ url: server.url, secret: 'ours', commandTimeoutMs: 500 })
  // Another address for each: caches of one source in a process share its log.
  const url = `${database.url}${database.url.includes('?') ? '&' : '?'}application_name=member${++joined}`
  const source = postgres({ url, slot: 'app', secret: 'ours', relay, ...options })
  const cache = createCache({ source, waitMax: 10_000 })
  const counter = cache.define(
    'counter',
    ({ sql }, id: number) => sql.one<{ n: number }>`select n from counters where id = ${id}`,
  )
  const member: Member = {
    cache,
    source,
    async ask(id, minPosition) {
      const { value, state, from } = await counter.with(minPosition === undefined ? {} : { minPosition }).ask(id)
      return { value: value!.n, state, from }
    },
  }
  members.push(member)
  await isReady(member)
  return member
}

const isReady = ({ cache }: Member) =>
  until(() => cache.status().keeping && cache.status().current, JSON.stringify(cache.status()))
const roles = () => members.map(({ cache }) => cache.status().log.role)
const keeps = (member: Member, id: number) => until(async () => (await member.ask(id)).from === 'l1')

/** Adds one, and returns the position to read it at. */
async function add(id: number): Promise<string> {
  await admin.query('update counters set n = n + 1 where id = $1', [id])
  const { rows } = await admin.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
  return rows[0]!.lsn
}

test('one process reads the WAL; what anybody commits is gone in all, and each keeps what it loads', async () => {
  for (let i = 0; i < 3; i++) await join()
  expect(roles().sort()).toEqual(['follower', 'follower', 'leader'])
  const { rows } = await admin.query('select slot_name, active from pg_replication_slots')
  expect(rows).toEqual([{ slot_name: 'app', active: true }])
  for (let n = 1; n <= 30; n++) {
    const position = await add(1)
    for (const member of members) expect(await member.ask(1, position)).toMatchObject({ value: n, state: 'fresh' })
  }
  for (const member of members) await keeps(member, 1)
  const before = members.map(({ cache }) => cache.counters.invalidated)
  await add(1)
  await until(() => members.every(({ cache }, i) => cache.counters.invalidated > before[i]!))
  // A row beside it touches nobody.
  for (const member of members) await keeps(member, 2)
  const position = await add(3)
  for (const member of members) {
    await member.ask(3, position)
    expect((await member.ask(2)).from).toBe('l1')
  }
})

test('what one process asks to be invalidated is gone in all', async () => {
  const [one, other] = [await join(), await join()]
  let value = 1
  const ask = (member: Member) => member.cache.get('tagged', async () => value, { tags: ['t'] })
  for (const member of [one, other]) expect(await ask(member)).toBe(1)
  for (const asking of [one, other]) {
    value++
    const position = await asking.cache.invalidate({ tags: ['t'] })
    for (const member of [one, other])
      expect(await member.cache.get('tagged', async () => value, { tags: ['t'], minPosition: position })).toBe(value)
  }
})

test('a table that was made later is followed by all', async () => {
  const [one, other] = [await join(), await join()]
  await admin.query('create table later (id int primary key, n int)')
  await admin.query('insert into later values (1, 0)')
  const ask = (member: Member, minPosition?: string) =>
    member.cache.ask('later', ({ sql }) => sql.one<{ n: number }>`select n from later where id = 1`, {
      ...(minPosition === undefined ? {} : { minPosition }),
    })
  for (const member of [one, other]) await until(async () => (await ask(member)).from === 'l1')
  await admin.query('update later set n = 1')
  const { rows } = await admin.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
  for (const member of [one, other]) expect((await ask(member, rows[0]!.lsn)).value).toEqual({ n: 1 })
})

test('when the leader goes another one leads; the others go on with what they kept, and miss nothing', async () => {
  for (let i = 0; i < 3; i++) await join()
  for (const member of members) for (let id = 1; id <= 20; id++) await keeps(member, id)
  const leader = members[roles().indexOf('leader')]!
  members = members.filter((member) => member !== leader)
  const beganAt = performance.now()
  const isClosed = leader.cache.close()
  // While nobody leads.
  await add(1)
  await until(() => roles().includes('leader'), 'another leads')
  await isClosed
  const position = await add(2)
  for (const member of members) {
    expect(await member.ask(1, position)).toMatchObject({ value: 1 })
    expect(await member.ask(2, position)).toMatchObject({ value: 1 })
  }
  expect(performance.now() - beganAt).toBeLessThan(10_000)
  const follower = members[roles().indexOf('follower')]!
  expect(follower.cache.counters.gaps).toBe(0)
  expect((await follower.ask(3)).from).toBe('l1')
})

test('the leader whose walsender is ended leads on, and nobody loses anything', async () => {
  for (let i = 0; i < 2; i++) await join()
  for (const member of members) await keeps(member, 1)
  await admin.query('select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1', ['app'])
  const position = await add(2)
  for (const member of members) {
    expect(await member.ask(2, position)).toMatchObject({ value: 1, state: 'fresh' })
    expect(member.cache.counters.gaps).toBe(0)
    expect((await member.ask(1)).from).toBe('l1')
  }
  expect(roles().sort()).toEqual(['follower', 'leader'])
})

test('without Redis a follower answers from the source, and the leader as ever; with it again nobody has lost anything', async () => {
  for (let i = 0; i < 2; i++) await join()
  for (const member of members) await keeps(member, 1)
  const follower = members[roles().indexOf('follower')]!
  const leader = members[roles().indexOf('leader')]!
  await server.kill()
  await until(() => !follower.cache.status().current)
  const position = await add(2)
  expect(await leader.ask(2, position)).toMatchObject({ value: 1, state: 'fresh' })
  expect(await follower.ask(2)).toMatchObject({ value: 1, state: 'fenced' })
  await server.start()
  await isReady(follower)
  expect(await follower.ask(2, position)).toMatchObject({ value: 1, state: 'fresh' })
  expect((await follower.ask(1)).from).toBe('l1')
  expect(follower.cache.counters.gaps).toBe(0)
})

test('under load no read that carries the position of a write is older, whoever answers and whoever leads', async () => {
  for (let i = 0; i < 3; i++) await join()
  const expected = new Map<number, number>()
  let wrong = 0
  for (let i = 0; i < 300; i++) {
    const id = 1 + (i % 7)
    const position = await add(id)
    expected.set(id, (expected.get(id) ?? 0) + 1)
    const member = members[i % members.length]!
    if (i === 150)
      await admin.query('select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1', [
        'app',
      ])
    if (i === 220) await server.admin.flushall()
    const { value } = await member.ask(id, position)
    if (value < expected.get(id)!) wrong++
  }
  expect(wrong).toBe(0)
})

test('a follower needs no right to replicate', async () => {
  await join()
  await admin.query('create role reader login; grant select on counters to reader')
  const url = new URL(database.url)
  url.username = 'reader'
  const reader = await join({ url: url.href, role: 'follower' })
  await keeps(reader, 1)
  expect(await reader.ask(1, await add(1))).toMatchObject({ value: 1, state: 'fresh' })
  expect(reader.cache.status().log.role).toBe('follower')
})

test('a restart of PostgreSQL is another epoch for all, which one leads into', async () => {
  const own = await testDatabase({ settings: {} })
  try {
    const url = (name: string) => `${own.url}${own.url.includes('?') ? '&' : '?'}application_name=${name}`
    const client = new pg.Client({ connectionString: own.url })
    await client.connect()
    await client.query('create table counters (id int primary key, n int not null); insert into counters values (1, 7)')
    await client.end()
    const [one, other] = [await join({ url: url('one') }), await join({ url: url('other') })]
    for (const member of [one, other]) await keeps(member, 1)
    await own.server.kill()
    await until(() => !one.cache.status().current && !other.cache.status().current)
    await own.server.restart()
    for (const member of [one, other]) await isReady(member)
    expect(one.cache.status().tidemark!.split(':')[0]).toBe(other.cache.status().tidemark!.split(':')[0])
    for (const member of [one, other]) expect((await member.ask(1)).value).toBe(7)
    await Promise.all([one, other].map(({ cache }) => cache.close()))
  } finally {
    await own.drop()
  }
})
