import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'
import { readText } from './one-meaning.js'

export const YAML = 'application/yaml'
/** What a tree can be sent as. `curl -d` sends the form's type unless it is told otherwise: what is in it is read as JSON. */
export const DOCUMENT_TYPES = ['application/json', YAML, 'application/x-www-form-urlencoded'] as const
export const JSON_PATCH = 'application/json-patch+json'
export const MERGE_PATCH = 'application/merge-patch+json'

/**
 * Leaves bodies as the text that they are: an object of JavaScript has lost digits of numbers and the order of members by then, and could not
 * hold a member `__proto__` as the plain data that it is. Trees check depth and size themselves, before they take it apart.
 */
export function keepBodiesAsText(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  // Without a type it is what most send: JSON.
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body: Buffer, done) =>
    request.headers['content-type'] === undefined
      ? readText(request, body, done)
      : done(new RequestError('TIDEMARK_MEDIA_TYPE', 'Send the body as application/json.')),
  )
  app.addContentTypeParser([...DOCUMENT_TYPES, JSON_PATCH, MERGE_PATCH], { parseAs: 'buffer' }, readText)
}

/** The body's text. @throws RequestError (`TIDEMARK_REQUEST`) if there is none */
export function textOf({ body }: FastifyRequest): string {
  if (typeof body === 'string' && body !== '') return body
  throw new RequestError('TIDEMARK_REQUEST', 'The request has no body. Send the document as application/json.')
}

/** The body's type, without its parameters. */
export function typeOf({ headers }: FastifyRequest): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
}
