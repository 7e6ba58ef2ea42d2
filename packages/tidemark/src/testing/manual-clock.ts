import type { Clock } from '../clock.js'
import { rest } from './rest.js'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/**
 * A clock that stands still until the test moves it, for `createCache({ clock })`. Timers fire in the order in which they
 * are due, each at its own time, and what they set off runs before the next.
 *
 * ```ts
 * const clock = new ManualClock()
 * const cache = createCache({ clock, defaults: { ttl: '30s' } })
 * await clock.advance(30_000)
 * ```
 */
export class ManualClock implements Clock {
  /** What `random` returns next, in turn; the last one stays. */
  chances: number[] = [0.5]
  #now = 1_000
  #wall = Date.UTC(2026, 0, 1)
  readonly #timers = new Set<Timer>()

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#wall
  }

  after(ms: number, run: () => void): { cancel(): void } {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  random(): number {
    return this.chances.length > 1 ? this.chances.shift()! : this.chances[0]!
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers.size
  }

  /** Moves both clocks, and fires the timers that come due. Resolves when what they set off has come to rest. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await rest()
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next)
      this.freeze(Math.max(0, next.at - this.#now))
      next.run()
      await rest()
    }
    this.freeze(end - this.#now)
    await rest()
  }

  /** Both clocks move, and no timer fires: the process was frozen, and reads before its timers do. */
  freeze(ms: number): void {
    this.#now += ms
    this.#wall += ms
  }

  /** The wall clock alone moves: the machine slept, which stops the monotonic clock. Negative: somebody set it back. */
  sleep(ms: number): void {
    this.#wall += ms
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) if (timer.at <= end && (!next || timer.at < next.at)) next = timer
    return next
  }
}
