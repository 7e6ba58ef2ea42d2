import type { Clock } from '../clock.js'
import { LoaderTimeoutError } from '../errors.js'
import { enter, leave } from './current.js'
import type { Fill } from './fill.js'

/** What a loader is run for. */
export interface Runner {
  /** What is loaded, for errors. */
  readonly text: string
  /** Calls the loader. */
  runLoader(fill: Fill): unknown
  /** It took too long: what stops it. */
  timedOut(reason: LoaderTimeoutError): void
}

/**
 * One run of a loader, so that what it reads is gathered by the fill. A class, as all that a load makes: literals that outlive one collection
 * are made in the old space from then on, with all that they hold (docs/decisions/short-lived.md).
 */
export class Run {
  /** Rejects at once when it is stopped, whatever the loader does then. */
  readonly ended: Promise<unknown>
  readonly #fill: Fill
  readonly #timer: { cancel(): void } | undefined
  #resolve!: (value: unknown) => void
  #reject!: (reason: unknown) => void
  #isOver = false

  constructor(runner: Runner, fill: Fill, clock: Clock, hardTimeoutMs: number) {
    this.#fill = fill
    // One promise for all: each costs more while loaders run, as what they read is gathered along promises.
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#timer =
      hardTimeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : clock.after(hardTimeoutMs, () =>
            runner.timedOut(
              new LoaderTimeoutError(
                `The loader of ${runner.text} ran longer than ${hardTimeoutMs} ms and was cancelled. Make it faster, or raise hardTimeout.`,
              ),
            ),
          )
    try {
      // Inside: what only runs when it is awaited (a query of some clients) is gathered too.
      enter(fill, () => Promise.resolve(runner.runLoader(fill))).then(
        (value) => {
          if (this.#end()) this.#resolve(value)
        },
        (reason) => this.stop(reason),
      )
    } catch (error) {
      this.stop(error)
    }
  }

  stop(reason: unknown): void {
    if (this.#end()) this.#reject(reason)
  }

  #end(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#timer?.cancel()
    this.#fill.isEnded = true
    leave()
    return true
  }
}
