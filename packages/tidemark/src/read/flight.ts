import { BehindError } from '../errors.js'
import { rules } from '../fence/fence.js'
import type { Follower } from '../follow/follower.js'
import type { Lease } from '../l2/leases.js'
import type { Found, Shared, SharedTier } from '../l2/shared-tier.js'
import type { Policy } from '../options.js'
import type { SlotKey } from '../tiers/space.js'
import { Fill } from './fill.js'
import { behind, type Floor, isLoadedFor, isShown, strictest } from './floor.js'
import { mayServe } from './grace.js'
import { type Keeper, type Kept, keep, keepExpired, keepShared } from './keep.js'
import type { Keyspace } from './keyspace.js'
import type { Reader } from './reader.js'
import { type Run, run } from './run.js'
import { deadline } from './wait.js'

export type AnyLoader = (context: never, ...args: never[]) => unknown

/** What a reader gets of a load: an answer in that state, another load, or TIDEMARK_BEHIND. */
type Verdict = 'fresh' | 'fenced' | 'stale' | 'again' | 'behind'

interface Waiting extends Reader {
  proofDeadline: number
  attempts: number
}

/** After so many loads a reader takes what there is, fenced: two are the rule, a third needs a dependency that changed. */
const ATTEMPTS_MAX = 5
/** How long to wait for another process that loads the same before looking again, at first and at most; and altogether. */
const LEASE_WAIT_MS = 4
const LEASE_WAIT_STEP_MAX_MS = 100
const LEASE_WAIT_MAX_MS = 10_000

/**
 * The fill of one key, shared by all who read it meanwhile. It loads once; and again for those readers for whom a change came
 * between the load's start and their asking (rule Reader), after what that load must see is proven (rule Proof).
 */
export class Flight {
  readonly follower: Follower
  readonly space: Keyspace
  readonly key: SlotKey
  /** Flights whose results this one's loader waits for. */
  readonly waitsFor = new Map<Flight, number>()
  readonly #keeper: Keeper
  readonly #load: AnyLoader
  readonly #args: readonly unknown[]
  readonly #policy: Policy
  readonly #ended: () => void
  /** What it is called in the tier that processes share, where there is one. */
  readonly #sharedName: string | undefined
  /** Made when somebody looks at the signal. */
  #abort: AbortController | undefined
  #stopped: { readonly reason: unknown } | undefined
  #running: Run | undefined
  #readers = new Set<Waiting>()
  /** A refill that nobody waits for goes on all the same. */
  #isWanted = false
  /** Set while it waits for a proof before it loads again: ends that wait. */
  #loadNow: (() => void) | undefined
  /** Timers of those who joined that wait. */
  #bounds: { cancel(): void }[] = []
  /** While other processes wait for what this one loads. */
  #lease: Lease | undefined
  #isHurried = false
  /** Ends the wait for what another process loads. */
  #hurry = (): void => {}

  constructor(
    keeper: Keeper,
    space: Keyspace,
    key: SlotKey,
    load: AnyLoader,
    args: readonly unknown[],
    policy: Policy,
    ended: () => void,
  ) {
    this.#keeper = keeper
    this.follower = keeper.follower
    this.space = space
    this.key = key
    this.#load = load
    this.#args = args
    this.#policy = policy
    this.#ended = ended
    this.#sharedName = keeper.shared?.nameOf(space, key, load, policy.version)
    space.flights.set(key, this)
  }

