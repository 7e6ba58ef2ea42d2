import { AsyncResource } from 'node:async_hooks'
import type { ClientBase } from 'pg'
import { currentReading, endedReading, type Reading } from 'tidemark'
import { loadParser } from '../sql/parse.js'
import { Backend, type Reader, type Where } from './backend.js'
import { ClientError, SessionError } from './errors.js'
import { declaration, opening } from './facts.js'
import { notifyLate } from './notices.js'
import { type Asked, answeredOf, requestOf, type Submitted, watchClosed } from './request.js'
import { kindOf } from './statement-kind.js'
import { trackedClients } from './tracked.js'

type Query = (...args: unknown[]) => unknown

/** What the driver's client has, but does not declare. */
interface Driver {
  readonly connection: {
    readonly parsedStatements: Readonly<Record<string, string>>
    prependListener(event: 'readyForQuery', listener: (message: { readonly status: string }) => void): void
  }
  readonly _connected?: boolean
}

const wrappedClients = new WeakMap<ClientBase, WrappedClient>()

/** The wrapping of a client, made when it is first asked for. Throws ClientError (`TIDEMARK_CLIENT`) if it is not one of `pg`. */
export function wrappingOf(client: ClientBase, reader: Reader): WrappedClient {
  const known = wrappedClients.get(client)
  if (known) return known
  const { connection } = client as unknown as Partial<Driver>
  if (typeof connection?.prependListener !== 'function') {
    throw new ClientError(
      "Only clients of pg's JavaScript implementation can be wrapped: of its native binding (pg-native), and of other drivers, it " +
        'cannot be seen what a query does to its connection. Use pg.Pool or pg.Client, not pg.native.',
    )
  }
  const wrapped = new WrappedClient(client, reader)
  wrappedClients.set(client, wrapped)
  trackedClients.add(client)
  return wrapped
}

/**
 * Makes a client of `pg` tell the fill that runs what is read through it. It is changed and returned. Wrap it before anything is
 * set on it, best before it connects.
 */
export function wrapClient<C extends ClientBase>(client: C, reader: Reader): C {
  if (wrappedClients.has(client)) return client
  const wrapped = wrappingOf(client, reader)
  if ((client as unknown as Driver)._connected) {
    wrapped.introduce().catch(ignore)
    return client
  }
  const connect = client.connect.bind(client) as () => Promise<unknown>
  const override = (callback?: (error?: unknown) => void): unknown => {
    const connected = connect().then(async (result) => {
      await wrapped.introduce()
      return result
    })
    if (!callback) return connected
    const bound = AsyncResource.bind(callback)
    connected.then(
      () => bound(undefined),
      (error) => bound(error),
    )
    return undefined
  }
  return Object.assign(client, { connect: override })
}

/** Routes the queries of one client: those of fills are read by its Backend, one after another; others pass. */
export class WrappedClient {
  readonly #client: Driver & ClientBase
  readonly #query: Query
  readonly #backend: Backend
  readonly #reader: Reader
  /** The fill in which the open transaction began. */
  #openedBy: Reading | undefined
  /** The last query of a fill: others wait for it, so that they run in the order in which they were asked for. */
  #last: Promise<unknown> | undefined
  #introduced: Promise<void> | undefined
  /** The state of its transaction, as the server last said: I outside of one, E in one that failed. */
  #status = 'I'

