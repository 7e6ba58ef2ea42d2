import type { Client, ClientConfig } from 'pg'
import {
  type Clock,
  type Log,
  type LogListener,
  type LogStatus,
  type Probe,
  type RequestedPosition,
  SourceDownError,
  systemClock,
  type TargetChange,
  type TidemarkError,
} from 'tidemark'
import { type ConnectionOptions, client, SqlConnection } from './connection.js'
import { PublicationError, startError } from './errors.js'
import { Stream } from './follower.js'
import { Heartbeat } from './heartbeat.js'
import { DDL_PREFIX, HEARTBEAT_PREFIX, Messages, TARGET_PREFIX } from './messages.js'
import { pause } from './pause.js'
import { createSlot, identify, isSameServer, ownTransaction, type Server, type Slot, slotWaits } from './slot.js'
import { type FollowedTable, Tables } from './tables.js'
import { type Transaction, TransactionReader } from './transaction.js'
import { Visibility } from './visibility.js'
import { widenXid } from './xid.js'

export interface WalLogOptions {
  /** The address of the server itself, not of a pooler. */
  readonly url: string
  readonly ssl?: ClientConfig['ssl']
  /** The publication that lists the tables that are followed. One for each application. Default `tidemark`. */
  readonly publication?: string
  /** How the connections appear in pg_stat_activity. Default `tidemark`. */
  readonly applicationName?: string
  /** Default 5,000. */
  readonly connectTimeoutMs?: number
  /** How long a query of our own may take before its connection is cut. Default 15,000; a probe 2,000. */
  readonly queryTimeoutMs?: number
  /** How often the server is told what was applied. Default 1,000. */
  readonly statusIntervalMs?: number
  /** How often the catalogue is looked at. Default 1,000; never more than a twentieth of the time goes into it. */
  readonly cataloguePollMs?: number
  /** A transaction of more rows than this is delivered as its tables. Default 10,000. */
  readonly rowsMax?: number
  /** The same for the bytes of its rows. Default 64 MiB. */
  readonly bytesMax?: number
  /** Shared by all processes of the application: messages without its HMAC can only drop. */
  readonly secret?: string
  /** Told once of each problem that does not stop the log, e.g. tables that the role may not publish. */
  readonly onProblem?: (problem: TidemarkError) => void
  readonly clock?: Clock
}

const SENDER_TIMEOUT_MS = 10_000
const SLOT_WAIT_MAX_MS = 600_000
const PROBE_TIMEOUT_MS = 2_000
const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 5_000
/** What only somebody can mend is tried again at leisure. */
const RETRY_SETTING_MS = 10_000
const STEADY_MS = 5_000
const BLIND_MAX_MS = 10_000
const LOOK_PAUSE_MS = 50

/**
 * PostgreSQL's WAL as a log: logical replication through a temporary slot of this process, by pgoutput.
 *
 * Three connections: the stream, the probe, and one for the rest. Nothing stays on the server but the publication: the slot
 * goes with its connection. After a lost connection a new slot begins at another place, so `lost` and `started` are called.
 */
export class WalLog implements Log {
  readonly #options: WalLogOptions
  readonly #connection: ConnectionOptions
  readonly #publication: string
  readonly #clock: Clock
  readonly #sql: SqlConnection
  readonly #probes: SqlConnection
  readonly #visibility: Visibility
  readonly #messages: Messages
  readonly #tables: Tables
  readonly #heartbeat: Heartbeat
  readonly #closing = new AbortController()
  readonly #told = new Set<string>()
  #status: LogStatus = { state: 'connecting', reason: 'it was not asked to follow yet' }
  #server: Server | undefined
  #slot: string | undefined
  #stream: Stream | undefined
  #running: Promise<void> | undefined
  #lookNow = (): void => {}
  #isLookWanted = false
  #ownTransaction: Promise<number> | undefined
  #replication: Client | undefined
  #startedAt = Number.NEGATIVE_INFINITY
  #lostCode: string | undefined

