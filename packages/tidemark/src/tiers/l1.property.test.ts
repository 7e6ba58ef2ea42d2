import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Dependency } from '../dependencies/dependency.js'
import { touches } from '../dependencies/match.js'
import type { Change } from '../log/change.js'
import { L1 } from './l1.js'
import { type SlotKey, Space } from './space.js'

// L1 might lose an entry, keep one too many, mix up slots that were used before, count bytes wrongly, evict what is pinned
// or what still has to be found by a change. The model is a Map per space, and removes what L1 says that it evicted.

interface Kept {
  readonly space: Space
  readonly key: SlotKey
  readonly value: unknown
  readonly lsn: number
  readonly filledAt: number
  expiresAt: number
  readonly bytes: number
  readonly dependencies: readonly Dependency[]
  pinned: boolean
}

const ENTRIES = 12
const BYTES = 1_000
const space = fc.nat(2)
const key = fc.constantFrom<SlotKey>('1', 1, 1n, true, null, 'a', 'b', 2, 3, 4, 5, 6, 7, 8, -0, 1.5)
const tag = fc.constantFrom('x', 'y', 'z')
const dependencies = fc.array(
  tag.map((tag): Dependency => ({ kind: 'tag', tenant: 't', tag })),
  { maxLength: 3 },
)
const lifetimeMs = fc.constantFrom(0, 1, 1000, 1000.1, 86_400_001, Number.POSITIVE_INFINITY)

type Step =
  | {
      readonly do: 'store'
      readonly space: number
      readonly key: SlotKey
      readonly lifetimeMs: number
      readonly bytes: number
      readonly dependencies: readonly Dependency[]
    }
  | { readonly do: 'read' | 'remove' | 'expire' | 'pin' | 'unpin'; readonly space: number; readonly key: SlotKey }
  | { readonly do: 'drop'; readonly tag: string }
  | { readonly do: 'dropSpace' | 'part' | 'leave'; readonly space: number }
  | { readonly do: 'clear' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('store' as const),
      space,
      key,
      lifetimeMs,
      bytes: fc.integer({ min: 1, max: 1_200 }).map((n) => (n > 1_100 ? n : n % 300)),
      dependencies,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('read' as const, 'remove' as const, 'expire' as const, 'pin' as const, 'unpin' as const),
      space,
      key,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop' as const), tag }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('dropSpace' as const), space }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('part' as const), space }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), space }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
)

class World {
  now = 1_000.7
  evictions = 0
  readonly l1 = new L1({ maxEntries: ENTRIES, maxBytes: BYTES }, (count) => {
    this.evictions += count
  })
  readonly spaces = [0, 1, 2].map(() => new Space('t', String))
  readonly model = new Map<string, Kept>()

  run(step: Step, at: number): void {
    this.now += 0.37
    const before = this.parted
    switch (step.do) {
      case 'store':
        this.store(step, at)
        break
      case 'drop':
        this.drop({ kind: 'target', targets: [{ kind: 'tag', tenant: 't', tag: step.tag }], mode: 'drop' })
        break
      case 'dropSpace':
        this.l1.removeSpace(this.spaces[step.space]!)
        for (const [name, kept] of this.model) if (kept.space === this.spaces[step.space]) this.model.delete(name)
        break
      case 'part':
        this.part(this.spaces[step.space]!)
        break
      case 'leave':
        // As a slice of a sweep does, which may end before it has all.
        for (const slot of [...this.l1.formersOf(this.spaces[step.space]!)].slice(0, 2)) this.l1.remove(slot)
        break
      case 'clear':
        expect(this.l1.clear()).toBe(this.model.size + before.count)
        this.model.clear()
        break
      default:
        this.one(step)
    }
  }

  store({ space: id, key, lifetimeMs, bytes, dependencies }: Extract<Step, { do: 'store' }>, at: number): void {
    const space = this.spaces[id]!
    const name = nameOf(id, key)
    const former = this.model.get(name)
    const [before, parted] = [this.evictions, this.parted]
    const pinned = former?.pinned ?? false
    this.l1.addSpace(space)
    const slot = this.l1.store(space, key, at, { lsn: at, filledAt: this.now, lifetimeMs, dependencies, bytes })
    this.model.delete(name)
    const gone = [...this.model].filter(([, { space, key }]) => !space.slots.has(key))
    const out = parted.count - this.parted.count
    expect(gone.length + out).toBe(this.evictions - before)
    for (const [name, kept] of gone) {
      expect(kept.pinned).toBe(false)
      this.model.delete(name)
    }
    if (slot !== -1) {
      this.model.set(name, {
        space,
        key,
        value: at,
        lsn: at,
        filledAt: this.now,
        expiresAt: this.now + lifetimeMs,
        bytes,
        dependencies,
        pinned,
      })
    } else {
      const unmovable = [...this.model.values()].filter((kept) => kept.pinned)
      const left = BYTES - unmovable.reduce((sum, kept) => sum + kept.bytes, 0)
      expect(bytes > left || unmovable.length >= ENTRIES).toBe(true)
      expect(space.slots.has(key)).toBe(false)
    }
    // Nothing leaves without need: with the last that left there would be too many, or too much.
    if (gone.length > 0 && out === 0 && slot !== -1) {
      const sum = [...this.model.values()].reduce((sum, kept) => sum + kept.bytes, parted.bytes)
      expect(this.model.size + parted.count === ENTRIES || gone.some(([, kept]) => sum + kept.bytes > BYTES)).toBe(true)
    }
  }

