import { expect, test } from 'vitest'
import { zeroCounters } from '../counters.js'
import { Observers } from '../events.js'
import { Keyspaces } from '../read/keyspaces.js'
import { ManualClock } from '../testing/index.js'
import { L1 } from '../tiers/l1.js'
import { Sweeps } from './sweeps.js'
import { Taken } from './taken.js'

// A tenant that is parted from all it has might lose what stays, find what goes, keep for ever what nobody looks for, or take out what
// has a slot since.

function bed(sliceSteps = 1) {
  const clock = new ManualClock()
  const l1 = new L1({ maxEntries: 100, maxBytes: Number.POSITIVE_INFINITY }, () => {})
  const spaces = new Keyspaces(l1)
  const counters = zeroCounters()
  const context = { l1, spaces, counters, clock, observers: new Observers(), taken: new Taken(), positionAt: String }
  const sweeps = new Sweeps(context, { sliceSteps, stepKeys: 1, sweepsMax: 10, touchedMax: 10, partedMin: 3 })
  const store = (tenant: string, key: string, lsn: number): number =>
    l1.store(spaces.get(tenant, undefined, undefined), key, key, {
      lsn,
      filledAt: clock.now(),
      lifetimeMs: Number.POSITIVE_INFINITY,
      dependencies: [],
      bytes: 1,
    })
  const found = (tenant: string, keys: readonly string[]): string[] =>
    keys.filter((key) => l1.find(spaces.get(tenant, undefined, undefined), key) !== undefined)
  return { clock, l1, spaces, sweeps, store, found, counters }
}

const keys = ['a', 'b', 'c', 'd'] as const

test('nothing of it is found from the first moment, and what is stored since is, also under the same keys', async () => {
  const { clock, l1, sweeps, store, found, counters } = bed()
  for (const tenant of ['t', 'u']) for (const key of keys) store(tenant, key, 5)
  sweeps.begin({ kind: 'tenant', tenant: 't' }, 7, 'drop')
  l1.judge = undefined
  expect([found('t', keys), found('u', keys)]).toEqual([[], keys])
  expect(l1.size).toBeGreaterThan(keys.length)
  store('t', 'a', 7)
  await clock.advance(1_000)
  expect([found('t', keys), l1.size, counters.invalidated]).toEqual([['a'], keys.length + 1, keys.length])
})

test('an entry as of a later position stays, and is found meanwhile', async () => {
  const { clock, l1, sweeps, store, found } = bed()
  for (const key of keys) store('t', key, key === 'c' ? 9 : 5)
  sweeps.begin({ kind: 'tenant', tenant: 't' }, 7, 'drop')
  expect(found('t', keys)).toEqual(['c'])
  await clock.advance(1_000)
  expect([found('t', keys), l1.size]).toEqual([['c'], 1])
})

test('what one has not come to is taken out by the one that ends it, and no slot that has another entry since', async () => {
  const { clock, l1, spaces, sweeps, store, found, counters } = bed(3)
  for (const key of keys) store('t', key, 5)
  const space = spaces.get('t', undefined, undefined)
  for (const lsn of [7, 8]) {
    sweeps.begin({ kind: 'tenant', tenant: 't' }, lsn, 'drop')
    // They take the slots that are free by now, one of them for another tenant.
    for (const key of keys) store(key === 'a' ? 'u' : 't', key, lsn)
  }
  expect(space.formers.length).toBeGreaterThan(1)
  store('u', 'z', 9)
  sweeps.begin({ kind: 'tenant', tenant: 't' }, 9, 'drop')
  await clock.advance(1_000)
  expect([found('t', keys), found('u', ['a', 'z']), l1.size]).toEqual([[], ['a', 'z'], 2])
  expect(space.formers).toEqual([])
  expect(counters.invalidated).toBe(4 + 3 + 3)
})
