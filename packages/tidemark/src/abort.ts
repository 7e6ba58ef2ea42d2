import { setMaxListeners } from 'node:events'

/** A signal for any number of listeners: Node takes the eleventh for a leak, and says so. */
export function openAbort(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}

/** Calls back when the signal aborts; returns how to stop that. */
export function onAbort(signal: AbortSignal | undefined, abort: () => void): () => void {
  if (!signal) return () => {}
  // One signal may be that of many reads at once. Node would take the eleventh for a leak.
  setMaxListeners(0, signal)
  signal.addEventListener('abort', abort, { once: true })
  return () => signal.removeEventListener('abort', abort)
}
