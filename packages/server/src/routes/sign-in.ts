import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type Access, accessOf, LOCAL } from '../access/access.js'
import { ROLES } from '../access/action.js'
import { ProviderError, SignInError, SignInOffError } from '../access/errors.js'
import { ACCOUNT_PATH, isOwnPath, type Sent, type SignIn } from '../access/sign-in.js'
import { problemResponse } from './schemas.js'

const SIGN_IN = '/auth/sign-in'
const SIGN_OUT = '/auth/sign-out'

const ownPath = z
  .string()
  .max(1_000)
  .refine(isOwnPath, 'must be a path of this server, e.g. /dashboard/')
  .default(ACCOUNT_PATH)
  .describe('The page that is shown afterwards: a path of this server')

const nothing = z.strictObject({})

const meSchema = z.object({
  known: z.boolean().describe('Whether it is known who asks'),
  actor: z.string().nullable().describe('As the journal names them'),
  roles: z.array(z.enum(ROLES)),
  tenants: z.union([z.literal('all'), z.array(z.string())]).describe('Where each of the roles counts'),
  by: z.enum(['local', 'token', 'jwt', 'session']).nullable().describe('How they said it'),
  expires_at: z.string().nullable().describe('When that ends; null: not by itself, or not known'),
  sign_in: z.string().nullable().describe('Where a page sends who is not known; null: nobody can sign in here'),
  sign_out: z.string().nullable().describe('Where a page POSTs to sign out, with the header `Tidemark-Csrf: 1`'),
})

const sentResponse = z.undefined().describe('The browser is sent on')
/** Of those by which a browser comes to be signed in. */
const sending = { action: 'open', headers: ['Location', 'Set-Cookie'] } as const

/** `/auth/sign-in`, `/auth/callback`, `/auth/sign-out` and `/auth/me`, for the page `/auth/` and those of applications: people sign in with their browser, at an OIDC provider. */
export function signInRoutes(app: FastifyInstance, signIn: SignIn | undefined): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const config = { action: 'open' } as const
  typed.get(
    SIGN_IN,
    {
      config: sending,
      exposeHeadRoute: false,
      schema: {
        summary: 'Sign in with a browser: sends it to the OIDC provider',
        tags: ['access'],
        querystring: z.strictObject({ return_to: ownPath }),
        response: { 302: sentResponse, default: problemResponse },
      },
    },
    async (request, reply) => {
      const known = signIn ?? off()
      return sendOn(request, reply, () => known.begin(request, request.query.return_to))
    },
  )
  typed.get(
    '/auth/callback',
    {
      config: sending,
      exposeHeadRoute: false,
      schema: {
        summary: 'Where the OIDC provider sends the browser back to',
        tags: ['access'],
        // Providers add parameters of their own.
        querystring: z.looseObject({ code: z.string().optional(), state: z.string().optional() }),
        response: { 302: sentResponse, default: problemResponse },
      },
    },
    async (request, reply) => {
      const known = signIn ?? off()
      return sendOn(request, reply, () => known.finish(request))
    },
  )
  typed.post(
    SIGN_OUT,
    {
      config: { ...config, headers: ['Set-Cookie'] },
      schema: {
        summary: 'Sign out: the session counts nowhere within 5 s, and its streams are ended',
        tags: ['access'],
        querystring: nothing,
        response: {
          200: z.object({
            provider: z.string().nullable().describe('Where to send the browser to sign out at the provider too'),
          }),
          default: problemResponse,
        },
      },
    },
    async (request, reply) => {
      const known = signIn ?? off()
      const cookies = await known.end(request)
      if (cookies.length > 0) reply.header('set-cookie', [...cookies])
      reply.header('cache-control', 'no-store')
      return { provider: known.providerSignOut ?? null }
    },
  )
  typed.get(
    '/auth/me',
    {
      config,
      schema: {
        summary: 'Who asks, and what they may do',
        tags: ['access'],
        querystring: nothing,
        response: { 200: meSchema, default: problemResponse },
      },
    },
    (request, reply) => {
      reply.header('cache-control', 'no-store')
      const access = accessOf(request)
      const { actor, roles, tenants, isAnonymous = false, sessionId } = access
      return {
        known: !isAnonymous,
        actor: isAnonymous ? null : actor,
        roles: [...roles],
        tenants: tenants === 'all' ? ('all' as const) : [...tenants],
        by: wayOf(access),
        expires_at: access.expiresAt === undefined ? null : new Date(access.expiresAt).toISOString(),
        sign_in: signIn ? SIGN_IN : null,
        sign_out: sessionId === undefined ? null : SIGN_OUT,
      }
    },
  )
}

function wayOf(access: Access): 'local' | 'token' | 'jwt' | 'session' | null {
  if (access.isAnonymous) return null
  if (access === LOCAL) return 'local'
  if (access.sessionId !== undefined) return 'session'
  return access.tokenId === undefined ? 'jwt' : 'token'
}

function off(): never {
  throw new SignInOffError()
}

/**
 * Who runs the server is told why nobody could sign in; who wanted to, only that: on the page where it begins, as a browser shows people no
 * problem that they could read.
 */
async function sendOn(request: FastifyRequest, reply: FastifyReply, run: () => Promise<Sent>): Promise<FastifyReply> {
  try {
    return send(reply, await run())
  } catch (error) {
    if (!(error instanceof ProviderError || error instanceof SignInError)) throw error
    request.log.warn({ err: error, code: error.code }, 'Nobody was signed in')
    if (!request.headers.accept?.includes('text/html')) throw error
    return send(reply, { url: `${ACCOUNT_PATH}#${error.code}`, cookies: [] })
  }
}

function send(reply: FastifyReply, { url, cookies }: Sent): FastifyReply {
  if (cookies.length > 0) reply.header('set-cookie', [...cookies])
  return reply.header('cache-control', 'no-store').redirect(url, 302)
}