  /** Adds a reader; returns how it leaves before the flight has landed. */
  join(reader: Reader): () => void {
    const waiting: Waiting = { ...reader, proofDeadline: Number.POSITIVE_INFINITY, attempts: 0 }
    this.#readers.add(waiting)
    if (this.#loadNow && reader.proofWaitMs !== Number.POSITIVE_INFINITY) {
      // Others wait for a proof, perhaps without a bound (a watch); this reader has its own.
      this.#mayTryAgain(waiting)
      this.#bounds.push(this.#keeper.clock.after(reader.proofWaitMs, () => this.#loadNow?.()))
    }
    return () => {
      this.#readers.delete(waiting)
      if (this.#readers.size === 0 && !this.#isWanted)
        this.cancel(new DOMException('Nobody waits for this value any more.', 'AbortError'))
    }
  }

  /** The flight goes on though nobody waits. */
  want(): void {
    this.#isWanted = true
  }

  cancel(reason: unknown): void {
    if (!this.#isFlying) return
    this.#stop(reason)
    this.#fail(reason)
  }

  /** Aborted when the flight is cancelled, or a load takes too long. It lives as long as the flight, which may load many times. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#stopped && !this.#abort.signal.aborted) this.#abort.abort(this.#stopped.reason)
    return this.#abort.signal
  }

  #stop(reason: unknown): void {
    this.#stopped ??= { reason }
    this.#abort?.abort(reason)
    this.#running?.stop(reason)
  }

  /** Tells a developer something, once for this definition. */
  notice(code: string, message: string): void {
    this.#keeper.noticeOnce(code, this.space, message)
  }

  async fly(): Promise<void> {
    const tier = this.#keeper.shared
    if (tier && !this.#floor()?.isFromSource) {
      const next = this.#found(await tier.find(this.#sharedName!, this.space, this.key))
      if (next === 'answered' || (next === 'held' && (await this.#isAnsweredByOther(tier)))) return
    }
    while (this.#isFlying) {
      const running = this.follower.begin(this.#policy.sourceLagMs)
      const { clock, counters } = this.#keeper
      const fill = new Fill(this, this.#floor(), running, clock.now(), counters)
      fill.tag(this.#policy.tags)
      let value: unknown
      try {
        value = await this.#run(fill)
      } catch (error) {
        this.follower.ended(running)
        if (!this.#isFlying) return
        this.#keeper.failed(this.space, this.key, error)
        if (!this.#failFloors(fill, error)) return this.#fail(error)
        continue
      }
      if (!this.#isFlying) return this.follower.ended(running)
      let again: Waiting[]
      try {
        again = this.#land(fill, value)
      } catch (error) {
        this.#keeper.failed(this.space, this.key, error)
        return this.#fail(error)
      } finally {
        this.follower.ended(running)
      }
      if (again.length === 0) return this.#end()
      await this.#proofFor(again, fill)
    }
  }

  /** What the tier that processes share says: the answer; that another process loads the key; that this one is to. */
  #found(found: Found): 'answered' | 'held' | 'load' {
    if (found.kind === 'load') this.#lease = found.lease
    if (!this.#isFlying) {
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
      if (!this.#isFlying) return true
      if (this.#isHurried || this.#floor()?.isFromSource) return false
      const next = this.#found(await tier.find(this.#sharedName!, this.space, this.key))
      if (next !== 'held') return next === 'answered'
    }
  }

  /** What L2 had holds as of now, so for whoever asked. */
  #isLandedFrom(shared: Shared): boolean {
    const { clock, counters } = this.#keeper
    const now = clock.now()
    if (this.#floor()?.isFromSource || !this.#keeper.isTrusted(now)) return false
    if (shared.judgedAt !== this.follower.tidemark) return false
    // Who refills early, or anew, wants something newer than what it has.
    const { earlyRefresh } = this.#policy
    if (now - shared.filledAt >= shared.lifetimeMs * (earlyRefresh === 0 ? 1 : earlyRefresh)) return false
    let kept: Kept
    try {
      kept = keepShared(this.#keeper, this.space, this.key, this.#policy, shared)
    } catch {
      counters.l2Errors++
      return false
    }
    counters.l2Hits++
    const asOf = this.follower.tidemark
    const readers = [...this.#readers]
    this.#end()
    for (const reader of readers) reader.resolve({ ...kept, state: 'fresh', asOf })
    return true
  }

  /** L2 has what only expired: from L1, grace may serve it while this flight goes on, or when it fails. */
  #offer(expired: Shared): void {
    const { space, key } = this
    const { graceRefillMs, graceFailureMs } = this.#policy
    const graceMs = Math.max(graceRefillMs, graceFailureMs)
    // What L1 has expired at a time that is known.
    if (space.slots.has(key) || this.#keeper.clock.now() - expired.filledAt > graceMs) return
    if (expired.judgedAt !== this.follower.tidemark) return
    try {
      keepExpired(this.#keeper, space, key, this.#policy, expired)
    } catch {
      this.#keeper.counters.l2Errors++
      return
    }
    if (!mayServe(this.#keeper, space, key, graceRefillMs, false)) return
    this.want()
    for (const reader of [...this.#readers]) {
      if (!reader.isGraceful) continue
      this.#readers.delete(reader)
      reader.resolve('expired')
    }
  }

  /**
   * A loader waits for this flight: it must not wait for another process, which may wait for that loader.
   */
  hurry(): void {
    this.#isHurried = true
    this.#hurry()
  }

  get #isFlying(): boolean {
    return this.space.flights.get(this.key) === this
  }

  #run(fill: Fill): Promise<unknown> {
    const { clock, counters } = this.#keeper
    counters.loads++
    const context = this.#keeper.context(fill)
    this.#running = run({
      fill,
      clock,
      text: this.space.text(this.key),
      hardTimeoutMs: this.#policy.hardTimeoutMs,
      load: () => this.#load(context as never, ...(this.#args as never[])),
      timedOut: (reason) => this.#stop(reason),
    })
    return this.#running.ended
  }

  /** The loader has ended: keep the result if the fence allows, answer who may have it, and return who may not. */
  #land(fill: Fill, value: unknown): Waiting[] {
    const kept = keep(this.#keeper, this.space, this.key, this.#sharedName, this.#policy, fill, value, this.#isHurried)
    const tidemark = this.follower.tidemark
    const again: Waiting[] = []
    for (const reader of [...this.#readers]) {
      const verdict = this.#judge(reader, fill, kept)
      if (verdict === 'again') {
        again.push(reader)
        continue
      }
      this.#readers.delete(reader)
      if (verdict === 'behind') {
        reader.reject(behind(this.follower, reader.floor!.text))
        continue
      }
      const isNow = kept.notKept === undefined || kept.notKept === 'too-large'
      const asOf = verdict !== 'fresh' ? undefined : isNow ? tidemark : this.#askedAt(reader)
      reader.resolve({ ...kept, state: verdict, asOf })
    }
    return again
  }

  #judge(reader: Waiting, fill: Fill, kept: Kept): Verdict {
    const { floor } = reader
    if (!floor) return this.#verdict(reader, fill, kept)
    // The log can't vouch for a load where this process has not reached the position: only when it began, and what it read.
    if (floor.isFromSource && !isLoadedFor(floor, fill) && this.#mayTryAgain(reader)) return 'again'
    const verdict = this.#verdict(reader, fill, kept)
    if (verdict === 'again' || (verdict === 'fresh' && !floor.isFromSource)) return verdict
    return isLoadedFor(floor, fill) && isShown(floor, fill, kept.overtaken) ? verdict : 'behind'
  }

  #verdict(reader: Waiting, fill: Fill, kept: Kept): Exclude<Verdict, 'behind'> {
    const asked = this.#askedAt(reader)
    const isTooOld = reader.floor !== undefined && !isLoadedFor(reader.floor, fill)
    switch (kept.notKept) {
      case undefined:
      case 'too-large':
        return 'fresh'
      case 'overtaken':
      case 'unproven':
        if (rules.readerMayHave(kept.overtaken, asked))
          return this.#keeper.isTrusted(this.#keeper.clock.now()) ? 'fresh' : 'fenced'
        return this.#mayTryAgain(reader) ? 'again' : 'fenced'
      case 'starting': {
        // Begun before all that lies before the start could be seen. If it can be by now, a second load will be believed.
        const isUseful = this.follower.isKeeping || isTooOld
        return isUseful && this.#mayTryAgain(reader) ? 'again' : 'fenced'
      }
      default: {
        // What it read can't be compared with the log. A reader who joined a load from before a change gets one of its own.
        const isOld = asked > fill.running.t0 || isTooOld
        if (isOld && reader.attempts === 0 && this.#mayTryAgain(reader)) return 'again'
        return kept.isStale && rules.graceMayHave(kept.dropped, asked) ? 'stale' : 'fenced'
      }
    }
  }

  #floor(): Floor | undefined {
    const floors: (Floor | undefined)[] = []
    for (const reader of this.#readers) floors.push(reader.floor)
    return strictest(floors)
  }

  /** What a load could not show to those who carry a position is no failure for the others: they load again, without. */
  #failFloors(fill: Fill, error: unknown): boolean {
    if (!fill.floor || !(error instanceof BehindError)) return false
    let others = 0
    for (const reader of [...this.#readers]) {
      if (!reader.floor) others++
      else if (this.#readers.delete(reader)) reader.reject(error)
    }
    return others > 0
  }

  /** Who asked before the log was taken up anew counts as asking there: a believed fill shows all before. */
  #askedAt(reader: Reader): number {
    const { generation, startedAt } = this.follower
    return reader.generation === generation ? Math.max(reader.asked, startedAt) : startedAt
  }

  #mayTryAgain(reader: Waiting): boolean {
    if (reader.attempts === 0) reader.proofDeadline = this.#keeper.clock.now() + reader.proofWaitMs
    else if (this.#keeper.clock.now() >= reader.proofDeadline) return false
    reader.attempts++
    return reader.attempts < ATTEMPTS_MAX
  }

  /** Waits until all that touched the last load, up to the last asking, is proven: so that the next load is the last. */
  async #proofFor(readers: readonly Waiting[], fill: Fill): Promise<void> {
    let asked = 0
    let until = Number.POSITIVE_INFINITY
    for (const reader of readers) {
      if (reader.asked > asked) asked = reader.asked
      if (reader.proofDeadline < until) until = reader.proofDeadline
    }
    const bound = deadline(this.#keeper.clock, until - this.#keeper.clock.now(), this.signal)
    this.#loadNow = bound.abort
    const isProven = await this.follower.whenProven(asked, fill.dependencies, bound.signal)
    if (isProven && !this.follower.isKeeping && this.follower.isFollowing)
      await this.follower.whenBelievable(bound.signal)
    this.#loadNow = undefined
    bound.cancel()
    for (const joined of this.#bounds.splice(0)) joined.cancel()
  }

  #fail(error: unknown): void {
    const readers = [...this.#readers]
    this.#end()
    for (const reader of readers) reader.reject(error)
  }

  #end(): void {
    this.#readers.clear()
    if (!this.#isFlying) return
    this.space.flights.delete(this.key)
    this.#hurry()
    this.#lease?.end()
    this.#ended()
  }
}
