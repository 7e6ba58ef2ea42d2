import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Cache, Clock, Found } from 'tidemark'
import { accessOf } from '../access/access.js'
import type { TakeOne } from '../access/limits.js'
import { SECURITY_HEADERS, TRANSPORT_SECURITY } from './guard.js'
import type { ValueBodies, ValueBody } from './value-bodies.js'

export const CACHE_ROUTE = '/api/cache/:key'
const PATH = '/api/cache/'
/** Other routes under that path. */
const OTHERS = new Set(['keys'])
/** So long a connection's next requests need not be let in anew. A token that is revoked counts for nobody after 5 s, of which this is part. */
const ADMITTED_MS = 1_000
const EACH_IS_LOGGED = new Set(['info', 'debug', 'trace'])
/** They tell each request from the one before, and nothing that counts here. */
const IGNORED = new Set(['traceparent', 'tracestate', 'x-request-id', 'baggage'])

/** Somebody who was let in by all checks, and the headers with which he was. */
interface Admission {
  readonly rawHeaders: readonly string[]
  readonly ifNoneMatch: string | undefined
  readonly view: Cache
  readonly principal: string
  readonly tenant: string
  /** Monotonic ms. */
  readonly until: number
  /** What every answer on this connection says. */
  readonly headers: readonly string[]
}

export interface HitsOptions {
  readonly cache: Cache
  readonly bodies: ValueBodies
  readonly clock: Clock
  readonly isDraining: () => boolean
  /** Where there are limits. */
  readonly takeOne?: TakeOne | undefined
}

/** Hears of each answer, as the hook of all others does. */
export type Answered = (route: string, status: number, seconds: number) => void

/**
 * The short way of a hit: `GET /api/cache/:key`, asked again on a connection whose last request was let in by all checks, with the very
 * same headers, less than a second ago, for what is in memory. All else goes the long way, through Fastify, and is answered the same; so
 * nothing is decided here but that the decision of a moment ago still holds.
 */
export class Hits {
  readonly #options: HitsOptions
  readonly #admissions = new WeakMap<Socket, Admission>()
  answered: Answered = () => {}

  constructor(options: HitsOptions) {
    this.#options = options
  }

  /** Before Fastify sees a request. What it would log of each must be logged. */
  attach(app: FastifyInstance): void {
    if (EACH_IS_LOGGED.has(app.log.level)) return
    const others = app.server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[]
    app.server.removeAllListeners('request')
    app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (!this.#answer(request, response)) for (const other of others) other.call(app.server, request, response)
    })
  }

  /** The long way has let this request in. */
  admit(request: FastifyRequest, tenant: string): void {
    const { cache, clock } = this.#options
    const { socket, rawHeaders } = request.raw
    // Pages of other origins are told which; it has to be asked anew.
    if (!socket || request.headers.origin !== undefined) return
    const { principal, expiresAt } = accessOf(request)
    const believedMs = expiresAt === undefined ? ADMITTED_MS : Math.min(ADMITTED_MS, expiresAt - clock.wall())
    const common = request.protocol === 'https' ? { ...SECURITY_HEADERS, ...TRANSPORT_SECURITY } : SECURITY_HEADERS
    this.#admissions.set(socket, {
      rawHeaders,
      ifNoneMatch: request.headers['if-none-match'],
      view: cache.tenant(tenant),
      principal,
      tenant,
      until: clock.now() + believedMs,
      headers: Object.entries(common).flat(),
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET') return false
    const { clock, bodies, isDraining, takeOne } = this.#options
    const admission = this.#admissions.get(request.socket)
    if (admission === undefined || !isSame(request.rawHeaders, admission.rawHeaders)) return false
    const began = clock.now()
    const key = keyIn(request.url!)
    if (key === undefined || began >= admission.until || isDraining()) return false
    const found = admission.view.look(key)
    if (!found) return false
    const body = written(bodies, found)
    if (body === undefined) return false
    const limits = takeOne?.(admission.principal, admission.tenant)
    // Too much was asked for: that is answered the long way.
    if (limits === undefined && takeOne) return false
    const etag = etagOf(found, body)
    const isKnown = admission.ifNoneMatch === etag
    const headers = [...admission.headers, ...hitHeaders(found, etag)]
    if (limits) headers.push(...limits)
    if (isKnown) {
      response.writeHead(304, headers).end()
    } else {
      headers.push('content-type', JSON_TYPE, 'content-length', String(body.bytes))
      response.writeHead(200, headers)
      response.end(body.text)
    }
    this.answered(CACHE_ROUTE, isKnown ? 304 : 200, (clock.now() - began) / 1_000)
    return true
  }
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** What an answer says of what was found: names and values, one after the other. */
export function hitHeaders({ asOf, filledAt, from }: Found, etag: string): string[] {
  const headers = asOf === undefined ? [] : ['tidemark-position', asOf]
  const age = Math.max(0, Math.floor((Date.now() - filledAt) / 1_000))
  headers.push('etag', etag, 'cache-control', 'no-cache', 'cache-status', CACHE_STATUS[from], 'age', String(age))
  return headers
}

const CACHE_STATUS = {
  l1: 'tidemark; hit; tidemark-state=fresh; tidemark-from=l1',
  l2: 'tidemark; hit; tidemark-state=fresh; tidemark-from=l2',
}

/** What is stored again may be something else at the same position: an entry that expired by time. */
export function etagOf({ position }: Found, { hash }: ValueBody): string {
  return `"${position}~${hash}"`
}

/** Undefined if it cannot be written: why is told the long way. */
function written(bodies: ValueBodies, found: Found): ValueBody | undefined {
  try {
    return bodies.of(found)
  } catch {
    return undefined
  }
}

/** The key that a path names, if it is a plain one: what is escaped wrongly, too long, or has a query is for the long way. */
function keyIn(url: string): string | undefined {
  if (!url.startsWith(PATH) || url.length > KEY_LENGTH_MAX) return undefined
  const part = url.slice(PATH.length)
  if (!/^[\w:.()~@,"!$'*+=-]+$/.test(part) || OTHERS.has(part)) return undefined
  return part
}

/** Shorter than the longest key. */
const KEY_LENGTH_MAX = 1_024

function isSame(headers: readonly string[], others: readonly string[]): boolean {
  if (headers.length !== others.length) return false
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== others[i]) return false
    if (headers[i + 1] !== others[i + 1] && !IGNORED.has(headers[i]!.toLowerCase())) return false
  }
  return true
}
