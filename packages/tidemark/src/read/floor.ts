import type { CallOptions } from '../definition.js'
import { milliseconds } from '../duration.js'
import { BehindError } from '../errors.js'
import type { Overtaken } from '../fence/fence.js'
import type { Follower } from '../follow/follower.js'
import { identified } from '../follow/identified.js'
import { parsePosition } from '../log/position.js'
import type { Fill } from './fill.js'
import type { Keeper } from './keep.js'
import type { ReadLimits } from './reads.js'
import { deadline } from './wait.js'

/** What a read that carries a position may take, and whatever its loader reads, and theirs. */
export interface Floor {
  /** The position, as it was given. */
  readonly text: string
  /** What an answer must show; 0 if the position is of another epoch. */
  readonly lsn: number
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
 * Waits until this process has applied the position and it can be seen; else until the source is sure to show it. Of a position of another
 * epoch, until the source is sure to have no such history.
 *
 * @throws BehindError (`TIDEMARK_BEHIND`) if none is so within `waitMax` and `proofWait`; PositionError (`TIDEMARK_POSITION`)
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
  // The source may have that history by now, unnoticed here; then what it shows must be as far.
  if (isOther() && !(await within(waitMaxMs, (signal) => identified(follower, clock, signal))))
    throw behind(follower, text)
  // Positions of different epochs are not ordered: the source is asked, and the answer says so by carrying none.
  if (isOther()) return { text, lsn: 0, isFromSource: true, beganAfter: follower.tick }
  const isSeen =
    (isReached && isHeld()) ||
    (await within(limits.proofWaitMs, async (signal) => {
      if (!isReached) return follower.log.visible(position, signal).catch(() => false)
      return isProven(follower, position.lsn, signal)
    }))
  if (!isSeen) throw behind(follower, text)
  return { text, lsn: position.lsn, isFromSource: !isReached, beganAfter: follower.tick }
}

/** Waits until all up to the position can be seen; anew if the log is taken up anew meanwhile, which ends the waits for its proofs. */
async function isProven(follower: Follower, lsn: number, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const { generation } = follower
    if (!(await follower.whenBelievable(signal)) || !(await follower.whenProven(lsn, undefined, signal))) return false
    if (generation === follower.generation) return true
  }
}

/** The floor of a load: what the strictest of its readers may take. */
export function strictest(floors: Iterable<Floor | undefined>): Floor | undefined {
  let all: Floor | undefined
  for (const floor of floors) {
    if (!floor) continue
    all = all && {
      text: floor.lsn > all.lsn ? floor.text : all.text,
      lsn: Math.max(floor.lsn, all.lsn),
      isFromSource: floor.isFromSource || all.isFromSource,
      beganAfter: Math.max(floor.beganAfter, all.beganAfter),
    }
    all ??= floor
  }
  return all
}

/** Whether a load may answer for this floor: it began late enough, and all that it read in turn knew of the floor. */
export function isLoadedFor(floor: Floor, fill: Fill): boolean {
  return (
    fill.running.began > floor.beganAfter &&
    fill.floor !== undefined &&
    (fill.floor.isFromSource || !floor.isFromSource)
  )
}

/** Whether what the load found is sure to show the position, though not kept: a load of the primary that began late enough. */
export function isShown(floor: Floor, fill: Fill, overtaken: Overtaken | undefined): boolean {
  if (overtaken && overtaken.at <= floor.lsn) return false
  return fill.running.seenTo >= floor.lsn && fill.running.lagFrom === Number.POSITIVE_INFINITY
}

export function behind(follower: Follower, text: string): BehindError {
  return new BehindError(
    `This process has read the log up to ${follower.position ?? 'nowhere yet'} and could not see ${text} at the source in time. ` +
      'Ask again, ask another process, or raise waitMax.',
  )
}
