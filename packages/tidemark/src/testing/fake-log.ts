import { ClosedError, LogGapError, SourceDownError } from '../errors.js'
import type { Change, Commit, TargetChange } from '../log/change.js'
import type { Log, LogListener, LogStatus, Probe, Snapshot, StartProof } from '../log/log.js'
import type { RequestedPosition } from '../log/position.js'

/** A commit of the fake log: written, perhaps not delivered yet, perhaps not visible yet. */
export interface FakeCommit extends Commit {
  readonly xid: number
  isVisible: boolean
}

/**
 * A log like PostgreSQL's, in memory, whose every step the test decides: a commit is written, delivered to the follower, and
 * shown to new snapshots, in whatever order. With `isAutomatic` (the default) all three happen at once.
 */
export class FakeLog implements Log {
  readonly commits: FakeCommit[] = []
  isAutomatic = true
  probePaceMs = 0
  /** While false, probes and appends fail as if the source were down. */
  isUp = true
  /** Probes that wait for `answerProbes`, when not automatic. */
  readonly probes: { answer(): void; fail(): void }[] = []
  #listener: LogListener | undefined
  #epoch = 1
  #delivered = 0
  #lsn = 1_000
  #xid = 100
  #state: LogStatus = { state: 'connecting', reason: 'not followed yet' }

  follow(listener: LogListener): void {
    this.#listener = listener
    if (this.isAutomatic) this.start()
  }

  /** The end of what was written. */
  get end(): number {
    return this.#lsn
  }

  /** How many commits wait to be delivered. */
  get waiting(): number {
    return this.commits.length - this.#delivered
  }

  /**
   * Takes the log up at its end, as a new temporary slot does.
   *
   * @param isNewEpoch  the source's history is another one now
   * @param keepsBefore  monotonic ms: what was filled before then may be believed still
   */
  start(isNewEpoch = false, keepsBefore?: number): void {
    if (isNewEpoch) this.#epoch++
    this.#delivered = this.commits.length
    this.#state = { state: 'following', reason: '' }
    this.#listener?.started({
      epoch: `fake-${this.#epoch}`,
      lsn: this.#lsn,
      proof: this.#startProof(),
      ...(keepsBefore === undefined ? {} : { keepsBefore }),
    })
  }

  /** The connection to the log is lost; `start` takes it up anew. */
  lose(): void {
    this.#state = { state: 'lost', reason: 'the test lost it' }
    this.#listener?.lost(new LogGapError('The fake log was lost by the test. Call start() to take it up.'))
  }

  /** Writes a commit. Not delivered and not visible until told, unless automatic. */
  write(changes: readonly Change[], committedAt = Date.now()): FakeCommit {
    this.#lsn += 8
    const commit: FakeCommit = { lsn: this.#lsn, xid: this.#xid++, committedAt, changes, isVisible: this.isAutomatic }
    this.commits.push(commit)
    if (this.isAutomatic && this.#state.state === 'following') this.deliver(this.waiting)
    return commit
  }

  /** Delivers the next commits, in order. */
  deliver(count = 1): void {
    for (let i = 0; i < count && this.#state.state === 'following' && this.waiting > 0; i++) {
      this.#listener?.commit(this.commits[this.#delivered++]!)
    }
  }

  /** Delivers a commit again, as a reconnecting log may. */
  repeat(commit: FakeCommit): void {
    this.#listener?.commit(commit)
  }

  /** Says how far all was delivered, as a keepalive does. */
  keepalive(): void {
    if (this.#state.state !== 'following') return
    const next = this.commits[this.#delivered]
    this.#listener?.progress(next ? next.lsn - 1 : this.#lsn)
  }

  /** New snapshots see the commit from now on. */
  show(commit: FakeCommit): void {
    commit.isVisible = true
  }

  probe(): Promise<Probe> {
    if (!this.isUp) return Promise.reject(new SourceDownError('The fake source is down. Set isUp = true.'))
    if (this.isAutomatic) return Promise.resolve(this.#probe())
    return new Promise((resolve, reject) => {
      // The snapshot is taken when the source runs the query, which is before the answer arrives.
      const probe = this.#probe()
      this.probes.push({
        answer: () => resolve(probe),
        fail: () => reject(new SourceDownError('The test made this probe fail.')),
      })
    })
  }

  nudge(): void {
    if (this.isAutomatic) queueMicrotask(() => this.keepalive())
  }

  async append(change: TargetChange): Promise<void> {
    if (this.#state.state === 'closed') throw new ClosedError('The log was closed with its cache. Create a new cache.')
    if (!this.isUp) throw new SourceDownError('The fake source is down. Set isUp = true.')
    this.write([change])
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      const hidden = this.commits.some((commit) => commit.lsn <= position.lsn && !commit.isVisible)
      if (position.lsn <= this.#lsn && !hidden) return true
      await new Promise((resolve) => setImmediate(resolve))
    }
    return false
  }

  status(): LogStatus {
    return this.#state
  }

  async close(): Promise<void> {
    this.#state = { state: 'closed', reason: 'the cache was closed' }
    this.#listener = undefined
  }

  /** What a snapshot taken now sees. */
  snapshot(): Snapshot {
    const xmax = this.commits.reduce((max, commit) => (commit.isVisible ? Math.max(max, commit.xid + 1) : max), 100)
    const running = new Set(
      this.commits.filter((commit) => !commit.isVisible && commit.xid < xmax).map((commit) => commit.xid),
    )
    return { xmin: running.size > 0 ? Math.min(...running) : xmax, xmax, running }
  }

  #probe(): Probe {
    return { snapshot: this.snapshot(), flushed: this.#lsn }
  }

  /** A slot's exported snapshot sees exactly what lies before it, hidden or not. */
  #startProof(): StartProof {
    return { kind: 'snapshot', snapshot: { xmin: this.#xid, xmax: this.#xid, running: new Set() } }
  }
}
