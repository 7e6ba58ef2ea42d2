import type { Clock } from '../clock.js'

const TARGETS_MAX = 256

/**
 * Rule Currency: the process is current as of `t` once its tidemark has reached the flushed end of the log that it asked for at
 * `t`. Hearing from the log is not being current: behind a large transaction an update comes late on a line that is never silent.
 */
export class Currency {
  readonly #clock: Clock
  /** Ends of the log that were asked for and not yet reached, oldest first. */
  #targets: { readonly flushed: number; readonly mono: number; readonly wall: number }[] = []
  /** When the process was last current, by both clocks; -Infinity before. */
  mono = Number.NEGATIVE_INFINITY
  wall = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  reset(): void {
    this.#targets = []
    this.mono = Number.NEGATIVE_INFINITY
    this.wall = Number.NEGATIVE_INFINITY
  }

  /** The log lives in this process: following it is being current, whatever the clocks say. */
  always(): void {
    this.mono = Number.POSITIVE_INFINITY
    this.wall = Number.POSITIVE_INFINITY
  }

  /** The source said, when asked at (mono, wall), that its log was flushed up to `flushed`. */
  asked(flushed: number, mono: number, wall: number, tidemark: number): void {
    if (this.#targets.length < TARGETS_MAX) this.#targets.push({ flushed, mono, wall })
    this.reached(tidemark)
  }

  /** An end of the log, or the tidemark, that the source had not passed by `mono`; undefined if it was not asked since. */
  endSince(mono: number, tidemark: number): number | undefined {
    if (this.mono > mono) return tidemark
    return this.#targets.find((target) => target.mono > mono)?.flushed
  }

  /** The tidemark moved. Returns whether all that was asked for is reached. */
  reached(tidemark: number): boolean {
    let last = -1
    for (let i = 0; i < this.#targets.length && currencyRules.isReached(tidemark, this.#targets[i]!.flushed); i++)
      last = i
    if (last >= 0) {
      const target = this.#targets[last]!
      this.#targets = this.#targets.slice(last + 1)
      // The latest counts, though somebody set the wall clock back since the one before.
      if (target.mono >= this.mono) {
        this.mono = target.mono
        this.wall = target.wall
      }
    }
    return this.#targets.length === 0
  }

  /**
   * How long ago the process was current, in ms, by whichever clock moved more: a frozen process reads before its timers
   * fire, and a sleeping machine stops the monotonic clock.
   */
  silence(now: number): number {
    if (this.mono === Number.POSITIVE_INFINITY) return 0
    const byWall = this.#clock.wall() - this.wall
    const byMono = now - this.mono
    return Math.max(byWall, byMono)
  }
}

/** The rule as a function, so that the simulation can plant the bug of leaving it out. */
export const currencyRules = {
  isReached(tidemark: number, flushed: number): boolean {
    return tidemark >= flushed
  },
}
