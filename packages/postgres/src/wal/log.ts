import type { Client, ClientConfig } from 'pg'
import {
  type Clock,
  type Log,
  type LogListener,
  type LogStatus,
  type Probe,
  type RequestedPosition,
  systemClock,
  type TargetChange,
  type TidemarkError,
} from 'tidemark'
import { CatalogueWatch } from './catalogue-watch.js'
import { type ConnectionOptions, SqlConnection } from './connection.js'
import { startError } from './errors.js'
import { Stream } from './follower.js'
import { Heartbeat } from './heartbeat.js'
import { DDL_PREFIX, Messages, TARGET_PREFIX } from './messages.js'
import { pause } from './pause.js'
import {
  connectReplication,
  connectSql,
  endWalsender,
  isSameServer,
  replicationClient,
  SENDER_TIMEOUT_MS,
  type Server,
} from './server.js'
import { createSlot, type Slot, watchSlotWait } from './slot.js'
import { type FollowedTable, Tables } from './tables.js'
import { type Transaction, TransactionReader } from './transaction.js'
import { Visibility } from './visibility.js'
import { Writer } from './writer.js'
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

const PROBE_TIMEOUT_MS = 2_000
/** More than deadlock_timeout, at which an autovacuum gives way. */
const LOCK_TIMEOUT = '2s'
const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 5_000
/** What only somebody can mend is tried again at leisure. */
const RETRY_SETTING_MS = 5_000
const STEADY_MS = 5_000

/**
 * PostgreSQL's WAL as a log: logical replication through a temporary slot of this process, by pgoutput.
 *
 * Three connections: the stream, the probe, and one for the catalogue; a fourth once something is written. Nothing stays on the server but the publication: the slot
 * goes with its connection. After a lost connection a new slot begins at another place, so `lost` and `started` are called.
 */
