import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { UnknownResourceError } from '../errors.js'
import type { Activity } from '../live/activity.js'
import type { Connections } from '../live/connections.js'
import { EventSink } from '../live/event-sink.js'
import type { Hubs } from '../live/hubs.js'
import type { Quota } from '../live/quota.js'
import { SOCKET_PATH, type Sockets } from '../live/sockets.js'
import type { Argument } from '../resources/parameter-type.js'
import type { Resource } from '../resources/resource.js'
import { eventStreamResponse, problemResponse } from './schemas.js'

export interface Live {
  readonly quota: Quota
  readonly connections: Connections
  readonly hubs: Hubs
  readonly activity: Activity
  /** Where there is Socket.IO. */
  readonly sockets: Sockets | undefined
}

/** `GET /api/streams/:name`: a resource's value now, and every new one. `GET /api/activity`: what the cache does. */
export function streamRoutes(
  app: FastifyInstance,
  resources: readonly Resource[],
  { connections, hubs, activity }: Pick<Live, 'connections' | 'hubs' | 'activity'>,
): void {
  for (const resource of resources) {
    app.get(`/api/streams/${resource.config.name}`, {
      config: { action: 'readResources' },
      exposeHeadRoute: false,
      schema: {
        summary: `Follow ${resource.config.name}`,
        tags: ['streams'],
        querystring: resource.parameters,
        headers,
        response: { 200: eventStreamResponse, default: problemResponse },
      },
      handler(request, reply) {
        const bound = resource.bind(request.query as Record<string, Argument>)
        const lastEventId = request.headers['last-event-id']
        hubs.subscribe(
          bound,
          new EventSink(connections.open(request, reply)),
          typeof lastEventId === 'string' ? lastEventId : undefined,
        )
      },
    })
  }
  app.get(
    '/api/streams/:name',
    { config: { action: 'readResources' }, exposeHeadRoute: false, schema: { hide: true } },
    () => {
      throw new UnknownResourceError()
    },
  )
  app.get('/api/activity', {
    config: { action: 'observe' },
    exposeHeadRoute: false,
    schema: {
      summary: 'Follow what the cache does',
      tags: ['streams'],
      querystring: z.strictObject({}),
      response: { 200: eventStreamResponse, default: problemResponse },
    },
    handler(request, reply) {
      activity.subscribe(connections.open(request, reply))
    },
  })
}

const headers = z.looseObject({
  'last-event-id': z.string().optional().describe('Where the client left off: browsers send it by themselves'),
})

/** Whether a route's answers last as long as their clients stay. */
export function isStream(route: string): boolean {
  return (
    route.startsWith('/api/streams/') || route === '/api/activity' || route.endsWith('/~live') || route === SOCKET_PATH
  )
}
