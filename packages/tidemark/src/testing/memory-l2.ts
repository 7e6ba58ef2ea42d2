import { randomUUID } from 'node:crypto'
import type {
  L2,
  L2Answer,
  L2Ask,
  L2Batch,
  L2Entry,
  L2Fill,
  L2Keyed,
  L2Mark,
  L2Place,
  L2Read,
  L2Stamp,
  L2Tide,
} from '../tiers/l2.js'
import { copyOf } from '../values.js'

interface Stored extends L2Entry {
  /** When it was stored, by L2's clock. */
  readonly storedAt: number
  readonly stamps: readonly L2Stamp[]
}

/** All that an L2 holds: what a backup of it has. */
interface Held {
  tide: L2Tide | undefined
  shapesId: string
  /** Shape → since. */
  readonly shapes: Map<string, number>
  /** Shape → the last patterns, oldest first. */
  readonly patterns: Map<string, readonly Pattern[]>
  /** Shape and name → the last position that touched it, oldest first. */
  readonly stamps: Map<string, number>
  readonly entries: Map<string, Stored>
}

interface Pattern {
  readonly lsn: number
  readonly text: string
}

/** So many are kept of each shape. */
const PATTERNS_MAX = 32

/** Each rule as a function of its own, so that the simulation can plant the bug of leaving it out. */
export const l2Rules = {
  /** A batch that follows what was never applied: something is lost. */
  isGap: (m: number, prev: number): boolean => m < prev,
  /** Nothing is believed from before its shape was stamped. */
  isBefore: (lsn: number, since: number): boolean => lsn < since,
  /** What is older than an expiry is not fresh. */
  isExpired: (lsn: number, expiry: number): boolean => lsn < expiry,
  /** Newer: what was computed before what is there does not take its place. */
  isOlder: (lsn: number, former: number): boolean => lsn < former,
  /** The marks were made for the shapes that there are. */
  hasShapes: (batch: string | undefined, held: string): boolean => batch === held,
}

/**
 * The contract of an L2 in memory, in as few words as it takes: for tests of what uses one, and what others are compared with. Like any
 * L2 it may lose everything (`flush`), or go back to an earlier state (`save`, `restore`).
 */
export class MemoryL2 implements L2 {
  readonly #stampsMax: number
  readonly #shapesMax: number
  readonly #now: () => number
  #held = nothing()
  #saved: Held | undefined
  readonly #leases = new Map<string, { readonly holder: string; readonly until: number }>()
  /** While true, every call rejects. */
  isDown = false

  /** @param options.now  its clock, in ms. Default: a monotonic one */
  constructor(options: { readonly stampsMax?: number; readonly shapesMax?: number; readonly now?: () => number } = {}) {
    this.#stampsMax = options.stampsMax ?? 100_000
    this.#shapesMax = options.shapesMax ?? Number.POSITIVE_INFINITY
    this.#now = options.now ?? (() => performance.now())
  }

  get size(): number {
    return this.#held.entries.size
  }

