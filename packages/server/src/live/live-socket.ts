import type { Socket } from 'socket.io'
import type { Access } from '../access/access.js'
import { permit } from '../access/authorise.js'
import { RateError } from '../access/errors.js'
import type { TakeOne } from '../access/limits.js'
import { ParameterError, RequestError, StreamLimitError } from '../errors.js'
import { problemOf } from '../problem.js'
import type { Followed } from './hub.js'
import type { Hubs } from './hubs.js'
import { Outbox } from './outbox.js'
import type { Quota } from './quota.js'
import { readSubscribe, readUnsubscribe, type Wanted } from './socket-messages.js'
import { SocketSink, type Tell } from './socket-sink.js'

export interface LiveSocketOptions {
  readonly hubs: Hubs
  readonly quota: Quota
  /** What is wanted, as it can be followed. @throws what is wrong with it */
  readonly follow: (wanted: Wanted) => { readonly followed: Followed; readonly isMany: boolean }
  /** Where there are limits. */
  readonly takeOne: TakeOne | undefined
  readonly subscriptionsMax: number
  readonly bufferMaxBytes: number
  /** Hears of errors that are the server's own. */
  readonly onFailure: (error: unknown) => void
}

/** The cache's own tenant, where rows of resources are. */
const DEFAULT_TENANT = 'default'
const RATE_RETRY_MS = 1_000

/** One socket that was let in: what it follows. */
export class LiveSocket {
  readonly #socket: Socket
  readonly #access: Access
  readonly #options: LiveSocketOptions
  readonly #outbox: Outbox
  readonly #subscriptions = new Map<string, SocketSink>()
  #named = 0

  constructor(socket: Socket, access: Access, options: LiveSocketOptions) {
    this.#socket = socket
    this.#access = access
    this.#options = options
    this.#outbox = new Outbox(socket, options.bufferMaxBytes)
    socket.onAny((event: unknown, ...parts: unknown[]) => this.#hear(event, parts))
    socket.on('disconnect', () => this.close())
  }

  /** What it follows now. */
  get size(): number {
    return this.#subscriptions.size
  }

  /** Nothing more is told. */
  close(): void {
    for (const sink of [...this.#subscriptions.values()]) sink.close()
  }

  /** Whatever a client sends, it is answered, and throws nothing: an error here would end the process. */
  #hear(event: unknown, parts: readonly unknown[]): void {
    const last = parts.at(-1)
    const acknowledge = typeof last === 'function' ? (last as (message: object) => void) : undefined
    const answer = once(acknowledge)
    try {
      if (event === 'subscribe') this.#subscribe(readSubscribe(parts[0]), answer)
      else if (event === 'unsubscribe') this.#unsubscribe(readUnsubscribe(parts[0]), answer)
      else throw new RequestError('TIDEMARK_REQUEST', 'There is no such event. Send `subscribe` or `unsubscribe`.')
    } catch (error) {
      const message = { problem: problemOf(error) }
      if (message.problem.status === 500) this.#options.onFailure(error)
      if (!answer(message)) this.#socket.emit('problem', message)
    }
  }

  #subscribe(wanted: Wanted, answer: (message: object) => boolean): void {
    const { hubs, quota, follow, takeOne, subscriptionsMax } = this.#options
    const tenant = wanted.kind === 'nodes' ? wanted.tenant : DEFAULT_TENANT
    permit(this.#access, wanted.kind === 'nodes' ? 'read' : 'readResources', tenant)
    if (takeOne && !takeOne(this.#access.principal, tenant)) throw new RateError('requests', RATE_RETRY_MS)
    if (this.#subscriptions.size >= subscriptionsMax)
      throw new StreamLimitError(
        `This socket follows ${subscriptionsMax} things, its limit. Unsubscribe from some, or raise socketio.subscriptions.`,
      )
    const { followed, isMany } = follow(wanted)
    if (isMany && wanted.as === 'patch')
      throw new ParameterError([
        { parameter: 'as', message: 'must be value or text where the path has wildcards: what changed is told anyhow' },
      ])
    const leave = quota.take({ tenant })
    const subscription = String(++this.#named)
    const tell: Tell = (event, message) => {
      if (!answer(message)) this.#socket.emit(event, message)
    }
    const { as, from } = wanted
    const sink = new SocketSink({ subscription, isMany, as, from, outbox: this.#outbox, tell, answer })
    this.#subscriptions.set(subscription, sink)
    sink.signal.addEventListener('abort', () => {
      this.#subscriptions.delete(subscription)
      leave()
    })
    hubs.subscribe(followed, sink, from)
  }

  #unsubscribe(subscription: string, answer: (message: object) => boolean): void {
    const sink = this.#subscriptions.get(subscription)
    sink?.close()
    answer({ subscription, unsubscribed: sink !== undefined })
  }
}

/** Answers the first time, where an answer is wanted; returns whether it did. */
function once(acknowledge: ((message: object) => void) | undefined): (message: object) => boolean {
  let answer = acknowledge
  return (message) => {
    if (!answer) return false
    const now = answer
    answer = undefined
    now(message)
    return true
  }
}
