import {
  type Clock,
  type Probe,
  type RelaySource,
  type RequestedPosition,
  systemClock,
  type TargetChange,
  type TidemarkError,
} from 'tidemark'
import { CatalogueWatch } from './catalogue-watch.js'
import { SqlConnection } from './connection.js'
import { systemOf } from './epoch.js'
import { startError } from './errors.js'
import type { WalLogOptions } from './log-options.js'
import { needsMessageTable, prepareMessageTable } from './message-table.js'
import { Messages, TARGET_PREFIX } from './messages.js'
import { connectSql, isSameServer, type Server } from './server.js'
import { type FollowedTable, Tables } from './tables.js'
import { Visibility } from './visibility.js'
import { Writer } from './writer.js'

const PROBE_TIMEOUT_MS = 2_000
const LOCK_TIMEOUT = '2s'

/**
 * What a process needs of PostgreSQL to follow its log through a relay: what new snapshots see, which tables are followed, and a way to write
 * into the log. Ordinary connections only; the role needs no right to replicate.
 */
export class RelayedDatabase implements RelaySource {
  readonly #options: WalLogOptions
  readonly #clock: Clock
  readonly #publication: string
  readonly #sql: SqlConnection
  readonly #probes: SqlConnection
  readonly #writes: SqlConnection
  readonly #visibility: Visibility
  readonly #writer: Writer
  readonly #messages: Messages
  readonly #tables: Tables
  #server: Server | undefined
  #watch: CatalogueWatch | undefined
  #watching = new AbortController()
  readonly #closing = new AbortController()

  constructor(options: WalLogOptions, tell: (problem: TidemarkError) => void) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#publication = options.publication ?? 'tidemark'
    const connection = (timeoutMs: number): SqlConnection => {
      const address = {
        url: options.url,
        applicationName: options.applicationName ?? 'tidemark',
        connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
        ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
      }
      const settings = { statement_timeout: `${timeoutMs}`, lock_timeout: LOCK_TIMEOUT }
      return new SqlConnection(() => connectSql(address, settings, this.#server), timeoutMs)
    }
    const queryMs = options.queryTimeoutMs ?? 15_000
    this.#sql = connection(queryMs)
    this.#probes = connection(PROBE_TIMEOUT_MS)
    this.#writes = connection(queryMs)
    this.#visibility = new Visibility(this.#probes)
    this.#writer = new Writer(this.#writes)
    this.#messages = new Messages(options.secret)
    this.#tables = new Tables(this.#sql, this.#visibility, this.#publication, tell)
  }

  /** The server that is followed, once it is known. */
  get server(): Server | undefined {
    return this.#server
  }

  followed(table: string): FollowedTable | undefined {
    return this.#tables.followed(table)
  }

  want(table: string): void {
    if (this.#tables.want(table)) this.#watch?.soon()
  }

  /** For whoever looks at more than the relay needs: the same server as everything here. */
  get sql(): SqlConnection {
    return this.#sql
  }

  async pin(
    epoch: string,
    name: string | undefined,
    broken: (reason: TidemarkError) => void,
  ): Promise<string | undefined> {
    this.#unpin()
    try {
      const server = await this.#identify(epoch)
      if (!server) return 'it is of another server, or of this one before a restart or a fail-over'
      const own = JSON.stringify([server.database, this.#publication])
      if (name !== own)
        return `it is of ${wordsOf(name)}, and this process follows ${wordsOf(own)}: give both the same source.publication and database, or each its own relay.stream`
      this.#server = server
      await Promise.all(this.#connections.map((sql) => sql.recheck((client) => isSameServer(client, server))))
      this.#visibility.forget()
      this.#writer.follow(server.version)
      if (needsMessageTable(server.version)) await prepareMessageTable(this.#sql, this.#publication)
      await this.#tables.prepare(server.version)
      await this.#visibility.probe()
      // Every table counts as published late: the leader's slot waited for nobody.
      await this.#tables.slotFound()
      this.#watchCatalogue(broken)
      return undefined
    } catch (error) {
      throw startError(error)
    }
  }

  probe(): Promise<Probe> {
    return this.#visibility.probe()
  }

  async append(change: TargetChange): Promise<void> {
    const content = this.#messages.target(change)
    try {
      await this.#writer.message(TARGET_PREFIX, content)
    } catch (error) {
      throw startError(error)
    }
  }

  visible(position: RequestedPosition, signal: AbortSignal): Promise<boolean> {
    return this.#visibility.shows(position, this.#writer, this.#clock, AbortSignal.any([signal, this.#closing.signal]))
  }

  ownTransaction(): Promise<number> {
    return this.#writer.ownTransaction()
  }

  beat(): Promise<void> {
    return this.#writer.beat()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#unpin()
    await Promise.all(this.#connections.map((sql) => sql.close()))
  }

  // ── inside ─────────────────────────────────────────────────────────────────────────────────────────────

  get #connections(): readonly SqlConnection[] {
    return [this.#sql, this.#probes, this.#writes]
  }

  #unpin(): void {
    this.#watching.abort()
    this.#watch = undefined
    this.#tables.lost()
  }

  /** The server that the address leads to now, if it is the one whose log has this epoch. */
  async #identify(epoch: string): Promise<Server | undefined> {
    // What is connected may be another server than the one behind the address by now.
    if (this.#server?.epoch !== epoch) {
      this.#server = undefined
      await Promise.all(this.#connections.map((sql) => sql.cut()))
    }
    const [row] = await this.#sql.rows<{
      started: string
      version: number
      database: string
      standby: boolean
      pid: number
    }>(
      `select extract(epoch from pg_postmaster_start_time())::text as started, current_setting('server_version_num')::int as version,
         current_database() as database, pg_is_in_recovery() as standby, pg_backend_pid() as pid`,
    )
    const { started: startedAt, version, database, standby, pid } = row!
    const systemIdentifier = systemOf(epoch, startedAt)
    return standby || systemIdentifier === undefined
      ? undefined
      : { epoch, version, database, systemIdentifier, startedAt, pid }
  }

  #watchCatalogue(broken: (reason: TidemarkError) => void): void {
    const watching = new AbortController()
    this.#watching = watching
    const watch = new CatalogueWatch({
      tables: this.#tables,
      messages: this.#messages,
      writer: this.#writer,
      publication: this.#publication,
      everyMs: this.#options.cataloguePollMs ?? 1_000,
      clock: this.#clock,
      looked: () => {},
    })
    this.#watch = watch
    void watch.run(watching.signal).then((reason) => {
      if (reason !== undefined && !watching.signal.aborted) broken(startError(reason))
    })
  }
}

/** What a log's name says. */
function wordsOf(name: string | undefined): string {
  try {
    const [database, publication] = JSON.parse(name ?? '') as unknown[]
    return `the publication "${publication}" of the database "${database}"`
  } catch {
    return 'a log without a name'
  }
}
