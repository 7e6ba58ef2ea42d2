import pg from 'pg'
import { createCache, parsePosition } from 'tidemark'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { postgres, type Sql } from '../src/index.js'
import { hiddenUpdate, openWriter, standbyIsAway, synchronousStandbys, takeUp } from './hidden.js'
import { type Opened, until, World } from './opened.js'

/*
 * Through the shared slot a process is sent what the last holder did not acknowledge, and nothing else. So what was not seen by then must
 * not be acknowledged; then whoever takes it up has nothing to wait for.
 */

const slot = 'shared_by_all'
let world: World

beforeEach(async () => {
  world = await World.create(
    'create table posts (id int primary key, title text); create table authors (id int primary key, name text);' +
      "insert into posts values (1, 'old'); insert into authors values (1, 'Ada')",
    {},
  )
  await world.admin.query('set synchronous_commit = local')
})
afterEach(() => world?.drop())

const title = ({ sql }: { sql: Sql }) => sql.one<{ title: string }>`select title from posts where id = 1`
const author = ({ sql }: { sql: Sql }) => sql.one<{ name: string }>`select name from authors where id = 1`

const open = (): Promise<Opened> => world.open({ slot })

/** A cache that may not keep anything yet. */
function openUnproven(): Opened {
  const source = postgres({ url: world.database.url, slot })
  const opened = { cache: createCache({ source }), source }
  world.onClose(() => opened.cache.close())
  return opened
}
const isHeld = ({ cache }: Opened): boolean => cache.status().log.slot?.isHeld === true

interface SlotRow {
  readonly active: boolean
  readonly lsn: number
}

async function slotRow(): Promise<SlotRow | undefined> {
  const { rows } = await world.admin.query(
    'select active, confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [slot],
  )
  return rows[0] && { active: rows[0].active, lsn: parsePosition(rows[0].lsn).lsn }
}

async function flushed(): Promise<number> {
  const { rows } = await world.admin.query('select pg_current_wal_flush_lsn()::text as lsn')
  return parsePosition(rows[0].lsn).lsn
}

/** Resolves once the holder has acknowledged all that is flushed now. */
async function isAcknowledged(): Promise<void> {
  const lsn = await flushed()
  // It is acknowledged up to the newest mark, which is written each 10 s.
  await until(async () => (await slotRow())!.lsn >= lsn, '', 45_000)
}

/** Resolves once the holder has told that all that is flushed now is applied. */
async function isTold(): Promise<void> {
  const lsn = await flushed()
  await until(async () => {
    const { rows } = await world.admin.query(
      `select r.replay_lsn::text as lsn from pg_stat_replication r join pg_replication_slots s on r.pid = s.active_pid where s.slot_name = $1`,
      [slot],
    )
    return rows[0]?.lsn && parsePosition(rows[0].lsn).lsn >= lsn
  })
}

/** Takes the cache for killed: it says nothing more to the server. */
async function end({ cache }: Opened): Promise<void> {
  await cache.close()
  await until(async () => (await slotRow())?.active === false)
}

it('what is applied and hidden is not acknowledged, and comes again to the next holder, who need not wait for anything else', async () => {
  const first = await open()
  const post = first.cache.define('post', title)
  await until(async () => (await post.ask()).from === 'l1')
  await isAcknowledged()
  await standbyIsAway(world.admin, true)
  const shown = await hiddenUpdate(world)
  const hidden = await flushed()
  await until(() => post.peek() === undefined)
  // What others commit after it is applied as ever, and not acknowledged either.
  await world.admin.query("update authors set name = 'Eve'")
  await isTold()
  expect((await slotRow())!.lsn).toBeLessThan(hidden)
  await end(first)

  const second = await open()
  expect(isHeld(second)).toBe(true)
  const again = second.cache.define('post', title)
  expect(await again.ask()).toMatchObject({ value: { title: 'old' }, state: 'fenced' })
  const other = second.cache.define('author', author)
  await until(async () => (await other.ask()).from === 'l1')
  await standbyIsAway(world.admin, false)
  await shown()
  await until(async () => (await again.ask()).from === 'l1')
  expect(await again()).toEqual({ title: 'new' })
  await isAcknowledged()
})

