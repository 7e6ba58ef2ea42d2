import { createHash } from 'node:crypto'
import pg, { type ClientBase, type ClientConfig, type Pool } from 'pg'
import {
  type Duration,
  type Log,
  milliseconds,
  OptionError,
  type Reading,
  type Relay,
  type Source,
  type TidemarkError,
  watchEnded,
} from 'tidemark'
import { type Explanation, explainTables } from './explain.js'
import { type Followed, followedOf } from './followed.js'
import { checkJournal, Journal, type JournalOptions } from './journal/journal.js'
import { type On, observe } from './journal/observe.js'
import { wall } from './journal/wall.js'
import type { Reader } from './read/backend.js'
import { QueryPool } from './read/query-pool.js'
import { SelfCheck, type SelfCheckMode } from './read/self-check.js'
import { type Driver, watchUntracked } from './read/untracked.js'
import { wrapClient } from './read/wrapped-client.js'
import { wrapPool } from './read/wrapped-pool.js'
import type { Analysis } from './sql/analyse.js'
import { Analyst, type Server } from './sql/analyst.js'
import type { BindingLimits } from './sql/bind.js'
import { SqlWritesError } from './sql/errors.js'
import { explainAnalysis } from './sql/explain.js'
import { type AnswerColumn, columnsOf, type Sql, sqlOf, type TypeParsers } from './sql/tag.js'
import { whyDown } from './wal/errors.js'
import { WalLog } from './wal/log.js'
import { RelayLog } from './wal/relay-log.js'

export interface PostgresOptions {
  /** Where queries go: the server's address or a pooler's, `postgres://user:password@host:5432/database`. */
  readonly url: string
  /** The address of the server itself, where `url` is a pooler's: the WAL can't be followed through one. Default: `url`. */
  readonly directUrl?: string
  /** The publication that lists the followed tables: one for each application. Default `tidemark`. */
  readonly publication?: string
  /**
   * The name of a permanent replication slot that all processes of the application share. Whoever holds it goes on without a gap after a
   * lost connection; the others follow through temporary slots, and one takes it over when it is free. Default: temporary slots only.
   */
  readonly slot?: string
  /** The WAL, in bytes, that the server may keep for the shared slot before it is dropped and made anew. Default 4 GiB. */
  readonly slotKeepMax?: number
  /**
   * How long the shared slot waits for the L2 and the relay to have what it delivered before it is moved on, so that the next holder can give
   * them what they lack. Default 10 s; 0: not at all.
   */
  readonly ackHold?: Duration
  /** It waits for no more WAL than this, in bytes: Redis that is down must not fill the server's disk. Default 256 MiB. */
  readonly ackHoldMax?: number
  /**
   * Carries what the holder of the slot reads to all other processes, so that the server sends its log once: `redisRelay({ url })` of
   * '@tidemark/redis'. It needs a `slot`. Default: each process reads the log itself.
   */
  readonly relay?: Relay
  /**
   * With a relay: whether this process reads the log for all if nobody else does (`auto`, the default); only follows what others relay
   * (`follower`); or never follows them (`leader`: while another leads it reads the log for itself, and takes over at once).
   */
  readonly role?: 'auto' | 'leader' | 'follower'
  /** Records every change, and what it did, in tables of its own. It needs a `slot`. Default: no journal. */
  readonly journal?: boolean | JournalOptions
  /** off: for servers that can't be followed; then entries live 30 s unless they say otherwise. Default `auto`. */
  readonly follow?: 'auto' | 'off'
  /** Shared by all processes of the application: what others write into the log can then only drop entries. */
  readonly secret?: string
  /** `max`: how many connections `sql` may use at once. Default 10. */
  readonly pool?: { readonly max?: number }
  /** TLS, where the address does not say it. */
  readonly ssl?: ClientConfig['ssl']
  /** An answer of more rows than this is not remembered row by row. Default 1,000. */
  readonly membersMax?: number
  /**
   * Of tables that are joined, one that is bounded itself is followed by its join partners too, if these have no more than so many values:
   * a row without a partner then touches nothing. They are asked for before the query runs. 0: never asked. Default 100.
   */
  readonly partnersMax?: number
  /** What stands for a value of PostgreSQL in rows, by type: as `pg.types`, which is the default (int8 and numeric are strings). */
  readonly types?: TypeParsers
  /**
   * Whether what a query really read is compared with what it was found to depend on: `always`; `sampled`, the first run of each
   * statement and one run in a hundred; or `off`. Default: `sampled` where NODE_ENV is `production`, else `always`.
   */
  readonly selfCheck?: SelfCheckMode
}

