import type { Client } from 'pg'
import { type Clock, LogGapError, type LogListener, type TidemarkError } from 'tidemark'
import { CatalogueWatch } from './catalogue-watch.js'
import type { ConnectionOptions, SqlConnection } from './connection.js'
import { sqlState } from './errors.js'
import { Stream } from './follower.js'
import type { Holds } from './holds.js'
import { type FollowedThrough, LossWatch } from './loss-watch.js'
import type { Mark, Marks } from './marks.js'
import { needsMessageTable } from './message-table.js'
import { DDL_PREFIX, MARK_PREFIX, type Messages } from './messages.js'
import { netOf } from './net.js'
import { pause } from './pause.js'
import { ProvenPlace } from './proven-place.js'
import { type Recording, type Stretch, WantedAgainError } from './recording.js'
import { connectReplication, replicationClient, SENDER_TIMEOUT_MS, type Server } from './server.js'
import type { SharedSlot, SlotLook } from './shared-slot.js'
import type { Slot } from './slot.js'
import { gaveUp, SlotWatch } from './slot-watch.js'
import type { Tables, TablesMark } from './tables.js'
import { type Transaction, TransactionReader } from './transaction.js'
import type { Visibility } from './visibility.js'
import type { Writer } from './writer.js'
import { widenXid } from './xid.js'

const REACH_LOOK_MS = 20
/** So long the log may take to deliver again what was expected of it. */
const EXPECT_MS = 10_000

export interface FollowingOptions {
  readonly connection: ConnectionOptions
  /** For questions that must not wait behind dear ones. */
  readonly probes: SqlConnection
  readonly server: Server
  readonly publication: string
  readonly tables: Tables
  readonly messages: Messages
  readonly writer: Writer
  readonly visibility: Visibility
  readonly shared: SharedSlot | undefined
  readonly holds: Holds
  readonly marks: Marks
  /** The log has to deliver it again before anything is handed over: else its history is another one. */
  readonly expected: Mark | undefined
  readonly recording: Recording | undefined
  readonly statusIntervalMs: number
  readonly cataloguePollMs: number
  readonly rowsMax: number
  readonly bytesMax: number
  readonly clock: Clock
  tell(problem: TidemarkError): void
}

/** Where a process stands in the log when it loses it. */
export interface Place {
  readonly epoch: string
  /** All up to here was delivered. */
  readonly lsn: number
  readonly tables: TablesMark
}

/** How a stretch of following ended. */
interface Ended {
  readonly reason: TidemarkError
  /** undefined where it can't be gone on from. */
  readonly place: Place | undefined
  /** The shared slot is of no use any more. */
  readonly isUnreadable: boolean
}

/** What is told while the log is followed. */
export interface FollowingListener extends Pick<LogListener, 'commit' | 'progress'> {
  /** The server streams, and what was expected of it came; nothing was handed over yet. */
  started(): void
  /** At once when the last stream ends; what else has to end may take its time. */
  lost(reason: TidemarkError): void
}

/**
 * One stretch of following the log: from the start of a stream until it is lost, with all that is looked at meanwhile. If the shared
 * slot becomes free, the stream is handed over from the temporary slot to it, and nothing shows of that.
 */
export class Following {
  readonly #options: FollowingOptions
  readonly #listener: FollowingListener
  readonly #watch: CatalogueWatch
  #client: Client
  #slot: string
  /** How far the slot that it began with is proven, where processes share one: that is made as a copy of it. */
  readonly #proven: ProvenPlace | undefined
  /** The same of the slot that it follows through now. */
  #acknowledged: ProvenPlace | undefined
  #reader!: TransactionReader
  #stream: Stream
  #successor: { readonly client: Client; readonly stream: Stream } | undefined
  /** A connection on which the shared slot is being taken over. */
  #taking: Client | undefined

  #expected: Mark | undefined
  /** Of the transaction that is being read. */
  #token: string | undefined

