import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { doctor, journalBackup, postgresMembers } from '@tidemark/postgres'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSession, listSessions } from '../src/access/session-store.js'
import { createToken, listTokens } from '../src/access/token-store.js'
import { BOUND, sql } from './serving.js'

/* Several kinds of tables are made in the schema `tidemark`, each when it is first needed: at a first start all of them at once. */

const MANY = 6
const ROUNDS = 25

let database: TestDatabase
let pool: pg.Pool

beforeAll(async () => {
  database = await testDatabase({ settings: {} })
  pool = new pg.Pool({ connectionString: database.url, max: MANY * 3 })
  // Those that the end of the server finds still open.
  pool.on('error', () => {})
})
afterAll(async () => {
  await pool?.end()
  await database?.drop()
})

const WHO = { name: 'ada', roles: ['viewer'], tenants: 'all', expiresInMs: 60_000 } as const

test('whatever is made at once in an empty database is made', BOUND, async () => {
  await sql(database.url, 'drop schema if exists tidemark cascade')
  const { fix: triggers } = (await doctor(database.url)).find(({ code }) => code === 'ddl-triggers')!
  const processes = [...Array(MANY)].map(() =>
    postgresMembers({ url: database.url, application: 'first', connectTimeoutMs: 20_000, queryTimeoutMs: 20_000 }),
  )
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await sql(database.url, 'drop schema if exists tidemark cascade')
      await Promise.all([
        ...processes.map((members, i) => members.say(`p${i}`, 'here')),
        ...processes.map(() => createToken(pool, WHO)),
        ...processes.map(() => createSession(pool, { ...WHO, principal: 'oidc:ada' })),
        pool.query(triggers),
      ])
      expect(await processes[0]!.say('p0', 'here')).toHaveLength(MANY)
      expect(await listTokens(pool)).toHaveLength(MANY)
      expect(await listSessions(pool)).toHaveLength(MANY)
    }
  } finally {
    for (const members of processes) members.close()
  }
})

test('a role that owns the schema makes them, though it may make no other', BOUND, async () => {
  await sql(
    database.url,
    `drop schema if exists tidemark cascade; drop role if exists owning; create role owning login;
     create schema tidemark authorization owning`,
  )
  const url = new URL(database.url)
  url.username = 'owning'
  const owning = new pg.Pool({ connectionString: url.href, max: 1 })
  try {
    await createToken(owning, WHO)
    await createSession(owning, { ...WHO, principal: 'oidc:ada' })
    expect(await listTokens(owning)).toHaveLength(1)
    expect(await listSessions(owning)).toHaveLength(1)
  } finally {
    await owning.end()
    await sql(database.url, 'drop schema tidemark cascade; drop role owning')
  }
})

test('processes of a new version that begin at once complete the journal of an older one', BOUND, async () => {
  const clients = await Promise.all([...Array(MANY)].map(() => pool.connect()))
  try {
    const prepare = () => Promise.all(clients.map((client) => journalBackup.prepare(client)))
    await prepare()
    for (let round = 0; round < ROUNDS; round++) {
      await pool.query('drop table tidemark_journal.requests')
      await prepare()
    }
    expect((await pool.query('select from tidemark_journal.requests')).rows).toEqual([])
  } finally {
    for (const client of clients) client.release(true)
  }
})
