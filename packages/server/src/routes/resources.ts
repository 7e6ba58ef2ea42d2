import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Answer, PositionError, parsePosition } from 'tidemark'
import { z } from 'zod'
import { UnknownResourceError } from '../errors.js'
import type { Argument } from '../resources/parameter-type.js'
import type { Representation } from '../resources/representation.js'
import type { Bound, Resource } from '../resources/resource.js'
import { leaving } from './leaving.js'
import { problemResponse } from './schemas.js'

/** `GET /api/resources/:name`: the rows of a declared resource, out of the cache. */
export function resourceRoutes(app: FastifyInstance, resources: readonly Resource[]): void {
  for (const resource of resources) {
    app.get(`/api/resources/${resource.config.name}`, {
      config: { action: 'readResources' },
      schema: {
        summary: `Read ${resource.config.name}`,
        tags: ['resources'],
        querystring: resource.parameters.extend({ 'min-position': minPosition }),
        headers,
        response: { 200: rowsResponse(resource.config.one), 304: notModified, default: problemResponse },
      },
      handler: (request, reply) => answer(resource, request, reply),
    })
  }
  app.get('/api/resources/:name', { config: { action: 'readResources' }, schema: { hide: true } }, () => {
    throw new UnknownResourceError()
  })
}

const minPosition = z
  .string()
  .optional()
  .describe(
    'Never answer with anything older than this: the Tidemark-Position of an earlier answer, or an LSN of PostgreSQL',
  )

const headers = z.looseObject({
  'if-none-match': z.string().optional().describe('ETags of values that the client has: 304 if it is one of them'),
  'tidemark-position': z.string().optional().describe('The same as min-position'),
})

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
  const position = requestedPosition(inQuery, request.headers['tidemark-position'])
  const bound = resource.bind(parameters)
  const answer = await bound.ask({
    signal: leaving(reply),
    ...(position === undefined ? {} : { minPosition: position }),
  })
  const etag = `"${answer.value.hash}"`
  reply.headers({
    etag,
    'cache-control': 'no-cache',
    'cache-status': cacheStatus(answer, bound),
    age: Math.max(0, Math.floor((Date.now() - answer.filledAt) / 1_000)),
    ...(answer.asOf === undefined ? {} : { 'tidemark-position': answer.asOf }),
  })
  if (isNoneMatched(request.headers['if-none-match'], etag)) return reply.code(304).send()
  return reply.header('content-type', 'application/json; charset=utf-8').send(answer.value.body)
}

/** @throws PositionError if it cannot be read, or if query and header name different ones. */
function requestedPosition(inQuery: string | undefined, inHeader: string | string[] | undefined): string | undefined {
  const header = Array.isArray(inHeader) ? inHeader[0] : inHeader
  const position = inQuery ?? header
  if (position === undefined) return undefined
  parsePosition(position)
  if (header !== undefined && header !== position) {
    throw new PositionError('min-position and the header Tidemark-Position name different positions. Send one of them.')
  }
  return position
}

/** RFC 9211. Its own parameters say whether and how the cache was used; ours, with our prefix, say how far it can be trusted. */
function cacheStatus({ state, from }: Answer<Representation>, bound: Bound): string {
  const used =
    from === 'l1' ? 'hit' : `fwd=miss${from === 'joined' ? '; collapsed' : ''}${bound.isStored() ? '; stored' : ''}`
  return `tidemark; ${used}; tidemark-state=${state}; tidemark-from=${from}`
}

/** RFC 9110, 13.1.2: the comparison is weak. */
function isNoneMatched(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return (
    header.trim() === '*' || (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((each) => each.replace(/^W\//, '') === etag)
  )
}
