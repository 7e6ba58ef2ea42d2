import { openAbort } from '../abort.js'
import { listOf } from '../arrays.js'
import { BehindError, type LoaderTimeoutError } from '../errors.js'
import type { Follower } from '../follow/follower.js'
import type { Lease } from '../l2/leases.js'
import type { Found, Shared, SharedTier } from '../l2/shared-tier.js'
import { type InLine, Line } from '../line.js'
import type { SlotKey } from '../tiers/space.js'
import type { Batch } from './batch.js'
import { Fill } from './fill.js'
import { behind, type Floor, strictest } from './floor.js'
import { mayServe } from './grace.js'
import { type Keeper, type Kept, keep, keepExpired, keepShared } from './keep.js'
import type { Keyspace } from './keyspace.js'
import type { Loading } from './loading.js'
import { Landed, type NestedReader, type Reader, unwanted } from './reader.js'
import type { Request } from './request.js'
import { Run, type Runner } from './run.js'
import { askedAt, judge, mayTryAgain } from './verdict.js'
import { deadline } from './wait.js'

export type AnyLoader = (context: never, ...args: never[]) => unknown

/** How long to wait for another process that loads the same before looking again, at first and at most; and altogether. */
const LEASE_WAIT_MS = 4
const LEASE_WAIT_STEP_MAX_MS = 100
const LEASE_WAIT_MAX_MS = 10_000

/**
 * The fill of one key, shared by all who read it meanwhile. It loads once; and again for those readers for whom a change came
 * between the load's start and their asking (rule Reader), after what that load must see is proven (rule Proof).
 */
export class Flight implements Loading, Runner, InLine<Flight> {
  readonly follower: Follower
  readonly space: Keyspace
  readonly key: SlotKey
  readonly #keeper: Keeper
  readonly #request: Request
  readonly #ended: (flight: Flight) => void
  /** What it is called in the tier that processes share, where there is one. */
  readonly sharedName: string | undefined
  before: Flight | undefined
  after: Flight | undefined
  readonly reads = new Line<NestedReader>()
  /** The load of many that this one is part of, while it is. */
  #batch: Batch | undefined
  #isIdle = false
  /** Made when somebody looks at the signal. */
  #abort: AbortController | undefined
  #stopped: { readonly reason: unknown } | undefined
  #running: Run | undefined
  #readers = listOf<Reader>()
  /** A refill that nobody waits for goes on all the same. */
  #isWanted = false
  /** Set while it waits for a proof before it loads again: ends that wait. */
  #loadNow: (() => void) | undefined
  /** Timers of those who joined that wait. */
  #bounds: { cancel(): void }[] | undefined
  #lease: Lease | undefined
  #isHurried = false
  #hurry: (() => void) | undefined

  constructor(keeper: Keeper, request: Request, ended: (flight: Flight) => void) {
    const { space, key, load, policy, batch } = request
    this.#keeper = keeper
    this.follower = keeper.follower
    this.space = space
    this.key = key
    this.#request = request
    this.#ended = ended
    this.sharedName = keeper.shared?.nameOf(space, key, batch?.named ?? load, policy.version)
    space.flights.set(key, this)
  }

  get batch(): Batch | undefined {
    return this.#batch
  }

  get text(): string {
    return this.space.text(this.key)
  }

