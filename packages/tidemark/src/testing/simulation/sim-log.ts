import { LogGapError, SourceDownError } from '../../errors.js'
import type { TargetChange } from '../../log/change.js'
import type { Log, LogListener, LogStatus, Probe, StartProof } from '../../log/log.js'
import type { RequestedPosition } from '../../log/position.js'
import type { Chance } from './chance.js'
import type { Database, ExternalChange, Written } from './database.js'
import type { MarkedPlace, SimMarks } from './sim-marks.js'

/** Where the shared slot stands: all before can be seen. */
export interface SimSlot {
  readonly epoch: string
  readonly lsn: number
}

interface WaitingProbe {
  /** Only this history answers; undefined: any. */
  readonly epoch: string | undefined
  /** What the source answered; undefined while the query has not reached it. */
  probe: Probe | undefined
  readonly resolve: (probe: Probe) => void
  readonly reject: (error: Error) => void
}

interface WaitingLook {
  readonly position: RequestedPosition
  readonly resolve: (isVisible: boolean) => void
}

/** The database's log as one process follows it, each message of it a step of the simulation. */
export class SimLog implements Log {
  readonly probePaceMs = 2
  readonly #database: Database
  readonly #chance: Chance
  readonly #namesPredecessors: boolean
  readonly #trueMs: () => number
  /** undefined where the process does not hold the shared slot. */
  readonly #marks: SimMarks | undefined
  /** Waits for the next append: what it says of the world outside of the database. */
  announced: readonly ExternalChange[] = []
  /** How often it was taken up at a mark. */
  markedStarts = 0
  /** While false, the source answers nothing. */
  isUp = true
  /** The process follows what another one relays. */
  isOff = false
  /** Where the shared slot stands, if the process may have it. */
  slot: () => SimSlot | undefined = () => undefined
  #listener: LogListener | undefined
  /** The history that it took up. */
  #epoch: string | undefined
  #state: LogStatus = { state: 'connecting', reason: 'not followed yet' }
  /** The index of the next commit to deliver. */
  #next = 0
  #isNudged = false
  /** The epoch in which it was lost. */
  #lostIn: string | undefined
  #probes: WaitingProbe[] = []
  #looks: WaitingLook[] = []
  #appended: (() => void)[] = []

  constructor(
    database: Database,
    chance: Chance,
    namesPredecessors: boolean,
    trueMs: () => number,
    marks: SimMarks | undefined,
  ) {
    this.#database = database
    this.#chance = chance
    this.#namesPredecessors = namesPredecessors
    this.#trueMs = trueMs
    this.#marks = marks
  }

  // ── what the cache calls ───────────────────────────────────────────────────────────────────────────────

  follow(listener: LogListener): void {
    this.#listener = listener
  }

  probe(): Promise<Probe> {
    return this.probeOf(undefined)
  }

