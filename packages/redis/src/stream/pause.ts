import { setMaxListeners } from 'node:events'
import type { Clock } from 'tidemark'

/** Resolves after `ms`, or as soon as the signal aborts. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.after(ms, done)
    // One signal may end many waits. Node would take the eleventh for a leak.
    setMaxListeners(0, signal)
    signal.addEventListener('abort', done, { once: true })
  })
}
