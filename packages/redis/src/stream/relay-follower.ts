import {
  type Clock,
  type Log,
  LogGapError,
  type LogListener,
  type LogStatus,
  type Probe,
  type RelaySource,
  type RequestedPosition,
  SourceDownError,
  type StartProof,
  type TargetChange,
  type TidemarkError,
} from 'tidemark'
import { unattributed } from './changes.js'
import { StreamFollower, type TakenUp } from './follower.js'
import type { Line, LineOptions, Look, StreamEntry } from './line.js'
import { decodeRelayRecord, type RelayRecord } from './relay-record.js'
import { type RelayStart, StartSearch } from './relay-start.js'
import type { Seals } from './seal.js'

const SCAN_COUNT = 200
/** So many records are searched for the place where all can be seen, or for the one at which this process was. */
const SCAN_MAX = 20_000
/** So long the log may stand short of what was flushed before it is helped on. */
const STALL_MS = 50

/**
 * The log of a follower: the leader's, out of the stream. The positions in the records say what is missing, whatever happened to Redis: after a
 * restart, a flush or an old backup it goes on if the next record begins at or before its place.
 */
export class RelayedLog implements Log {
  readonly #source: RelaySource
  readonly #seals: Seals
  readonly #clock: Clock
  readonly #follower: StreamFollower
  #listener: LogListener | undefined
  #epoch: string | undefined
  #name: string | undefined
  /** All up to here was delivered; undefined where it has to begin anew. */
  #position: number | undefined
  /** Logs that are not this process's, and why: the last words of a leader on another server, or of one that follows other tables. */
  readonly #refused = new Map<string, string>()
  #beating: { cancel(): void } | undefined
  #isClosed = false

  constructor(source: RelaySource, options: LineOptions, seals: Seals) {
    this.#source = source
    this.#seals = seals
    this.#clock = options.clock
    this.#follower = new StreamFollower(options, {
      takeUp: (line, look) => this.#takeUp(line, look),
      record: (entry) => this.#read(entry),
      lost: (reason) => this.#listener?.lost(reason),
    })
  }

  get name(): string | undefined {
    return this.#name
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
    const before = this.#position
    this.#beating = this.#clock.after(STALL_MS, () => {
      this.#beating = undefined
      // While it moves it is busy, not stalled.
      if (this.#position === before) void this.#source.beat().catch(() => {})
    })
  }

  append(change: TargetChange): Promise<void> {
    return this.#source.append(change)
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    if (position.epoch !== undefined && position.epoch !== this.#epoch) return false
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

  async #takeUp(line: Line, look: Look): Promise<TakenUp> {
    this.#refused.clear()
    const place = look.newest
    if (this.#position !== undefined) {
      const since = await this.#readSince(line, this.#position)
      return { place, tell: () => this.#goOn(since) }
    }
    const search = await this.#search(line)
    const { start, end } = search
    if (start) return { place, tell: () => this.#begin(start, { kind: 'visible' }) }
    // What lies before the end may be hidden still; but all that has a lower transaction id than one of ours, written now.
    const xid = await this.#source.ownTransaction()
    return { place, tell: () => this.#begin({ lsn: end!, records: [] }, { kind: 'xmin', xid }) }
  }

  /** The records that may follow a place, oldest first. Whether they do shows when they are applied. */
  async #readSince(line: Line, position: number): Promise<RelayRecord[]> {
    const records: RelayRecord[] = []
    for await (const record of this.#back(line)) {
      if (!this.#isOurs(record)) continue
      records.push(record)
      if (record.from <= position) break
    }
    return records.reverse()
  }

  async #search(line: Line): Promise<StartSearch> {
    const search = new StartSearch()
    this.#epoch = undefined
    this.#name = undefined
    for await (const record of this.#back(line)) {
      if (this.#epoch === undefined) await this.#pin(record)
      if (this.#isOurs(record) && search.add(record)) break
    }
    if (search.end === undefined) {
      const [foreign] = this.#refused.values()
      throw new SourceDownError(
        foreign === undefined
          ? 'No leader relays the log of this source. It is tried again; start a process that holds the shared slot.'
          : `The stream has a log that is not this process's: ${foreign}. It is tried again.`,
      )
    }
    return search
  }

  async #pin(record: RelayRecord): Promise<void> {
    const { epoch, name } = record
    if (this.#refused.has(logOf(record))) return
    const foreign = await this.#source.pin(epoch, name, (reason) => this.#broke(reason))
    if (foreign === undefined) {
      this.#epoch = epoch
      this.#name = name
    } else this.#refused.set(logOf(record), foreign)
  }

  #isOurs({ epoch, name }: RelayRecord): boolean {
    return this.#epoch !== undefined && epoch === this.#epoch && name === this.#name
  }

  #broke(reason: TidemarkError): void {
    this.#position = undefined
    this.#follower.cut(reason)
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

  #begin({ lsn, records }: RelayStart, proof: StartProof): void {
    this.#position = lsn
    this.#listener?.started({ epoch: this.#epoch!, lsn, proof })
    for (const record of records) this.#apply(record)
  }

  #goOn(since: readonly RelayRecord[]): void {
    const first = since.find(({ to }) => to > this.#position!)
    if (first) this.#mustFollow(first)
    this.#listener?.resumed({ epoch: this.#epoch! })
    for (const record of since) this.#apply(record)
  }

  #read(entry: StreamEntry): void {
    const record = this.#decode(entry)
    if (record === 'unreadable') throw this.#gap(UNREADABLE)
    // What is not ours is missing: if it told of anything, the next record begins behind this place.
    if (!record || this.#refused.has(logOf(record))) return
    if (record.epoch !== this.#epoch) throw this.#gap('The source has another history now; L1 was emptied.')
    // A leader that follows other tables: what it leaves out says nothing about ours.
    if (!this.#isOurs(record)) return
    this.#apply(record)
  }

  #apply(record: RelayRecord): void {
    const { to, commit } = record
    if (to <= this.#position!) return
    this.#mustFollow(record)
    this.#position = to
    if (commit) this.#listener?.commit({ ...commit, lsn: to })
    else this.#listener?.progress(to)
  }

  #mustFollow({ from }: RelayRecord): void {
    if (from > this.#position!)
      throw this.#gap('The relay no longer has what follows the position of this process; L1 was emptied.')
  }

  #gap(text: string): LogGapError {
    this.#position = undefined
    return new LogGapError(text)
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

/** Names a log: positions of one say nothing about another. */
function logOf({ epoch, name }: RelayRecord): string {
  return JSON.stringify([epoch, name])
}

const UNREADABLE =
  'The leader is of a version whose records cannot be read here; L1 was emptied. Answers come from the source until this process is updated.'
