import type { Clock } from '../clock.js'
import type { Commit, TargetChange } from '../log/change.js'
import type { Log, LogHold, LogListener, LogResume, LogStart, LogStatus, Probe } from '../log/log.js'
import type { RequestedPosition } from '../log/position.js'
import { Proven } from './proven.js'
import type { RelayRecord, RelaySink } from './record.js'
import { relayRules } from './rules.js'

/** Progress between commits is relayed at most so often. */
const PROGRESS_MS = 20
/** At rest the leader says so often where it is. */
const BEAT_MS = 1_000
const RECENT_RECORDS = 1_000
const RECENT_CHANGES = 20_000

/**
 * The leader's log: passes everything on, and relays it while this process leads. What it read recently it relays too when it begins to
 * lead: the leader before it may have died with that unsent.
 */
export class RelayingLog implements Log {
  readonly #log: Log
  readonly #isLeading: () => boolean
  readonly #sender: RelaySink
  readonly #clock: Clock
  readonly #proven = new Proven()
  #epoch: string | undefined
  #generation = 0
  /** Up to here it read the log, and up to here there are records of it. */
  #position = 0
  #recorded = 0
  #recent: RelayRecord[] = []
  #recentChanges = 0
  #wasLeading = false
  #isFollowing = false
  #sentProven: number | undefined
  #timer: { cancel(): void } | undefined
  #beat: { cancel(): void } | undefined

  constructor(log: Log, isLeading: () => boolean, sender: RelaySink, clock: Clock) {
    this.#log = log
    this.#isLeading = isLeading
    this.#sender = sender
    this.#clock = clock
    // While another leads, nothing is written into the stream from here.
    const upTo = (): number => (isLeading() ? sender.writtenTo : Number.POSITIVE_INFINITY)
    // It ends with the log: what was not written must come again to whoever leads next.
    log.hold?.({ name: 'relay', upTo, isBounded: true })
  }

  get name(): string | undefined {
    return this.#log.name
  }

  follow(listener: LogListener): void {
    this.#log.follow({
      started: (start) => {
        this.#started(start)
        listener.started(start)
      },
      commit: (commit) => {
        this.#committed(commit)
        listener.commit(commit)
      },
      progress: (lsn) => {
        this.#progressed(lsn)
        listener.progress(lsn)
      },
      lost: (reason) => {
        this.#lost()
        listener.lost(reason)
      },
      resumed: (resume) => {
        this.#resumed(resume)
        listener.resumed(resume)
      },
    })
    this.#beatSoon()
  }

  async probe(): Promise<Probe> {
    const generation = this.#generation
    const probe = await this.#log.probe()
    if (generation === this.#generation) {
      this.#proven.saw(probe)
      if (this.#proven.upTo !== this.#sentProven) this.#tellSoon()
    }
    return probe
  }

  nudge(): void {
    this.#log.nudge()
  }

  append(change: TargetChange): Promise<void> {
    return this.#log.append(change)
  }

  visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    return this.#log.visible(position, signal)
  }

  hold(hold: LogHold): () => void {
    return this.#log.hold?.(hold) ?? (() => {})
  }

  status(): LogStatus {
    return { ...this.#log.status(), relayProblem: this.#sender.problem?.message ?? '' }
  }

  async close(): Promise<void> {
    this.#timer?.cancel()
    this.#beat?.cancel()
    this.#isFollowing = false
    await Promise.all([this.#sender.close(), this.#log.close()])
  }

  // ── what is delivered ──────────────────────────────────────────────────────────────────────────────────

  #started(start: LogStart): void {
    this.#generation++
    this.#sender.restarted()
    this.#epoch = start.epoch
    this.#position = start.lsn
    this.#recorded = start.lsn
    this.#recent = []
    this.#recentChanges = 0
    this.#proven.started(start)
    this.#isFollowing = true
    this.#tellSoon()
  }

  #resumed({ epoch }: LogResume): void {
    this.#epoch = epoch
    this.#isFollowing = true
    this.#tellSoon()
  }

  #lost(): void {
    this.#isFollowing = false
  }

  #committed(commit: Commit): void {
    const { lsn, xid, committedAt, changes } = commit
    // A log may deliver twice; a record of it would say that nothing lies between there and the next.
    if (relayRules.isRepeated(lsn, this.#position)) return
    this.#proven.committed(commit)
    this.#record(lsn, { xid, committedAt, changes })
  }

  #progressed(lsn: number): void {
    if (lsn <= this.#position) return
    this.#position = lsn
    this.#proven.progressed(lsn)
    this.#tellSoon()
  }

  // ── what is relayed ────────────────────────────────────────────────────────────────────────────────────

  #record(to: number, commit: RelayRecord['commit']): void {
    this.#position = to
    const proven = this.#proven.upTo
    const record = { epoch: this.#epoch!, name: this.#log.name, from: this.#recorded, to, commit, proven }
    this.#recorded = to
    this.#sentProven = proven
    this.#remember(record)
    const isLeading = this.#isLeading()
    if (isLeading) this.#sender.send(this.#wasLeading ? [record] : this.#recent)
    this.#wasLeading = isLeading
  }

  #remember(record: RelayRecord): void {
    this.#recent.push(record)
    this.#recentChanges += changesIn(record)
    let surplus = 0
    while (
      this.#recent.length - surplus > RECENT_RECORDS ||
      (surplus < this.#recent.length && this.#recentChanges > RECENT_CHANGES)
    )
      this.#recentChanges -= changesIn(this.#recent[surplus++]!)
    if (surplus > 0) this.#recent.splice(0, surplus)
  }

  /** Where it is, without a commit. */
  #tell(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#isFollowing) return
    if (this.#isLeading() || this.#position > this.#recorded) this.#record(this.#position, undefined)
  }

  #tellSoon(): void {
    this.#timer ??= this.#clock.after(PROGRESS_MS, () => this.#tell())
  }

  #beatSoon(): void {
    this.#beat = this.#clock.after(BEAT_MS, () => {
      this.#tell()
      this.#beatSoon()
    })
  }
}

function changesIn({ commit }: RelayRecord): number {
  return commit?.changes.length ?? 0
}
