import { createHmac, createSecretKey, type KeyObject, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'

/** A record on its way into the stream. */
export interface Sealed {
  /** Random: names the record, so that writing it again after a lost answer does not double it. */
  readonly token: string
  readonly body: string
  /** The HMAC of both, or '' where there is no secret. */
  readonly seal: string
}

/** Seals records with the secret that all processes of the application share. */
export class Seals {
  readonly #secret: KeyObject | undefined
  readonly #scope: string

  /** @param scope  a record of one scope is none of another */
  constructor(secret: string | undefined, scope: string) {
    // Made once: each HMAC would make it from the text anew.
    this.#secret = secret === undefined ? undefined : createSecretKey(secret, 'utf8')
    this.#scope = scope
  }

  /** Whether a secret is there: without one nothing can be told from what others wrote. */
  get hasSecret(): boolean {
    return this.#secret !== undefined
  }

  seal(body: string): Sealed {
    const token = newToken()
    return { token, body, seal: this.#mac(token, body) }
  }

  isSealed({ token, body, seal }: Sealed): boolean {
    const expected = Buffer.from(this.#mac(token, body))
    const given = Buffer.from(seal)
    return expected.length > 0 && expected.length === given.length && timingSafeEqual(expected, given)
  }

  #mac(token: string, body: string): string {
    if (this.#secret === undefined) return ''
    return createHmac('sha256', this.#secret).update(`${this.#scope}\0${token}\0${body}`).digest('base64url')
  }
}

export function newToken(): string {
  // One for each record: these are drawn from the system many at a time.
  return randomUUID()
}

/** The random part of an epoch's name. */
export function newEpoch(): string {
  return randomBytes(9).toString('base64url')
}
