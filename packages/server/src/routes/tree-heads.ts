import { type Edited, type Tree, TreeAbsentError, type Trees } from '@tidemark/trees'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { byOf } from './actor.js'
import { EDIT_HEADERS } from './answer-headers.js'
import { causeSchema, flagSchema } from './named.js'
import { jsonSchema, problemResponse } from './schemas.js'
import { editedSchema, editOptionsOf, sendEdited } from './tree-answers.js'
import { textOf } from './tree-documents.js'
import { parsedBody } from './tree-history.js'
import { headOf, headSchema } from './tree-lists.js'
import { configParams, pathSchema } from './tree-path.js'

const baseBody = z.strictObject({ tenant: z.string().optional(), config: z.string() })
const schemaSent = z.unknown().meta({
  examples: [{ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' }],
})
const pathsBody = z.array(z.string()).max(1_000)
const declaredSchema = z.object({ dependencies: z.array(z.object({ path: z.string(), dependent: z.string() })) })

/** What a config is besides its nodes: `…/~head`, its `…/~schema`, its `…/~base`, its declared `…/~dependencies`. */
export function treeHeadRoutes(app: FastifyInstance, trees: Trees): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const tags = ['trees']
  const params = configParams
  const querystring = z.strictObject({ cause: causeSchema.optional() })
  const edit = { tags, params, querystring, response: { 200: editedSchema, default: problemResponse } }
  const treeOf = (request: FastifyRequest): Tree => {
    const { tenant, config } = request.params as z.infer<typeof configParams>
    return trees.tree(tenant, config)
  }
  const by = (request: FastifyRequest) => ({
    ...byOf(request, { cause: (request.query as { cause?: string }).cause }),
    requestId: request.id,
  })
  const root = (reply: Parameters<typeof sendEdited>[0], tree: Tree, edited: Edited) =>
    sendEdited(reply, tree, '', edited)

  typed.get(
    '/api/trees/:tenant/:config/~head',
    {
      config: { action: 'read' },
      schema: {
        tags,
        params,
        summary: 'Version, base and schema of a config',
        querystring: z.strictObject({}),
        response: { 200: headSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return headOf(await treeOf(request).head())
    },
  )
  typed.get(
    '/api/trees/:tenant/:config/~schema',
    {
      config: { action: 'read' },
      schema: {
        tags,
        params,
        summary: 'The JSON Schema that a config must keep to',
        querystring: z.strictObject({}),
        response: {
          200: { description: 'The schema', content: { 'application/json': { schema: jsonSchema } } },
          default: problemResponse,
        },
      },
    },
    async (request, reply) => {
      const { schema } = await treeOf(request).head()
      if (schema === undefined) throw new TreeAbsentError('The config has no schema.')
      return reply
        .headers({ 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
        .send(schema)
    },
  )
  typed.put(
    '/api/trees/:tenant/:config/~schema',
    {
      config: { action: 'write', headers: EDIT_HEADERS },
      schema: {
        ...edit,
        summary: 'Give a config a JSON Schema (2020-12), which it must keep to from now on',
        body: schemaSent,
      },
    },
    async (request, reply) => {
      const tree = treeOf(request)
      return root(reply, tree, await tree.setSchema({ json: textOf(request) }, by(request)))
    },
  )
  typed.delete(
    '/api/trees/:tenant/:config/~schema',
    { config: { action: 'write', headers: EDIT_HEADERS }, schema: { ...edit, summary: 'Take the schema away' } },
    async (request, reply) => {
      const tree = treeOf(request)
      return root(reply, tree, await tree.setSchema(undefined, by(request)))
    },
  )
  typed.put(
    '/api/trees/:tenant/:config/~base',
    {
      config: { action: 'write', headers: EDIT_HEADERS },
      schema: {
        ...edit,
        summary: 'Let a config inherit another one of its tenant, or of the tenant `shared`',
        body: baseBody.or(z.string()).meta({ examples: [{ tenant: 'shared', config: 'defaults' }] }),
      },
    },
    async (request, reply) => {
      const tree = treeOf(request)
      const { tenant, config } = parsedBody(baseBody, textOf(request))
      const base = { config, ...(tenant === undefined ? {} : { tenant }) }
      return root(reply, tree, await tree.extend(base, by(request)))
    },
  )
  typed.delete(
    '/api/trees/:tenant/:config/~base',
    {
      config: { action: 'write', headers: EDIT_HEADERS },
      schema: { ...edit, summary: 'Let a config inherit nothing' },
    },
    async (request, reply) => {
      const tree = treeOf(request)
      return root(reply, tree, await tree.extend(undefined, by(request)))
    },
  )
  const path = pathSchema.default('').describe('The node. Default: the root')
  typed.get(
    '/api/trees/:tenant/:config/~dependencies',
    {
      config: { action: 'read' },
      schema: {
        tags,
        params,
        summary: 'What was declared to be invalidated with a node, and with those below it',
        querystring: z.strictObject({ path }),
        response: { 200: declaredSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return { dependencies: await treeOf(request).dependencies(request.query.path) }
    },
  )
  typed.put(
    '/api/trees/:tenant/:config/~dependencies',
    {
      config: { action: 'write', headers: EDIT_HEADERS },
      schema: {
        ...edit,
        summary: 'Declare which nodes are invalidated with a node',
        querystring: querystring.extend({ path, dryRun: flagSchema }),
        body: pathsBody.or(z.string()).meta({ examples: [['/theme/dark']] }),
      },
    },
    async (request, reply) => {
      const tree = treeOf(request)
      const { path: at } = request.query
      const dependencies = parsedBody(pathsBody, textOf(request))
      return sendEdited(reply, tree, at, await tree.declare(at, dependencies, await editOptionsOf(request, tree, at)))
    },
  )
}