  constructor(client: Client, slot: Slot, options: FollowingOptions, listener: FollowingListener) {
    this.#options = options
    this.#listener = listener
    this.#client = client
    this.#slot = slot.name
    this.#expected = options.expected
    const { tables, messages, writer, publication, cataloguePollMs, clock } = options
    this.#watch = new CatalogueWatch({
      tables,
      messages,
      writer,
      publication,
      everyMs: cataloguePollMs,
      clock,
      looked: () => this.#reader.forgetNames(),
    })
    this.#proven = options.shared && this.#newProven(slot)
    this.#acknowledged = this.#proven
    this.#stream = this.#open(client, slot, this.#proven, () => {
      if (!this.#expected) listener.started()
    })
  }

  get stream(): Stream {
    return this.#stream
  }

  get slot(): string {
    return this.#slot
  }

  get holdsShared(): boolean {
    return this.#slot === this.#options.shared?.name
  }

  /** Look at the catalogue soon. */
  soon(): void {
    this.#watch.soon()
  }

  /** Streams until the log is lost. */
  async run(): Promise<Ended> {
    this.#stream.start()
    const ended = new AbortController()
    const watching = this.#watch.run(ended.signal).then((reason) => reason && this.#stream.cut(reason))
    const watchingLoss = this.#watchLoss(ended.signal)
    const watchingSlot = this.#watchSlot(ended.signal)
    const marking = this.#options.marks.run(() => this.holdsShared && !this.#expected, ended.signal)
    const expecting = this.#awaitExpected(ended.signal)
    let reason = await this.#stream.ended
    while (this.#successor) {
      const before = this.#client
      this.#client = this.#successor.client
      this.#successor = undefined
      void before.end().catch(() => {})
      reason = await this.#stream.ended
    }
    this.#listener.lost(reason)
    ended.abort()
    await Promise.all([watching, watchingLoss, watchingSlot, marking, expecting])
    const { epoch } = this.#options.server
    const { mark } = this.#watch
    const { isBroken, lsn } = this.#stream
    // The slot would send again what could not be read, for ever; or can't read a publication that is younger than it.
    const isUnreadable = this.holdsShared && (isBroken || sqlState(reason.cause) === '42704')
    return { reason, place: mark && !isBroken ? { epoch, lsn, tables: mark } : undefined, isUnreadable }
  }

  /** What the shared slot waits for before it is moved on. */
  get waitsFor(): readonly string[] {
    return this.#acknowledged?.waitsFor ?? []
  }

  #newProven({ proof }: Slot): ProvenPlace {
    const { visibility, holds } = this.#options
    return new ProvenPlace(visibility, proof, holds.waiting())
  }

  /** Cuts the connections. */
  cut(): void {
    for (const client of [this.#client, this.#successor?.client, this.#taking]) client?.connection.stream.destroy()
  }

  #open(
    client: Client,
    { name: slot, lsn, sentFrom = lsn }: Slot,
    proven: ProvenPlace | undefined,
    started: (stream: Stream) => void,
  ): Stream {
    const { recording, shared } = this.#options
    const isRecorded = recording && slot === shared?.name
    let stretch: Stretch | undefined
    let release: (() => void) | undefined
    const { rowsMax, bytesMax, tables, messages, publication, statusIntervalMs, clock } = this.#options
    const reader = new TransactionReader({
      rowsMax,
      bytesMax,
      namesOf: (relation) => tables.namesOf(relation),
      hasMessageTable: needsMessageTable(this.#options.server.version),
      readMessage: (prefix, content) => {
        // Another process saw a change of the catalogue: this one looks what it is.
        if (prefix === DDL_PREFIX) this.#watch.soon()
        if (prefix === MARK_PREFIX) this.#token = content.toString()
        return messages.read(prefix, content, tables.definitions)
      },
      redescribed: () => this.#watch.soon(),
    })
    this.#reader ??= reader
    const stream: Stream = new Stream(
      client,
      lsn,
      {
        slot,
        publication,
        version: this.#options.server.version,
        statusIntervalMs,
        silenceMaxMs: SENDER_TIMEOUT_MS,
        clock,
        proven,
      },
      reader,
      {
        started: () => {
          this.#reader = reader
          reader.forgetNames()
          const { epoch } = this.#options.server
          const again = (reason: string): void => stream.cut(new WantedAgainError(reason))
          if (isRecorded) {
            const begun = recording.begin({ slot, epoch, from: sentFrom, again })
            stretch = begun
            release = this.#options.holds.add({ name: 'journal', upTo: () => begun.covered, isBounded: false })
          }
          started(stream)
        },
        transaction: (transaction) => {
          if (this.#isMissing()) return
          this.#marked(transaction, proven)
          // First: what it does here is a later record.
          stretch?.committed(transaction)
          this.#deliver(transaction)
        },
        again: (transaction) => {
          stretch?.committed(transaction)
          if (this.#marked(transaction, proven) !== this.#expected || !this.#expected) return
          this.#expected = undefined
          this.#listener.started()
        },
        progress: (lsn) => {
          if (this.#isMissing()) return
          this.#listener.progress(lsn)
          stretch?.passed(lsn)
        },
      },
    )
    void stream.ended.then(() => {
      proven?.end()
      stretch?.end()
      release?.()
    })
    return stream
  }

  /** A mark of this process, if the transaction is one: until there is a newer one it must come again to whoever takes up the slot. */
  #marked({ endLsn }: Transaction, proven: ProvenPlace | undefined): Mark | undefined {
    const token = this.#token
    this.#token = undefined
    const { marks } = this.#options
    const mark = token === undefined ? undefined : marks.delivered(token, endLsn)
    if (mark) proven?.mark(() => marks.newest === mark)
    return mark
  }

  /** A log that ends before the place of what was expected would never get there. */
  async #awaitExpected(signal: AbortSignal): Promise<void> {
    if (!this.#expected) return
    await pause(this.#options.clock, EXPECT_MS, signal)
    if (!signal.aborted) this.#isMissing()
  }

  /** Whether the log has passed by the place of what was expected: its history is another one. */
  #isMissing(): boolean {
    if (!this.#expected) return false
    this.#options.marks.forget()
    this.#stream.cut(
      new LogGapError(
        'The server was restarted, and its log does not hold what it held before (files were replaced by older ones), so what was kept is not believed.',
      ),
    )
    return true
  }

  #deliver({ endLsn, xid, committedAt, changes }: Transaction): void {
    // Of a transaction that changed nothing that is followed, only its end counts.
    if (changes.length === 0) return this.#listener.progress(endLsn)
    const { visibility } = this.#options
    this.#listener.commit({ lsn: endLsn, xid: widenXid(xid, visibility.xmax), committedAt, changes: netOf(changes) })
  }

  async #watchLoss(signal: AbortSignal): Promise<void> {
    const { probes, publication, tables, clock } = this.#options
    const followed = (): FollowedThrough | undefined =>
      tables.publicationOid === undefined ? undefined : { slot: this.#slot, publication: tables.publicationOid }
    const reason = await new LossWatch({ sql: probes, clock, publicationName: publication, followed }).run(signal)
    if (reason) this.#stream.cut(reason)
  }

  // ── the shared slot ────────────────────────────────────────────────────────────────────────────────────

  async #watchSlot(signal: AbortSignal): Promise<void> {
    const { shared: slot, clock, tell } = this.#options
    if (!slot) return
    const giveUp = (reason: string): void => this.#stream.cut(new LogGapError(gaveUp(slot.name, reason).message))
    const take = (look: SlotLook): Promise<void> => this.#take(slot, look, signal)
    await new SlotWatch({ slot, clock, holds: () => this.holdsShared, take, giveUp, tell }).run(signal)
  }

  /**
   * Takes the slot over, while the temporary one goes on. The two overlap: the slot delivers every commit after its place, and it is
   * switched to once this process has applied all up to there. What it delivers again is skipped. One that is missing is made first, once
   * all before the temporary one was seen.
   */
  async #take(slot: SharedSlot, look: SlotLook, signal: AbortSignal): Promise<void> {
    const { connection, server, clock } = this.#options
    const isMissing = look.state === 'missing'
    if (isMissing && !this.#proven?.isStartSeen) return
    const client = replicationClient(connection)
    this.#taking = client
    const cut = (): void => void client.connection.stream.destroy()
    signal.addEventListener('abort', cut, { once: true })
    let isTaken = false
    try {
      if ((await connectReplication(client)).epoch !== server.epoch) return
      const lsn = isMissing ? await slot.copy(this.#slot) : look.lsn
      if (lsn === undefined) return
      while (this.#stream.lsn < lsn && !signal.aborted) {
        this.#stream.tell(true)
        await pause(clock, REACH_LOOK_MS, signal)
      }
      isTaken = !signal.aborted && (await this.#handOver(client, { name: slot.name, lsn, proof: { kind: 'visible' } }))
    } finally {
      this.#taking = undefined
      signal.removeEventListener('abort', cut)
      if (!isTaken) await client.end().catch(() => {})
    }
  }

  /** Resolves true once the new stream has taken the old one's place; false if the slot was not to be had. */
  async #handOver(client: Client, slot: Slot): Promise<boolean> {
    const old = this.#stream
    const proven = this.#newProven(slot)
    return new Promise((resolve) => {
      const next = this.#open(client, slot, proven, (stream) => {
        if (this.#stream !== old || old.hasEnded) return stream.cut(new Error('The log was lost meanwhile.'))
        stream.skipTo(old.lsn)
        this.#successor = { client, stream }
        this.#stream = stream
        this.#slot = slot.name
        this.#acknowledged = proven
        old.cut(new Error('The shared slot was taken over.'))
        resolve(true)
      })
      void next.ended.then(() => resolve(false))
      next.start()
    })
  }
}
