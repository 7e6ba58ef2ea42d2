import { createCache, type Log, type LogListener } from 'tidemark'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { postgres, type Sql } from '../src/index.js'
import { hiddenUpdate, standbyIsAway, takeUp } from './hidden.js'
import { until, World } from './opened.js'

/*
 * The races between PostgreSQL's log and its snapshots, made certain on a real server: a commit that waits for a synchronous standby
 * is in the log, and no new snapshot shows it. Each is shown twice: with the rule, and with the rule taken out, where it must fail.
 */

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

const title = (sql: Sql) => sql.one<{ title: string }>`select title from posts where id = 1`
const author = (sql: Sql) => sql.one<{ name: string }>`select name from authors where id = 1`

type Told = (listener: LogListener) => Partial<LogListener>

/** A cache on the database, with a log that tells some things otherwise: a rule is taken out by what it is not told. */
function openWith(told: Told) {
  const source = postgres({ url: world.database.url })
  const cache = createCache({
    source: {
      id: `${source.id} changed`,
      context: (reading) => source.context(reading),
      openLog() {
        const log = source.openLog()
        return log && changed(log, told)
      },
      close: () => source.close(),
    },
  })
  world.onClose(() => cache.close())
  return cache
}

function changed(log: Log, told: Told): Log {
  const follow = (listener: LogListener): void =>
    log.follow({
      started: (start) => listener.started(start),
      commit: (commit) => listener.commit(commit),
      progress: (lsn) => listener.progress(lsn),
      lost: (reason) => listener.lost(reason),
      resumed: (resume) => listener.resumed(resume),
      ...told(listener),
    })
  return {
    follow,
    probe: () => log.probe(),
    nudge: () => log.nudge(),
    append: (change) => log.append(change),
    visible: (position, signal) => log.visible(position, signal),
    status: () => log.status(),
    close: () => log.close(),
  }
}

describe('a commit that is applied and not yet visible', () => {
  it('is waited for: what was loaded meanwhile is fenced and not kept, and the new title comes by itself', async () => {
    const { cache } = await world.open()
    const post = cache.define('post', ({ sql }) => title(sql))
    await until(async () => (await post.ask()).from === 'l1')
    await standbyIsAway(world.admin, true)
    const shown = await hiddenUpdate(world)
    await until(() => post.peek() === undefined)
    const meanwhile = await post.ask()
    expect(meanwhile).toMatchObject({ value: { title: 'old' }, state: 'fenced' })
    expect(cache.explain(post.key()).notKept).toBe('unproven')
    await standbyIsAway(world.admin, false)
    await shown()
    // Not by anybody's next write.
    expect(await post.ask()).toMatchObject({ value: { title: 'new' }, state: 'fresh' })
  })

  it('without the rule Proof its old title is kept and called fresh', async () => {
    const cache = openWith((listener) => ({
      commit: (commit) => listener.commit({ ...commit, xid: undefined }),
    }))
    const post = cache.define('post', ({ sql }) => title(sql))
    await until(async () => (await post.ask()).from === 'l1')
    await standbyIsAway(world.admin, true)
    const shown = await hiddenUpdate(world)
    await until(() => post.peek() === undefined)
    await post()
    await standbyIsAway(world.admin, false)
    await shown()
    expect(await post.ask()).toMatchObject({ value: { title: 'old' }, state: 'fresh', from: 'l1' })
  })

  it('delays only what it touched: everything else is kept as ever', async () => {
    const { cache } = await world.open()
    const writer = cache.define('author', ({ sql }) => author(sql))
    const post = cache.define('post', ({ sql }) => title(sql))
    await until(async () => (await post.ask()).from === 'l1')
    await standbyIsAway(world.admin, true)
    const shown = await hiddenUpdate(world)
    await until(() => post.peek() === undefined)
    expect(await writer.ask()).toMatchObject({ state: 'fresh', from: 'source' })
    expect(await writer.ask()).toMatchObject({ state: 'fresh', from: 'l1' })
    await standbyIsAway(world.admin, false)
    await shown()
  })
})

describe('a commit that is hidden when the log is taken up', () => {
  it('is waited for: nothing is kept until it can be seen', async () => {
    const { cache, shown } = await takeUp(world, () => openWith(() => ({})))
    const post = cache.define('post', ({ sql }) => title(sql))
    expect(await post.ask()).toMatchObject({ value: { title: 'old' }, state: 'fenced' })
    expect(cache.status().keeping).toBe(false)
    await standbyIsAway(world.admin, false)
    await shown()
    await until(async () => (await post.ask()).from === 'l1')
    expect(await post()).toEqual({ title: 'new' })
  })

  it('without the rule Start its old title is kept and called fresh for good', async () => {
    const { cache, shown } = await takeUp(world, () =>
      openWith((listener) => ({
        started: (start) => listener.started({ ...start, proof: { kind: 'visible' } }),
      })),
    )
    const post = cache.define('post', ({ sql }) => title(sql))
    await until(async () => (await post.ask()).from === 'l1')
    await standbyIsAway(world.admin, false)
    await shown()
    expect(await post.ask()).toMatchObject({ value: { title: 'old' }, state: 'fresh', from: 'l1' })
  })
})

describe('a position that another program asked for', () => {
  const asked = async (): Promise<string> => {
    const { rows } = await world.admin.query('select pg_current_wal_insert_lsn() as position')
    return rows[0].position
  }

  it('after its write is met without any further write of anybody, and the answer is not older', async () => {
    const { cache } = await world.open()
    const post = cache.define('post', ({ sql }) => title(sql))
    for (let n = 0; n < 50; n++) {
      await post()
      await world.admin.query('update posts set title = $1 where id = 1', [`title ${n}`])
      const answer = await post.with({ minPosition: await asked(), waitMax: '20s' }).ask()
      expect(answer).toMatchObject({ value: { title: `title ${n}` }, state: 'fresh' })
    }
  })

  it('in a database at rest costs two small transactions at most', async () => {
    const { cache } = await world.open()
    const post = cache.define('post', ({ sql }) => title(sql))
    await until(async () => (await post.ask()).from === 'l1')
    // Written and not flushed: the log does not come this far by itself.
    await world.admin.query('set synchronous_commit = off')
    const xid = async () =>
      Number((await world.admin.query('select pg_snapshot_xmax(pg_current_snapshot())')).rows[0].pg_snapshot_xmax)
    await world.admin.query("update posts set title = 'unflushed' where id = 1")
    const position = await asked()
    const before = await xid()
    const answer = await post.with({ minPosition: position, waitMax: '20s' }).ask()
    expect(answer).toMatchObject({ value: { title: 'unflushed' }, state: 'fresh' })
    // Of ours: the heartbeat, and the transaction that proves that all before the position can be seen.
    expect((await xid()) - before).toBeLessThanOrEqual(2)
  })
})
