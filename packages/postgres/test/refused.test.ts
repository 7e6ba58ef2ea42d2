import { createServer, type Server, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { type Recorder, until, type World, world } from './recorder.js'

/** Why a server can't be followed: each with its code and what to do. */
let db: World
const fakes: Server[] = []

beforeAll(async () => {
  db = await world({ max_replication_slots: '2', max_wal_senders: '4' })
  await db.sql('create table posts (id int primary key)')
})

afterEach(() => {
  for (const fake of fakes.splice(0)) fake.close()
})

afterAll(async () => {
  await db?.end()
})

async function refused(log: Recorder): Promise<unknown> {
  await until(
    () => log.losses.length > 0,
    () => log.log.status().state,
  )
  expect(log.log.status()).toMatchObject({ state: 'lost', reason: expect.stringContaining(log.losses[0]!.code) })
  await log.log.close()
  return log.losses[0]
}

function asRole(role: string): string {
  const url = new URL(db.url)
  url.username = role
  return url.href
}

test('a role without REPLICATION is told which right it lacks', async () => {
  await db.sql('create role reader login')
  expect(await refused(db.open({ url: asRole('reader') }))).toMatchObject({
    code: 'TIDEMARK_RIGHTS',
    message: expect.stringContaining('alter role'),
  })
})

test('a role that may not create the publication is given the SQL for somebody who may, and follows once it is run', async () => {
  await db.sql('create role follower login replication', 'grant usage on schema public to follower')
  const log = db.open({ url: asRole('follower'), publication: 'by_dba' })
  await until(() => log.losses.length > 0)
  expect(log.losses[0]).toMatchObject({
    code: 'TIDEMARK_RIGHTS',
    sql: expect.stringContaining('create publication "by_dba" for table'),
  })
  await db.sql((log.losses[0] as unknown as { sql: string }).sql)
  await log.hasStarted(1)
  expect(log.log.followed('public.posts')).toBeDefined()
  await log.log.close()
})

test('tables of others are told as a problem, and what is published is followed', async () => {
  await db.sql(
    'create role owner login replication',
    'create publication mine for table posts',
    'alter publication mine owner to owner',
  )
  await db.sql('create table theirs (id int primary key)')
  const problems: unknown[] = []
  const log = await db.log({
    url: asRole('owner'),
    publication: 'mine',
    onProblem: (problem) => problems.push(problem),
  })
  await log.hasStarted(1)
  expect(log.log.followed('public.posts')).toBeDefined()
  expect(log.log.followed('public.theirs')).toBeUndefined()
  expect(problems).toMatchObject([
    { code: 'TIDEMARK_RIGHTS', sql: expect.stringContaining('alter publication "mine" add table only public.theirs') },
  ])
  await log.log.close()
})

test('a publication that does not send everything is refused', async () => {
  await db.sql("create publication partial for table posts with (publish = 'insert')")
  expect(await refused(db.open({ publication: 'partial' }))).toMatchObject({
    code: 'TIDEMARK_PUBLICATION',
    message: expect.stringContaining('alter publication "partial" set'),
  })
})

// Row filters and column lists came with 15.
if (!isBefore(15)) {
  test('tables with a row filter or a column list are not followed', async () => {
    await db.sql('create table filtered (id int primary key, v int)')
    await db.sql('create publication filters for table filtered where (id > 5), posts (id)')
    const log = await db.log({ publication: 'filters' })
    expect(log.log.followed('public.filtered')).toBeUndefined()
    expect(log.log.followed('public.posts')).toBeUndefined()
    expect(log.log.whyNotFollowed('public.posts')).toContain('only some of its rows or columns')
    await log.log.close()
  })
}

test('when all slots are in use it says so, and goes on by itself once one is free', async () => {
  await db.sql(
    `select pg_create_logical_replication_slot('a', 'pgoutput')`,
    `select pg_create_logical_replication_slot('b', 'pgoutput')`,
  )
  const log = db.open()
  await until(() => log.losses.length > 0)
  expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_NO_SLOT' })
  await db.sql(`select pg_drop_replication_slot('a')`, `select pg_drop_replication_slot('b')`)
  await log.hasStarted(1)
  await log.log.close()
})

test('wal_level below logical is named with the setting', async () => {
  const replica = await world({ wal_level: 'replica' })
  try {
    expect(await refused(replica.open())).toMatchObject({
      code: 'TIDEMARK_WAL_LEVEL',
      message: expect.stringContaining('wal_level'),
    })
  } finally {
    await replica.end()
  }
})

test("a pooler's address is recognised", async () => {
  // What PgBouncer answers to a start-up parameter that it does not pass on.
  const text = 'SFATAL\0C08P01\0Munsupported startup parameter: replication\0\0'
  const pooler = createServer((socket: Socket) => {
    socket.once('data', () => {
      const message = Buffer.alloc(5 + text.length)
      message.write('E', 0)
      message.writeInt32BE(4 + text.length, 1)
      message.write(text, 5, 'latin1')
      socket.end(message)
    })
  })
  fakes.push(pooler)
  await new Promise<void>((resolve) => pooler.listen(0, '127.0.0.1', resolve))
  const { port } = pooler.address() as { port: number }
  const log = db.open({ url: `postgres://u:secret@127.0.0.1:${port}/db` })
  const reason = await refused(log)
  expect(reason).toMatchObject({ code: 'TIDEMARK_POOLER', message: expect.stringContaining('directUrl') })
  expect(String((reason as Error).message)).not.toContain('secret')
})

test('a server that is down is a source that is down, and is tried again', async () => {
  const log = db.open({ url: 'postgres://u:secret@127.0.0.1:1/db' })
  expect(await refused(log)).toMatchObject({ code: 'TIDEMARK_SOURCE_DOWN' })
})
