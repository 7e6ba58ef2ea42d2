import { LogGapError, SourceDownError, type TidemarkError } from '../../errors.js'
import type { TargetChange } from '../../log/change.js'
import type { Log, LogListener, LogStatus, Probe } from '../../log/log.js'
import type { RequestedPosition } from '../../log/position.js'
import { RelayingLog } from '../../relay/leader.js'
import { RelayReader } from '../../relay/reader.js'
import type { RelayRecord, RelaySink } from '../../relay/record.js'
import type { Chance } from './chance.js'
import type { Database } from './database.js'
import type { SimClock } from './sim-clock.js'
import type { SimLog } from './sim-log.js'
import type { SimStream } from './sim-stream.js'

export type Role = 'leader' | 'follower'

/** The records of one leader on their way: batches arrive late, twice or never, beside those of another that takes itself for the leader. */
export class SimSink implements RelaySink {
  readonly problem = undefined
  readonly #stream: SimStream
  readonly #chance: Chance
  #queue: readonly RelayRecord[] = []
  writtenTo = 0

  constructor(stream: SimStream, chance: Chance) {
    this.#stream = stream
    this.#chance = chance
  }

  get parked(): number {
    return this.#queue.length
  }

  send(records: readonly RelayRecord[]): void {
    this.#queue = [...this.#queue, ...records]
  }

  restarted(): void {
    this.writtenTo = 0
  }

  async close(): Promise<void> {
    this.#queue = []
  }

  /** Some arrive; if the answer is lost they are sent again. */
  step(isAnswered = this.#chance.is(0.85)): void {
    const batch = this.#queue.slice(0, this.#chance.between(1, 3))
    this.#stream.append(batch)
    if (!isAnswered) return
    this.#queue = this.#queue.slice(batch.length)
    this.writtenTo = batch.at(-1)!.to
  }

  /** Too much waited: it is forgotten. */
  forget(): void {
    this.#queue = []
  }
}

/**
 * The log of a process among many, with the real rules of the relay: it leads, and relays what it reads, or follows what is relayed. Whoever
 * changes its role begins anew, as in `@tidemark/postgres`.
 */
export class SimRelayed implements Log {
  readonly #log: SimLog
  readonly #stream: SimStream
  readonly #database: Database
  readonly #chance: Chance
  readonly #clock: SimClock
  role: Role
  /** Whether it takes itself for the holder of the shared slot. */
  isLeading: boolean
  #listener: LogListener | undefined
  /** Raised by each change of the role. */
  #generation = 0
  #leader: RelayingLog | undefined
  #sink: SimSink | undefined
  #reader: RelayReader | undefined
  #broken: ((reason: TidemarkError) => void) | undefined
  #isFollowing = false
  #isTakingUp = false
  #history = 0
  #place = 0

  constructor(log: SimLog, stream: SimStream, database: Database, chance: Chance, clock: SimClock, role: Role) {
    this.#log = log
    this.#stream = stream
    this.#database = database
    this.#chance = chance
    this.#clock = clock
    this.role = role
    this.isLeading = role === 'leader'
  }

  // ── what the cache calls ───────────────────────────────────────────────────────────────────────────────

  follow(listener: LogListener): void {
    this.#listener = listener
    this.#enter()
  }

  async probe(): Promise<Probe> {
    if (this.#leader) return this.#leader.probe()
    return this.#log.probeOf(this.epoch ?? 'none yet')
  }

  nudge(): void {
    this.#leader?.nudge()
  }

  append(change: TargetChange): Promise<void> {
    if (this.isElsewhere) return Promise.reject(new SourceDownError('The simulated address leads to another server.'))
    return this.#log.append(change)
  }

  visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    return this.#log.shows(position, signal, this.epoch)
  }

