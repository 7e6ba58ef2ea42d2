import { AsyncResource } from 'node:async_hooks'
import type { Client, FieldDef, Pool, PoolClient } from 'pg'
import { currentReading, type Reading } from 'tidemark'
import type { Answered } from '../sql/bind.js'
import { loadParser } from '../sql/parse.js'
import { Backend, type Reader } from './backend.js'
import { SessionError } from './errors.js'
import { declaration } from './facts.js'
import { kindOf } from './statement-kind.js'

type Query = (...args: unknown[]) => unknown
type Callback = (error: unknown, result?: unknown) => void

/** A pool that is wrapped again (hot reload) stays as it is. */
const wrappedPools = new WeakSet<Pool>()

/**
 * Makes a pool of `pg` tell the fill that runs what is read through it. Queries outside of fills run as they are, and are only
 * looked at for what they may have changed on their connection.
 *
 * The pool is changed and returned. Wrap it before it is first used: what was set on a connection before is taken for its set-up.
 */
export function wrapPool<P extends Pool>(pool: P, reader: Reader): P {
  if (wrappedPools.has(pool)) return pool
  wrappedPools.add(pool)
  const wrapped = new WeakSet<PoolClient>()
  const connect = pool.connect.bind(pool) as unknown as (
    callback: (error: unknown, client?: PoolClient, done?: unknown) => void,
  ) => void
  const lend = (): Promise<PoolClient> =>
    new Promise((resolve, reject) => {
      connect((error, client) => {
        if (error || !client) return reject(error)
        // Until it is handed over nobody else hears that it ended, and an event that nobody hears ends the process. At once, as the
        // server's last words may stand in the same packet as the answer that made it ready.
        client.on('error', ignore)
        resolve(client)
      })
    })
  const prepare = async (client: PoolClient): Promise<PoolClient> => {
    if (wrapped.has(client)) return client
    wrapped.add(client)
    await loadParser()
    const backend = new WrappedClient(client, reader)
    // Before anybody sets anything on it: what the pool's own set-up left is what counts as clean.
    await backend.introduce()
    return client
  }
  const lendPrepared = async (): Promise<PoolClient> => {
    const client = await lend()
    try {
      const prepared = await prepare(client)
      client.removeListener('error', ignore)
      return prepared
    } catch (error) {
      client.release(true)
      throw error
    }
  }
  const override = (callback?: (error: unknown, client?: PoolClient, done?: unknown) => void): unknown => {
    const lent = lendPrepared()
    if (!callback) return lent
    // The pool calls back in the context of whoever gave the connection back: that is another's fill.
    const bound = AsyncResource.bind(callback)
    lent.then(
      (client) => bound(undefined, client, client.release),
      (error) => bound(error, undefined, () => {}),
    )
    return undefined
  }
  return Object.assign(pool, { connect: override })
}

class WrappedClient {
  readonly #client: Client
  readonly #query: Query
  readonly #backend: Backend
  /** The fill in which the open transaction began. */
  #openedBy: Reading | undefined
  /** The last query of a fill: others wait for it, so that they run in the order in which they were asked for. */
  #last: Promise<unknown> | undefined

