import type { Clock } from '../clock.js'
import { LoaderTimeoutError } from '../errors.js'
import { enter, leave } from './current.js'
import type { Fill } from './fill.js'

/** One run of a loader. */
export interface Run {
  /** Rejects at once when it is stopped, whatever the loader does then. */
  readonly ended: Promise<unknown>
  stop(reason: unknown): void
}

export interface RunOptions {
  readonly fill: Fill
  readonly clock: Clock
  /** What is loaded, for errors. */
  text(): string
  readonly hardTimeoutMs: number
  load(): unknown
  /** It took too long: what stops it. */
  timedOut(reason: LoaderTimeoutError): void
}

/** Runs a loader so that what it reads is gathered by the fill. */
export function run({ fill, clock, text, hardTimeoutMs, load, timedOut }: RunOptions): Run {
  let stop = (_: unknown): void => {}
  // One promise for all: each costs more while loaders run, as what they read is gathered along promises.
  const ended = new Promise((resolve, reject) => {
    const timer =
      hardTimeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : clock.after(hardTimeoutMs, () =>
            timedOut(
              new LoaderTimeoutError(
                `The loader of ${text()} ran longer than ${hardTimeoutMs} ms and was cancelled. Make it faster, or raise hardTimeout.`,
              ),
            ),
          )
    let isOver = false
    const end = (): boolean => {
      if (isOver) return false
      isOver = true
      timer?.cancel()
      fill.isEnded = true
      leave()
      return true
    }
    stop = (reason) => {
      if (end()) reject(reason)
    }
    try {
      // Inside: what only runs when it is awaited (a query of some clients) is gathered too.
      enter(fill, () => Promise.resolve(load())).then((value) => {
        if (end()) resolve(value)
      }, stop)
    } catch (error) {
      stop(error)
    }
  })
  return { ended, stop }
}
