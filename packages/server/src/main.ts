import type { FastifyInstance } from 'fastify'
import type { Cache } from 'tidemark'
import type { Config } from './config/config.js'

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
  /** The folder of the private PostgreSQL. Default: TIDEMARK_DATA, else `.tidemark/`. */
  readonly dataDir?: string | undefined
  /** Default: `process.env`. Gives `${NAME}` in the configuration, DATABASE_URL, TIDEMARK_PORT, TIDEMARK_DATA. */
  readonly env?: Readonly<Record<string, string | undefined>>
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

/**
 * Starts a server and listens.
 *
 * @throws ConfigError (`TIDEMARK_CONFIG`); PortTakenError (`TIDEMARK_PORT_TAKEN`); what the private PostgreSQL throws.
 */
export declare function serve(options: ServeOptions): Promise<Running>
