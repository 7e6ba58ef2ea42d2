import { AsyncResource } from 'node:async_hooks'
import { isDeepStrictEqual } from 'node:util'
import { ByKey } from '../by-key.js'
import type { Counters } from '../counters.js'
import type { Dependency } from '../dependencies/dependency.js'
import type { About, Doubt } from '../dependencies/lookup.js'
import type { Observers } from '../events.js'
import type { RowChange } from '../log/change.js'
import type { Keyspace } from '../read/keyspace.js'
import type { L1 } from '../tiers/l1.js'
import type { SlotKey } from '../tiers/space.js'
import type { Follower } from './follower.js'
import { until } from './until.js'

/** Of more entries in doubt the others go like any: a commit costs no more loads than that. */
const DOUBTED_MAX = 256
const CONCURRENCY = 4

/** An entry that is gone, and may come back. */
interface Doubted {
  readonly space: Keyspace
  readonly key: SlotKey
  readonly value: unknown
  readonly changes: readonly RowChange[]
  readonly lsn: number
  readonly doubt: Doubt
}

export interface DoubtsContext {
  readonly l1: L1
  readonly follower: Follower
  readonly counters: Counters
  readonly observers: Observers
}

/**
 * Entries that a change touched by what decides of which rows they are made: whether their value is another one can't be known without
 * reading those. They are stale as any that is touched, and no read gets them; but each is loaded again at once, and where it is
 * what it was, it stays: the same value, with the dependencies that it has now.
 */
export class Doubts {
  readonly #context: DoubtsContext
  #doubted = new WeakMap<Keyspace, ByKey<SlotKey, Doubted>>()
  readonly #waiting: Doubted[] = []
  readonly #idle = new Set<() => void>()
  /** A commit may be applied inside a loader, which must not wait for these loads. */
  readonly #outside = new AsyncResource('tidemark-doubts')
  #working = 0
  /** Those that wait, and those that are being loaded. */
  #left = 0

  constructor(context: DoubtsContext) {
    this.#context = context
  }

  /** Whether the entry said that a change like this may leave it as it is. */
  isInDoubt(slot: number, change: RowChange): boolean {
    const { index } = this.#context.l1
    return index.doubtOf(slot)?.about(change, (tag) => isTagged(index.of(slot), tag)) === true
  }

  /** The entry is about to be dropped for nothing but these changes. */
  hold(slot: number, changes: readonly RowChange[]): void {
    const { l1, follower, counters } = this.#context
    const doubt = l1.index.doubtOf(slot)
    if (!doubt || this.#left === DOUBTED_MAX) return
    const space = l1.spaceOf(slot) as Keyspace
    const key = l1.keyOf(slot)
    const doubted = { space, key, value: l1.value(slot), changes, lsn: follower.tidemark, doubt }
    let keys = this.#doubted.get(space)
    if (!keys) {
      keys = new ByKey()
      this.#doubted.set(space, keys)
    }
    keys.set(key, doubted)
    this.#waiting.push(doubted)
    this.#left++
    counters.doubted++
    if (this.#working < CONCURRENCY) this.#outside.runInAsyncScope(() => void this.#work())
  }

  /** A load has brought this, and it can be kept. Returns what is to be kept: the former value, where the entry stays. */
  judge(space: Keyspace, key: SlotKey, value: unknown, about: About | undefined, all: readonly Dependency[]): unknown {
    const doubted = this.#doubted.get(space)?.get(key)
    if (!doubted) return value
    this.#forget(doubted)
    const isStaying =
      doubted.changes.every((change) => about?.(change, (tag) => isTagged(all, tag))) &&
      isDeepStrictEqual(value, doubted.value)
    if (!isStaying) return value
    const { counters, observers } = this.#context
    counters.stayed++
    if (observers.hears('stayed')) observers.emit('stayed', { tenant: space.tenant, key: space.text(key) })
    return doubted.value
  }

  /** All entries are gone: none stays. */
  clear(): void {
    this.#doubted = new WeakMap()
    this.#left -= this.#waiting.length
    this.#waiting.length = 0
  }

  /** Resolves when of each it is known, or the signal aborts. */
  async idle(signal: AbortSignal): Promise<void> {
    if (this.#left === 0) return
    await until(signal, (resolve) => {
      this.#idle.add(resolve)
      return () => this.#idle.delete(resolve)
    })
  }

  async #work(): Promise<void> {
    const { follower } = this.#context
    this.#working++
    // The follower is still applying: only then does the change count as one that can't be seen yet.
    await undefined
    for (let doubted = this.#waiting.shift(); doubted; doubted = this.#waiting.shift()) {
      // A load before the change can be seen would be one in vain.
      await follower.whenProven(doubted.lsn, undefined)
      // A reader may have been faster. Who reads it next is told the error.
      if (this.#doubted.get(doubted.space)?.get(doubted.key) === doubted)
        await doubted.doubt.again().catch(() => undefined)
      this.#forget(doubted)
      this.#left--
    }
    this.#working--
    if (this.#left > 0) return
    for (const resolve of this.#idle) resolve()
    this.#idle.clear()
  }

  #forget(doubted: Doubted): void {
    const keys = this.#doubted.get(doubted.space)
    if (keys?.get(doubted.key) !== doubted) return
    keys.delete(doubted.key)
  }
}

function isTagged(dependencies: readonly Dependency[], tag: string): boolean {
  return dependencies.some((each) => each.kind === 'tag' && each.tag === tag)
}
