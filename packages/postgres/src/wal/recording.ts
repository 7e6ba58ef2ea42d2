import { LogGapError } from 'tidemark'
import type { Transaction } from './transaction.js'

/** The schema of the journal's tables: never published, or the journal would have to record what it writes. */
export const JOURNAL_SCHEMA = 'tidemark_journal'

/** Whoever makes durable what a shared slot delivers: the slot is acknowledged no further than that. */
export interface Recording {
  /** The slot delivers from now on. Never throws, never waits. */
  begin(delivery: Delivery): Stretch
}

/** From where a shared slot delivers. */
export interface Delivery {
  readonly slot: string
  readonly epoch: string
  /** Every commit after it is delivered. */
  readonly from: number
  /** Has all delivered again that is not acknowledged: for whoever could not keep it until it was durable. */
  again(reason: string): void
}

/** One stretch of what a shared slot delivers. Calls are synchronous, and never throw. */
export interface Stretch {
  /** All up to here is durable, and may be acknowledged; 0 while that is not known. */
  readonly covered: number
  /** The next commit, in order; also one that this process had applied before. */
  committed(transaction: Transaction): void
  /** Every commit up to here was told. */
  passed(lsn: number): void
  /** The slot is not read any more. */
  end(): void
}

/** A stream that ended because all that is not acknowledged is wanted again: nothing is wrong, so the next begins at once. */
export class WantedAgainError extends LogGapError {}