/** What a statement is, as the server and the analysis see it. */
export interface StatementDescription {
  /** The types of `$1`, `$2` …, by OID. */
  readonly parameters: readonly number[]
  readonly columns: readonly AnswerColumn[]
  /** The tables that it reads: `schema.name`. */
  readonly tables: readonly string[]
  /** What it depends on, and why its answers may not be kept: a line each. */
  readonly verdict: readonly string[]
}

/** PostgreSQL as the source of a cache. */
export interface PostgresSource extends Source<{ sql: Sql }> {
  /**
   * Says what a statement is, without running it.
   *
   * @throws SqlError (`TIDEMARK_SQL`), SqlWritesError (`TIDEMARK_SQL_WRITES`), SourceDownError (`TIDEMARK_SOURCE_DOWN`)
   */
  describe(text: string): Promise<StatementDescription>
  /**
   * Says what a statement depends on, table by table, and why; what keeps its answers from being kept; and what would make it better.
   * Does not run it. Throws as `describe` does.
   */
  explain(text: string): Promise<Explanation>
  /** The journal, where there is one. */
  readonly journal: Journal | undefined
  /** A pool of `pg` for ORMs and own code: what loaders read through it is gathered too. Made when first asked for. */
  readonly pool: Pool
  /** Makes a pool of your own gather what loaders read through it; returns the same pool. */
  wrapPool<P extends Pool>(pool: P): P
  /** The same for a single client. Wrap it before it connects, or before anything is set on it. */
  wrapClient<C extends ClientBase>(client: C): C
  /**
   * For development: reports (as the notice `untracked-query`) loaders that query this database through a client that is not wrapped.
   * Give it the module: `source.watchUntracked(pg)`. It changes `pg.Client.prototype.query`; what it returns undoes that.
   */
  watchUntracked(driver: Driver): () => void
}

const UNFOLLOWED_TTL_MS = 30_000
const PARTNERS_MAX = 100

/**
 * PostgreSQL as the source of a cache: follows its WAL, and gives loaders `sql`.
 *
 * Connects when it is first used. Throws OptionError (`TIDEMARK_OPTION`) if an option is missing or out of its range.
 */
export function postgres(options: PostgresOptions): PostgresSource {
  check(options)
  return new PostgresDatabase(options)
}

class PostgresDatabase implements PostgresSource {
  readonly id: string
  readonly unfollowedTtlMs?: number
  readonly journal: Journal | undefined
  readonly #options: PostgresOptions
  readonly #config: ClientConfig
  readonly #followed: Followed | undefined
  readonly #analyst: Analyst
  readonly #limits: BindingLimits
  readonly #selfCheck: SelfCheck
  readonly #queries: QueryPool
  #pool: Pool | undefined

