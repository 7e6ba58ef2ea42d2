import type { Answer } from './answer.js'
import type { Clock } from './clock.js'
import type { Counters } from './counters.js'
import type { CallOptions, Definition, Duration, EntryOptions, Loader, ManyLoader, ManyOptions } from './definition.js'
import type { Dependency } from './dependencies/dependency.js'
import type { CacheEvents } from './events.js'
import type { By } from './log/by.js'
import type { Mode, RowChange } from './log/change.js'
import type { Log, LogStatus } from './log/log.js'
import type { NotKept, Session, Source } from './source.js'
import type { L2 } from './tiers/l2.js'
import type { Quotas } from './tiers/limits.js'
import type { TenantUse } from './tiers/shares.js'

export interface CacheOptions<Context extends object> {
  /** What loaders read and the log follows. Without one, entries leave by explicit invalidation and expiry only. */
  readonly source?: Source<Context>
  /**
   * The log that is followed, where it is not the source's own: `redisLog({ url })` of '@tidemark/redis' lets processes without PostgreSQL
   * share what they invalidate. Caches may share one; it is closed with the last of them.
   */
  readonly log?: Log
  /**
   * The memory tier's limits. Defaults: 100,000 entries, 256 MiB (approximate size of keys and values). `tenantShare` (above 0, at most 1;
   * default 1) is how much of both a tenant may have while others need room: what is beyond leaves first. `quotas` (default: none) are
   * numbers of a tenant's own: its oldest entries leave for its new ones, room or not, and no value of more bytes is kept.
   */
  readonly l1?: {
    readonly maxEntries?: number
    readonly maxBytes?: number
    readonly tenantShare?: number
    readonly quotas?: Quotas
  }
  /** A tier that processes share. It needs a source that all of them follow. Default: none. */
  readonly l2?: L2
  /**
   * Names what computes the values. Processes of different versions leave each other's entries in L2 alone; so do loaders whose text
   * differs. Raise it when the same loader computes something else, as what it calls was changed. Default: empty.
   */
  readonly version?: string
  /** After this long without proof of currency nothing is served as fresh. Default 5 s. */
  readonly maxSilence?: Duration
  /** How long a read waits for a position that it carries. Default 1 s. */
  readonly waitMax?: Duration
  /** How long a reader waits for a change to become visible at the source. Default 1 s. */
  readonly proofWait?: Duration
  /** How many changes the ring keeps for fills that are running. Default 100,000. */
  readonly ringMax?: number
  /** A transaction of more rows than this is kept as its tables. Default 10,000. */
  readonly ringRowsMax?: number
  /** How many entries may be watched at once. Default 10,000. */
  readonly watchMax?: number
  /** Limits of the patterns of one request: characters of each (default 1,024; at most 16,384), and how many (default 100). */
  readonly patterns?: { readonly maxLength?: number; readonly maxCount?: number }
  /** Defaults of every entry. */
  readonly defaults?: EntryOptions
  /** Time and chance, for tests. */
  readonly clock?: Clock
}

/**
 * A glob, or a regular expression of RE2's syntax that is found anywhere in a key. In a glob `*` stands for any text, `?` for one
 * character, `[a-z]` and `[^a-z]` for one of a class, and `\\` takes the meaning from the next character (see `escapeGlob`).
 */
export type Pattern = string | { readonly regex: string }

/** What is named, all together; a key also names what was computed from it. */
export interface Named {
  /** Keys in their text form: `post(42)`, or a plain `get` key. */
  readonly keys?: readonly string[]
  readonly tags?: readonly string[]
  /** Keys of this tenant, in their text form, that match; also those that are only depended on. */
  readonly pattern?: Pattern | readonly Pattern[]
  /** `tenant`: all of this tenant. `everything`: of every tenant, which a view of `tenant()` cannot ask for. */
  readonly all?: 'tenant' | 'everything'
}

export interface Invalidation extends Named {
  /** It may name nothing, and enters the log all the same: what was asked for was looked for, and is nowhere. Default: that is an error. */
  readonly allowNothing?: boolean
  /** drop (default): gone at once. expire: stale now, served by grace while refilled. */
  readonly mode?: Mode
  /** Who asks and why, for the journal of every process. Default: nobody is named. */
  readonly by?: By
  readonly signal?: AbortSignal
}

