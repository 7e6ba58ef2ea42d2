import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isReady, keeps, type Member, Members } from './members.js'
import { until } from './redis-server.js'

// One process reads the WAL, the others what it relays.

let members: Members

beforeEach(async () => {
  members = await Members.create()
})
afterEach(() => members?.drop())

test('one process reads the WAL; what anybody commits is gone in all, and each keeps what it loads', async () => {
  for (let i = 0; i < 3; i++) await members.join()
  expect(members.roles.sort()).toEqual(['follower', 'follower', 'leader'])
  const { rows } = await members.admin.query('select slot_name, active from pg_replication_slots')
  expect(rows).toEqual([{ slot_name: 'app', active: true }])
  for (let n = 1; n <= 30; n++) {
    const position = await members.add(1)
    for (const member of members.all) expect(await member.ask(1, position)).toMatchObject({ value: n, state: 'fresh' })
  }
  for (const member of members.all) await keeps(member, 1)
  const before = members.all.map(({ cache }) => cache.counters.invalidated)
  await members.add(1)
  await until(() => members.all.every(({ cache }, i) => cache.counters.invalidated > before[i]!))
  // A row beside it touches nobody.
  for (const member of members.all) await keeps(member, 2)
  const position = await members.add(3)
  for (const member of members.all) {
    await member.ask(3, position)
    expect((await member.ask(2)).from).toBe('l1')
  }
})

test('what one process asks to be invalidated is gone in all', async () => {
  const [one, other] = [await members.join(), await members.join()]
  let value = 1
  const ask = (member: Member) => member.cache.get('tagged', async () => value, { tags: ['t'] })
  for (const member of [one, other]) expect(await ask(member)).toBe(1)
  for (const asking of [one, other]) {
    value++
    const position = await asking.cache.invalidate({ tags: ['t'] })
    for (const member of [one, other])
      expect(await member.cache.get('tagged', async () => value, { tags: ['t'], minPosition: position })).toBe(value)
  }
})

test('a table that was made later is followed by all', async () => {
  const [one, other] = [await members.join(), await members.join()]
  await members.admin.query('create table later (id int primary key, n int)')
  await members.admin.query('insert into later values (1, 0)')
  const ask = (member: Member, minPosition?: string) =>
    member.cache.ask('later', ({ sql }) => sql.one<{ n: number }>`select n from later where id = 1`, {
      ...(minPosition === undefined ? {} : { minPosition }),
    })
  for (const member of [one, other]) await until(async () => (await ask(member)).from === 'l1')
  await members.admin.query('update later set n = 1')
  const { rows } = await members.admin.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
  for (const member of [one, other]) expect((await ask(member, rows[0]!.lsn)).value).toEqual({ n: 1 })
})

test('when the leader goes another one leads; the others go on with what they kept, and miss nothing', async () => {
  for (let i = 0; i < 3; i++) await members.join()
  for (const member of members.all) for (let id = 1; id <= 20; id++) await keeps(member, id)
  const leader = members.leader
  members.all = members.all.filter((member) => member !== leader)
  const beganAt = performance.now()
  const isClosed = leader.cache.close()
  // While nobody leads.
  await members.add(1)
  await until(() => members.roles.includes('leader'), 'another leads')
  await isClosed
  const position = await members.add(2)
  for (const member of members.all) {
    expect(await member.ask(1, position)).toMatchObject({ value: 1 })
    expect(await member.ask(2, position)).toMatchObject({ value: 1 })
  }
  expect(performance.now() - beganAt).toBeLessThan(10_000)
  const follower = members.follower
  expect(follower.cache.counters.gaps).toBe(0)
  expect((await follower.ask(3)).from).toBe('l1')
})

test('the leader whose walsender is ended leads on, and nobody loses anything', async () => {
  for (let i = 0; i < 2; i++) await members.join()
  for (const member of members.all) await keeps(member, 1)
  await members.admin.query('select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1', [
    'app',
  ])
  const position = await members.add(2)
  for (const member of members.all) {
    expect(await member.ask(2, position)).toMatchObject({ value: 1, state: 'fresh' })
    expect(member.cache.counters.gaps).toBe(0)
    expect((await member.ask(1)).from).toBe('l1')
  }
  expect(members.roles.sort()).toEqual(['follower', 'leader'])
})

