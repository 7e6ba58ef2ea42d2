import type { Head, NodeInfo, RegisteredNode, Trees } from '@tidemark/trees'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { definedOf } from '../defined.js'
import { ParameterError } from '../errors.js'
import { WITHOUT_NUL } from '../without-nul.js'
import { raw, textWithRaw } from './raw-json.js'
import { jsonSchema, problemResponse } from './schemas.js'
import { configParams, pathSchema } from './tree-path.js'

const textSchema = z.string().refine(...WITHOUT_NUL)
const listQuery = {
  contains: textSchema.max(1_024).optional().describe('Only what this text occurs in; letters’ case counts'),
  limit: z.coerce.number().int().min(1).max(1_000).default(50),
}
const tenantParams = configParams.pick({ tenant: true })
const instant = z.string().nullable()

export const headSchema = z.object({
  config: z.string(),
  version: z.int().describe('Of its last edit; 0 if it was written by SQL alone'),
  base: z.object({ tenant: z.string(), config: z.string() }).nullable(),
  has_schema: z.boolean(),
  updated_at: instant,
})

const nodeSchema = z.object({
  config: z.string(),
  path: z.string(),
  kind: z.enum(['object', 'array', 'scalar']),
  value: jsonSchema.optional().describe('Of a scalar'),
  version: z.int(),
  updated_at: instant,
})

const registeredSchema = nodeSchema.extend({
  state: z
    .enum(['cached', 'stale', 'invalidated', 'absent'])
    .describe('Of its view in this process: kept; kept but not provably fresh; gone since it was read; never kept'),
  hits: z.int(),
  misses: z.int(),
  last_read_at: instant,
  declared: z.array(z.string()).describe('Nodes that were declared to be invalidated with it'),
  dependents: z
    .object({ count: z.int(), keys: z.array(z.string()) })
    .describe('Entries of this process, of this tenant, that a change of it would make stale'),
})

/** `GET /api/trees/:tenant` lists configs, `…/~nodes` searches nodes, `GET /api/trees/:tenant/:config/~nodes` shows how the cache has them. */
export function treeListRoutes(app: FastifyInstance, trees: Trees): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const listed = (name: string, item: z.ZodType) => ({
    200: {
      description: 'A page',
      content: { 'application/json': { schema: z.object({ [name]: z.array(item), next: z.string().optional() }) } },
    },
    default: problemResponse,
  })
  typed.get(
    '/api/trees/:tenant',
    {
      config: { action: 'read' },
      schema: {
        tags: ['trees'],
        summary: 'List the configs of a tenant',
        params: tenantParams,
        querystring: z.strictObject({
          ...listQuery,
          after: textSchema.optional().describe('`next` of the page before'),
        }),
        response: listed('configs', headSchema),
      },
    },
    async (request, reply) => {
      const { limit } = request.query
      const configs = await trees.configs(request.params.tenant, definedOf(request.query))
      return sendRaw(reply, {
        configs: configs.map(headOf),
        next: configs.length < limit ? undefined : configs.at(-1)!.config,
      })
    },
  )
  typed.get(
    '/api/trees/:tenant/~nodes',
    {
      config: { action: 'read' },
      schema: {
        tags: ['trees'],
        summary: 'Search the nodes of all configs of a tenant, by path and value',
        params: tenantParams,
        querystring: z.strictObject({
          ...listQuery,
          after: textSchema.optional().describe('`next` of the page before'),
        }),
        response: listed('nodes', nodeSchema),
      },
    },
    async (request, reply) => {
      const { after, ...query } = request.query
      const from = after === undefined ? {} : { after: placeOf(after) }
      const nodes = await trees.nodes(request.params.tenant, { ...definedOf(query), ...from })
      const last = nodes.length < query.limit ? undefined : nodes.at(-1)
      return sendRaw(reply, { nodes: nodes.map(nodeOf), next: last && `${last.config}${last.path}` })
    },
  )
  typed.get(
    '/api/trees/:tenant/:config/~nodes',
    {
      config: { action: 'read' },
      schema: {
        tags: ['trees'],
        summary: 'The nodes of a config, and how the cache of this process has them',
        params: configParams,
        querystring: z.strictObject({
          ...listQuery,
          path: pathSchema.optional().describe('Only this node and what is below it'),
          after: textSchema.optional().describe('`next` of the page before'),
        }),
        response: listed('nodes', registeredSchema),
      },
    },
    async (request, reply) => {
      const { tenant, config } = request.params
      const { limit } = request.query
      const nodes = await trees.tree(tenant, config).registry(definedOf(request.query))
      return sendRaw(reply, {
        nodes: nodes.map(registeredOf),
        next: nodes.length < limit ? undefined : nodes.at(-1)!.path,
      })
    },
  )
}

/** As JSON that keeps every digit of values. */
export function sendRaw(reply: FastifyReply, answer: object): FastifyReply {
  return reply
    .headers({ 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
    .send(textWithRaw(answer))
}

export function headOf({ config, version, base, hasSchema, updatedAt }: Head): z.infer<typeof headSchema> {
  return {
    config,
    version,
    base: base ? { tenant: base.tenant, config: base.config } : null,
    has_schema: hasSchema,
    updated_at: instantOf(updatedAt),
  }
}

function nodeOf({ config, path, kind, value, version, updatedAt }: NodeInfo) {
  return { config, path, kind, value: raw(value), version, updated_at: instantOf(updatedAt) }
}

function registeredOf(node: RegisteredNode) {
  const { state, hits, misses, lastReadAt, declared, dependents } = node
  return { ...nodeOf(node), state, hits, misses, last_read_at: instantOf(lastReadAt), declared, dependents }
}

export function instantOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}

/** A config's name has no slash, and a path begins with one. */
function placeOf(cursor: string): { config: string; path: string } {
  const [, config, path] = /^([^/]+)(\/.*)?$/s.exec(cursor) ?? []
  if (config === undefined)
    throw new ParameterError([{ parameter: 'after', message: 'is what the page before told as `next`' }])
  return { config, path: path ?? '' }
}