export interface CountOptions extends Named {
  /** How many keys are told at most. Default 20; 10,000 at most. */
  readonly sampleMax?: number
  readonly signal?: AbortSignal
}

export interface PreviewOptions extends Named {
  /** Changes of rows that have not been made: the entries that they would touch count as dependents. */
  readonly rows?: readonly RowChange[]
  /** How many keys are told at most of each sort. Default 20; 10,000 at most. */
  readonly sampleMax?: number
  readonly signal?: AbortSignal
}

/** The entries in L1 of this process that are named themselves, by key, pattern or tag, about now. */
export interface Counted {
  readonly count: number
  /** Keys of at most `sampleMax` of them, of this tenant. */
  readonly sample: readonly string[]
}

/** What an invalidation would make stale in L1 of this process, about now. */
export interface Preview extends Counted {
  /** Entries that would go along, because they were computed from what is named. */
  readonly dependents: number
  /** Keys of at most `sampleMax` of those. */
  readonly dependentSample: readonly string[]
  /** What it would cost to fill all of them again, as far as fills of the same definitions were measured here. */
  readonly refill: Refill
}

export interface Refill {
  /** Runs of loaders: one for each entry. */
  readonly loads: number
  /** How long those would take altogether, in ms: the recent average of each definition, times its entries. */
  readonly sourceMs: number
  /** Entries of `loads` whose definition was never loaded in this process (they came from L2, or were set): not in `sourceMs`. */
  readonly unmeasured: number
}

/** Entries that an invalidation is about to take, as they can be filled again. */
export interface RefillPlan extends Refill {
  /** Entries that nobody but their readers can load: those of `get` and `set`, those whose key does not say its arguments, and what is beyond 10,000. */
  readonly unknown: number
  /** Fills them again, the hottest first; what a reader has filled meanwhile is passed over. Never rejects for a loader that fails. */
  run(options?: RefillOptions): Promise<Refilled>
}

export interface RefillOptions {
  /** Loads that begin in a second. Default: as fast as they end. */
  readonly perSecond?: number
  /** Loads at once. Default 4. */
  readonly concurrency?: number
  /** No more of them begin once it aborts, and `run` resolves with what is filled by then. */
  readonly signal?: AbortSignal
  readonly onProgress?: (refilled: Refilled) => void
}

export interface Refilled {
  /** Entries that are there again. */
  readonly filled: number
  /** Loads that failed. */
  readonly failed: number
}

export interface SetOptions {
  /**
   * A position taken before the value was read: `cache.position()`. What changed since then is known, and the value is kept only if none of
   * it touches the entry. Without one: only if nothing touched it since the call.
   */
  readonly asOf?: string
  readonly ttl?: Duration
  readonly tags?: readonly string[]
  /** Keys, in their text form, that the value was computed from. */
  readonly dependsOn?: readonly string[]
  /** `cloned`: the value is not frozen, and each reader gets a copy. Default `frozen`. */
  readonly values?: 'frozen' | 'cloned'
  readonly by?: By
  readonly signal?: AbortSignal
}

export interface SetOutcome {
  /** Of the change: everybody has dropped what was under the key before by then. */
  readonly position: string
  /** Why the value was not kept here; undefined if it was. */
  readonly notKept: NotKept | undefined
}

/** What is kept under a key; fresh as of `asOf`. */
export interface Found {
  readonly key: string
  readonly value: unknown
  readonly from: 'l1' | 'l2'
  readonly asOf: string | undefined
  /** As of which it was stored: another one, once it is stored anew. */
  readonly position: string
  /** Wall-clock ms; `expiresAt` is undefined if it does not expire by time. */
  readonly filledAt: number
  readonly expiresAt: number | undefined
}

/** Which stored keys, in which order. All that is given must hold. */
export interface KeysQuery {
  readonly pattern?: Pattern
  readonly contains?: string
  readonly tag?: string
  readonly state?: 'fresh' | 'expired'
  /** Default `key`. The others look at every key. */
  readonly sort?: 'key' | 'age' | 'size' | 'expiry'
  readonly descending?: boolean
  /** `next` of the page before. */
  readonly after?: string
  /** Default 50; 1,000 at most. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

export interface KeyPage {
  readonly keys: readonly KeyInfo[]
  /** Where the next page begins; undefined after the last one. A page may have fewer keys than `limit`, and others follow. */
  readonly next: string | undefined
}

