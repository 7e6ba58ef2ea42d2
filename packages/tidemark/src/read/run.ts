import type { Clock } from '../clock.js'
import { LoaderTimeoutError } from '../errors.js'
import { enter, leave } from './current.js'
import type { Fill } from './fill.js'

/** What a loader is run for. It is told of one end of each run. */
export interface Runner {
  /** What is loaded, for errors. */
  readonly text: string
  /** Calls the loader. */
  runLoader(fill: Fill): unknown
  /** It took too long: what stops it. */
  timedOut(reason: LoaderTimeoutError): void
  /** The loader has ended. */
  loaded(fill: Fill, value: unknown): void
  /** It has failed, or was stopped. */
  failedToLoad(fill: Fill, error: unknown): void
}

/**
 * One run of a loader, so that what it reads is gathered by the fill. A class, as all that a load makes: literals that outlive one collection
 * are made in the old space from then on, with all that they hold (docs/decisions/short-lived.md). It tells its end by a call, not by a promise:
 * each costs more while loaders run, as what they read is gathered along promises.
 */
export class Run {
  readonly #runner: Runner
  readonly #fill: Fill
  readonly #timer: { cancel(): void } | undefined
  #isOver = false

  constructor(runner: Runner, fill: Fill, clock: Clock, hardTimeoutMs: number) {
    this.#runner = runner
    this.#fill = fill
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
    enter(fill, () => begun(runner, fill)).then(
      (value) => {
        if (this.#end()) runner.loaded(fill, value)
      },
      (reason) => {
        if (this.#end()) runner.failedToLoad(fill, reason)
      },
    )
  }

  /** Gives the loader up, whatever it does then. The runner is told when the code of now has ended. */
  stop(reason: unknown): void {
    if (this.#end()) void Promise.resolve().then(() => this.#runner.failedToLoad(this.#fill, reason))
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

/** Awaited inside: what only runs when it is awaited (a query of some clients) is gathered too. */
function begun(runner: Runner, fill: Fill): Promise<unknown> {
  try {
    return Promise.resolve(runner.runLoader(fill))
  } catch (error) {
    return Promise.reject(error)
  }
}
