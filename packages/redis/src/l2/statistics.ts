import type { Unsealable } from './envelope.js'
import type { L2DownReason } from './errors.js'

/** Why an entry was not stored. */
export type RefusalReason =
  | Unsealable
  /** Nothing is stored before a batch says where the log stands; the same after Redis lost a part. */
  | 'no-tidemark'
  /** A change overtook it, or it is of another epoch, or of before its shape was stamped. */
  | 'overtaken'
  /** A later one is there. */
  | 'newer'
  | 'too-many-shapes'
  /** Redis did not write: out of memory, a replica. */
  | 'unwritable'

/** What happened, counted since the L2 was made. */
export interface RedisL2Counters {
  reads: number
  hits: number
  /** Entries that were there, and were older than a change. */
  stale: number
  /** Entries that could not be read: damaged, or of another serializer. They were deleted. */
  unreadable: number
  stored: number
  refused: Partial<Record<RefusalReason, number>>
  /** Batches that were applied. */
  batches: number
  /** How often it began anew, with nothing: at first, and whenever Redis had lost something. */
  resets: number
  /** Calls to Redis that failed, or that were not made. */
  failures: Partial<Record<L2DownReason, number>>
}

export function counters(): RedisL2Counters {
  return { reads: 0, hits: 0, stale: 0, unreadable: 0, stored: 0, refused: {}, batches: 0, resets: 0, failures: {} }
}

export function count<Name extends string>(counts: Partial<Record<Name, number>>, name: Name): void {
  counts[name] = (counts[name] ?? 0) + 1
}
