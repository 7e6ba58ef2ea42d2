import {
  type Clock,
  type Log,
  type LogListener,
  type LogStatus,
  type Probe,
  RelayReader,
  type RelayRecord,
  type RelaySource,
  type RequestedPosition,
  type TargetChange,
} from 'tidemark'
import { unattributed } from './changes.js'
import { StreamFollower, type TakenUp } from './follower.js'
import type { Line, LineOptions, Look, Place, StreamEntry } from './line.js'
import { decodeRelayRecord } from './relay-record.js'
import type { Seals } from './seal.js'

const SCAN_COUNT = 200
/** So many records are searched for the place where all can be seen, or for the one at which this process was. */
const SCAN_MAX = 20_000
/** So long the log may stand short of what was flushed before it is helped on. */
const STALL_MS = 50

/** The log of a follower: the leader's, out of the stream, whose records say what is missing (`RelayReader`). */
export class RelayedLog implements Log {
  readonly #source: RelaySource
  readonly #seals: Seals
  readonly #clock: Clock
  readonly #follower: StreamFollower
  readonly #reader: RelayReader
  #listener: LogListener | undefined
  #beating: { cancel(): void } | undefined
  #isClosed = false

  constructor(source: RelaySource, options: LineOptions, seals: Seals) {
    this.#source = source
    this.#seals = seals
    this.#clock = options.clock
    this.#reader = new RelayReader({
      source,
      listener: () => this.#listener,
      cut: (reason) => this.#follower.cut(reason),
    })
    this.#follower = new StreamFollower(options, {
      takeUp: (line, look, place) => this.#takeUp(line, look, place),
      record: (entry) => this.#read(entry),
      lost: (reason) => this.#listener?.lost(reason),
    })
  }

  get name(): string | undefined {
    return this.#reader.name
  }

  follow(listener: LogListener): void {
    this.#listener ??= listener
    this.#follower.follow()
  }

  probe(): Promise<Probe> {
    return this.#source.probe()
  }

  /** The leader relays what it reads: where nothing comes, something that is written now is sure to, and lies past all that is flushed. */
  nudge(): void {
    if (this.#beating || this.#isClosed) return
    const before = this.#reader.position
    this.#beating = this.#clock.after(STALL_MS, () => {
      this.#beating = undefined
      // While it moves it is busy, not stalled.
      if (this.#reader.position === before) void this.#source.beat().catch(() => {})
    })
  }

  append(change: TargetChange): Promise<void> {
    return this.#source.append(change)
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    if (position.epoch !== undefined && position.epoch !== this.#reader.epoch) return false
    return this.#source.visible(position, signal)
  }

  status(): LogStatus {
    return this.#follower.status
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#beating?.cancel()
    await Promise.all([this.#follower.close(), this.#source.close()])
  }

  // ── taking it up ───────────────────────────────────────────────────────────────────────────────────────

  async #takeUp(line: Line, look: Look, place: Place | undefined): Promise<TakenUp> {
    // All that follows the place is there: it is read on from, however much that is.
    if (place && this.#reader.position !== undefined) return { place, tell: await this.#reader.takeUp(nothingYet()) }
    return { place: look.newest, tell: await this.#reader.takeUp(this.#back(line)) }
  }

  /** Ours, from the newest back. */
  async *#back(line: Line): AsyncGenerator<RelayRecord> {
    let before: string | undefined
    for (let seen = 0; seen < SCAN_MAX; ) {
      const entries = await line.readBack(before, SCAN_COUNT)
      for (const entry of entries) {
        const record = this.#decode(entry)
        // One that can't be read is missing: what is older is of no use then, as the positions show.
        if (record && record !== 'unreadable') yield record
      }
      seen += entries.length
      before = entries.at(-1)?.id
      if (entries.length < SCAN_COUNT) return
    }
  }

  // ── records ────────────────────────────────────────────────────────────────────────────────────────────

  #read(entry: StreamEntry): void {
    const record = this.#decode(entry)
    if (record === 'unreadable') throw this.#reader.gap(UNREADABLE)
    if (record) this.#reader.read(record)
  }

  #decode(entry: StreamEntry): RelayRecord | 'unreadable' | undefined {
    const { token, body, seal } = entry
    if (body === undefined || (this.#seals.hasSecret && !this.#seals.isSealed({ token, body, seal }))) return undefined
    const record = decodeRelayRecord(body)
    if (this.#seals.hasSecret || !record || record === 'unreadable' || !record.commit) return record
    // Anybody who can write into Redis may have relayed it: it names nobody.
    return { ...record, commit: { ...record.commit, changes: record.commit.changes.map(unattributed) } }
  }
}

async function* nothingYet(): AsyncGenerator<RelayRecord> {}

const UNREADABLE =
  'The leader is of a version whose records cannot be read here; L1 was emptied. Answers come from the source until this process is updated.'
