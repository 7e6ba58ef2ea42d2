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
  /**
   * Monotonic ms: what was filled before then may be believed still. The log has proven that its history up to `lsn` is the one that was
   * followed before, and that it holds all that could be read by then. Default: nothing of before may be believed.
   */
  readonly keepsBefore?: number
}

/** Where a log that was lost goes on without a gap. */
export interface LogResume {
  readonly epoch: string
}

/** What a log tells its follower. All calls are synchronous: when `commit` returns, the change is applied and may be acknowledged. */
export interface LogListener {
  /** The log was taken up, first or anew: nothing from before may be believed, but for what the start says that it keeps. */
  started(start: LogStart): void
  /** The next record, in order. */
  commit(commit: Commit): void
  /** All commits that end at or before `lsn` were delivered. Never goes back within a start. */
  progress(lsn: number): void
  /** The log can't be followed now; the log itself tries to take it up again and then calls `resumed` or `started`. */
  lost(reason: TidemarkError): void
  /**
   * After `lost`: nothing is missing. Every commit after the last one that was delivered, or after the last `progress`, follows;
   * what is kept may be believed as before. A log that can't be sure calls `started` instead.
   */
  resumed(resume: LogResume): void
}

/**
 * An ordered log of changes. Every implementation passes `logContract` of tidemark/testing.
 */
export interface Log {
  /** The log lives in this process: following it is being current, and all that it delivers can be seen. */
  readonly isLocal?: boolean
  /**
   * What tells it from other logs of the same epoch, once it was taken up: of two processes whose logs have the same epoch and name,
   * each is delivered what the other is.
   */
  readonly name?: string | undefined
  /**
   * While changes come one upon the other, one probe serves for those of so many ms, unless somebody waits for one: a probe is a query, and at
   * a thousand commits a second it would cost a process as much as following them. Default 0.
   */
  readonly probePaceMs?: number
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
  /**
   * Where the log has a place that others take up later (a shared slot): it is not moved beyond what the hold allows. Absent: there is no
   * such place. Returns how the hold ends.
   */
  hold?(hold: LogHold): () => void
  /** What the log is doing now, for health: `following`, or what it waits for and why. */
  status(): LogStatus
  close(): Promise<void>
}

/** What has to have a part of the log before a shared place moves beyond it. */
export interface LogHold {
  /** For people: `l2`, `relay`, `journal`. */
  readonly name: string
  /** It has all up to here. Asked often; Infinity where it does not matter now. */
  upTo(): number
  /** It is waited for only so long, and for so much of the log (`ackHold`): it finds its own gap later, and its outage must not fill a disk. */
  readonly isBounded: boolean
}

export interface LogStatus {
  readonly state: 'connecting' | 'waiting' | 'following' | 'lost' | 'off' | 'closed'
  /** In words: what it waits for or why it was lost, and what to do. Empty while following. */
  readonly reason: string
  /** The slot that the processes of the application share, where they do. */
  readonly slot?: SlotStatus
  /**
   * Where there is a relay: whether this process reads the source's log for all (`leader`), or what another one relays (`follower`).
   * A `standby` reads the source's log for itself, and for all once nobody else does.
   */
  readonly role?: 'leader' | 'standby' | 'follower'
  /** Of a leader: why the others are told nothing now, and what to do; empty while they are. */
  readonly relayProblem?: string
}

/** A shared place in the log, as this process saw it last. */
export interface SlotStatus {
  readonly name: string
  /** Whether this process follows through it. */
  readonly isHeld: boolean
  /** As the server names it: `reserved`, `extended`, `unreserved`, `lost`; `missing` where there is none. */
  readonly state: string
  /** How much of its log the server keeps for it. */
  readonly heldBytes: number
  /** What it waits for before it is moved on (`LogHold.name`), where this process follows through it. */
  readonly waitsFor?: readonly string[]
  /** What is wrong with it and what is done about it, in words; empty where all is well. */
  readonly reason: string
}
