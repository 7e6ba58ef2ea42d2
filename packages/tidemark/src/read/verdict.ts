import { rules } from '../fence/fence.js'
import type { Follower } from '../follow/follower.js'
import type { Fill } from './fill.js'
import { isLoadedFor, isShown } from './floor.js'
import type { Keeper, Kept } from './keep.js'
import type { Reader } from './reader.js'

/** What a reader gets of a load: an answer in that state, another load, or TIDEMARK_BEHIND. */
export type Verdict = 'fresh' | 'fenced' | 'stale' | 'again' | 'behind'

/** After so many loads a reader takes what there is, fenced: two are the rule, a third needs a dependency that changed. */
const ATTEMPTS_MAX = 5

/** What becomes of a reader whose load has ended (rules Reader and Proof). */
export function judge(keeper: Keeper, reader: Reader, fill: Fill, kept: Kept): Verdict {
  const { floor } = reader
  if (!floor) return verdictOf(keeper, reader, fill, kept)
  // The log can't vouch for a load where this process has not reached the position: only when it began, and what it read.
  if (floor.isFromSource && !isLoadedFor(floor, fill) && mayTryAgain(keeper, reader)) return 'again'
  const verdict = verdictOf(keeper, reader, fill, kept)
  if (verdict === 'again' || (verdict === 'fresh' && !floor.isFromSource)) return verdict
  return isLoadedFor(floor, fill) && isShown(floor, fill, kept.overtaken) ? verdict : 'behind'
}

function verdictOf(keeper: Keeper, reader: Reader, fill: Fill, kept: Kept): Exclude<Verdict, 'behind'> {
  const { follower } = keeper
  const asked = askedAt(follower, reader)
  const isTooOld = reader.floor !== undefined && !isLoadedFor(reader.floor, fill)
  switch (kept.notKept) {
    case undefined:
    case 'too-large':
      return 'fresh'
    case 'overtaken':
    case 'unproven':
      if (rules.readerMayHave(kept.overtaken, asked)) return keeper.isTrusted(keeper.clock.now()) ? 'fresh' : 'fenced'
      return mayTryAgain(keeper, reader) ? 'again' : 'fenced'
    case 'starting': {
      // Begun before all that lies before the start could be seen. If it can be by now, a second load will be believed.
      const isUseful = follower.isKeeping || isTooOld
      return isUseful && mayTryAgain(keeper, reader) ? 'again' : 'fenced'
    }
    default: {
      // What it read can't be compared with the log. A reader who joined a load from before a change gets one of its own.
      const isOld = asked > fill.running.t0 || isTooOld
      if (isOld && reader.attempts === 0 && mayTryAgain(keeper, reader)) return 'again'
      return kept.isStale && rules.graceMayHave(kept.dropped, asked) ? 'stale' : 'fenced'
    }
  }
}

/** Who asked before the log was taken up anew counts as asking there: a believed fill shows all before. */
export function askedAt({ generation, startedAt }: Follower, reader: Reader): number {
  return reader.generation === generation ? Math.max(reader.asked, startedAt) : startedAt
}

/** Whether it waits for one more load; counts it. */
export function mayTryAgain({ clock }: Keeper, reader: Reader): boolean {
  if (reader.attempts === 0) reader.proofDeadline = clock.now() + reader.proofWaitMs
  else if (clock.now() >= reader.proofDeadline) return false
  reader.attempts++
  return reader.attempts < ATTEMPTS_MAX
}
