import { ClientError } from './errors.js'
import { type EventsOptions, events } from './events.js'
import type { Http, Query } from './http.js'

export interface WatchOptions {
  readonly signal?: AbortSignal
}

/** What is known of something that is followed. */
export interface Live<Value> {
  /** `loading` before the first value; `live`; `reconnecting` where the stream broke, and what is known may be old; `failed` for good. */
  readonly state: 'loading' | 'live' | 'reconnecting' | 'failed'
  /** undefined: it is not known yet, or there is no such node. */
  readonly value: Value | undefined
  readonly error?: ClientError
}

/** Something that a server streams. */
export interface Source<Value> {
  /** Distinguishes it from all others of the client. */
  readonly id: string
  /**
   * Its value now, and whenever it changes; undefined while there is none. Goes on over servers that come and go, until `signal` aborts.
   *
   * @throws ClientError for what asking again does not mend
   */
  watch(options?: WatchOptions): AsyncGenerator<Value | undefined>
  /** What is known now; the same object until something else is. */
  current(): Live<Value>
  /** Calls back whenever something else is known. One stream serves all who follow. @returns how to stop */
  follow(changed: () => void): () => void
}

const LOADING: Live<never> = { state: 'loading', value: undefined }

/** One stream, for all who follow the same thing; closed when the last of them stops. */
export class Followed<Value> implements Source<Value> {
  readonly id: string
  readonly #http: Http
  readonly #path: string
  readonly #query: Query
  readonly #followers = new Set<() => void>()
  #live: Live<Value> = LOADING
  #ended: AbortController | undefined

  constructor(http: Http, path: string, query: Query) {
    this.id = `${path} ${JSON.stringify(query)}`
    this.#http = http
    this.#path = path
    this.#query = query
  }

  watch({ signal }: WatchOptions = {}): AsyncGenerator<Value | undefined> {
    return this.#values({ query: this.#query, signal })
  }

  current(): Live<Value> {
    return this.#live
  }

  follow(changed: () => void): () => void {
    // The same function may follow twice.
    const follower = () => changed()
    this.#followers.add(follower)
    if (!this.#ended) void this.#run()
    return () => {
      this.#followers.delete(follower)
      if (this.#followers.size > 0) return
      this.#ended?.abort()
      this.#ended = undefined
      // Who comes later is not shown what was known once.
      this.#live = LOADING
    }
  }

  async *#values(options: EventsOptions): AsyncGenerator<Value | undefined> {
    for await (const { event, data } of events(this.#http, this.#path, options))
      yield event === 'absent' ? undefined : (JSON.parse(data) as Value)
  }

  async #run(): Promise<void> {
    const ended = new AbortController()
    this.#ended = ended
    const tell = (live: Live<Value>) => {
      if (ended.signal.aborted) return
      this.#live = live
      for (const follower of this.#followers) follower()
    }
    const onLost = () => {
      if (this.#live.state === 'live') tell({ state: 'reconnecting', value: this.#live.value })
    }
    try {
      for await (const value of this.#values({ query: this.#query, signal: ended.signal, onLost }))
        tell({ state: 'live', value })
    } catch (error) {
      if (!ended.signal.aborted)
        tell({ state: 'failed', value: undefined, error: error instanceof ClientError ? error : unexpected(error) })
    }
  }
}

function unexpected(cause: unknown): ClientError {
  return new ClientError('TIDEMARK_UNREACHABLE', String(cause), 0, { cause })
}
