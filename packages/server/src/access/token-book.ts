import { timingSafeEqual } from 'node:crypto'
import type { Clock } from 'tidemark'
import type { Access } from './access.js'
import { AccessUnknownError, UnauthenticatedError } from './errors.js'
import { hashOfToken, idOfToken, type StoredToken, type TokenKind } from './token.js'

type Found = StoredToken & {
  readonly hash: Buffer
  /** Whose it is, where somebody may have several; else each token is one of its own. */
  readonly principal?: string
}

export interface TokenBookOptions {
  /** Looks tokens up in the database. What takes longer than 1.5 s counts as failed. */
  readonly find: (ids: readonly string[]) => Promise<readonly Found[]>
  /** How long what was looked up is believed while that fails. */
  readonly outageMaxMs: number
  readonly clock: Clock
  /** Default: `token`. */
  readonly kind?: TokenKind
}

// A revocation that one look-up has just missed is seen by the next: after the rest of the first, a pause and the second, each
// of at most 1.5 s. So it counts within 5 s.
const BELIEVED_MS = 1_500
const LOOK_MAX_MS = 1_500
const KNOWN_MAX = 10_000
const BATCH_MAX = 100
/** Look-ups that wait for their turn; more are refused. */
const WAITING_MAX = 1_000

interface Known {
  readonly found: Found | undefined
  /** When the look-up began. */
  readonly askedAt: number
}

interface Waiting {
  readonly promise: Promise<Known>
  resolve(known: Known): void
  reject(error: unknown): void
}

/**
 * The tokens that requests carry, looked up in the database: once for many, one query at a time, however many requests come.
 * A token that is revoked counts for no request after 5 s, and its streams are ended by then.
 */
export class TokenBook {
  readonly #options: TokenBookOptions
  /** The least recently used first. */
  readonly #known = new Map<string, Known>()
  readonly #waiting = new Map<string, Waiting>()
  readonly #watched = new Map<string, Set<(error: unknown) => void>>()
  #isLooking = false
  #isClosed = false
  #sweep: { cancel(): void } | undefined

  constructor(options: TokenBookOptions) {
    this.#options = options
  }

  /**
   * Who carries this token.
   *
   * @throws UnauthenticatedError if it does not count, for whatever reason; AccessUnknownError if the database cannot be asked
   */
  async check(token: string): Promise<Access> {
    const { kind = 'token' } = this.#options
    const id = idOfToken(token, kind)
    if (id === undefined) throw new UnauthenticatedError()
    const found = await this.#lookUp(id)
    // Compared also where there is none, so that time does not tell whether there is.
    const hash = found?.hash.length === 32 ? found.hash : hashOfToken('')
    const isRight = timingSafeEqual(hashOfToken(token), hash)
    if (!found || !isRight || !this.#counts(found)) throw new UnauthenticatedError()
    const { name: actor, principal = `token:${id}`, roles, tenants, expiresAt } = found
    const which = kind === 'token' ? { tokenId: id } : { sessionId: id }
    return { actor, principal, roles, tenants, ...which, ...(expiresAt && { expiresAt: expiresAt.getTime() }) }
  }

  /** It was just revoked here: the next look-up asks. */
  forget(id: string): void {
    this.#known.delete(id)
  }

  /** Calls `end` once the token no longer counts, or it is no longer known whether it does. */
  watch(id: string, end: (error: unknown) => void, signal: AbortSignal): void {
    const ends = this.#watched.get(id) ?? new Set()
    this.#watched.set(id, ends.add(end))
    this.#sweep ??= this.#sweepLater()
    signal.addEventListener('abort', () => {
      ends.delete(end)
      if (ends.size === 0 && this.#watched.get(id) === ends) this.#watched.delete(id)
    })
  }

  close(): void {
    this.#isClosed = true
    this.#sweep?.cancel()
    this.#watched.clear()
  }

  #counts({ revokedAt, expiresAt }: Found): boolean {
    return revokedAt === undefined && (expiresAt === undefined || expiresAt.getTime() > this.#options.clock.wall())
  }

  async #lookUp(id: string, believedMs = BELIEVED_MS): Promise<Found | undefined> {
    const { clock, outageMaxMs } = this.#options
    const known = this.#known.get(id)
    if (known && clock.now() - known.askedAt < believedMs) return known.found
    try {
      return (await this.#ask(id)).found
    } catch (cause) {
      if (known && clock.now() - known.askedAt <= outageMaxMs) return known.found
      throw new AccessUnknownError({ cause })
    }
  }

  #ask(id: string): Promise<Known> {
    const waiting = this.#waiting.get(id)
    if (waiting) return waiting.promise
    if (this.#waiting.size >= WAITING_MAX) throw new AccessUnknownError()
    let settle: Pick<Waiting, 'resolve' | 'reject'>
    const promise = new Promise<Known>((resolve, reject) => {
      settle = { resolve, reject }
    })
    this.#waiting.set(id, { promise, ...settle! })
    void this.#look()
    return promise
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    while (this.#waiting.size > 0) {
      // What comes while a query runs is not in it: it may have begun before a revocation that they have seen.
      const batch = [...this.#waiting].slice(0, BATCH_MAX)
      for (const [id] of batch) this.#waiting.delete(id)
      const askedAt = this.#options.clock.now()
      try {
        const found = new Map((await this.#find(batch.map(([id]) => id))).map((each) => [each.id, each]))
        for (const [id, { resolve }] of batch) resolve(this.#remember(id, { found: found.get(id), askedAt }))
      } catch (error) {
        for (const [, { reject }] of batch) reject(error)
      }
    }
    this.#isLooking = false
  }

  #find(ids: readonly string[]): Promise<readonly Found[]> {
    const { find, clock } = this.#options
    return new Promise((resolve, reject) => {
      const late = clock.after(LOOK_MAX_MS, () => reject(new Error('The database did not answer in time.')))
      find(ids)
        .then(resolve, reject)
        .finally(() => late.cancel())
    })
  }

  #remember(id: string, known: Known): Known {
    this.#known.delete(id)
    this.#known.set(id, known)
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!)
    return known
  }

  #sweepLater(): { cancel(): void } {
    return this.#options.clock.after(BELIEVED_MS, async () => {
      await Promise.all([...this.#watched].map(([id, ends]) => this.#sweepOne(id, ends)))
      this.#sweep = this.#watched.size > 0 && !this.#isClosed ? this.#sweepLater() : undefined
    })
  }

  async #sweepOne(id: string, ends: ReadonlySet<(error: unknown) => void>): Promise<void> {
    const error = await this.#lookUp(id, 0).then(
      (found) => (found && this.#counts(found) ? undefined : new UnauthenticatedError()),
      (unknown: unknown) => unknown,
    )
    if (error !== undefined) for (const end of [...ends]) end(error)
  }
}
