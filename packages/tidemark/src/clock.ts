/** Time and chance, injected so that the simulation owns them. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Wall-clock milliseconds since 1970. */
  wall(): number
  /** Runs `run` once after `ms`; does not keep the process alive. */
  after(ms: number, run: () => void): { cancel(): void }
  /** Runs `run` once when what waits in the event loop was done; keeps the process alive until then. Default: `after(0, run)`. */
  soon?(run: () => void): { cancel(): void }
  /** The same after a rest of about a millisecond, in which the processor is given up. Default: `soon`. */
  rested?(run: () => void): { cancel(): void }
  /** A number in [0, 1). */
  random(): number
}

/** `clock.soon`, or what stands for it where a clock has none. */
export function soon(clock: Clock, run: () => void): { cancel(): void } {
  return clock.soon?.(run) ?? clock.after(0, run)
}

/** The same of `clock.rested`. */
export function rested(clock: Clock, run: () => void): { cancel(): void } {
  return clock.rested?.(run) ?? soon(clock, run)
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, run) {
    return new SystemTimer(ms, run)
  },
  soon(run) {
    const next = setImmediate(run)
    return { cancel: () => clearImmediate(next) }
  },
  rested(run) {
    const next = setTimeout(run, 1)
    return { cancel: () => clearTimeout(next) }
  },
  random: () => Math.random(),
}

class SystemTimer {
  readonly #timeout: NodeJS.Timeout

  constructor(ms: number, run: () => void) {
    // Node runs a longer timer at once.
    this.#timeout = setTimeout(run, Math.min(ms, 2 ** 31 - 1))
    this.#timeout.unref()
  }

  cancel(): void {
    clearTimeout(this.#timeout)
  }
}
