import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Journal, JournalOptions } from '../src/index.js'
import { headsFolder, recordsWhen, verified } from './journal-world.js'
import { type Opened, until, World } from './opened.js'

/** A journal that can't be written: nothing waits for it, nothing is lost, and it says so. */

const slot = 'shared_by_all'
let world: World
let heads: ReturnType<typeof headsFolder>
let opened: Opened
let journal: Journal

beforeEach(async () => {
  world = await World.create('create table posts (id serial primary key, title text)', {})
  heads = headsFolder()
})
afterEach(async () => {
  await world?.drop()
  heads?.remove()
})

async function open(options: JournalOptions = {}, slotKeepMax?: number): Promise<void> {
  opened = await world.open({
    slot,
    journal: { heads: heads.path, ...options },
    ...(slotKeepMax === undefined ? {} : { slotKeepMax }),
  })
  journal = opened.source.journal!
  await until(() => opened.cache.status().log.slot?.isHeld === true)
  await until(() => journal.status().written > 0)
}

async function refuse(): Promise<void> {
  await world.admin.query(`
    create function refuse_all() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger refuse_all before insert on tidemark_journal.invalidation_audit for each row execute function refuse_all()`)
}

async function accept(): Promise<void> {
  await world.admin.query('drop trigger refuse_all on tidemark_journal.invalidation_audit; drop function refuse_all')
}

async function confirmed(): Promise<string> {
  const { rows } = await world.admin.query(
    `select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = '${slot}'`,
  )
  return rows[0]?.lsn
}

async function isGreater(lsn: string, than: string): Promise<boolean> {
  const { rows } = await world.admin.query('select $1::pg_lsn > $2::pg_lsn as greater', [lsn, than])
  return rows[0].greater
}

test('while it cannot be written, invalidations go on, the slot stands, and health has the reason', async () => {
  await open()
  await refuse()
  for (let i = 0; i < 20; i++) await opened.cache.invalidate({ keys: [`k${i}`], by: { requestId: `r${i}` } })
  await until(() => journal.status().state === 'waiting')
  expect(journal.status()).toMatchObject({ waitsInLog: false })
  expect(journal.status().reason).toMatch(/can't be written/)
  const held = await confirmed()
  const { rows } = await world.admin.query('select pg_current_wal_lsn()::text as lsn')
  expect(await isGreater(rows[0].lsn, held)).toBe(true)
  await accept()
  const records = await recordsWhen(journal, (all) => all.filter(({ requestId }) => requestId).length === 20)
  expect(records.filter(({ requestId }) => requestId).map(({ requestId }) => requestId)).toEqual(
    Array.from({ length: 20 }, (_, i) => `r${i}`),
  )
  await until(async () => isGreater(await confirmed(), held))
  expect(journal.status()).toMatchObject({ state: 'writing', reason: '', waiting: 0 })
  expect((await verified(journal)).problems).toEqual([])
})

test('what does not fit into memory waits in the log, and is delivered again', { timeout: 120_000 }, async () => {
  await open({ queueMax: 30 })
  await refuse()
  for (let i = 0; i < 200; i++) await opened.cache.invalidate({ keys: [`k${i}`], by: { requestId: `r${i}` } })
  await until(() => journal.status().waitsInLog)
  await accept()
  const records = await recordsWhen(journal, (all) => all.filter(({ requestId }) => requestId).length >= 200)
  const asked = records.flatMap(({ requestId }) => requestId ?? [])
  expect(asked).toEqual(Array.from({ length: 200 }, (_, i) => `r${i}`))
  await until(() => journal.status().state === 'writing' && !journal.status().waitsInLog)
  // Nothing of it was missed by the cache: what it lost, it took up where it was.
  expect(opened.cache.status()).toMatchObject({ current: true })
  expect((await verified(journal)).problems).toEqual([])
  expect(records.filter(({ origin }) => origin === 'gap')).toEqual([])
})

test('an outage that outlasts slotKeepMax leaves a gap, and the journal says so', { timeout: 120_000 }, async () => {
  await open({}, 16 * 2 ** 20)
  await refuse()
  await opened.cache.invalidate({ keys: ['before'], by: { requestId: 'before' } })
  await until(() => journal.status().state === 'waiting')
  const emptied: number[] = []
  opened.cache.on('started', () => emptied.push(1))
  for (let i = 0; i < 2; i++)
    await world.admin.query("select pg_logical_emit_message(false, 'fill', repeat('x', 20000000))")
  await until(() => emptied.length > 0, 'the slot was never given up', 30_000)
  await until(() => opened.cache.status().log.slot?.isHeld === true, 'it was never made anew', 30_000)
  await accept()
  await opened.cache.invalidate({ keys: ['after'], by: { requestId: 'after' } })
  const records = await recordsWhen(journal, (all) => all.some(({ requestId }) => requestId === 'after'))
  // What waited in memory is written all the same.
  expect(records.flatMap(({ requestId }) => requestId ?? [])).toEqual(['before', 'after'])
  const gap = records.find(({ origin }) => origin === 'gap')
  expect(gap?.cause).toMatch(/never delivered/)
  expect((await verified(journal)).problems).toEqual([])
})

test('a slot that somebody moved on is a gap in the journal', { timeout: 120_000 }, async () => {
  await open()
  await opened.cache.invalidate({ keys: ['a'], by: { requestId: 'a' } })
  await recordsWhen(journal, (all) => all.some(({ requestId }) => requestId === 'a'))
  await world.closeCaches()
  await world.admin.query("insert into posts (title) values ('missed')")
  await until(async () => {
    const { rows } = await world.admin.query('select active from pg_replication_slots')
    return rows[0].active === false
  })
  await world.admin.query(`select pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`)
  await open()
  const records = await recordsWhen(journal, (all) => all.some(({ origin }) => origin === 'gap'))
  expect(records.filter(({ origin }) => origin === 'gap')).toHaveLength(1)
  expect((await verified(journal)).problems).toEqual([])
})
