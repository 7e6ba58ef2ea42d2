import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ROLES } from '../access/action.js'
import { SignInOffError, UnknownSessionError } from '../access/errors.js'
import type { SignIn } from '../access/sign-in.js'
import type { SessionDatabase } from '../access/token-database.js'
import { WITHOUT_NUL } from '../without-nul.js'
import { problemResponse } from './schemas.js'

const sessionSchema = z.object({
  id: z.string().describe('What it is ended by; not what the browser has'),
  actor: z.string(),
  roles: z.array(z.enum(ROLES)),
  tenants: z.union([z.literal('all'), z.array(z.string())]),
  created_at: z.string(),
  expires_at: z.string(),
})

/** `GET /api/sessions`, `DELETE /api/sessions/:id`: who has signed in, and an end of it. */
export function sessionRoutes(
  app: FastifyInstance,
  sessions: SessionDatabase | undefined,
  signIn: SignIn | undefined,
): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const config = { action: 'govern' } as const
  const querystring = z.strictObject({})
  typed.get(
    '/api/sessions',
    {
      config,
      schema: {
        tags: ['access'],
        summary: 'Who has signed in, the newest first',
        querystring,
        response: { 200: z.object({ sessions: z.array(sessionSchema) }), default: problemResponse },
      },
    },
    async (_, reply) => {
      if (!signIn || !sessions) throw new SignInOffError()
      reply.header('cache-control', 'no-store')
      return {
        sessions: (await sessions.list()).map(({ id, name, roles, tenants, createdAt, expiresAt }) => ({
          id,
          actor: name,
          roles: [...roles],
          tenants: tenants === 'all' ? ('all' as const) : [...tenants],
          created_at: createdAt.toISOString(),
          expires_at: expiresAt.toISOString(),
        })),
      }
    },
  )
  typed.delete(
    '/api/sessions/:id',
    {
      config,
      schema: {
        tags: ['access'],
        summary: 'End a session: it counts nowhere within 5 s, and its streams are ended',
        querystring,
        params: z.object({
          id: z
            .string()
            .min(1)
            .max(100)
            .refine(...WITHOUT_NUL)
            .meta({ examples: ['0123456789abcdef'] }),
        }),
        response: { 200: z.object({ id: z.string() }), default: problemResponse },
      },
    },
    async (request, reply) => {
      if (!signIn) throw new SignInOffError()
      const { id } = request.params
      if (!(await signIn.endSession(id))) throw new UnknownSessionError()
      reply.header('cache-control', 'no-store')
      return { id }
    },
  )
}