/** An entry of L1. */
export interface KeyInfo {
  readonly key: string
  /** Whose key it is; undefined for `get` keys and what was set. */
  readonly definition: string | undefined
  readonly state: 'fresh' | 'expired'
  /** Approximate size of key and value. */
  readonly bytes: number
  readonly position: string
  readonly filledAt: number
  readonly expiresAt: number | undefined
  readonly tags: readonly string[]
}

/** What is known of a key: for people, and for the command line. */
export interface Explanation {
  readonly key: string
  readonly tenant: string
  readonly stored: boolean
  /** What a read now would find; `absent` if nothing is stored. */
  readonly state: 'fresh' | 'stale' | 'expired' | 'untrusted' | 'absent'
  readonly asOf: string | undefined
  readonly filledAt: number | undefined
  /** Wall-clock ms; undefined if it does not expire by time. */
  readonly expiresAt: number | undefined
  readonly dependencies: readonly Dependency[]
  /** Why the last fill of this key was not kept; undefined if it was kept, or is not known any more. */
  readonly notKept: NotKept | undefined
  /** One sentence for people: kept or not, why, and what to do. */
  readonly text: string
}

/** How far this process has read the log, and whether it may say `fresh`. */
export interface CacheStatus {
  readonly log: LogStatus
  /** As text; undefined before the log was first taken up. */
  readonly tidemark: string | undefined
  /** The position up to which L2 has applied the log, as far as this process knows; undefined while it does not, or without L2. */
  readonly l2: string | undefined
  /** Whether fills are kept: the log is followed and all before its start can be seen. */
  readonly keeping: boolean
  readonly current: boolean
  /** How long ago the process was last known to be current, in ms; 0 without a source. */
  readonly silenceMs: number
  readonly entries: number
  readonly bytes: number
  /** Changes in the ring; of those, how many are unproven. */
  readonly ring: number
  readonly unproven: number
  readonly watched: number
  readonly filling: number
  /** Patterns, tenants, everything, and changes of thousands of entries, that are applied, but not yet worked off: of what they name `entries` and `bytes` may count some. */
  readonly sweeping: number
}

