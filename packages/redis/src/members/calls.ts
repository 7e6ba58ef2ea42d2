import { type Clock, OptionError, systemClock } from 'tidemark'
import { checkAddress, connectionTo, type RedisConnection, type StreamAddress } from '../stream/address.js'
import { streamError } from '../stream/errors.js'
import { pause } from '../stream/pause.js'

export interface CallsOptions extends StreamAddress {
  /** The name of the channel. */
  readonly channel: string
  readonly clock?: Clock
}

/** Calls between processes that are there now: who is not hears nothing of them later, and nothing says who did. */
export interface Calls {
  /**
   * Calls to all that listen, this process included.
   *
   * @throws RedisDownError (`TIDEMARK_REDIS_DOWN`); RedisRefusedError (`TIDEMARK_REDIS_REFUSED`)
   */
  call(text: string): Promise<void>
  /** Hears what is called from now on, whenever Redis can be reached. Whoever can publish there may have called. */
  listen(heard: (text: string) => void): void
  close(): void
}

const CONNECT_MS = 1_000
const AGAIN_MS = 500
/** A line that broke without a word is noticed by this. */
const PING_MS = 15_000
const PONG_MS = 5_000

/**
 * Calls through a channel of Redis or Valkey. Nothing is connected before it is used, and anew whenever it broke.
 *
 * @throws OptionError (`TIDEMARK_OPTION`)
 */
export function redisCalls(options: CallsOptions): Calls {
  checkAddress('redisCalls()', options)
  if (typeof options.channel !== 'string' || options.channel === '')
    throw new OptionError('redisCalls({ channel }) must be the name of a channel.')
  return new RedisCalls(options)
}

class RedisCalls implements Calls {
  readonly #options: CallsOptions
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #calling: Promise<RedisConnection> | undefined

  constructor(options: CallsOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  async call(text: string): Promise<void> {
    this.#calling ??= this.#open()
    const calling = this.#calling
    try {
      await (await calling).publish(this.#options.channel, text)
    } catch (error) {
      if (this.#calling === calling) this.#calling = undefined
      void calling.then((redis) => redis.disconnect()).catch(() => {})
      throw streamError(error)
    }
  }

  listen(heard: (text: string) => void): void {
    void this.#listen(heard)
  }

  close(): void {
    this.#closing.abort()
    void this.#calling?.then((redis) => redis.disconnect()).catch(() => {})
  }

  async #listen(heard: (text: string) => void): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#hear(heard).catch(() => {})
      await pause(this.#clock, AGAIN_MS, signal)
    }
  }

  /** Until the line breaks, or this process leaves. */
  async #hear(heard: (text: string) => void): Promise<void> {
    const redis = await this.#open()
    const ended = new AbortController()
    redis.on('end', () => ended.abort())
    const stop = AbortSignal.any([ended.signal, this.#closing.signal])
    try {
      redis.on('message', (_channel: string, text: string) => heard(text))
      await redis.subscribe(this.#options.channel)
      while (!stop.aborted) {
        await pause(this.#clock, PING_MS, stop)
        if (!stop.aborted) await this.#ping(redis)
      }
    } finally {
      redis.disconnect()
    }
  }

  async #ping(redis: RedisConnection): Promise<void> {
    const late = this.#clock.after(PONG_MS, () => redis.disconnect())
    await redis.ping().finally(() => late.cancel())
  }

  async #open(): Promise<RedisConnection> {
    const redis = connectionTo(this.#options, CONNECT_MS)
    await redis.connect()
    return redis
  }
}
