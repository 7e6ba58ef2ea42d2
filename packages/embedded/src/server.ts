import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Account, mayEnter } from './account.js'
import { databaseUrl } from './address.js'
import { type Cluster, openCluster } from './cluster.js'
import { DataFolderError, EmbeddedStartError } from './errors.js'
import { stopLeftover } from './leftover.js'
import { type Postmaster, startPostmaster } from './postmaster.js'

export interface EmbeddedOptions {
  /** The folder that the data lives in; made if missing. The server's files are in its subfolder `postgres`. */
  readonly dataDir: string
  /** PostgreSQL settings, over our defaults. */
  readonly settings?: Readonly<Record<string, string>>
  /** Gets each line that the server logs. */
  readonly log?: (line: string) => void
  /** As root: the account to run the server as. Default: the owner of the data, else `nobody`, else `postgres`. */
  readonly user?: string
  /** The folder of another PostgreSQL's binaries, e.g. `/usr/lib/postgresql/15/bin`. Default: those of the npm package. */
  readonly binDir?: string
  /** Survives a power cut. Default true; false is for tests: several times faster, and a crash of the machine loses data. */
  readonly isDurable?: boolean
  /** Called when the server ended without `stop`, `kill` or `restart`, with how it ended. */
  readonly onExit?: (how: string) => void
}

/** A private PostgreSQL, reached by a socket in a folder that only its account can enter. */
export interface Embedded {
  /** Connection string of the database `postgres` for the superuser `postgres`; `pg` and psql accept it. */
  readonly url: string
  readonly socketDir: string
  readonly dataDir: string
  /** Process id of the postmaster. */
  readonly pid: number
  /** For example `18.4`. */
  readonly serverVersion: string
  /** The connection string of a database of this server, whether or not it exists. */
  databaseUrl(name: string): string
  /** Makes a database and resolves with its connection string; nothing to do if it exists. */
  createDatabase(name: string): Promise<string>
  /** Stops the server in order; open transactions are aborted. Idempotent. */
  stop(): Promise<void>
  /** Kills the server's processes at once, as a power cut would: for tests of faults. `restart` brings it back. */
  kill(): void
  /** Stops the server if it runs, and starts it again under the same address. */
  restart(): Promise<void>
}

const defaults = {
  wal_level: 'logical',
  max_replication_slots: '50',
  max_wal_senders: '50',
  // An abandoned slot must not fill the disk of the machine that we are a guest on.
  max_slot_wal_keep_size: '4GB',
  log_checkpoints: 'off',
}

const notDurable = { fsync: 'off', full_page_writes: 'off', wal_init_zero: 'off' }

/** `.s.PGSQL.5432` and its slash come after the folder; the kernel's limit is 107 bytes (103 on macOS). */
const socketDirMaxBytes = 103 - '/.s.PGSQL.5432'.length

const duplicateDatabase = '42P04'

/** What PostgreSQL prints (in English, as LC_ALL is C) where another server holds the folder, or is still ending. */
const contention = [
  'lock file "postmaster.pid" already exists',
  'pre-existing shared memory block',
  'is another postmaster',
]
const contentionMaxMs = 20_000

/**
 * Starts a private PostgreSQL on a data folder; it ends with this process, however that ends.
 *
 * @throws DataFolderError, DataInUseError, DataVersionError, EmbeddedUnsupportedError, EmbeddedStartError
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dataDir = resolve(options.dataDir)
  const cluster = await openCluster(dataDir, options.user, options.isDurable ?? true, options.binDir)
  const socketDir = makeSocketDir(cluster.account)
  const server = new EmbeddedServer(cluster, socketDir, options)
  try {
    await server.start()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

class EmbeddedServer implements Embedded {
  readonly url: string
  readonly dataDir: string
  readonly #options: EmbeddedOptions
  readonly #cluster: Cluster
  #postmaster: Postmaster | undefined
  #serverVersion = ''

  constructor(
    cluster: Cluster,
    readonly socketDir: string,
    options: EmbeddedOptions,
  ) {
    this.#cluster = cluster
    this.#options = options
    this.dataDir = cluster.dataDir
    this.url = this.databaseUrl('postgres')
  }

  get pid(): number {
    return this.#postmaster!.pid
  }

  get serverVersion(): string {
    return this.#serverVersion
  }

  async start(): Promise<void> {
    const postmaster = await startContended(this.#cluster, this.socketDir, this.#options)
    this.#postmaster = postmaster
    void postmaster.ended.then((how) => {
      if (!postmaster.isDismissed) this.#options.onExit?.(how)
    })
    this.#serverVersion = await this.#query(async (client) => {
      const { rows } = await client.query<{ version: string }>(`select current_setting('server_version') as version`)
      return rows[0]!.version
    })
  }

  databaseUrl(name: string): string {
    return databaseUrl(this.socketDir, name)
  }

  async createDatabase(name: string): Promise<string> {
    const url = this.databaseUrl(name)
    await this.#query((client) => client.query(`create database ${pg.escapeIdentifier(name)}`)).catch((error) => {
      if ((error as pg.DatabaseError).code !== duplicateDatabase) throw error
    })
    return url
  }

  async stop(): Promise<void> {
    await this.#postmaster?.stop()
    fs.rmSync(this.socketDir, { recursive: true, force: true })
  }

  kill(): void {
    this.#postmaster?.kill()
  }

  async restart(): Promise<void> {
    await this.#postmaster?.stop()
    await this.start()
  }

  async #query<T>(ask: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({ connectionString: this.url })
    // A connection that breaks makes the query fail; without a listener it would also end the process.
    client.on('error', () => {})
    await client.connect()
    try {
      return await ask(client)
    } finally {
      await client.end()
    }
  }
}

/** Starts the server where a killed one may not be quite gone, or another process starts one at the same moment. */
async function startContended(cluster: Cluster, socketDir: string, options: EmbeddedOptions): Promise<Postmaster> {
  const { settings, isDurable = true, log = () => {} } = options
  const began = performance.now()
  for (;;) {
    await stopLeftover(cluster)
    restoreSocketDir(socketDir, cluster.account)
    try {
      return await startPostmaster({
        cluster,
        socketDir,
        settings: { ...defaults, ...(isDurable ? {} : notDurable), ...settings },
        log,
      })
    } catch (error) {
      const isContended =
        error instanceof EmbeddedStartError &&
        error.output.some((line) => contention.some((text) => line.includes(text)))
      if (!isContended || performance.now() - began > contentionMaxMs) throw error
      await sleep(100)
    }
  }
}

/** In the temporary folder, unless its path is too long or the server's account cannot go there. */
function makeSocketDir(account: Account | undefined): string {
  const fits = (folder: string) => Buffer.byteLength(join(folder, 'tidemark-XXXXXX')) <= socketDirMaxBytes
  const base = [tmpdir(), '/tmp'].find((folder) => fits(folder) && mayEnter(folder, account))
  try {
    const folder = fs.mkdtempSync(join(base ?? '/tmp', 'tidemark-'))
    if (account !== undefined) fs.chownSync(folder, account.uid, account.gid)
    return folder
  } catch (cause) {
    const message = `No folder for the server's socket can be made in ${base}. Correct its mode, or set TMPDIR.`
    throw new DataFolderError(message, { cause })
  }
}

/** The guard removes the folder of a server that ended; a restart wants the same address. */
function restoreSocketDir(folder: string, account: Account | undefined): void {
  if (fs.existsSync(folder)) return
  fs.mkdirSync(folder, { mode: 0o700 })
  if (account !== undefined) fs.chownSync(folder, account.uid, account.gid)
}
