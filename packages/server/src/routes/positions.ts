import type { FastifyRequest } from 'fastify'
import { type Answer, PositionError, parsePosition } from 'tidemark'
import { z } from 'zod'

export const minPosition = z
  .string()
  .optional()
  .describe(
    'Never answer with anything older than this: the Tidemark-Position of an earlier answer, or an LSN of PostgreSQL',
  )

/** What a read may say in its headers. */
export const readHeaders = z.looseObject({
  'if-none-match': z.string().optional().describe('ETags of values that the client has: 304 if it is one of them'),
  'tidemark-position': z.string().optional().describe('The same as min-position'),
})

/** The position that a read carries. @throws PositionError if it cannot be read, or if query and header name different ones. */
export function requestedPosition(inQuery: string | undefined, { headers }: FastifyRequest): string | undefined {
  const inHeader = headers['tidemark-position']
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
export function cacheStatus({ state, from }: Answer<unknown>, isStored: boolean): string {
  const used = from === 'l1' ? 'hit' : `fwd=miss${from === 'joined' ? '; collapsed' : ''}${isStored ? '; stored' : ''}`
  return `tidemark; ${used}; tidemark-state=${state}; tidemark-from=${from}`
}

/** RFC 9110, 13.1.2: the comparison is weak. */
export function isNoneMatched(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return (
    header.trim() === '*' || (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((each) => each.replace(/^W\//, '') === etag)
  )
}
