import type { Clock } from '../clock.js'
import type { Dependency } from '../dependencies/dependency.js'
import type { TidemarkError } from '../errors.js'
import { droppedBy, FORGOTTEN, type Overtaken, overtakenBy } from '../fence/fence.js'
import { Ring, type RingLimits, type RingRecord } from '../fence/ring.js'
import { Line } from '../line.js'
import type { Commit } from '../log/change.js'
import type { Log, LogListener, LogResume, LogStart, Probe } from '../log/log.js'
import { formatPosition } from '../log/position.js'
import { Currency } from './currency.js'
import { Proof } from './proof.js'
import { startRules, trimRules } from './rules.js'
import { RunningFill } from './running-fill.js'
import { Seen } from './seen.js'
import { pause, until } from './until.js'

/** How long after the source did not answer it is asked again. */
const LOOK_AGAIN_MS = 100

/** A tier that is further behind than this is not waited for: its entries are not believed until it has caught up. */
const L2_HOLD_MS = 2_000

/** What a cache does when the log moves. All calls are synchronous. */
export interface Applier {
  /** Make stale what the commit touches: it is applied when this returns. */
  apply(commit: Commit): void
  /** Nothing kept may be believed any more, but for what was filled before a time, if one is given. Returns how many entries left. */
  empty(keepsBefore?: number): number
  lost(reason: TidemarkError): void
  started(position: string, emptied: number): void
  resumed(position: string): void
}

/**
 * Reads the log and owns the tidemark. One for each source in a process; several caches may share it.
 *
 * It numbers what happens in this process with ticks, so that "before" is never a question of clocks: a fill begins, a commit is
 * applied, and a snapshot proves a commit visible, each at a tick of its own.
 */
export class Follower implements LogListener {
  readonly log: Log
  readonly ring: Ring
  readonly currency: Currency
  readonly seen: Seen
  readonly #clock: Clock
  readonly #proof: Proof
  readonly #appliers = new Set<Applier>()
  readonly #fills = new Line<RunningFill>()
  readonly #waiters = new Set<{ readonly lsn: number; readonly resolve: () => void }>()
  /** L2 tiers, by how far they have applied the log: 0 for those that do not say. */
  readonly #l2s = new Set<{ readonly m: number }>()
  #tick = 0
  #retainMs = 0
  /** Ends the wait for what lies before a start to be visible, where the log could not say how to prove it. */
  #seeingStart: AbortController | undefined
  #lastLsn = 0
  /** Raised by each start: what was asked or begun in an earlier one is judged with care. */
  generation = 0
  /**
   * Where this generation took up the log, or how far this history was applied before, if that is further: what begins once the start is
   * proven and the log has come there shows all before.
   */
  startedAt = 0
  epoch: string | undefined
  tidemark = 0
  isFollowing = false
  isClosed = false
  /** Fills that began at or before this tick are not kept: Infinity while the start, or a forgotten change, is not yet proven. */
  #believableFrom = Number.POSITIVE_INFINITY

