import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { UnknownResourceError } from '../errors.js'
import type { Argument } from '../resources/parameter-type.js'
import type { Resource } from '../resources/resource.js'
import { VALUE_HEADERS } from './answer-headers.js'
import { leaving } from './leaving.js'
import { cacheStatus, isNoneMatched, minPosition, readHeaders, requestedPosition } from './positions.js'
import { problemResponse } from './schemas.js'

/** `GET /api/resources/:name`: the rows of a declared resource, out of the cache. */
export function resourceRoutes(app: FastifyInstance, resources: readonly Resource[]): void {
  for (const resource of resources) {
    app.get(`/api/resources/${resource.config.name}`, {
      config: { action: 'readResources', headers: VALUE_HEADERS },
      schema: {
        summary: `Read ${resource.config.name}`,
        tags: ['resources'],
        querystring: resource.parameters.extend({ 'min-position': minPosition }),
        headers: readHeaders,
        response: { 200: rowsResponse(resource.config.one), 304: notModified, default: problemResponse },
      },
      handler: (request, reply) => answer(resource, request, reply),
    })
  }
  app.get('/api/resources/:name', { config: { action: 'readResources' }, schema: { hide: true } }, () => {
    throw new UnknownResourceError()
  })
}

const notModified = z.undefined().describe('The client has this value')

function rowsResponse(isOne: boolean) {
  const row = z.record(z.string(), z.unknown())
  return {
    description: isOne ? 'The row, or null' : 'The rows',
    content: { 'application/json': { schema: isOne ? row.nullable() : z.array(row) } },
  }
}

async function answer(resource: Resource, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { 'min-position': inQuery, ...parameters } = request.query as Record<string, Argument> & {
    'min-position'?: string
  }
  const position = requestedPosition(inQuery, request)
  const bound = resource.bind(parameters)
  const answer = await bound.ask({
    signal: leaving(reply),
    shows: true,
    ...(position === undefined ? {} : { minPosition: position }),
  })
  const etag = `"${answer.value.hash}"`
  reply.headers({
    etag,
    'cache-control': 'no-cache',
    'cache-status': cacheStatus(answer, bound.isStored()),
    age: Math.max(0, Math.floor((Date.now() - answer.filledAt) / 1_000)),
    ...(answer.shows === undefined ? {} : { 'tidemark-position': answer.shows }),
  })
  if (isNoneMatched(request.headers['if-none-match'], etag)) return reply.code(304).send()
  return reply.header('content-type', 'application/json; charset=utf-8').send(answer.value.body)
}
