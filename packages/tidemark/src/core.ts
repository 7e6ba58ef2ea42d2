import type { Answer } from './answer.js'
import type { Clock } from './clock.js'
import { type Counters, zeroCounters } from './counters.js'
import type { Dependency } from './dependencies/dependency.js'
import { ClosedError, LimitError, NotWatchableError, type TidemarkError } from './errors.js'
import { Observers } from './events.js'
import { type ApplyContext, apply } from './follow/apply.js'
import { Doubts } from './follow/doubts.js'
import type { Applier, Follower } from './follow/follower.js'
import { Invalidations } from './follow/invalidations.js'
import type { Acquired } from './follow/registry.js'
import { Stagger } from './follow/stagger.js'
import { type SweepLimits, Sweeps } from './follow/sweeps.js'
import { Taken } from './follow/taken.js'
import { SharedTier } from './l2/shared-tier.js'
import type { Commit } from './log/change.js'
import { FillContext } from './read/context.js'
import type { Fill } from './read/fill.js'
import { behind } from './read/floor.js'
import type { Keeper } from './read/keep.js'
import type { Keyspace } from './read/keyspace.js'
import { Keyspaces } from './read/keyspaces.js'
import { type ReadLimits, Reads } from './read/reads.js'
import { Refusals } from './read/refusals.js'
import type { Request } from './read/request.js'
import type { NotKept, Source } from './source.js'
import { Watch, watchAfter } from './streams/watch.js'
import type { PatternLimits } from './targets.js'
import { L1 } from './tiers/l1.js'
import type { L2 } from './tiers/l2.js'
import type { L1Limits } from './tiers/limits.js'
import type { SlotKey } from './tiers/space.js'

export interface CoreOptions extends ReadLimits, SweepLimits {
  readonly source: Source | undefined
  readonly l1: L1Limits
  readonly maxSilenceMs: number
  readonly watchMax: number
  readonly l2: L2 | undefined
  readonly version: string
  /** Changes that wait for an L2 which does not answer. */
  readonly ringMax: number
  readonly patterns: PatternLimits
  readonly clock: Clock
}

/** A load waits so long for the proof of what took its entry. It comes within moments, but where a commit waits for a standby. */
const TAKING_PROOF_MS = 50

/** One cache: its tier, its reads, and what it does when the log moves. Views of tenants and sessions share it. */
export class Core implements Keeper, Applier {
  readonly l1: L1
  readonly counters: Counters = zeroCounters()
  readonly observers = new Observers()
  readonly spaces: Keyspaces
  readonly reads: Reads
  readonly refusals = new Refusals()
  readonly sweeps: Sweeps
  readonly taken = new Taken()
  readonly doubts: Doubts
  readonly invalidations: Invalidations
  readonly follower: Follower
  readonly shared: SharedTier | undefined
  sharedAt = Number.NEGATIVE_INFINITY
  readonly clock: Clock
  readonly options: CoreOptions
  readonly #stagger: Stagger
  readonly #acquired: Acquired
  readonly #detach: () => void
  #watched = 0
  #closing: Promise<void> | undefined

  constructor(options: CoreOptions, acquired: Acquired) {
    this.options = options
    this.clock = options.clock
    this.#stagger = new Stagger(options.clock)
    this.follower = acquired.follower
    this.#acquired = acquired
    this.l1 = new L1(options.l1, (count, forQuota) => {
      this.counters.evicted += count
      this.counters.evictedForQuota += forQuota
    })
    this.spaces = new Keyspaces(this.l1)
    this.reads = new Reads(this, options)
    const { l1, spaces, counters, observers, taken, clock, follower } = this
    const positionAt = (lsn: number): string => follower.positionAt(lsn)
    this.sweeps = new Sweeps({ l1, spaces, counters, observers, taken, clock, positionAt }, options)
    this.doubts = new Doubts({ l1, follower, counters, observers })
    this.invalidations = new Invalidations(this.follower)
    const { l2, version, maxSilenceMs, ringMax: changesMax } = options
    this.shared = l2 && new SharedTier({ l2, follower, clock, counters, maxSilenceMs, changesMax, version })
    this.#detach = this.follower.attach(this, options.maxSilenceMs)
    if (acquired.isSecondCopy) {
      this.notice(
        'second-copy',
        'Another, incompatible copy of tidemark follows this source in this process, so there are two slots. Install one version.',
      )
    }
  }

  get hasSource(): boolean {
    return this.options.source !== undefined
  }

