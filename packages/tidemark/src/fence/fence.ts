import type { Dependency } from '../dependencies/dependency.js'
import type { Change } from '../log/change.js'
import type { NotKept } from '../source.js'
import type { Ring, RingRecord } from './ring.js'

/** What the fence must know of a fill. Ticks order beginnings of fills, applications and proofs inside this process. */
export interface FencedFill {
  /** The tick at which it began. */
  readonly began: number
  /** The tidemark at which it began. */
  readonly t0: number
  /** Changes applied after this (monotonic ms) count as not seen: its beginning less `sourceLag`. Infinity without lag. */
  readonly lagFrom: number
  /** It saw the source only as of this position (a replica). Infinity on the primary. */
  readonly seenTo: number
}

/** The earliest change that the fill may have missed and that touches what it read. */
export interface Overtaken {
  readonly at: number
  readonly reason: Extract<NotKept, 'overtaken' | 'unproven' | 'forgotten'>
}

/**
 * Says which change a fill may have missed: the rules Fence, Reader and Proof in one scan.
 *
 * A change counts if it was not proven when the fill began. That holds for every change applied since (Fence), and for those
 * applied before whose transaction no snapshot had shown yet (Proof):
 *   1 log   applies c; tidemark = c
 *   2 fill  starts at c, and its query still sees the row before c, because PostgreSQL sends a commit before it shows it
 *   3 fill  returns; no change after c, yet the value is old
 * The fill is kept only if none counts. A reader who asked at tidemark `a` may have its value if the earliest lies after `a` (Reader).
 *
 * @param own  the position of a change that does not count: the fill's own
 * @returns undefined if no change overtook it. Cost: one look at each record in the ring; allocates nothing when kept.
 * Source: leases, Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013.
 */
export function overtakenBy(
  fill: FencedFill,
  dependencies: readonly Dependency[],
  ring: Ring,
  own?: number,
): Overtaken | undefined {
  return missedBy(fill, dependencies, ring, () => true, own)
}

/** What is known of a value that somebody read elsewhere, after he had taken a position. */
export interface ReadSince {
  readonly lsn: number
  /** Transactions with a lower id were visible by then. */
  readonly seenBelow: number
}

/**
 * The same for a value that was read by others. Of what the log had delivered by the position, it may lack what was not yet visible; of
 * what came later, all.
 *
 * @param hiddenTo  of transactions up to this id it is not known here whether they lie before what the ring holds, unseen
 * @param own  the position of a change that does not count
 */
export function overtakenSince(
  { lsn, seenBelow }: ReadSince,
  dependencies: readonly Dependency[],
  ring: Ring,
  hiddenTo: number,
  own: number,
): Overtaken | undefined {
  if (lsn < ring.from || seenBelow <= Math.max(hiddenTo, ring.fromXid)) return FORGOTTEN
  const counts = (record: RingRecord): boolean =>
    record.lsn !== own && (record.lsn > lsn || sinceRules.isHidden(record.xid, seenBelow))
  const first = ring.firstTouching(dependencies, counts)
  if (!first) return undefined
  return { at: first.lsn, reason: first.lsn <= lsn ? 'unproven' : 'overtaken' }
}

/** As a function, so that a test can plant the bug of leaving it out. */
export const sinceRules = {
  isHidden(xid: number | undefined, seenBelow: number): boolean {
    return xid !== undefined && xid >= seenBelow
  },
}

/** The same, but for changes that only make expire: what grace serves may lack those. */
export function droppedBy(fill: FencedFill, dependencies: readonly Dependency[], ring: Ring): Overtaken | undefined {
  return missedBy(fill, dependencies, ring, (change) => change.kind !== 'target' || change.mode === 'drop')
}

/** All changes that the ring holds and a fill may have missed, whether they touch it or not. */
export function missedChanges(fill: FencedFill, ring: Ring): Change[] {
  return ring.select((record) => mayHaveMissed(fill, record)).flatMap(({ changes }) => changes)
}

/** Nothing is known of what it may have missed. */
export const FORGOTTEN: Overtaken = { at: Number.NEGATIVE_INFINITY, reason: 'forgotten' }

function missedBy(
  fill: FencedFill,
  dependencies: readonly Dependency[],
  ring: Ring,
  matters: (change: Change) => boolean,
  own?: number,
): Overtaken | undefined {
  if (isForgotten(fill, ring)) return FORGOTTEN
  const first = ring.firstTouching(dependencies, (record) => record.lsn !== own && mayHaveMissed(fill, record), matters)
  if (!first) return undefined
  return { at: first.lsn, reason: first.lsn <= fill.t0 ? 'unproven' : 'overtaken' }
}

/** Rule Elsewhere: what lags behind the log needs older changes than the ring may hold. */
function isForgotten(fill: FencedFill, ring: Ring): boolean {
  return fill.seenTo < ring.from || fill.lagFrom < ring.fromAppliedAt
}

function mayHaveMissed(fill: FencedFill, record: RingRecord): boolean {
  return (
    rules.missedByFence(fill, record) ||
    rules.missedByProof(fill, record) ||
    record.appliedAt > fill.lagFrom ||
    record.lsn > fill.seenTo
  )
}

/** Each rule as a function of its own, so that the simulation can plant the bug of leaving one out. */
export const rules = {
  /** Fence: applied after the fill began. */
  missedByFence(fill: FencedFill, record: RingRecord): boolean {
    return record.lsn > fill.t0
  },
  /** Proof: applied before, but not yet seen visible when the fill began. */
  missedByProof(fill: FencedFill, record: RingRecord): boolean {
    return record.lsn <= fill.t0 && record.provenAt > fill.began
  },
  /** Reader: who asked at `asked` may have a value whose earliest missed change is `overtaken`. */
  readerMayHave(overtaken: Overtaken | undefined, asked: number): boolean {
    return overtaken === undefined || overtaken.at > asked
  },
  /** Grace: the same of what was computed from something stale, with the changes that did more than make it expire. */
  graceMayHave(dropped: Overtaken | undefined, asked: number): boolean {
    return dropped === undefined || dropped.at > asked
  },
}
