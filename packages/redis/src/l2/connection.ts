import { Redis } from 'ioredis'
import type { RedisClient } from './scripts/script.js'

/** The way to Redis: the user's client, or one of our own. */
export class Connection {
  readonly client: RedisClient
  readonly #own: Redis | undefined
  #isWoken = false

  /**
   * Returns at once; a client of our own connects by itself, and again whenever it was lost.
   *
   * @param longestCallMs  within so long an answer may come
   */
  constructor({ client, url }: { readonly client?: RedisClient; readonly url?: string }, longestCallMs: number) {
    if (client) {
      this.client = client
      return
    }
    this.#own = new Redis(url!, {
      // What cannot be sent now is a miss now: nothing waits for the connection, nothing is sent twice.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      connectTimeout: 5_000,
      // A connection on which nothing comes any more, though it is open: the system would try it for a quarter of an hour.
      socketTimeout: Math.max(5_000, 2 * longestCallMs),
      retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), 1_000),
      // After a fail-over this may be a replica; the address may lead to the new primary.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    })
    // Without a listener it would print what calls tell anyway.
    this.#own.on('error', () => {})
    this.client = this.#own
  }

  get isReady(): boolean {
    const { status } = this.client
    if (status === 'wait' && !this.#isWoken) {
      this.#isWoken = true
      // A lazy client connects when it is first used; that may take long, so nothing waits for it. It tells errors by itself.
      this.client.connect().catch(() => {})
    }
    return status === 'ready'
  }

  close(): void {
    this.#own?.disconnect()
  }
}
