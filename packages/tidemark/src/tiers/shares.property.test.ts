import fc from 'fast-check'
import { expect, test } from 'vitest'
import { L1 } from './l1.js'
import { quotaBookOf } from './limits.js'
import { Space } from './space.js'

// How it might be wrong: a tenant that floods pushes out entries of those who have no more than their share; or a count drifts, and a
// tenant counts for more, or less, than it has.

const TENANTS = ['a', 'b', 'c', 'd']
const LIMITS = { maxEntries: 20, maxBytes: 2_000, tenantShare: 0.25 }

const step = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.record({
      kind: fc.constant('store' as const),
      tenant: fc.constantFrom(...TENANTS),
      key: fc.nat(30),
      bytes: fc.integer({ min: 1, max: 300 }),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constantFrom('read' as const, 'remove' as const, 'pin' as const, 'unpin' as const),
      tenant: fc.constantFrom(...TENANTS),
      key: fc.nat(30),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
)

test('while somebody has more than their share, nobody else gives room', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const l1 = new L1(LIMITS, () => {})
      const spaces = Object.fromEntries(TENANTS.map((tenant) => [tenant, new Space(tenant, String)]))
      for (const tenant of TENANTS) l1.addSpace(spaces[tenant]!)
      const pinned = new Set<number>()
      const used = (tenant: string) => {
        const slots = [...spaces[tenant]!.slots.values()]
        return { slots, bytes: slots.reduce((sum, slot) => sum + l1.bytesOf(slot), 0) }
      }
      const isOver = (tenant: string) => {
        const { slots, bytes } = used(tenant)
        return slots.length > LIMITS.maxEntries / 4 || bytes > LIMITS.maxBytes / 4
      }
      for (const each of steps) {
        if (each.kind === 'clear') {
          l1.clear()
          pinned.clear()
          continue
        }
        const slot = spaces[each.tenant]!.slots.get(each.key)
        if (each.kind !== 'store') {
          if (slot === undefined) continue
          if (each.kind === 'read') l1.read(slot)
          if (each.kind === 'pin') l1.pin(slot)
          if (each.kind === 'unpin') l1.unpin(slot)
          if (each.kind === 'remove') l1.remove(slot)
          if (each.kind === 'pin') pinned.add(slot)
          else if (each.kind !== 'read') pinned.delete(slot)
          continue
        }
        const before = new Map(TENANTS.map((tenant) => [tenant, { ...used(tenant), wasOver: isOver(tenant) }]))
        l1.store(spaces[each.tenant]!, each.key, each, {
          lsn: 1,
          filledAt: 0,
          lifetimeMs: 1,
          dependencies: [],
          bytes: each.bytes,
        })
        for (const tenant of TENANTS) {
          if (tenant === each.tenant || before.get(tenant)!.wasOver) continue
          const left = before.get(tenant)!.slots.length - used(tenant).slots.length
          // Whoever still has more could have given it, unless all of it must stay.
          if (left > 0)
            for (const other of TENANTS.filter(isOver))
              expect(
                used(other).slots.filter(
                  (slot) => !pinned.has(slot) && slot !== spaces[each.tenant]!.slots.get(each.key),
                ),
              ).toEqual([])
        }
        expect(l1.size).toBeLessThanOrEqual(LIMITS.maxEntries)
        expect(l1.bytes).toBeLessThanOrEqual(LIMITS.maxBytes)
      }
    }),
    { numRuns: 300 },
  )
})

test('a tenant may have all of it while nobody else needs room, and gives it when somebody does', () => {
  const l1 = new L1({ maxEntries: 100, maxBytes: 1e9, tenantShare: 0.5 }, () => {})
  const [flood, calm] = [new Space('flood', String), new Space('calm', String)]
  for (const space of [flood, calm]) l1.addSpace(space)
  const fill = { lsn: 1, filledAt: 0, lifetimeMs: 1, dependencies: [], bytes: 10 }
  for (let key = 0; key < 100; key++) l1.store(flood, key, key, fill)
  expect(flood.slots.size).toBe(100)
  for (let key = 0; key < 40; key++) l1.store(calm, key, key, fill)
  for (let key = 0; key < 10_000; key++) l1.store(flood, `more ${key}`, key, fill)
  expect([calm.slots.size, flood.slots.size]).toEqual([40, 60])
})

