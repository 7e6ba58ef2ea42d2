import type { FastifyInstance } from 'fastify'
import { RequestError } from '../errors.js'
import { readText } from './one-meaning.js'

/** How deep a body may nest: what writes values out again goes as deep as they do. */
const DEPTH_MAX = 100

/**
 * Reads JSON bodies. What nests too deep is refused before it is parsed, and so is a body with `__proto__` or
 * `constructor.prototype`: whoever copies such an object may change the prototype of all.
 */
export function readJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    readText(request, body, (error, text = '') => {
      if (error) done(error)
      else if (depthOf(text) > DEPTH_MAX)
        done(new RequestError('TIDEMARK_REQUEST', `The body nests deeper than ${DEPTH_MAX} levels. Send less.`))
      else parse(request, text, done)
    })
  })
}

/** How deep brackets nest outside of strings; whether it is JSON is for the parser to say. */
function depthOf(text: string): number {
  let depth = 0
  let most = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') most = Math.max(most, ++depth)
    else if (token === ']' || token === '}') depth--
  }
  return most
}
