import type { Answer } from './answer.js'
import type { RowChange } from './log/change.js'

/** A duration: milliseconds, or a number with a unit: `250ms`, `30s`, `5m`, `1h`, `7d`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** How entries are kept. All are optional; each default is the safe one. */
export interface EntryOptions {
  /** How long an entry is fresh if no change touches it. Default: for ever; 30 s on a source that is not followed. */
  readonly ttl?: Duration
  /** Up to this fraction of `ttl` is taken off at random, so that entries filled together do not expire together. Default 0. */
  readonly jitter?: number
  /** After this fraction of `ttl` a hit starts a fill in the background (0 < x < 1). Default: off. */
  readonly earlyRefresh?: number
  /**
   * How long after expiry a value may be served stale: while it is refilled, and while the source fails.
   * One duration bounds both. Default: none. Never serves what was dropped.
   */
  readonly grace?: Duration | { readonly refill?: Duration; readonly failure?: Duration }
  /** With grace: how long a read waits for the refill before it takes the stale value. Default 0. */
  readonly softTimeout?: Duration
  /** After this the loader's signal is aborted and the read fails (or takes the stale value). Default 30 s. */
  readonly hardTimeout?: Duration
  /** Names for invalidation, within the tenant. */
  readonly tags?: readonly string[]
  /** The answer depends on nothing that changes: keep it though no dependency was gathered. */
  readonly static?: boolean
  /** The loader reads something that lags the log by up to this much (a search index, a replica elsewhere). */
  readonly sourceLag?: Duration
  /** `frozen` (default): values are shared and deeply frozen. `cloned`: each reader gets a structured clone. */
  readonly values?: 'frozen' | 'cloned'
  /**
   * Names what computes the values, beside the loader's text: raise it when the same text computes something else. Processes with
   * different ones leave each other's entries in L2 alone. Default: empty.
   */
  readonly version?: string
}

/** Options of one call. */
export interface CallOptions {
  /** Never answer with anything older than this position. */
  readonly minPosition?: string
  /**
   * Of `ask`: finds out what the answer may show beyond `asOf`, and says it as `shows`, for the next read of a session that goes from process to
   * process. Costs what was loaded just now one more question to the source, which all answers of the moment share; other answers nothing.
   */
  readonly shows?: boolean
  /** How long to wait for `minPosition`. Default: the cache's `waitMax`, 1 s. */
  readonly waitMax?: Duration
  readonly signal?: AbortSignal
}

/** What every loader gets; a source adds its own (`sql`). */
export interface LoaderContext {
  /** Aborted when nobody waits any more, or the hard timeout has passed. */
  readonly signal: AbortSignal
  readonly tenant: string
  /** Adds tags to the entry that is being filled. */
  tag(...tags: readonly string[]): void
  /**
   * Says which changes of rows may leave the value as it is, though they touch it: one that decides which other rows it is made of, say. If nothing
   * else touched the entry, it is loaded again at once, and where the value is the same, the entry stays; till then no read gets it. The new
   * load must say the same of the change. At most 256 of a cache's entries are loaded so at a time: others go. `isTagged` says whether the entry, or
   * what it was computed from, has a tag.
   */
  mayStay(about: (change: RowChange, isTagged: (tag: string) => boolean) => boolean): void
}

/** A cached function: its arguments make the key. */
export interface Definition<Args extends readonly unknown[], Value> {
  (...args: Args): Promise<Value>
  /** The value with its state, origin, position and age. */
  ask(...args: Args): Promise<Answer<Value>>
  /**
   * The values of many at once, in the order of `asked`: what is missing goes to one run of `loadMany`, or where the definition has none, to a
   * run of its loader for each. Rejects if one of them would. For definitions of one argument.
   */
  many(asked: AskedOf<Args>): Promise<Value[]>
  /** The same, each with its state, origin, position and age. */
  askMany(asked: AskedOf<Args>): Promise<Answer<Value>[]>
  /** The value if it is in L1 and fresh; never loads, never waits. */
  peek(...args: Args): Value | undefined
  /** The value now, and again after every change that touched it. Ends when the caller breaks off, or `signal` aborts. */
  watch(...args: Args): AsyncIterableIterator<Value>
  /** Like `watch`, with each answer's position. */
  watchAnswers(...args: Args): AsyncIterableIterator<Answer<Value>>
  /** The key's text form, as in `explain` and `invalidate({ keys })`. */
  key(...args: Args): string
  /** The same definition with options for one call. */
  with(options: CallOptions): Definition<Args, Value>
}

export type Loader<Context, Args extends readonly unknown[], Value> = (
  context: LoaderContext & Context,
  ...args: Args
) => Value | Promise<Value>

/** Many of a definition's only argument. Of those with several, `many` takes none: make one object of them. */
export type AskedOf<Args extends readonly unknown[]> = Args extends readonly [infer Only] ? readonly Only[] : never

/** What a loader of many keys gets beside them. */
export interface ManyContext<Asked, Context = object> {
  /**
   * The context of one of the keys: what is read and tagged through it counts for that key alone. Else it counts for all that are loaded with it.
   *
   * @throws OptionError (`TIDEMARK_OPTION`) if it is none of the keys
   */
  of(asked: Asked): LoaderContext & Context
}

/**
 * Loads many keys at once. Returns a value for each of `asked`, in their order; or, where `undefined` is a value, a Map from what was asked for to
 * values: what is not in it is `undefined`.
 */
export type ManyLoader<Context, Asked, Value> = (
  context: LoaderContext & Context & ManyContext<Asked, Context>,
  asked: readonly Asked[],
) => ManyLoaded<Asked, Value> | Promise<ManyLoaded<Asked, Value>>

/** What a loader of many returns. */
export type ManyLoaded<Asked, Value> =
  | readonly Value[]
  | (undefined extends Value ? ReadonlyMap<Asked, Exclude<Value, undefined>> : never)

/** Options of a definition that can load many at once. */
export interface ManyOptions<Context, Args extends readonly unknown[], Value> {
  /**
   * Loads, in one run, what `many` does not find: of each what the loader would return. For definitions of one argument. Processes in which its text
   * differs leave each other's entries in L2 alone, as with the loader's.
   */
  readonly loadMany?: ManyLoader<Context, Args[0], Value>
}
