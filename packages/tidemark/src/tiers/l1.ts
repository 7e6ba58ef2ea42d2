import { enlarged, enlargedList, NONE, nextCapacity } from '../arrays.js'
import type { Dependency } from '../dependencies/dependency.js'
import { DependencyIndex, type Tally } from '../dependencies/lookup.js'
import type { Change } from '../log/change.js'
import { copyOf } from '../values.js'
import type { Eviction } from './eviction.js'
import type { Fill } from './fill.js'
import { floored } from './floored.js'
import type { Keyed } from './key-order.js'
import { KeyOrders } from './key-orders.js'
import type { L1Limits } from './limits.js'
import { Shares, type TenantUse } from './shares.js'
import { Sieve } from './sieve.js'
import type { SlotKey, Space } from './space.js'
import { Spaces } from './spaces.js'

const SLOTS_MAX = 2 ** 24 - 1
const [SHARED, COPIED, FREE] = [0, 1, 2]

/**
 * The tier in the process's memory. An entry is a *slot*: a small integer, an index into arrays of one kind of fact each.
 * That takes 63 bytes per entry beside the Map of its space, where an object would take twice as much, and leaves the
 * garbage collector two pointers to follow. A slot is used again after `remove`: hold it across no `await`.
 *
 * A hit is `space.slots.get(key)`, `isFreshAt`, `read`: no allocation, nothing but reads of arrays and a byte written.
 */
export class L1 implements Keyed {
  readonly #limits: L1Limits
  readonly #evicted: (count: number, forQuota: number) => void
  #eviction: Eviction = new Sieve()
  /** Only where a tenant may not have all, or has a quota. */
  readonly #shares: Shares | undefined
  readonly #takeHit = (slot: number): boolean => this.#eviction.takeHit(slot)
  #index = new DependencyIndex()
  #capacity = 0
  /** Slots from here on were never used. */
  #unused = 0
  #free = NONE
  readonly #spaces = new Spaces()
  readonly #pinned = new Set<number>()
  #size = 0
  #bytes = 0
  #latest = Number.NEGATIVE_INFINITY

  #values: unknown[] = []
  #keys: SlotKey[] = []
  #filledAt = new Float64Array(0)
  #lifetimes = new Float32Array(0)
  #lsns = new Float64Array(0)
  /** Bytes; of a free slot, the next free slot. */
  #sizes = new Uint32Array(0)
  #spaceIds: Uint16Array | Uint32Array = new Uint16Array(0)
  /** Whether an entry is stored there, and whether each reader gets a copy. */
  #states = new Uint8Array(0)

  #orders: KeyOrders | undefined
  /** Looks at what `find` is about to return, which it may remove or expire; undefined while there is nothing to look for. */
  judge: ((slot: number) => void) | undefined

  /** @param evicted hears how many entries had to leave for room, and how many of these for their tenant's quota */
  constructor(limits: L1Limits, evicted: (count: number, forQuota: number) => void) {
    const maxEntries = Math.min(limits.maxEntries, SLOTS_MAX)
    this.#limits = { maxEntries, maxBytes: limits.maxBytes }
    const { tenantShare = 1, quotas } = limits
    if (tenantShare < 1 || quotas)
      this.#shares = new Shares({ entries: maxEntries * tenantShare, bytes: limits.maxBytes * tenantShare }, quotas)
    this.#evicted = evicted
  }

  get size(): number {
    return this.#size
  }

  get used(): number {
    return this.#unused
  }

  get bytes(): number {
    return this.#bytes
  }

  /** No entry is valid as of a later position. */
  get latest(): number {
    return this.#latest
  }

  /** What each tenant has; nothing where that is not counted. */
  get uses(): TenantUse[] {
    return this.#shares?.uses() ?? []
  }

  /** What the dependencies of all entries take: distinct ones, and what is held for them. */
  get index(): Pick<
    DependencyIndex,
    'dependencies' | 'remains' | 'keysOf' | 'entriesOf' | 'idOf' | 'of' | 'handedOf' | 'doubtOf'
  > {
    return this.#index
  }

