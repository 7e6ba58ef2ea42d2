import type { FastifyRequest } from 'fastify'
import { type Clock, OptionError } from 'tidemark'
import { asksWho } from '../config/access-schema.js'
import type { AccessConfig } from '../config/config.js'
import { type Access, ANONYMOUS, LOCAL } from './access.js'
import { UnauthenticatedError } from './errors.js'
import { jwtVerifier } from './jwt.js'
import type { SignIn } from './sign-in.js'
import { TokenBook, type TokenBookOptions } from './token-book.js'

/** Who asks. */
export interface Identities {
  /** Whether anybody must say who they are. */
  readonly areNeeded: boolean
  /** @throws UnauthenticatedError, AccessUnknownError, CsrfError */
  identify(request: FastifyRequest): Access | Promise<Access>
  /** Who carries this token, however it came. @throws UnauthenticatedError, AccessUnknownError */
  ofToken(token: string): Access | Promise<Access>
  /** Calls `end` with why once somebody who was let in for long no longer counts: within 5 s. */
  watch(access: Access, end: (error: unknown) => void, signal: AbortSignal): void
  close(): void
}

export type FindTokens = TokenBookOptions['find']

const HEADER_MAX = 8_192

/** @throws OptionError if tokens are to be asked for and there is no way to look them up */
export function identities(
  config: AccessConfig,
  findTokens: FindTokens | undefined,
  signIn: SignIn | undefined,
  clock: Clock,
): Identities {
  if (!asksWho(config))
    return { areNeeded: false, identify: () => LOCAL, ofToken: () => LOCAL, watch: () => {}, close: () => {} }
  if (config.tokens && !findTokens) throw new OptionError('access.tokens needs the database that has them.')
  const book = config.tokens ? new TokenBook({ find: findTokens!, outageMaxMs: config.outageMaxMs, clock }) : undefined
  const verify = config.jwt && jwtVerifier(config.jwt)
  const ofToken = async (token: string): Promise<Access> => {
    if (token.startsWith('tdm_') && book) return book.check(token)
    if (!verify) throw new UnauthenticatedError()
    return verify(token)
  }
  return {
    areNeeded: true,
    ofToken,
    async identify(request) {
      const { authorization } = request.headers
      if (authorization === undefined) return signIn?.identify(request) ?? ANONYMOUS
      const token = bearerOf(authorization)
      if (token === undefined) throw new UnauthenticatedError()
      return ofToken(token)
    },
    watch({ tokenId, sessionId, expiresAt }, end, signal) {
      if (tokenId !== undefined) book?.watch(tokenId, end, signal)
      if (sessionId !== undefined) signIn?.watch(sessionId, end, signal)
      if (expiresAt === undefined) return
      const timer = clock.after(Math.max(0, expiresAt - clock.wall()), () => end(new UnauthenticatedError()))
      signal.addEventListener('abort', () => timer.cancel())
    },
    close() {
      book?.close()
      signIn?.close()
    },
  }
}

/** RFC 6750. Tokens in the query are not read: they end up in logs. */
function bearerOf(authorization: string): string | undefined {
  if (authorization.length > HEADER_MAX) return undefined
  return /^Bearer +([\w.~+/-]+=*) *$/i.exec(authorization)?.[1]
}
