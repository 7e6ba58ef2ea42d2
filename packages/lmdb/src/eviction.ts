import { oldestEntries, type Placed, removeEntries } from './entry-store.js'
import type { Environment } from './environment.js'

/** Above this share of the limit the oldest entries go, down to the other one; the rest is for pages that are being rewritten. */
const FULL = 0.72
const ENOUGH = 0.65
/** A look costs some 50 µs, so there is one for so much that was written. */
const LOOK_SHARE = 1 / 128
const LOOK_FILLS = 256
/** In one transaction. */
const ENTRIES_MAX = 1_000
/** A small entry takes more than its bytes: pages are two thirds full, and it stands in the order too. */
const OVERHEAD = 1.5
const OVERHEAD_BYTES = 100

export interface EvictionOptions {
  readonly maxBytes: number
  evicted(entries: number): void
}

/** Keeps the file below its limit: the entries that were stored longest ago leave first, whoever reads them. */
export class Eviction {
  readonly #options: EvictionOptions
  #written = 0
  #fills = 0
  #running: Promise<void> | undefined

  constructor(options: EvictionOptions) {
    this.#options = options
  }

  /** Whether the file is longer than it may be, as it is when a process that is frozen keeps its old pages in use. */
  isBeyond(environment: Environment): boolean {
    environment.refresh()
    return environment.size().fileBytes > this.#options.maxBytes
  }

  /** So many bytes are being written. Returns whether it is time to make room. */
  isDue(bytes: number): boolean {
    this.#written += bytes
    this.#fills++
    return (
      this.#running !== undefined || this.#written > this.#options.maxBytes * LOOK_SHARE || this.#fills > LOOK_FILLS
    )
  }

  /** Makes room, once for all who ask meanwhile. */
  run(environment: Environment): Promise<void> {
    this.#running ??= this.#run(environment).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #run(environment: Environment): Promise<void> {
    this.#written = 0
    this.#fills = 0
    environment.reap()
    while (await this.#step(environment));
  }

  /** Returns whether there may be more to do. */
  async #step(environment: Environment): Promise<boolean> {
    const { maxBytes, evicted } = this.#options
    environment.refresh()
    const { usedBytes } = environment.size()
    if (usedBytes <= maxBytes * FULL) return false
    let over = usedBytes - maxBytes * ENOUGH
    const leaving: Placed[] = []
    for (const placed of oldestEntries(environment, ENTRIES_MAX)) {
      if (over <= 0) break
      leaving.push(placed)
      over -= placed.bytes * OVERHEAD + OVERHEAD_BYTES
    }
    if (leaving.length === 0) return false
    await removeEntries(environment, leaving)
    evicted(leaving.length)
    return true
  }
}
