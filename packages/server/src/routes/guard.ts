import type { FastifyInstance, FastifyRequest } from 'fastify'
import { DrainingError, ForeignHostError, ForeignOriginError } from '../errors.js'
import { requireOneMeaning } from './one-meaning.js'

export interface GuardOptions {
  readonly isDraining: () => boolean
  /** Where clients reach the proxy that stands before it: its host is ours too. */
  readonly address?: string | undefined
  /** Names by which it is reached beside those of this machine, with a port or for any. */
  readonly hosts: readonly string[]
  /** Origins whose pages may ask. */
  readonly origins: readonly string[]
  /** Whether everybody must say who they are: then others than this machine may reach it, by its addresses. */
  readonly isKnownWho: boolean
}

/** How the client of a request reaches this server. Call it behind `guard`, which has looked at the Host. */
export function ownOrigin(request: FastifyRequest, address: string | undefined): string {
  const host = request.headers.host?.toLowerCase() ?? ''
  const proxy = address === undefined ? undefined : new URL(address)
  return proxy?.host === host ? proxy.origin : `${request.protocol}://${host}`
}

/**
 * Lets in only who names this server, and of web pages only this server's and those of `origins`. A browser sends requests
 * for any page: by a name that resolves to this machine (DNS rebinding, told by Host), or across origins (told by Origin and
 * Sec-Fetch-Site). A page of others has no token, and its browser's cookie counts for our own pages alone; where nobody is
 * asked who they are, this is what keeps pages of others out.
 */
export function guard(app: FastifyInstance, options: GuardOptions): void {
  const proxy = options.address === undefined ? undefined : new URL(options.address)
  const origins = new Set(options.origins.map((origin) => origin.toLowerCase()))
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS)
    if (request.protocol === 'https') reply.headers(TRANSPORT_SECURITY)
    requireOneMeaning(request)
    const host = request.headers.host?.toLowerCase()
    if (host === undefined) throw new ForeignHostError()
    const isProxied = proxy?.host === host
    if (!isProxied && !isOurs(host, request.socket, options)) throw new ForeignHostError()
    const { origin } = request.headers
    if (origin !== undefined && origins.has(origin.toLowerCase())) {
      reply.headers(corsHeaders(origin))
      if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined)
        return reply.code(204).headers(PREFLIGHT_HEADERS).send()
    } else if (!isFromHere(request, ownOrigin(request, options.address))) {
      throw new ForeignOriginError()
    }
    if (options.isDraining()) throw new DrainingError()
  })
  app.addHook('onSend', async (_, reply) => {
    // Else a client's idle connection would hold up the stop.
    if (options.isDraining()) reply.header('connection', 'close')
  })
}

/** An answer is data: whatever is in it, a browser that opens it runs nothing and shows it in no frame. Pages say more. */
export const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}

export const TRANSPORT_SECURITY = { 'strict-transport-security': 'max-age=31536000' }

/** Without credentials: a cookie counts for our own pages alone. */
function corsHeaders(origin: string) {
  return {
    'access-control-allow-origin': origin,
    'access-control-expose-headers':
      'Tidemark-Position, Tidemark-Version, ETag, Cache-Status, Age, Retry-After, RateLimit, RateLimit-Policy',
    vary: 'Origin',
  }
}

const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers':
    'Authorization, Content-Type, If-None-Match, If-Match, Idempotency-Key, Last-Event-ID, Tidemark-Position, Tidemark-Tenant',
  'access-control-max-age': '600',
}

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])$/

/** `localPort` is undefined where a request did not come by a socket (Fastify's `inject`). */
function isOurs(
  host: string,
  { localPort, localAddress }: { readonly localPort?: number | undefined; readonly localAddress?: string | undefined },
  { hosts, isKnownWho }: GuardOptions,
): boolean {
  const [, name, port] = /^(\[[0-9a-f:.]+\]|[^:]+)(?::([0-9]{1,5}))?$/.exec(host) ?? []
  if (name === undefined) return false
  if (hosts.some((each) => each.toLowerCase() === host || each.toLowerCase() === name)) return true
  if (localPort !== undefined && Number(port ?? '80') !== localPort) return false
  // An address in digits is not a name that somebody else's DNS resolves.
  return LOOPBACK_HOST.test(name) || (isKnownWho && name === bracketed(localAddress))
}

function bracketed(address = ''): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '')
  return plain.includes(':') ? `[${plain}]` : plain
}

function isFromHere({ headers, method }: FastifyRequest, own: string): boolean {
  if (headers.origin !== undefined) return headers.origin.toLowerCase() === own
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return true
  // Somebody followed a link to this server: the page opens, and its own requests are of this origin.
  return method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}
