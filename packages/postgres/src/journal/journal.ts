import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Client, ClientConfig } from 'pg'
import { type Clock, type Duration, milliseconds, OptionError, systemClock } from 'tidemark'
import { type ConnectionOptions, SqlConnection } from '../wal/connection.js'
import { startError } from '../wal/errors.js'
import type { Delivery, Recording, Stretch } from '../wal/recording.js'
import { connectSql } from '../wal/server.js'
import type { Head } from './chain.js'
import { type Effect, effectOf } from './effect.js'
import { headsError } from './errors.js'
import { SignedHeads } from './heads.js'
import { countOf, type JournalQuery, type ReadRecord, readPage } from './read.js'
import { chainOf, monthOf } from './record.js'
import { type RefillEffect, refilledOf } from './refilled.js'
import { JournalRequests, type RequestsLimits } from './requests.js'
import { removeBefore } from './retention.js'
import { JournalStore, STATE } from './store.js'
import { type Verification, verifyChains } from './verify.js'
import { type JournalStatus, JournalWriter } from './writer.js'

export interface JournalOptions {
  /** Where its tables are. Default: the database that is followed. */
  readonly url?: string
  /**
   * A folder for the journal's key and for the signed heads of its chains: a second place, by which it shows when the journal's end was cut off.
   * Default: none, and then that does not show.
   */
  readonly heads?: string
  /** How long records stay; whole months go. Default 400 days; `Infinity`: for ever. */
  readonly retention?: Duration
  /** So many keys, and so many tags, of one request are recorded by name; of more their number and a digest. Default 1,000. */
  readonly namesMax?: number
  /** So many records wait in memory while the journal can't be written; what is more waits in the log. Default 20,000. */
  readonly queueMax?: number
}

const QUERY_MS = 15_000
const IDLE_MS = 10_000
const FLUSH_MS = 2_000
const RETAIN_EVERY_MS = 3_600_000
const PAGE = 1_000
/** Whoever asks to invalidate waits for it. */
const REQUEST_MS = 1_000

/**
 * The durable record of changes and of what they did: append-only, chained by hashes, written by whoever holds the shared slot. Nothing
 * waits for it but the acknowledgement of the slot.
 */
export class Journal implements Recording {
  readonly #log: string
  readonly #clock: Clock
  readonly #connection: ConnectionOptions
  readonly #writes: SqlConnection
  readonly #reads: SqlConnection
  readonly #store: JournalStore
  readonly #writer: JournalWriter
  readonly #requests: SqlConnection
  readonly #process = `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}`
  readonly #retentionMs: number
  readonly #folder: string | undefined
  #heads: Promise<SignedHeads> | undefined
  #effects = 0
  readonly #retaining: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined

