import type { Difference, Trees } from '@tidemark/trees'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ParameterError } from '../errors.js'
import { EDIT_HEADERS } from './answer-headers.js'
import { causeSchema, flagSchema } from './named.js'
import { raw } from './raw-json.js'
import { jsonSchema, problemResponse } from './schemas.js'
import { editedSchema, editHeaders, editOptionsOf, sendEdited } from './tree-answers.js'
import { textOf } from './tree-documents.js'
import { instantOf, sendRaw } from './tree-lists.js'
import { configParams, pathSchema } from './tree-path.js'

const version = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER)
const inNode = pathSchema.default('').describe('The node, with all below it. Default: the root')

const differenceSchema = z.object({
  path: z.string(),
  before: jsonSchema.optional().describe('Without what is below it; absent where there was no node'),
  after: jsonSchema.optional(),
})

const historySchema = z.object({
  edits: z.array(
    z.object({
      version: z.int(),
      at: z.string().nullable(),
      actor: z.string().optional(),
      request_id: z.string().optional(),
      cause: z.string().optional(),
      changes: z.array(differenceSchema),
    }),
  ),
  next: z.int().optional().describe('`before` of the next page'),
})

const rollbackBody = z.strictObject({ version, path: pathSchema.default('') })
const rollbackSent = rollbackBody.or(z.string()).meta({ examples: [{ version: 1, path: '/theme' }] })

/** `GET …/~history`, `GET …/~diff`, `POST …/~rollback`: of a config itself, without what it inherits. */
export function treeHistoryRoutes(app: FastifyInstance, trees: Trees): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const shared = { tags: ['trees'], params: configParams }
  const answered = (description: string, schema: z.ZodType) => ({
    200: { description, content: { 'application/json': { schema } } },
    default: problemResponse,
  })
  typed.get(
    '/api/trees/:tenant/:config/~history',
    {
      config: { action: 'read' },
      schema: {
        ...shared,
        summary: 'Who changed a node, and why, the newest first',
        querystring: z.strictObject({
          path: inNode,
          before: version.optional().describe('Only edits before this version'),
          limit: z.coerce.number().int().min(1).max(1_000).default(50),
        }),
        response: answered('A page', historySchema),
      },
    },
    async (request, reply) => {
      const { path, before, limit } = request.query
      const { tenant, config } = request.params
      const edits = await trees
        .tree(tenant, config)
        .history({ path, limit, ...(before === undefined ? {} : { before }) })
      return sendRaw(reply, {
        edits: edits.map(({ version: made, at, actor, requestId, cause, changes }) => ({
          version: made,
          at: instantOf(at),
          actor,
          request_id: requestId,
          cause,
          changes: changes.map(differenceOf),
        })),
        next: edits.length < limit ? undefined : edits.at(-1)!.version,
      })
    },
  )
  typed.get(
    '/api/trees/:tenant/:config/~diff',
    {
      config: { action: 'read' },
      schema: {
        ...shared,
        summary: 'What is different between two versions, node by node',
        querystring: z.strictObject({
          from: version.meta({ examples: [1] }),
          to: version.meta({ examples: [2] }),
          path: inNode,
        }),
        response: answered('The nodes that are different', z.object({ differences: z.array(differenceSchema) })),
      },
    },
    async (request, reply) => {
      const { from, to, path } = request.query
      const { tenant, config } = request.params
      const differences = await trees.tree(tenant, config).diff(from, to, path)
      return sendRaw(reply, { differences: differences.map(differenceOf) })
    },
  )
  typed.post(
    '/api/trees/:tenant/:config/~rollback',
    {
      config: { action: 'write', headers: EDIT_HEADERS },
      schema: {
        ...shared,
        summary: 'Bring a node back to what it was in a version',
        querystring: z.strictObject({ dryRun: flagSchema, cause: causeSchema.optional() }),
        headers: editHeaders,
        body: rollbackSent,
        response: { 200: editedSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      const tree = trees.tree(request.params.tenant, request.params.config)
      const { version: to, path } = parsedBody(rollbackBody, textOf(request))
      const options = await editOptionsOf(request, tree, path)
      return sendEdited(reply, tree, path, await tree.rollback(to, { ...options, path }))
    },
  )
}

function differenceOf({ path, before, after }: Difference) {
  return { path, before: raw(before), after: raw(after) }
}

/** A body that is plain data. @throws ParameterError */
export function parsedBody<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ParameterError([{ parameter: 'body', message: 'is no JSON' }], { cause })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ParameterError(
    parsed.error.issues.map(({ path, message }) => ({ parameter: path.join('/') || 'body', message })),
  )
}
