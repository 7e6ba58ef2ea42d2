import type { Refill } from './cache.js'
import type { Keyspace } from './read/keyspace.js'

/** Entries, and what it would cost to load them. */
export class Tally {
  count = 0
  #sourceMs = 0
  #unmeasured = 0

  add({ loadMs }: Keyspace, entries: number): void {
    this.count += entries
    if (loadMs === undefined) this.#unmeasured += entries
    else this.#sourceMs += loadMs * entries
  }

  get refill(): Refill {
    return { loads: this.count, sourceMs: this.#sourceMs, unmeasured: this.#unmeasured }
  }
}
