import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SilentLine } from './line.js'
import { until, type World, world } from './recorder.js'

const LOADER = new URL('./typescript-loader.mjs', import.meta.url).href

let db: World

beforeEach(async () => {
  db = await world({})
  await db.sql('create table posts (id int primary key)')
})

afterEach(async () => {
  await db?.end()
})

async function slots(): Promise<unknown[]> {
  return db.sql('select slot_name, active from pg_replication_slots')
}

test('a terminated walsender is a loss, and a new slot is taken up at once', async () => {
  const log = await db.log()
  await db.sql('insert into posts values (1)')
  await log.since()
  await db.sql('select pg_terminate_backend(active_pid) from pg_replication_slots')
  await until(() => log.losses.length === 1)
  expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_LOG_GAP' })
  await log.hasStarted(2)
  expect(log.starts[1]!.epoch).toBe(log.starts[0]!.epoch)
  expect(log.starts[1]!.lsn).toBeGreaterThan(log.starts[0]!.lsn)
  await db.sql('insert into posts values (2)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['2'])
  expect(await slots()).toHaveLength(1)
})

test('a dropped publication is noticed within 5 s, however rarely the catalogue is looked at', async () => {
  const log = await db.log({ cataloguePollMs: 60_000 })
  await db.sql('drop publication tidemark')
  await until(
    () => log.losses.length === 1,
    () => 'it was not noticed',
    5_000,
  )
  expect(log.losses[0]).toMatchObject({ code: 'TIDEMARK_LOG_GAP', message: expect.stringContaining('"tidemark"') })
  await log.hasStarted(2)
  await until(() => log.log.followed('public.posts') !== undefined)
  await db.sql('insert into posts values (1)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['1'])
})

test.each([{ slot: 'shared_by_all' }, {}])(
  'a slot that the server invalidated is noticed within 5 s, though nothing is heard on its connection: %j',
  { timeout: 60_000 },
  async (options) => {
    await db.end()
    db = await world({ max_slot_wal_keep_size: '1MB', wal_keep_size: '0', max_wal_size: '32MB', min_wal_size: '32MB' })
    await db.sql('create table posts (id int primary key)')
    const line = await SilentLine.to(db.url)
    try {
      const log = await db.log({ ...options, url: line.url })
      line.silenceReplication()
      // Little that would be sent: a walsender whose socket is full can't be ended, and the checkpoint would wait for it.
      const message = "select pg_logical_emit_message(false, 'fill', '')"
      for (let i = 0; i < 4; i++) await db.sql(message, 'select pg_switch_wal()')
      await db.sql('checkpoint')
      await until(
        () => log.losses.length === 1,
        () => 'it was not noticed',
        5_000,
      )
      expect(log.losses[0]!.code).toBe('TIDEMARK_LOG_GAP')
    } finally {
      await line.end()
    }
  },
)

test('a commit while the connection is lost lies before the new start, and is not delivered', async () => {
  const log = await db.log()
  const held = await db.connect()
  await held.query('begin; select pg_current_xact_id()')
  await db.sql('select pg_terminate_backend(active_pid) from pg_replication_slots')
  await until(() => log.losses.length === 1)
  await db.sql('insert into posts values (7)')
  await held.query('commit')
  await log.hasStarted(2)
  await log.caughtUp()
  // It lies before the new start, at which everything is forgotten.
  expect(log.rows).toEqual([])
})

test('after a crash of PostgreSQL the log is taken up in a new epoch', async () => {
  const log = await db.log()
  await db.server.kill()
  await until(() => log.losses.length > 0)
  expect(log.log.status().state).not.toBe('following')
  await expect(log.log.probe()).rejects.toThrow()
  await db.server.restart()
  await log.hasStarted(2)
  expect(log.starts[1]!.epoch).not.toBe(log.starts[0]!.epoch)
  const old = { epoch: log.starts[0]!.epoch, lsn: log.starts[0]!.lsn, xid: undefined }
  expect(await log.log.visible(old, AbortSignal.timeout(1_000))).toBe(false)
  await db.sql('insert into posts values (3)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['3'])
})

test('a standby is refused by name, and is followed in a new epoch once it is promoted', async () => {
  const log = await db.log()
  await db.server.stop()
  writeFileSync(join(db.server.dataDir, 'postgres', 'standby.signal'), '')
  await db.server.restart()
  await until(
    () => log.losses.some(({ code }) => code === 'TIDEMARK_STANDBY'),
    () => log.log.status().reason,
  )
  await expect(log.log.probe()).rejects.toThrow()
  await db.sql('select pg_promote()')
  await log.hasStarted(2)
  const timelines = log.starts.map(({ epoch }) => epoch.split('-')[1])
  expect(timelines).toEqual(['1', '2'])
  await db.sql('insert into posts values (4)')
  await log.caughtUp()
  expect(log.rows.map((row) => row.new!.id)).toEqual(['4'])
})

test('close leaves no slot and no connection, whatever it interrupts', async () => {
  const following = await db.log()
  await following.log.close()
  expect(following.log.status().state).toBe('closed')
  expect(await slots()).toEqual([])

  const writer = await db.connect()
  await writer.query('begin; select pg_current_xact_id()')
  const waiting = db.open()
  await until(() => waiting.log.status().state === 'waiting')
  await waiting.log.close()
  await until(async () => (await slots()).length === 0)

  const connecting = db.open()
  await connecting.log.close()
  await until(async () => (await slots()).length === 0)
  await until(async () => {
    const left = await db.sql(`select pid from pg_stat_activity where application_name = 'tidemark'`)
    return left.length === 0
  })
  expect(connecting.starts).toEqual([])
})

test('a process that is killed leaves no slot', { timeout: 180_000 }, async () => {
  const program = `
    const { WalLog } = await import(${JSON.stringify(new URL('../src/wal/log.ts', import.meta.url).href)})
    const log = new WalLog({ url: ${JSON.stringify(db.url)} })
    log.follow({ started() {}, commit() {}, progress() {}, lost() {}, resumed() {} })
  `
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', LOADER, '--input-type=module', '-e', program],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  // It compiles what it runs, which takes a while on a busy machine.
  await until(async () => (await slots()).some((slot) => (slot as { active: boolean }).active), undefined, 120_000)
  child.kill('SIGKILL')
  await until(async () => (await slots()).length === 0)
})
