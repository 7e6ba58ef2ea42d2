import type { Keyspace } from '../read/keyspace.js'
import type { SlotKey } from '../tiers/space.js'

/** So many are remembered: who wants what a change took asks within moments, and later the change is proven. */
const REMEMBERED = 256

/** The entries that changes took last. A load of one that begins before its change is proven would be in vain. */
export class Taken {
  readonly #spaces = new Array<Keyspace | undefined>(REMEMBERED).fill(undefined)
  readonly #keys = new Array<SlotKey>(REMEMBERED).fill(0)
  readonly #lsns = new Array<number>(REMEMBERED).fill(0)
  #next = 0

  note(space: Keyspace, key: SlotKey, lsn: number): void {
    this.#spaces[this.#next] = space
    this.#keys[this.#next] = key
    this.#lsns[this.#next] = lsn
    this.#next = (this.#next + 1) % REMEMBERED
  }

  /** The position of the last change that took it; undefined if none is remembered. */
  by(space: Keyspace, key: SlotKey): number | undefined {
    for (let back = 1; back <= REMEMBERED; back++) {
      const i = (this.#next - back + REMEMBERED) % REMEMBERED
      if (this.#keys[i] === key && this.#spaces[i] === space) return this.#lsns[i]
    }
    return undefined
  }
}
