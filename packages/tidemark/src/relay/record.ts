import type { TidemarkError } from '../errors.js'
import type { Commit } from '../log/change.js'

/** A commit as a relay carries it: its position is that of the record. */
export type RelayedCommit = Pick<Commit, 'xid' | 'committedAt' | 'changes'>

/** What a leader relays: all that the source's log has after `from` up to `to`. Whoever is at or after `from` misses nothing by it. */
export interface RelayRecord {
  /** The history of the source. */
  readonly epoch: string
  /** What tells the leader's log from others of this epoch. */
  readonly name: string | undefined
  readonly from: number
  readonly to: number
  /** The one commit in between, which ends at `to`; undefined if there is none. */
  readonly commit: RelayedCommit | undefined
  /** All up to here was seen by a snapshot of the leader; undefined while it does not know. */
  readonly proven: number | undefined
}

/** Where a leader writes its records: in order, and never held up by them. What gets lost on the way shows by the positions of what comes later. */
export interface RelaySink {
  /** Why nothing can be written now; undefined while it can. */
  readonly problem: TidemarkError | undefined
  /** So far all that was handed over since the start is written; else the next leader must read it again. */
  readonly writtenTo: number
  send(records: readonly RelayRecord[]): void
  /** The log was taken up anew: positions begin anew too. */
  restarted(): void
  close(): Promise<void>
}