// With numbers of its own a tenant might have more than these, take room from others though it has enough, or count wrongly.
test('nobody ever has more than their quota, and only their own entries leave for it', () => {
  const quotas = quotaBookOf({
    default: { entries: 6, bytes: 600 },
    tenants: { a: { entries: 3 }, b: { bytes: 200 } },
  })!
  const quotaOf = (tenant: string) => quotas.tenants.get(tenant) ?? quotas.default
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.constantFrom(0.25, 1), (steps, tenantShare) => {
      let forQuota = 0
      const l1 = new L1({ maxEntries: 16, maxBytes: 1_500, tenantShare, quotas }, (_, count) => {
        forQuota += count
      })
      const spaces = Object.fromEntries(TENANTS.map((tenant) => [tenant, new Space(tenant, String)]))
      for (const tenant of TENANTS) l1.addSpace(spaces[tenant]!)
      const sizes = () => Object.fromEntries(TENANTS.map((tenant) => [tenant, spaces[tenant]!.slots.size]))
      for (const each of steps) {
        if (each.kind === 'clear') l1.clear()
        else if (each.kind === 'store') {
          const before = { ...sizes(), size: l1.size, bytes: l1.bytes, forQuota }
          const fill = { lsn: 1, filledAt: 0, lifetimeMs: 1, dependencies: [], bytes: each.bytes }
          const slot = l1.store(spaces[each.tenant]!, each.key, each, fill)
          if (slot === -1) expect(spaces[each.tenant]!.slots.has(each.key)).toBe(false)
          // What no room would be enough for takes none.
          if (each.bytes > quotaOf(each.tenant).bytes) expect(forQuota).toBe(before.forQuota)
          // There was room: what left was for the quota, and so the tenant's own.
          if (before.size < 16 && before.bytes + each.bytes <= 1_500)
            for (const other of TENANTS.filter((tenant) => tenant !== each.tenant))
              expect(sizes()[other]).toBe((before as Record<string, number>)[other])
        } else {
          const slot = spaces[each.tenant]!.slots.get(each.key)
          if (slot === undefined) continue
          if (each.kind === 'read') l1.read(slot)
          if (each.kind === 'pin') l1.pin(slot)
          if (each.kind === 'unpin') l1.unpin(slot)
          if (each.kind === 'remove') l1.remove(slot)
        }
        const counted = new Map(l1.uses.map((use) => [use.tenant, use]))
        for (const tenant of TENANTS) {
          const slots = [...spaces[tenant]!.slots.values()]
          const bytes = slots.reduce((sum, slot) => sum + l1.bytesOf(slot), 0)
          expect(slots.length).toBeLessThanOrEqual(quotaOf(tenant).entries)
          expect(bytes).toBeLessThanOrEqual(quotaOf(tenant).bytes)
          const { entries = 0, bytes: held = 0 } = counted.get(tenant) ?? {}
          expect([entries, held]).toEqual([slots.length, bytes])
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('for a new entry of a tenant that has its quota, its oldest that nobody read leaves, though there is room', () => {
  const quotas = quotaBookOf({ tenants: { small: { entries: 3 } } })
  const evicted: number[][] = []
  const l1 = new L1({ maxEntries: 100, maxBytes: 1e9, quotas }, (...counts) => evicted.push(counts))
  const [small, large] = [new Space('small', String), new Space('large', String)]
  for (const space of [small, large]) l1.addSpace(space)
  const fill = { lsn: 1, filledAt: 0, lifetimeMs: 1, dependencies: [], bytes: 10 }
  for (let key = 0; key < 50; key++) l1.store(large, key, key, fill)
  for (const key of ['a', 'b', 'c']) l1.store(small, key, key, fill)
  l1.read(small.slots.get('a')!)
  l1.store(small, 'd', 'd', fill)
  expect([...small.slots.keys()]).toEqual(['a', 'c', 'd'])
  expect([large.slots.size, evicted]).toEqual([50, [[1, 1]]])
  expect(l1.uses).toEqual([
    { tenant: 'large', entries: 50, bytes: 500, quota: { entries: Infinity, bytes: Infinity } },
    { tenant: 'small', entries: 3, bytes: 30, quota: { entries: 3, bytes: Infinity } },
  ])
})
