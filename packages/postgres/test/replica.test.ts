import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { notKept, until, World } from './opened.js'
import { type Standby, standbyOf } from './standby.js'

/*
 * A standby shows the source as it was when it had replayed so much. It can be held back: then a fill sees an old row, and must not
 * be kept, though the log had delivered the change before the fill began.
 */

let world: World
let standby: Standby
let replica: pg.Client

beforeAll(async () => {
  world = await World.create(
    'create table posts (id bigint primary key, title text); insert into posts values (1, $$a$$), (2, $$b$$)',
    {},
  )
  standby = await standbyOf(world.database.server, world.admin)
  replica = new pg.Client({
    connectionString: standby.server.databaseUrl(new URL(world.database.url).pathname.slice(1)),
  })
  await replica.connect()
})
afterEach(() => world.closeCaches())
afterAll(async () => {
  await replica?.end()
  await standby?.end()
  await world?.drop()
})

const opened = () =>
  world.open({
    url: standby.server.databaseUrl(new URL(world.database.url).pathname.slice(1)),
    directUrl: world.database.url,
  })

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
