import { patchBetween, type TreeNode, type Trees, type View } from '@tidemark/trees'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Answer } from 'tidemark'
import { z } from 'zod'
import { type Delta, eventOf, idOf } from '../live/frame.js'
import type { Followed } from '../live/hub.js'
import { type Representation, representationOf } from '../resources/representation.js'
import { eventStreamResponse, problemResponse } from './schemas.js'
import type { Live } from './streams.js'
import { configParams, pathSchema } from './tree-path.js'

const ABSENT: Representation = { ...representationOf('absent'), body: 'null', event: 'absent' }

/** `GET …/~live`: a node, and all below it, now and whenever it changes. */
export function treeLiveRoute(
  app: FastifyInstance,
  trees: Trees,
  { connections, hubs }: Pick<Live, 'connections' | 'hubs'>,
): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/trees/:tenant/:config/~live',
    {
      config: { action: 'read' },
      exposeHeadRoute: false,
      schema: {
        summary: 'Follow a node, and all below it',
        tags: ['trees'],
        params: configParams,
        querystring: z.strictObject({
          path: pathSchema.default('').describe('The node: a JSON Pointer; empty for the whole config'),
          as: z
            .enum(['value', 'patch'])
            .default('value')
            .describe(
              'patch: the value first, and then events `patch`, each a JSON Patch (RFC 6902) of the value before',
            ),
        }),
        headers: z.looseObject({ 'last-event-id': z.string().optional().describe('Where the client left off') }),
        response: { 200: eventStreamResponse, default: problemResponse },
      },
    },
    (request, reply) => {
      const { tenant, config } = request.params
      const { path, as } = request.query
      const node = trees.tree(tenant, config).node(path)
      const { 'last-event-id': last } = request.headers
      hubs.subscribe(
        followed(tenant, node),
        connections.open(request, reply),
        typeof last === 'string' ? last : undefined,
        as === 'patch' ? patchEvent : undefined,
      )
    },
  )
}

function followed(tenant: string, node: TreeNode): Followed {
  return {
    // A resource's key has no slash before its bracket, so none is the same.
    key: JSON.stringify(['tree', tenant, node.key]),
    ask: async (options) => shown(await node.ask(options)),
    async *watch(signal) {
      for await (const answer of node.watchAnswers({ signal })) yield shown(answer)
    },
  }
}

function shown(answer: Answer<View | null>): Answer<Representation> {
  return { ...answer, value: viewOf(answer.value) }
}

/** Each view is written once, for all who follow it. */
const written = new WeakMap<View, Representation>()

function viewOf(view: View | null): Representation {
  if (view === null) return ABSENT
  let representation = written.get(view)
  if (!representation) {
    representation = representationOf(view.json)
    written.set(view, representation)
  }
  return representation
}

/** The patch that was asked for last: all who had the same state get the same one. */
let latest:
  | { readonly from: Representation; readonly to: Representation; readonly patch: string | undefined }
  | undefined

/** A patch, where it is shorter than the value. */
const patchEvent: Delta = (from, to) => {
  if (from.of.event !== undefined || to.of.event !== undefined) return undefined
  if (latest?.from !== from.of || latest.to !== to.of)
    latest = { from: from.of, to: to.of, patch: patchBetween(from.of.body, to.of.body) }
  const { patch } = latest
  return patch === undefined || patch.length > to.of.body.length ? undefined : eventOf(idOf(to), 'patch', patch)
}
