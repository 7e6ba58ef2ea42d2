import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Asked, Invalidator, Outcome } from '../invalidation/invalidator.js'
import { byOf } from './actor.js'
import { removedOf, requestIdOf } from './invalidate.js'
import { amongSchema, keysSchema, patternOf, patternSchema, requestIdSchema, triggeredBySchema } from './named.js'
import { problemResponse } from './schemas.js'
import { tenantHeaders, tenantOf, tenantParameter } from './tenant.js'

/** Matched keys in one answer: these forms have no cursor. */
const MATCHED_MAX = 10_000

const said = { triggered_by: triggeredBySchema.optional(), request_id: requestIdSchema.optional() }

const keyBody = z
  .object({ keys: keysSchema, ...said })
  .meta({ examples: [{ keys: ['user:123', 'user:456'], triggered_by: 'admin', request_id: 'req-001' }] })

const patternBody = z.object({ pattern: patternSchema, cache_keys: amongSchema.optional(), ...said }).meta({
  examples: [
    {
      pattern: 'user:123:*',
      cache_keys: ['user:123:profile', 'user:123:settings', 'user:456:profile'],
      triggered_by: 'admin',
      request_id: 'req-002',
    },
  ],
})

const common = {
  success: z.literal(true),
  invalidated_count: z.int().describe('Keys that were named or matched, cached here or not'),
  request_id: z.string().describe('Made, where none was given'),
  published_at: z.string(),
  position: z.string().optional().describe('The place in the log'),
  removed: z
    .object({ l1: z.int().nullable(), l2: z.int().nullable().optional() })
    .describe('Entries that really went, per tier'),
}
const keyAnswer = z.object({ ...common, keys: z.array(z.string()) })
const patternAnswer = z.object({ ...common, pattern: z.string(), matched_keys: z.array(z.string()) })

const metricsAnswer = z.object({
  total_invalidations: z.int(),
  key_invalidations: z.int(),
  pattern_invalidations: z.int(),
  total_keys_invalidated: z.int().describe('Keys that were named or matched'),
  entries_removed: z.int().describe("Entries that went from this process's memory"),
  failed_invalidations: z.int(),
  repeated_requests: z.int().describe('Asked again under the same request id'),
  dry_runs: z.int(),
  local_evictions: z.int(),
  average_latency_ms: z.number(),
  p50_latency_ms: z.number().describe('Of the last 1,000'),
  p99_latency_ms: z.number(),
  last_invalidation_at: z.string().nullable(),
})

/** The short forms that older clients use: `POST /invalidate/key`, `POST /invalidate/pattern`, `GET /invalidate/metrics`. */
export function shortFormRoutes(app: FastifyInstance, invalidator: Invalidator): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const shared = {
    tags: ['short forms'],
    querystring: z.strictObject({ tenant: tenantParameter }),
    headers: tenantHeaders,
  }
  const answered = (schema: z.ZodType) => ({ 200: schema, default: problemResponse })
  typed.post(
    '/invalidate/key',
    {
      config: { action: 'invalidate' },
      schema: { ...shared, summary: 'Invalidate keys', body: keyBody, response: answered(keyAnswer) },
    },
    async (request, reply) => {
      const { keys, ...rest } = request.body
      reply.header('cache-control', 'no-store')
      const outcome = await invalidator.ask(askedOf(request, { keys }, rest))
      return { ...commonOf(outcome), keys: [...outcome.keys] }
    },
  )
  typed.post(
    '/invalidate/pattern',
    {
      config: { action: 'invalidate' },
      schema: {
        ...shared,
        summary: 'Invalidate what a glob matches',
        body: patternBody,
        response: answered(patternAnswer),
      },
    },
    async (request, reply) => {
      const { pattern, cache_keys: among, ...rest } = request.body
      reply.header('cache-control', 'no-store')
      const named = { pattern: patternOf(pattern, 'glob'), ...(among === undefined ? {} : { among }) }
      const outcome = await invalidator.ask(askedOf(request, named, rest))
      return { ...commonOf(outcome), pattern, matched_keys: outcome.matched.slice(0, MATCHED_MAX) }
    },
  )
  typed.get(
    '/invalidate/metrics',
    {
      config: { action: 'observe' },
      schema: {
        tags: ['short forms'],
        summary: 'What was invalidated since the start',
        querystring: z.strictObject({}),
        response: answered(metricsAnswer),
      },
    },
    async (_, reply) => {
      reply.header('cache-control', 'no-store')
      return metricsOf(invalidator.tally)
    },
  )
}

function askedOf(
  request: FastifyRequest,
  named: Pick<Asked, 'keys' | 'pattern' | 'among'>,
  { triggered_by: triggeredBy, request_id: id }: { triggered_by?: string | undefined; request_id?: string | undefined },
): Asked {
  return {
    tenant: tenantOf(request),
    ...named,
    mode: 'drop',
    isLocal: false,
    requestId: requestIdOf(request, id),
    by: byOf(request, { triggeredBy }),
  }
}

function commonOf({ count, requestId, publishedAt, position, removed }: Outcome) {
  return {
    success: true as const,
    invalidated_count: count,
    request_id: requestId,
    published_at: new Date(publishedAt).toISOString(),
    ...(position === undefined ? {} : { position }),
    removed: removedOf({ ...removed, l2: undefined }),
  }
}

function metricsOf(tally: Invalidator['tally']): z.infer<typeof metricsAnswer> {
  return {
    total_invalidations: tally.total,
    key_invalidations: tally.requests.keys,
    pattern_invalidations: tally.requests.pattern,
    total_keys_invalidated: tally.keys,
    entries_removed: tally.removed,
    failed_invalidations: tally.failed,
    repeated_requests: tally.repeated,
    dry_runs: tally.dryRuns,
    local_evictions: tally.local,
    average_latency_ms: tally.averageMs,
    p50_latency_ms: tally.percentileMs(0.5),
    p99_latency_ms: tally.percentileMs(0.99),
    last_invalidation_at: tally.lastAt === undefined ? null : new Date(tally.lastAt).toISOString(),
  }
}
