import type { NotKept } from './source.js'

/** Plain numbers that only grow; read them as often as you like. */
export interface Counters {
  /** Reads answered from L1. */
  hits: number
  /** Reads that found nothing to serve in L1. */
  misses: number
  /** Reads served stale by grace. */
  stale: number
  /** Reads answered `fenced`. */
  fenced: number
  /** Misses that L2 answered; what it had that was contradicted, or could not be judged, here; calls that failed. */
  l2Hits: number
  l2Misses: number
  l2Disbelieved: number
  l2Errors: number
  /** What was kept and L2 stored too, or refused. */
  l2Stored: number
  l2Refused: number
  /** Runs of loaders; those that failed; those whose result was kept. */
  loads: number
  loadErrors: number
  kept: number
  /** Reads that joined another read's loader run. */
  joined: number
  /** Runs whose result was not kept, by reason. */
  notKept: Partial<Record<NotKept, number>>
  /** Commits and changes applied. */
  commits: number
  changes: number
  /** Entries dropped or expired by changes; entries evicted for room; entries lost to a gap in the log. */
  invalidated: number
  evicted: number
  /** Of the evicted ones, those that left because their tenant had as much as its quota. */
  evictedForQuota: number
  emptied: number
  /** Dependencies wider than their query, by `reason`. */
  coarse: Record<string, number>
  /** Changes that touched more than they name because old values are not in the log. */
  coarseOldValues: number
  /** Dependencies that updates left alone because they changed no column that is read: needless invalidations saved, or more. */
  unchanged: number
  /** Entries that a change left alone because the row has no join partner there, or a twin. */
  alone: number
  /** Of the invalidated ones, those that were loaded again at once, as they may be the same (`mayStay`); those of them that were, and stayed. */
  doubted: number
  stayed: number
  /** Queries whose tables were compared with what they really read; those that read more. */
  selfChecks: number
  selfCheckMismatches: number
  /** Times the log was lost and taken up anew. */
  gaps: number
  /** Times that the log was lost and went on without a gap. */
  resumes: number
}

export function zeroCounters(): Counters {
  return {
    hits: 0,
    misses: 0,
    stale: 0,
    fenced: 0,
    l2Hits: 0,
    l2Misses: 0,
    l2Disbelieved: 0,
    l2Errors: 0,
    l2Stored: 0,
    l2Refused: 0,
    loads: 0,
    loadErrors: 0,
    kept: 0,
    joined: 0,
    notKept: {},
    commits: 0,
    changes: 0,
    invalidated: 0,
    evicted: 0,
    evictedForQuota: 0,
    emptied: 0,
    coarse: {},
    coarseOldValues: 0,
    unchanged: 0,
    alone: 0,
    doubted: 0,
    stayed: 0,
    selfChecks: 0,
    selfCheckMismatches: 0,
    gaps: 0,
    resumes: 0,
  }
}