  /** Adds a reader, until the flight has landed, or it leaves. */
  join(reader: Reader): void {
    this.#readers.push(reader)
    this.#wake()
    if (!this.#loadNow || reader.proofWaitMs === Number.POSITIVE_INFINITY) return
    // Others wait for a proof, perhaps without a bound (a watch); this reader has its own.
    mayTryAgain(this.#keeper, reader)
    this.#bounds ??= []
    this.#bounds.push(this.#keeper.clock.after(reader.proofWaitMs, () => this.#loadNow?.()))
  }

  leave(reader: Reader): void {
    const place = this.#readers.indexOf(reader)
    if (place >= 0) this.#readers.splice(place, 1)
    if (this.#readers.length > 0 || this.#isWanted || this.#isIdle) return
    // What loads it for others goes on, and another loader need not begin if somebody comes.
    if (!this.#batch) return this.cancel(unwanted())
    this.#isIdle = true
    this.#batch.idled()
  }

  #wake(): void {
    if (!this.#isIdle) return
    this.#isIdle = false
    this.#batch?.woke()
  }

  /** The flight goes on though nobody waits. */
  want(): void {
    this.#isWanted = true
    this.#wake()
  }

  cancel(reason: unknown): void {
    if (!this.isFlying) return
    this.#stop(reason)
    this.fail(reason)
  }

  /** Aborted when the flight is cancelled, or a load takes too long. It lives as long as the flight, which may load many times. */
  get signal(): AbortSignal {
    this.#abort ??= openAbort()
    if (this.#stopped && !this.#abort.signal.aborted) this.#abort.abort(this.#stopped.reason)
    return this.#abort.signal
  }

  #stop(reason: unknown): void {
    this.#stopped ??= { reason }
    this.#abort?.abort(reason)
    for (const read of [...this.reads]) read.stop(reason)
    this.#running?.stop(reason)
  }

  /** Tells a developer something, once for this definition. */
  notice(code: string, message: string): void {
    this.#keeper.noticeOnce(code, this.space, message)
  }

  /** Asks the tier that processes share, and loads. */
  fly(): void {
    const tier = this.#keeper.shared
    if (tier && !this.floor?.isFromSource) void this.#flyBy(tier)
    else this.#load()
  }

  async #flyBy(tier: SharedTier): Promise<void> {
    const next = this.found(await tier.find(this.sharedName!, this.space, this.key))
    if (next === 'held') await this.wait(tier)
    else if (next === 'load') this.#load()
  }

  /** Another process loads: waits for what comes of that, else loads. */
  async wait(tier: SharedTier): Promise<void> {
    this.#partFromBatch()
    if (this.#isIdle) return this.cancel(unwanted())
    if (!(await this.#isAnsweredByOther(tier))) this.#load()
  }

  #load(): void {
    const proof = this.#keeper.proofOfTaking(this.space, this.key)
    if (proof) void proof.then(() => this.#begin())
    else this.#begin()
  }

  #begin(): void {
    if (!this.isFlying) return
    const { policy } = this.#request
    const running = this.follower.begin(policy.sourceLagMs)
    const { clock, counters } = this.#keeper
    const fill = new Fill(this, this.floor, running, clock.now(), counters)
    fill.tag(policy.tags)
    counters.loads++
    this.#running = new Run(this, fill, clock, policy.hardTimeoutMs)
  }

  runLoader(fill: Fill): unknown {
    return this.#request.load(this.#keeper.context(fill) as never, ...(this.#request.args as never[]))
  }

  loaded(fill: Fill, value: unknown): void {
    if (!this.isFlying) return this.follower.ended(fill.running)
    let again: Reader[]
    try {
      again = this.land(fill, value)
    } finally {
      this.follower.ended(fill.running)
    }
    if (again.length > 0) void this.#proofFor(again, fill).then(() => this.#begin())
    else this.#begin()
  }

  failedToLoad(fill: Fill, error: unknown): void {
    this.follower.ended(fill.running)
    if (this.isFlying && this.failed(fill, error)) this.#begin()
  }

  timedOut(reason: LoaderTimeoutError): void {
    this.#stop(reason)
  }

  /** It is loaded together with others from here on, until it leaves that batch. */
  takePart(batch: Batch): void {
    this.#batch = batch
  }

  #partFromBatch(): void {
    if (!this.#batch) return
    const batch = this.#batch
    this.#batch = undefined
    batch.left(this.#isIdle)
  }

  /** Those who may not have what the batch loaded get a load of this key alone. */
  async loadAgain(readers: readonly Reader[], fill: Fill): Promise<void> {
    this.#partFromBatch()
    if (readers.length > 0) await this.#proofFor(readers, fill)
    this.#load()
  }

  /** What the tier that processes share says: the answer; that another process loads the key; that this one is to. */
  found(found: Found): 'answered' | 'held' | 'load' {
    if (found.kind === 'load') this.#lease = found.lease
    if (!this.isFlying) {
      this.#lease?.end()
      return 'answered'
    }
    if (found.kind === 'shared') return this.#isLandedFrom(found.shared) ? 'answered' : 'load'
    if (found.expired) this.#offer(found.expired)
    return found.kind
  }

  /** Another process loads: waits for what comes of that, within bounds. False: this one is to load after all. */
  async #isAnsweredByOther(tier: SharedTier): Promise<boolean> {
    const { clock } = this.#keeper
    const waitUntil = clock.now() + LEASE_WAIT_MAX_MS
    for (let waitMs = LEASE_WAIT_MS; ; waitMs = Math.min(waitMs * 1.5, LEASE_WAIT_STEP_MAX_MS)) {
      if (this.#isHurried || clock.now() >= waitUntil) return false
      await new Promise<void>((resolve) => {
        const timer = clock.after(waitMs, resolve)
        this.#hurry = () => {
          timer.cancel()
          resolve()
        }
      })
      if (!this.isFlying) return true
      if (this.#isHurried || this.floor?.isFromSource) return false
      const next = this.found(await tier.find(this.sharedName!, this.space, this.key))
      if (next !== 'held') return next === 'answered'
    }
  }

  /** What L2 had holds as of now, so for whoever asked. */
  #isLandedFrom(shared: Shared): boolean {
    const { clock, counters } = this.#keeper
    const now = clock.now()
    if (this.floor?.isFromSource || !this.#keeper.isTrusted(now)) return false
    if (shared.judgedAt !== this.follower.tidemark) return false
    // Who refills early, or anew, wants something newer than what it has.
    const { earlyRefresh } = this.#request.policy
    if (now - shared.filledAt >= shared.lifetimeMs * (earlyRefresh === 0 ? 1 : earlyRefresh)) return false
    let kept: Kept
    try {
      kept = keepShared(this.#keeper, this.space, this.key, this.#request.policy, shared)
    } catch {
      counters.l2Errors++
      return false
    }
    counters.l2Hits++
    const asOf = this.follower.tidemark
    const readers = this.#readers
    this.#end()
    for (const reader of readers) reader.resolve(new Landed(kept, 'fresh', asOf))
    return true
  }

  /** L2 has what only expired: from L1, grace may serve it while this flight goes on, or when it fails. */
  #offer(expired: Shared): void {
    const { space, key } = this
    const { graceRefillMs, graceFailureMs } = this.#request.policy
    const graceMs = Math.max(graceRefillMs, graceFailureMs)
    // What L1 has expired at a time that is known.
    if (space.slots.has(key) || this.#keeper.clock.now() - expired.filledAt > graceMs) return
    if (expired.judgedAt !== this.follower.tidemark) return
    try {
      keepExpired(this.#keeper, space, key, this.#request.policy, expired)
    } catch {
      this.#keeper.counters.l2Errors++
      return
    }
    if (!mayServe(this.#keeper, space, key, graceRefillMs, false)) return
    this.want()
    const readers = this.#readers
    this.#readers = readers.filter(({ isGraceful }) => !isGraceful)
    for (const reader of readers) if (reader.isGraceful) reader.resolve('expired')
  }

  /**
   * A loader waits for this flight: it must not wait for another process, which may wait for that loader.
   */
  hurry(): void {
    this.#isHurried = true
    this.#hurry?.()
  }

  get isFlying(): boolean {
    return this.space.flights.get(this.key) === this
  }

  /** The loader has ended: keep the result if the fence allows, answer who may have it, and return who may not. */
  land(fill: Fill, value: unknown): Reader[] {
    let kept: Kept
    try {
      kept = keep(this.#keeper, this.#request, this.sharedName, fill, value, this.#isHurried)
    } catch (error) {
      this.#keeper.failed(this.space, this.key, error)
      this.fail(error)
      return []
    }
    const tidemark = this.follower.tidemark
    const isNow = kept.notKept === undefined || kept.notKept === 'too-large'
    const readers = this.#readers
    const again = listOf<Reader>()
    this.#readers = listOf()
    for (const reader of readers) {
      const verdict = judge(this.#keeper, reader, fill, kept)
      if (verdict === 'again') again.push(reader)
      else if (verdict === 'behind') reader.reject(behind(this.follower, reader.floor!.text))
      else {
        const asOf = verdict !== 'fresh' ? undefined : isNow ? tidemark : askedAt(this.follower, reader)
        reader.resolve(new Landed(kept, verdict, asOf))
      }
    }
    this.#readers = again.concat(this.#readers)
    if (this.#readers.length === 0) this.#end()
    return again
  }

  /** The load has failed. True: those who may have another one wait for it. */
  failed(fill: Fill, error: unknown): boolean {
    this.#keeper.failed(this.space, this.key, error)
    if (this.#failFloors(fill, error)) return true
    this.fail(error)
    return false
  }

  /** What the strictest of its readers may take. */
  get floor(): Floor | undefined {
    return strictest(this.#readers.map((reader) => reader.floor))
  }

  /** What a load could not show to those who carry a position is no failure for the others: they load again, without. */
  #failFloors(fill: Fill, error: unknown): boolean {
    if (!fill.floor || !(error instanceof BehindError)) return false
    const readers = this.#readers
    this.#readers = readers.filter(({ floor }) => !floor)
    for (const reader of readers) if (reader.floor) reader.reject(error)
    return this.#readers.length > 0
  }

  /** Waits until all that touched the last load, up to the last asking, is proven: so that the next load is the last. */
  async #proofFor(readers: readonly Reader[], fill: Fill): Promise<void> {
    const asked = readers.reduce((last, reader) => Math.max(last, reader.asked), 0)
    const until = readers.reduce((first, reader) => Math.min(first, reader.proofDeadline), Number.POSITIVE_INFINITY)
    const bound = deadline(this.#keeper.clock, until - this.#keeper.clock.now(), this.signal)
    this.#loadNow = bound.abort
    const isProven = await this.follower.whenProven(asked, fill.dependencies, bound.signal)
    if (isProven && !this.follower.isKeeping && this.follower.isFollowing)
      await this.follower.whenBelievable(bound.signal)
    this.#loadNow = undefined
    bound.cancel()
    for (const joined of this.#bounds?.splice(0) ?? []) joined.cancel()
  }

  fail(error: unknown): void {
    const readers = this.#readers
    this.#end()
    for (const reader of readers) reader.reject(error)
  }

  #end(): void {
    this.#readers = listOf()
    if (!this.isFlying) return
    this.space.flights.delete(this.key)
    this.#hurry?.()
    this.#lease?.end()
    this.#partFromBatch()
    this.#ended(this)
  }
}
