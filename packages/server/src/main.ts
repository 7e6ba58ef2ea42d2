import { postgres } from '@tidemark/postgres'
import { redisL2, redisRelay } from '@tidemark/redis'
import { openTrees } from '@tidemark/trees'
import type { FastifyInstance } from 'fastify'
import { type Cache, type CacheOptions, createCache, type L2 } from 'tidemark'
import { quotasOf } from './access/limits.js'
import { tokenDatabase } from './access/token-database.js'
import { buildApp, version } from './app.js'
import { callsOf, joinCluster, meetInDatabase, stateOf } from './cluster/joining.js'
import { asksWho } from './config/access-schema.js'
import type { Config, L2Config, RelayConfig } from './config/config.js'
import { loadConfig } from './config/load.js'
import { databaseUrlOf, portOf, roleOf } from './config/overrides.js'
import type { Environment } from './config/variables.js'
import { startJournal } from './journal-start.js'
import { listen } from './listen.js'
import { OwnDatabase } from './own-database.js'
import { drainOnSignals } from './signals.js'

/** The database that a server stands before. */
export interface SeedDatabase {
  /** A connection string that any PostgreSQL client understands. */
  readonly url: string
  /** Whether it is the server's own, private PostgreSQL. */
  readonly embedded: boolean
}

export interface ServeOptions {
  /** The path of tidemark.yaml, or what was read from it. */
  readonly config: string | Config
  /** Default: TIDEMARK_PORT, the configuration, else 9400 or the next free one. 0: any free one. */
  readonly port?: number | undefined
  /** Default: what the configuration says under `relay.role`. */
  readonly role?: RelayConfig['role'] | undefined
  /** The folder of the private PostgreSQL. Default: TIDEMARK_DATA, else `.tidemark/`. */
  readonly dataDir?: string | undefined
  /** Default: `process.env`. Gives `${NAME}` in the configuration, DATABASE_URL, TIDEMARK_PORT, TIDEMARK_DATA. */
  readonly env?: Environment
  /** Called before the resources are read: to create and fill tables. Fails the start if it rejects. */
  readonly seed?: (database: SeedDatabase) => Promise<void>
  /** An application's own routes, behind the same Host and Origin checks. */
  readonly routes?: (app: FastifyInstance, database: SeedDatabase & { readonly cache: Cache }) => void | Promise<void>
  /** A folder whose files are served at `/`, read once at the start. */
  readonly static?: string | URL
  readonly onReady?: (running: Running) => void | Promise<void>
  /** SIGTERM and SIGINT drain and end the process; a second one ends it at once. Default true. */
  readonly signals?: boolean
  /** What is logged, as JSON lines on standard output. Default `warn`. */
  readonly logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug'
}

/** A server that listens. */
export interface Running {
  /** Without a slash at its end, e.g. `http://127.0.0.1:9400`. */
  readonly url: string
  readonly port: number
  readonly database: SeedDatabase
  readonly cache: Cache
  /** Answers what is in flight, tells streams to come back, gives up the slot, stops the private PostgreSQL. */
  close(): Promise<void>
}

const DATA_DIR = '.tidemark'
/** For what comes after requests in flight: cache, connections, the private PostgreSQL. */
const RELEASE_MAX_MS = 5_000

/**
 * Starts a server and listens. Without a database's address (in the configuration or DATABASE_URL) it starts a private
 * PostgreSQL in the data folder.
 *
 * @throws ConfigError (`TIDEMARK_CONFIG`); OptionError (`TIDEMARK_OPTION`) for a follower without a relay; PortTakenError
 *         (`TIDEMARK_PORT_TAKEN`); DisagreementError (`TIDEMARK_DISAGREEMENT`) where others that share L2 or relay are configured otherwise; what the private PostgreSQL throws.
 *         Whatever had been started by then is stopped.
 */