/** A cache, or a view of it for one tenant and session. */
export interface Cache<Context extends object = object> {
  /** A cached function. Its name and arguments make the key; a second definition of the same name in a cache is an error. */
  define<Args extends readonly unknown[], Value>(
    name: string,
    load: Loader<Context, Args, Value>,
    options?: EntryOptions & ManyOptions<Context, NoInfer<Args>, NoInfer<Value>>,
  ): Definition<Args, Value>
  get<Value>(key: string, load: Loader<Context, [], Value>, options?: EntryOptions & CallOptions): Promise<Value>
  ask<Value>(
    key: string,
    load: Loader<Context, [], Value>,
    options?: EntryOptions & CallOptions,
  ): Promise<Answer<Value>>
  /**
   * The values of many keys, in their order: those of `get` keys, read as `get` reads them. What is missing is asked for in L2 together, and goes to
   * one run of `load`; each key's value is kept, or not, by itself. Rejects if one of them would.
   *
   * @throws BatchAnswerError (`TIDEMARK_BATCH_ANSWER`) if the loader returns no value for each key
   */
  getMany<Value>(
    keys: readonly string[],
    load: ManyLoader<Context, string, Value | undefined>,
    options?: EntryOptions & CallOptions,
  ): Promise<(Value | undefined)[]>
  /** The same, each with its state, origin, position and age. */
  askMany<Value>(
    keys: readonly string[],
    load: ManyLoader<Context, string, Value | undefined>,
    options?: EntryOptions & CallOptions,
  ): Promise<Answer<Value | undefined>[]>
  peek<Value = unknown>(key: string): Value | undefined
  watch<Value>(
    key: string,
    load: Loader<Context, [], Value>,
    options?: EntryOptions & CallOptions,
  ): AsyncIterableIterator<Value>
  /** Like `watch`, with each answer's position. */
  watchAnswers<Value>(
    key: string,
    load: Loader<Context, [], Value>,
    options?: EntryOptions & CallOptions,
  ): AsyncIterableIterator<Answer<Value>>
  /** Resolves with the position at which this process has applied it. Default mode: drop. */
  invalidate(invalidation: Invalidation): Promise<string>
  /** What `invalidate` would make stale in this process; changes nothing. Cost: that of finding it, in slices. */
  preview(named: PreviewOptions): Promise<Preview>
  /**
   * How many entries of this process `preview` would count as named, without what would go along and what a refill would cost. Cost: of all that
   * begins with a text none for each key; of other patterns they are held against each key of the tenant, in turns of half a millisecond.
   */
  count(named: CountOptions): Promise<Counted>
  /** What names could be filled again, and at what cost: ask before `invalidate`, run after. Read entries come first. */
  planRefill(named: Named & { readonly signal?: AbortSignal }): Promise<RefillPlan>
  /**
   * Takes entries out of L1 of this process, and no more: nothing enters the log, so other processes and L2 keep theirs, and a fill that
   * runs now may store again. Resolves with how many left.
   */
  evict(named: Named & { readonly signal?: AbortSignal }): Promise<number>
  /**
   * Takes out of L2 the entries of keys that an invalidation at this position has dropped, and resolves with how many there were: for those who
   * want to know, as for readers they are gone already. Counts what lies under the keys themselves, without sessions and in those that this
   * process knows; not what was computed from them, nor what a reader found stale before. Undefined where it can't be known: no L2 or one that does not count, an L2 that
   * does not answer, and where `get` was called with more than 16 different loaders. Entries of loaders that this process has not used are not found.
   */
  removeFromL2(keys: readonly string[], position: string): Promise<number | undefined>
  /** Those of the keys that a pattern of this tenant names, in their order; stored or not. In turns of half a millisecond. */
  matching(
    pattern: Pattern | readonly Pattern[],
    keys: readonly string[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<string[]>
  /**
   * Stores a value under a plain key (that of `get`), in L1 and L2. For everybody else it is a change to the key, which goes through the log:
   * what was there, or computed from it, is dropped. Resolves when this process has applied that.
   */
  set(key: string, value: unknown, options?: SetOptions): Promise<SetOutcome>
  /**
   * How far this process has read the log, and what the source is sure to show: take it before you read what you will `set`. Waits until
   * all that was applied can be seen, for `proofWait` at most. Undefined while the log is not followed.
   *
   * With `latest`, waits first until all that was committed before the call is applied: whatever anybody has seen of the source by then, this
   * process knows. Undefined if that takes longer than `waitMax`.
   */
  position(options?: { readonly signal?: AbortSignal; readonly latest?: boolean }): Promise<string | undefined>
  /** What is kept, fresh, under a key in its text form, whoever stored it: in L1, or in L2 if it was set. Loads nothing. */
  find(key: string): Promise<Found | undefined>
  /** What is kept, fresh, under a key in its text form in L1 of this process, at once: `find` that never waits for L2. */
  look(key: string): Found | undefined
  /** The keys of this tenant in L1 of this process, page by page. */
  keys(query?: KeysQuery): Promise<KeyPage>
  explain(key: string): Explanation
  /** The same cache, for keys and tags of one tenant. Definitions called inside its loaders inherit it. */
  tenant(tenant: string): Cache<Context>
  /** The same cache, for a session: part of the key, and set on the connection that runs the loader. */
  as(session: Session): Cache<Context>
  /** The same definition, in this view's tenant and session. */
  in<Args extends readonly unknown[], Value>(definition: Definition<Args, Value>): Definition<Args, Value>
  on<Name extends keyof CacheEvents>(name: Name, listener: (event: CacheEvents[Name]) => void): () => void
  readonly counters: Readonly<Counters>
  status(): CacheStatus
  /** What each tenant has of L1 in this process, and may have; empty without `l1.quotas` and `l1.tenantShare`. Cost: the tenants. */
  uses(): readonly TenantUse[]
  /** Resolves when all that the source had committed before the call is applied and no fill runs. */
  settled(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Aborts running fills (loaders that ignore their signal run on), ends every watch, and gives up the log. */
  close(): Promise<void>
}