  constructor(options: WalLogOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#publication = options.publication ?? 'tidemark'
    this.#connection = {
      url: options.url,
      applicationName: options.applicationName ?? 'tidemark',
      connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
      ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
    }
    const queryMs = options.queryTimeoutMs ?? 15_000
    this.#sql = new SqlConnection(
      () => this.#connect({ statement_timeout: `${queryMs}`, lock_timeout: '2000' }),
      queryMs,
    )
    this.#probes = new SqlConnection(
      () => this.#connect({ statement_timeout: `${PROBE_TIMEOUT_MS}` }),
      PROBE_TIMEOUT_MS,
    )
    this.#visibility = new Visibility(this.#probes)
    this.#messages = new Messages(options.secret)
    this.#tables = new Tables(this.#sql, this.#visibility, this.#publication, (problem) => this.#tell(problem))
    this.#heartbeat = new Heartbeat(this.#clock, () => this.#emit(HEARTBEAT_PREFIX, ''))
  }

  follow(listener: LogListener): void {
    if (this.#running) return
    this.#running = this.#run(listener)
  }

  probe(): Promise<Probe> {
    return this.#visibility.probe()
  }

  nudge(): void {
    const stream = this.#stream
    if (!stream) return
    stream.tell(true)
    const isBehind = (): boolean =>
      stream === this.#stream && !stream.isInTransaction && stream.lsn < this.#visibility.flushed
    this.#heartbeat.watch(() => (isBehind() ? stream.lsn : undefined))
  }

  append(change: TargetChange): Promise<void> {
    return this.#emit(TARGET_PREFIX, this.#messages.target(change))
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    if (position.epoch !== undefined && position.epoch !== this.#server?.epoch) return false
    const writer = {
      ownTransaction: () => this.#writeOwn(),
      beat: () => this.#emit(HEARTBEAT_PREFIX, ''),
    }
    return this.#visibility.shows(position, writer, this.#clock, AbortSignal.any([signal, this.#closing.signal]))
  }

  status(): LogStatus {
    return this.#status
  }

  /** Messages under our prefixes that could not be read, so far. */
  get malformedMessages(): number {
    return this.#messages.malformed
  }

  /**
   * A table whose every change is delivered from now on; undefined for any other. What was read of a table may be kept only if
   * it was followed before the read began.
   *
   * @param table `schema.name`, each part quoted as quote_ident does
   */
  followed(table: string): FollowedTable | undefined {
    return this.#tables.followed(table)
  }

  /** Asks for a table to be followed: a query has read it. Nothing happens if it is, or can't be. */
  want(table: string): void {
    if (this.#tables.want(table)) this.#lookSoon()
  }

  /** Why a table is not followed, in words. */
  whyNotFollowed(table: string): string {
    return this.#status.state === 'following' ? this.#tables.whyNot(table) : 'the log is not followed now'
  }

  /** Resolves when the slot is gone from the server, or after 2 s. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#status = { state: 'closed', reason: 'the log was closed' }
    this.#heartbeat.stop()
    const bound = AbortSignal.timeout(2_000)
    await Promise.race([this.#endSlot(bound).catch(() => {}), pause(this.#clock, 2_000, bound)])
    await Promise.all([this.#sql.close(), this.#probes.close()])
    await this.#running
  }

  // ── taking up the log ──────────────────────────────────────────────────────────────────────────────────

  async #run(listener: LogListener): Promise<void> {
    let waitMs = RETRY_FIRST_MS
    while (!this.#closing.signal.aborted) {
      const reason = await this.#takeUp(listener)
      if (this.#closing.signal.aborted) return
      this.#lost(listener, reason)
      if (Number.isFinite(this.#startedAt) && this.#clock.now() - this.#startedAt > STEADY_MS) waitMs = RETRY_FIRST_MS
      this.#startedAt = Number.NEGATIVE_INFINITY
      const isSetting = reason.code !== 'TIDEMARK_LOG_GAP' && reason.code !== 'TIDEMARK_SOURCE_DOWN'
      await pause(
        this.#clock,
        (isSetting ? RETRY_SETTING_MS : waitMs) * (0.5 + this.#clock.random()),
        this.#closing.signal,
      )
      waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)
    }
  }

  /** One start, from the first connection to its loss. Never throws; returns why it ended. */
  async #takeUp(listener: LogListener): Promise<TidemarkError> {
    if (this.#status.state !== 'lost') this.#status = { state: 'connecting', reason: 'it connects to PostgreSQL' }
    const replication = client(
      this.#connection,
      {
        wal_sender_timeout: `${SENDER_TIMEOUT_MS}`,
        // Creating a slot waits for the transactions of others; statement_timeout does not bound replication commands.
        lock_timeout: `${SLOT_WAIT_MAX_MS}`,
      },
      true,
    )
    this.#replication = replication
    try {
      const slot = await this.#prepare(replication)
      return await this.#follow(replication, slot, listener)
    } catch (error) {
      return startError(error, 'start')
    } finally {
      this.#replication = undefined
      this.#stream = undefined
      this.#slot = undefined
      this.#tables.lost()
      this.#heartbeat.stop()
      await replication.end().catch(() => {})
    }
  }

  async #prepare(replication: Client): Promise<Slot> {
    const server = await this.#identify(replication)
    this.#server = server
    // The other connections may still be those to an earlier server, or to the one before a fail-over.
    await Promise.all([this.#sql.cut(), this.#probes.cut()])
    this.#visibility.forget()
    // In this order: a slot that is older than its publication fails for ever, or skips silently.
    await this.#tables.prepare(server.version)
    const slot = await this.#createSlot(replication, server)
    await this.#visibility.probe()
    this.#tables.slotCreated()
    return slot
  }

  async #identify(replication: Client): Promise<Server> {
    try {
      await replication.connect()
      return await identify(replication)
    } catch (error) {
      throw startError(error, 'replicate')
    }
  }

  async #createSlot(replication: Client, server: Server): Promise<Slot> {
    const waiting = new AbortController()
    const watch = async (): Promise<void> => {
      for (;;) {
        await pause(this.#clock, 300, waiting.signal)
        if (waiting.signal.aborted) return
        // A failed look says nothing; the slot's own outcome counts.
        const reason = await slotWaits(this.#probes, server.pid).catch(() => undefined)
        if (reason !== undefined && !waiting.signal.aborted) this.#status = { state: 'waiting', reason }
      }
    }
    const watching = watch()
    try {
      return await createSlot(replication, this.#sql)
    } finally {
      waiting.abort()
      await watching
    }
  }

  /** Streams until the connection is lost, and looks at the catalogue meanwhile. */
  async #follow(replication: Client, slot: Slot, listener: LogListener): Promise<TidemarkError> {
    this.#slot = slot.name
    const reader = new TransactionReader({
      rowsMax: this.#options.rowsMax ?? 10_000,
      bytesMax: this.#options.bytesMax ?? 64 * 2 ** 20,
      namesOf: (relation) => this.#tables.namesOf(relation),
      readMessage: (prefix, content) => this.#messages.read(prefix, content),
      redescribed: () => this.#lookSoon(),
    })
    const epoch = this.#server!.epoch
    const stream = new Stream(
      replication,
      slot.lsn,
      {
        slot: slot.name,
        publication: this.#publication,
        statusIntervalMs: this.#options.statusIntervalMs ?? 1_000,
        silenceMaxMs: 1.5 * SENDER_TIMEOUT_MS,
        clock: this.#clock,
      },
      reader,
      {
        started: () => {
          this.#stream = stream
          this.#startedAt = this.#clock.now()
          this.#lostCode = undefined
          this.#status = { state: 'following', reason: '' }
          listener.started({ epoch, lsn: slot.lsn, proof: slot.proof })
        },
        transaction: (transaction) => this.#deliver(transaction, listener),
        progress: (lsn) => listener.progress(lsn),
      },
    )
    stream.start()
    const watched = new AbortController()
    const watching = this.#watchCatalogue(stream, reader, watched.signal)
    const reason = await stream.ended
    watched.abort()
    await watching
    return reason
  }

  #deliver({ endLsn, xid, committedAt, changes }: Transaction, listener: LogListener): void {
    // Of a transaction that changed nothing that is followed, only its end counts.
    if (changes.length === 0) return listener.progress(endLsn)
    listener.commit({ lsn: endLsn, xid: widenXid(xid, this.#visibility.xmax), committedAt, changes })
  }

  #lost(listener: LogListener, reason: TidemarkError): void {
    const isNew = this.#status.state === 'following' || reason.code !== this.#lostCode
    this.#status = { state: 'lost', reason: `${reason.code}: ${reason.message}` }
    this.#lostCode = reason.code
    if (isNew) listener.lost(reason)
  }

  // ── the catalogue ──────────────────────────────────────────────────────────────────────────────────────

  /** DDL sends nothing: whoever sees that the catalogue changed writes it into the log, so that it has one position for all. */
  async #watchCatalogue(stream: Stream, reader: TransactionReader, signal: AbortSignal): Promise<void> {
    const everyMs = this.#options.cataloguePollMs ?? 1_000
    let unannounced: string | undefined
    let seenAt = this.#clock.now()
    let tookMs = 0
    while (!signal.aborted) {
      const isHasty = this.#tables.isSettling
      await this.#untilLook(Math.max(isHasty ? everyMs / 20 : everyMs, tookMs * 20), signal)
      if (signal.aborted) return
      this.#isLookWanted = false
      const beganAt = this.#clock.now()
      try {
        const change = await this.#tables.poll()
        reader.forgetNames()
        if (change.isPublicationGone) {
          return stream.cut(
            new PublicationError(`The publication "${this.#publication}" was dropped; changes meanwhile are lost.`),
          )
        }
        const isAnnounced = change.schema !== undefined && change.schema === this.#messages.announcedCatalogue
        if (change.hasLost || (change.schema !== undefined && !isAnnounced))
          unannounced = change.schema ?? 'publication'
        if (unannounced !== undefined) await this.#emit(DDL_PREFIX, this.#messages.ddl(unannounced))
        unannounced = undefined
        seenAt = this.#clock.now()
      } catch (error) {
        // Without looks, changes of the catalogue would go unseen for longer than is promised.
        if (this.#clock.now() - seenAt > BLIND_MAX_MS) return stream.cut(error)
      }
      tookMs = this.#clock.now() - beganAt
    }
  }

  /** Waits for the next look; somebody who asks for one gets it sooner. */
  async #untilLook(ms: number, signal: AbortSignal): Promise<void> {
    const look = new AbortController()
    this.#lookNow = () => look.abort()
    if (this.#isLookWanted) look.abort()
    await pause(this.#clock, Math.min(ms, LOOK_PAUSE_MS), signal)
    await pause(this.#clock, ms - LOOK_PAUSE_MS, AbortSignal.any([signal, look.signal]))
  }

  #lookSoon(): void {
    this.#isLookWanted = true
    this.#lookNow()
  }

  // ── inside ─────────────────────────────────────────────────────────────────────────────────────────────

  async #emit(prefix: string, content: string): Promise<void> {
    await this.#sql.rows('select pg_logical_emit_message(true, $1, $2)', [prefix, content])
  }

  /** A connection for SQL, to the server that is followed and no other. */
  async #connect(settings: Readonly<Record<string, string>>): Promise<Client> {
    const made = client(this.#connection, settings)
    try {
      await made.connect()
      if (this.#server && !(await isSameServer(made, this.#server))) {
        throw new SourceDownError(
          'The address answers as another server, or another run of it, than the one that is followed.',
        )
      }
      return made
    } catch (error) {
      await made.end().catch(() => {})
      throw startError(error, 'connect')
    }
  }

  async #endSlot(signal: AbortSignal): Promise<void> {
    const slot = this.#slot
    // While it creates a slot it waits for others' transactions, and would not notice that we left.
    if (!slot && this.#server) await this.#sql.rows('select pg_terminate_backend($1)', [this.#server.pid])
    if (this.#replication) cutOff(this.#replication)
    while (slot && !signal.aborted) {
      const rows = await this.#sql.rows('select from pg_replication_slots where slot_name = $1', [slot])
      if (rows.length === 0) return
      await pause(this.#clock, 5, signal)
    }
  }

  /** Those who ask before it is sent share one. */
  #writeOwn(): Promise<number> {
    if (this.#ownTransaction) return this.#ownTransaction
    const sent = (): void => {
      if (this.#ownTransaction === own) this.#ownTransaction = undefined
    }
    const own = this.#sql.use((client) => {
      sent()
      return ownTransaction(client)
    })
    this.#ownTransaction = own
    own.catch(sent)
    return own
  }

  #tell(problem: TidemarkError): void {
    if (this.#told.has(problem.message)) return
    this.#told.add(problem.message)
    this.#options.onProblem?.(problem)
  }
}

function cutOff(client: Client): void {
  client.connection.stream.destroy()
}