  status(): LogStatus {
    return { state: this.#isFollowing ? 'following' : 'lost', reason: '' }
  }

  async close(): Promise<void> {
    this.#generation++
    this.#listener = undefined
    await this.#leader?.close()
    this.#isFollowing = false
    await this.#log.close()
  }

  // ── what the simulation decides ────────────────────────────────────────────────────────────────────────

  get sink(): SimSink | undefined {
    return this.#sink
  }

  /** The history that it reads of; of a leader the log knows. */
  get epoch(): string | undefined {
    return this.#leader ? this.#log.epoch : this.#reader?.epoch
  }

  /** Its connections lead to another history than the one that it reads of: what loaders read is not kept. */
  get isElsewhere(): boolean {
    return this.#reader?.epoch !== undefined && this.#reader.epoch !== this.#database.epoch
  }

  /** Takes the role, and begins anew. */
  become(role: Role): void {
    if (role === this.role || !this.#listener) return
    this.role = role
    this.isLeading = role === 'leader'
    this.#listener.lost(new LogGapError('The simulation gave this process another role.'))
    void this.#leader?.close()
    this.#enter()
  }

  get mayTakeUp(): boolean {
    return this.#reader !== undefined && this.#listener !== undefined && !this.#isFollowing && !this.#isTakingUp
  }

  async takeUp(): Promise<void> {
    this.#isTakingUp = true
    const generation = this.#generation
    const { history, newest } = this.#stream
    const tell = await this.#reader!.takeUp(this.#stream.back()).catch(() => undefined)
    if (generation !== this.#generation) return
    this.#isTakingUp = false
    if (!tell) return
    this.#isFollowing = true
    this.#history = history
    this.#place = newest
    this.#run(tell)
  }

  get isReading(): boolean {
    return this.#reader !== undefined && this.#isFollowing
  }

  get hasNext(): boolean {
    return this.isReading && (this.#history !== this.#stream.history || !!this.#stream.after(this.#place))
  }

  /** The next record arrives, or it shows that the stream is another one. */
  read(): void {
    const entry = this.#stream.after(this.#place)
    // As the predecessors in a stream of Redis tell.
    if (this.#history !== this.#stream.history || (entry && entry.id !== this.#place + 1)) return this.cut()
    if (!entry) return
    this.#place = entry.id
    this.#run(() => this.#reader!.read(entry.record))
  }

  cut(reason: TidemarkError = new LogGapError('The simulation cut the line to the relay.')): void {
    if (!this.#isFollowing) return
    this.#isFollowing = false
    this.#listener?.lost(reason)
  }

  /** Something was missing. */
  async beginAnew(): Promise<void> {
    this.cut(this.#reader!.gap('The simulation left out a record.'))
    await this.takeUp()
  }

  /** It finds out that the source has another history now. */
  notice(): void {
    this.#broken?.(new LogGapError('The simulated source has another history now.'))
  }

  #enter(): void {
    const generation = ++this.#generation
    this.#isFollowing = this.#isTakingUp = false
    this.#leader = this.#sink = this.#reader = this.#broken = undefined
    this.#log.isOff = this.role === 'follower'
    if (this.role === 'follower') {
      this.#reader = new RelayReader({
        source: {
          pin: async (epoch, _name, broken) => this.#pin(epoch, broken),
          ownTransaction: async () => this.#mustBeUp().heartbeat(this.#clock.trueMs),
        },
        listener: () => (generation === this.#generation ? this.#listener : undefined),
        cut: (reason) => this.cut(reason),
      })
      return
    }
    this.#sink = new SimSink(this.#stream, this.#chance)
    this.#leader = new RelayingLog(this.#inner, () => this.isLeading, this.#sink, this.#clock)
    this.#leader.follow(this.#listener!)
  }

  /** The source's log, which outlives the role. */
  get #inner(): Log {
    const log = this.#log
    return {
      follow: (listener) => log.follow(listener),
      probe: () => log.probe(),
      nudge: () => log.nudge(),
      append: (change) => log.append(change),
      visible: (position, signal) => log.visible(position, signal),
      status: () => log.status(),
      close: async () => log.detach(),
    }
  }

  #pin(epoch: string, broken: (reason: TidemarkError) => void): string | undefined {
    if (this.#mustBeUp().epoch !== epoch) return 'the simulated address leads to another server'
    this.#broken = broken
    return undefined
  }

  #mustBeUp(): Database {
    if (!this.#log.isUp) throw new SourceDownError('The simulated source is down.')
    return this.#database
  }

  #run(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      if (!(error instanceof LogGapError)) throw error
      this.cut(error)
    }
  }
}
