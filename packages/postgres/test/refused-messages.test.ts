import * as fs from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Embedded, startEmbedded } from '@tidemark/embedded'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { doctor } from '../src/doctor.js'
import { OldServer } from './old-server.js'
import { expectPlain } from './plain.js'
import { type Recorder, until, type World, world } from './recorder.js'

/** Each way in which a server can't be followed says in one sentence what is wrong, and in one what to do. */
let db: World
const fakes: Server[] = []

beforeAll(async () => {
  db = await world({ max_replication_slots: '1', max_wal_senders: '2' })
  await db.sql(
    'create table posts (id int primary key)',
    'create role reader login',
    'create role stranger login replication',
    "create publication partial for table posts with (publish = 'insert, update, delete')",
  )
})

afterEach(() => {
  for (const fake of fakes.splice(0)) fake.close()
})

afterAll(async () => {
  await db?.end()
})

function address(parts: { readonly user?: string; readonly database?: string }): string {
  const url = new URL(db.url)
  if (parts.user) url.username = parts.user
  if (parts.database) url.pathname = `/${parts.database}`
  return url.href
}

/** A server that answers whatever is sent first with an error. */
async function answering(state: string): Promise<string> {
  const fake = createServer((socket: Socket) => {
    socket.once('data', () => {
      const text = `SFATAL\0C${state}\0Mthe words of the server\0\0`
      const message = Buffer.alloc(5 + text.length)
      message.write('E', 0)
      message.writeInt32BE(4 + text.length, 1)
      message.write(text, 5, 'latin1')
      socket.end(message)
    })
  })
  fakes.push(fake)
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve))
  return `postgres://somebody:verysecret@127.0.0.1:${(fake.address() as { port: number }).port}/db`
}

async function refusal(log: Recorder): Promise<{ readonly code: string; readonly message: string }> {
  await until(
    () => log.losses.length > 0,
    () => log.log.status().state,
  )
  await log.log.close()
  return log.losses[0]!
}

interface Case {
  readonly wrong: string
  readonly code: string
  readonly says: RegExp
  readonly mends: RegExp
  open(): Promise<Recorder> | Recorder
  readonly before?: string
  readonly after?: string
}

