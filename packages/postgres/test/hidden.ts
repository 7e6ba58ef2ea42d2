import pg from 'pg'
import type { Cache } from 'tidemark'
import type { Sql } from '../src/index.js'
import { until, type World } from './opened.js'

/*
 * Commits that are in the log and that no snapshot shows: they wait for a synchronous standby that does not answer.
 */

/** From now on commits wait for a standby that is away; or no longer. */
export async function standbyIsAway(admin: pg.Client, isAway: boolean): Promise<void> {
  await synchronousStandbys(admin, isAway ? 'nobody_such' : '')
}

/** Whom commits wait for, as the setting has it. */
export async function synchronousStandbys(admin: pg.Client, names: string): Promise<void> {
  await admin.query(`alter system set synchronous_standby_names = '${names}'`)
  await admin.query('select pg_reload_conf()')
  await until(async () => {
    const { rows } = await admin.query('show synchronous_standby_names')
    return rows[0].synchronous_standby_names === names
  })
  // Commits wait once the checkpointer has read it too, which it does before it begins a checkpoint.
  await admin.query('checkpoint')
}

type Place = Pick<World, 'admin' | 'database'>

/** Commits what nobody sees; resolves once it waits for the standby, with how to wait for its end. */
export async function hiddenUpdate(
  { admin, database }: Place,
  statement = "update posts set title = 'new' where id = 1",
): Promise<() => Promise<void>> {
  const writer = new pg.Client({ connectionString: database.url })
  writer.on('error', () => {})
  await writer.connect()
  const { rows } = await writer.query('select pg_backend_pid() as pid')
  // Where the server is stopped meanwhile it fails, and is committed all the same.
  const done = writer.query(statement).catch(() => {})
  await until(async () => {
    const waiting = await admin.query('select wait_event from pg_stat_activity where pid = $1', [rows[0].pid])
    return waiting.rows[0]?.wait_event === 'SyncRep'
  })
  return async () => {
    await done
    await writer.end().catch(() => {})
  }
}

/** A transaction that has written, so that the creation of a slot waits for it. */
export async function openWriter(url: string): Promise<{ readonly pid: number; end(): Promise<void> }> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  await client.query('set synchronous_commit = local')
  await client.query('begin')
  const { rows } = await client.query('select pg_current_xact_id(), pg_backend_pid() as pid')
  return {
    pid: rows[0].pid,
    async end() {
      await client.query('rollback')
      await client.end()
    },
  }
}

/**
 * Lets a cache take up the log so that a hidden commit lies before that place: a slot is made in three looks at what runs, and what
 * begins after the second may be over, and hidden, at the third.
 */
export async function takeUp(
  world: Place,
  open: () => Cache<{ sql: Sql }>,
): Promise<{ cache: Cache<{ sql: Sql }>; shown: () => Promise<void> }> {
  await standbyIsAway(world.admin, true)
  const first = await openWriter(world.database.url)
  const cache = open()
  const waitsFor = ({ pid }: { readonly pid: number }) =>
    until(
      () => cache.status().log.reason.includes(`process ${pid} `),
      () => cache.status().log.reason,
    )
  await waitsFor(first)
  const second = await openWriter(world.database.url)
  await first.end()
  await waitsFor(second)
  const shown = await hiddenUpdate(world)
  await second.end()
  await until(
    () => cache.status().current,
    () => JSON.stringify(cache.status()),
  )
  return { cache, shown }
}
