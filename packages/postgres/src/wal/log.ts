import type { Client } from 'pg'
import {
  type Clock,
  type Log,
  type LogHold,
  type LogListener,
  type LogStart,
  type LogStatus,
  type Probe,
  type RequestedPosition,
  systemClock,
  type TargetChange,
  type TidemarkError,
} from 'tidemark'
import { type ConnectionOptions, SqlConnection } from './connection.js'
import { startError } from './errors.js'
import { Following, type FollowingOptions, type Place } from './following.js'
import { Heartbeat } from './heartbeat.js'
import { Holds } from './holds.js'
import { connectionOf, holdLimits, streamLimits, type WalLogOptions } from './log-options.js'
import { type Mark, Marks } from './marks.js'
import { needsMessageTable, prepareMessageTable } from './message-table.js'
import { Messages, TARGET_PREFIX } from './messages.js'
import { pause } from './pause.js'
import { WantedAgainError } from './recording.js'
import { connectReplication, connectSql, endWalsender, isSameServer, replicationClient, type Server } from './server.js'
import { SharedSlot } from './shared-slot.js'
import type { Slot } from './slot.js'
import { type FollowedTable, Tables } from './tables.js'
import { Take, type Taken } from './take.js'
import { PROBE_PACE_MS, Visibility } from './visibility.js'
import { Writer } from './writer.js'

const SLOT_KEEP_MAX = 4 * 2 ** 30
const PROBE_TIMEOUT_MS = 2_000
/** More than deadlock_timeout, at which an autovacuum gives way. */
const LOCK_TIMEOUT = '2s'
const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 5_000
/** What only somebody can mend is tried again at leisure. */
const RETRY_SETTING_MS = 5_000
const STEADY_MS = 5_000

/**
 * PostgreSQL's WAL as a log: logical replication by pgoutput, through a temporary slot of this process or one
 * that is shared (`slot`).
 *
 * Three connections: the stream, the probe, and one for the catalogue; a fourth once something is written. Nothing stays on the server but the publication: the slot
 * goes with its connection. After a lost connection a new slot begins at another place, so `lost` and `started` are called.
 */
export class WalLog implements Log {
  readonly probePaceMs = PROBE_PACE_MS
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
  readonly #take: Take
  readonly #closing = new AbortController()
  readonly #told = new Set<string>()
  #status: LogStatus = { state: 'connecting', reason: 'it was not asked to follow yet' }
  #server: Server | undefined
  readonly #shared: SharedSlot | undefined
  readonly #marks: Marks
  readonly #holds: Holds
  #following: Following | undefined
  /** Where the log was lost, while it may go on there. */
  #place: Place | undefined
  /** The shared slot sends what can't be read. */
  #isUnreadable = false
  #running: Promise<void> | undefined
  #closed: Promise<void> | undefined
  #replication: Client | undefined
  #startedAt = Number.NEGATIVE_INFINITY
  #lostCode: string | undefined

