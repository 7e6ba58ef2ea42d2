import { Readable } from 'node:stream'
import type { Journal, JournalQuery, ReadRecord } from '@tidemark/postgres'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { formatPosition, parsePosition } from 'tidemark'
import { z } from 'zod'
import { authorise } from '../access/authorise.js'
import { JournalOffError, ParameterError } from '../errors.js'
import { WITHOUT_NUL } from '../without-nul.js'
import { exported } from './journal-export.js'
import { problemResponse } from './schemas.js'
import { tenantHeaders, tenantOf, tenantParameter } from './tenant.js'

const ORIGINS = ['request', 'edit', 'rows', 'ddl', 'effect', 'refill', 'gap', 'start', 'retention'] as const
const PAGE = 50
const PAGE_MAX = 1_000
const OFFSET_MAX = 1_000_000
const VERIFY_MAX_MS = 600_000

const text = z
  .string()
  .min(1)
  .max(1_024)
  .refine(...WITHOUT_NUL)
  .optional()
const scope = z
  .enum(['tenant', 'source', 'all'])
  .default('tenant')
  .describe('tenant: records of the tenant that the request names. source: rows, DDL, gaps. all: of every tenant')

const filters = {
  scope,
  tenant: tenantParameter,
  actor: text.describe('Who asked'),
  origin: z.enum(ORIGINS).optional(),
  target: text.describe('A key, a tag, a pattern or a table, as it was named'),
  request_id: text,
  position: text.describe(
    'Of one change: what was asked for or happened, what that did in each process, what was filled again',
  ),
  from: z.iso.datetime({ offset: true }).optional().describe('Committed at this time or later'),
  to: z.iso.datetime({ offset: true }).optional().describe('Committed before this time'),
  cursor: z
    .string()
    .regex(/^[0-9]{1,15}$/)
    .optional()
    .describe('The `cursor` of the page before'),
}

const recordSchema = z.object({
  id: z.int(),
  seq: z.int().describe("Dense in the tenant's chain"),
  tenant: z.string().nullable().describe('null: it concerns the source, and every tenant'),
  origin: z.enum(ORIGINS),
  position: z.string(),
  timestamp: z.string().describe('When it was committed; of a refill, when it began'),
  pattern: z.string().nullable(),
  keys: z.array(z.string()),
  tags: z.array(z.string()),
  tables: z.array(z.string()),
  mode: z.string().nullable(),
  triggered_by: z.string().nullable(),
  request_id: z.string().nullable(),
  cause: z.string().nullable(),
  latency_ms: z
    .number()
    .nullable()
    .describe('Until it took effect, in the process where that took longest; of a refill, until it ended'),
  process: z.string().describe('Of an effect or a refill: where'),
  detail: z.unknown(),
  created_at: z.string(),
  hash: z.string(),
})

const verification = z.object({
  intact: z.boolean(),
  signed: z.boolean().describe('Whether heads are signed: without, a tail that was cut off does not show'),
  chains: z.int(),
  records: z.int(),
  problems: z.array(
    z.object({
      chain: z.string(),
      seq: z.int(),
      kind: z.enum(['missing', 'changed', 'cut', 'rewritten', 'start', 'head']),
      detail: z.string(),
    }),
  ),
  public_key: z.string().nullable(),
})

const log = z.object({
  id: z.int(),
  pattern: z.string().nullable(),
  keys: z.array(z.string()),
  triggered_by: z.string().nullable(),
  timestamp: z.string(),
  request_id: z.string().nullable(),
  latency: z.number().nullable().describe('ms'),
})

