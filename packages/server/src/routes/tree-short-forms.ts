import { memberTexts, type Trees } from '@tidemark/trees'
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParameterError, RequestError } from '../errors.js'
import { EDIT_HEADERS, NODE_HEADERS } from './answer-headers.js'
import { readHeaders } from './positions.js'
import { jsonSchema, problemResponse } from './schemas.js'
import { editedSchema, editHeaders, editOptionsOf, sendEdited } from './tree-answers.js'
import { DOCUMENT_TYPES, textOf } from './tree-documents.js'
import { configParams, pathSchema } from './tree-path.js'
import { readQuery, sendTree, treeResponse } from './trees.js'

const editBody = z.object({
  path: pathSchema,
  value: jsonSchema,
  dependencies: z.array(pathSchema).max(1_000).optional(),
})
const editSent = editBody.or(z.string()).meta({
  examples: [{ path: '/settings/theme/color', value: 'red', dependencies: ['/settings/theme/color/dark'] }],
})

const dependenciesSchema = z.array(z.string()).max(1_000)

const metricsAnswer = z.object({
  tenant: z.string(),
  config: z.string(),
  version: z.int(),
  updated_at: z.string().nullable(),
  hits: z.int().describe('Reads of its nodes that this process answered out of its memory'),
  misses: z.int(),
  hit_ratio: z.number().nullable().describe('null if nothing was read'),
  nodes_read: z.int().describe('Nodes that were read, each with all below it'),
  entries: z.int().describe('Of these, how many views are in memory now'),
})

/**
 * `POST` and `GET /api/:tenant/:config`, `GET /metrics/:tenant/:config`: for whoever knows them so. Paths of the API come first: a tenant of
 * the name of one is reached under `/api/trees`.
 *
 * @param isReserved  whether the API has paths that begin with `/api/` and this name
 */
export function treeShortForms(app: FastifyInstance, trees: Trees, isReserved: (name: string) => boolean): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const onRequest: onRequestAsyncHookHandler = async (request) => {
    if (isReserved((request.params as z.infer<typeof configParams>).tenant))
      throw new RequestError(
        'TIDEMARK_NOT_FOUND',
        'There is nothing at this path. See /api/openapi.json for what there is.',
      )
  }
  const shared = { tags: ['short forms'], params: configParams }
  typed.get(
    '/api/:tenant/:config',
    {
      config: { action: 'read', headers: NODE_HEADERS },
      onRequest,
      schema: {
        ...shared,
        summary: 'Read a config',
        querystring: readQuery,
        headers: readHeaders,
        response: treeResponse,
      },
    },
    (request, reply) => sendTree(trees.tree(request.params.tenant, request.params.config), request, reply),
  )
  typed.post(
    '/api/:tenant/:config',
    {
      config: { action: 'write', headers: EDIT_HEADERS },
      onRequest,
      bodyLimit: trees.limits.documentBytesMax,
      schema: {
        ...shared,
        summary: 'Set a node',
        headers: editHeaders,
        body: editSent,
        consumes: [...DOCUMENT_TYPES],
        response: { 200: editedSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      const tree = trees.tree(request.params.tenant, request.params.config)
      const members = memberTexts(textOf(request), trees.limits)
      const [path, json] = [textIn(members.get('path')), members.get('value')]
      if (path === undefined || json === undefined)
        throw new ParameterError([
          path === undefined
            ? { parameter: 'path', message: 'must be text: a JSON Pointer, e.g. /settings/theme' }
            : { parameter: 'value', message: 'is missing' },
        ])
      const declared = members.get('dependencies')
      const options = {
        ...(await editOptionsOf(request, tree, path)),
        ...(declared === undefined ? {} : { dependencies: pathsIn(declared) }),
      }
      return sendEdited(reply, tree, path, await tree.put(path, { json }, options))
    },
  )
  typed.get(
    '/metrics/:tenant/:config',
    {
      config: { action: 'read' },
      schema: {
        ...shared,
        summary: 'How a config is read in this process',
        querystring: z.strictObject({}),
        response: { 200: metricsAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const { tenant, config } = request.params
      const tree = trees.tree(tenant, config)
      const { version, updatedAt } = await tree.head()
      const { hits, misses, nodes, entries } = await tree.readings()
      return {
        tenant,
        config,
        version,
        updated_at: updatedAt === undefined ? null : new Date(updatedAt).toISOString(),
        hits,
        misses,
        hit_ratio: hits + misses === 0 ? null : hits / (hits + misses),
        nodes_read: nodes.size,
        entries,
      }
    },
  )
}

function textIn(json: string | undefined): string | undefined {
  return json?.startsWith('"') ? (JSON.parse(json) as string) : undefined
}

function pathsIn(json: string): string[] {
  const parsed = dependenciesSchema.safeParse(JSON.parse(json))
  if (parsed.success) return parsed.data
  throw new ParameterError([{ parameter: 'dependencies', message: 'must be an array of at most 1,000 paths' }])
}
