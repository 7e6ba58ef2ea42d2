import type { Clock } from '../../clock.js'
import type { Chance } from './chance.js'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/**
 * Time that moves only when the simulation says so. `trueMs` is what nobody inside can see: both clocks of the process follow
 * it, until the machine sleeps (the monotonic one stops) or somebody sets the wall clock.
 */
export class SimClock implements Clock {
  readonly #chance: Chance
  readonly #timers = new Set<Timer>()
  trueMs = 0
  #mono = 10_000
  #wall = 1_700_000_000_000

  constructor(chance: Chance) {
    this.#chance = chance
  }

  now(): number {
    return this.#mono
  }

  wall(): number {
    return this.#wall
  }

  random(): number {
    return this.#chance.real()
  }

  after(ms: number, run: () => void): { cancel(): void } {
    const timer = { at: this.#mono + ms, run }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  /** How many timers wait; none should once the cache is closed. */
  get timers(): number {
    return this.#timers.size
  }

  /** Ms until the next timer is due; Infinity without one, 0 if one is due. */
  get untilNextMs(): number {
    return Math.max(0, this.#next().at - this.#mono)
  }

  /** Time passes, and no timer fires: a busy or frozen process reads first. */
  pass(ms: number): void {
    this.trueMs += ms
    this.#mono += ms
    this.#wall += ms
  }

  /** The machine sleeps: its monotonic clock stands still. */
  sleep(ms: number): void {
    this.trueMs += ms
    this.#wall += ms
  }

  /** Somebody sets the wall clock. */
  setBack(ms: number): void {
    this.#wall -= ms
  }

  /** Fires the earliest timer that is due; false if none is. */
  fire(): boolean {
    const next = this.#next()
    if (next.at > this.#mono) return false
    this.#timers.delete(next)
    next.run()
    return true
  }

  #next(): Timer {
    let next: Timer = { at: Number.POSITIVE_INFINITY, run: () => undefined }
    for (const timer of this.#timers) if (timer.at < next.at) next = timer
    return next
  }
}
