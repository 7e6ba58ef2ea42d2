import type { FastifyInstance, FastifyRequest } from 'fastify'
import { DrainingError, ForeignHostError, ForeignOriginError } from '../errors.js'

export interface GuardOptions {
  readonly isDraining: () => boolean
  /** Where clients reach the proxy that stands before it: its host is ours too. */
  readonly address?: string | undefined
}

/**
 * Lets nobody in but programs on this machine and pages of this server. There is no authentication yet, and a browser
 * sends requests to loopback addresses for any page: by a name that resolves to 127.0.0.1 (DNS rebinding, told by Host),
 * or across origins (told by Origin and Sec-Fetch-Site).
 */
export function guard(app: FastifyInstance, { isDraining, address }: GuardOptions): void {
  const proxy = address === undefined ? undefined : new URL(address)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'same-origin',
      'x-frame-options': 'DENY',
    })
    const host = request.headers.host
    const isProxied = host !== undefined && proxy?.host === host.toLowerCase()
    if (host === undefined || !(isProxied || isOurs(host, request.socket.localPort))) throw new ForeignHostError()
    if (!isFromHere(request, isProxied ? proxy!.origin : `http://${host.toLowerCase()}`)) throw new ForeignOriginError()
    if (isDraining()) throw new DrainingError()
  })
  app.addHook('onSend', async (_, reply) => {
    // Else a client's idle connection would hold up the stop.
    if (isDraining()) reply.header('connection', 'close')
  })
}

const HOST = /^(localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?$/i

/** `localPort` is undefined where a request did not come by a socket (Fastify's `inject`). */
function isOurs(host: string, localPort: number | undefined): boolean {
  const [, name, port = '80'] = HOST.exec(host) ?? []
  return name !== undefined && (localPort === undefined || Number(port) === localPort)
}

function isFromHere({ headers, method }: FastifyRequest, own: string): boolean {
  if (headers.origin !== undefined) return headers.origin.toLowerCase() === own
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return true
  // Somebody followed a link to this server: the page opens, and its own requests are of this origin.
  return method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}
