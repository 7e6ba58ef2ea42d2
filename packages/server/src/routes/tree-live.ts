import type { Trees } from '@tidemark/trees'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type Delta, EventSink } from '../live/event-sink.js'
import { followedNode } from '../live/followed.js'
import { eventOf, idOf } from '../live/frame.js'
import { patchOf } from '../live/patches.js'
import { eventStreamResponse, problemResponse } from './schemas.js'
import type { Live } from './streams.js'
import { configParams, pathSchema } from './tree-path.js'

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
        followedNode(tenant, node),
        new EventSink(connections.open(request, reply), as === 'patch' ? patchEvent : undefined),
        typeof last === 'string' ? last : undefined,
      )
    },
  )
}

const patchEvent: Delta = (from, to) => {
  const patch = patchOf(from.of, to.of)
  return patch === undefined ? undefined : eventOf(idOf(to), 'patch', patch)
}
