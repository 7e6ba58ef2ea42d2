import type { Answer } from '../answer.js'
import type { Clock } from '../clock.js'
import type { Follower } from '../follow/follower.js'
import { until } from '../follow/until.js'
import { parsePosition } from '../log/position.js'
import type { L1 } from '../tiers/l1.js'
import type { Request } from './request.js'
import { deadline } from './wait.js'

/** So long an answer waits to learn what it may show; it is given without that then. */
const WAIT_MAX_MS = 500

interface Asker {
  readonly l1: L1
  readonly follower: Follower
  readonly clock: Clock
  /** When something was last taken from L2, which says of no entry when it was read here. */
  readonly sharedAt: number
  isTrusted(now: number): boolean
}

/**
 * Asks, and says of a fresh answer what it may show: the position that a session carries on.
 *
 *   1 load           reads commit c at the source; the log has not delivered c here: the answer holds as of t < c
 *   2 other process  at t too, holds what was before c: with t alone, a session that comes there goes back
 *
 * The end of the log, asked for after the value was read, lies behind all that the value shows. Once that is applied, the tidemark says as much.
 */
export async function askShown(
  ask: () => Promise<Answer<unknown>>,
  request: Request,
  asker: Asker,
): Promise<Answer<unknown>> {
  const answer = await ask()
  const { follower, clock } = asker
  const { epoch, currency, tidemark } = follower
  if (answer.state !== 'fresh' || answer.asOf === undefined || epoch === undefined) return answer
  const { signal } = request.call ?? {}
  const end = currency.endSince(readAt(answer, request, asker), tidemark) ?? (await askedEnd(follower, clock, signal))
  // Meanwhile it may have become unknown whether it still is fresh.
  if (!asker.isTrusted(clock.now())) return ask()
  if (end === undefined || epoch !== follower.epoch) return answer
  return { ...answer, shows: follower.positionAt(shownRules.upTo(end, parsePosition(answer.asOf).lsn)) }
}

/** When the value had been read, by the monotonic clock, at the latest. */
function readAt({ from }: Answer<unknown>, { space, key }: Request, { l1, clock, sharedAt }: Asker): number {
  const slot = from === 'l1' ? l1.find(space, key) : undefined
  return slot === undefined ? clock.now() : Math.max(l1.filledAtOf(slot), sharedAt)
}

async function askedEnd(
  follower: Follower,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  let end: number | undefined
  const probe = follower.log.probe().then(
    ({ flushed }) => {
      end = flushed
    },
    () => {},
  )
  const bound = deadline(clock, WAIT_MAX_MS, signal)
  await until(bound.signal, (resolve) => {
    void probe.then(resolve)
    return () => {}
  })
  bound.cancel()
  signal?.throwIfAborted()
  return end
}

/** The rule as a function, so that the simulation can plant the bug of leaving it out. */
export const shownRules = {
  /** A value may show what its process has not applied: as of when it holds says nothing of that. */
  upTo(end: number, asOf: number): number {
    return Math.max(end, asOf)
  },
}
