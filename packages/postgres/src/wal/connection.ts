import { Client, type ClientConfig } from 'pg'
import { SourceDownError } from 'tidemark'

export interface ConnectionOptions {
  /** The address of the server itself, not of a pooler. */
  readonly url: string
  /** TLS, where the address does not say it. */
  readonly ssl?: ClientConfig['ssl']
  readonly applicationName: string
  readonly connectTimeoutMs: number
}

/** Settings that the text of values depends on: dependencies and changes are compared as text, so both must be written the same way. */
const TEXT_SETTINGS: Readonly<Record<string, string>> = {
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
}

/** Settings of our own connections: what the role or the database has set must not reach into them. */
const OWN_SETTINGS: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog',
  default_transaction_isolation: 'read\\ committed',
  default_transaction_read_only: 'off',
  // A transaction of ours must not wait for a standby: it would never tell that the standby's absence hides others.
  synchronous_commit: 'local',
  idle_in_transaction_session_timeout: '0',
  // Questions to the catalogue look dear and are not: compiling one takes longer than its answer.
  jit: 'off',
}

/** A client on the server, with the settings given at start-up. It is not connected yet. */
export function client(
  options: ConnectionOptions,
  settings: Readonly<Record<string, string>>,
  isReplication = false,
): Client {
  const all = Object.entries({ ...TEXT_SETTINGS, ...OWN_SETTINGS, ...settings })
  const [address, query = ''] = splitOnce(options.url, '?')
  const parameters = new URLSearchParams(query)
  // What stands in the address wins over what is given beside it; so ours has to go into it, after the user's.
  const own = all.map(([name, value]) => `-c ${name}=${value}`).join(' ')
  parameters.set('options', [parameters.get('options'), own].filter(Boolean).join(' '))
  parameters.set('application_name', options.applicationName)
  if (isReplication) parameters.set('replication', 'database')
  const made = new Client({
    connectionString: `${address}?${parameters.toString().replaceAll('+', '%20')}`,
    connectionTimeoutMillis: options.connectTimeoutMs,
    keepAlive: true,
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
  })
  // An error event that nobody listens to would end the process; whoever uses the client sees its queries reject.
  made.on('error', () => {})
  return made
}

/**
 * One connection for SQL of our own. Connects when it is first used, and anew after it broke; one user at a time, in order.
 */
export class SqlConnection {
  readonly #open: () => Promise<Client>
  readonly #timeoutMs: number
  #client: Client | undefined
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** @param open  makes a connected client; rejects if it is not the right server */
  constructor(open: () => Promise<Client>, timeoutMs: number) {
    this.#open = open
    this.#timeoutMs = timeoutMs
  }

  /**
   * Runs `run` when it is its turn. If it takes longer than the connection's bound, the connection is cut and it rejects.
   */
  use<Result>(run: (client: Client) => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(() => this.#run(run))
    this.#last = turn.catch(() => {})
    return turn
  }

  /** The rows of one statement. */
  rows<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.use(async (client) => (await client.query<Row>(text, [...values])).rows)
  }

  /** Cuts the connection unless it passes: the server behind the address may be another one by now. */
  async recheck(isRight: (client: Client) => Promise<boolean>): Promise<void> {
    if (!this.#client) return
    const passes = await this.use(isRight).catch(() => false)
    if (!passes) await this.cut()
  }

  /** Cuts the connection; the next use makes a new one. */
  async cut(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => {})
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.cut()
  }

  async #run<Result>(run: (client: Client) => Promise<Result>): Promise<Result> {
    if (this.#isClosed) throw new SourceDownError('The log was closed, and its connections with it.')
    const client = this.#client ?? (await this.#connected())
    this.#client = client
    const timer = setTimeout(() => {
      if (this.#client === client) void this.cut()
    }, this.#timeoutMs)
    try {
      return await run(client)
    } finally {
      clearTimeout(timer)
    }
  }

  async #connected(): Promise<Client> {
    const client = await this.#open()
    const broken = (): void => {
      if (this.#client === client) this.#client = undefined
    }
    client.on('error', broken)
    client.on('end', broken)
    if (this.#isClosed) {
      await client.end().catch(() => {})
      throw new SourceDownError('The log was closed, and its connections with it.')
    }
    return client
  }
}

function splitOnce(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + mark.length)]
}