  constructor(options: PostgresOptions) {
    const { url, publication = 'tidemark', follow = 'auto', ssl } = options
    this.#options = options
    this.#config = {
      connectionString: url,
      application_name: 'tidemark',
      keepAlive: true,
      ...(ssl === undefined ? {} : { ssl }),
    }
    // An address holds a password: the id may be shown.
    const address = createHash('sha256')
      .update(options.directUrl ?? url)
      .digest('base64url')
    this.id = [
      'postgres',
      publication,
      follow,
      address,
      ...(options.slot === undefined ? [] : [options.slot]),
      ...(options.relay ? ['relay'] : []),
      ...(options.journal ? ['journal'] : []),
    ].join(' ')
    if (follow === 'off') this.unfollowedTtlMs = UNFOLLOWED_TTL_MS
    const followed = followedOf(this.id)
    this.#followed = follow === 'off' ? undefined : followed
    this.#analyst = new Analyst(() => followed.version)
    this.#limits = { membersMax: options.membersMax ?? 1_000, partnersMax: options.partnersMax ?? PARTNERS_MAX }
    this.#selfCheck = new SelfCheck(options.selfCheck ?? (process.env.NODE_ENV === 'production' ? 'sampled' : 'always'))
    // So that a query which a loader did not wait for is told from one outside of any.
    if (this.#selfCheck.isAlways) watchEnded()
    const { journal, slot, directUrl = url } = options
    this.journal =
      journal && slot !== undefined
        ? new Journal(journal === true ? {} : journal, { url: directUrl, slot, ...(ssl === undefined ? {} : { ssl }) })
        : undefined
    this.#queries = new QueryPool(this.#config, options.pool?.max ?? 10, this.#newReader())
  }

