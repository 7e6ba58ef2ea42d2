import type { CallOptions } from '../definition.js'
import { milliseconds } from '../duration.js'
import { BehindError } from '../errors.js'
import { parsePosition } from '../log/position.js'
import type { Keeper } from './keep.js'
import type { ReadLimits } from './reads.js'
import { deadline } from './wait.js'

/** What a read that carries a position may take. */
export interface Floor {
  /** The position is of another epoch, or was not reached here: the source is asked, and the answer carries no position. */
  readonly isFromSource: boolean
  /** The tick before which a load must not have begun, if the log can't vouch for what it saw. */
  readonly beganAfter: number
}

interface Wanted {
  readonly position: string
  readonly call: CallOptions
  readonly limits: ReadLimits
  readonly keeper: Keeper
  /** Aborts when the cache is closed. */
  readonly closing: AbortSignal
  /** Whether L1 can answer now. */
  isHeld(): boolean
}

/**
 * Waits until this process has applied the position and it can be seen; else until the source is sure to show it.
 *
 * @throws BehindError (`TIDEMARK_BEHIND`) if neither is so within `waitMax` and `proofWait`; PositionError (`TIDEMARK_POSITION`)
 */
export async function reachFloor({ position: text, call, limits, keeper, closing, isHeld }: Wanted): Promise<Floor> {
  const { follower, clock } = keeper
  const position = parsePosition(text)
  const within = async (ms: number, wait: (signal: AbortSignal) => Promise<boolean>): Promise<boolean> => {
    const bound = deadline(clock, ms, call.signal, closing)
    const isDone = await wait(bound.signal)
    bound.cancel()
    call.signal?.throwIfAborted()
    closing.throwIfAborted()
    return isDone
  }
  const isOther = (): boolean =>
    position.epoch !== undefined && follower.epoch !== undefined && position.epoch !== follower.epoch

  const waitMaxMs = call.waitMax === undefined ? limits.waitMaxMs : milliseconds(call.waitMax, 'waitMax')
  const isReached = !isOther() && (await within(waitMaxMs, (signal) => follower.reach(position.lsn, signal)))
  // Positions of different epochs are not ordered: the source is asked, and the answer says so by carrying none.
  if (isOther()) return { isFromSource: true, beganAfter: follower.tick }
  const isSeen =
    (isReached && isHeld()) ||
    (await within(limits.proofWaitMs, async (signal) => {
      if (!isReached) return follower.visible(position, signal).catch(() => false)
      return (await follower.whenBelievable(signal)) && (await follower.whenProven(position.lsn, undefined, signal))
    }))
  if (!isSeen) {
    throw new BehindError(
      `This process has read the log up to ${follower.position ?? 'nowhere yet'} and could not see ${text} at the source in time. ` +
        'Ask again, ask another process, or raise waitMax.',
    )
  }
  return { isFromSource: !isReached, beganAfter: follower.tick }
}
