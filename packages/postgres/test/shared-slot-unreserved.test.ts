import { afterEach, beforeEach, expect, test } from 'vitest'
import { doctor } from '../src/doctor.js'
import { until, type World, world } from './recorder.js'

/** A shared slot that the server holds less for than it needs: what it needs is still there, until a checkpoint removes it. */
let db: World
const slot = 'shared_by_all'

let checkpointer = 0

beforeEach(async () => {
  db = await world({ max_slot_wal_keep_size: '1MB', wal_keep_size: '0', max_wal_size: '32MB', min_wal_size: '32MB' })
  await db.sql('create table posts (id int primary key, v int)')
  const [row] = await db.sql("select pid from pg_stat_activity where backend_type = 'checkpointer'")
  checkpointer = Number(row!.pid)
})

afterEach(async () => {
  if (checkpointer > 0) process.kill(checkpointer, 'SIGCONT')
  await db?.end()
})

async function isUnreserved(): Promise<boolean> {
  const [row] = await db.sql(`select wal_status from pg_replication_slots where slot_name = '${slot}'`)
  return row?.wal_status === 'unreserved'
}

test('the doctor tells it, and who takes it up before a checkpoint misses nothing', { timeout: 120_000 }, async () => {
  const first = await db.log({ slot })
  await first.log.close()
  await db.sql('insert into posts values (1, 1)')
  // Until it goes on, nothing is removed.
  process.kill(checkpointer, 'SIGSTOP')
  for (let i = 0; i < 4; i++)
    await db.sql("select pg_logical_emit_message(false, 'fill', repeat('x', 20000000))", 'select pg_switch_wal()')
  await until(isUnreserved)
  const findings = await doctor(db.url, { slot })
  expect(findings).toContainEqual(
    expect.objectContaining({
      code: 'shared-slot',
      severity: 'warning',
      title: `the shared slot ${slot} is about to lose its WAL`,
    }),
  )
  const problems: string[] = []
  const log = await db.log({ slot, onProblem: ({ message }) => problems.push(message) })
  await db.sql('insert into posts values (2, 1)')
  await log.caughtUp()
  expect(problems).toEqual([])
  expect(log.log.status().slot).toMatchObject({ isHeld: true })
  expect(log.rows.map((row) => row.new!.id)).toEqual(['1', '2'])
})
