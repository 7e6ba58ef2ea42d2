import type { FastifyRequest } from 'fastify'
import type { Clock } from 'tidemark'
import { z } from 'zod'
import { ownOrigin } from '../routes/guard.js'
import { type Access, ANONYMOUS, accessOf } from './access.js'
import { isOpenTo } from './authorise.js'
import { clearCookie, cookieIn, setCookie } from './cookies.js'
import { CsrfError, SignInError, UnauthenticatedError } from './errors.js'
import type { Provider } from './provider.js'
import { TokenBook } from './token-book.js'
import type { SessionDatabase } from './token-database.js'

export interface SignInOptions {
  readonly provider: Provider
  readonly sessions: SessionDatabase
  readonly sessionMs: number
  readonly outageMaxMs: number
  /** Where clients reach the proxy that stands before it. */
  readonly address: string | undefined
  readonly clock: Clock
}

/** How long somebody may take at the provider. */
const PENDING_MS = 10 * 60_000
const CALLBACK = '/auth/callback'
/** The page that shows who has signed in. */
export const ACCOUNT_PATH = '/auth/'
/** A page's script may send it to its own server; to another one, only where that one allows it. */
const CSRF_HEADER = 'tidemark-csrf'

const pendingSchema = z.object({
  state: z.string().min(1),
  nonce: z.string().min(1),
  verifier: z.string().min(1),
  returnTo: z.string(),
})

/** Where a browser goes next, and what it keeps. */
export interface Sent {
  readonly url: string
  readonly cookies: readonly string[]
}

/** People who sign in with their browser: how they do, who they are afterwards, and how that ends. */
export class SignIn {
  readonly #options: SignInOptions
  readonly #book: TokenBook

  constructor(options: SignInOptions) {
    this.#options = options
    const { sessions, outageMaxMs, clock } = options
    this.#book = new TokenBook({ kind: 'session', find: sessions.find, outageMaxMs, clock })
  }

  /** To the provider. @throws ProviderError */
  async begin(request: FastifyRequest, returnTo: string): Promise<Sent> {
    const origin = this.#originOf(request)
    const { url, pending } = await this.#options.provider.begin(origin + CALLBACK)
    const kept = Buffer.from(JSON.stringify({ ...pending, returnTo })).toString('base64url')
    return { url, cookies: [setCookie('sign-in', origin, kept, PENDING_MS)] }
  }

  /**
   * Back from the provider.
   *
   * @throws SignInError, ProviderError; what PostgreSQL refuses
   */
  async finish(request: FastifyRequest): Promise<Sent> {
    const { provider, sessions, sessionMs } = this.#options
    const origin = this.#originOf(request)
    const { returnTo, ...pending } = pendingOf(cookieIn(request, 'sign-in', origin))
    const session = await provider.finish(new URL(origin + request.url), pending)
    const value = await sessions.create(session)
    await this.end(request)
    return {
      url: isOwnPath(returnTo) ? returnTo : ACCOUNT_PATH,
      cookies: [setCookie('session', origin, value, sessionMs), clearCookie('sign-in', origin)],
    }
  }

  /** Ends the session that a request comes with, if it counts. @returns by which the browser forgets it */
  async end(request: FastifyRequest): Promise<readonly string[]> {
    const { sessionId } = accessOf(request)
    if (sessionId !== undefined) await this.endSession(sessionId)
    const origin = this.#originOf(request)
    return cookieIn(request, 'session', origin) === undefined ? [] : [clearCookie('session', origin)]
  }

  async endSession(id: string): Promise<boolean> {
    const isEnded = await this.#options.sessions.end(id)
    this.#book.forget(id)
    return isEnded
  }

  /**
   * Who has signed in. A browser sends its cookie with whatever it asks for, so one that does not count is as none, and one that
   * cannot be looked up does not hinder what is open to all.
   *
   * @throws CsrfError; AccessUnknownError
   */
  async identify(request: FastifyRequest): Promise<Access> {
    const origin = this.#originOf(request)
    const value = cookieIn(request, 'session', origin)
    // Of pages that may ask (server.origins), but are not ours: they have tokens.
    const isOfAnother = request.headers.origin !== undefined && request.headers.origin.toLowerCase() !== origin
    if (value === undefined || isOfAnother) return ANONYMOUS
    const access = await this.#book.check(value).catch((error: unknown) => {
      if (error instanceof UnauthenticatedError || isOpenTo(request)) return ANONYMOUS
      throw error
    })
    if (access !== ANONYMOUS && !isRead(request.method) && request.headers[CSRF_HEADER] === undefined)
      throw new CsrfError()
    return access
  }

  /** Where to sign out at the provider too. */
  get providerSignOut(): string | undefined {
    return this.#options.provider.signOutUrl()
  }

  watch(sessionId: string, end: (error: unknown) => void, signal: AbortSignal): void {
    this.#book.watch(sessionId, end, signal)
  }

  close(): void {
    this.#book.close()
  }

  #originOf(request: FastifyRequest): string {
    return ownOrigin(request, this.#options.address)
  }
}

/** Whether a browser that is sent there stays on this server, whatever it makes of the text. */
export function isOwnPath(path: string): boolean {
  const own = 'http://own.invalid'
  return (
    /^\/(?![/\\])[^\s\\\u0000-\u001f\u007f]*$/.test(path) &&
    URL.canParse(path, own) &&
    new URL(path, own).origin === own
  )
}

function pendingOf(kept: string | undefined): z.output<typeof pendingSchema> {
  try {
    return pendingSchema.parse(JSON.parse(Buffer.from(kept ?? '', 'base64url').toString('utf8')))
  } catch (cause) {
    throw new SignInError(
      'No sign-in was begun in this browser, or it took longer than 10 minutes. Begin again at /auth/.',
      { cause },
    )
  }
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}