  constructor(client: ClientBase, reader: Reader) {
    this.#client = client as unknown as Driver & ClientBase
    this.#reader = reader
    this.#query = client.query.bind(client) as Query
    this.#backend = new Backend((query) => this.#query(query), reader)
    // Before the driver's own listener, which calls back whoever asked.
    this.#client.connection.prependListener('readyForQuery', ({ status }) => {
      this.#status = status
    })
    Object.assign(client, { query: (...args: unknown[]) => this.#route(args) })
  }

  /** Asks what the connection is, before anybody sets anything on it: what its own set-up left is what counts as clean. */
  introduce(): Promise<void> {
    this.#introduced ??= this.#queue(async () => {
      await loadParser()
      await this.#backend.introduce()
    })
    return this.#introduced
  }

  #route(args: unknown[]): unknown {
    const request = requestOf(args)
    const reading = currentReading()
    if (!reading) notifyLate(endedReading(), request.text, this.#reader)
    if (!reading && !this.#last) {
      this.#note(this.#textOf(request))
      if (!this.#isInTransaction) this.#openedBy = undefined
      return this.#query(...args)
    }
    if (request.kind === 'submitted') return this.#submit(request, reading)
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

  async #run(request: Asked, reading: Reading | undefined): Promise<unknown> {
    const text = this.#textOf(request)
    const run = (): Promise<unknown> => this.#query(...request.args) as Promise<unknown>
    const kind = text === undefined ? 'other' : kindOf(text)
    if (!reading || kind === 'transaction' || kind === 'reset') {
      this.#note(text)
      const wasOpen = this.#isInTransaction
      try {
        return await run()
      } finally {
        if (!wasOpen) this.#openedBy = this.#isInTransaction ? reading : undefined
      }
    }
    if (text === undefined || this.#status === 'E') {
      reading.unkept('not-understood')
      return run()
    }
    this.#judgeTransaction(reading)
    return this.#inSession(reading, (where) =>
      this.#backend.read(text, request.values, reading, where, async () => {
        const result = await run()
        return { result, answered: answeredOf(result) }
      }),
    )
  }

  /**
   * Hands a cursor or stream to the driver once it is known what it depends on. Its rows go past us, and it may still be read from
   * when the loader returns: so it counts as read when it is submitted, by which time its snapshot is still to be taken.
   */
  #submit(request: Submitted, reading: Reading | undefined): unknown {
    const { query, text, values } = request
    const args = request.args.map((each) =>
      typeof each === 'function' ? AsyncResource.bind(each as () => void) : each,
    )
    const isClosed = watchClosed(request)
    const submit = async (): Promise<{ result: undefined; answered: undefined }> => {
      if (!isClosed()) this.#query(...args)
      return { result: undefined, answered: undefined }
    }
    this.#queue(async () => {
      if (!reading || text === undefined || kindOf(text) === 'transaction') {
        reading?.unkept('not-understood')
        this.#note(text)
        if (!this.#isInTransaction) this.#openedBy = undefined
        return submit()
      }
      this.#judgeTransaction(reading)
      if (reading.session) await this.#declare(reading)
      const where = this.#isInTransaction ? 'unseen-in-transaction' : 'unseen'
      return this.#backend.read(text, values, reading, where, submit)
    }).catch((error) => query.handleError(error, this.#client.connection))
    return query
  }

  #judgeTransaction(reading: Reading): void {
    if (this.#isInTransaction && this.#openedBy !== reading) reading.unkept('open-transaction')
  }

  /** Sets what the call declared, for as long as its query runs, or its own transaction. */
  async #inSession(reading: Reading, work: (where: Where) => Promise<unknown>): Promise<unknown> {
    if (!reading.session) return work(this.#isInTransaction ? 'in-transaction' : 'alone')
    if (this.#isInTransaction) {
      await this.#declare(reading)
      return work('in-transaction')
    }
    await this.#backend.look()
    try {
      await this.#query(opening(reading.session))
      const result = await work('in-session')
      await this.#query('commit')
      return result
    } catch (error) {
      await Promise.resolve(this.#query('rollback')).catch(ignore)
      throw error
    }
  }

  async #declare(reading: Reading): Promise<void> {
    if (!this.#isInTransaction || this.#openedBy !== reading) {
      throw new SessionError(
        'A loader called through cache.as(…) queries in a transaction that was open before, or by a cursor outside of one, where its role ' +
          'and settings cannot be set without changing those of others. Begin the transaction in the loader, or query outside of one.',
      )
    }
    await this.#query(declaration(reading.session!))
  }

  /** Notes what a statement that no fill reads may change. */
  #note(text: string | undefined): void {
    const kind = text === undefined ? 'other' : kindOf(text)
    if (kind === 'reset') this.#backend.wasReset()
    else if (kind === 'other') this.#backend.ran('hidden')
    else if (kind === 'harmless') this.#backend.ran('settings')
  }

  /** The text of a request; of one by name alone, what was prepared under that name on this connection. */
  #textOf(request: Asked | Submitted): string | undefined {
    if (request.text !== undefined || request.kind === 'submitted') return request.text
    return request.name === undefined ? undefined : this.#client.connection.parsedStatements[request.name]
  }

  get #isInTransaction(): boolean {
    return this.#status !== 'I'
  }
}

function ignore(): void {}
