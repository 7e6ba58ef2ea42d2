import { onAbort } from '../abort.js'
import type { Clock } from '../clock.js'

/** A signal that aborts after `ms`, or with one of others; cancel it when it is no longer needed. */
export function deadline(
  clock: Clock,
  ms: number,
  ...others: readonly (AbortSignal | undefined)[]
): { readonly signal: AbortSignal; readonly abort: () => void; cancel(): void } {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  if (ms <= 0 || others.some((other) => other?.aborted)) abort()
  const timer = ms === Number.POSITIVE_INFINITY || ms <= 0 ? undefined : clock.after(ms, abort)
  const stops = others.map((other) => onAbort(other, abort))
  return {
    signal: controller.signal,
    abort,
    cancel() {
      timer?.cancel()
      for (const stop of stops) stop()
    },
  }
}

/** Aborts when one of two does; undefined where there is none. */
export function either(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one && other ? AbortSignal.any([one, other]) : (one ?? other)
}
