import type { SlotKey } from '../tiers/space.js'
import type { Keeper } from './keep.js'
import type { Keyspace } from './keyspace.js'

/**
 * Whether an entry that expired, or that can't be trusted now, may be served: it is there (so it was not dropped), and not for too long.
 *
 * @param isFailing  there is no other answer: then also where this process is not current
 */
export function mayServe(keeper: Keeper, space: Keyspace, key: SlotKey, boundMs: number, isFailing: boolean): boolean {
  const { l1, clock, follower } = keeper
  const slot = l1.find(space, key)
  if (slot === undefined || boundMs === 0) return false
  const now = clock.now()
  // An entry of a process that is not current counts as expired when the process last was.
  const isTrusted = keeper.isTrusted(now)
  if (!isTrusted && !isFailing) return false
  const expiredMs = now - l1.expiresAtOf(slot)
  const untrustedMs = isTrusted ? Number.NEGATIVE_INFINITY : follower.currency.silence(now)
  return Math.max(expiredMs, untrustedMs) <= boundMs
}
