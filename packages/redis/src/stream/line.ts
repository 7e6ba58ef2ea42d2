import type { Clock } from 'tidemark'
import { connectionTo, type RedisConnection, type StreamAddress } from './address.js'
import { RedisDownError, streamError } from './errors.js'
import { APPEND, LOOK, type Script } from './scripts.js'
import { newEpoch, newToken, type Sealed } from './seal.js'

/** A place in the stream: a record's id, and the random token that tells it from another history's. */
export interface Place {
  readonly id: string
  readonly token: string
}

/** What the stream is now. */
export interface Look {
  /** Names the run of the server: what a crash or a fail-over may have lost shows as another. */
  readonly run: string
  /** Named by a random id in the stream itself: a flush loses it. */
  readonly epoch: string
  readonly newest: Place
  /** Whether the history has this place, or begins right behind it. */
  readonly has: (place: Place) => boolean
}

/** A record as it stands in the stream; what is not ours lacks fields. */
export interface StreamEntry {
  readonly id: string
  readonly epoch: string | undefined
  readonly previous: Place
  readonly token: string
  /** undefined for the birth of a history. */
  readonly body: string | undefined
  readonly seal: string
}

export interface LineOptions extends StreamAddress {
  /** The key of the stream. */
  readonly stream: string
  readonly connectTimeoutMs: number
  /** Within this a command answers, or the line counts as dead. */
  readonly commandTimeoutMs: number
  readonly clock: Clock
}

interface Asked {
  /** Monotonic ms. */
  readonly due: number
  readonly ms: number
  reject(reason: RedisDownError): void
}

/**
 * One connection to the server of the stream. It is opened once and never again: whoever uses it sees that it is lost.
 * Every method throws RedisDownError (`TIDEMARK_REDIS_DOWN`) or RedisRefusedError (`TIDEMARK_REDIS_REFUSED`).
 */
export class Line {
  readonly #redis: RedisConnection
  readonly #options: LineOptions
  /** Commands without an answer, and when the next of them is looked at: also on a line that was closed. */
  readonly #asked = new Set<Asked>()
  #looksAt = Number.POSITIVE_INFINITY
  #look: { cancel(): void } | undefined
  #isOpen = true

  private constructor(redis: RedisConnection, options: LineOptions) {
    this.#redis = redis
    this.#options = options
  }

