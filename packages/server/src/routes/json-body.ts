import type { FastifyInstance } from 'fastify'
import { ParameterError, RequestError } from '../errors.js'
import { scanJson } from './json-scan.js'
import { KEYS_MAX } from './named.js'
import { readText } from './one-meaning.js'

/** How deep a body may nest: what writes values out again goes as deep as they do. */
const DEPTH_MAX = 100

/** A member that may be any JSON. */
const FREE = 'value'

/**
 * Reads JSON bodies. What nests too deep, or lists too many names, is refused before it is parsed, and so is a body with `__proto__` or
 * `constructor.prototype`: whoever copies such an object may change the prototype of all. And a number beyond 1.8e308 is: it would be read
 * as Infinity, which JSON does not have.
 */
export function readJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    readText(request, body, (error, text = '') => {
      if (error) return done(error)
      // No route's list of names is longer; an application's own routes say for themselves how long one may be.
      const listMax = request.routeOptions.config.action === undefined ? Number.POSITIVE_INFINITY : KEYS_MAX
      const { isTooDeep, tooLong, mayBeInfinite } = scanJson(body, { depthMax: DEPTH_MAX, listMax, free: FREE })
      if (isTooDeep)
        done(new RequestError('TIDEMARK_REQUEST', `The body nests deeper than ${DEPTH_MAX} levels. Send less.`))
      else if (tooLong !== undefined)
        done(new ParameterError([{ parameter: tooLong, message: `must have at most ${KEYS_MAX} items` }]))
      else parse(request, text, mayBeInfinite ? withoutInfinity(done) : done)
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
