import type { TidemarkError } from '../errors.js'
import type { Commit, TargetChange } from './change.js'
import type { RequestedPosition } from './position.js'

/** What a new snapshot of the source sees: transaction ids are 64-bit, as safe integers. */
export interface Snapshot {
  /** All below are finished and visible (or rolled back). */
  readonly xmin: number
  /** None at or above is visible. */
  readonly xmax: number
  /** Those between that still run. */
  readonly running: ReadonlySet<number>
}

/** One round trip to the source: what can be seen now, and the end of its flushed log. */
export interface Probe {
  /** undefined where the log has no transactions: all that it delivered can be seen. */
  readonly snapshot: Snapshot | undefined
  /** The flushed end of the log when the source answered. */
  readonly flushed: number
}

/**
 * What must be seen before anything is kept (rule Start), where a log is taken up:
 * `visible` nothing; `snapshot` a current snapshot must cover this one; `xmin` a current xmin must have passed this id.
 */
export type StartProof =
  | { readonly kind: 'visible' }
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'xmin'; readonly xid: number }

export interface LogStart {
  readonly epoch: string
  /** Every commit after this position will be delivered. */
  readonly lsn: number
  readonly proof: StartProof
}

/** What a log tells its follower. All calls are synchronous: when `commit` returns, the change is applied and may be acknowledged. */
export interface LogListener {
  /** The log was taken up, first or anew: nothing from before may be believed. */
  started(start: LogStart): void
  /** The next record, in order. */
  commit(commit: Commit): void
  /** All commits that end at or before `lsn` were delivered. Never goes back within a start. */
  progress(lsn: number): void
  /** The log can't be followed now; the log itself tries to take it up again and then calls `started`. */
  lost(reason: TidemarkError): void
}

/**
 * An ordered log of changes. Every implementation passes `logContract` of tidemark/testing.
 */
export interface Log {
  /** The log lives in this process: following it is being current, and all that it delivers can be seen. */
  readonly isLocal?: boolean
  /** Begins to follow, once; keeps trying until `close`. Returns at once and never throws. */
  follow(listener: LogListener): void
  /** Asks the source what is visible and flushed. Rejects if the source does not answer within its own bound. */
  probe(): Promise<Probe>
  /** Asks the log to report its end now (a status request), so that `progress` reaches what was flushed. */
  nudge(): void
  /** Appends a change that is not a row; resolves when it is durable. The follower sees it like any other, by its nonce. */
  append(change: TargetChange): Promise<void>
  /**
   * Resolves true once a read of the source that starts now is sure to show all that this position names, though the
   * log may not have delivered it; false if that can't be known before `signal` aborts.
   */
  visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean>
  /** What the log is doing now, for health: `following`, or what it waits for and why. */
  status(): LogStatus
  close(): Promise<void>
}

export interface LogStatus {
  readonly state: 'connecting' | 'waiting' | 'following' | 'lost' | 'off' | 'closed'
  /** In words: what it waits for or why it was lost, and what to do. Empty while following. */
  readonly reason: string
}