/** `GET /api/journal`, `GET /api/journal/verify`, and the short form `GET /audit/logs`. */
export function journalRoutes(app: FastifyInstance, journal: Journal | undefined): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const config = { action: 'readJournal' } as const
  const query = z.strictObject({
    ...filters,
    limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(PAGE),
    format: z.enum(['json', 'csv', 'ndjson']).default('json').describe('csv and ndjson: all that match, as a download'),
  })
  const page = z.object({ records: z.array(recordSchema), cursor: z.string().nullable().describe('For the next page') })
  const files = { 'text/csv': { schema: z.string() }, 'application/x-ndjson': { schema: z.string() } }
  const content = { 'application/json': { schema: page }, ...files }
  typed.get(
    '/api/journal',
    {
      config: { ...config, headers: ['Content-Disposition'] },
      schema: {
        summary: 'Read the journal, newest first',
        tags: ['journal'],
        querystring: query,
        headers: tenantHeaders,
        response: { 200: { description: 'Records', content }, default: problemResponse },
      },
    },
    async (request, reply): Promise<never> => {
      const asked = request.query as z.infer<typeof query>
      const known = journal ?? off()
      const narrowed = queryOf(request, asked)
      reply.header('cache-control', 'no-store')
      if (asked.format !== 'json') return download(known, narrowed, asked.format, reply)
      const records = await known.read(narrowed, asked.limit + 1)
      const shown = records.slice(0, asked.limit)
      const cursor = records.length > shown.length ? String(shown.at(-1)!.id) : null
      return { records: shown.map(shownOf), cursor } as never
    },
  )
  typed.get(
    '/api/journal/verify',
    {
      config,
      schema: {
        summary: 'Check that nobody changed the journal',
        tags: ['journal'],
        querystring: z.strictObject({ scope, tenant: tenantParameter }),
        headers: tenantHeaders,
        response: { 200: verification, default: problemResponse },
      },
    },
    async (request, reply) => {
      const known = journal ?? off()
      const left = new AbortController()
      reply.raw.once('close', () => left.abort())
      const signal = AbortSignal.any([left.signal, AbortSignal.timeout(VERIFY_MAX_MS)])
      reply.header('cache-control', 'no-store')
      const tenants = tenantsOf(request, request.query.scope)
      const { problems, ...found } = await known.verify(tenants, signal)
      return { ...found, problems: [...problems], public_key: (await known.publicKey()) ?? null }
    },
  )
  typed.get(
    '/audit/logs',
    {
      config,
      schema: {
        summary: 'The requests to invalidate, newest first',
        tags: ['short forms'],
        querystring: z.strictObject({
          tenant: tenantParameter,
          limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(PAGE),
          offset: z.coerce.number().int().min(0).max(OFFSET_MAX).default(0),
        }),
        headers: tenantHeaders,
        response: {
          200: z.object({ logs: z.array(log), total_count: z.int(), has_more: z.boolean() }),
          default: problemResponse,
        },
      },
    },
    async (request, reply) => {
      const known = journal ?? off()
      const { limit, offset } = request.query
      const requests = { tenants: [tenantOf(request)], origins: ['request'] } as const
      const [records, total] = await Promise.all([known.read({ ...requests, offset }, limit), known.count(requests)])
      reply.header('cache-control', 'no-store')
      return { logs: records.map(logOf), total_count: total, has_more: offset + records.length < total }
    },
  )
}

function off(): never {
  throw new JournalOffError()
}

/** Whose records are asked for. What concerns all tenants is for those who may see all. */
function tenantsOf(request: FastifyRequest, scope: 'tenant' | 'source' | 'all'): (string | null)[] | undefined {
  if (scope === 'tenant') return [tenantOf(request)]
  authorise(request, 'operate', 'default')
  return scope === 'source' ? [null] : undefined
}

function queryOf(request: FastifyRequest, asked: z.infer<z.ZodObject<typeof filters>>): JournalQuery {
  const { scope, actor, origin, target, request_id, position, from, to, cursor } = asked
  const tenants = tenantsOf(request, scope)
  return {
    ...(tenants && { tenants }),
    ...(actor !== undefined && { actor }),
    ...(origin !== undefined && { origins: [origin] }),
    ...(target !== undefined && { target }),
    ...(request_id !== undefined && { requestId: request_id }),
    ...(position !== undefined && { position: placeOf(position) }),
    ...(from !== undefined && { from: Date.parse(from) }),
    ...(to !== undefined && { to: Date.parse(to) }),
    ...(cursor !== undefined && { before: Number(cursor) }),
  }
}

/** @throws PositionError; ParameterError for one without an epoch: in another history it is another place */
function placeOf(text: string): { readonly epoch: string; readonly lsn: number } {
  const { epoch, lsn } = parsePosition(text)
  if (epoch === undefined)
    throw new ParameterError([{ parameter: 'position', message: 'must be whole, as records and answers have it' }])
  return { epoch, lsn }
}

/** The first page is read before anything is answered, so that a database that is down is an error and no empty file. */
async function download(
  journal: Journal,
  query: JournalQuery,
  format: 'csv' | 'ndjson',
  reply: FastifyReply,
): Promise<never> {
  const pages = journal.all(query)
  const first = await pages.next()
  const type = format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson'
  reply.header('content-disposition', `attachment; filename="journal.${format}"`).type(type)
  return reply.send(Readable.from(exported(first, pages, format, shownOf), { objectMode: false })) as never
}

type Shown = z.infer<typeof recordSchema>

function shownOf(record: ReadRecord): Shown {
  const { id, seq, tenant, origin, epoch, lsn, pattern, keys, tags, tables, mode, cause, process, hash } = record
  return {
    id,
    seq,
    tenant,
    origin,
    position: formatPosition({ epoch, lsn }),
    timestamp: momentOf(record.at),
    pattern,
    keys: [...keys],
    tags: [...tags],
    tables: [...tables],
    mode,
    triggered_by: record.actor,
    request_id: record.requestId,
    cause,
    latency_ms: record.effectMs,
    process,
    detail: JSON.parse(record.detail) as unknown,
    created_at: momentOf(record.created),
    hash,
  }
}

function logOf({ id, pattern, keys, actor, at, requestId, effectMs }: ReadRecord): z.infer<typeof log> {
  return {
    id,
    pattern,
    keys: [...keys],
    triggered_by: actor,
    timestamp: momentOf(at),
    request_id: requestId,
    latency: effectMs,
  }
}

function momentOf(micros: number): string {
  return new Date(micros / 1_000).toISOString()
}