  /** @param database  what is followed; `slot` is shared by the processes whose journal this is */
  constructor(
    options: JournalOptions,
    database: { readonly url: string; readonly ssl?: ClientConfig['ssl']; readonly slot: string },
    clock: Clock = systemClock,
  ) {
    const { url = database.url, heads, retention = '400d', namesMax = 1_000, queueMax = 20_000 } = options
    const ssl = options.url === undefined ? database.ssl : undefined
    this.#log = database.slot
    this.#clock = clock
    this.#folder = heads
    this.#connection = {
      url,
      applicationName: 'tidemark journal',
      connectTimeoutMs: 5_000,
      ...(ssl === undefined ? {} : { ssl }),
    }
    this.#writes = new SqlConnection(() => this.#connect(), QUERY_MS)
    this.#reads = new SqlConnection(() => this.#connect(), QUERY_MS)
    this.#requests = new SqlConnection(async () => {
      await this.#store.reading(async () => {})
      return this.#connect()
    }, REQUEST_MS)
    this.#store = new JournalStore(this.#writes, this.#reads)
    this.#writer = new JournalWriter({
      log: this.#log,
      namesMax,
      queueMax,
      clock,
      append: (batch) => this.#store.append(batch),
      signed: (journal, chains) => this.#sign(journal, 'heads', chains),
    })
    this.#retentionMs = milliseconds(retention, 'journal.retention')
    if (Number.isFinite(this.#retentionMs)) {
      this.#retaining = setInterval(() => void this.retain().catch(() => {}), RETAIN_EVERY_MS)
      this.#retaining.unref()
    }
  }

  /**
   * Makes the tables, where they are not there.
   *
   * @throws RightsError (`TIDEMARK_RIGHTS`), JournalError (`TIDEMARK_JOURNAL`): it can't be kept here as things are; SourceDownError
   */
  prepare(): Promise<void> {
    return this.#reading(async () => {})
  }

  begin(delivery: Delivery): Stretch {
    return this.#writer.begin(delivery)
  }

  /** Records what a change did in this process, later. */
  effect(effect: Effect): void {
    this.#writer.effect(effectOf(effect, this.#process, ++this.#effects))
  }

  /** Records that a refill has ended which somebody had asked for, later. */
  refilled(effect: RefillEffect): void {
    this.#writer.effect(refilledOf(effect, this.#process, ++this.#effects))
  }

  status(): JournalStatus {
    return this.#writer.status()
  }

  /** The key by which others can check the file of signed heads; undefined where none is kept. */
  async publicKey(): Promise<string | undefined> {
    return (await this.#signed())?.publicKey
  }

  /**
   * Reads records, newest first.
   *
   * @throws SourceDownError if the journal's database does not answer
   */
  read(query: JournalQuery, limit: number): Promise<ReadRecord[]> {
    return this.#reading((client) => readPage(client, query, limit))
  }

  count(query: JournalQuery): Promise<number> {
    return this.#reading((client) => countOf(client, query))
  }

  /** All records that match, newest first, in one snapshot; a page at a time, as they are taken. */
  async *all(query: JournalQuery): AsyncGenerator<readonly ReadRecord[]> {
    const client = await this.#snapshot()
    try {
      let before = query.before
      for (;;) {
        const page = await readPage(client, { ...query, ...(before === undefined ? {} : { before }) }, PAGE)
        if (page.length > 0) yield page
        if (page.length < PAGE) return
        before = page.at(-1)!.id
      }
    } catch (error) {
      throw startError(error)
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** Checks the chains, all or those of these tenants. */
  async verify(tenants: readonly (string | null)[] | undefined, signal: AbortSignal): Promise<Verification> {
    const heads = await this.#signed()
    const journal = heads && (await this.#reading(idOf))
    // In this order: what is signed is in the tables by then.
    const signed = heads && journal !== undefined ? await heads.read(journal) : undefined
    const client = await this.#snapshot()
    try {
      return await verifyChains(client, tenants?.map(chainOf), signed, signal)
    } catch (error) {
      throw signal.aborted ? signal.reason : startError(error)
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** What all processes with this journal know of requests by their ids. */
  requests(limits: RequestsLimits): JournalRequests {
    return new JournalRequests(this.#requests, this.#process, limits)
  }

  /** Removes what is older than `retention`. Done by itself each hour. */
  async retain(): Promise<number> {
    const month = monthOf((this.#clock.wall() - this.#retentionMs) * 1_000)
    const removed = await removeBefore(this.#store, this.#log, month, (journal, anchors) =>
      this.#sign(journal, 'anchors', anchors),
    )
    return removed.reduce((sum, { records }) => sum + records, 0)
  }

  /** Resolves when what was told so far is written; false if that takes longer than the signal allows. */
  flush(signal: AbortSignal): Promise<boolean> {
    return this.#writer.flush(signal)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    clearInterval(this.#retaining)
    await this.#writer.flush(AbortSignal.timeout(FLUSH_MS))
    await this.#writer.close()
    await Promise.all([this.#writes.close(), this.#reads.close(), this.#requests.close()])
  }

  async #sign(journal: string, kind: 'heads' | 'anchors', chains: ReadonlyMap<string, Head>): Promise<void> {
    try {
      await (await this.#signed())?.sign(journal, kind, chains)
    } catch (error) {
      throw headsError(error)
    }
  }

  #signed(): Promise<SignedHeads> | undefined {
    if (this.#folder === undefined) return undefined
    this.#heads ??= SignedHeads.open(this.#folder)
    this.#heads.catch(() => {
      this.#heads = undefined
    })
    return this.#heads
  }

  async #reading<Result>(run: (client: Client) => Promise<Result>): Promise<Result> {
    try {
      return await this.#store.reading(run)
    } catch (error) {
      throw startError(error)
    }
  }

  /** A connection of its own, in a snapshot. */
  async #snapshot(): Promise<Client> {
    await this.#reading(async () => {})
    const client = await this.#connect()
    await client.query('begin isolation level repeatable read read only')
    return client
  }

  #connect(): Promise<Client> {
    // A process that is frozen in the middle of a batch must not hold up the others.
    const settings = {
      statement_timeout: `${QUERY_MS}`,
      lock_timeout: `${QUERY_MS}`,
      idle_in_transaction_session_timeout: `${IDLE_MS}`,
    }
    return connectSql(this.#connection, settings, undefined)
  }
}

/** @throws OptionError (`TIDEMARK_OPTION`) naming the option and what it may be */
export function checkJournal({ heads, retention, namesMax, queueMax }: JournalOptions): void {
  if (heads !== undefined && (typeof heads !== 'string' || heads === ''))
    throw new OptionError('journal.heads must be the path of a folder.')
  if (retention !== undefined && milliseconds(retention, 'journal.retention') < 31 * 86_400_000)
    throw new OptionError('journal.retention must be at least 31 days: whole months are removed.')
  for (const [name, value, least] of [
    ['namesMax', namesMax, 0],
    ['queueMax', queueMax, 1],
  ] as const)
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least))
      throw new OptionError(`journal.${name} must be a whole number of at least ${least}.`)
}

async function idOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ journal: string }>(`select journal::text from ${STATE}`)
  return rows[0]!.journal
}
