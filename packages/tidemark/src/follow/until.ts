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
      signal.removeEventListener('abort', aborted)
      cancel?.()
      resolve(isDone)
    }
    const aborted = (): void => end(false)
    signal.addEventListener('abort', aborted, { once: true })
    cancel = register(() => end(true))
  })
}
