import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { SOCKET_PATH, type Sockets, type Upgrade } from '../live/sockets.js'

/** Socket.IO's path, over HTTP and WebSocket, behind the same checks as all routes: whoever a socket is of says so when it connects. */
export function socketRoute(app: FastifyInstance, sockets: Sockets): void {
  const upgrades = new WeakMap<IncomingMessage, Upgrade>()
  for (const method of ['GET', 'POST'] as const)
    app.route({
      method,
      url: SOCKET_PATH,
      config: { action: 'open' },
      exposeHeadRoute: false,
      schema: { hide: true },
      // Before the body is read: Socket.IO reads it.
      onRequest: (request, reply) => sockets.take(request, reply, upgrades.get(request.raw)),
      handler: () => {},
    })
  const server = app.server as Server
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // One that goes away meanwhile is no error.
    socket.on('error', () => {})
    if (isWebSocket(request)) {
      upgrades.set(request, { socket, head })
      app.routing(request, responseOn(socket, request))
    } else if (server.listenerCount('upgrade') === 1) {
      serveAsHttp(server, request, socket, head)
    }
  })
}

function isWebSocket({ headers, url }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket' && url!.startsWith(SOCKET_PATH)
}

/** For whatever refuses the request: it is then answered as any other. */
function responseOn(socket: Duplex, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0])
  response.once('finish', () => socket.end())
  return response
}

/**
 * Clients may offer other protocols, as Java's does HTTP/2: RFC 9110 (7.8) lets a server pass over that. Since somebody listens for upgrades Node.js
 * does not pass over it by itself, so the request is given back to the server without the offer.
 */
function serveAsHttp(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]!.toLowerCase() !== 'upgrade') lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket)
}
