import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkActivity } from '../src/doctor/activity.js'
import { checkFollowers } from '../src/doctor/followers.js'
import { doctor, type Finding } from '../src/doctor.js'
import { SqlConnection } from '../src/wal/connection.js'
import { connectSql } from '../src/wal/server.js'
import { SilentLine } from './line.js'
import { until, type World, world } from './recorder.js'

/** What the doctor says of slots, followers and transactions that are there now. */
let db: World
let admin: SqlConnection
let app: SqlConnection

beforeAll(async () => {
  db = await world({ max_slot_wal_keep_size: '1MB', wal_keep_size: '0', max_wal_size: '32MB', min_wal_size: '32MB' })
  await db.sql('create table posts (id int primary key)', 'create role app login replication')
  admin = as()
  app = as('app')
})

afterAll(async () => {
  await admin?.close()
  await app?.close()
  await db?.end()
})

function as(role?: string): SqlConnection {
  const address = new URL(db.url)
  if (role) address.username = role
  const options = { url: address.href, applicationName: 'test', connectTimeoutMs: 5_000 }
  return new SqlConnection(() => connectSql(options, {}, undefined), 5_000)
}

function of(findings: readonly Finding[], code: string): readonly Finding[] {
  return findings.filter((finding) => finding.code === code)
}

/** Makes the server give up every slot that nobody reads. */
async function loseSlots(): Promise<void> {
  const message = "select pg_logical_emit_message(false, 'fill', '')"
  for (let i = 0; i < 4; i++) await db.sql(message, 'select pg_switch_wal()')
  await db.sql('checkpoint')
}

test('a slot that has lost its WAL is told, and the SQL drops it', async () => {
  await db.sql("select pg_create_logical_replication_slot('of_others', 'pgoutput')")
  await loseSlots()
  const [lost] = of(await doctor(db.url), 'slot-lost')
  expect(lost).toMatchObject({ severity: 'warning', title: 'slot of_others has lost its WAL', isSql: true })
  await db.sql(lost!.fix)
  expect(of(await doctor(db.url), 'slot-lost')).toEqual([])
})

test('a shared slot that has lost its WAL is told, and the SQL drops it', async () => {
  await (await db.log({ slot: 'ours' })).log.close()
  await loseSlots()
  const found = async () => of(await doctor(db.url, { slot: 'ours' }), 'shared-slot')
  const [lost] = await found()
  expect(lost).toMatchObject({ severity: 'warning', title: 'the shared slot ours has lost its WAL', isSql: true })
  await db.sql(lost!.fix)
  expect(await found()).toMatchObject([{ severity: 'ok', title: expect.stringContaining('first start') }])
})

test('write transactions that are open for long are named, with for how long', async () => {
  const writer = await db.connect()
  await writer.query('begin; insert into posts values (1)')
  const { rows } = await writer.query('select pg_backend_pid() as pid')
  await until(
    async () => of(await checkActivity(admin, undefined, { openSeconds: 1 }), 'long-transaction').length === 1,
  )
  const [found] = of(await checkActivity(admin, undefined, { openSeconds: 1 }), 'long-transaction')
  expect(found!.title).toMatch(new RegExp(`process ${rows[0].pid} in test_\\w+ \\(\\d+ s\\)`))
  expect(of(await checkActivity(admin, undefined), 'long-transaction')).toEqual([])
  await writer.query('rollback')
})

test('a follower that hangs is told by its slot, with what was sent and what was applied, as far as the role is shown it', async () => {
  const line = await SilentLine.to(db.url)
  try {
    const log = await db.log({ url: line.url })
    expect(await checkFollowers(admin, undefined)).toMatchObject([
      { severity: 'ok', title: expect.stringMatching(/^1 process\(es\) follow, at most 0 MB behind$/) },
    ])
    line.silenceReplication()
    await db.sql("select pg_logical_emit_message(false, 'fill', repeat('x', 3000000))")
    await log.log.probe()
    const [slow] = await checkFollowers(admin, undefined, 2 ** 21)
    expect(slow).toMatchObject({
      code: 'follower-lag',
      severity: 'warning',
      title: expect.stringMatching(
        /slot tidemark_\d+_[0-9a-f]{12} \(walsender \d+\) is behind: \d MB are not sent, 3 MB are not applied$/,
      ),
    })
    const [unseen] = await checkFollowers(app, undefined, 2 ** 21)
    expect(unseen).toMatchObject({
      severity: 'warning',
      title: expect.stringMatching(/3 MB are not applied \(how much was sent, this role is not shown\)$/),
      fix: expect.stringContaining('grant pg_read_all_stats'),
    })
    expect(of(await checkActivity(app, undefined, { heldBytes: 2 ** 21 }), 'slot-lag')).toMatchObject([
      { severity: 'warning', title: expect.stringMatching(/^slot tidemark_\S+ is 3 MB behind, read by process \d+$/) },
    ])
  } finally {
    await line.end()
  }
})

test('a shared slot counts among the followers, and others do not', async () => {
  const log = await db.log({ slot: 'ours' })
  expect(await checkFollowers(admin, 'ours')).toMatchObject([{ title: expect.stringMatching(/^1 process/) }])
  expect(await checkFollowers(admin, undefined)).toEqual([])
  await log.log.close()
  await db.sql("select pg_drop_replication_slot('ours')")
})
