import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { type Cache, type KeyInfo, TidemarkError } from 'tidemark'
import { z } from 'zod'
import { ParameterError } from '../errors.js'
import { asOfSchema, type CacheRouteOptions, type Entry, entrySchema, put } from './cache.js'
import { answer, answers } from './invalidate.js'
import { leaving } from './leaving.js'
import { keySchema, patternOf, patternSchema, requestIdSchema, syntaxSchema, tagSchema } from './named.js'
import { problemResponse } from './schemas.js'
import { tenantHeaders, tenantOf, tenantParameter } from './tenant.js'
import type { ValueBodies } from './value-bodies.js'

const BATCH_MAX = 1_000
const PAGE_MAX = 1_000
const SIZE = /^[1-9]\d{0,3}$/

const keysQuery = z.strictObject({
  tenant: tenantParameter,
  search: z.string().min(1).max(1_024).optional().describe('A text that the key contains'),
  prefix: z
    .string()
    .min(1)
    .max(1_024)
    .optional()
    .describe('What the key begins with')
    .meta({ examples: ['user:'] }),
  pattern: patternSchema.optional(),
  syntax: syntaxSchema,
  tag: tagSchema.optional(),
  state: z.enum(['fresh', 'expired']).optional(),
  tier: z.enum(['l1'], 'must be l1: the shared tier cannot list its keys').default('l1'),
  sort: z.enum(['key', 'age', 'size', 'expiry']).default('key'),
  order: z.enum(['asc', 'desc']).default('asc'),
  cursor: z.string().max(8_192).optional().describe('`cursor` of the page before'),
  limit: z
    .string()
    .regex(SIZE, `must be a whole number from 1 to ${PAGE_MAX}`)
    .transform(Number)
    .refine((count) => count <= PAGE_MAX, `must be a whole number from 1 to ${PAGE_MAX}`)
    .default(50),
})

const keysAnswer = z.object({
  keys: z.array(
    z.object({
      key: z.string(),
      definition: z.string().optional().describe('The resource or definition that it is a result of'),
      state: z.enum(['fresh', 'expired']),
      bytes: z.int().describe('Approximate size of key and value'),
      position: z.string().describe('As of which it was stored'),
      filled_at: z.string(),
      expires_at: z.string().optional(),
      tags: z.array(z.string()),
    }),
  ),
  cursor: z.string().optional().describe('Where the next page begins; missing on the last one'),
})

const keysBody = z
  .strictObject({ keys: z.array(keySchema).min(1).max(BATCH_MAX) })
  .meta({ examples: [{ keys: ['user:7', 'user:8'] }] })

const gotAnswer = z.object({
  entries: z.array(
    z.object({
      key: z.string(),
      found: z.boolean(),
      value: z.unknown().optional(),
      from: z.enum(['l1', 'l2']).optional(),
      position: z.string().optional(),
      filled_at: z.string().optional(),
      expires_at: z.string().optional(),
    }),
  ),
  position: z.string().optional().describe('To put what is read now as of'),
})

const putBody = z
  .strictObject({
    entries: z
      .array(entrySchema.extend({ key: keySchema }))
      .min(1)
      .max(BATCH_MAX),
    as_of: asOfSchema,
  })
  .meta({
    examples: [
      {
        entries: [
          { key: 'user:7', value: 1 },
          { key: 'user:8', value: [2], ttl: '1m' },
        ],
      },
    ],
  })

const putAnswer = z.object({
  success: z.boolean().describe('Whether all went into the log'),
  entries: z.array(
    z.object({
      key: z.string(),
      kept: z.boolean(),
      not_kept: z.string().optional(),
      position: z.string().optional(),
      code: z.string().optional().describe('Why nothing changed for this key'),
    }),
  ),
})

const deleteBody = z
  .strictObject({ keys: z.array(keySchema).min(1).max(BATCH_MAX), request_id: requestIdSchema.optional() })
  .meta({ examples: [{ keys: ['user:7', 'user:8'] }] })

