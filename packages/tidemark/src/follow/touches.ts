import type { Counters } from '../counters.js'
import type { EntryName, Observers } from '../events.js'
import type { Mode } from '../log/change.js'
import type { Keyspace } from '../read/keyspace.js'
import type { L1 } from '../tiers/l1.js'
import type { Taken } from './taken.js'

/** Of the entries that something touched, so many are named to observers. */
export const NAMED_MAX = 100

export interface TouchContext {
  readonly l1: L1
  readonly counters: Counters
  readonly observers: Observers
  readonly taken: Taken
}

/** Makes stale what the change at a position touches, and remembers how many entries and which. */
export class Touches {
  count = 0
  readonly named: EntryName[] = []
  readonly #context: TouchContext
  readonly #lsn: number
  readonly #isHeard: boolean

  constructor(context: TouchContext, lsn: number) {
    this.#context = context
    this.#lsn = lsn
    this.#isHeard = context.observers.hears('applied') || context.observers.hears('swept')
  }

  /** Drops the entry, or lets it expire as of `at` (monotonic ms), and wakes who watches it. */
  touch(slot: number, mode: Mode, at: number): void {
    const { l1, counters, taken } = this.#context
    this.count++
    counters.invalidated++
    const space = l1.spaceOf(slot) as Keyspace
    const key = l1.keyOf(slot)
    if (this.#isHeard && this.named.length < NAMED_MAX) this.named.push({ tenant: space.tenant, key: space.text(key) })
    taken.note(space, key, this.#lsn)
    const watch = space.watches.size > 0 ? space.watches.get(key) : undefined
    if (mode === 'expire') l1.expire(slot, at)
    else l1.remove(slot)
    watch?.touch()
  }
}
