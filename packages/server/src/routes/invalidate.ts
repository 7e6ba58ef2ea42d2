import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParameterError } from '../errors.js'
import type { Asked, Invalidator, Outcome, RefillProgress } from '../invalidation/invalidator.js'
import type { Naming, Reach } from '../invalidation/reach.js'
import { byOf } from './actor.js'
import { leaving } from './leaving.js'
import {
  amongSchema,
  causeSchema,
  dependenciesSchema,
  flagSchema,
  KEYS_MAX,
  keySchema,
  keysSchema,
  modeSchema,
  patternOf,
  patternSchema,
  repeated,
  requestIdSchema,
  syntaxSchema,
  tagSchema,
  tagsSchema,
} from './named.js'
import { problemResponse } from './schemas.js'
import { tenantHeaders, tenantOf, tenantParameter } from './tenant.js'

/** Matched keys in one answer. */
const PAGE = 1_000

const how = {
  mode: modeSchema,
  dryRun: z.boolean().default(false).describe('Change nothing; say what would go'),
  refill: z
    .strictObject({
      perSecond: z.number().min(0.001).max(100_000).optional().describe('Loads that begin in a second'),
      concurrency: z.int().min(1).max(100).optional().describe('Loads at once; default 4'),
    })
    .optional()
    .describe('Fill again what goes from the memory of this process, the hottest first, behind the answer'),
  request_id: requestIdSchema.optional(),
  cause: causeSchema.optional(),
}

const byName = z
  .strictObject({
    keys: keysSchema.optional(),
    tags: tagsSchema.optional(),
    dependencies: dependenciesSchema.optional(),
    ...how,
  })
  .meta({
    examples: [
      { keys: ['user:123', 'user:456'], request_id: 'req-100' },
      { tags: ['users'], mode: 'soft', cause: 'the import of the night' },
      { keys: ['user:123'], dependencies: ['settings'], dryRun: true },
    ],
  })

const byPattern = z
  .strictObject({ pattern: patternSchema, syntax: syntaxSchema, cache_keys: amongSchema.optional(), ...how })
  .meta({
    examples: [
      { pattern: 'user:123:*', request_id: 'req-101' },
      { pattern: '^post\\(\\d+\\)$', syntax: 'regex', dryRun: true },
      { pattern: 'user:*', cache_keys: ['user:1', 'order:1'] },
    ],
  })

const where = z.strictObject({
  tenant: tenantParameter,
  local: flagSchema.describe(
    'Only take the entries out of the memory of the process that is asked. Nothing enters the log',
  ),
  acks: z
    .enum(['self', 'all'])
    .default('self')
    .describe('`all`: answer when the other processes and L2 have applied it too, or invalidation.acksMax is over'),
})

const headers = tenantHeaders.extend({
  'idempotency-key': z.string().optional().describe('The same as request_id'),
})

const previewed = z.strictObject({
  tenant: tenantParameter,
  keys: repeated(keySchema, KEYS_MAX).describe('Once or several times'),
  tags: repeated(tagSchema, 1_000).describe('Once or several times'),
  pattern: patternSchema.optional().meta({ examples: ['user:*'] }),
  syntax: syntaxSchema,
})

const answerSchema = z
  .object({
    success: z.literal(true),
    request_id: z.string().optional(),
    dry_run: z.boolean(),
    local: z.boolean().describe('Only this process dropped it'),
    mode: z.enum(['hard', 'soft']),
    invalidated_count: z.int().describe('Keys that were named, cached here or not, and entries here that matched'),
    keys: z.array(z.string()).optional().describe('The keys that were named, each once'),
    matched_keys: z.array(z.string()).optional().describe('The first keys that matched, or had the tags'),
    cursor: z.string().optional().describe('There are more: GET /api/invalidations/:request_id?cursor='),
    removed: z
      .object({ l1: z.int().nullable(), l2: z.int().nullable().optional() })
      .optional()
      .describe(
        'Entries that really went, or would, per tier; null: not known. L2 counts keys alone: with `acks=all`, else a moment later',
      ),
    acknowledged: z
      .array(
        z.object({
          process: z.string().describe('As GET /api/cluster names it'),
          address: z.string().nullable(),
          removed: z.int().nullable().describe('Entries that went from its memory; null: it does not know'),
          ms: z.number().describe('Until this process knew of it'),
        }),
      )
      .optional()
      .describe('Processes that have applied it; this one first'),
    silent: z
      .array(z.object({ process: z.string(), address: z.string().nullable() }))
      .optional()
      .describe('With `acks=all`: processes that are there, and have not said so in time'),
    l2_applied: z.boolean().optional().describe('With `acks=all`, where there is an L2: whether it has applied it'),
    sweeping: z.boolean().optional().describe('They are stale, but not all out of memory: `removed` counts some'),
    position: z.string().optional().describe('The place in the log, up to which this process has applied it'),
    published_at: z.string().optional(),
    latency_ms: z.number().optional(),
    dependents: z
      .object({ count: z.int(), keys: z.array(z.string()) })
      .optional()
      .describe('What goes along, as it was computed from what is named'),
    refill: z
      .object({
        loads: z.int(),
        source_seconds: z.number(),
        unmeasured: z.int(),
        unknown: z.int().optional().describe('Entries that only their readers can load'),
        filled: z.int().optional(),
        failed: z.int().optional(),
        running: z.boolean().optional(),
      })
      .optional()
      .describe('What it would cost to fill all of it again, from loads that were measured here'),
  })
  .describe('What was done, or would be')