  /** Of each key that it has, as of when its entry holds. */
  get positions(): ReadonlyMap<string, number> {
    return new Map([...this.#held.entries].map(([key, { lsn }]) => [key, lsn]))
  }

  /** Another one once it has lost everything, or went back to an earlier state. */
  get life(): object {
    return this.#held
  }

  get tide(): L2Tide | undefined {
    return this.#held.tide
  }

  async read(key: string, ask?: L2Ask): Promise<L2Read> {
    this.#mustBeUp()
    const found = this.#find(key)
    return found.entry || !ask ? found : { ...found, isLeased: this.#lease(key, ask.holder, ask.ms) }
  }

  async readAll(keys: readonly string[], ask?: L2Ask): Promise<L2Read[]> {
    return Promise.all(keys.map((key) => this.read(key, ask)))
  }

  #find(key: string): L2Read {
    const { tide, entries } = this.#held
    const entry = entries.get(key)
    if (!entry || !this.#isValid(entry.lsn, entry.stamps)) return { tide, entry: undefined }
    const { value, lsn, dependencies, storedAt } = entry
    const passed = this.#now() - storedAt
    const [ageMs, remainingMs] = [entry.ageMs + passed, entry.remainingMs - passed]
    if (remainingMs <= 0) return { tide, entry: undefined }
    const found = { tide, entry: { value: copyOf(value), lsn, dependencies, ageMs, remainingMs } }
    const held = this.#isExpired(lsn, entry.stamps) ? { ...found, isExpired: true } : found
    const shapes = new Set(entry.stamps.map(({ shape }) => shape))
    const patterns = [...shapes].flatMap((shape) => this.#held.patterns.get(shape) ?? [])
    const later = patterns.filter((pattern) => pattern.lsn > lsn).map(({ text }) => text)
    return later.length === 0 ? held : { ...held, patterns: later }
  }

  async fill(key: string, { epoch, holder, ...entry }: L2Fill): Promise<'stored' | 'refused'> {
    this.#mustBeUp()
    const { tide, entries } = this.#held
    if (tide?.epoch !== epoch) return 'refused'
    const stamps = this.#registered(tide.m, entry.stamps)
    if (!stamps) return 'refused'
    const former = entries.get(key)
    const isStale = !this.#isValid(entry.lsn, stamps) || this.#isExpired(entry.lsn, stamps)
    if (isStale || (former && l2Rules.isOlder(entry.lsn, former.lsn))) return 'refused'
    entries.set(key, { ...entry, stamps, value: copyOf(entry.value), storedAt: this.#now() })
    if (holder !== undefined) this.#release(key, holder)
    return 'stored'
  }

  async fillAll(entries: readonly L2Keyed[]): Promise<('stored' | 'refused')[]> {
    return Promise.all(entries.map(({ key, fill }) => this.fill(key, fill)))
  }

  /** The stamps whose shapes are registered now; undefined where there is no room for them. */
  #registered(since: number, stamps: readonly L2Stamp[]): readonly L2Stamp[] | undefined {
    const { shapes } = this.#held
    const missing = (from: readonly L2Stamp[]): Set<string> =>
      new Set(from.map(({ shape }) => shape).filter((shape) => !shapes.has(shape)))
    const isRoom = shapes.size + missing(stamps).size <= this.#shapesMax
    const taken = isRoom ? stamps : stamps.map((stamp) => (shapes.has(stamp.shape) ? stamp : (stamp.wide ?? stamp)))
    const added = missing(taken)
    if (shapes.size + added.size > 2 * this.#shapesMax) return undefined
    if (added.size > 0) this.#held.shapesId = randomUUID()
    for (const shape of added) shapes.set(shape, since)
    return taken
  }

  async remove(keys: readonly string[], { epoch, lsn }: L2Place): Promise<number | undefined> {
    this.#mustBeUp()
    const { tide, entries } = this.#held
    if (tide?.epoch !== epoch) return undefined
    return keys.filter((key) => (entries.get(key)?.lsn ?? lsn) < lsn && entries.delete(key)).length
  }

  async invalidate({ epoch, prev, end, shapes, marks, mayReset }: L2Batch): Promise<L2Answer> {
    this.#mustBeUp()
    const { tide } = this.#held
    if (tide?.epoch !== epoch || (l2Rules.isGap(tide.m, prev) && mayReset)) {
      this.#held = { ...nothing(), tide: { epoch, m: end } }
      return this.#answer('applied')
    }
    if (l2Rules.isGap(tide.m, prev)) return this.#answer('behind')
    if (tide.m >= end) return this.#answer('applied')
    if (!l2Rules.hasShapes(shapes, this.#held.shapesId)) {
      return { ...this.#answer('shapes'), shapes: [...this.#held.shapes.keys()] }
    }
    for (const mark of marks) if (mark.lsn > tide.m) this.#mark(mark)
    this.#held.tide = { epoch, m: end }
    return this.#answer('applied')
  }

  async lease(key: string, holder: string, ms: number): Promise<boolean> {
    this.#mustBeUp()
    return this.#lease(key, holder, ms)
  }

  #lease(key: string, holder: string, ms: number): boolean {
    const now = this.#now()
    const held = this.#leases.get(key)
    if (held && held.holder !== holder && now < held.until) return false
    this.#leases.set(key, { holder, until: now + ms })
    return true
  }

  async release(key: string, holder: string): Promise<void> {
    this.#mustBeUp()
    this.#release(key, holder)
  }

  #release(key: string, holder: string): void {
    if (this.#leases.get(key)?.holder === holder) this.#leases.delete(key)
  }

  async close(): Promise<void> {
    // Others may use it.
  }

  /** All is gone. */
  flush(): void {
    this.#held = nothing()
    this.#leases.clear()
  }

  /** A backup is made. */
  save(): void {
    this.#saved = copied(this.#held)
  }

  /** The last backup is brought back. */
  restore(): void {
    if (this.#saved) this.#held = copied(this.#saved)
  }

  /** One entry is evicted. */
  evict(key: string): void {
    this.#held.entries.delete(key)
  }

  #mark({ shape, name, lsn, pattern, isExpiry }: L2Mark): void {
    const { shapes, stamps } = this.#held
    if (pattern !== undefined) return this.#keep(shape, { lsn, text: pattern })
    if (name === undefined) {
      shapes.set(shape, Math.max(lsn, shapes.get(shape) ?? 0))
      return
    }
    const stamp = stampKey(shape, name, isExpiry)
    stamps.delete(stamp)
    stamps.set(stamp, lsn)
    for (const [oldest, at] of stamps) {
      if (stamps.size <= this.#stampsMax) break
      stamps.delete(oldest)
      const [of] = JSON.parse(oldest) as [string]
      shapes.set(of, Math.max(at, shapes.get(of) ?? 0))
    }
  }

  #keep(shape: string, pattern: Pattern): void {
    const { patterns, shapes } = this.#held
    if (!shapes.has(shape)) return
    const kept = [...(patterns.get(shape) ?? []), pattern]
    if (kept.length > PATTERNS_MAX) shapes.set(shape, Math.max(kept.shift()!.lsn, shapes.get(shape)!))
    patterns.set(shape, kept)
  }

  #isValid(lsn: number, own: readonly L2Stamp[]): boolean {
    const { shapes, stamps } = this.#held
    return own.every(({ shape, name }) => {
      const since = shapes.get(shape)
      if (since === undefined || l2Rules.isBefore(lsn, since)) return false
      return (stamps.get(stampKey(shape, name)) ?? 0) <= lsn
    })
  }

  #isExpired(lsn: number, own: readonly L2Stamp[]): boolean {
    const { stamps } = this.#held
    return own.some(({ shape, name }) => l2Rules.isExpired(lsn, stamps.get(stampKey(shape, name, true)) ?? 0))
  }

  #answer(state: L2Answer['state']): L2Answer {
    return { state, m: this.#held.tide!.m, shapesId: this.#held.shapesId }
  }

  #mustBeUp(): void {
    if (this.isDown) throw new Error('The test took L2 down.')
  }
}

function nothing(): Held {
  return {
    tide: undefined,
    shapesId: randomUUID(),
    shapes: new Map(),
    patterns: new Map(),
    stamps: new Map(),
    entries: new Map(),
  }
}

function copied({ tide, shapesId, shapes, patterns, stamps, entries }: Held): Held {
  return {
    tide,
    shapesId,
    shapes: new Map(shapes),
    patterns: new Map(patterns),
    stamps: new Map(stamps),
    entries: new Map(entries),
  }
}

function stampKey(shape: string, name: string, isExpiry = false): string {
  return JSON.stringify([shape, name, isExpiry])
}