export async function serve(options: ServeOptions): Promise<Running> {
  const env = options.env ?? process.env
  const config = typeof options.config === 'string' ? loadConfig(options.config, env) : options.config
  const port = options.port ?? portOf(env) ?? config.server.port
  // Refused before a database is started for it.
  const relay = relayOptions(config.relay, options.role)
  const started: (() => Promise<unknown>)[] = []
  const stop = async () => {
    while (started.length > 0) await started.pop()!()
  }
  try {
    const cluster = await joinCluster(config, version())
    started.push(() => cluster.close())
    const folder = options.dataDir ?? (env['TIDEMARK_DATA'] || DATA_DIR)
    const { database, own } = await openDatabase(config, folder, env)
    if (own) started.push(() => own.stop())
    await options.seed?.(database)
    meetInDatabase(cluster, config, database.url)
    // Before the database is stopped, if it is its own.
    started.push(() => cluster.close())

    const journal = await startJournal({ ...config, database, folder })
    const source = postgres({ ...sourceOptions(config, database.url), ...journal.source, ...relay })
    const cache = createCache({ source, ...l2Options(config.l2), ...cacheOptions(config) })
    started.push(() => cache.close())
    const { enabled, limits, ownTables } = config.trees
    const trees =
      enabled === true || (enabled === 'auto' && database.embedded)
        ? await openTrees({ cache, source, limits, ownTables, whenDown: 'later' })
        : undefined
    const tokens = config.access.tokens || config.access.oidc ? tokenDatabase(database.url) : undefined
    if (tokens) started.push(() => tokens.close())
    let address: string | null = null
    cluster.describe(() => stateOf(cache, address))
    const app = await buildApp({
      config,
      tokens,
      cache,
      source,
      cluster,
      calls: callsOf(config),
      whyNoJournal: journal.whyNot,
      trees,
      routes: (routes) => options.routes?.(routes, { ...database, cache }),
      static: options.static,
      logLevel: options.logLevel,
    })
    started.push(() => closeWithin(app, config.server.drainMaxMs))
    const listening = await listen(app, config.server.host, port)
    address = urlOf(config.server, listening)

    let closing: Promise<void> | undefined
    const close = () => {
      closing ??= stop().finally(ignoreSignals)
      return closing
    }
    const ignoreSignals =
      options.signals === false ? () => {} : drainOnSignals(close, config.server.drainMaxMs + RELEASE_MAX_MS)
    const running: Running = { url: address, port: listening, database, cache, close }
    await options.onReady?.(running)
    return running
  } catch (error) {
    await stop()
    throw error
  }
}

async function openDatabase(
  config: Config,
  folder: string,
  env: Environment,
): Promise<{ readonly database: SeedDatabase; readonly own?: OwnDatabase }> {
  const url = config.source.url || databaseUrlOf(env)
  if (url) return { database: { url, embedded: false } }
  const own = await OwnDatabase.start(folder)
  return { database: { url: own.url, embedded: true }, own }
}

function sourceOptions({ profile, source }: Config, url: string) {
  return {
    url,
    selfCheck: profile === 'production' ? ('sampled' as const) : ('always' as const),
    ...(source.directUrl === undefined ? {} : { directUrl: source.directUrl }),
    ...(source.publication === undefined ? {} : { publication: source.publication }),
    ...(source.slot === undefined ? {} : { slot: source.slot }),
    ...(source.slotKeepMax === undefined ? {} : { slotKeepMax: source.slotKeepMax }),
    ...(source.ackHold === undefined ? {} : { ackHold: source.ackHold }),
    ...(source.ackHoldMax === undefined ? {} : { ackHoldMax: source.ackHoldMax }),
    ...(source.connections === undefined ? {} : { pool: { max: source.connections } }),
    ...(source.follow === 'off' ? { follow: 'off' as const } : {}),
  }
}

/** One process reads the log, through the shared slot, and the others read what it relays. */
function relayOptions(relay: RelayConfig, asked: RelayConfig['role'] | undefined) {
  const { redis, stream, secret } = relay
  const role = roleOf(relay, asked)
  const sealed = secret === undefined ? {} : { secret }
  if (redis === undefined) return sealed
  return {
    ...sealed,
    role,
    relay: redisRelay({ url: redis, ...(stream === undefined ? {} : { stream }), ...sealed }),
  }
}

/** Redis is asked when it answers: nothing waits for it. */
function l2Options({ redis, name }: L2Config): { l2?: L2 } {
  return redis === undefined ? {} : { l2: redisL2({ url: redis, ...(name === undefined ? {} : { name }) }) }
}

const WATCH_MAX = 10_000

function cacheOptions({ cache, access, limits, server }: Config): Omit<CacheOptions<object>, 'source'> {
  const { maxEntries, maxBytes, maxSilence, waitMax } = cache
  // Where nobody is asked who they are, all of it is this machine's.
  return {
    l1: {
      ...(maxEntries === undefined ? {} : { maxEntries }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(asksWho(access) ? { tenantShare: limits.memoryShare } : {}),
      quotas: quotasOf(limits),
    },
    // Each stream may be of an entry of its own.
    watchMax: Math.max(WATCH_MAX, server.streamsMax),
    ...(maxSilence === undefined ? {} : { maxSilence }),
    ...(waitMax === undefined ? {} : { waitMax }),
  }
}

/** Answers what is in flight; what has not been answered by then is cut off. */
async function closeWithin(app: FastifyInstance, drainMaxMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), drainMaxMs)
  await app.close()
  clearTimeout(cut)
}

function urlOf({ host, tls }: Config['server'], port: number): string {
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
