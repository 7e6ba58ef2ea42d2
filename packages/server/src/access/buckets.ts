import type { Clock } from 'tidemark'

export interface BucketOptions {
  /** Units that come back within `windowMs`, and that may be taken at once after a rest. */
  readonly units: number
  readonly windowMs: number
  readonly clock: Clock
}

export interface Taking {
  readonly isTaken: boolean
  /** Units that could be taken now. */
  readonly left: number
  /** Until there are all again, in ms. */
  readonly fullInMs: number
  /** Until what was asked for could be taken; 0 if it was. */
  readonly retryInMs: number
}

/** Names with a bucket of their own; when all of so many are in use, the rest share one. */
const NAMES_MAX = 100_000
const SHARED = ''
/** How deep in debt a bucket may go: what was touched is known only when it is done. */
const DEBT_MAX_WINDOWS = 1

/**
 * How much each name may still take: one bucket per name, which fills at a steady rate. A full bucket costs no memory.
 *
 * The generic cell rate algorithm (ITU-T I.371): a bucket is the time at which it is full again, so there is nothing to
 * fill, no window at whose edge twice as much comes through, and the time to wait is exact.
 */
export class Buckets {
  readonly #options: BucketOptions
  readonly #unitMs: number
  /** When each is full again; those that are full are not in it. */
  readonly #fullAt = new Map<string, number>()

  constructor(options: BucketOptions) {
    this.#options = options
    this.#unitMs = options.windowMs / options.units
  }

  /** Takes `units` if they are there. What costs more than a full bucket is let through by a full one. */
  take(name: string, units = 1): Taking {
    const { windowMs, clock } = this.#options
    const now = clock.now()
    const bucket = this.#bucketOf(name, now)
    const fullAt = Math.max(this.#fullAt.get(bucket) ?? 0, now)
    const wanted = fullAt + units * this.#unitMs
    const isTaken = wanted <= now + windowMs || fullAt === now
    if (isTaken) this.#set(bucket, wanted, now)
    const then = isTaken ? wanted : fullAt
    return {
      isTaken,
      left: Math.max(0, Math.floor((now + windowMs - then) / this.#unitMs + 1e-9)),
      fullInMs: Math.max(0, then - now),
      retryInMs: isTaken ? 0 : Math.max(0, Math.min(wanted - windowMs, fullAt) - now),
    }
  }

  /** Takes units that are used already, there or not: who is in debt waits. */
  charge(name: string, units: number): void {
    if (units <= 0) return
    const now = this.#options.clock.now()
    const bucket = this.#bucketOf(name, now)
    this.#set(bucket, Math.max(this.#fullAt.get(bucket) ?? 0, now) + units * this.#unitMs, now)
  }

  #set(bucket: string, fullAt: number, now: number): void {
    // Again at the end: the first are those that were used longest ago.
    this.#fullAt.delete(bucket)
    this.#fullAt.set(bucket, Math.min(fullAt, now + (1 + DEBT_MAX_WINDOWS) * this.#options.windowMs))
  }

  #bucketOf(name: string, now: number): string {
    if (this.#fullAt.has(name)) return name
    for (const [oldest, fullAt] of this.#fullAt) {
      if (fullAt > now) break
      this.#fullAt.delete(oldest)
    }
    return this.#fullAt.size < NAMES_MAX ? name : SHARED
  }
}
