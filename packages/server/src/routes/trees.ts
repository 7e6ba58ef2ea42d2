import { cutJson, jsonOfYaml, type Tree, TreeAbsentError, type Trees, yamlOfJson } from '@tidemark/trees'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { RequestError } from '../errors.js'
import { EDIT_HEADERS, NODE_HEADERS } from './answer-headers.js'
import { leaving } from './leaving.js'
import { flagSchema } from './named.js'
import { cacheStatus, isNoneMatched, minPosition, readHeaders, requestedPosition } from './positions.js'
import { jsonSchema, problemResponse } from './schemas.js'
import { editedSchema, editHeaders, editOptionsOf, editQuery, etagOf, hashOf, sendEdited } from './tree-answers.js'
import { DOCUMENT_TYPES, JSON_PATCH, MERGE_PATCH, textOf, typeOf, YAML } from './tree-documents.js'
import { configParams, nodeParams, pathOf } from './tree-path.js'

const DEPTH_MAX = 500

export const readQuery = z.strictObject({
  depth: z.coerce
    .number()
    .int()
    .min(0)
    .max(DEPTH_MAX)
    .optional()
    .describe('Levels below the node; what is deeper is shown as `{}` or `[]`'),
  at: z.coerce.number().int().min(1).optional().describe('As it was in this version, without what it inherits'),
  format: z
    .enum(['json', 'yaml'])
    .optional()
    .describe('What the answer is written in; `Accept: application/yaml` says the same. Default json'),
  own: flagSchema.describe('Only what the config has itself: nothing inherited, no reference followed'),
  'min-position': minPosition,
})

const document = jsonSchema.describe('Any JSON').meta({ examples: [{ theme: { color: 'red', size: 12 }, flags: [] }] })
const patch = z
  .unknown()
  .describe('A JSON Patch (RFC 6902), or a JSON Merge Patch (RFC 7386), by the content type')
  .meta({ examples: [[{ op: 'add', path: '/theme', value: { color: 'blue' } }]] })

/**
 * `GET`, `PUT`, `PATCH` and `DELETE /api/trees/:tenant/:config`, and the same of each node below it. What begins with `~` and a letter is no
 * JSON Pointer, so the names of other things (`~history`) are in nobody's way.
 */
export function treeRoutes(app: FastifyInstance, trees: Trees): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const places = [
    { url: '/api/trees/:tenant/:config', params: configParams, of: 'a config' },
    { url: '/api/trees/:tenant/:config/*', params: nodeParams, of: 'a node' },
  ] as const
  const treeOf = (request: FastifyRequest): Tree => {
    const { tenant, config } = request.params as z.infer<typeof configParams>
    return trees.tree(tenant, config)
  }
  for (const { url, params, of } of places) {
    const edit = {
      tags: ['trees'],
      params,
      querystring: editQuery,
      headers: editHeaders,
      response: { 200: editedSchema, default: problemResponse },
    }
    typed.get(
      url,
      {
        config: { action: 'read', headers: NODE_HEADERS },
        schema: {
          tags: ['trees'],
          summary: `Read ${of}, and all below it`,
          params,
          querystring: readQuery,
          headers: readHeaders,
          response: treeResponse,
        },
      },
      (request, reply) => sendTree(treeOf(request), request, reply),
    )
    typed.put(
      url,
      {
        config: { action: 'write', headers: EDIT_HEADERS },
        bodyLimit: trees.limits.documentBytesMax,
        schema: { ...edit, summary: `Set ${of}`, body: document, consumes: [...DOCUMENT_TYPES] },
      },
      async (request, reply) => {
        const [tree, path] = [treeOf(request), pathOf(request)]
        const options = await editOptionsOf(request, tree, path)
        const text = textOf(request)
        const json = typeOf(request) === YAML ? jsonOfYaml(text, trees.limits) : text
        return sendEdited(reply, tree, path, await tree.put(path, { json }, options))
      },
    )
    typed.patch(
      url,
      {
        config: { action: 'write', headers: EDIT_HEADERS },
        bodyLimit: trees.limits.documentBytesMax,
        schema: { ...edit, summary: `Change ${of} by a patch`, body: patch, consumes: [JSON_PATCH, MERGE_PATCH] },
      },
      async (request, reply) => {
        const [tree, path] = [treeOf(request), pathOf(request)]
        const options = await editOptionsOf(request, tree, path)
        const json = textOf(request)
        if (typeOf(request) === MERGE_PATCH)
          return sendEdited(reply, tree, path, await tree.merge(path, { json }, options))
        if (typeOf(request) !== JSON_PATCH)
          throw new RequestError('TIDEMARK_MEDIA_TYPE', `Send a patch as ${JSON_PATCH} or ${MERGE_PATCH}.`)
        return sendEdited(reply, tree, path, await tree.patch({ json }, { ...options, path }))
      },
    )
    typed.delete(
      url,
      {
        config: { action: 'write', headers: EDIT_HEADERS },
        schema: { ...edit, summary: `Delete ${of}, with all below it` },
      },
      async (request, reply) => {
        const [tree, path] = [treeOf(request), pathOf(request)]
        return sendEdited(reply, tree, path, await tree.delete(path, await editOptionsOf(request, tree, path)))
      },
    )
  }
}