  /** What spaces were parted from, and is still in memory. */
  get parted(): { count: number; bytes: number } {
    const slots = this.spaces.flatMap((space) => [...this.l1.formersOf(space)])
    return { count: slots.length, bytes: slots.reduce((sum, slot) => sum + this.l1.bytesOf(slot), 0) }
  }

  part(space: Space): void {
    if (space.id === -1) return
    this.l1.part(space)
    for (const [name, kept] of this.model) {
      if (kept.space !== space) continue
      this.model.delete(name)
      // Those that are watched go first.
      const [slot] = kept.pinned ? this.l1.formersOf(space, kept.key) : []
      if (slot !== undefined) this.l1.remove(slot)
    }
  }

  drop(change: Change): void {
    this.l1.resolve(change, (slot) => this.l1.remove(slot), { coarseOldValues: 0, unchanged: 0, alone: 0 })
    for (const [name, kept] of this.model)
      if (kept.dependencies.some((one) => touches(one, change))) this.model.delete(name)
  }

  one(step: Extract<Step, { do: 'read' | 'remove' | 'expire' | 'pin' | 'unpin' }>): void {
    const slot = this.spaces[step.space]!.slots.get(step.key)
    const name = nameOf(step.space, step.key)
    const kept = this.model.get(name)
    expect(slot !== undefined).toBe(kept !== undefined)
    if (slot === undefined || !kept) return
    if (step.do === 'read') expect(this.l1.read(slot)).toBe(kept.value)
    if (step.do === 'remove') {
      this.l1.remove(slot)
      this.model.delete(name)
    }
    if (step.do === 'expire') {
      this.l1.expire(slot, this.now)
      expect(this.l1.isFreshAt(slot, this.now)).toBe(false)
      kept.expiresAt = Math.min(kept.expiresAt, this.now)
    }
    if (step.do === 'pin') this.l1.pin(slot)
    if (step.do === 'unpin') this.l1.unpin(slot)
    if (step.do === 'pin' || step.do === 'unpin') kept.pinned = step.do === 'pin'
  }

  check(): void {
    const parted = this.parted
    expect(this.l1.size).toBe(this.model.size + parted.count)
    expect(this.l1.size).toBeLessThanOrEqual(ENTRIES)
    expect(this.l1.bytes).toBe([...this.model.values()].reduce((sum, kept) => sum + kept.bytes, parted.bytes))
    expect(this.spaces.flatMap(({ formers }) => formers).reduce((sum, { left }) => sum + left, 0)).toBe(parted.count)
    expect(this.l1.bytes).toBeLessThanOrEqual(BYTES)
    for (const kept of this.model.values()) {
      const slot = kept.space.slots.get(kept.key)!
      expect(this.l1.spaceOf(slot)).toBe(kept.space)
      expect(this.l1.keyOf(slot) === kept.key).toBe(true)
      expect(this.l1.value(slot)).toBe(kept.value)
      expect(this.l1.lsnOf(slot)).toBe(kept.lsn)
      expect(this.l1.filledAtOf(slot)).toBe(kept.filledAt)
      expect(this.l1.bytesOf(slot)).toBe(kept.bytes)
      const expiry = this.l1.expiresAtOf(slot)
      // Never later; earlier by no more than a 32-bit float rounds.
      expect(expiry).toBeLessThanOrEqual(kept.expiresAt)
      if (expiry !== kept.expiresAt)
        expect(kept.expiresAt - expiry).toBeLessThan((kept.expiresAt - kept.filledAt) * 1e-6 + 1e-9)
      expect(this.l1.isFreshAt(slot, this.now)).toBe(this.now < expiry)
    }
  }
}

/** By type too, as a Map tells keys apart. */
function nameOf(space: number, key: SlotKey): string {
  return `${space} ${typeof key} ${Object.is(key, -0) ? 0 : key}`
}

test('L1 holds what was stored, within its limits, until it is evicted, removed or dropped', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const world = new World()
      steps.forEach((step, at) => {
        world.run(step, at)
        world.check()
      })
      for (const space of world.spaces) world.l1.removeSpace(space)
      expect(world.l1.size).toBe(0)
      expect(world.l1.bytes).toBe(0)
      expect(world.l1.index.dependencies).toBe(0)
      expect(world.l1.index.remains).toEqual({ groups: 0, links: 0 })
    }),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 1000) },
  )
})