/** `GET /api/cache/keys`, and `POST /api/cache/batch/get`, `/put` and `/delete`. */
export function cacheListRoutes(app: FastifyInstance, { cache, invalidator, bodies }: CacheRouteOptions): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const shared = { tags: ['cache'], querystring: z.strictObject({ tenant: tenantParameter }), headers: tenantHeaders }
  typed.get(
    '/api/cache/keys',
    {
      config: { action: 'read' },
      schema: {
        tags: ['cache'],
        summary: 'The keys in the memory of this process',
        querystring: keysQuery,
        headers: tenantHeaders,
        response: { 200: keysAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return keys(cache.tenant(tenantOf(request)), request.query, leaving(reply))
    },
  )
  typed.post(
    '/api/cache/batch/get',
    {
      config: { action: 'read' },
      schema: {
        ...shared,
        summary: 'What is stored under several keys',
        body: keysBody,
        response: { 200: gotAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const view = cache.tenant(tenantOf(request))
      const entries = await Promise.all(request.body.keys.map((key) => got(view, key, bodies)))
      const position = await view.position({ signal: leaving(reply) })
      return { entries, ...(position === undefined ? {} : { position }) }
    },
  )
  typed.post(
    '/api/cache/batch/put',
    {
      config: { action: 'write' },
      schema: {
        ...shared,
        summary: 'Store several values, each for itself',
        body: putBody,
        response: { 200: putAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const view = cache.tenant(tenantOf(request))
      const { entries, as_of: asOf } = request.body
      const store = ({ key, ...entry }: Entry & { key: string }) => put(view, request, bodies, key, entry, asOf)
      return putAnswerOf(
        entries.map(({ key }) => key),
        await Promise.allSettled(entries.map(store)),
      )
    },
  )
  typed.post(
    '/api/cache/batch/delete',
    {
      config: { action: 'invalidate' },
      schema: { ...shared, summary: 'Drop several keys', body: deleteBody, response: answers },
    },
    async (request, reply) => {
      const { keys: named, request_id } = request.body
      return answer(invalidator, request, reply, { keys: named }, { mode: 'hard', dryRun: false, request_id })
    },
  )
}

async function keys(
  view: Cache,
  query: z.infer<typeof keysQuery>,
  signal: AbortSignal,
): Promise<z.infer<typeof keysAnswer>> {
  const { search, prefix, pattern, syntax, tag, state, sort, order, cursor, limit } = query
  if (prefix !== undefined && pattern !== undefined)
    throw new ParameterError([
      { parameter: 'prefix', message: 'cannot be used beside pattern: write it into the pattern' },
    ])
  const named = prefix === undefined ? pattern && patternOf(pattern, syntax) : patternOf(prefix, 'prefix')
  const page = await view
    .keys({
      ...(named === undefined ? {} : { pattern: named }),
      ...(search === undefined ? {} : { contains: search }),
      ...(tag === undefined ? {} : { tag }),
      ...(state === undefined ? {} : { state }),
      ...(cursor === undefined ? {} : { after: cursor }),
      sort,
      descending: order === 'desc',
      limit,
      signal,
    })
    .catch((error: unknown) => {
      // All else has been checked.
      if (!(error instanceof TidemarkError) || error.code !== 'TIDEMARK_OPTION') throw error
      throw new ParameterError([{ parameter: 'cursor', message: 'is not what an earlier page told' }], { cause: error })
    })
  return { keys: page.keys.map(keyOf), ...(page.next === undefined ? {} : { cursor: page.next }) }
}

function keyOf({ key, definition, state, bytes, position, filledAt, expiresAt, tags }: KeyInfo) {
  return {
    key,
    ...(definition === undefined ? {} : { definition }),
    state,
    bytes,
    position,
    ...timesOf(filledAt, expiresAt),
    tags: [...tags],
  }
}

async function got(view: Cache, key: string, bodies: ValueBodies) {
  const found = await view.find(key)
  if (!found) return { key, found: false }
  const { from, position, filledAt, expiresAt } = found
  const value = JSON.parse(bodies.of(found).text) as unknown
  return { key, found: true, value, from, position, ...timesOf(filledAt, expiresAt) }
}

function timesOf(filledAt: number, expiresAt: number | undefined) {
  return { filled_at: isoOf(filledAt), ...(expiresAt === undefined ? {} : { expires_at: isoOf(expiresAt) }) }
}

/** The last moment that a date can tell, for what expires later. */
const LATEST_MS = 8.64e15

function isoOf(wall: number): string {
  return new Date(Math.min(wall, LATEST_MS)).toISOString()
}

type Stored = Awaited<ReturnType<typeof put>>

/** Where nothing at all was done, the answer is the error. */
function putAnswerOf(
  named: readonly string[],
  settled: readonly PromiseSettledResult<Stored>[],
): z.infer<typeof putAnswer> {
  const failed = settled.find((each) => each.status === 'rejected')
  if (failed && settled.every(({ status }) => status === 'rejected')) throw failed.reason
  const entries = settled.map((each, i) => {
    if (each.status === 'rejected') return { key: named[i]!, kept: false, code: codeOf(each.reason) }
    const { success: _, ...entry } = each.value
    return entry
  })
  return { success: failed === undefined, entries }
}

function codeOf(error: unknown): string {
  return error instanceof TidemarkError ? error.code : 'TIDEMARK_INTERNAL'
}
