import { createHash } from 'node:crypto'

export type Argument = string | number | Buffer

/** What scripts are run on: a client or cluster of ioredis, or of what is made like it (iovalkey). */
export interface RedisClient {
  /** Sends one command; texts in the answer come as bytes. */
  callBuffer(command: string, args: Argument[]): Promise<unknown>
  /** `ready` while commands reach Redis; `wait` before the first `connect` of a lazy client. */
  readonly status: string
  readonly isCluster?: boolean
  connect(): Promise<unknown>
}

/** A Lua script, sent by its hash. Redis forgets scripts when it restarts, so it is sent whole where the hash is unknown. */
export class Script {
  readonly #text: string
  readonly #sha: string

  constructor(text: string) {
    this.#text = text
    this.#sha = createHash('sha1').update(text).digest('hex')
  }

  /** @throws what Redis answers, or what the client throws where it cannot be asked */
  async run(client: RedisClient, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args]
    try {
      return await client.callBuffer('EVALSHA', [this.#sha, ...rest])
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return client.callBuffer('EVAL', [this.#text, ...rest])
    }
  }
}