it('another process that takes it over does not acknowledge either what is hidden', async () => {
  const first = await open()
  const second = await open()
  await standbyIsAway(world.admin, true)
  const shown = await hiddenUpdate(world)
  const hidden = await flushed()
  await first.cache.close()
  await until(() => isHeld(second))
  await world.admin.query("update authors set name = 'Eve'")
  await isTold()
  expect((await slotRow())!.lsn).toBeLessThan(hidden)
  await standbyIsAway(world.admin, false)
  await shown()
  await isAcknowledged()
})

it('there is none before all that lies before it was seen: who makes it may die before, and leaves nothing that looks proven', async () => {
  const { cache, shown } = await takeUp(world, () => openUnproven().cache)
  const post = cache.define('post', title)
  expect(await post.ask()).toMatchObject({ value: { title: 'old' }, state: 'fenced' })
  expect(cache.status()).toMatchObject({ keeping: false, log: { slot: { state: 'missing', isHeld: false } } })
  expect(await slotRow()).toBeUndefined()
  await cache.close()

  // The next one waits for it already when it makes a slot of its own.
  const second = openUnproven()
  await until(() => second.cache.status().log.state === 'waiting')
  const again = second.cache.define('post', title)
  expect(await again.ask()).toMatchObject({ value: { title: 'old' }, state: 'fenced' })
  expect(await slotRow()).toBeUndefined()
  await standbyIsAway(world.admin, false)
  await shown()
  await until(async () => (await again.ask()).from === 'l1')
  expect(await again()).toEqual({ title: 'new' })
  await until(() => isHeld(second))
})

it('who finds it keeps at once, whatever transactions are open', async () => {
  const first = await open()
  await isAcknowledged()
  await end(first)
  const writer = await openWriter(world.database.url)
  const second = await open()
  expect(isHeld(second)).toBe(true)
  const post = second.cache.define('post', title)
  await until(async () => (await post.ask()).from === 'l1')
  await writer.end()
})

it('one that is dropped is made anew while transactions are open, by whoever follows', async () => {
  const first = await open()
  await first.cache.close()
  const holder = new pg.Client({ connectionString: `${world.database.url}&replication=database` })
  holder.on('error', () => {})
  await holder.connect()
  holder
    .query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'tidemark')`)
    .catch(() => {})
  await until(async () => (await slotRow())!.active)
  const second = await open()
  expect(isHeld(second)).toBe(false)
  const writer = await openWriter(world.database.url)
  const from = `from pg_replication_slots where slot_name = '${slot}'`
  await world.admin.query(
    `select pg_terminate_backend(active_pid${isBefore(14) ? '' : ', 5000'}) ${from}; select pg_drop_replication_slot(slot_name) ${from}`,
  )
  await until(
    () => isHeld(second),
    () => JSON.stringify(second.cache.status()),
  )
  const post = second.cache.define('post', title)
  await until(async () => (await post.ask()).from === 'l1')
  await writer.end()
  await holder.end().catch(() => {})
})

it('a server that stops does not wait for what can not be proven any more', async () => {
  const { cache } = await open()
  const post = cache.define('post', title)
  await until(async () => (await post.ask()).from === 'l1')
  await standbyIsAway(world.admin, true)
  await hiddenUpdate(world)
  await until(() => post.peek() === undefined)
  await isTold()
  const beganAt = performance.now()
  await world.database.server.stop()
  // At 15 s it would be taken down as by a crash.
  expect(performance.now() - beganAt).toBeLessThan(14_000)
  await world.database.server.restart()
  await until(
    async () => (await post.ask()).from === 'l1',
    () => JSON.stringify(cache.status()),
  )
  expect(await post()).toEqual({ title: 'new' })
})

it('no commit waits for a cache, though it would do as a synchronous standby by its name', async () => {
  const { cache } = await open()
  const post = cache.define('post', title)
  await until(async () => (await post.ask()).from === 'l1')
  await isAcknowledged()
  await synchronousStandbys(world.admin, '*')
  // It waits for a real one, as it must, until it is told that there is none.
  const shown = await hiddenUpdate(world)
  await until(() => post.peek() === undefined)
  await isTold()
  const waiting = await world.admin.query("select count(*)::int from pg_stat_activity where wait_event = 'SyncRep'")
  expect(waiting.rows[0].count).toBe(1)
  // `sync` where the server counts on it.
  await until(async () => {
    const { rows } = await world.admin.query('select sync_state from pg_stat_replication')
    return rows.length === 1 && rows[0].sync_state === 'async'
  })
  await synchronousStandbys(world.admin, '')
  await shown()
  await until(async () => (await post.ask()).from === 'l1')
  expect(await post()).toEqual({ title: 'new' })
})
