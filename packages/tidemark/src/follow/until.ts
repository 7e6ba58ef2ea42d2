import { onAbort } from '../abort.js'
import type { Clock } from '../clock.js'

/** Resolves true when what was registered calls back, false when the signal, if any, aborts first. `register` returns how to cancel. */
export function until(
  signal: AbortSignal | undefined,
  register: (resolve: () => void) => () => void,
): Promise<boolean> {
  if (!signal) return new Promise((resolve) => register(() => resolve(true)))
  if (signal.aborted) return Promise.resolve(false)
  return new Promise((resolve) => {
    let cancel: (() => void) | undefined
    const end = (isDone: boolean): void => {
      unlisten()
      cancel?.()
      resolve(isDone)
    }
    const unlisten = onAbort(signal, () => end(false))
    cancel = register(() => end(true))
  })
}

/** Resolves after `ms`, or when the signal aborts. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await until(signal, (resolve) => {
    const timer = clock.after(ms, resolve)
    return () => timer.cancel()
  })
}
