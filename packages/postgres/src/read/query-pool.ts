import { Client, type ClientConfig, DatabaseError, type FieldDef, Pool, type PoolClient } from 'pg'
import { ClosedError, type Reading, type Session } from 'tidemark'
import type { Answered } from '../sql/answered.js'
import { SqlError } from '../sql/errors.js'
import { Backend, type Reader, TEXT } from './backend.js'
import { cancelQueries } from './cancel.js'
import { connectionError, endsConnection, queryError } from './errors.js'
import { opening } from './facts.js'
import { notifyLate } from './notices.js'
import { trackedClients } from './tracked.js'

const CONNECT_MAX_MS = 5_000

/** An answer as PostgreSQL wrote it. */
export interface TextAnswer {
  readonly fields: readonly FieldDef[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly rowCount: number
}

/** The connections that `sql` runs on. Nothing else does, so what changes one is seen, and it is not used again. */
export class QueryPool {
  readonly #config: ClientConfig
  readonly #max: number
  readonly #reader: Reader
  readonly #backends = new WeakMap<PoolClient, Backend>()
  #pool: Pool | undefined

  constructor(config: ClientConfig, max: number, reader: Reader) {
    this.#config = config
    this.#max = max
    this.#reader = reader
  }

  /**
   * Runs one statement for a fill, and tells the fill what it read.
   *
   * @throws SqlError, SourceDownError, or the signal's reason if it aborts (then the query is cancelled)
   */
  async run(text: string, values: readonly unknown[], reading: Reading): Promise<TextAnswer> {
    notifyLate(reading, text, this.#reader)
    const where = reading.session ? 'in-session' : 'alone'
    return this.use(reading.session, reading.signal, text, async (client, backend) => {
      // Extended, so that a text is one statement, whether or not it has parameters.
      const query = { text, values: [...values], rowMode: 'array', types: TEXT, queryMode: 'extended' }
      const run = async (): Promise<{ result: TextAnswer; answered: Answered }> => {
        const result = (await client.query(query)) as unknown as TextAnswer
        const { fields, rows } = result
        return { result, answered: { fields, rowCount: rows.length, cell: (row, field) => rows[row]![field] } }
      }
      return backend.read(text, values, reading, where, run)
    })
  }

  /**
   * Lends a connection for which the session, if any, is set until it is given back.
   *
   * @param text  what will run on it: errors name the place in it
   */
  async use<Result>(
    session: Session | undefined,
    signal: AbortSignal | undefined,
    text: string,
    work: (client: PoolClient, backend: Backend) => Promise<Result>,
  ): Promise<Result> {
    signal?.throwIfAborted()
    const { client, backend } = await this.#take(session !== undefined, signal)
    let isLent = true
    const giveBack = (isBroken: boolean): void => {
      if (!isLent) return
      isLent = false
      client.release(isBroken || statusOf(client) !== 'I')
    }
    const aborted = rejectOnAbort(signal, () => {
      cancelQueries(client, this.#config)
      giveBack(true)
    })
    try {
      const result = await Promise.race([inSession(client, session, () => work(client, backend)), aborted.promise])
      giveBack(false)
      return result
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      const known = queryError(failureOf(client, error), isConnected(client), text)
      giveBack(!(known instanceof SqlError) || endsConnection(known.sqlState))
      throw known
    } finally {
      aborted.stop()
    }
  }

  async close(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.end()
  }

  /** A connection that is as it was set up. */
  async #take(hasSession: boolean, signal: AbortSignal | undefined): Promise<{ client: PoolClient; backend: Backend }> {
    for (;;) {
      const client = await this.#connect(signal)
      try {
        const backend = this.#backends.get(client) ?? new Backend((query) => client.query(query as never), this.#reader)
        this.#backends.set(client, backend)
        if (!backend.isIntroduced) await backend.introduce()
        // A new one never is spoilt, so this ends.
        if (backend.isSuspect) await backend.look()
        if (!backend.isSpoilt(hasSession)) return { client, backend }
      } catch (error) {
        const known = queryError(failureOf(client, error), isConnected(client))
        client.release(true)
        throw known
      }
      client.release(true)
    }
  }

  async #connect(signal: AbortSignal | undefined): Promise<PoolClient> {
    this.#pool ??= this.#open()
    const connecting = this.#pool.connect()
    const aborted = rejectOnAbort(signal, () => {
      // Somebody else may have the connection that nobody waits for any more.
      connecting.then((client) => client.release(), ignore)
    })
    try {
      return await Promise.race([connecting, aborted.promise])
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (this.#pool === undefined)
        throw new ClosedError('The cache was closed while a query waited for a connection.', { cause: error })
      throw connectionError(error)
    } finally {
      aborted.stop()
    }
  }

  #open(): Pool {
    const pool = new Pool({ ...this.#config, max: this.#max, Client: OwnClient })
    // An idle connection that ends is taken out of the pool; the next query makes a new one.
    pool.on('error', ignore)
    return pool
  }
}

/** The time to connect is bounded, the time to wait for a free connection is not: the fill's own timeout bounds that. */
class OwnClient extends Client {
  /** What ended the connection: of the queries after it the driver says only that it has ended. */
  failure: Error | undefined

  constructor(config?: ClientConfig) {
    super({ ...config, connectionTimeoutMillis: CONNECT_MAX_MS })
    trackedClients.add(this)
    // A connection that ends while it is lent tells its query; as an event it would end the process, at any moment between two
    // queries: the pool listens only while it is idle.
    this.on('error', (error) => {
      this.failure ??= error
    })
  }
}

/** Runs the work with the session set: for one transaction, so that it can't outlive the work. */
async function inSession<Result>(
  client: PoolClient,
  session: Session | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  if (!session) return work()
  try {
    await client.query(opening(session))
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(ignore)
    throw error
  }
}

function rejectOnAbort(
  signal: AbortSignal | undefined,
  onAbort: () => void,
): { promise: Promise<never>; stop: () => void } {
  let abort = ignore
  const promise = new Promise<never>((_, reject) => {
    abort = () => {
      onAbort()
      reject(signal?.reason)
    }
  })
  promise.catch(ignore)
  // Of what was aborted before nobody tells.
  if (signal?.aborted) abort()
  else signal?.addEventListener('abort', abort, { once: true })
  return { promise, stop: () => signal?.removeEventListener('abort', abort) }
}

/** The state of its transaction, as the server last said: I outside of one. */
function statusOf(client: PoolClient): string | null {
  return (client as unknown as { getTransactionStatus(): string | null }).getTransactionStatus()
}

function failureOf(client: PoolClient, error: unknown): unknown {
  return error instanceof DatabaseError ? error : ((client as unknown as OwnClient).failure ?? error)
}

function isConnected(client: PoolClient): boolean {
  const own = client as unknown as OwnClient
  return !own.failure && !own.connection.stream.destroyed
}

function ignore(): void {}
