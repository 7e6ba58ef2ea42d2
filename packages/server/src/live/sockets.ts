import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Server, Socket } from 'socket.io'
import type { Clock } from 'tidemark'
import { type Access, accessOf } from '../access/access.js'
import { Buckets } from '../access/buckets.js'
import { RateError, UnauthenticatedError } from '../access/errors.js'
import type { Identities } from '../access/identities.js'
import type { SocketConfig } from '../config/config.js'
import { DrainingError } from '../errors.js'
import { isFinal, problemOf } from '../problem.js'
import { LiveSocket, type LiveSocketOptions } from './live-socket.js'

export interface SocketsOptions extends Omit<LiveSocketOptions, 'subscriptionsMax'> {
  readonly limits: SocketConfig
  readonly heartbeatMs: number
  readonly stuckMaxMs: number
  readonly who: Pick<Identities, 'ofToken' | 'watch'>
  readonly clock: Clock
  /** When a client should ask again, in ms. */
  readonly retryMs: () => number
}

/** What comes with a request to speak WebSocket. */
export interface Upgrade {
  readonly socket: Duplex
  readonly head: Buffer
}

export const SOCKET_PATH = '/socket.io/'
/** How long a connection may take to say who it is. */
const CONNECT_MAX_MS = 10_000
/** How long the last words of one that is closed may take before it is cut. */
const FAREWELL_MS = 1_000
const SECOND_MS = 1_000

/** A connection that was let in, and has not said more yet. */
interface Comer {
  readonly access: Access
  readonly leave: () => void
  isIn: boolean
}

/**
 * Socket.IO: the same entries as the streams have, out of the same hubs, for clients that follow many over one connection. Requests come here
 * behind all checks of HTTP; Socket.IO is loaded with the first.
 */
export class Sockets {
  readonly #options: SocketsOptions
  readonly #messages: Buckets
  readonly #comers = new WeakMap<IncomingMessage, Comer>()
  /** Those that were let in, by the connection that each is on. */
  readonly #open = new Map<Socket['conn'], { readonly socket: Socket; readonly live: LiveSocket }>()
  /** What WebSockets are on; the server's own list does not have them. */
  readonly #carriers = new Set<Duplex>()
  /** Never listens: what comes for it is handed on. */
  readonly #inlet = createServer()
  #io: Promise<Server> | undefined
  #isDraining = false

  constructor(options: SocketsOptions) {
    this.#options = options
    this.#messages = new Buckets({ units: options.limits.messagesPerSecond, windowMs: SECOND_MS, clock: options.clock })
  }

  /** Sockets that were let in. */
  get size(): number {
    return this.#open.size
  }

