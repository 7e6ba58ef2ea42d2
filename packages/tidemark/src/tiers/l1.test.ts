import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Dependency } from '../dependencies/dependency.js'
import type { Change } from '../log/change.js'
import type { Fill } from './fill.js'
import { L1 } from './l1.js'
import type { L1Limits } from './limits.js'
import { Space } from './space.js'

const fill: Fill = { lsn: 1, filledAt: 0, lifetimeMs: 100, dependencies: [], bytes: 10 }

function tier(limits: Partial<L1Limits> = {}) {
  let evicted = 0
  const l1 = new L1({ maxEntries: 1000, maxBytes: 1e6, ...limits }, (count) => {
    evicted += count
  })
  const space = new Space('t', String)
  l1.addSpace(space)
  return { l1, space, evicted: () => evicted }
}

test('an entry is fresh until its lifetime has passed, and not at that moment', () => {
  const { l1, space } = tier()
  const slot = l1.store(space, 1, 'v', fill)
  expect([l1.isFreshAt(slot, 0), l1.isFreshAt(slot, 99.9), l1.isFreshAt(slot, 100)]).toEqual([true, true, false])
  expect(l1.expiresAtOf(slot)).toBe(100)
})

test('an entry without expiry is fresh for ever, until it is expired', () => {
  const { l1, space } = tier()
  const slot = l1.store(space, 1, 'v', { ...fill, filledAt: 0.1, lifetimeMs: Number.POSITIVE_INFINITY })
  expect(l1.isFreshAt(slot, 1e15)).toBe(true)
  l1.expire(slot, 86_400_000.3)
  expect(l1.isFreshAt(slot, 86_400_000.3)).toBe(false)
  expect(l1.expiresAtOf(slot)).toBeGreaterThan(86_399_900)
  const expired = l1.expiresAtOf(slot)
  l1.expire(slot, 1e9)
  expect(l1.expiresAtOf(slot)).toBe(expired)
})

test('a value with binary data is handed out as a copy, any other as it is', () => {
  const { l1, space } = tier()
  const shared = { a: 1 }
  expect(l1.read(l1.store(space, 1, shared, fill))).toBe(shared)
  const binary = { data: Buffer.from('abc') }
  const slot = l1.store(space, 2, binary, { ...fill, copied: true })
  const copy = l1.read(slot) as typeof binary
  copy.data[0] = 0
  expect((l1.read(slot) as typeof binary).data.toString()).toBe('abc')
})

test('more than 65,536 spaces have their entries apart', () => {
  const { l1 } = tier({ maxEntries: 70_000 })
  const spaces = Array.from({ length: 66_000 }, (_, i) => new Space(`t${i}`, String))
  for (const space of spaces) {
    l1.addSpace(space)
    l1.store(space, 'k', space.tenant, fill)
  }
  for (const space of spaces) {
    const slot = space.slots.get('k')!
    expect(l1.value(slot) === space.tenant && l1.spaceOf(slot) === space).toBe(true)
  }
})

test('a space that goes gives its number to the next', () => {
  const { l1, space } = tier()
  l1.store(space, 1, 'v', fill)
  const { id } = space
  l1.removeSpace(space)
  expect([l1.size, space.slots.size, space.id]).toEqual([0, 0, -1])
  const next = new Space('u', String)
  l1.addSpace(next)
  expect(next.id).toBe(id)
})

test('what is pinned stays, though everything else has to leave; then what comes is not kept', () => {
  const { l1, space, evicted } = tier({ maxEntries: 3 })
  for (const key of [1, 2, 3]) l1.pin(l1.store(space, key, key, fill))
  expect(l1.store(space, 4, 4, fill)).toBe(-1)
  expect(evicted()).toBe(0)
  l1.unpin(space.slots.get(2)!)
  expect(l1.store(space, 4, 4, fill)).not.toBe(-1)
  expect([...space.slots.keys()].sort()).toEqual([1, 3, 4])
  expect(evicted()).toBe(1)
})

