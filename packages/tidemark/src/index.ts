export type { Answer, From, State } from './answer.js'
export type {
  Cache,
  CacheOptions,
  CacheStatus,
  Counted,
  CountOptions,
  Explanation,
  Found,
  Invalidation,
  KeyInfo,
  KeyPage,
  KeysQuery,
  Named,
  Pattern,
  Preview,
  PreviewOptions,
  Refill,
  Refilled,
  RefillOptions,
  RefillPlan,
  SetOptions,
  SetOutcome,
} from './cache.js'
export { type Clock, systemClock } from './clock.js'
export type { Counters } from './counters.js'
export { createCache } from './create.js'
export type {
  AskedOf,
  CallOptions,
  Definition,
  Duration,
  EntryOptions,
  Loader,
  LoaderContext,
  ManyContext,
  ManyLoaded,
  ManyLoader,
  ManyOptions,
} from './definition.js'
export type {
  Bound,
  Condition,
  Dependency,
  Range,
  RowsDependency,
  RowTest,
  TableDependency,
} from './dependencies/dependency.js'
export { VERSION } from './dependencies/dependency.js'
export { escapeGlob } from './dependencies/glob.js'
export { afterPrefix, compareKeys, type Key, keyOf, type Order } from './dependencies/order.js'
export type { Beyond, Partner, Partners, Tie } from './dependencies/partners.js'
export {
  type Comparison,
  judge,
  type Predicate,
  type Term,
  type Verdict as RowVerdict,
} from './dependencies/predicate.js'
export { type Twins, twinOf } from './dependencies/twins.js'
export { milliseconds } from './duration.js'
export {
  BatchAnswerError,
  BehindError,
  ClosedError,
  CycleError,
  DefinedError,
  KeyError,
  LimitError,
  LoaderTimeoutError,
  LogGapError,
  NotWatchableError,
  OptionError,
  PatternError,
  PositionError,
  SourceDownError,
  TidemarkError,
  ValueError,
} from './errors.js'
export type { CacheEvents, EntryName } from './events.js'
export { isStartSeen, isVisible } from './follow/visible.js'
export { BY_MAX, type By, isByPart, readBy } from './log/by.js'
export type {
  Change,
  Commit,
  EverythingChange,
  Image,
  Mode,
  RowChange,
  TableChange,
  Target,
  TargetChange,
} from './log/change.js'
export { isNothing } from './log/change.js'
export type {
  Log,
  LogHold,
  LogListener,
  LogResume,
  LogStart,
  LogStatus,
  Probe,
  SlotStatus,
  Snapshot,
  StartProof,
} from './log/log.js'
export { MemoryLog } from './log/memory.js'
export { formatLsn, formatPosition, type Position, parsePosition, type RequestedPosition } from './log/position.js'
export type { Relay, RelaySource } from './log/relay.js'
export { currentReading, endedReading, watchEnded } from './read/current.js'
export { RelayingLog } from './relay/leader.js'
export { RelayReader } from './relay/reader.js'
export type { RelayedCommit, RelayRecord, RelaySink } from './relay/record.js'
export { Slices } from './slices.js'
export type { NotKept, Reading, Session, Source } from './source.js'
export { looksAtAllKeys } from './targets.js'
export type {
  L2,
  L2Answer,
  L2Ask,
  L2Batch,
  L2Entry,
  L2Fill,
  L2Keyed,
  L2Mark,
  L2Place,
  L2Read,
  L2Stamp,
  L2Tide,
} from './tiers/l2.js'
export type { Quota, Quotas } from './tiers/limits.js'
export type { TenantUse } from './tiers/shares.js'
