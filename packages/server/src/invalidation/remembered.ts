import { createHash } from 'node:crypto'
import type { Clock } from 'tidemark'
import { ReusedRequestIdError, TooManyRequestsError } from '../errors.js'

export interface RememberedLimits {
  /** How many request ids are remembered. */
  readonly requestsMax: number
  readonly requestsKeepMs: number
}

/** Of the answers' own size, about. The oldest are forgotten first. */
const BYTES_MAX = 32 * 2 ** 20

interface Request<Answer> {
  readonly fingerprint: string
  readonly answer: Promise<Answer>
  bytes: number
  /** Monotonic ms; undefined while it runs. */
  endedAt: number | undefined
}

/** Requests by their ids: whoever asks again, because no answer reached him, gets the answer and changes nothing. */
export class Remembered<Answer> {
  readonly #limits: RememberedLimits
  readonly #clock: Clock
  readonly #sizeOf: (answer: Answer) => number
  /** Oldest first. */
  readonly #requests = new Map<string, Request<Answer>>()
  #bytes = 0

  constructor(limits: RememberedLimits, clock: Clock, sizeOf: (answer: Answer) => number) {
    this.#limits = limits
    this.#clock = clock
    this.#sizeOf = sizeOf
  }

  get size(): number {
    return this.#requests.size
  }

  /**
   * The answer of the request of this id, which is run unless it was before. One that failed is forgotten, so that it can be tried again.
   *
   * @param body  what is asked for: two requests of one id are the same if theirs are
   * @throws ReusedRequestIdError (`TIDEMARK_REQUEST_ID`); TooManyRequestsError (`TIDEMARK_BUSY`) if as many as are remembered run now
   */
  async once(tenant: string, id: string, body: unknown, run: () => Promise<Answer>): Promise<[Answer, isNew: boolean]> {
    const name = nameOf(tenant, id)
    const fingerprint = fingerprintOf(body)
    this.#forgetOld()
    const known = this.#requests.get(name)
    if (known) {
      if (known.fingerprint !== fingerprint) throw new ReusedRequestIdError()
      return [await known.answer, false]
    }
    this.#makeRoom()
    const request: Request<Answer> = { fingerprint, answer: run(), bytes: 0, endedAt: undefined }
    this.#requests.set(name, request)
    try {
      const answer = await request.answer
      request.endedAt = this.#clock.now()
      request.bytes = this.#sizeOf(answer)
      this.#bytes += request.bytes
      this.#forgetOld()
      return [answer, true]
    } catch (error) {
      this.#requests.delete(name)
      throw error
    }
  }

  /** The answer of a request that has ended; undefined if there is none, or it was forgotten. */
  async find(tenant: string, id: string): Promise<Answer | undefined> {
    this.#forgetOld()
    return this.#requests.get(nameOf(tenant, id))?.answer.catch(() => undefined)
  }

  #forgetOld(): void {
    const until = this.#clock.now() - this.#limits.requestsKeepMs
    for (const [name, { endedAt }] of this.#requests) {
      if (endedAt === undefined) continue
      if (endedAt > until && this.#bytes <= BYTES_MAX) break
      this.#forget(name)
    }
  }

  #makeRoom(): void {
    if (this.#requests.size < this.#limits.requestsMax) return
    for (const [name, { endedAt }] of this.#requests) if (endedAt !== undefined) return this.#forget(name)
    throw new TooManyRequestsError()
  }

  #forget(name: string): void {
    this.#bytes -= this.#requests.get(name)!.bytes
    this.#requests.delete(name)
  }
}

/** By which a request is known to ask for the same as another. */
export function fingerprintOf(body: unknown): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('base64url')
}

function nameOf(tenant: string, id: string): string {
  return JSON.stringify([tenant, id])
}