export class WalLog implements Log {
  readonly #options: WalLogOptions
  readonly #connection: ConnectionOptions
  readonly #publication: string
  readonly #clock: Clock
  readonly #sql: SqlConnection
  readonly #probes: SqlConnection
  readonly #writes: SqlConnection
  readonly #visibility: Visibility
  readonly #messages: Messages
  readonly #writer: Writer
  readonly #tables: Tables
  readonly #heartbeat: Heartbeat
  readonly #closing = new AbortController()
  readonly #told = new Set<string>()
  #status: LogStatus = { state: 'connecting', reason: 'it was not asked to follow yet' }
  #server: Server | undefined
  #slot: string | undefined
  #stream: Stream | undefined
  #running: Promise<void> | undefined
  #closed: Promise<void> | undefined
  #watch: CatalogueWatch | undefined
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
    const connection = (timeoutMs: number): SqlConnection => {
      const settings = { statement_timeout: `${timeoutMs}`, lock_timeout: LOCK_TIMEOUT }
      return new SqlConnection(() => connectSql(this.#connection, settings, this.#server), timeoutMs)
    }
    this.#sql = connection(queryMs)
    this.#probes = connection(PROBE_TIMEOUT_MS)
    this.#writes = connection(queryMs)
    this.#visibility = new Visibility(this.#probes)
    this.#writer = new Writer(this.#writes)
    this.#messages = new Messages(options.secret)
    this.#tables = new Tables(this.#sql, this.#visibility, this.#publication, (problem) => this.#tell(problem))
    this.#heartbeat = new Heartbeat(this.#clock, () => this.#writer.beat())
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

  async append(change: TargetChange): Promise<void> {
    const content = this.#messages.target(change)
    try {
      await this.#writer.message(TARGET_PREFIX, content)
    } catch (error) {
      throw startError(error, 'start')
    }
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    if (position.epoch !== undefined && position.epoch !== this.#server?.epoch) return false
    return this.#visibility.shows(position, this.#writer, this.#clock, AbortSignal.any([signal, this.#closing.signal]))
  }

  status(): LogStatus {
    return this.#closing.signal.aborted ? { state: 'closed', reason: 'the log was closed' } : this.#status
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
    if (this.#tables.want(table)) this.#watch?.soon()
  }

  /** The server and database that are followed, once known: what is read elsewhere can't be kept. */
  get server(): Server | undefined {
    return this.#server
  }

  /** Why a table is not followed, in words. */
  whyNotFollowed(table: string): string {
    return this.#status.state === 'following' ? this.#tables.whyNot(table) : 'the log is not followed now'
  }

  /** Resolves when the slot is gone from the server, or after 2 s. */
  close(): Promise<void> {
    if (!this.#closed) this.#closed = this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#heartbeat.stop()
    const bound = AbortSignal.timeout(2_000)
    await Promise.race([this.#endSlot(bound).catch(() => {}), pause(this.#clock, 2_000, bound)])
    await Promise.all(this.#connections.map((sql) => sql.close()))
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
    const replication = replicationClient(this.#connection)
    this.#replication = replication
    try {
      const slot = await this.#prepare(replication)
      return await this.#follow(replication, slot, listener)
    } catch (error) {
      return startError(error, 'start')
    } finally {
      this.#replication = undefined
      this.#stream = undefined
      this.#watch = undefined
      this.#slot = undefined
      this.#tables.lost()
      this.#heartbeat.stop()
      await replication.end().catch(() => {})
    }
  }

  async #prepare(replication: Client): Promise<Slot> {
    const server = await connectReplication(replication)
    this.#server = server
    await Promise.all(this.#connections.map((sql) => sql.recheck((client) => isSameServer(client, server))))
    this.#visibility.forget()
    // In this order: a slot that is older than its publication fails for ever, or skips silently.
    await this.#tables.prepare(server.version)
    const slot = await this.#createSlot(replication, server)
    // Transaction ids of the log are widened by a recent one.
    await this.#visibility.probe()
    this.#tables.slotCreated()
    return slot
  }

  async #createSlot(replication: Client, server: Server): Promise<Slot> {
    const created = new AbortController()
    const watching = watchSlotWait(this.#probes, server, this.#clock, created.signal, (reason) => {
      this.#status = { state: 'waiting', reason }
    })
    try {
      return await createSlot(replication, this.#sql)
    } finally {
      created.abort()
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
      readMessage: (prefix, content) => {
        // Another process saw a change of the catalogue: this one looks what it is.
        if (prefix === DDL_PREFIX) watch.soon()
        return this.#messages.read(prefix, content)
      },
      redescribed: () => watch.soon(),
    })
    const watch = new CatalogueWatch({
      tables: this.#tables,
      messages: this.#messages,
      writer: this.#writer,
      publication: this.#publication,
      everyMs: this.#options.cataloguePollMs ?? 1_000,
      clock: this.#clock,
      looked: () => reader.forgetNames(),
    })
    const epoch = this.#server!.epoch
    const stream = new Stream(
      replication,
      slot.lsn,
      {
        slot: slot.name,
        publication: this.#publication,
        statusIntervalMs: this.#options.statusIntervalMs ?? 1_000,
        silenceMaxMs: SENDER_TIMEOUT_MS,
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
    this.#watch = watch
    const ended = new AbortController()
    const watching = watch.run(ended.signal).then((reason) => reason && stream.cut(reason))
    const reason = await stream.ended
    // At once: what ends this start may take its time.
    if (!this.#closing.signal.aborted) this.#lost(listener, reason)
    ended.abort()
    await watching
    return reason
  }

  #deliver({ endLsn, xid, committedAt, changes }: Transaction, listener: LogListener): void {
    // Of a transaction that changed nothing that is followed, only its end counts.
    if (changes.length === 0) return listener.progress(endLsn)
    listener.commit({ lsn: endLsn, xid: widenXid(xid, this.#visibility.xmax), committedAt, changes })
  }

  /** Tells of each loss, and of each new reason why the log can't be taken up again, once. */
  #lost(listener: LogListener, reason: TidemarkError): void {
    const isNew = this.#status.state === 'following' || reason.code !== this.#lostCode
    this.#status = { state: 'lost', reason: `${reason.code}: ${reason.message}` }
    this.#lostCode = reason.code
    this.#tables.lost()
    if (isNew) listener.lost(reason)
  }

  // ── inside ─────────────────────────────────────────────────────────────────────────────────────────────

  get #connections(): readonly SqlConnection[] {
    return [this.#sql, this.#probes, this.#writes]
  }

  async #endSlot(signal: AbortSignal): Promise<void> {
    const slot = this.#slot
    if (!this.#replication) return
    // While it creates a slot it waits for others' transactions, and would not notice that we left.
    if (!slot && this.#server) await endWalsender(this.#probes, this.#server.pid)
    cutOff(this.#replication)
    while (slot && !signal.aborted) {
      const rows = await this.#sql.rows('select from pg_replication_slots where slot_name = $1', [slot])
      if (rows.length === 0) return
      await pause(this.#clock, 5, signal)
    }
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