  constructor(client: PoolClient, reader: Reader) {
    this.#client = client as unknown as Client
    this.#query = client.query.bind(client) as Query
    this.#backend = new Backend((query) => this.#query(query), reader)
    Object.assign(client, { query: (...args: unknown[]) => this.#route(args) })
  }

  introduce(): Promise<void> {
    return this.#backend.introduce()
  }

  #route(args: unknown[]): unknown {
    const reading = currentReading()
    const request = requestOf(args)
    if (!request || (!reading && !this.#last)) {
      // A cursor or a stream: its rows are not seen, so nothing is known of the answer.
      if (!request) reading?.unkept('not-understood')
      this.#note(request?.text)
      if (!this.#isInTransaction) this.#openedBy = undefined
      return this.#query(...args)
    }
    const answer = this.#queue(() => this.#run(request, reading))
    if (!request.callback) return answer
    const callback = AsyncResource.bind(request.callback)
    answer.then(
      (result) => callback(undefined, result),
      (error) => callback(error),
    )
    return undefined
  }

  #queue<Result>(run: () => Promise<Result>): Promise<Result> {
    const answer = (this.#last ?? Promise.resolve()).then(run)
    const settled = answer.then(ignore, ignore).then(() => {
      if (this.#last === settled) this.#last = undefined
    })
    this.#last = settled
    return answer
  }

  async #run(request: Request, reading: Reading | undefined): Promise<unknown> {
    const run = (): Promise<unknown> => this.#query(...request.args) as Promise<unknown>
    const kind = request.text === undefined ? 'other' : kindOf(request.text)
    if (!reading || kind === 'transaction' || kind === 'reset') {
      this.#note(request.text)
      const wasOpen = this.#isInTransaction
      try {
        return await run()
      } finally {
        if (!wasOpen) this.#openedBy = this.#isInTransaction ? reading : undefined
      }
    }
    if (request.text === undefined || this.#status === 'E') {
      reading.unkept('not-understood')
      return run()
    }
    if (this.#isInTransaction && this.#openedBy !== reading) reading.unkept('open-transaction')
    return this.#inSession(reading, () => this.#read(request.text!, request, reading, run))
  }

  #read(text: string, request: Request, reading: Reading, run: () => Promise<unknown>): Promise<unknown> {
    return this.#backend.read(text, request.values, reading, async () => {
      const result = await run()
      return { result, answered: answeredOf(result) }
    })
  }

  /** Sets what the call declared, for as long as its query runs, or its own transaction. */
  async #inSession(reading: Reading, work: () => Promise<unknown>): Promise<unknown> {
    if (!reading.session) return work()
    if (this.#isInTransaction) {
      if (this.#openedBy !== reading) {
        throw new SessionError(
          'A loader called through cache.as(…) queries in a transaction that was open before, where its role and settings cannot be ' +
            'set without changing those of the transaction. Begin the transaction in the loader, or query outside of one.',
        )
      }
      await this.#query(declaration(reading.session))
      return work()
    }
    await this.#backend.look()
    await this.#query('begin')
    try {
      await this.#query(declaration(reading.session))
      const result = await work()
      await this.#query('commit')
      return result
    } catch (error) {
      await Promise.resolve(this.#query('rollback')).catch(ignore)
      throw error
    }
  }

  /** Notes what a statement that no fill reads may change. */
  #note(text: string | undefined): void {
    const kind = text === undefined ? 'other' : kindOf(text)
    if (kind === 'reset') this.#backend.wasReset()
    else if (kind === 'other') this.#backend.ran('hidden')
    else if (kind === 'harmless') this.#backend.ran('settings')
  }

  get #isInTransaction(): boolean {
    return this.#status !== 'I' && this.#status !== null
  }

  get #status(): string | null {
    return (this.#client as unknown as { getTransactionStatus(): string | null }).getTransactionStatus()
  }
}

/** What a call of `query` asks for. */
interface Request {
  /** undefined for a statement that was prepared earlier under a name. */
  readonly text: string | undefined
  readonly values: readonly unknown[]
  readonly callback: Callback | undefined
  /** The arguments without the callback. */
  readonly args: readonly unknown[]
}

/** The forms in which `pg` takes a query; undefined for one that runs itself (a cursor, a stream). */
function requestOf(args: readonly unknown[]): Request | undefined {
  const [config, second, third] = args
  const callback = [second, third].find((each) => typeof each === 'function') as Callback | undefined
  const given = Array.isArray(second) ? second : undefined
  if (typeof config === 'string')
    return { text: config, values: given ?? [], callback, args: args.filter((each) => each !== callback) }
  if (typeof config !== 'object' || config === null || 'submit' in config) return undefined
  const { text, values, callback: own } = config as { text?: string; values?: unknown[]; callback?: Callback }
  const rest = own ? [{ ...config, callback: undefined }, given] : args.filter((each) => each !== callback)
  return { text, values: given ?? values ?? [], callback: callback ?? own, args: rest }
}

/** What the driver's result tells of the answer's rows; undefined for the results of several statements. */
function answeredOf(result: unknown): Answered | undefined {
  const { fields, rows } = result as { fields?: FieldDef[]; rows?: unknown[] }
  if (!fields || !rows) return undefined
  // Of columns of one name an object has only the last.
  const isHidden = fields.map(({ name }, index) => fields.findLastIndex((other) => other.name === name) !== index)
  return {
    fields,
    rowCount: rows.length,
    cell(row, field) {
      const own = rows[row]
      if (Array.isArray(own)) return own[field]
      return isHidden[field] ? undefined : (own as Record<string, unknown>)[fields[field]!.name]
    },
  }
}

function ignore(): void {}
