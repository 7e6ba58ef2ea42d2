/** Exit code of a process that a signal ended before it had drained. */
const INTERRUPTED = 130

/**
 * On SIGTERM or SIGINT: `drain`, then exit with 0. A second one, or a drain that takes longer than `boundMs`, exits at once.
 *
 * @returns how to stop listening
 */
export function drainOnSignals(drain: () => Promise<void>, boundMs: number): () => void {
  let isDraining = false
  const onSignal = () => {
    if (isDraining) process.exit(INTERRUPTED)
    isDraining = true
    setTimeout(() => process.exit(1), boundMs).unref()
    drain().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  return () => void process.off('SIGTERM', onSignal).off('SIGINT', onSignal)
}