const CASES: readonly Case[] = [
  {
    wrong: 'the role may not replicate',
    code: 'TIDEMARK_RIGHTS',
    says: /may not replicate/,
    mends: /alter role "reader" replication/,
    open: () => db.open({ url: address({ user: 'reader' }) }),
  },
  {
    wrong: 'the role may not connect to the database',
    code: 'TIDEMARK_RIGHTS',
    says: /may not connect/,
    mends: /grant connect on database "closed" to "stranger"/,
    before: 'create database closed; revoke connect on database closed from public',
    open: () => db.open({ url: address({ user: 'stranger', database: 'closed' }) }),
    after: 'drop database closed',
  },
  {
    wrong: 'the role may not create the publication',
    code: 'TIDEMARK_RIGHTS',
    says: /may not create it/,
    mends: /create publication "wanted" for table only public.posts/,
    open: () => db.open({ url: address({ user: 'stranger' }), publication: 'wanted' }),
  },
  {
    wrong: 'no such user',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /does not let this user in.*28000/,
    mends: /pg_hba\.conf/,
    open: () => db.open({ url: address({ user: 'nobody_such' }) }),
  },
  {
    wrong: 'no such database',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /does not exist.*3D000/,
    mends: /create it/,
    open: () => db.open({ url: address({ database: 'none_such' }) }),
  },
  {
    wrong: 'a wrong password',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /password.*28P01/,
    mends: /Correct them/,
    open: async () => db.open({ url: await answering('28P01') }),
  },
  {
    wrong: 'a server that starts',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /starting.*57P03/,
    mends: /Wait/,
    open: async () => db.open({ url: await answering('57P03') }),
  },
  {
    wrong: 'a port that nothing listens on',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /Nothing answers.*ECONNREFUSED/,
    mends: /host and port/,
    open: () => db.open({ url: 'postgres://somebody:verysecret@127.0.0.1:1/db' }),
  },
  {
    wrong: 'a host that there is not',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /host.*cannot be found/,
    mends: /name service/,
    open: () => db.open({ url: 'postgres://somebody:verysecret@nowhere.invalid/db' }),
  },
  {
    wrong: 'a server that ends connections',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /stops or somebody had it ended.*57P01/,
    mends: /look into its log/,
    open: async () => db.open({ url: await answering('57P01') }),
  },
  {
    wrong: 'a certificate file that there is not',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /A file that the address.*ENOENT/,
    mends: /sslrootcert/,
    open: () =>
      db.open({ url: 'postgres://somebody:verysecret@127.0.0.1:1/db?sslmode=require&sslrootcert=/none/such' }),
  },
  {
    wrong: 'an address that is none',
    code: 'TIDEMARK_SOURCE_DOWN',
    says: /cannot be read.*ERR_INVALID_URL/,
    mends: /percent-encoded/,
    open: () => db.open({ url: 'postgres://somebody:verysecret#@127.0.0.1:1/db' }),
  },
  {
    wrong: "a pooler's address",
    code: 'TIDEMARK_POOLER',
    says: /connection pooler/,
    mends: /directUrl/,
    open: async () => db.open({ url: await answering('08P01') }),
  },
  {
    wrong: 'a server that does not know our settings',
    code: 'TIDEMARK_VERSION',
    says: /does not know a setting/,
    mends: /Upgrade/,
    open: async () => db.open({ url: await answering('42704') }),
  },
  {
    wrong: 'a publication without truncate',
    code: 'TIDEMARK_PUBLICATION',
    says: /does not send every change/,
    mends: /alter publication "partial" set \(publish = 'insert, update, delete, truncate'/,
    open: () => db.open({ publication: 'partial' }),
  },
  {
    wrong: 'no slot left',
    code: 'TIDEMARK_NO_SLOT',
    says: /replication slots.*in use/,
    mends: /max_replication_slots/,
    before: "select pg_create_logical_replication_slot('taken', 'pgoutput')",
    open: () => db.open(),
    after: "select pg_drop_replication_slot('taken')",
  },
  {
    wrong: "another program's slot as the shared one",
    code: 'TIDEMARK_SLOT',
    says: /not one of Tidemark's/,
    mends: /another name/,
    before: "select pg_create_logical_replication_slot('theirs', 'test_decoding')",
    open: () => db.open({ slot: 'theirs' }),
    after: "select pg_drop_replication_slot('theirs')",
  },
]

test.for(CASES)('$wrong: $code', async ({ code, says, mends, open, before, after }) => {
  for (const statement of before?.split('; ') ?? []) await db.sql(statement)
  const error = await refusal(await open())
  if (after) await db.sql(after)
  expect(error.code).toBe(code)
  expectPlain(error, says, mends)
})

test('no walsender left: TIDEMARK_NO_SLOT', async () => {
  const few = await world({ max_wal_senders: '1' })
  const first = await few.log()
  const error = await refusal(few.open())
  await first.log.close()
  await few.end()
  expect(error.code).toBe('TIDEMARK_NO_SLOT')
  expectPlain(error, /no connection or walsender left/, /max_wal_senders/)
})

test('PostgreSQL 12: TIDEMARK_VERSION, also by the doctor, which asks nothing more of it', async () => {
  const old = await OldServer.to(db.url)
  try {
    const error = await refusal(db.open({ url: old.url }))
    expect(error.code).toBe('TIDEMARK_VERSION')
    expectPlain(error, /before version 13 cannot be followed/, /Upgrade the server to 13 or later/)
    expect(await doctor(old.url)).toMatchObject([
      { severity: 'error', code: 'TIDEMARK_VERSION', title: error.message, isSql: false },
    ])
  } finally {
    await old.end()
  }
})

test('wal_level below logical: TIDEMARK_WAL_LEVEL', async () => {
  const bare = await world({ wal_level: 'replica' })
  const error = await refusal(bare.open())
  await bare.end()
  expect(error.code).toBe('TIDEMARK_WAL_LEVEL')
  expectPlain(error, /wal_level below logical/, /alter system set wal_level = logical/)
})

test("a standby's address: TIDEMARK_STANDBY", async () => {
  const primary = await world({})
  const { dataDir } = primary.server
  let standby: Embedded | undefined
  try {
    await primary.server.stop()
    fs.writeFileSync(join(dataDir, 'postgres', 'standby.signal'), '')
    const binDir = process.env.TIDEMARK_TEST_POSTGRES
    standby = await startEmbedded({ dataDir, isDurable: false, ...(binDir ? { binDir } : {}) })
    const url = standby.databaseUrl(new URL(primary.url).pathname.slice(1))
    const error = await refusal(primary.open({ url }))
    expect(error.code).toBe('TIDEMARK_STANDBY')
    expectPlain(error, /is a standby/, /address of the primary/)
  } finally {
    await standby?.stop()
    await primary.end()
  }
})
