import fc from 'fast-check'
import { expect, test } from 'vitest'
import { L1 } from './l1.js'
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
