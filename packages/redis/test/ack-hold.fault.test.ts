import { type RedisL2, redisL2 } from '@tidemark/redis'
import { parsePosition } from 'tidemark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Member, Members } from './members.js'
import { until } from './redis-server.js'

// The leader goes while Redis stands still: what it read from the log was told to nobody.

const KEEP_S = 600
const WIDE = { deadline: '10s', batchDeadline: '10s' } as const

let members: Members

beforeEach(async () => {
  members = await Members.create()
})
afterEach(async () => {
  members?.server.resume()
  await members?.drop()
})

function newL2(): RedisL2 {
  return redisL2({ url: members.server.url, ...WIDE })
}

async function acknowledged(): Promise<number> {
  const { rows } = await members.admin.query<{ lsn: string }>(
    `select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = 'app'`,
  )
  return parsePosition(rows[0]!.lsn).lsn
}

const waitsFor = ({ cache }: Member): readonly string[] => cache.status().log.slot?.waitsFor ?? []

/** With two entries in L2, one of which is changed while Redis stands still. */
async function changedUnheard(ackHold: string): Promise<{ leader: Member; place: number }> {
  const leader = await members.join({ ackHold: ackHold as '10s' }, newL2())
  await until(() => leader.cache.status().log.slot?.isHeld === true)
  for (const id of [1, 2]) {
    await until(async () => (await leader.ask(id)).from === 'l1')
    await until(() => leader.cache.counters.l2Stored >= id)
  }
  await until(() => waitsFor(leader).length === 0, 'L2 and relay have all')
  members.server.pause()
  const place = parsePosition(await members.add(1)).lsn
  await until(async () => (await leader.ask(1)).value === 1)
  return { leader, place }
}

async function successor(leader: Member, between = async () => {}): Promise<{ next: Member; l2: RedisL2 }> {
  members.all = []
  await leader.cache.close()
  await between()
  members.server.resume()
  const l2 = newL2()
  return { next: await members.join({}, l2), l2 }
}

test('what L2 and relay lack comes again to the next leader: L2 is kept, and has what changed no more', {
  timeout: 120_000,
}, async () => {
  const { leader, place } = await changedUnheard(`${KEEP_S}s`)
  await until(() => ['l2', 'relay'].every((name) => waitsFor(leader).includes(name)))
  const { next, l2 } = await successor(leader, async () => expect(await acknowledged()).toBeLessThan(place))
  await until(() => waitsFor(next).length === 0)
  expect(await next.ask(1)).toMatchObject({ value: 1, from: 'source' })
  expect(await next.ask(2)).toMatchObject({ value: 0, from: 'l2', state: 'fresh' })
  expect(l2.status().counters.resets).toBe(0)
  expect(next.cache.counters.gaps).toBe(0)
})

test('they are waited for no longer than ackHold: then L2 begins anew, and nothing stale is read', {
  timeout: 120_000,
}, async () => {
  const { leader, place } = await changedUnheard('1s')
  await until(async () => (await acknowledged()) >= place, 'acknowledged though Redis stands still')
  expect(waitsFor(leader)).toContain('l2')
  const { next, l2 } = await successor(leader)
  await until(() => l2.status().counters.resets === 1, 'L2 begins anew')
  expect(await next.ask(1)).toMatchObject({ value: 1 })
  expect(await next.ask(2)).toMatchObject({ value: 0, from: 'source' })
})
