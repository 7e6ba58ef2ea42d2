import type { Clock } from '../clock.js'
import type { Dependency } from '../dependencies/dependency.js'
import { type Ring, type RingRecord, recordTouches } from '../fence/ring.js'
import { type InLine, Line } from '../line.js'
import type { Log, Probe, Snapshot, StartProof } from '../log/log.js'
import { isStartSeen, isVisible } from './visible.js'

/** Repeats of a probe that proved nothing wait 1, 2, 4 … up to this many ms. */
const BACKOFF_MAX_MS = 50
/** How long after a failed probe the next one is tried. */
const RETRY_MS = 200
/**
 * So long after a fill came too early for a proof, proofs are asked for as fast as they may be; else so many times more rarely. So all these
 * questions cost about what the loads cost that come too early.
 */
const EAGER_MS = 20
const LAZY = 25
const NOTHING = (): void => {}

export interface ProofOwner {
  /** A probe answered; it was asked at these times. */
  probed(probe: Probe, asked: { readonly mono: number; readonly wall: number }): void
  /** Something was proven, or the start or a forgotten change stopped being open. */
  proven(): void
  nextTick(): number
}

class ProofWaiter implements InLine<ProofWaiter> {
  readonly records: readonly RingRecord[]
  readonly resolve: () => void
  before: ProofWaiter | undefined
  after: ProofWaiter | undefined

  constructor(records: readonly RingRecord[], resolve: () => void) {
    this.records = records
    this.resolve = resolve
  }
}

/**
 * Rules Proof and Start: asks the source what new snapshots see, one query for each batch of changes, until all that was applied
 * can be seen. Visibility never goes back on one server, so a loader that starts after the proof sees the change.
 */
export class Proof {
  readonly #log: Log
  readonly #clock: Clock
  readonly #owner: ProofOwner
  #unproven = new Line<RingRecord>()
  /** Transactions that left the ring unproven: nothing is kept until they are visible. */
  #forgotten = new Set<number>()
  #start: StartProof = { kind: 'xmin', xid: Number.POSITIVE_INFINITY }
  #waiters = new Line<ProofWaiter>()
  /** The one change that is waited for, by how many ever. */
  #awaited: { readonly lsn: number; readonly proven: Promise<void> } | undefined
  #movers = new Set<() => void>()
  #generation = 0
  #isProbing = false
  #isWanted = false
  /** The next probe waits for more changes. */
  #isPausing = false
  /** When the last probe was asked. */
  #askedAt = Number.NEGATIVE_INFINITY
  /** When a fill was last not kept because of what was unproven. */
  #missedAt = Number.NEGATIVE_INFINITY
  #isClosed = false
  #backoffMs = 0
  #restMs = Number.POSITIVE_INFINITY
  #timer: { cancel(): void } | undefined

  constructor(log: Log, clock: Clock, owner: ProofOwner) {
    this.#log = log
    this.#clock = clock
    this.#owner = owner
  }

  get unproven(): number {
    return this.#unproven.size + this.#forgotten.size
  }

  /** Whether all before the start, and all that was forgotten, can be seen. */
  get isComplete(): boolean {
    return this.#start.kind === 'visible' && this.#forgotten.size === 0
  }

  /** At rest a probe runs at least this often, for currency. */
  every(ms: number): void {
    this.#restMs = Math.min(this.#restMs, ms)
  }

  start(proof: StartProof): void {
    this.#generation++
    this.#start = proof
    this.#unproven.clear()
    this.#forgotten.clear()
    this.#backoffMs = 0
    this.#settleWaiters(() => true)
    this.now()
  }

  /** All before the start was seen by other means; what was applied since goes on being proven. */
  startSeen(): void {
    this.#start = { kind: 'visible' }
    this.#owner.proven()
    this.moved()
  }

