import type { Clock } from '../clock.js'

/** A signal that aborts after `ms`, or with another; cancel it when it is no longer needed. */
export function deadline(
  clock: Clock,
  ms: number,
  other?: AbortSignal,
): { readonly signal: AbortSignal; readonly abort: () => void; cancel(): void } {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  if (other?.aborted || ms <= 0) abort()
  const timer = ms === Number.POSITIVE_INFINITY || ms <= 0 ? undefined : clock.after(ms, abort)
  other?.addEventListener('abort', abort, { once: true })
  return {
    signal: controller.signal,
    abort,
    cancel() {
      timer?.cancel()
      other?.removeEventListener('abort', abort)
    },
  }
}
