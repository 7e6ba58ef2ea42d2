import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Cache, Found } from 'tidemark'
import { z } from 'zod'
import { NotStoredError, ParameterError, PreconditionError } from '../errors.js'
import type { Invalidator } from '../invalidation/invalidator.js'
import { byOf } from './actor.js'
import { VALUE_HEADERS } from './answer-headers.js'
import { CACHE_ROUTE, etagOf, type Hits, hitHeaders, JSON_TYPE } from './hits.js'
import { answer, answers } from './invalidate.js'
import { leaving } from './leaving.js'
import { dependenciesSchema, flagSchema, keySchema, tagsSchema } from './named.js'
import { jsonSchema, problemResponse } from './schemas.js'
import { tenantHeaders, tenantOf, tenantParameter } from './tenant.js'
import type { ValueBodies, ValueBody } from './value-bodies.js'

export interface CacheRouteOptions {
  readonly cache: Cache
  readonly invalidator: Invalidator
  readonly bodies: ValueBodies
}

const params = z.object({ key: keySchema.meta({ examples: ['user:7'] }) })

const ttlSchema = z
  .union([z.number().min(0).max(Number.MAX_SAFE_INTEGER), z.string().regex(/^\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d)$/)])
  .describe('How long it is fresh: milliseconds, or `30s`, `10m`, `1h`. Default: until it is changed')

/** A value, and how it is to be kept. */
export const entrySchema = z.strictObject({
  value: jsonSchema.describe('Any JSON'),
  ttl: ttlSchema.optional(),
  tags: tagsSchema.optional(),
  dependencies: dependenciesSchema.max(1_000).optional().describe('Keys that the value was computed from'),
})

export const asOfSchema = z
  .string()
  .max(300)
  .optional()
  .describe('The Tidemark-Position of an answer that came before the value was read at its source')

export type Entry = z.infer<typeof entrySchema>

const stored = z.object({
  success: z.literal(true),
  key: z.string(),
  kept: z.boolean().describe('Whether it is in the cache now. The change holds for everybody in any case'),
  not_kept: z.string().optional().describe('Why it is not: a change touched it meanwhile, or that cannot be known'),
  position: z.string(),
})

const putBody = entrySchema.extend({ as_of: asOfSchema }).meta({
  examples: [{ value: { name: 'Ada' }, ttl: '10m', tags: ['users'] }, { value: null }],
})

const putHeaders = tenantHeaders.extend({
  'if-match': z.string().optional().describe('Only if this is stored: an ETag, or the position in it'),
})

const getHeaders = tenantHeaders.extend({ 'if-none-match': z.string().optional() })

/** `GET`, `PUT` and `DELETE /api/cache/:key`. */
export function cacheRoutes(
  app: FastifyInstance,
  { cache, invalidator, bodies, hits }: CacheRouteOptions & { readonly hits: Hits },
): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const shared = { tags: ['cache'], params }
  const querystring = z.strictObject({ tenant: tenantParameter })
  typed.get(
    CACHE_ROUTE,
    {
      config: { action: 'read', headers: VALUE_HEADERS },
      schema: {
        ...shared,
        summary: 'What is stored under a key',
        querystring,
        headers: getHeaders,
        response: {
          200: { description: 'The value', content: { 'application/json': { schema: jsonSchema } } },
          304: z.undefined().describe('The client has this value'),
          default: problemResponse,
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request)
      const view = cache.tenant(tenant)
      const { key } = request.params
      const found = await view.find(key)
      // Where nothing is stored it says what a value that is read now may be put as of.
      const position = found ? found.asOf : await view.position({ signal: leaving(reply) })
      if (position !== undefined) reply.header('tidemark-position', position)
      if (!found) throw new NotStoredError()
      const answer = sendValue(request, reply, found, bodies.of(found))
      hits.admit(request, tenant)
      return answer
    },
  )
  typed.put(
    '/api/cache/:key',
    {
      config: { action: 'write' },
      schema: {
        ...shared,
        summary: 'Store a value, and drop what was computed from the one before',
        querystring,
        headers: putHeaders,
        body: putBody,
        response: { 200: stored, default: problemResponse },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const view = cache.tenant(tenantOf(request))
      const { key } = request.params
      const { as_of: asOf, ...entry } = request.body
      const ifMatch = request.headers['if-match']
      const matched = ifMatch === undefined ? undefined : await matching(view, key, ifMatch, bodies)
      return put(view, request, bodies, key, entry, asOf ?? matched)
    },
  )
  typed.delete(
    '/api/cache/:key',
    {
      config: { action: 'invalidate' },
      schema: {
        ...shared,
        summary: 'Drop a key, and what was computed from it',
        querystring: querystring.extend({ local: flagSchema, dryRun: flagSchema }),
        headers: tenantHeaders.extend({ 'idempotency-key': z.string().optional() }),
        response: answers,
      },
    },
    async (request, reply) => {
      const { dryRun } = request.query
      return answer(invalidator, request, reply, { keys: [request.params.key] }, { mode: 'hard', dryRun })
    },
  )
}

/** Stores one value. @throws ParameterError, and what `cache.set` throws */
export async function put(
  view: Cache,
  request: FastifyRequest,
  bodies: ValueBodies,
  key: string,
  { value, ttl, tags, dependencies }: Entry,
  asOf: string | undefined,
): Promise<z.infer<typeof stored>> {
  const resource = bodies.resourceOf(key)
  if (resource !== undefined) {
    const message = `is computed by the resource ${resource}: change its rows, or invalidate the key`
    throw new ParameterError([{ parameter: 'key', message }])
  }
  const { position, notKept } = await view.set(key, value, {
    by: byOf(request, {}),
    ...(ttl === undefined ? {} : { ttl: ttl as number }),
    ...(tags === undefined ? {} : { tags }),
    ...(dependencies === undefined ? {} : { dependsOn: dependencies }),
    ...(asOf === undefined ? {} : { asOf }),
  })
  const kept = notKept === undefined
  return { success: true, key, kept, ...(kept ? {} : { not_kept: notKept }), position }
}

function sendValue({ headers }: FastifyRequest, reply: FastifyReply, found: Found, body: ValueBody): FastifyReply {
  const etag = etagOf(found, body)
  const said = hitHeaders(found, etag)
  for (let i = 0; i < said.length; i += 2) reply.header(said[i]!, said[i + 1])
  if (headers['if-none-match'] === etag) return reply.code(304).send()
  return reply.header('content-type', JSON_TYPE).send(body.text)
}

/**
 * Whether what the client has seen is what is stored. Returns a position from before that was looked at: what changes from then on is not
 * overwritten unseen.
 *
 * @throws PreconditionError if it is another one, or none
 */
async function matching(view: Cache, key: string, ifMatch: string, bodies: ValueBodies): Promise<string | undefined> {
  const position = await view.position()
  const found = await view.find(key)
  const etag = found && etagOf(found, bodies.of(found))
  const isMatched = found && (ifMatch.trim() === '*' || ifMatch === etag || ifMatch === `"${found.position}"`)
  if (!isMatched) throw new PreconditionError()
  return position
}