  constructor(options: WalLogOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#publication = options.publication ?? 'tidemark'
    this.#connection = connectionOf(options)
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
    this.#marks = new Marks(this.#writer, this.#clock)
    this.#holds = new Holds(holdLimits(options), this.#clock)
    this.#messages = new Messages(options.secret)
    this.#tables = new Tables(this.#sql, this.#visibility, this.#publication, (problem) => this.#tell(problem))
    if (options.slot !== undefined) {
      const { slot, slotKeepMax = SLOT_KEEP_MAX } = options
      this.#shared = new SharedSlot(this.#sql, this.#clock, slot, slotKeepMax)
    }
    this.#heartbeat = new Heartbeat(this.#clock, () => this.#writer.beat())
    this.#take = new Take({
      sql: this.#sql,
      probes: this.#probes,
      clock: this.#clock,
      shared: this.#shared,
      tables: this.#tables,
      visibility: this.#visibility,
      marks: this.#marks,
      tell: (problem) => this.#tell(problem),
      waits: (reason) => {
        this.#status = { state: 'waiting', reason }
      },
    })
  }

  follow(listener: LogListener): void {
    if (this.#running) return
    this.#running = this.#run(listener)
  }

  probe(): Promise<Probe> {
    return this.#visibility.probe()
  }

  nudge(): void {
    const stream = this.#following?.stream
    if (!stream) return
    stream.tell(true)
    const isBehind = (): boolean =>
      stream === this.#following?.stream && !stream.isInTransaction && stream.lsn < this.#visibility.flushed
    this.#heartbeat.watch(() => (isBehind() ? stream.lsn : undefined))
  }

  async append(change: TargetChange): Promise<void> {
    const content = this.#messages.target(change)
    try {
      await this.#writer.message(TARGET_PREFIX, content)
    } catch (error) {
      throw startError(error)
    }
  }

  async visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    if (position.epoch !== undefined && position.epoch !== this.#server?.epoch) return false
    return this.#visibility.shows(position, this.#writer, this.#clock, AbortSignal.any([signal, this.#closing.signal]))
  }

  hold(hold: LogHold): () => void {
    return this.#holds.add(hold)
  }

  status(): LogStatus {
    return this.#closing.signal.aborted ? { state: 'closed', reason: 'the log was closed' } : this.#statusNow()
  }

  /** Whether it follows through the shared slot now. */
  get holdsSlot(): boolean {
    return this.#following?.holdsShared ?? false
  }

  #statusNow(): LogStatus {
    if (!this.#shared) return this.#status
    const isHeld = this.holdsSlot
    const waitsFor = isHeld ? { waitsFor: this.#following!.waitsFor } : {}
    return { ...this.#status, slot: { ...this.#shared.status(isHeld), ...waitsFor } }
  }

  /** Whoever follows the same publication of the same database is delivered the same. */
  get name(): string | undefined {
    return this.#server && JSON.stringify([this.#server.database, this.#publication])
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
    if (this.#tables.want(table)) this.#following?.soon()
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
      const wasSteady = Number.isFinite(this.#startedAt) && this.#clock.now() - this.#startedAt > STEADY_MS
      if (wasSteady || reason instanceof WantedAgainError) waitMs = RETRY_FIRST_MS
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
    let replication: Client | undefined
    try {
      // Here already it may fail: the address may name a file, such as a certificate, that is gone.
      replication = replicationClient(this.#connection)
      this.#replication = replication
      return await this.#follow(replication, await this.#prepare(replication), listener)
    } catch (error) {
      return startError(error)
    } finally {
      this.#replication = undefined
      this.#following?.cut()
      this.#following = undefined
      this.#tables.lost()
      this.#heartbeat.stop()
      await replication?.end().catch(() => {})
    }
  }

  async #prepare(replication: Client): Promise<Taken> {
    const server = await connectReplication(replication)
    this.#server = server
    await Promise.all(this.#connections.map((sql) => sql.recheck((client) => isSameServer(client, server))))
    this.#visibility.forget()
    this.#writer.follow(server.version)
    if (needsMessageTable(server.version)) await prepareMessageTable(this.#sql, this.#publication)
    // In this order: a slot that is older than its publication fails for ever, or skips silently.
    await this.#tables.prepare(server.version)
    const taken = await this.#take.slot(replication, server, { place: this.#place, isUnreadable: this.#isUnreadable })
    // Transaction ids of the log are widened by a recent one.
    await this.#visibility.probe()
    return taken
  }

  /** Streams until the connection is lost, and looks at the catalogue meanwhile. */
  async #follow(replication: Client, { slot, isResumed, mark }: Taken, listener: LogListener): Promise<TidemarkError> {
    const server = this.#server!
    const following = new Following(replication, slot, this.#followingOptions(server, mark), {
      started: () => {
        this.#startedAt = this.#clock.now()
        this.#lostCode = undefined
        this.#place = undefined
        this.#status = { state: 'following', reason: '' }
        if (isResumed) listener.resumed({ epoch: server.epoch })
        else listener.started(startOf(server, slot, mark))
      },
      commit: (commit) => listener.commit(commit),
      progress: (lsn) => listener.progress(lsn),
      lost: (reason) => {
        if (!this.#closing.signal.aborted) this.#lost(listener, reason)
      },
    })
    this.#following = following
    const { reason, place, isUnreadable } = await following.run()
    // One that never streamed knows nothing new.
    if (this.#shared && place && Number.isFinite(this.#startedAt)) this.#place = place
    this.#isUnreadable = isUnreadable
    return reason
  }

  #followingOptions(server: Server, expected: Mark | undefined): FollowingOptions {
    return {
      ...streamLimits(this.#options),
      connection: this.#connection,
      probes: this.#probes,
      server,
      publication: this.#publication,
      tables: this.#tables,
      messages: this.#messages,
      writer: this.#writer,
      visibility: this.#visibility,
      shared: this.#shared,
      marks: this.#marks,
      holds: this.#holds,
      expected,
      recording: this.#options.recording,
      clock: this.#clock,
      tell: (problem) => this.#tell(problem),
    }
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
    const slot = this.#following?.slot
    if (!this.#replication) return
    // While it creates a slot it waits for others' transactions, and would not notice that we left.
    if (!slot && this.#server) await endWalsender(this.#probes, this.#server.pid)
    cutOff(this.#replication)
    this.#following?.cut()
    while (slot && !signal.aborted) {
      const rows = await this.#sql.rows('select from pg_replication_slots where slot_name = $1 and active', [slot])
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

function startOf({ epoch }: Server, { lsn, proof }: Slot, mark: Mark | undefined): LogStart {
  return { epoch, lsn, proof, ...(mark ? { keepsBefore: mark.writtenAt } : {}) }
}

function cutOff(client: Client): void {
  client.connection.stream.destroy()
}