  context(reading: Reading): { sql: Sql } {
    const types = this.#options.types ?? pg.types
    return { sql: sqlOf((text, values) => this.#queries.run(text, values, reading), types) }
  }

  openLog(): Log | undefined {
    const { url, directUrl = url, publication, secret, ssl, slot, relay, role = 'auto' } = this.#options
    const { slotKeepMax, ackHold, ackHoldMax } = this.#options
    const options = {
      url: directUrl,
      ...(publication === undefined ? {} : { publication }),
      ...(secret === undefined ? {} : { secret }),
      ...(ssl === undefined ? {} : { ssl }),
      ...(slotKeepMax === undefined ? {} : { slotKeepMax }),
      ...(ackHold === undefined ? {} : { ackHoldMs: milliseconds(ackHold, 'postgres({ ackHold })') }),
      ...(ackHoldMax === undefined ? {} : { ackHoldMax }),
      recording: this.journal,
      // The log goes on; somebody should know, whoever listens to the cache.
      onProblem: ({ code, message }: TidemarkError) => process.emitWarning(message, { type: 'TidemarkNotice', code }),
    }
    if (slot === undefined) return this.#followed?.watch(new WalLog(options))
    return this.#followed?.watch(
      relay ? new RelayLog({ ...options, slot, relay, role }) : new WalLog({ ...options, slot }),
    )
  }

  observe(on: On): void {
    const { journal } = this
    if (journal) observe(on, (effect) => journal.effect(effect), wall)
  }

  async explain(text: string): Promise<Explanation> {
    return this.#queries.use(undefined, undefined, text, async (_, backend) =>
      explainTables(await this.#readOnly(text, backend), backend.ask),
    )
  }

  async describe(text: string): Promise<StatementDescription> {
    return this.#queries.use(undefined, undefined, text, async (_, backend) => {
      const analysis = await this.#readOnly(text, backend)
      const { fields, parameterTypes } = await backend.describe(text)
      return {
        parameters: parameterTypes,
        columns: columnsOf(fields),
        tables: tablesOf(analysis),
        verdict: explainAnalysis(analysis),
      }
    })
  }

  /** @throws SqlWritesError if it does more than read */
  async #readOnly(text: string, server: Server): Promise<Analysis> {
    const { analysis } = await this.#analyst.analyse(text, 'described', server)
    if (analysis.isRead && !analysis.reasons.has('writes')) return analysis
    throw new SqlWritesError(
      'The SQL does more than read, or is not a single statement. A resource is one SELECT, without FOR UPDATE or INTO.',
    )
  }

  get pool(): Pool {
    if (!this.#pool) {
      this.#pool = this.wrapPool(new pg.Pool({ ...this.#config, max: this.#options.pool?.max ?? 10 }))
      // An idle connection that ends is taken out of the pool; as an event that nobody hears it would end the process.
      this.#pool.on('error', () => {})
    }
    return this.#pool
  }

  wrapPool<P extends Pool>(pool: P): P {
    return wrapPool(pool, this.#newReader())
  }

  wrapClient<C extends ClientBase>(client: C): C {
    return wrapClient(client, this.#newReader())
  }

  watchUntracked(driver: Driver): () => void {
    return watchUntracked(driver, this.#config)
  }

  async close(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    // The log is closed by now, so nothing more is to be recorded.
    await Promise.all([this.#queries.close(), pool?.end(), this.journal?.close()])
  }

  #newReader(): Reader {
    return {
      analyst: this.#analyst,
      followed: this.#followed,
      limits: this.#limits,
      selfCheck: this.#selfCheck,
      settings: undefined,
    }
  }
}

function tablesOf({ rows, tables }: Analysis): string[] {
  return [...new Set([...rows, ...tables].map(({ relation }) => relation.table))].sort()
}

function check({
  url,
  directUrl,
  publication,
  pool,
  membersMax,
  partnersMax,
  follow,
  selfCheck,
  slot,
  slotKeepMax,
  ackHold,
  ackHoldMax,
  relay,
  role,
  journal,
}: PostgresOptions): void {
  checkUrl('url', url)
  if (directUrl !== undefined) checkUrl('directUrl', directUrl)
  if (publication !== undefined && (publication === '' || Buffer.byteLength(publication) > 63)) {
    throw new OptionError('postgres({ publication }) must be a name of 1 to 63 bytes.')
  }
  if (follow !== undefined && follow !== 'auto' && follow !== 'off') {
    throw new OptionError("postgres({ follow }) must be 'auto' or 'off'.")
  }
  if (selfCheck !== undefined && !['always', 'sampled', 'off'].includes(selfCheck)) {
    throw new OptionError("postgres({ selfCheck }) must be 'always', 'sampled' or 'off'.")
  }
  if (slot !== undefined && !/^[a-z0-9_]{1,63}$/.test(slot)) {
    throw new OptionError('postgres({ slot }) must be a name of 1 to 63 lower-case letters, digits and _.')
  }
  if (relay !== undefined && (typeof relay?.lead !== 'function' || slot === undefined)) {
    throw new OptionError(
      "postgres({ relay }) must be a relay, like redisRelay({ url }) of '@tidemark/redis', beside a slot.",
    )
  }
  if (role !== undefined && (!['auto', 'leader', 'follower'].includes(role) || relay === undefined)) {
    throw new OptionError("postgres({ role }) must be 'auto', 'leader' or 'follower', beside a relay.")
  }
  if (journal) {
    if (slot === undefined || follow === 'off')
      throw new OptionError(
        'postgres({ journal }) needs a slot that is shared: from there comes again what was not recorded when a process ended.',
      )
    if (journal !== true) checkJournal(journal)
    if (journal !== true && journal.url !== undefined) checkUrl('journal.url', journal.url)
  }
  checkCount('slotKeepMax', slotKeepMax, 16 * 2 ** 20)
  if (ackHold !== undefined) milliseconds(ackHold, 'postgres({ ackHold })')
  checkCount('ackHoldMax', ackHoldMax, 0)
  checkCount('pool.max', pool?.max, 1)
  checkCount('membersMax', membersMax, 0)
  checkCount('partnersMax', partnersMax, 0)
}

function checkUrl(name: string, url: unknown): void {
  if (typeof url !== 'string' || !/^(postgres(ql)?:\/\/|socket:|\/)/.test(url)) {
    throw new OptionError(
      `postgres({ ${name} }) must be a connection string: postgres://user:password@host:5432/database`,
    )
  }
  try {
    // Reads the address, and the files that it names; connects to nothing.
    new pg.Client({ connectionString: url })
  } catch (error) {
    throw new OptionError(`postgres({ ${name} }) is no address that can be used. ${whyDown(error)}`, { cause: error })
  }
}

function checkCount(name: string, value: unknown, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= least)) return
  throw new OptionError(`postgres({ ${name} }) must be a whole number of at least ${least}.`)
}
