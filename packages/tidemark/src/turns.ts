import type { Clock } from './clock.js'

/**
 * How long all long work together holds the event loop at most, but for the step that ends it; between two turns the event loop does what
 * waits. It is what a request waits longer while a million keys are gone through, and turns much shorter would cost more than they do.
 */
const TURN_MS = 0.5
/** Whoever begins so long after the last look at the clock is in another turn of the event loop. */
const PAUSE_MS = 1

interface Waiting {
  readonly run: () => void
}

const turns = new WeakMap<Clock, Turns>()

/**
 * Divides the event loop among all long work of a process: in each of its turns one of those who wait goes on, and they alternate. With a timer
 * for each, what one does in its slice makes the next one's timer due, and so on: timers alone would run, and nothing be received, until
 * all are done.
 */
export class Turns {
  readonly #clock: Clock
  /** Sweeps: readers have to judge for themselves what these have not come to. */
  readonly #urgent: Waiting[] = []
  readonly #others: Waiting[] = []
  #wasUrgent = false
  #timer: { cancel(): void } | undefined
  #until = Number.NEGATIVE_INFINITY
  #lookedAt = Number.NEGATIVE_INFINITY
  #isSpent = false

  private constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Those of a clock, and so of a process. */
  static of(clock: Clock): Turns {
    let own = turns.get(clock)
    if (!own) {
      own = new Turns(clock)
      turns.set(clock, own)
    }
    return own
  }

  /** Something begins without having waited: in what is left of this turn of the event loop. */
  begin(): void {
    const now = this.#clock.now()
    if (now < this.#until) return
    if (this.#isSpent ? now >= this.#until + TURN_MS : now >= this.#lookedAt + PAUSE_MS) this.#start(now)
  }

  /** To be asked after each step. */
  get isOver(): boolean {
    this.#lookedAt = this.#clock.now()
    if (this.#lookedAt < this.#until) return false
    this.#isSpent = true
    return true
  }

  /** Calls `run` when the event loop has done what waited, and those have gone on who waited before. */
  wait(run: () => void, isUrgent: boolean): { cancel(): void } {
    const queue = isUrgent ? this.#urgent : this.#others
    const waiting = { run }
    queue.push(waiting)
    this.#arm()
    return {
      cancel: () => {
        const at = queue.indexOf(waiting)
        if (at >= 0) queue.splice(at, 1)
        if (this.#waiting > 0) return
        this.#timer?.cancel()
        this.#timer = undefined
      },
    }
  }

  #arm(): void {
    if (this.#timer) return
    const run = (): void => {
      this.#timer = undefined
      this.#give()
    }
    this.#timer = this.#clock.soon?.(run) ?? this.#clock.after(0, run)
  }

  get #waiting(): number {
    return this.#urgent.length + this.#others.length
  }

  #give(): void {
    const isUrgent = this.#others.length === 0 || (this.#urgent.length > 0 && !this.#wasUrgent)
    const next = (isUrgent ? this.#urgent : this.#others).shift()
    if (!next) return
    this.#wasUrgent = isUrgent
    this.#start(this.#clock.now())
    try {
      next.run()
    } finally {
      // Only now: a timer that was set before would be due already.
      if (this.#waiting > 0) this.#arm()
    }
  }

  #start(now: number): void {
    this.#until = now + TURN_MS
    this.#lookedAt = now
    this.#isSpent = false
  }
}
