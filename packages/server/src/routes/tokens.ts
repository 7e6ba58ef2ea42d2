import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { milliseconds, OptionError } from 'tidemark'
import { z } from 'zod'
import { accessOf } from '../access/access.js'
import { ROLES } from '../access/action.js'
import { authorise } from '../access/authorise.js'
import { TokensOffError, UnknownTokenError } from '../access/errors.js'
import type { StoredToken } from '../access/token.js'
import type { TokenDatabase } from '../access/token-database.js'
import { ParameterError } from '../errors.js'
import { WITHOUT_NUL } from '../without-nul.js'
import { problemResponse } from './schemas.js'
import { tenantHeaders, tenantOf, tenantParameter } from './tenant.js'

const EXPIRES = /^(?:never|[1-9]\d{0,8}(?:s|m|h|d))$/

const tokenSchema = z.object({
  id: z.string().describe('What it is listed and revoked by; not the token'),
  name: z.string(),
  roles: z.array(z.enum(ROLES)),
  tenants: z.union([z.literal('all'), z.array(z.string())]),
  created_at: z.string(),
  expires_at: z.string().nullable().describe('null: never'),
  revoked_at: z.string().nullable(),
})

const newToken = z
  .strictObject({
    name: z.string().min(1).max(100).describe('Whose it is, or what for: the journal names it'),
    roles: z.array(z.enum(ROLES)).min(1).max(ROLES.length),
    tenants: z
      .union([z.literal('all'), z.array(z.string().min(1).max(256)).min(1).max(1_000)])
      .optional()
      .describe('Where each of the roles counts. Default: in the tenant that the request names'),
    expires: z.string().regex(EXPIRES, 'must be a duration like 12h or 90d, or never').default('90d'),
  })
  .meta({ examples: [{ name: 'deploy', roles: ['operator'], tenants: ['shop'], expires: '30d' }] })

/** `GET` and `POST /api/tokens`, `DELETE /api/tokens/:id`: an admin decides about tokens that count only where they are one. */
export function tokenRoutes(app: FastifyInstance, tokens: TokenDatabase | undefined): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const config = { action: 'administer' } as const
  const shared = {
    tags: ['access'],
    headers: tenantHeaders,
    querystring: z.strictObject({ tenant: tenantParameter }),
  }
  typed.get(
    '/api/tokens',
    {
      config,
      schema: {
        ...shared,
        summary: 'The tokens that count only where who asks is admin, the newest first',
        response: { 200: z.object({ tokens: z.array(tokenSchema) }), default: problemResponse },
      },
    },
    async (request, reply) => {
      const known = tokens ?? off()
      reply.header('cache-control', 'no-store')
      const all = await known.list()
      return { tokens: all.filter((token) => isTheirs(request, token)).map(shownOf) }
    },
  )
  typed.post(
    '/api/tokens',
    {
      config,
      schema: {
        ...shared,
        summary: 'Make a token. It is in this answer, and never again',
        body: newToken,
        response: {
          201: tokenSchema.extend({ token: z.string().describe('Shown this once: only its hash is kept') }),
          default: problemResponse,
        },
      },
    },
    async (request, reply) => {
      const known = tokens ?? off()
      const { name, roles, tenants = [tenantOf(request)], expires } = request.body
      for (const tenant of tenants === 'all' ? [] : tenants) authorise(request, 'administer', tenant)
      if (tenants === 'all') authorise(request, 'govern', tenantOf(request))
      const expiresInMs = expires === 'never' ? undefined : milliseconds(expires as `${number}d`, 'expires')
      const created = await known.create({ name, roles, tenants, expiresInMs }).catch((error: unknown) => {
        if (!(error instanceof OptionError)) throw error
        throw new ParameterError([{ parameter: 'body', message: error.message }], { cause: error })
      })
      reply.header('cache-control', 'no-store').code(201)
      return { ...shownOf(created), token: created.token }
    },
  )
  typed.delete(
    '/api/tokens/:id',
    {
      config,
      schema: {
        ...shared,
        summary: 'Revoke a token: it counts nowhere within 5 s, and its streams are ended',
        params: z.object({
          id: z
            .string()
            .min(1)
            .max(100)
            .refine(...WITHOUT_NUL)
            .meta({ examples: ['0123456789abcdef'] }),
        }),
        response: { 200: tokenSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      const known = tokens ?? off()
      const { id } = request.params
      const [token] = await known.find([id])
      if (!token || !isTheirs(request, token) || !(await known.revoke(id))) throw new UnknownTokenError()
      const [revoked] = await known.find([id])
      if (!revoked) throw new UnknownTokenError()
      reply.header('cache-control', 'no-store')
      return shownOf(revoked)
    },
  )
}

function off(): never {
  throw new TokensOffError()
}

/** Whether it counts nowhere but where who asks is admin, as the route has found that they are. */
function isTheirs(request: FastifyRequest, { tenants }: StoredToken): boolean {
  const own = accessOf(request).tenants
  return own === 'all' || (tenants !== 'all' && tenants.every((tenant) => own.includes(tenant)))
}

function shownOf({
  id,
  name,
  roles,
  tenants,
  createdAt,
  expiresAt,
  revokedAt,
}: StoredToken): z.infer<typeof tokenSchema> {
  return {
    id,
    name,
    roles: [...roles],
    tenants: tenants === 'all' ? 'all' : [...tenants],
    created_at: createdAt.toISOString(),
    expires_at: expiresAt?.toISOString() ?? null,
    revoked_at: revokedAt?.toISOString() ?? null,
  }
}