  /** Over a connection that was made to this history. */
  probeOf(epoch: string | undefined): Promise<Probe> {
    return new Promise((resolve, reject) => this.#probes.push({ epoch, probe: undefined, resolve, reject }))
  }

  nudge(): void {
    this.#isNudged = true
  }

  append(change: TargetChange): Promise<void> {
    const announced = this.announced
    this.announced = []
    if (!this.isUp) return Promise.reject(new SourceDownError('The simulated source is down.'))
    this.#database.append(change, announced, this.#trueMs())
    return new Promise((resolve) => this.#appended.push(resolve))
  }

  visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    return this.shows(position, signal, this.#epoch)
  }

  /** The same where this history is known. */
  shows(position: RequestedPosition, signal: AbortSignal, known: string | undefined): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    // Of another history than the one that it knows the log can say nothing.
    if (position.epoch !== undefined && position.epoch !== known) return Promise.resolve(false)
    return new Promise((resolve) => {
      const giveUp = (): void => {
        this.#looks = this.#looks.filter((other) => other !== look)
        resolve(false)
      }
      const end = (isSeen: boolean): void => {
        signal.removeEventListener('abort', giveUp)
        resolve(isSeen)
      }
      const look: WaitingLook = { position, resolve: end }
      this.#looks.push(look)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  status(): LogStatus {
    return this.#state
  }

  async close(): Promise<void> {
    this.#state = { state: 'closed', reason: 'the cache was closed' }
    this.#listener = undefined
  }

  // ── what the simulation decides ────────────────────────────────────────────────────────────────────────

  get epoch(): string | undefined {
    return this.#epoch
  }

  /** Nobody is told any more; it can be followed anew. */
  detach(): void {
    this.#listener = undefined
    this.#lostIn = undefined
    this.#state = { state: 'connecting', reason: 'the process follows what another one relays' }
  }

  get mayStart(): boolean {
    return !this.isFollowing && !this.isOff
  }

  get isFollowing(): boolean {
    return this.#state.state === 'following'
  }

  get waiting(): number {
    return this.#database.commits.length - this.#next
  }

  get isNudged(): boolean {
    return this.#isNudged
  }

  get probes(): number {
    return this.#probes.length
  }

  get looks(): number {
    return this.#looks.length
  }

  get appends(): number {
    return this.#appended.length
  }

  /** The newest mark that counts; undefined if there is none. */
  get marked(): MarkedPlace | undefined {
    return this.#marks?.newest
  }

  /** A mark that was written and has not come yet. */
  get markUnderWay(): Written | undefined {
    return this.#marks?.underWay
  }

  /** Writes a mark, if the process holds the shared slot. */
  mark(): void {
    if (this.#marks && !this.#marks.underWay) this.#marks.write(this.#trueMs())
  }

  /** Takes the log up: at a mark, if the server was restarted and its history has it; else at its end, as a new temporary slot does. */
  start(): void {
    this.#epoch = this.#database.epoch
    const isRestarted = this.#lostIn !== undefined && this.#lostIn !== this.#database.epoch
    const marked = isRestarted ? this.#marks?.start : undefined
    const slot = this.slot()
    this.#lostIn = undefined
    if (marked) {
      this.markedStarts++
      this.#startAt(marked.lsn, marked.keepsBefore)
    } else if (slot?.epoch === this.#epoch && this.#chance.is(0.8)) this.#startAt(slot.lsn)
    else this.#startAnew()
  }

  /** All that its history has up to there can be seen. */
  #startAt(lsn: number, keepsBefore?: number): void {
    const { epoch, commits } = this.#database
    const next = commits.findIndex((commit) => commit.lsn > lsn)
    this.#next = next < 0 ? commits.length : next
    this.#state = { state: 'following', reason: '' }
    const kept = keepsBefore === undefined ? {} : { keepsBefore }
    this.#listener?.started({ epoch, lsn, proof: { kind: 'visible' }, ...kept })
  }

  #startAnew(): void {
    const { epoch, end: lsn, commits } = this.#database
    this.#next = commits.length
    // A transaction of our own, where the proof needs one, lies after the place where the log is taken up.
    const proof = this.#startProof()
    this.#state = { state: 'following', reason: '' }
    this.#listener?.started({ epoch, lsn, proof })
  }

  /** Whether the log can go on where it was lost: it is the same history still. */
  get isResumable(): boolean {
    return this.#state.state === 'lost' && this.#lostIn === this.#database.epoch
  }

  /** Goes on where it was lost, as a shared slot does. */
  resume(): void {
    this.#next += resumeRules.skipped(this.waiting)
    this.#state = { state: 'following', reason: '' }
    this.#listener?.resumed({ epoch: this.#database.epoch })
  }

  lose(): void {
    this.#lostIn = this.#database.epoch
    this.#state = { state: 'lost', reason: 'the simulation lost it' }
    this.#listener?.lost(new LogGapError('The simulation lost the log.'))
  }

  deliver(): void {
    const commit = this.#database.commits[this.#next++]
    if (!commit) return
    this.#listener?.commit(this.#sent(commit))
    this.#marks?.delivered(commit)
  }

  /** One record is lost on the way; the next one names it as its predecessor. */
  skip(): void {
    this.#next++
    this.deliver()
  }

  /** A record comes again. */
  repeat(): void {
    if (this.#next > 0) this.#listener?.commit(this.#sent(this.#database.commits[this.#chance.below(this.#next)]!))
  }

  keepalive(): void {
    this.#isNudged = false
    const next = this.#database.commits[this.#next]
    this.#listener?.progress(next ? next.lsn - 1 : this.#database.end)
  }

  /** A probe's query runs, or its answer arrives. The snapshot is taken when it runs. */
  probeStep(): void {
    const at = this.#chance.below(this.#probes.length)
    const waiting = this.#probes[at]!
    const isOther = waiting.epoch !== undefined && waiting.epoch !== this.#database.epoch
    if (!this.isUp || (isOther && !waiting.probe)) {
      this.#probes.splice(at, 1)
      waiting.reject(new SourceDownError('The simulated source is down.'))
    } else if (waiting.probe) {
      this.#probes.splice(at, 1)
      waiting.resolve(waiting.probe)
    } else {
      waiting.probe = { snapshot: this.#database.snapshot(), flushed: this.#database.end }
    }
  }

  failProbe(): void {
    const [waiting] = this.#probes.splice(this.#chance.below(this.#probes.length), 1)
    waiting!.reject(new SourceDownError('The simulation made this probe fail.'))
  }

  /** Everybody who waits for a position to be visible is told, if it is. */
  look(): void {
    if (!this.isUp) return
    const { epoch, end } = this.#database
    const hidden = this.#database.hidden
    this.#looks = this.#looks.filter(({ position, resolve }) => {
      const isKnown = (position.epoch === undefined || position.epoch === epoch) && position.lsn <= end
      if (!isKnown || hidden.some((commit) => commit.lsn <= position.lsn)) return true
      resolve(true)
      return false
    })
  }

  /** An append is reported durable. */
  appended(): void {
    this.#appended.shift()?.()
  }

  #sent(commit: Written): Written {
    if (this.#namesPredecessors) return commit
    const { prev: _, ...sent } = commit
    return sent
  }

  #startProof(): StartProof {
    if (this.#chance.is(0.25)) return { kind: 'xmin', xid: this.#database.heartbeat(this.#trueMs()) }
    if (this.#database.hidden.length === 0 && this.#chance.is(0.2)) return { kind: 'visible' }
    return { kind: 'snapshot', snapshot: this.#database.logSnapshot() }
  }
}

/** What a log must not do, as a function, so that the simulation can plant it. */
export const resumeRules = {
  /** How many commits are left out of those that came while the log was lost. */
  skipped(_waiting: number): number {
    return 0
  },
}
