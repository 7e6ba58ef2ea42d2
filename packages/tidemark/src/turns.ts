import { type Clock, rested, soon } from './clock.js'

/**
 * How long all long work together holds the event loop at most, but for the step that ends it; between two turns the event loop does what
 * waits. It is what a request waits longer while a million keys are gone through, and turns much shorter would cost more than they do.
 */
const TURN_MS = 0.5
/** The same of work at leisure, which then rests. */
const LEISURE_MS = 0.25

/**
 * How much somebody waits for what long work does: for its end (`asked`); for nothing, but each read looks at what it has not come to
 * (`sweep`); for nothing, and reads hardly notice it (`leisure`).
 */
export type Need = 'asked' | 'sweep' | 'leisure'

/** Whoever begins so long after the last look at the clock is in another turn of the event loop. */
const PAUSE_MS = 1

interface Waiting {
  readonly need: Need
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
  readonly #sweeps: Waiting[] = []
  readonly #asked: Waiting[] = []
  #wasSweep = false
  #timer: { cancel(): void } | undefined
  #isResting = false
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
  wait(run: () => void, need: Need): { cancel(): void } {
    const queue = need === 'asked' ? this.#asked : this.#sweeps
    const waiting = { need, run }
    queue.push(waiting)
    this.#arm()
    return {
      cancel: () => {
        const at = queue.indexOf(waiting)
        if (at >= 0) queue.splice(at, 1)
        if (this.#waiting === 0) this.#disarm()
      },
    }
  }

  /**
   * Work at leisure leaves the processor, not the event loop alone: a thread that never waits is let run for some milliseconds on end before
   * whoever it serves, on a machine with few cores.
   */
  #arm(): void {
    const isAtLeisure = this.#asked.length === 0 && this.#sweeps.every(({ need }) => need === 'leisure')
    if (this.#timer && (isAtLeisure || !this.#isResting)) return
    this.#disarm()
    const run = (): void => {
      this.#timer = undefined
      this.#give()
    }
    this.#isResting = isAtLeisure
    this.#timer = (isAtLeisure ? rested : soon)(this.#clock, run)
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  get #waiting(): number {
    return this.#sweeps.length + this.#asked.length
  }

  #give(): void {
    const isSweep = this.#asked.length === 0 || (this.#sweeps.length > 0 && !this.#wasSweep)
    const next = (isSweep ? this.#sweeps : this.#asked).shift()
    if (!next) return
    this.#wasSweep = isSweep
    this.#start(this.#clock.now(), next.need)
    try {
      next.run()
    } finally {
      // Only now: a timer that was set before would be due already.
      if (this.#waiting > 0) this.#arm()
    }
  }

  #start(now: number, need: Need = 'asked'): void {
    this.#until = now + (need === 'leisure' ? LEISURE_MS : TURN_MS)
    this.#lookedAt = now
    this.#isSpent = false
  }
}
