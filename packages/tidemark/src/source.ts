import type { Dependency } from './dependencies/dependency.js'
import type { Partners } from './dependencies/partners.js'
import type { CacheEvents } from './events.js'
import type { Log } from './log/log.js'

/** What the caller declared of the session in which loaders run: part of the key, set on the connection. */
export interface Session {
  readonly role?: string
  readonly settings?: Readonly<Record<string, string>>
  readonly timeZone?: string
}

/** Why an answer is not kept. Each is documented in docs/promise.md. */
export type NotKept =
  | 'starting' // the log was just taken up, and what lies before that place can't all be seen yet
  | 'not-following' // the log is not being followed now
  | 'not-current' // the process has not proved its currency within maxSilence
  | 'overtaken' // a change touched what it read while it was loaded
  | 'unproven' // it depends on a change that new snapshots do not show yet
  | 'forgotten' // the ring no longer holds the changes that would have to be compared
  | 'no-dependency' // no dependency was gathered, and neither tags, expiry nor static was declared
  | 'nested' // it was computed from an answer that is not kept
  | 'peeked' // a peek in its loader found nothing
  | 'unfollowed-table' // a table that it read sends no changes (yet)
  | 'row-security' // a table that it read has active row security, and the call declared no session
  | 'session' // its SQL reads settings or the user, and the call declared no session
  | 'time' // its SQL depends on time or chance, and it has no expiry
  | 'function' // its SQL calls a function whose reads can't be known
  | 'writes' // its SQL writes
  | 'not-understood' // its SQL can't be analysed: nested too deeply, several statements in one text, a cursor
  | 'dirty-connection' // it ran on a connection whose settings were changed
  | 'open-transaction' // it ran inside a transaction that was open before the fill began
  | 'elsewhere' // it read a database that is not the followed one
  | 'replica' // it read a replica whose lag can't be compared with the log
  | 'self-check' // it really read a table that its SQL was not found to depend on
  | 'too-large' // it is larger than L1's limit

/**
 * One run of a loader, as a source sees it. A source makes one context for each fill and reports through this what the
 * loader read.
 */
export interface Reading {
  /** Aborted when the fill is no longer wanted or its hard timeout passed. */
  readonly signal: AbortSignal
  readonly tenant: string
  /** undefined unless the caller said `cache.as(...)`. */
  readonly session: Session | undefined
  /** The definition whose loader runs, or the key: for notices. */
  readonly name: string
  /** The loader has ended: what is read from now on is no part of the entry. */
  readonly isEnded: boolean
  /**
   * Adds what was read. Call it before or after the read, but before the loader can return what it read.
   *
   * @param ways  the ways in which a row of the dependency's table can matter to this read: where in each of them a row lacks a partner, it
   *   does not. The partners were asked for since the fill began. Default: any row of the dependency matters.
   */
  depend(dependency: Dependency, ways?: readonly Partners[]): void
  /** What is read may be answered but not kept. */
  unkept(reason: NotKept): void
  /** What is read may be kept only if the entry has an expiry; `reason` is told if it has none. */
  needsExpiry(reason: NotKept): void
  /** The read saw the source only as of this position (a replica): later changes count as not seen. */
  readAsOf(lsn: number): void
  /** Counts a dependency that is wider than the query, with the reason, for metrics. */
  coarse(table: string, reason: string): void
  /** Counts a comparison of what a query was found to depend on with what it really read. */
  checked(isRight: boolean): void
  /** Tells a developer something: once for each code and definition. */
  notice(code: string, message: string): void
}

/** A source of truth: it makes the context of loaders and, where it can be followed, opens its log. */
export interface Source<Context extends object = object> {
  /** Two sources of one id are the same: caches of one process share one follower of it. */
  readonly id: string
  /** Spread into the loader's context, once for each fill. */
  context(reading: Reading): Context
  /** Opens the log, or returns undefined where the source is not followed. Called once for each follower. */
  openLog(): Log | undefined
  /** Told, for each cache of this source, how to hear what changes do there. */
  observe?(
    on: <Name extends keyof CacheEvents>(name: Name, listener: (event: CacheEvents[Name]) => void) => () => void,
  ): void
  /** The expiry of entries that declare none, in ms, where the source is not followed. */
  readonly unfollowedTtlMs?: number
  /** Releases what loaders use. The log is closed by its follower. */
  close(): Promise<void>
}
