import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.js'
import type { Counters } from '../counters.js'
import type { L2, L2Ask } from '../tiers/l2.js'

/** So long a process that was killed keeps the others from loading. */
const LEASE_MS = 2_000

/** The right to load a key, while others wait for what comes of it. */
export interface Lease {
  /** It is of use no longer; where something is on its way to L2, once that is there. */
  end(): void
}

export interface LeasesOptions {
  readonly l2: L2
  readonly clock: Clock
  readonly counters: Counters
  /** Something is on its way to L2 under this name, which lets go of the lease when it is stored. */
  isStoring(name: string): boolean
}

/** The keys that this process loads for all. Each is held until its load ends, however long that takes. */
export class Leases {
  readonly #options: LeasesOptions
  readonly #held = new Set<string>()
  /** One timer for all: most loads end long before it. */
  #renewal: { cancel(): void } | undefined
  #isClosed = false
  readonly lessee: L2Ask = { holder: randomUUID(), ms: LEASE_MS }

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  /** Who holds the lease of the name, if this process does. */
  holderOf(name: string): string | undefined {
    return this.#held.has(name) ? this.lessee.holder : undefined
  }

  /** Asks for it. Never rejects: who does not know loads. */
  async ask(name: string): Promise<boolean> {
    const { l2, counters } = this.#options
    const { holder, ms } = this.lessee
    try {
      return await l2.lease!(name, holder, ms)
    } catch {
      counters.l2Errors++
      return true
    }
  }

  /** It was given to this process. */
  take(name: string): Lease {
    this.#held.add(name)
    if (!this.#isClosed) this.#renewal ??= this.#renewSoon()
    return new Held(this, name)
  }

  /** What it was held for is over. */
  ended(name: string): void {
    this.#held.delete(name)
    if (!this.#options.isStoring(name)) this.letGo(name)
  }

  /** Others may load it. */
  letGo(name: string): void {
    const { l2, counters } = this.#options
    if (this.#isClosed) return
    l2.release?.(name, this.lessee.holder).catch(() => {
      counters.l2Errors++
    })
  }

  close(): void {
    this.#isClosed = true
    this.#renewal?.cancel()
  }

  #renewSoon(): { cancel(): void } {
    return this.#options.clock.after(LEASE_MS / 2, () => {
      for (const name of this.#held) void this.ask(name)
      this.#renewal = this.#held.size > 0 ? this.#renewSoon() : undefined
    })
  }
}

class Held implements Lease {
  readonly #leases: Leases
  readonly #name: string
  #hasEnded = false

  constructor(leases: Leases, name: string) {
    this.#leases = leases
    this.#name = name
  }

  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#leases.ended(this.#name)
  }
}