  /** What they follow, all together. */
  get subscriptions(): number {
    return [...this.#open.values()].reduce((sum, { live }) => sum + live.size, 0)
  }

  /**
   * Takes a request that all checks have let in.
   *
   * @throws StreamLimitError, DrainingError
   */
  async take(request: FastifyRequest, reply: FastifyReply, upgrade: Upgrade | undefined): Promise<void> {
    if (this.#isDraining) throw new DrainingError()
    const { raw } = request
    const { sid } = request.query as { readonly sid?: unknown }
    if (sid === undefined) this.#admit(request, upgrade?.socket ?? reply.raw)
    this.#io ??= this.#start()
    await this.#io
    reply.hijack()
    if (!upgrade) {
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value)
      this.#inlet.emit('request', raw, reply.raw)
      return
    }
    const carrier = upgrade.socket
    this.#carriers.add(carrier)
    carrier.once('close', () => this.#carriers.delete(carrier))
    this.#inlet.emit('upgrade', raw, carrier, upgrade.head)
  }

  /** Sends every client elsewhere, and takes no new ones. Clients come back by themselves, at different times. */
  async drain(): Promise<void> {
    this.#isDraining = true
    for (const { live } of this.#open.values()) live.close()
    if (!this.#io) return
    ;(await this.#io).engine.close()
    this.#options.clock.after(FAREWELL_MS, () => {
      for (const carrier of this.#carriers) carrier.destroy()
    })
  }

  /** Counts a connection until it, or the request that did not become one, is closed. */
  #admit(request: FastifyRequest, carrier: NodeJS.EventEmitter): void {
    const leave = this.#options.quota.take({ server: true, address: request.ip })
    const comer: Comer = { access: accessOf(request), leave, isIn: false }
    this.#comers.set(request.raw, comer)
    carrier.once('close', () => {
      if (!comer.isIn) leave()
    })
  }

  async #start(): Promise<Server> {
    const { limits, heartbeatMs, stuckMaxMs } = this.#options
    const { Server } = await import('socket.io')
    const io = new Server({
      path: SOCKET_PATH,
      serveClient: false,
      transports: ['polling', 'websocket'],
      connectTimeout: CONNECT_MAX_MS,
      pingInterval: heartbeatMs,
      pingTimeout: stuckMaxMs,
      maxHttpBufferSize: limits.messageMaxBytes,
    })
    io.attach(this.#inlet)
    io.engine.on('connection', (connection: Socket['conn']) => this.#opened(connection))
    io.use((socket, next) => {
      this.#identify(socket).then(
        () => next(),
        (error: unknown) => next(refusal(error, this.#options.retryMs())),
      )
    })
    io.on('connection', (socket) => this.#connected(socket))
    return io
  }

  #opened(connection: Socket['conn']): void {
    // There is one: Socket.IO sees no request but those that were taken.
    const comer = this.#comers.get(connection.request)!
    comer.isIn = true
    connection.once('close', comer.leave)
    // Whatever comes counts, also what is no message of ours.
    connection.on('packet', () => {
      const { isTaken, retryInMs } = this.#messages.take((connection as unknown as { readonly id: string }).id)
      if (!isTaken) this.#part(connection, new RateError('messages', retryInMs))
    })
  }

  /** Who a socket is of: by `auth.token`, else as the request that it came with said. */
  async #identify(socket: Socket): Promise<void> {
    if (this.#isDraining) throw new DrainingError()
    const token = tokenIn(socket.handshake.auth)
    const access =
      token === undefined ? this.#comers.get(socket.conn.request)!.access : await this.#options.who.ofToken(token)
    if (access.isAnonymous) throw new UnauthenticatedError()
    const leave = this.#options.quota.take({ principal: access.principal })
    socket.data = { access, leave }
    // It may have gone meanwhile, and is then never connected.
    if (socket.conn.readyState === 'open') socket.conn.once('close', leave)
    else leave()
  }

  #connected(socket: Socket): void {
    const { who, limits } = this.#options
    const { access, leave } = socket.data as { readonly access: Access; readonly leave: () => void }
    const live = new LiveSocket(socket, access, { ...this.#options, subscriptionsMax: limits.subscriptionsMax })
    const gone = new AbortController()
    this.#open.set(socket.conn, { socket, live })
    socket.on('disconnect', () => {
      this.#open.delete(socket.conn)
      leave()
      gone.abort()
    })
    who.watch(access, (error) => this.#part(socket.conn, error), gone.signal)
  }

  /** Says why, and closes: whoever takes not even that is cut off. */
  #part(connection: Socket['conn'], error: unknown): void {
    const found = this.#open.get(connection)
    found?.live.close()
    found?.socket.emit('problem', { problem: problemOf(error) })
    if (found) found.socket.disconnect(true)
    else connection.close(true)
    this.#options.clock.after(FAREWELL_MS, () => {
      const { transport } = connection as { readonly transport: { readonly socket?: { terminate?(): void } } }
      connection.close(true)
      transport.socket?.terminate?.()
    })
  }
}

/** @throws UnauthenticatedError if there is something else in its place */
function tokenIn(auth: Readonly<Record<string, unknown>>): string | undefined {
  const token = Object.hasOwn(auth, 'token') ? auth['token'] : undefined
  if (token === undefined || token === null) return undefined
  if (typeof token === 'string') return token
  throw new UnauthenticatedError()
}

/** What the client's `connect_error` has: `data` is a problem, and when to connect again where that may help. */
function refusal(error: unknown, retryMs: number): Error {
  const problem = problemOf(error)
  const data = { problem, ...(isFinal(error) ? {} : { retryMs }) }
  return Object.assign(new Error(problem.detail), { data })
}
