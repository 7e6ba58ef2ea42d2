import { type Clock, ClosedError, OptionError, systemClock } from 'tidemark'
import { checkAddress, connectionTo, type RedisConnection, type StreamAddress } from '../stream/address.js'
import { kindOf, RedisDownError, RedisRefusedError, streamError } from '../stream/errors.js'
import { FORGET, MEMBERS_MAX, SAY, type Script } from './scripts.js'

/** Where processes meet. */
export interface MembersOptions extends StreamAddress {
  /** The key in which they meet: a hash. */
  readonly key: string
  /** Default 1,000 ms. */
  readonly connectTimeoutMs?: number
  /** Within this Redis answers, or the connection counts as dead. Default 1,000 ms. */
  readonly commandTimeoutMs?: number
  readonly clock?: Clock
}

/** What one process said last. */
export interface MemberEntry {
  readonly id: string
  /** Who came first has the lower one. */
  readonly order: number
  readonly text: string
}

/** A place in Redis where processes find each other. It keeps no time: who is still there is for those to judge who read it. */
export interface Members {
  /**
   * Says something as the process `id`, in place of what it said before.
   *
   * @returns what all have said, in one step with it
   * @throws RedisDownError (`TIDEMARK_REDIS_DOWN`); RedisRefusedError (`TIDEMARK_REDIS_REFUSED`); ClosedError
   */
  say(id: string, text: string): Promise<readonly MemberEntry[]>
  /** Takes out what a process said, unless it has said something else meanwhile. Throws as `say` does. */
  forget(entry: MemberEntry): Promise<void>
  close(): void
}

/**
 * A place in Redis or Valkey where processes find each other. Nothing is connected before it is used, and anew whenever it broke.
 *
 * @throws OptionError (`TIDEMARK_OPTION`)
 */
export function redisMembers(options: MembersOptions): Members {
  checkAddress('redisMembers()', options)
  if (typeof options.key !== 'string' || options.key === '')
    throw new OptionError('redisMembers({ key }) must be the name of a key.')
  return new RedisMembers(options)
}

class RedisMembers implements Members {
  readonly #options: MembersOptions
  readonly #clock: Clock
  readonly #connectMs: number
  readonly #commandMs: number
  #redis: RedisConnection | undefined
  #connected: Promise<void> | undefined
  #isClosed = false

  constructor(options: MembersOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#connectMs = options.connectTimeoutMs ?? 1_000
    this.#commandMs = options.commandTimeoutMs ?? 1_000
  }

  async say(id: string, text: string): Promise<readonly MemberEntry[]> {
    const reply = await this.#run(SAY, [id, text])
    if (!Array.isArray(reply)) {
      throw new RedisRefusedError(
        `More than ${MEMBERS_MAX} processes say that they are there, so this one is not listed. Give each application its own l2.name and relay.stream.`,
      )
    }
    return entriesOf(reply as string[])
  }

  async forget({ id, order, text }: MemberEntry): Promise<void> {
    await this.#run(FORGET, [id, `${order} ${text}`])
  }

  close(): void {
    this.#isClosed = true
    this.#redis?.disconnect()
    this.#redis = undefined
  }

  async #run(script: Script, args: readonly string[]): Promise<unknown> {
    if (this.#isClosed) throw new ClosedError('This process has left the others. Start it again.')
    this.#redis ??= this.#open()
    const redis = this.#redis
    try {
      return await this.#bounded(async () => {
        await this.#connected
        return this.#call(redis, script, args)
      })
    } catch (error) {
      const known = membersError(error)
      // What does not answer may be half open; a replica may be behind the address of what was the primary.
      redis.disconnect()
      if (this.#redis === redis) this.#redis = undefined
      throw known
    }
  }

  async #call(redis: RedisConnection, { sha, text }: Script, args: readonly string[]): Promise<unknown> {
    const { key } = this.#options
    try {
      return await redis.evalsha(sha, 1, key, ...args)
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('NOSCRIPT'))) throw error
      return redis.eval(text, 1, key, ...args)
    }
  }

  #open(): RedisConnection {
    const redis = connectionTo(this.#options, this.#connectMs)
    let reason: Error | undefined
    redis.on('error', (error: Error) => {
      reason = error
    })
    this.#connected = redis.connect().catch((error: unknown) => {
      // The client only says that it was closed; what it was refused for it says as an event.
      throw reason ?? error
    })
    // Whoever waits for it is told; nobody may wait any more.
    this.#connected.catch(() => {})
    return redis
  }

  async #bounded<Result>(run: () => Promise<Result>): Promise<Result> {
    const ms = this.#connectMs + this.#commandMs
    let timer: { cancel(): void } | undefined
    const late = new Promise<never>((_, reject) => {
      timer = this.#clock.after(ms, () => reject(new Error(`no answer within ${ms} ms`)))
    })
    try {
      return await Promise.race([run(), late])
    } finally {
      timer?.cancel()
    }
  }
}

function membersError(error: unknown): Error {
  const known = streamError(error)
  const refusal = REFUSALS[kindOf(error)]
  if (refusal !== undefined && known !== error) return new RedisRefusedError(refusal, { cause: error })
  if (known instanceof RedisDownError) {
    return new RedisDownError(
      'The Redis in which the processes find each other cannot be reached, or did not answer in time. Check its address and that it runs.',
      { cause: error },
    )
  }
  return known
}

/** Fields and values in turn; what is not ours is passed over. */
function entriesOf(flat: readonly string[]): MemberEntry[] {
  const entries: MemberEntry[] = []
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [, order, text] = /^(\d{1,15}) (.*)$/s.exec(flat[i + 1]!) ?? []
    if (text !== undefined) entries.push({ id: flat[i]!, order: Number(order), text })
  }
  return entries
}

/** What is refused here for other reasons than on a stream. */
const REFUSALS: Readonly<Record<string, string>> = {
  NOPERM:
    'Redis refuses what processes need to find each other: +eval +evalsha +hget +hset +hdel +hgetall on the key, at the primary. See the cause.',
  WRONGTYPE:
    'The key in which processes find each other (its name ends in `members`) holds something else. Delete it, or name another `l2.name` or `relay.stream`.',
}
