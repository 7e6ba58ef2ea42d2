import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { TenantUse } from 'tidemark'
import { z } from 'zod'
import type { Invalidator } from '../invalidation/invalidator.js'
import { type Counting, largestTenants } from './metrics.js'
import { problemResponse } from './schemas.js'

const counts = z.record(z.string(), z.number())

const schema = z.object({
  hits: z.int(),
  misses: z.int(),
  hit_ratio: z.number().nullable().describe('Of all reads since the start; null if there was none'),
  entries: z.int(),
  bytes: z.int().describe('Approximate size of keys and values in memory'),
  counters: z.record(z.string(), z.union([z.number(), counts])).describe('All that the cache counts, since the start'),
  log: z.object({ state: z.string(), reason: z.string(), position: z.string().optional() }),
  current: z.boolean().describe('Whether this process may call anything fresh'),
  invalidations: counts,
  tenants: z
    .array(
      z.object({
        tenant: z.string(),
        keys: z.int(),
        bytes: z.int(),
        keys_max: z.int().nullable().describe('Its quota; null: none'),
        bytes_max: z.int().nullable(),
      }),
    )
    .describe('The 50 that have most in memory, where tenants have limits'),
  refused: z
    .object({ requests: z.int(), patterns: z.int(), streams: z.int() })
    .describe('What was refused, by what was too much'),
})

/** `GET /api/metrics`: what this process has done, for people and their pages. For Prometheus there is `/metrics`. */
export function cacheMetricsRoute(
  app: FastifyInstance,
  { cache, live, refused }: Counting,
  { tally }: Invalidator,
): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/metrics',
    {
      config: { action: 'observe' },
      schema: {
        tags: ['operation'],
        summary: 'What this process has done',
        querystring: z.strictObject({}),
        response: { 200: schema, default: problemResponse },
      },
    },
    async (_, reply) => {
      reply.header('cache-control', 'no-store')
      const { hits, misses } = cache.counters
      const { entries, bytes, log, tidemark, current } = cache.status()
      return {
        hits,
        misses,
        hit_ratio: hits + misses === 0 ? null : hits / (hits + misses),
        entries,
        bytes,
        counters: cache.counters as unknown as z.infer<typeof schema>['counters'],
        log: { state: log.state, reason: log.reason, ...(tidemark === undefined ? {} : { position: tidemark }) },
        current,
        invalidations: {
          requests: tally.total,
          keys: tally.keys,
          removed: tally.removed,
          failed: tally.failed,
          repeated: tally.repeated,
        },
        tenants: largestTenants(cache).map(useOf),
        refused: {
          requests: refused?.requests ?? 0,
          patterns: refused?.patterns ?? 0,
          streams: live.quota.refused,
        },
      }
    },
  )
}

function useOf({ tenant, entries, bytes, quota }: TenantUse): z.infer<typeof schema>['tenants'][number] {
  const known = (limit: number) => (Number.isFinite(limit) ? limit : null)
  return { tenant, keys: entries, bytes, keys_max: known(quota.entries), bytes_max: known(quota.bytes) }
}
