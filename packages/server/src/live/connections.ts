import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from 'tidemark'
import { type Access, accessOf } from '../access/access.js'
import { tenantOfRoute } from '../access/authorise.js'
import { DrainingError } from '../errors.js'
import { problemOf } from '../problem.js'
import { Connection, type ConnectionLimits } from './connection.js'
import type { Quota } from './quota.js'

export interface StreamLimits extends ConnectionLimits {
  readonly heartbeatMs: number
}

/** Calls `end` once somebody no longer counts. */
type WatchAccess = (access: Access, end: (error: unknown) => void, signal: AbortSignal) => void

// Clients of a server that went away come back at different times: within this, at random.
const RETRY_MIN_MS = 500
const RETRY_SPREAD_MS = 2_500

// A heartbeat is spread over its interval, in parts: to write to ten thousand clients at once would hold up everything else meanwhile.
const BEAT_PARTS_MAX = 50
const BEAT_PART_MIN_MS = 20

/** The streams that are open: their limits, their heartbeat, and their end. */
export class Connections {
  readonly #limits: StreamLimits
  readonly #clock: Clock
  readonly #watchAccess: WatchAccess
  readonly #quota: Quota
  readonly #open = new Set<Connection>()
  #beating: { cancel(): void } | undefined
  /** Whose turn it is, of how many; who comes meanwhile waits for the next round. */
  #round = { left: this.#open.values(), size: 0, beaten: 0, part: 0 }
  #isDraining = false

  constructor(limits: StreamLimits, quota: Quota, clock: Clock, watchAccess: WatchAccess) {
    this.#limits = limits
    this.#quota = quota
    this.#clock = clock
    this.#watchAccess = watchAccess
  }

  get size(): number {
    return this.#open.size
  }

  /** When a client should ask again, in ms. */
  retryMs(): number {
    return Math.round(RETRY_MIN_MS + this.#clock.random() * RETRY_SPREAD_MS)
  }

  /**
   * Turns a request into a stream.
   *
   * @throws StreamLimitError, DrainingError
   */
  open(request: FastifyRequest, reply: FastifyReply): Connection {
    if (this.#isDraining) throw new DrainingError()
    const leave = this.#quota.take({ server: true, address: request.ip, tenant: tenantOfRoute(request) })
    reply.hijack()
    reply.raw.writeHead(200, {
      ...Object.fromEntries(Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined)),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    const connection = new Connection(reply.raw, this.#limits, this.#clock)
    this.#add(connection, leave)
    connection.send(`retry: ${this.retryMs()}\n\n`)
    this.#watchAccess(accessOf(request), (error) => this.#refuse(connection, error), connection.signal)
    return connection
  }

  /** Tells every client to come back, or to go elsewhere, and takes no new ones. */
  drain(): void {
    this.#isDraining = true
    this.#beating?.cancel()
    for (const connection of this.#open) connection.end(this.retryMs())
  }

  /** Who was let in no longer counts, or it is not known any more whether they do. */
  #refuse(connection: Connection, error: unknown): void {
    connection.send(`event: problem\ndata: ${JSON.stringify(problemOf(error))}\n\n`)
    connection.end(this.retryMs())
  }

  #add(connection: Connection, leave: () => void): void {
    this.#open.add(connection)
    this.#beating ??= this.#beat()
    connection.signal.addEventListener('abort', () => {
      this.#open.delete(connection)
      leave()
    })
  }

  #beat(): { cancel(): void } {
    const { heartbeatMs } = this.#limits
    const parts = Math.max(1, Math.min(BEAT_PARTS_MAX, Math.floor(heartbeatMs / BEAT_PART_MIN_MS)))
    return this.#clock.after(heartbeatMs / parts, () => {
      if (this.#round.part === parts || this.#round.part === 0)
        this.#round = { left: this.#open.values(), size: this.#open.size, beaten: 0, part: 0 }
      this.#beatPart(++this.#round.part / parts)
      this.#beating = this.#open.size > 0 ? this.#beat() : undefined
    })
  }

  #beatPart(share: number): void {
    const round = this.#round
    for (const due = Math.ceil(round.size * share); round.beaten < due; round.beaten++) {
      const next = round.left.next()
      if (next.done) return
      next.value.beat(this.retryMs())
    }
  }
}
