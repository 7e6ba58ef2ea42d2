import type { Clock, LogHold } from 'tidemark'

/** How long, and for how much of the log, what is bounded is waited for. */
export interface HoldLimits {
  readonly holdMs: number
  readonly holdBytes: number
}

/** What a shared slot waits for before it is acknowledged, whichever stream reads it. */
export class Holds {
  readonly #holds = new Set<LogHold>()
  readonly #limits: HoldLimits
  readonly #clock: Clock

  constructor(limits: HoldLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Returns how it ends. */
  add(hold: LogHold): () => void {
    this.#holds.add(hold)
    return () => {
      this.#holds.delete(hold)
    }
  }

  /** For one stream: how long its places have waited. */
  waiting(): Waiting {
    return new Waiting(this.#holds, this.#limits, this.#clock)
  }
}

/** So often within `holdMs` it is noted how far all could have been acknowledged. */
const NOTES = 20

/** The holds as one stream meets them. */
export class Waiting {
  readonly #holds: ReadonlySet<LogHold>
  readonly #limits: HoldLimits
  readonly #clock: Clock
  /** Oldest first: at that time all up to there could have been acknowledged. */
  #notes: { readonly at: number; readonly lsn: number }[] = []
  /** All up to here has waited for as long as it may. */
  #overdue = 0

  constructor(holds: ReadonlySet<LogHold>, limits: HoldLimits, clock: Clock) {
    this.#holds = holds
    this.#limits = limits
    this.#clock = clock
  }

  /** How far may be acknowledged, of what may be but for the holds. */
  within(lsn: number): number {
    this.#note(lsn)
    const bounded = Math.max(this.#least(true), this.#overdue, lsn - this.#limits.holdBytes)
    return Math.min(lsn, bounded, this.#least(false))
  }

  /** The names of those that hold this place up, though its bound be over. */
  behind(lsn: number): string[] {
    return [...new Set([...this.#holds].filter((hold) => hold.upTo() < lsn).map(({ name }) => name))]
  }

  #least(isBounded: boolean): number {
    let least = Number.POSITIVE_INFINITY
    for (const hold of this.#holds) if (hold.isBounded === isBounded) least = Math.min(least, hold.upTo())
    return least
  }

  #note(lsn: number): void {
    const now = this.#clock.now()
    const { holdMs } = this.#limits
    let due = 0
    while (due < this.#notes.length && now - this.#notes[due]!.at >= holdMs) this.#overdue = this.#notes[due++]!.lsn
    if (due > 0) this.#notes.splice(0, due)
    const last = this.#notes.at(-1)
    if (last && (last.lsn >= lsn || now - last.at < holdMs / NOTES)) return
    this.#notes.push({ at: now, lsn })
  }
}