export const answers = { 200: answerSchema, default: problemResponse }

/** `POST /api/invalidate`, `POST /api/invalidate/pattern`, `GET /api/invalidate/preview`, `GET /api/invalidations/:request_id`. */
export function invalidateRoutes(app: FastifyInstance, invalidator: Invalidator): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const shared = { tags: ['invalidation'], querystring: where, headers, response: answers }
  typed.post(
    '/api/invalidate',
    { config: { action: 'invalidate' }, schema: { ...shared, summary: 'Invalidate keys and tags', body: byName } },
    async (request, reply) => {
      const { keys = [], tags = [], dependencies = [], ...rest } = request.body
      if (keys.length + tags.length + dependencies.length === 0) throw nothingNamed()
      return answer(invalidator, request, reply, { keys: [...keys, ...dependencies], tags }, rest)
    },
  )
  typed.post(
    '/api/invalidate/pattern',
    {
      config: { action: 'invalidate' },
      schema: { ...shared, summary: 'Invalidate what a pattern matches', body: byPattern },
    },
    async (request, reply) => {
      const { pattern, syntax, cache_keys: among, ...rest } = request.body
      const named = { pattern: patternOf(pattern, syntax), ...(among === undefined ? {} : { among }) }
      return answer(invalidator, request, reply, named, rest)
    },
  )
  typed.get(
    '/api/invalidate/preview',
    {
      config: { action: 'read' },
      schema: {
        tags: ['invalidation'],
        summary: 'What an invalidation would do',
        querystring: previewed,
        headers: tenantHeaders,
        response: answers,
      },
    },
    async (request, reply) => {
      const { keys, tags, pattern, syntax } = request.query
      if (keys.length + tags.length === 0 && pattern === undefined) throw nothingNamed()
      const named = { keys, tags, ...(pattern === undefined ? {} : { pattern: patternOf(pattern, syntax) }) }
      return answer(invalidator, request, reply, named, { mode: 'hard', dryRun: true })
    },
  )
  typed.get(
    '/api/invalidations/:request_id',
    {
      config: { action: 'invalidate' },
      schema: {
        tags: ['invalidation'],
        summary: 'What came of a request, and more of the keys that it matched',
        params: z.object({
          request_id: z
            .string()
            .min(1)
            .max(256)
            .meta({ examples: ['req-100'] }),
        }),
        querystring: z.strictObject({
          tenant: tenantParameter,
          cursor: z
            .string()
            .regex(/^\d{1,5}$/)
            .optional(),
        }),
        headers: tenantHeaders,
        response: answers,
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const outcome = await invalidator.find(tenantOf(request), request.params.request_id)
      return outcomeAnswer(outcome, Number(request.query.cursor ?? 0))
    },
  )
}

type How = Pick<z.infer<z.ZodObject<typeof how>>, 'mode' | 'dryRun'> & Partial<z.infer<z.ZodObject<typeof how>>>

/** Does what is asked for, or says what it would do. */
export async function answer(
  invalidator: Invalidator,
  request: FastifyRequest,
  reply: FastifyReply,
  named: Naming,
  { mode, dryRun, refill, request_id: id, cause }: How,
): Promise<z.infer<typeof answerSchema>> {
  reply.header('cache-control', 'no-store')
  const asked: Asked = {
    tenant: tenantOf(request),
    ...named,
    mode: mode === 'soft' ? 'expire' : 'drop',
    isLocal: (request.query as { local?: boolean }).local ?? false,
    ...(refill === undefined ? {} : { refill: paceOf(refill) }),
    requestId: requestIdOf(request, id),
    by: byOf(request, { cause }),
  }
  if (!dryRun) {
    const outcome = await invalidator.ask(asked)
    const isAll = (request.query as { acks?: string }).acks === 'all'
    // In this order: what L2 has counted meanwhile is in the answer.
    const told = isAll ? await acknowledgements(invalidator, outcome) : {}
    const { removed, ...answered } = outcomeAnswer(outcome, 0)
    // Asked again it is the same answer, whether or not L2 has counted by then.
    return { ...answered, removed: isAll ? removed : removedOf({ ...outcome.removed, l2: undefined }), ...told }
  }
  const forecast = await invalidator.preview(asked, leaving(reply))
  const { dependents, dependentSample, refill: cost } = forecast
  return {
    success: true,
    dry_run: true,
    local: asked.isLocal,
    mode,
    ...(asked.requestId === undefined ? {} : { request_id: asked.requestId }),
    ...reachAnswer(forecast, 0),
    removed: removedOf(forecast.removed),
    dependents: { count: dependents, keys: dependentSample.slice(0, PAGE) },
    refill: { loads: cost.loads, source_seconds: cost.sourceMs / 1_000, unmeasured: cost.unmeasured },
  }
}

