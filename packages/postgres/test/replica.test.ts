import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Embedded, startEmbedded } from '@tidemark/embedded'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { notKept, until, World } from './opened.js'

/*
 * A standby shows the source as it was when it had replayed so much. It can be held back: then a fill sees an old row, and must not
 * be kept, though the log had delivered the change before the fill began.
 */

const binDir = process.env.TIDEMARK_TEST_POSTGRES

let world: World
let standby: Embedded
let dataDir: string
let replica: pg.Client

beforeAll(async () => {
  world = await World.create(
    'create table posts (id bigint primary key, title text); insert into posts values (1, $$a$$), (2, $$b$$)',
    {},
  )
  dataDir = fs.mkdtempSync(join(tmpdir(), 'tidemark-standby-'))
  const {
    database: { server },
    admin,
  } = world
  const [start, stop] = isBefore(15)
    ? ['pg_start_backup', 'pg_stop_backup(false)']
    : ['pg_backup_start', 'pg_backup_stop(false)']
  await admin.query(`select ${start}('standby', true${isBefore(15) ? ', false' : ''})`)
  fs.cpSync(join(server.dataDir, 'postgres'), join(dataDir, 'postgres'), {
    recursive: true,
    filter: (path) => !/postmaster\.(pid|opts)$|pg_replslot\/./.test(path),
  })
  const { rows } = await admin.query(`select labelfile from ${stop}`)
  fs.writeFileSync(join(dataDir, 'postgres', 'backup_label'), rows[0].labelfile)
  fs.writeFileSync(join(dataDir, 'postgres', 'standby.signal'), '')
  giveTo(join(dataDir, 'postgres'), fs.statSync(join(server.dataDir, 'postgres')))
  const primary = `host=${server.socketDir} port=5432 user=postgres`
  standby = await startEmbedded({
    dataDir,
    isDurable: false,
    ...(binDir ? { binDir } : {}),
    settings: { primary_conninfo: primary, wal_receiver_status_interval: '1s' },
  })
  replica = new pg.Client({ connectionString: standby.databaseUrl(new URL(world.database.url).pathname.slice(1)) })
  await replica.connect()
})
afterEach(() => world.closeCaches())
afterAll(async () => {
  await replica?.end()
  await standby?.stop()
  await world?.drop()
  if (dataDir) fs.rmSync(dataDir, { recursive: true, force: true })
})

const opened = () =>
  world.open({ url: standby.databaseUrl(new URL(world.database.url).pathname.slice(1)), directUrl: world.database.url })

it('keeps what it read of a standby that has caught up', async () => {
  const { cache } = await opened()
  // The ring must reach back to what the standby has replayed.
  await until(async () => (await notKept(cache, ({ sql }) => sql.one`select * from posts where id = 1`)) === undefined)
  const post = cache.define(
    'post',
    ({ sql }, id: number) => sql.one<{ title: string }>`select title from posts where id = ${id}`,
  )
  await until(async () => (await post.ask(2)).from === 'l1')
  await world.admin.query("update posts set title = 'c' where id = 2")
  await until(() => post.peek(2) === undefined)
  await until(async () => (await post(2))?.title === 'c')
})

it('keeps nothing that a standby shows as it was before a change that was applied', async () => {
  const { cache } = await opened()
  const post = cache.define(
    'post',
    ({ sql }, id: number) => sql.one<{ title: string }>`select title from posts where id = ${id}`,
  )
  await until(async () => (await post.ask(1)).from === 'l1')
  await replica.query('select pg_wal_replay_pause()')
  try {
    await until(
      async () => (await replica.query("select pg_get_wal_replay_pause_state() = 'paused' as paused")).rows[0].paused,
    )
    await world.admin.query("update posts set title = 'new' where id = 1")
    await until(() => post.peek(1) === undefined)
    const old = await post.ask(1)
    expect(old.value?.title).toBe('a')
    expect(old.state).toBe('fenced')
    expect(post.peek(1)).toBeUndefined()
  } finally {
    await replica.query('select pg_wal_replay_resume()')
  }
  await until(async () => (await post.ask(1)).value?.title === 'new')
  await until(() => post.peek(1)?.title === 'new')
})

function giveTo(folder: string, { uid, gid }: fs.Stats): void {
  fs.chownSync(folder, uid, gid)
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) giveTo(path, { uid, gid } as fs.Stats)
    else fs.lchownSync(path, uid, gid)
  }
}