  get watched(): number {
    return this.#watched
  }

  /** Rule Currency, judged at each read. */
  isTrusted(now: number): boolean {
    return this.follower.currency.silence(now) <= this.options.maxSilenceMs
  }

  context(fill: Fill): object {
    const own = new FillContext(fill)
    return this.options.source ? Object.assign(own, this.options.source.context(fill)) : own
  }

  notice(code: string, message: string): void {
    if (this.observers.hears('notice')) this.observers.emit('notice', { code, message })
    else if (code !== 'no-dependency') process.emitWarning(message, { type: 'TidemarkNotice', code })
  }

  noticeOnce(code: string, space: Keyspace, message: string): void {
    if (this.refusals.isFirst(code, space)) this.notice(code, message)
  }

  again(request: Request): Promise<unknown> {
    const { tenant, name, session } = request.space
    // A keyspace that stood empty for long may have been forgotten, and another made in its place.
    const space = this.spaces.get(tenant, name, session)
    return this.reads.ask(request.uncalled(space), Number.POSITIVE_INFINITY)
  }

  // ── fills ──────────────────────────────────────────────────────────────────────────────────────────────

  proofOfTaking(space: Keyspace, key: SlotKey): Promise<void> | undefined {
    const { unproven, isKeeping } = this.follower
    if (unproven === 0 || !isKeeping) return undefined
    const lsn = this.taken.by(space, key)
    return lsn === undefined ? undefined : this.#stagger.after(this.follower.whenChangeProven(lsn, TAKING_PROOF_MS))
  }

  filled(space: Keyspace, key: SlotKey, slot: number, ms: number, notKept: NotKept | undefined): void {
    if (slot >= 0 && space.watches.size > 0 && space.watches.has(key)) this.l1.pin(slot)
    this.refusals.note(space, key, notKept)
    if (notKept === 'no-dependency') {
      this.noticeOnce(
        'no-dependency',
        space,
        `The answers of ${space.name ?? `'${space.text(key)}'`} are not kept: its loader read nothing that Tidemark could see, and it declares neither tags, ttl nor static: true. ` +
          'Did a DataLoader or a memoised promise run the query elsewhere?',
      )
    }
    if (this.observers.hears('filled'))
      this.observers.emit('filled', { tenant: space.tenant, key: space.text(key), ms, notKept })
  }

  failed(space: Keyspace, key: SlotKey, error: unknown): void {
    this.counters.loadErrors++
    if (this.observers.hears('failed'))
      this.observers.emit('failed', { tenant: space.tenant, key: space.text(key), error })
  }

  // ── the log ────────────────────────────────────────────────────────────────────────────────────────────

  apply(commit: Commit): void {
    apply(this.#applying, commit)
    this.invalidations.applied(commit)
    this.shared?.applied(commit)
  }

  get #applying(): ApplyContext {
    const { l1, spaces, sweeps, doubts, counters, observers, taken, clock, follower } = this
    const positionAt = (lsn: number): string => follower.positionAt(lsn)
    return { l1, spaces, sweeps, doubts, counters, observers, taken, clock, positionAt }
  }

  empty(keepsBefore?: number): number {
    // What came from L2 says when it was filled by the clock of another process.
    const emptied = keepsBefore === undefined || this.shared ? this.#emptyAll() : this.#emptySince(keepsBefore)
    this.counters.emptied += emptied
    for (const space of this.spaces.all()) for (const watch of space.watches.values()) watch.touch()
    return emptied
  }

