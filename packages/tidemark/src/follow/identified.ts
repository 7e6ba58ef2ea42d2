import type { Clock } from '../clock.js'
import type { Follower } from './follower.js'
import { pause, until } from './until.js'

/** How long until it is looked again which history the source has. */
const AGAIN_MS = 10

/**
 * Resolves true once the source is known to have the epoch that is followed, at a time after the call: a probe was answered that was sent
 * since. Without one the server may have been replaced, and nobody here has noticed yet. False when the signal aborts.
 */
export async function identified(follower: Follower, clock: Clock, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted && !follower.isClosed) {
    const { generation } = follower
    if (follower.isFollowing && (await isAnswered(follower, signal))) {
      if (follower.isFollowing && generation === follower.generation) return true
    } else await pause(clock, AGAIN_MS, signal)
  }
  return false
}

async function isAnswered({ log }: Follower, signal: AbortSignal): Promise<boolean> {
  let isAnswered = false
  const probe = log.probe().then(
    () => {
      isAnswered = true
    },
    () => {},
  )
  await until(signal, (resolve) => {
    void probe.then(resolve)
    return () => {}
  })
  return isAnswered
}