test('without Redis a follower answers from the source, and the leader as ever; with it again nobody has lost anything', async () => {
  for (let i = 0; i < 2; i++) await members.join()
  for (const member of members.all) await keeps(member, 1)
  const follower = members.follower
  const leader = members.leader
  await members.server.kill()
  await until(() => !follower.cache.status().current)
  const position = await members.add(2)
  expect(await leader.ask(2, position)).toMatchObject({ value: 1, state: 'fresh' })
  expect(await follower.ask(2)).toMatchObject({ value: 1, state: 'fenced' })
  await members.server.start()
  await isReady(follower)
  expect(await follower.ask(2, position)).toMatchObject({ value: 1, state: 'fresh' })
  expect((await follower.ask(1)).from).toBe('l1')
  expect(follower.cache.counters.gaps).toBe(0)
})

test('under load no read that carries the position of a write is older, whoever answers and whoever leads', async () => {
  for (let i = 0; i < 3; i++) await members.join()
  const expected = new Map<number, number>()
  let wrong = 0
  for (let i = 0; i < 300; i++) {
    const id = 1 + (i % 7)
    const position = await members.add(id)
    expected.set(id, (expected.get(id) ?? 0) + 1)
    const member = members.all[i % members.all.length]!
    if (i === 150)
      await members.admin.query(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1',
        ['app'],
      )
    if (i === 220) await members.server.admin.flushall()
    const { value } = await member.ask(id, position)
    if (value < expected.get(id)!) wrong++
  }
  expect(wrong).toBe(0)
})

test('a follower needs no right to replicate', async () => {
  await members.join()
  await members.admin.query('create role reader login; grant select on counters to reader')
  const url = new URL(members.database.url)
  url.username = 'reader'
  const reader = await members.join({ url: url.href, role: 'follower' })
  await keeps(reader, 1)
  expect(await reader.ask(1, await members.add(1))).toMatchObject({ value: 1, state: 'fresh' })
  expect(reader.cache.status().log.role).toBe('follower')
})

test('a restart of PostgreSQL is another epoch for all, which one leads into', async () => {
  await members.drop()
  members = await Members.create({})
  const [one, other] = [await members.join(), await members.join()]
  for (const member of members.all) await keeps(member, 1)
  members.database.server.kill()
  await until(() => !one.cache.status().current && !other.cache.status().current)
  await members.database.server.restart()
  for (const member of members.all) await isReady(member)
  const epochs = new Set(members.all.map(({ cache }) => cache.status().tidemark!.split(':')[0]))
  expect(epochs.size).toBe(1)
  for (const member of members.all) expect((await member.ask(1)).value).toBe(0)
})

test('a commit that is in the log and cannot be seen yet is kept by nobody, whenever it joined', async () => {
  await members.drop()
  members = await Members.create({})
  const { admin } = members
  await admin.query('set synchronous_commit = local')
  for (let i = 0; i < 2; i++) await members.join()
  for (const member of members.all) await keeps(member, 1)
  await standbyIsAway(true)
  const { shown } = await hiddenAdd(1)
  await until(() => members.all.every(({ cache }) => cache.explain('counter(1)').stored === false))
  for (const member of members.all) await keeps(member, 2)
  // One that joins now begins before the hidden commit, which the leader has not proven.
  await members.join()
  for (const member of members.all) expect(await member.ask(1)).toMatchObject({ value: 0, state: 'fenced' })
  await standbyIsAway(false)
  await shown
  for (const member of members.all) {
    await keeps(member, 1)
    expect((await member.ask(1)).value).toBe(1)
  }
})

async function standbyIsAway(isAway: boolean): Promise<void> {
  const names = isAway ? 'nobody_such' : ''
  await members.admin.query(`alter system set synchronous_standby_names = '${names}'`)
  await members.admin.query('select pg_reload_conf()')
  await until(async () => {
    const { rows } = await members.admin.query('show synchronous_standby_names')
    return rows[0].synchronous_standby_names === names
  })
}

/** Adds one in a commit that waits for the standby, and resolves once it does; with how to wait for its end. */
async function hiddenAdd(id: number): Promise<{ readonly shown: Promise<void> }> {
  const writer = new pg.Client({ connectionString: members.database.url })
  writer.on('error', () => {})
  await writer.connect()
  const { rows } = await writer.query('select pg_backend_pid() as pid')
  const done = writer.query('update counters set n = n + 1 where id = $1', [id])
  await until(async () => {
    const waiting = await members.admin.query('select wait_event from pg_stat_activity where pid = $1', [rows[0].pid])
    return waiting.rows[0]?.wait_event === 'SyncRep'
  })
  // Where the test fails the server is stopped meanwhile.
  return { shown: done.then(() => writer.end()).catch(() => {}) }
}
