import { LmdbDownError } from './errors.js'

/** After a failure nothing is written for so long: a full disk is asked once a second, not once a fill. */
const PAUSE_MS = 1_000

interface Call {
  readonly begunAt: number
}

/** The calls that write: none waits longer than its deadline, and none is begun while one hangs, or failed a moment ago. */
export class Calls {
  readonly #deadlineMs: number
  #pausedUntil = 0
  /** Oldest first. */
  #hanging = new Set<Call>()

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs
  }

  get isPaused(): boolean {
    return this.#hanging.size > 0 || performance.now() < this.#pausedUntil
  }

  /** How long a call has hung, in ms; 0 if none does. */
  get hangsMs(): number {
    for (const { begunAt } of this.#hanging) return performance.now() - begunAt
    return 0
  }

  /** What hangs is of a file that is no longer used. */
  forget(): void {
    this.#hanging = new Set()
    this.#pausedUntil = 0
  }

  pause(): void {
    this.#pausedUntil = performance.now() + PAUSE_MS
  }

  /** @throws LmdbDownError at the deadline, and at once while paused; else what `write` throws */
  async run<Result>(write: () => Promise<Result>): Promise<Result> {
    if (this.isPaused) {
      throw new LmdbDownError('The file of L2 could not be written a moment ago. It is tried again within a second.')
    }
    const call = { begunAt: performance.now() }
    const hanging = this.#hanging
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        hanging.add(call)
        reject(
          new LmdbDownError(
            `The file of L2 was not written within ${this.#deadlineMs} ms (option deadline): another process holds its lock, or the disk hangs.`,
          ),
        )
      }, this.#deadlineMs)
    })
    try {
      return await Promise.race([write().finally(() => hanging.delete(call)), late])
    } finally {
      clearTimeout(timer)
    }
  }
}