  applied(record: RingRecord): void {
    if (record.xid === undefined) {
      record.provenAt = this.#owner.nextTick()
      return
    }
    this.#unproven.add(record)
    this.#backoffMs = 0
    if (this.#isProbing) this.#isWanted = true
    else if (!this.#isPausing) this.#soon()
  }

  /** A fill begins, or waits: what is unproven now should be proven by its end. */
  hurry(): void {
    if (this.#isPausing) this.now()
  }

  /**
   * A fill was not kept because of what was unproven when it began: there, a proof that comes late costs loads. Where most changes touch
   * nothing that is read at once, one that comes early costs a question, in each process.
   */
  missed(): void {
    this.#missedAt = this.#clock.now()
    if (this.#isPausing) this.#soon()
  }

  forgotten(record: RingRecord): void {
    this.#unproven.delete(record)
    if (record.xid !== undefined && proofRules.remembersForgotten()) this.#forgotten.add(record.xid)
  }

  /** Calls back when no unproven change up to `lsn` touches the dependencies; returns how to cancel. */
  whenProven(
    lsn: number,
    dependencies: readonly Dependency[] | undefined,
    ring: Ring,
    resolve: () => void,
  ): () => void {
    const records = ring.select(
      (record) =>
        this.#unproven.has(record) && record.lsn <= lsn && (!dependencies || recordTouches(record, dependencies)),
    )
    return this.#wait(records, resolve)
  }

  /** Resolves when the one change at `lsn` is proven, or after so long: one promise for all who wait for it. */
  whenChangeProven(lsn: number, boundMs: number): Promise<void> {
    if (this.#awaited?.lsn === lsn) return this.#awaited.proven
    let isOver = false
    // Without a signal: V8 keeps a shape of its own for each.
    const proven = new Promise<void>((resolve) => {
      const records = [...this.#unproven].filter((record) => record.lsn === lsn)
      let cancel: (() => void) | undefined
      const end = (): void => {
        isOver = true
        bound.cancel()
        cancel?.()
        if (this.#awaited?.lsn === lsn) this.#awaited = undefined
        resolve()
      }
      const bound = this.#clock.after(boundMs, end)
      cancel = this.#wait(records, end)
    })
    if (!isOver) this.#awaited = { lsn, proven }
    return proven
  }

  #wait(records: readonly RingRecord[], resolve: () => void): () => void {
    if (records.length === 0) {
      resolve()
      return NOTHING
    }
    const waiter = new ProofWaiter(records, resolve)
    this.#waiters.add(waiter)
    this.hurry()
    return () => this.#waiters.delete(waiter)
  }

  /** Calls back once when anything moved: a probe answered, the log was lost or taken up. */
  whenMoved(resolve: () => void): () => void {
    this.#movers.add(resolve)
    return () => this.#movers.delete(resolve)
  }

  moved(): void {
    if (this.#movers.size === 0) return
    const movers = [...this.#movers]
    this.#movers.clear()
    for (const resolve of movers) resolve()
  }

  /** Probes as soon as the one in flight, if any, has answered: a snapshot taken before a change can't prove it. */
  now(): void {
    if (this.#isClosed) return
    if (this.#isProbing) {
      this.#isWanted = true
      return
    }
    this.#timer?.cancel()
    this.#timer = undefined
    this.#isProbing = true
    this.#isPausing = false
    this.#isWanted = false
    const asked = { mono: this.#clock.now(), wall: this.#clock.wall() }
    this.#askedAt = asked.mono
    const generation = this.#generation
    this.#log.probe().then(
      (probe) => this.#answered(probe, asked, generation),
      () => this.#again(RETRY_MS),
    )
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#settleWaiters(() => true)
    this.moved()
  }

  #answered(probe: Probe, asked: { readonly mono: number; readonly wall: number }, generation: number): void {
    if (this.#isClosed) return
    // A snapshot of an earlier start may be of another server.
    if (generation === this.#generation) {
      const before = this.unproven
      this.#prove(probe.snapshot)
      this.#backoffMs = this.unproven < before ? 0 : Math.min(BACKOFF_MAX_MS, this.#backoffMs * 2 || 1)
      this.#owner.probed(probe, asked)
      this.#owner.proven()
    }
    this.#settleWaiters((waiter) => waiter.records.every((record) => this.#isVisible(record)))
    this.moved()
    const isOpen = this.#unproven.size > 0 || !this.isComplete
    if (this.#isWanted) this.#soon()
    else this.#again(isOpen ? this.#backoffMs : this.#restMs)
  }

  /** Probes after a pause for more changes; at once if the last one is long ago, or somebody waits. */
  #soon(): void {
    const paceMs = (this.#log.probePaceMs ?? 0) * (this.#isEager ? 1 : LAZY)
    const pauseMs = paceMs - (this.#clock.now() - this.#askedAt)
    this.#isPausing = pauseMs > 0 && this.#waiters.size === 0
    this.#again(this.#isPausing ? pauseMs : 0)
  }

  get #isEager(): boolean {
    return this.#clock.now() - this.#missedAt < EAGER_MS
  }

  #prove(snapshot: Snapshot | undefined): void {
    if (proofRules.isStartCovered(this.#start, snapshot)) this.#start = { kind: 'visible' }
    let tick = 0
    for (const record of this.#unproven) {
      if (snapshot && !isVisible(record.xid!, snapshot)) continue
      this.#unproven.delete(record)
      tick ||= this.#owner.nextTick()
      record.provenAt = tick
    }
    for (const xid of this.#forgotten) if (!snapshot || isVisible(xid, snapshot)) this.#forgotten.delete(xid)
  }

  /** A change that left the ring unproven is no less hidden for it. */
  #isVisible(record: RingRecord): boolean {
    return !this.#unproven.has(record) && (record.xid === undefined || !this.#forgotten.has(record.xid))
  }

  #again(ms: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#isProbing = false
    if (this.#isClosed) return
    if (ms === 0) this.now()
    else if (ms !== Number.POSITIVE_INFINITY) this.#timer = this.#clock.after(ms, () => this.now())
  }

  #settleWaiters(isDone: (waiter: ProofWaiter) => boolean): void {
    // Who is called back may let others leave.
    for (const waiter of [...this.#waiters]) {
      if (!isDone(waiter)) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }
}

/** The rules as functions, so that the simulation can plant the bug of leaving one out. */
export const proofRules = {
  isStartCovered(start: StartProof, snapshot: Snapshot | undefined): boolean {
    return isStartSeen(start, snapshot)
  },
  /** Of an unproven change that left the ring by its limit, the transaction id stays. */
  remembersForgotten(): boolean {
    return true
  },
}
