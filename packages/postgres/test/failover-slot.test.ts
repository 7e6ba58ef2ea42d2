import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { SilentLine } from './line.js'
import { type Recorder, until, type World, world } from './recorder.js'
import { type Standby, standbyOf } from './standby.js'

/** A shared slot of which a standby keeps a copy (PostgreSQL 17 and later), and what becomes of it when the standby is promoted. */
const slot = 'shared_by_all'
let db: World
let line: SilentLine
let standby: Standby
let replica: Client

const holds = (log: Recorder): boolean => log.log.status().slot?.isHeld === true

beforeEach(async () => {
  db = await world({})
  await db.sql('create table posts (id int primary key)', "select pg_create_physical_replication_slot('for_standby')")
  line = await SilentLine.to(db.url)
})

afterEach(async () => {
  await replica?.end().catch(() => {})
  await line?.end()
  await standby?.end()
  await db?.end()
})

async function startStandby(settings: Readonly<Record<string, string>>): Promise<void> {
  const name = new URL(db.url).pathname.slice(1)
  const all = { primary_slot_name: 'for_standby', max_slot_wal_keep_size: '-1', ...settings }
  standby = await standbyOf(db.server, await db.connect(), all, name)
  replica = new Client({ connectionString: standby.server.databaseUrl(name) })
  replica.on('error', () => {})
  await replica.connect()
}

/** Makes the shared slot one that standbys copy, starts a standby that does, and waits until its copy would outlive a promotion. */
async function copiedSlot(): Promise<Recorder> {
  const first = await db.log({ slot })
  await first.log.close()
  const replication = new Client({ connectionString: `${db.url}&replication=database` })
  await replication.connect()
  await replication.query(`ALTER_REPLICATION_SLOT ${slot} (FAILOVER true)`)
  await replication.end()
  await startStandby({ sync_replication_slots: 'on' })
  await feedback('on')
  const log = await db.log({ slot, url: line.url })
  await until(
    async () => {
      await db.sql('select pg_log_standby_snapshot()')
      const copy = await copyOnStandby()
      return copy?.synced === true && copy.temporary === false
    },
    () => 'the standby did not copy the slot for good',
    60_000,
  )
  return log
}

/** Whether the standby keeps the primary from removing what it needs. */
async function feedback(state: 'on' | 'off'): Promise<void> {
  await replica.query(`alter system set hot_standby_feedback = ${state}`)
  await replica.query('select pg_reload_conf()')
}

async function copyOnStandby(): Promise<Record<string, unknown> | undefined> {
  const { rows } = await replica.query(
    `select temporary, synced, invalidation_reason as reason from pg_replication_slots where slot_name = '${slot}'`,
  )
  return rows[0]
}

async function promote(): Promise<void> {
  db.server.kill()
  await replica.query('select pg_promote()')
  line.leadTo(standby.server.databaseUrl(new URL(db.url).pathname.slice(1)))
}

/** The log goes on at the promoted standby, through the shared slot and from empty. */
async function goesOn(log: Recorder): Promise<void> {
  await until(
    () => log.starts.length === 2 && holds(log),
    () => JSON.stringify(log.log.status()),
    60_000,
  )
  expect(log.starts.map(({ epoch }) => epoch.split('-')[1])).toEqual(['1', '2'])
  expect(log.resumes).toBe(0)
  log.commits.length = 0
  await replica.query('insert into posts values (2)')
  await log.caughtUp()
  // The standby's copy may lie further back: what lies before the start comes again.
  expect(log.rows.map((row) => row.new!.id).at(-1)).toBe('2')
}

test('where the promoted standby has no copy of the slot it is made anew', { timeout: 120_000 }, async () => {
  await startStandby({})
  const log = await db.log({ slot, url: line.url })
  await db.sql('insert into posts values (1)')
  await log.caughtUp()
  await until(async () => (await replica.query('select from posts')).rows.length === 1)
  await promote()
  await goesOn(log)
})

if (!isBefore(17)) {
  test('a promoted standby has the shared slot, and the log goes on through it in a new epoch', {
    timeout: 180_000,
  }, async () => {
    const log = await copiedSlot()
    await db.sql('insert into posts values (1)')
    await log.caughtUp()
    await promote()
    await goesOn(log)
    const { rows } = await replica.query(
      'select slot_name, synced, failover from pg_replication_slots where not temporary',
    )
    expect(rows).toEqual([{ slot_name: slot, synced: true, failover: true }])
  })

  test('a copy that the standby had to invalidate is made anew once it is promoted', { timeout: 180_000 }, async () => {
    const log = await copiedSlot()
    // Without feedback, rows of the catalogue that the copy needs are removed.
    await feedback('off')
    await until(
      async () => {
        await db.sql('create table gone (id int)', 'drop table gone', 'vacuum pg_class, pg_attribute, pg_type')
        return (await copyOnStandby())?.reason === 'rows_removed'
      },
      () => 'it was not invalidated',
      60_000,
    )
    await promote()
    await goesOn(log)
    const { rows } = await replica.query(
      'select slot_name, synced, invalidation_reason as reason from pg_replication_slots where not temporary',
    )
    expect(rows).toEqual([{ slot_name: slot, synced: false, reason: null }])
  })
}