  #emptyAll(): number {
    this.sweeps.clear()
    this.doubts.clear()
    this.invalidations.emptied()
    return this.l1.clear()
  }

  #emptySince(time: number): number {
    let emptied = 0
    for (const space of this.spaces.all()) {
      for (const slot of space.slots.values()) {
        if (restartRules.isBelieved(this.l1.filledAtOf(slot), time)) continue
        this.l1.remove(slot)
        emptied++
      }
    }
    return emptied
  }

  started(position: string, emptied: number): void {
    if (this.follower.generation > 1) this.counters.gaps++
    this.invalidations.started()
    this.shared?.started()
    if (this.observers.hears('started')) this.observers.emit('started', { position, emptied })
  }

  resumed(position: string): void {
    this.counters.resumes++
    if (this.observers.hears('resumed')) this.observers.emit('resumed', { position })
  }

  lost(reason: TidemarkError): void {
    if (this.observers.hears('lost')) this.observers.emit('lost', { reason })
  }

  // ── watches ────────────────────────────────────────────────────────────────────────────────────────────

  watch(request: Request): AsyncIterableIterator<Answer<unknown>> {
    const { call } = request
    if (call?.minPosition === undefined) return this.#watch(request)
    return watchAfter(
      async (signal) => {
        const floor = await this.reads.floorOf(request, { ...call, signal })
        // The source may show the position, but what is sent says as of when it holds.
        if (floor.isFromSource && floor.lsn > 0) throw behind(this.follower, call.minPosition!)
      },
      () => this.#watch(request),
      call.signal,
    )
  }

  #watch(request: Request): AsyncIterableIterator<Answer<unknown>> {
    if (this.reads.isClosed)
      throw new ClosedError('The cache was closed. Create a new one, or stop watching before close().')
    const { space, key } = request
    let watch = space.watches.get(key)
    if (!watch) {
      if (this.#watched >= this.options.watchMax) {
        throw new LimitError(`This cache watches ${this.#watched} entries, its limit. Raise watchMax, or watch fewer.`)
      }
      this.#watched++
      watch = this.#newWatch(request)
      space.watches.set(key, watch)
    }
    return watch.read(request.call?.signal)
  }

  #newWatch(request: Request): Watch {
    const { space, key } = request
    let dependencies: readonly Dependency[] = []
    const asked = request.uncalled()
    const watch: Watch = new Watch({
      ask: () => {
        const { follower } = this
        const ask = (): Promise<Answer<unknown>> => this.reads.ask(asked, Number.POSITIVE_INFINITY)
        // The load itself waits for the proof of what took the entry, where that is remembered.
        if (follower.unproven === 0 || this.taken.by(space, key) !== undefined) return ask()
        // A load before what touched the entry is proven would be one in vain. Starting anew, or closing, ends the wait.
        return follower.whenProven(follower.tidemark, dependencies).then(ask)
      },
      hold: () => {
        const held = this.#hold(space, key)
        if ('expiresInMs' in held) dependencies = this.l1.index.handedOf(space.slots.get(key)!)
        return held
      },
      freshAt: () => {
        const slot = this.reads.fresh(space, key)
        return slot < 0 ? undefined : this.l1.filledAtOf(slot)
      },
      after: (ms, wake) => this.clock.after(ms, wake),
      released: () => {
        this.#watched--
        if (space.watches.get(key) === watch) space.watches.delete(key)
        const slot = space.slots.get(key)
        if (slot !== undefined) this.l1.unpin(slot)
      },
    })
    return watch
  }

  /** A watched entry must stay: an evicted one would not be told of changes. */
  #hold(space: Keyspace, key: SlotKey): { expiresInMs: number } | { notKept: 'again' | 'later' | NotWatchableError } {
    const slot = this.l1.find(space, key)
    const now = this.clock.now()
    if (slot !== undefined && this.l1.isFreshAt(slot, now)) {
      this.l1.pin(slot)
      return { expiresInMs: this.l1.expiresAtOf(slot) - now }
    }
    const reason = this.refusals.of(space, key)
    switch (reason) {
      case 'overtaken':
        return { notKept: 'again' }
      // It was kept, and is gone or expired already.
      case undefined:
      case 'unproven':
      case 'starting':
      case 'forgotten':
      case 'not-following':
      case 'not-current':
      case 'nested':
      case 'unfollowed-table':
      case 'open-transaction':
      case 'dirty-connection':
      case 'replica':
      // As after a restart of the server, until the log is taken up there too.
      case 'elsewhere':
        return { notKept: 'later' }
      default:
        return {
          notKept: new NotWatchableError(
            `${space.text(key)} cannot be watched: its answers are never kept (${reason}), so no change would tell when it is new. See explain().`,
          ),
        }
    }
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.reads.close()
    for (const space of this.spaces.all()) for (const watch of [...space.watches.values()]) watch.close()
    this.invalidations.close()
    this.#detach()
    this.sweeps.clear()
    this.doubts.clear()
    this.l1.clear()
    await this.shared?.close()
    await this.#acquired.release()
  }
}

/** What stays when the log was taken up at a mark, as a function, so that the simulation can plant the bug of keeping more. */
export const restartRules = {
  /** What was filled at the same moment may have been read after it. */
  isBelieved(filledAt: number, keepsBefore: number): boolean {
    return filledAt < keepsBefore
  },
}