function reachAnswer({ keys, matched, count }: Omit<Reach, 'wide'>, from: number) {
  return {
    invalidated_count: count,
    ...(keys.length > 0 && keys !== matched ? { keys: [...keys] } : {}),
    ...(matched.length > 0 || keys.length === 0 ? { matched_keys: matched.slice(from, from + PAGE) } : {}),
  }
}

function outcomeAnswer(outcome: Outcome, from: number): z.infer<typeof answerSchema> {
  const { requestId, isLocal, mode, matched, position, removed, publishedAt, ms } = outcome
  const next = from + PAGE
  return {
    success: true,
    request_id: requestId,
    dry_run: false,
    local: isLocal,
    mode: mode === 'expire' ? 'soft' : 'hard',
    ...reachAnswer(outcome, from),
    ...(matched.length > next ? { cursor: String(next) } : {}),
    removed: removedOf(removed),
    ...(outcome.isSweeping ? { sweeping: true } : {}),
    ...(outcome.refill ? { refill: refillOf(outcome.refill) } : {}),
    ...(position === undefined ? {} : { position, acknowledged: [makerOf(outcome)] }),
    published_at: new Date(publishedAt).toISOString(),
    latency_ms: ms,
  }
}

function paceOf({ perSecond, concurrency }: NonNullable<How['refill']>): NonNullable<Asked['refill']> {
  return {
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(concurrency === undefined ? {} : { concurrency }),
  }
}

function refillOf({ sourceMs, isRunning, ...refill }: RefillProgress) {
  return { ...refill, source_seconds: sourceMs / 1_000, running: isRunning }
}

/** The process that made a request has applied it when it answers. */
function makerOf({ madeBy, removed, ms }: Outcome) {
  return { ...madeBy, removed: removed.l1 ?? null, ms }
}

/** Who has applied a request: who made it first. */
async function acknowledgements(
  invalidator: Invalidator,
  outcome: Outcome,
): Promise<Pick<z.infer<typeof answerSchema>, 'acknowledged' | 'silent' | 'l2_applied'>> {
  const { position, madeBy } = outcome
  if (position === undefined) return {}
  const [{ acknowledged, silent, isInL2 }] = await Promise.all([
    invalidator.acknowledgements(position),
    invalidator.counted(outcome),
  ])
  // Asked again here, and made by another process.
  const here = invalidator.hasApplied(position) ? [{ ...invalidator.self, removed: undefined, ms: 0 }] : []
  const others = [...here, ...acknowledged].filter(({ process }) => process !== madeBy.process)
  return {
    acknowledged: [makerOf(outcome), ...others.map((each) => ({ ...each, removed: each.removed ?? null }))],
    silent: [...silent],
    ...(isInL2 === undefined ? {} : { l2_applied: isInL2 }),
  }
}

export function removedOf({ l1, l2, hasL2 }: Outcome['removed']): { l1: number | null; l2?: number | null } {
  return { l1: l1 ?? null, ...(hasL2 ? { l2: l2 ?? null } : {}) }
}

/** The header Idempotency-Key and the field request_id say the same. @throws ParameterError if they do not */
export function requestIdOf({ headers }: FastifyRequest, inBody: string | undefined): string | undefined {
  const raw = headers['idempotency-key']
  if (typeof raw !== 'string') return inBody
  const parsed = requestIdSchema.safeParse(raw.replace(/^"(.*)"$/, '$1'))
  if (!parsed.success || (inBody !== undefined && inBody !== parsed.data)) {
    const message = parsed.success ? 'names another request than request_id' : 'must be 1 to 256 printable characters'
    throw new ParameterError([{ parameter: 'Idempotency-Key', message }])
  }
  return parsed.data
}

function nothingNamed(): ParameterError {
  return new ParameterError([
    { parameter: 'keys', message: 'nothing is named: send keys, tags, dependencies or a pattern' },
  ])
}