  constructor(log: Log, clock: Clock, limits: RingLimits) {
    this.log = log
    this.#clock = clock
    this.ring = new Ring(limits)
    this.currency = new Currency(clock)
    this.seen = new Seen(log.isLocal === true)
    this.#proof = new Proof(log, clock, {
      probed: (probe, asked) => this.#probed(probe, asked),
      proven: () => this.#believe(),
      nextTick: () => ++this.#tick,
    })
  }

  follow(): void {
    this.log.follow(this)
  }

  attach(applier: Applier, maxSilenceMs: number): () => void {
    this.#appliers.add(applier)
    if (!this.log.isLocal) this.#proof.every(maxSilenceMs / 3)
    return () => void this.#appliers.delete(applier)
  }

  /** Whether fills that begin now can be kept. */
  get isKeeping(): boolean {
    return this.isFollowing && this.#believableFrom !== Number.POSITIVE_INFINITY
  }

  /** The log has not come again to where it was: what may be lacking until then was asked for after it was applied. */
  get isBehind(): boolean {
    return startRules.isBehind(this.tidemark, this.startedAt)
  }

  get position(): string | undefined {
    return this.epoch === undefined ? undefined : formatPosition({ epoch: this.epoch, lsn: this.tidemark })
  }

  positionAt(lsn: number): string {
    return formatPosition({ epoch: this.epoch ?? '', lsn })
  }

  /** The last tick: what begins from now on has a higher one. */
  get tick(): number {
    return this.#tick
  }

  get unproven(): number {
    return this.#proof.unproven
  }

  // ── fills ──────────────────────────────────────────────────────────────────────────────────────────────

  /** A fill begins: before its loader runs. End it with `ended`, or the ring grows to its limit. */
  begin(sourceLagMs: number): RunningFill {
    if (sourceLagMs > this.#retainMs) this.#retainMs = sourceLagMs
    const fill = new RunningFill(++this.#tick, this.#clock.now(), this.tidemark, this.generation, sourceLagMs)
    this.#fills.add(fill)
    this.#proof.hurry()
    return fill
  }

  ended(fill: RunningFill): void {
    this.#fills.delete(fill)
    this.#trim()
  }

  /** Keep the ring's changes for at least this long from now on: a replica was read, or a loader declared its lag. */
  retain(ms: number): void {
    if (ms > this.#retainMs) this.#retainMs = ms
  }

  /** The ring keeps what the tier has not applied yet, for a while. Returns how it ends. */
  holdFor(l2: { readonly m: number }): () => void {
    this.#l2s.add(l2)
    return () => {
      this.#l2s.delete(l2)
    }
  }

  /** Whether the log says enough about the time since the fill began to believe it (rules Start and Trim). */
  isBelievable(fill: RunningFill): boolean {
    return this.isFollowing && this.#isComparable(fill)
  }

  #isComparable(fill: RunningFill): boolean {
    return fill.generation === this.generation && fill.began > this.#believableFrom
  }

  overtaken(fill: RunningFill, dependencies: readonly Dependency[], own?: number): Overtaken | undefined {
    const overtaken = overtakenBy(fill, dependencies, this.ring, own)
    if (overtaken?.reason === 'unproven') this.#proof.missed()
    return overtaken
  }

  /** The same for what grace may serve: what only expires is left out, and the log need not be followed now. */
  dropped(fill: RunningFill, dependencies: readonly Dependency[]): Overtaken | undefined {
    return this.#isComparable(fill) ? droppedBy(fill, dependencies, this.ring) : FORGOTTEN
  }

  // ── waits ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves true when the tidemark has reached `lsn`; false when the signal aborts, or the source's history is another one now. */
  async reach(lsn: number, signal: AbortSignal): Promise<boolean> {
    const { epoch } = this
    do if (await this.#reachHere(lsn, signal)) return true
    while (!signal.aborted && !this.isClosed && (epoch === undefined || epoch === this.epoch))
    return false
  }

  /** The same, in this generation: false also when the log is taken up anew. */
  async #reachHere(lsn: number, signal: AbortSignal): Promise<boolean> {
    if (this.isFollowing && this.tidemark >= lsn) return true
    if (this.isClosed) return false
    this.#proof.now()
    this.log.nudge()
    const { generation } = this
    await until(signal, (resolve) => {
      const waiter = { lsn, resolve }
      this.#waiters.add(waiter)
      return () => this.#waiters.delete(waiter)
    })
    return generation === this.generation && this.isFollowing && this.tidemark >= lsn
  }

  /** Resolves true when every change up to `lsn` that touches the dependencies (all of them, if none are given) is proven. */
  whenProven(lsn: number, dependencies: readonly Dependency[] | undefined, signal?: AbortSignal): Promise<boolean> {
    return until(signal, (resolve) => this.#proof.whenProven(lsn, dependencies, this.ring, resolve))
  }

  /** Resolves when the change at `lsn` is proven, or after so long. */
  whenChangeProven(lsn: number, boundMs: number): Promise<void> {
    return this.#proof.whenChangeProven(lsn, boundMs)
  }

  /** Resolves true when fills that begin now can be kept; false when the signal aborts. */
  async whenBelievable(signal: AbortSignal): Promise<boolean> {
    while (!this.isKeeping) {
      const isMoved = await until(signal, (resolve) => this.#proof.whenMoved(resolve))
      if (!isMoved || this.isClosed) return false
    }
    return true
  }

  /** Resolves when all that was flushed at the source before the call is applied. */
  async caughtUp(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (signal.aborted || this.isClosed) return false
      try {
        const { generation } = this
        const { flushed } = await this.log.probe()
        if (generation === this.generation && (await this.#reachHere(flushed, signal))) return true
      } catch {
        // The source is down: what it had committed can't be known yet.
        await pause(this.#clock, LOOK_AGAIN_MS, signal)
      }
    }
  }

  // ── the log's calls ────────────────────────────────────────────────────────────────────────────────────

  started(start: LogStart): void {
    this.#seeingStart?.abort()
    const before = start.epoch === this.epoch ? Math.max(this.startedAt, this.tidemark) : 0
    this.generation++
    this.epoch = start.epoch
    this.tidemark = start.lsn
    this.startedAt = Math.max(start.lsn, before)
    this.#lastLsn = start.lsn
    this.isFollowing = true
    this.ring.reset(start.lsn, this.#clock.now())
    this.currency.reset()
    this.seen.started()
    if (this.log.isLocal) this.currency.always()
    this.#proof.start(start.proof)
    this.#believe()
    const position = this.positionAt(start.lsn)
    for (const applier of this.#appliers) applier.started(position, applier.empty(start.keepsBefore))
    // Another history may never get as far as what was waited for: who waits looks again.
    this.#wake('all')
  }

  commit(commit: Commit): void {
    if (commit.lsn <= this.tidemark) return // Delivered twice: positions make it harmless.
    if (commit.prev !== undefined && commit.prev !== this.#lastLsn) {
      this.#gap(commit)
      return
    }
    this.tidemark = commit.lsn
    this.#lastLsn = commit.lsn
    const { record, gone } = this.ring.push(commit, this.#clock.now(), Number.POSITIVE_INFINITY)
    for (const applier of this.#appliers) applier.apply(commit)
    this.#proof.applied(record)
    if (gone.length > 0) this.#forget(gone)
    this.#moved()
  }

  progress(lsn: number): void {
    if (lsn <= this.tidemark) return
    this.tidemark = lsn
    this.#moved()
  }

  lost(reason: TidemarkError): void {
    if (!this.isFollowing) return
    this.isFollowing = false
    for (const applier of this.#appliers) applier.lost(reason)
    this.#proof.moved()
  }

  /** For what is kept and for fills that run this was a delay of the log, no more. */
  resumed(resume: LogResume): void {
    if (this.isFollowing) return
    this.epoch = resume.epoch
    this.isFollowing = true
    const position = this.positionAt(this.tidemark)
    for (const applier of this.#appliers) applier.resumed(position)
    this.#proof.now()
    this.#proof.moved()
    this.#wake('all')
  }

  close(): Promise<void> {
    this.isClosed = true
    this.isFollowing = false
    this.#seeingStart?.abort()
    this.#proof.close()
    this.#wake('all')
    return this.log.close()
  }

  // ── inside ─────────────────────────────────────────────────────────────────────────────────────────────

  /** A record names a predecessor that this process never applied: what lies between can't be known, nor whether it can be seen. */
  #gap(commit: Commit): void {
    this.started({ epoch: this.epoch ?? '', lsn: commit.lsn, proof: { kind: 'xmin', xid: Number.POSITIVE_INFINITY } })
    void this.#seeStart(new AbortController())
  }

  /** Asks until all before this start can be seen, or the log is taken up anew. */
  async #seeStart(waiting: AbortController): Promise<void> {
    this.#seeingStart = waiting
    const { signal } = waiting
    while (!signal.aborted) {
      const position = { epoch: this.epoch, lsn: this.startedAt, xid: undefined }
      const isVisible = await this.log.visible(position, signal).catch(() => false)
      if (signal.aborted) return
      if (isVisible) return this.#proof.startSeen()
      await pause(this.#clock, LOOK_AGAIN_MS, signal)
    }
  }

  /** Changes left the ring by its limit: fills that began before they were proven can't be judged any more (rule Trim). */
  #forget(gone: readonly RingRecord[]): void {
    // Ticks only grow: who came first is the oldest.
    const oldest = this.#fills.first?.began ?? Number.POSITIVE_INFINITY
    for (const record of gone) {
      if (record.provenAt === Number.POSITIVE_INFINITY) this.#proof.forgotten(record)
      else if (trimRules.isStillNeeded(record, oldest))
        this.#believableFrom = Math.max(this.#believableFrom, record.provenAt)
    }
    this.#believe()
  }

  /** Decides anew from which tick on fills are believed; called whenever a proof arrived or was lost. */
  #believe(): void {
    if (!this.#proof.isComplete || this.isBehind) this.#believableFrom = Number.POSITIVE_INFINITY
    else if (this.#believableFrom === Number.POSITIVE_INFINITY) this.#believableFrom = ++this.#tick
    this.#trim()
  }

  #probed(probe: Probe, asked: { readonly mono: number; readonly wall: number }): void {
    if (!this.isFollowing) return
    this.seen.probed(probe.snapshot, this.#proof.isComplete)
    if (!this.log.isLocal) this.currency.asked(probe.flushed, asked.mono, asked.wall, this.tidemark)
    if (this.tidemark < probe.flushed) this.log.nudge()
  }

  #moved(): void {
    this.currency.reached(this.tidemark)
    if (this.#believableFrom === Number.POSITIVE_INFINITY && !this.isBehind) {
      this.#believe()
      this.#proof.moved()
    } else this.#trim()
    this.#wake()
  }

  #wake(whom: 'all' | 'arrived' = 'arrived'): void {
    for (const waiter of this.#waiters) {
      if (this.tidemark < waiter.lsn && whom !== 'all') continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }

  #trim(): void {
    const oldest = this.#fills.first
    // What lags is compared with changes from before its fill began, however long the fill takes.
    const appliedBefore =
      this.#retainMs === 0 ? Number.POSITIVE_INFINITY : (oldest?.beganAt ?? this.#clock.now()) - this.#retainMs
    this.ring.trim(trimRules.oldestNeeded(oldest?.began ?? Number.POSITIVE_INFINITY), appliedBefore, this.#heldForL2())
  }

  #heldForL2(): { m: number; since: number } | undefined {
    if (this.#l2s.size === 0) return undefined
    let m = Number.POSITIVE_INFINITY
    for (const l2 of this.#l2s) if (l2.m < m) m = l2.m
    return { m, since: this.#clock.now() - L2_HOLD_MS }
  }
}