  /** Makes room for a space's entries to be stored. Adding it again does nothing. */
  addSpace(space: Space): void {
    this.#spaces.add(space)
    this.#widen()
  }

  /** Forgets a space, and removes what is stored in it. Cost: its entries. */
  removeSpace(space: Space): void {
    if (space.id === -1) return
    for (const slot of space.slots.values()) this.remove(slot)
    for (const slot of this.formersOf(space)) this.remove(slot)
    this.#spaces.remove(space)
  }

  /** From now on no key finds what the space holds: all of it is about to be removed, at leisure. Cost: none for its size. */
  part(space: Space): void {
    this.#spaces.part(space)
    this.#widen()
  }

  /** What is left in memory of what spaces were parted from: each once, or the one under a key. It may be removed meanwhile. */
  *formersOf(space: Space, key?: SlotKey): Generator<number> {
    // One that was freed may have another entry since; in a space with another number, while the former has anything left.
    for (const former of [...space.formers])
      for (const slot of key === undefined ? former.slots.values() : [former.slots.get(key) ?? NONE])
        if (former.left > 0 && this.#spaceIds[slot] === former.id && this.holds(slot)) yield slot
  }

  /** The slot of a key's entry. What a sweep has not yet come to, though it names it, is made stale first. */
  find(space: Space, key: SlotKey): number | undefined {
    const slot = space.slots.get(key)
    if (slot === undefined || this.judge === undefined) return slot
    this.judge(slot)
    return space.slots.get(key)
  }

  /** Whether an entry is stored there. */
  holds(slot: number): boolean {
    // Not by looking its key up: among a million keys that costs a microsecond.
    return slot < this.#unused && this.#states[slot] !== FREE
  }

  /** The keys in the order of what they begin or end with. An order is kept once it was asked for, until `clear`. */
  get orders(): KeyOrders {
    this.#orders ??= new KeyOrders(this, this.#index)
    return this.#orders
  }

  /**
   * All keys of a tenant (or of all) are about to go: where that is most of an order, it is given up, and built anew when it is asked for
   * again, instead of taking them out one by one. Who still reads the former one finds what was there.
   */
  forsake(tenant: string | undefined): void {
    this.#orders?.forsake(tenant)
  }

  /** Whether the entry has not expired by time. */
  isFreshAt(slot: number, now: number): boolean {
    return now < this.#filledAt[slot]! + this.#lifetimes[slot]!
  }

  /** The value, for a reader: counts as a hit. */
  read(slot: number): unknown {
    this.#eviction.hit(slot)
    return this.#states[slot] === COPIED ? copyOf(this.#values[slot]) : this.#values[slot]
  }

  /** The value as it is stored; counts as nothing. */
  value(slot: number): unknown {
    return this.#values[slot]
  }

  /** Counts as a hit. */
  touch(slot: number): void {
    this.#eviction.hit(slot)
  }

  /** Whether it is watched, or was read since room was last made. */
  isHot(slot: number): boolean {
    return this.#pinned.has(slot) || this.#eviction.isHot(slot)
  }

  lsnOf(slot: number): number {
    return this.#lsns[slot]!
  }

  filledAtOf(slot: number): number {
    return this.#filledAt[slot]!
  }

  /** Monotonic ms; `Infinity` if it does not expire by time. */
  expiresAtOf(slot: number): number {
    return this.#filledAt[slot]! + this.#lifetimes[slot]!
  }

  bytesOf(slot: number): number {
    return this.#sizes[slot]!
  }

  named(slot: number): { tenant: string; key: string } | undefined {
    if (!this.holds(slot)) return undefined
    const { tenant, text } = this.spaceOf(slot)
    return { tenant, key: text(this.#keys[slot]!) }
  }

  keyOf(slot: number): SlotKey {
    return this.#keys[slot]!
  }

  spaceOf(slot: number): Space {
    return this.#spaces.at(this.#spaceIds[slot]!)
  }

  dependenciesOf(slot: number): Dependency[] {
    return this.#index.of(slot)
  }

  /**
   * Stores an entry, in place of the key's former one (which keeps its slot, pin and place in the queue). Others are
   * evicted until it fits.
   *
   * @returns its slot; -1 if it cannot fit: it is larger than the limit, or what is pinned leaves no room. Then the
   *          former entry is gone too.
   */
  store(space: Space, key: SlotKey, value: unknown, fill: Fill): number {
    const bytes = Math.min(Math.ceil(fill.bytes), NONE - 1)
    const former = space.slots.get(key)
    const slot = former === undefined ? this.#takeSlot(space, key, bytes) : this.#reuseSlot(former, bytes)
    if (slot === -1) return -1
    this.#values[slot] = value
    this.#filledAt[slot] = fill.filledAt
    this.#lifetimes[slot] = floored(Math.max(0, fill.lifetimeMs))
    this.#lsns[slot] = fill.lsn
    if (fill.lsn > this.#latest) this.#latest = fill.lsn
    this.#sizes[slot] = bytes
    this.#states[slot] = fill.copied ? COPIED : SHARED
    this.#bytes += bytes
    this.#shares?.resized(space.tenant, bytes)
    if (fill.dependencies.length > 0) this.#index.add(slot, fill.dependencies, fill.pairing, fill.doubt)
    return slot
  }

  remove(slot: number): void {
    const space = this.spaceOf(slot)
    this.#orders?.remove(slot, space, this.#keys[slot]!)
    const id = this.#spaceIds[slot]!
    if (id === space.id) space.slots.delete(this.#keys[slot]!)
    else this.#spaces.left(space, id)
    const isPinned = this.#pinned.delete(slot)
    if (!isPinned) this.#eviction.remove(slot)
    this.#shares?.remove(slot, space.tenant, this.#sizes[slot]!, isPinned)
    this.#index.remove(slot)
    this.#bytes -= this.#sizes[slot]!
    this.#size--
    this.#values[slot] = undefined
    this.#keys[slot] = null
    this.#states[slot] = FREE
    this.#sizes[slot] = this.#free
    this.#free = slot
  }

  /** Makes the entry stale as of now; one that is stale already stays as it is. */
  expire(slot: number, now: number): void {
    const filledAt = this.#filledAt[slot]!
    let lifetime = floored(Math.max(0, now - filledAt))
    // The sum may round up by a hair, and a read at this very moment must not find it fresh.
    if (filledAt + lifetime > now) lifetime = floored(lifetime - lifetime * 2 ** -22)
    if (lifetime < this.#lifetimes[slot]!) this.#lifetimes[slot] = lifetime
  }

  /** The entry is not evicted until `unpin`. It can be replaced, and removed, which ends the pin. */
  pin(slot: number): void {
    if (this.#pinned.has(slot)) return
    this.#pinned.add(slot)
    this.#eviction.remove(slot)
    this.#shares?.pin(slot, this.spaceOf(slot).tenant)
  }

  unpin(slot: number): void {
    if (!this.#pinned.delete(slot)) return
    this.#eviction.insert(slot)
    this.#shares?.unpin(slot, this.spaceOf(slot).tenant)
  }

  /**
   * Calls `touch` once or more for every entry that the change touches; it may remove or expire the entry that it is
   * given, and must leave others. An entry's own key is not looked at: the owner knows its space. Cost: one or two
   * look-ups per shape of the table, and the entries touched.
   */
  resolve(change: Change, touch: (slot: number) => void, tally: Tally): void {
    this.#index.resolve(change, touch, tally)
  }

  /** Removes all entries, gives their memory back, and returns how many there were. Spaces stay. */
  clear(): number {
    const size = this.#size
    this.#spaces.clear()
    this.#pinned.clear()
    this.#eviction = new Sieve()
    this.#shares?.clear()
    this.#index = new DependencyIndex()
    this.#orders = undefined
    this.#size = this.#bytes = this.#unused = 0
    this.#latest = Number.NEGATIVE_INFINITY
    this.#free = NONE
    this.#values = []
    this.#keys = []
    this.#filledAt = new Float64Array(0)
    this.#lifetimes = new Float32Array(0)
    this.#lsns = new Float64Array(0)
    this.#sizes = new Uint32Array(0)
    this.#spaceIds = this.#spaces.used > 0x10000 ? new Uint32Array(0) : new Uint16Array(0)
    this.#states = new Uint8Array(0)
    this.#capacity = 0
    return size
  }

  /** A slot for a key that has none, or -1. */
  #takeSlot(space: Space, key: SlotKey, bytes: number): number {
    if (!this.#makeRoom(space, 1, bytes)) return -1
    let slot = this.#free
    if (slot === NONE) {
      if (this.#unused === this.#capacity) this.#resize(nextCapacity(this.#capacity, this.#limits.maxEntries))
      slot = this.#unused++
    } else {
      this.#free = this.#sizes[slot]!
    }
    this.#keys[slot] = key
    this.#states[slot] = SHARED
    this.#spaceIds[slot] = space.id
    space.slots.set(key, slot)
    this.#eviction.insert(slot)
    this.#sizes[slot] = 0
    this.#shares?.add(slot, space.tenant)
    this.#size++
    this.#orders?.add(slot, space, key)
    return slot
  }

  #widen(): void {
    if (this.#spaces.used > 0x10000 && this.#spaceIds instanceof Uint16Array)
      this.#spaceIds = Uint32Array.from(this.#spaceIds)
  }

  /** The same slot, without its former size and dependencies; or -1, and it is gone. */
  #reuseSlot(slot: number, bytes: number): number {
    this.#index.remove(slot)
    this.#bytes -= this.#sizes[slot]!
    this.#shares?.resized(this.spaceOf(slot).tenant, -this.#sizes[slot]!)
    this.#sizes[slot] = 0
    const { tenant } = this.spaceOf(slot)
    if (this.#bytes + bytes <= this.#limits.maxBytes && !this.#shares?.isOverQuota(tenant, 0, bytes)) return slot
    // It must not be its own victim.
    const spared = !this.#pinned.has(slot)
    if (spared) this.pin(slot)
    const fits = this.#makeRoom(this.spaceOf(slot), 0, bytes)
    if (spared) this.unpin(slot)
    if (fits) return slot
    this.remove(slot)
    return -1
  }

  #makeRoom({ tenant }: Space, entries: number, bytes: number): boolean {
    const { maxEntries, maxBytes } = this.#limits
    if (bytes > maxBytes || this.#shares?.canHold(tenant, bytes) === false) return false
    let count = 0
    let forQuota = 0
    let victim = 0
    while (victim !== -1) {
      const isOverQuota = this.#shares?.isOverQuota(tenant, entries, bytes)
      if (!isOverQuota && this.#size + entries <= maxEntries && this.#bytes + bytes <= maxBytes) break
      victim = isOverQuota ? this.#shares!.ownVictim(tenant, this.#takeHit) : this.#victim(tenant, entries, bytes)
      if (victim === -1) break
      this.remove(victim)
      count++
      if (isOverQuota) forQuota++
    }
    if (count > 0) this.#evicted(count, forQuota)
    return victim !== -1
  }

  #victim(tenant: string, entries: number, bytes: number): number {
    const owed = this.#shares?.victim(tenant, { entries, bytes }, this.#takeHit) ?? -1
    return owed === -1 ? this.#eviction.victim() : owed
  }

  #resize(capacity: number): void {
    this.#values = enlargedList(this.#values, capacity)
    this.#keys = enlargedList(this.#keys, capacity)
    this.#filledAt = enlarged(this.#filledAt, capacity)
    this.#lifetimes = enlarged(this.#lifetimes, capacity)
    this.#lsns = enlarged(this.#lsns, capacity)
    this.#sizes = enlarged(this.#sizes, capacity)
    this.#spaceIds = enlarged(this.#spaceIds, capacity)
    this.#states = enlarged(this.#states, capacity)
    this.#eviction.resize(capacity)
    this.#shares?.resize(capacity)
    this.#index.resize(capacity)
    this.#capacity = capacity
  }
}
