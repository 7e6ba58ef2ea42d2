import { type Clock, ClosedError, LogGapError, type LogStatus, type TidemarkError } from 'tidemark'
import { streamError } from './errors.js'
import { Line, type LineOptions, type Look, type Place, positionOf, type StreamEntry } from './line.js'
import { pause } from './pause.js'

const READ_COUNT = 200
/** How long a read waits for a record before the stream is looked at: an emptied or rewound one sends nothing. */
const READ_WAIT_MS = 1_000
const RETRY_FIRST_MS = 50
/** Who was cut off for long is there again within a second: of that up to 1.5 times this may be spent waiting. */
const RETRY_MAX_MS = 200
const STEADY_MS = 5_000

export interface TakenUp {
  readonly place: Place
  /** Called once the stream counts as followed, before its first record. */
  tell(): void
}

/** What is done with the stream; `takenUp` and `record` are called for one stretch after the other. */
export interface StreamHandler {
  /**
   * The stream is to be taken up. Says where to read on from, and how to tell whoever listens (started, resumed); it may read back
   * on the line before. `place` is where the last stretch ended, if nothing is missing since.
   */
  takeUp(line: Line, look: Look, place: Place | undefined): Promise<TakenUp>
  /**
   * The next record, in order; its place and all between are certain.
   *
   * @throws LogGapError if it can't be read: nothing is known from here on, and the stream is taken up anew
   */
  record(entry: StreamEntry & { readonly body: string }, position: number): void
  /** Told once for each stretch that ends, and for each new reason why none begins. */
  lost(reason: TidemarkError): void
}

/**
 * Reads the stream record by record, each of which names its predecessor; takes it up again after a loss, without end, until it is
 * closed.
 */
export class StreamFollower {
  readonly #options: LineOptions
  readonly #clock: Clock
  readonly #handler: StreamHandler
  readonly #closing = new AbortController()
  #status: LogStatus = { state: 'connecting', reason: 'it was not asked to follow yet' }
  #running: Promise<void> | undefined
  #line: Line | undefined
  #lostCode: string | undefined
  #steadyFrom = Number.POSITIVE_INFINITY
  #cutFor: TidemarkError | undefined
  /** Where the last stretch ended, and in which history. */
  #place: Place | undefined
  #run = ''
  #epoch = ''

  constructor(options: LineOptions, handler: StreamHandler) {
    this.#options = options
    this.#clock = options.clock
    this.#handler = handler
  }

  get status(): LogStatus {
    return this.#closing.signal.aborted ? { state: 'closed', reason: 'the log was closed' } : this.#status
  }

  /** The history and the run of the server that are followed, and the last record that was handed over. */
  get at(): Pick<Look, 'run' | 'epoch' | 'newest'> | undefined {
    if (this.#status.state !== 'following' || !this.#place) return undefined
    return { run: this.#run, epoch: this.#epoch, newest: this.#place }
  }

  follow(): void {
    this.#running ??= this.#follow()
  }

  /** What is followed is not what it was: take it up anew. */
  cut(reason: TidemarkError): void {
    this.#cutFor = reason
    this.#line?.close()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#line?.close()
    await this.#running
  }

  async #follow(): Promise<void> {
    let waitMs = 0
    this.#status = { state: 'connecting', reason: 'it connects to Redis' }
    const { signal } = this.#closing
    while (!signal.aborted) {
      const reason = await this.#stretch()
      if (signal.aborted) return
      const isSteady = this.#clock.now() - this.#steadyFrom > STEADY_MS
      this.#steadyFrom = Number.POSITIVE_INFINITY
      this.#lost(reason)
      // The first time at once; then ever later, until a stretch has lasted.
      if (isSteady) waitMs = 0
      await pause(this.#clock, waitMs * (0.5 + this.#clock.random()), signal)
      waitMs = Math.min(waitMs * 2 || RETRY_FIRST_MS, RETRY_MAX_MS)
    }
  }

  /** From a connection to its loss. Never throws; returns why it ended. */
  async #stretch(): Promise<TidemarkError> {
    this.#cutFor = undefined
    try {
      this.#line = await Line.open(this.#options)
      if (!this.#hasToEnd) await this.#read(this.#line)
      return this.#cutFor ?? new ClosedError('The log was closed.')
    } catch (error) {
      return this.#cutFor ?? streamError(error)
    } finally {
      this.#line?.close()
      this.#line = undefined
    }
  }

  async #read(line: Line): Promise<void> {
    const look = await line.look(this.#place)
    // Another run of the server may have lost the newest records, whose readers can't be told.
    const isSame = look.run === this.#run && look.epoch === this.#epoch
    const place = this.#place && isSame && look.has(this.#place) ? this.#place : undefined
    this.#run = look.run
    this.#epoch = look.epoch
    this.#place = undefined
    const taken = await this.#handler.takeUp(line, look, place)
    if (this.#hasToEnd) return
    this.#place = taken.place
    this.#status = { state: 'following', reason: '' }
    this.#lostCode = undefined
    this.#steadyFrom = this.#clock.now()
    taken.tell()
    for (;;) {
      const entries = await line.read(this.#place.id, READ_COUNT, READ_WAIT_MS)
      for (const entry of entries) {
        if (this.#hasToEnd) return
        this.#place = this.#handOver(entry, this.#place)
      }
      if (this.#hasToEnd) return
      if (entries.length === 0) this.#check(await line.look(this.#place), this.#place)
    }
  }

  get #hasToEnd(): boolean {
    return this.#closing.signal.aborted || this.#cutFor !== undefined
  }

  #handOver(entry: StreamEntry, { id, token }: Place): Place {
    const { previous, epoch, body } = entry
    const position = positionOf(entry.id)
    // The place stays before what can't be read, so that the next stretch does not believe to resume behind it.
    if (epoch !== this.#epoch || position === undefined || previous.id !== id || previous.token !== token) {
      this.#place = undefined
      throw new LogGapError(
        epoch === this.#epoch
          ? 'The stream no longer has the records after those that this process applied; L1 was emptied. If this repeats, keep more of it (option `retain`).'
          : 'The stream was emptied, or somebody else writes into its key; L1 was emptied.',
      )
    }
    try {
      if (body === undefined) throw new LogGapError('The stream has a record without a body; L1 was emptied.')
      this.#handler.record({ ...entry, body }, position)
    } catch (error) {
      this.#place = undefined
      throw error
    }
    return { id: entry.id, token: entry.token }
  }

  /** Nothing came: is the newest record the one that was read last? */
  #check(look: Look, place: Place): void {
    if (look.run === this.#run && look.epoch === this.#epoch && look.has(place)) return
    throw new LogGapError(
      'The stream is not the one that was followed: it was emptied or put back to an earlier state. L1 was emptied.',
    )
  }

  #lost(reason: TidemarkError): void {
    const isNew = this.#status.state === 'following' || reason.code !== this.#lostCode
    this.#status = { state: 'lost', reason: `${reason.code}: ${reason.message}` }
    this.#lostCode = reason.code
    if (isNew) this.#handler.lost(reason)
  }
}
