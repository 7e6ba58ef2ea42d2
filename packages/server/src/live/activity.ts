import type { Cache, CacheEvents, Clock } from 'tidemark'
import type { Connection } from './connection.js'

/** Events told in one second, to all clients; more are counted. */
const PER_SECOND_MAX = 50
const SECOND_MS = 1_000

const NAMES = ['applied', 'swept', 'stayed', 'filled', 'failed', 'started', 'lost', 'notice'] as const

/**
 * What the cache does, for people who watch it: each change with the entries that it touched, each fill. A summary, not a
 * record: what is too much, or does not fit a slow client's buffer, is left out, and how much is said.
 */
export class Activity {
  readonly #cache: Cache
  readonly #clock: Clock
  readonly #clients = new Map<Connection, { skipped: number }>()
  #leave: (() => void) | undefined
  /** Events of the second that runs now. */
  #told = 0

  constructor(cache: Cache, clock: Clock) {
    this.#cache = cache
    this.#clock = clock
  }

  /** Clients that listen now. While there are none, the cache builds no events. */
  get size(): number {
    return this.#clients.size
  }

  subscribe(connection: Connection): void {
    this.#clients.set(connection, { skipped: 0 })
    this.#leave ??= this.#listen()
    connection.onRoom(() => {
      if (this.#told <= PER_SECOND_MAX) this.#tellSkipped(connection)
    })
    connection.signal.addEventListener('abort', () => {
      this.#clients.delete(connection)
      if (this.#clients.size > 0) return
      this.#leave?.()
      this.#leave = undefined
    })
  }

  #listen(): () => void {
    const leaves = NAMES.map((name) => this.#cache.on(name, (event) => this.#tell(name, event)))
    return () => {
      for (const leave of leaves) leave()
    }
  }

  #tell<Name extends (typeof NAMES)[number]>(name: Name, event: CacheEvents[Name]): void {
    if (this.#told++ === 0) this.#clock.after(SECOND_MS, () => this.#nextSecond())
    if (this.#told > PER_SECOND_MAX) {
      for (const state of this.#clients.values()) state.skipped++
      return
    }
    const bytes = Buffer.from(
      `event: ${name}\ndata: ${JSON.stringify({ ...summary(name, event), at: this.#clock.wall() })}\n\n`,
    )
    for (const [connection, state] of this.#clients) {
      this.#tellSkipped(connection)
      if (!connection.send(bytes)) state.skipped++
    }
  }

  #nextSecond(): void {
    this.#told = 0
    for (const connection of this.#clients.keys()) this.#tellSkipped(connection)
  }

  #tellSkipped(connection: Connection): void {
    const state = this.#clients.get(connection)
    if (state && state.skipped > 0 && connection.send(`event: skipped\ndata: {"events":${state.skipped}}\n\n`))
      state.skipped = 0
  }
}

/** An event as JSON holds it: errors by code and sentence. */
function summary<Name extends (typeof NAMES)[number]>(name: Name, event: CacheEvents[Name]): object {
  if (name === 'lost') return { reason: errorSummary((event as CacheEvents['lost']).reason) }
  if (name === 'failed') {
    const { tenant, key, error } = event as CacheEvents['failed']
    return { tenant, key, error: errorSummary(error) }
  }
  return event
}

/** Messages of errors that are not ours may hold values. */
function errorSummary(error: unknown): object {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('TIDEMARK_')
    ? { code: error.code, message: error.message }
    : { code: 'TIDEMARK_INTERNAL' }
}