test('a value that outgrows the limit takes its former one with it', () => {
  const { l1, space, evicted } = tier({ maxBytes: 100 })
  l1.store(space, 1, 'old', fill)
  l1.store(space, 2, 'other', fill)
  expect(l1.store(space, 1, 'new', { ...fill, bytes: 101 })).toBe(-1)
  expect([...space.slots.keys()]).toEqual([2])
  expect([l1.bytes, evicted()]).toEqual([10, 0])
})

test('a value that grows in place pushes out others, never itself', () => {
  const { l1, space } = tier({ maxBytes: 100 })
  for (let key = 0; key < 10; key++) l1.store(space, key, key, fill)
  const slot = l1.store(space, 0, 'large', { ...fill, bytes: 95 })
  expect(l1.value(slot)).toBe('large')
  expect([...space.slots.keys()]).toEqual([0])
  expect(l1.bytes).toBe(95)
})

test('an eviction takes the entry out of the lists of its dependencies', () => {
  const { l1, space } = tier({ maxEntries: 2 })
  const dependencies: Dependency[] = [{ kind: 'tag', tenant: 't', tag: 'x' }]
  for (const key of [1, 2, 3]) l1.store(space, key, key, { ...fill, dependencies })
  const touched: unknown[] = []
  const touch = (slot: number) => touched.push(l1.keyOf(slot))
  const change: Change = { kind: 'target', targets: [{ kind: 'tag', tenant: 't', tag: 'x' }], mode: 'drop' }
  l1.resolve(change, touch, { coarseOldValues: 0, unchanged: 0, alone: 0 })
  expect(touched.sort()).toEqual([2, 3])
})

test('replacing an entry replaces its dependencies', () => {
  const { l1, space } = tier()
  const tag = (tag: string): Dependency => ({ kind: 'tag', tenant: 't', tag })
  l1.store(space, 1, 'v', { ...fill, dependencies: [tag('a'), tag('b')] })
  const slot = l1.store(space, 1, 'w', { ...fill, dependencies: [tag('c')] })
  expect(l1.dependenciesOf(slot)).toEqual([tag('c')])
  expect(l1.index.dependencies).toBe(1)
})

test('an entry that is removed while pinned leaves no pin to the next in its slot', () => {
  const { l1, space } = tier({ maxEntries: 2 })
  const other = l1.store(space, 0, 'u', fill)
  const slot = l1.store(space, 1, 'v', fill)
  l1.pin(slot)
  l1.remove(slot)
  expect(l1.store(space, 2, 'w', fill)).toBe(slot)
  expect(l1.store(space, 3, 'x', fill)).toBe(other)
  expect(l1.store(space, 4, 'y', fill)).toBe(slot)
  l1.pin(slot)
  for (const key of [5, 6, 7]) expect(l1.store(space, key, 'z', fill)).toBe(other)
  expect([...space.slots.keys()].sort()).toEqual([4, 7])
})

test('no rounding makes an entry fresh for longer than its lifetime, or at the moment at which it was expired', () => {
  const { l1, space } = tier()
  const time = fc.double({ min: 0, max: 1e10, noNaN: true })
  const check = (filledAt: number, lifetimeMs: number, now: number) => {
    const slot = l1.store(space, 1, 'v', { ...fill, filledAt, lifetimeMs })
    expect(l1.expiresAtOf(slot)).toBeLessThanOrEqual(filledAt + lifetimeMs)
    l1.expire(slot, now)
    expect(l1.isFreshAt(slot, now)).toBe(false)
  }
  fc.assert(
    fc.property(time, time, time, (filledAt, lifetime, age) => check(filledAt, lifetime, filledAt + age)),
    {
      numRuns: 20_000,
    },
  )
  // Both the difference and the sum are ties, and round up.
  check(1.5 * 2 ** -52, Number.POSITIVE_INFINITY, 1 + 2 ** -23 + 2 ** -52)
})
