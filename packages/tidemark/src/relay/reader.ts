import { LogGapError, SourceDownError, type TidemarkError } from '../errors.js'
import type { LogListener, StartProof } from '../log/log.js'
import type { RelaySource } from '../log/relay.js'
import type { RelayRecord } from './record.js'
import { relayRules } from './rules.js'
import { type RelayStart, StartSearch } from './start.js'

export interface RelayReaderOptions {
  readonly source: Pick<RelaySource, 'pin' | 'ownTransaction'>
  /** Told what the relay says, from when it is taken up on. */
  listener(): LogListener | undefined
  /** What is followed is not what it was: the relay is to be taken up anew. */
  cut(reason: TidemarkError): void
}

/**
 * A follower's place in what a leader relays, whatever carries it. The positions in the records say what is missing: after a restart, a
 * flush or an old backup of what carries them it goes on if the next record begins at or before its place. Clocks and terms decide nothing,
 * so two leaders at once, records that come twice, and an old leader that wakes up do no harm.
 */
export class RelayReader {
  readonly #options: RelayReaderOptions
  #epoch: string | undefined
  #name: string | undefined
  /** All up to here was delivered; undefined where it has to begin anew. */
  #position: number | undefined
  /** Logs that are not this process's, and why: the last words of a leader on another server, or of one that follows other tables. */
  readonly #refused = new Map<string, string>()

  constructor(options: RelayReaderOptions) {
    this.#options = options
  }

  /** The history that is followed. */
  get epoch(): string | undefined {
    return this.#epoch
  }

  get name(): string | undefined {
    return this.#name
  }

  get position(): number | undefined {
    return this.#position
  }

  /**
   * Takes the relay up, where it was left or anew.
   *
   * @param back  all records, from the newest back
   * @returns tells the listener, and applies what was relayed since; throws as `read` does
   * @throws SourceDownError (`TIDEMARK_SOURCE_DOWN`) while nobody relays this process's log
   */
  async takeUp(back: AsyncIterable<RelayRecord>): Promise<() => void> {
    this.#refused.clear()
    if (this.#position !== undefined) {
      const since = await this.#readSince(back, this.#position)
      return () => this.#goOn(since)
    }
    const search = await this.#search(back)
    const { start, end } = search
    if (start) return () => this.#begin(start, { kind: 'visible' })
    // What lies before the end may be hidden still; but all that has a lower transaction id than one of ours, written now.
    const xid = await this.#options.source.ownTransaction()
    return () => this.#begin({ lsn: end!, records: [] }, { kind: 'xmin', xid })
  }

  /**
   * The next record.
   *
   * @throws LogGapError (`TIDEMARK_LOG_GAP`) if it begins behind this place, or is of another history: the relay is to be taken up anew
   */
  read(record: RelayRecord): void {
    // What is not ours is missing: if it told of anything, the next record begins behind this place.
    if (this.#refused.size > 0 && this.#refused.has(logOf(record))) return
    if (record.epoch !== this.#epoch) throw this.gap('The source has another history now; L1 was emptied.')
    // A leader that follows other tables: what it leaves out says nothing about ours.
    if (!this.#isOurs(record)) return
    this.#apply(record)
  }

  /** From here on nothing is known: the next start is anew. */
  gap(text: string): LogGapError {
    this.#position = undefined
    return new LogGapError(text)
  }

  // ── taking it up ───────────────────────────────────────────────────────────────────────────────────────

  /** The records that may follow a place, oldest first. Whether they do shows when they are applied. */
  async #readSince(back: AsyncIterable<RelayRecord>, position: number): Promise<RelayRecord[]> {
    const records: RelayRecord[] = []
    for await (const record of back) {
      if (!this.#isOurs(record)) continue
      records.push(record)
      if (record.from <= position) break
    }
    return records.reverse()
  }

  async #search(back: AsyncIterable<RelayRecord>): Promise<StartSearch> {
    const search = new StartSearch()
    this.#epoch = undefined
    this.#name = undefined
    for await (const record of back) {
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
    const foreign = await this.#options.source.pin(epoch, name, (reason) => this.#broke(reason))
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
    this.#options.cut(reason)
  }

  // ── records ────────────────────────────────────────────────────────────────────────────────────────────

  #begin({ lsn, records }: RelayStart, proof: StartProof): void {
    this.#position = lsn
    this.#options.listener()?.started({ epoch: this.#epoch!, lsn, proof })
    for (const record of records) this.#apply(record)
  }

  #goOn(since: readonly RelayRecord[]): void {
    const first = since.find(({ to }) => to > this.#position!)
    if (first) this.#mustFollow(first)
    this.#options.listener()?.resumed({ epoch: this.#epoch! })
    this.#position = relayRules.resumesAt(this.#position!, since)
    for (const record of since) this.#apply(record)
  }

  #apply(record: RelayRecord): void {
    const { to, commit } = record
    if (to <= this.#position!) return
    this.#mustFollow(record)
    this.#position = to
    const listener = this.#options.listener()
    if (!commit) return listener?.progress(to)
    const { xid, committedAt, changes } = commit
    listener?.commit({ lsn: to, xid, committedAt, changes })
  }

  #mustFollow({ from }: RelayRecord): void {
    if (relayRules.isGap(this.#position!, from))
      throw this.gap('The relay no longer has what follows the position of this process; L1 was emptied.')
  }
}

/** Names a log: positions of one say nothing about another. */
function logOf({ epoch, name }: RelayRecord): string {
  return JSON.stringify([epoch, name])
}