  static async open(options: LineOptions): Promise<Line> {
    const line = new Line(connectionTo(options, options.connectTimeoutMs), options)
    line.#redis.on('end', () => {
      line.#isOpen = false
    })
    let reason: Error | undefined
    line.#redis.on('error', (error: Error) => {
      reason = error
    })
    // Twice: a host name may have several addresses, or a Sentinel be asked first.
    await line.#bounded(2 * options.connectTimeoutMs, () =>
      line.#redis.connect().catch((error: unknown) => {
        // The client only says that it was closed; what it was refused for it says as an event.
        throw reason ?? error
      }),
    )
    return line
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** What the stream is now; begins a history where there is none. */
  async look(place?: Place): Promise<Look> {
    const reply = await this.#run(LOOK, [newEpoch(), newToken(), place?.id ?? ''])
    const [run, id, epoch, token, at, beforeId, beforeToken] = reply as string[]
    const asked = place?.id
    return {
      run: run!,
      epoch: epoch!,
      newest: { id: id!, token: token! },
      has: (place) =>
        asked === place.id &&
        (at === place.token || (at === '' && beforeId === place.id && beforeToken === place.token)),
    }
  }

  /**
   * Appends records, all or none; returns the last one's id. What is appended at once is written in order, as one connection is served so.
   *
   * @param searched  so many of the newest are searched for the first one before: they may be there already
   * @param after  the token of the record that they have to follow; undefined for any
   * @returns undefined if the newest record is another one: nothing was written
   */
  async append(
    records: readonly Sealed[],
    retain: number,
    searched: number,
    after: string | undefined,
  ): Promise<string | undefined> {
    const texts = records.flatMap(({ token, body, seal }) => [token, body, seal])
    const args = [newEpoch(), newToken(), retain, searched, after ?? '', ...texts]
    return ((await this.#run(APPEND, args)) as string) || undefined
  }

  /** The records after an id, at most `count`, waiting up to `waitMs` for the first. */
  async read(afterId: string, count: number, waitMs: number): Promise<StreamEntry[]> {
    const { stream, commandTimeoutMs } = this.#options
    const reply = (await this.#bounded(waitMs + commandTimeoutMs, () =>
      this.#redis.xread('COUNT', count, 'BLOCK', waitMs, 'STREAMS', stream, afterId),
    )) as unknown
    if (!reply) return []
    // One stream: [[key, entries]], or from a client that maps RESP3 plainly { key: entries }.
    const entries = Array.isArray(reply) ? reply[0][1] : Object.values(reply)[0]
    return (entries as [string, string[]][]).map(entryOf)
  }

  /** The records before an id (or the newest), newest first. */
  async readBack(beforeId: string | undefined, count: number): Promise<StreamEntry[]> {
    const { stream, commandTimeoutMs } = this.#options
    const end = beforeId === undefined ? '+' : `(${beforeId}`
    const entries = await this.#bounded(commandTimeoutMs, () => this.#redis.xrevrange(stream, end, '-', 'COUNT', count))
    return entries.map(entryOf)
  }

  close(): void {
    this.#isOpen = false
    this.#redis.disconnect()
  }

  async #run(script: Script, args: (string | number)[]): Promise<unknown> {
    const { stream, commandTimeoutMs } = this.#options
    return this.#bounded(commandTimeoutMs, async () => {
      try {
        return await this.#redis.evalsha(script.sha, 1, stream, ...args)
      } catch (error) {
        if (!(error instanceof Error && error.message.includes('NOSCRIPT'))) throw error
        return this.#redis.eval(script.text, 1, stream, ...args)
      }
    })
  }

  /** A line that does not answer may be half open: it is cut, so that nothing comes late. */
  #bounded<Result>(ms: number, command: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const asked = { due: this.#options.clock.now() + ms, ms, reject }
      this.#asked.add(asked)
      this.#lookAt(asked.due)
      command().then(
        (result) => {
          this.#asked.delete(asked)
          resolve(result)
        },
        (error) => {
          this.#asked.delete(asked)
          const known = streamError(error)
          if (known instanceof RedisDownError) this.close()
          reject(known)
        },
      )
    })
  }

  /** One timer for all commands, as nearly all are answered long before theirs would end: it is set anew for what is open then. */
  #lookAt(due: number): void {
    if (this.#looksAt <= due) return
    const { clock } = this.#options
    this.#looksAt = due
    this.#look?.cancel()
    this.#look = clock.after(due - clock.now(), () => {
      this.#looksAt = Number.POSITIVE_INFINITY
      for (const asked of this.#asked) {
        if (asked.due <= clock.now()) this.#giveUp(asked)
        else this.#lookAt(asked.due)
      }
    })
  }

  #giveUp(asked: Asked): void {
    this.#asked.delete(asked)
    asked.reject(new RedisDownError(`The Redis that holds the stream did not answer within ${asked.ms} ms.`))
    this.close()
  }
}

function entryOf([id, flat]: [string, string[]]): StreamEntry {
  let epoch: string | undefined
  let body: string | undefined
  let [previousId, previousToken, token, seal] = ['', '', '', '']
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const value = flat[i + 1]!
    switch (flat[i]) {
      case 'e':
        epoch = value
        break
      case 'p':
        previousId = value
        break
      case 'q':
        previousToken = value
        break
      case 't':
        token = value
        break
      case 'b':
        body = value
        break
      case 'h':
        seal = value
    }
  }
  return { id, epoch, previous: { id: previousId, token: previousToken }, token, body, seal }
}

/** The position that an id names; undefined for one that no record of ours has. */
export function positionOf(id: string): number | undefined {
  const position = Number(/^(\d{1,16})-0$/.exec(id)?.[1])
  return Number.isSafeInteger(position) ? position : undefined
}
