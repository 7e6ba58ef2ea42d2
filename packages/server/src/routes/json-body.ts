import type { FastifyInstance } from 'fastify'
import { RequestError } from '../errors.js'
import { readText } from './one-meaning.js'

/** How deep a body may nest: what writes values out again goes as deep as they do. */
const DEPTH_MAX = 100

/** Whether a number may be beyond those of JavaScript: it has an exponent, or so many digits. */
const MAYBE_TOO_LARGE = /\d[eE]\+?\d|\d{309}/

/**
 * Reads JSON bodies. What nests too deep is refused before it is parsed, and so is a body with `__proto__` or
 * `constructor.prototype`: whoever copies such an object may change the prototype of all. And a number beyond 1.8e308 is: it would be read
 * as Infinity, which JSON does not have.
 */
export function readJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    readText(request, body, (error, text = '') => {
      if (error) done(error)
      else if (depthOf(text) > DEPTH_MAX)
        done(new RequestError('TIDEMARK_REQUEST', `The body nests deeper than ${DEPTH_MAX} levels. Send less.`))
      else parse(request, text, MAYBE_TOO_LARGE.test(text) ? withoutInfinity(done) : done)
    })
  })
}

type Done = (error: Error | null, value?: unknown) => void

function withoutInfinity(done: Done): Done {
  return (error, value) => {
    const place = error ? undefined : infinityIn(value, '')
    if (place === undefined) return done(error, value)
    done(
      new RequestError('TIDEMARK_REQUEST', `The body has a number above 1.8e308 at "${place}". Send it as a string.`),
    )
  }
}

/** The JSON Pointer of the first number that is not finite. */
function infinityIn(value: unknown, pointer: string): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : pointer
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, member] of Object.entries(value)) {
    const found = infinityIn(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    if (found !== undefined) return found
  }
  return undefined
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