export const treeResponse = {
  200: {
    description: 'The tree',
    content: { 'application/json': { schema: jsonSchema }, 'application/yaml': { schema: z.string() } },
  },
  304: z.undefined().describe('The client has this value'),
  default: problemResponse,
}

/** Answers with a node as readers see it, out of the cache; with what it was, or what is the config's own, out of the database. */
export async function sendTree(tree: Tree, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { depth, at, own, 'min-position': position } = request.query as Partial<z.infer<typeof readQuery>>
  const path = pathOf(request)
  const minPosition = requestedPosition(position, request)
  reply.header('cache-control', 'no-cache')
  if (at !== undefined || own === true) {
    const text = at === undefined ? await tree.own(path) : await tree.at(at, path)
    return sendText(request, reply, orAbsent(text, path), depth, hashOf(text ?? ''))
  }
  const node = tree.node(path)
  const answer = await node.ask({
    signal: leaving(reply),
    shows: true,
    ...(minPosition === undefined ? {} : { minPosition }),
  })
  reply.headers({
    'cache-status': cacheStatus(answer, node.explain().stored),
    age: Math.max(0, Math.floor((Date.now() - answer.filledAt) / 1_000)),
    ...(answer.shows === undefined ? {} : { 'tidemark-position': answer.shows }),
  })
  const view = orAbsent(answer.value ?? undefined, path)
  reply.header('tidemark-version', view.version)
  return sendText(request, reply, view.json, depth, etagOf(view).slice(1, -1))
}

function sendText(
  request: FastifyRequest,
  reply: FastifyReply,
  text: string,
  depth: number | undefined,
  tag: string,
): FastifyReply {
  const isYaml = isYamlWanted(request)
  const etag = `"${tag}${isYaml ? '.yaml' : ''}${depth === undefined ? '' : `.d${depth}`}"`
  // Where it says Origin already, it says both.
  const vary = reply.getHeader('vary')
  reply.headers({ etag, vary: vary === undefined ? 'Accept' : `${String(vary)}, Accept` })
  if (isNoneMatched(request.headers['if-none-match'], etag)) return reply.code(304).send()
  const shown = depth === undefined ? text : cutJson(text, depth)
  if (isYaml) return reply.header('content-type', `${YAML}; charset=utf-8`).send(yamlOfJson(shown))
  return reply.header('content-type', 'application/json; charset=utf-8').send(shown)
}

function isYamlWanted({ query, headers }: FastifyRequest): boolean {
  const { format } = query as Partial<z.infer<typeof readQuery>>
  return format === undefined ? (headers.accept ?? '').startsWith(YAML) : format === 'yaml'
}

function orAbsent<Value>(found: Value | undefined, path: string): Value {
  if (found === undefined) throw new TreeAbsentError(`There is no node at "${path}".`)
  return found
}
