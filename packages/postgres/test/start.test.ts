import type { Client } from 'pg'
import type { Snapshot } from 'tidemark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { type Recorder, until, type World, world } from './recorder.js'

/** The rule Start, on a server of its own: synchronous commits wait for a standby that does not exist. */
let db: World

beforeEach(async () => {
  db = await world({ max_wal_senders: '10' })
  await db.sql('create table posts (id int primary key, v int)', 'insert into posts values (1, 0)')
})

afterEach(async () => {
  await db?.end()
})

async function hideCommits(isHidden: boolean): Promise<void> {
  const standby = isHidden ? 'nobody_such' : ''
  await db.sql(
    'set synchronous_commit = local',
    `alter system set synchronous_standby_names = '${standby}'`,
    'select pg_reload_conf()',
  )
  await until(async () => {
    const [row] = await db.sql('show synchronous_standby_names')
    return row?.synchronous_standby_names === standby
  })
}

/** Commits an update that is flushed and hidden; resolves once it waits for the standby. */
async function hiddenUpdate(
  value: number,
): Promise<{ readonly writer: Client; readonly done: Promise<unknown>; readonly xid: number }> {
  const writer = await db.connect()
  await writer.query('begin')
  await writer.query('update posts set v = $1 where id = 1', [value])
  const { rows } = await writer.query('select pg_current_xact_id()::text as xid, pg_backend_pid() as pid')
  const done = writer.query('commit').catch(() => {})
  await until(async () => {
    const [row] = await db.sql(`select wait_event from pg_stat_activity where pid = ${rows[0].pid}`)
    return row?.wait_event === 'SyncRep'
  })
  return { writer, done, xid: Number(rows[0].xid) }
}

function sees(snapshot: Snapshot, xid: number): boolean {
  return xid < snapshot.xmin || (xid < snapshot.xmax && !snapshot.running.has(xid))
}

test('a commit is delivered before new snapshots see it, and the probe says so until they do', async () => {
  const log = await db.log()
  await hideCommits(true)
  const { done, xid } = await hiddenUpdate(100)
  await until(() => log.rows.length > 0)
  const commit = log.commits[0]!
  expect(commit.xid).toBe(xid)
  const hidden = await log.log.probe()
  expect(sees(hidden.snapshot!, xid)).toBe(false)
  expect(hidden.flushed).toBeGreaterThanOrEqual(commit.lsn) // LSN fences do not help on a primary.
  expect(await db.sql('select v from posts')).toEqual([{ v: 0 }])
  expect(await log.log.visible({ epoch: undefined, lsn: commit.lsn, xid }, AbortSignal.timeout(200))).toBe(false)
  expect(await log.log.visible({ epoch: undefined, lsn: commit.lsn, xid: undefined }, AbortSignal.timeout(200))).toBe(
    false,
  )

  const waiting = log.log.visible({ epoch: undefined, lsn: commit.lsn, xid: undefined }, AbortSignal.timeout(20_000))
  await hideCommits(false)
  await done
  expect(await waiting).toBe(true)
  expect(sees((await log.log.probe()).snapshot!, xid)).toBe(true)
  expect(await log.log.visible({ epoch: undefined, lsn: commit.lsn, xid }, AbortSignal.timeout(20_000))).toBe(true)
})

/** A transaction that has written, so that slots wait for it; it does not wait for the standby itself. */
async function openWriter(): Promise<{ readonly pid: number; readonly xid: number; end(): Promise<unknown> }> {
  const client = await db.connect()
  await client.query('set synchronous_commit = local; begin')
  const { rows } = await client.query('select pg_current_xact_id()::text as xid, pg_backend_pid() as pid')
  return { pid: rows[0].pid, xid: Number(rows[0].xid), end: () => client.query('rollback') }
}

async function waitsFor(log: Recorder, { pid }: { readonly pid: number }): Promise<void> {
  await until(
    () => log.log.status().reason.includes(`process ${pid} `),
    () => `the slot does not wait for ${pid}: ${log.log.status().reason}`,
  )
}

test('while the slot waits for write transactions, the status names them, and for how long they are open', async () => {
  await db.sql('create role app login replication', 'create publication app', 'alter publication app owner to app')
  const writer = await openWriter()
  const log = db.open()
  await waitsFor(log, writer)
  expect(log.log.status()).toMatchObject({ state: 'waiting', reason: expect.stringContaining('TIDEMARK_SLOT_WAITS') })
  expect(log.log.status().reason).toMatch(/\(database \w+, transaction open for \d+ s\)\. End it, or wait/)
  // A role that is shown little of others' sessions.
  const url = new URL(db.url)
  url.username = 'app'
  if (isBefore(14)) {
    await db.sql(
      'grant usage on schema tidemark to app',
      'grant select, insert, update on tidemark.messages to app',
      'alter publication app add table only tidemark.messages',
    )
  }
  const unseeing = db.open({ url: url.href, publication: 'app' })
  await waitsFor(unseeing, writer)
  expect(unseeing.log.status().reason).toMatch(/\(database \w+, since when this role is not shown\)/)
  await writer.end()
  await log.hasStarted(1)
  expect(log.log.status()).toEqual({ state: 'following', reason: '' })
  await unseeing.hasStarted(1)
})

test('a commit that is hidden as the slot begins is part of the proof that the start asks for', async () => {
  await hideCommits(true)
  // The slot is made in three looks at what runs; what begins after the second may be over, and hidden, at the third.
  const first = await openWriter()
  const log = db.open()
  await waitsFor(log, first)
  const second = await openWriter()
  await first.end()
  await waitsFor(log, second)
  const { done, xid } = await hiddenUpdate(100)
  await second.end()
  await log.hasStarted(1)

  const { proof } = log.starts[0]!
  if (proof.kind !== 'snapshot') throw new Error(`the proof is by ${proof.kind}`)
  expect(sees(proof.snapshot, xid)).toBe(true)
  expect(sees((await log.log.probe()).snapshot!, xid)).toBe(false)
  expect(await db.sql('select v from posts')).toEqual([{ v: 0 }])
  await hideCommits(false)
  await done
  expect(sees((await log.log.probe()).snapshot!, xid)).toBe(true)
  await log.caughtUp()
  expect(log.rows).toEqual([]) // No slot ever delivers it.
})

test('where the snapshot is too large to be exported, the start asks for xmin past a transaction of its own', async () => {
  const first = await openWriter()
  const log = db.open()
  await waitsFor(log, first)
  const second = await openWriter()
  await first.end()
  await waitsFor(log, second)
  const third = await openWriter()
  const burn = await db.connect()
  for (let i = 0; i < 400; i++) await burn.query('begin; select pg_current_xact_id(); rollback')
  await burn.query('insert into posts values (2, 2)') // A commit above them: up to here the snapshot has to name them.
  await second.end()
  await waitsFor(log, third)
  await third.end()
  await log.hasStarted(1)
  const { proof } = log.starts[0]!
  if (proof.kind !== 'xmin') throw new Error(`the proof is by ${proof.kind}`)
  expect(proof.xid).toBeGreaterThan(third.xid + 400)
  await until(async () => (await log.log.probe()).snapshot!.xmin > proof.xid)
})
