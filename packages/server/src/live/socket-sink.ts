import { problemOf } from '../problem.js'
import type { Representation } from '../resources/representation.js'
import { type Frame, idOf } from './frame.js'
import { nodesMessage } from './nodes-message.js'
import type { Outbox } from './outbox.js'
import { patchOf } from './patches.js'
import type { Sink } from './sink.js'
import type { As } from './socket-messages.js'

/** Sends a message of a subscription: the first as the answer to `subscribe`, where the client asked for one; `end` always as itself. */
export type Tell = (event: 'value' | 'patch' | 'absent' | 'nodes' | 'problem' | 'end', message: object) => void

export interface SocketSinkOptions {
  /** The subscription's name. */
  readonly subscription: string
  /** Whether it is of all nodes that match. */
  readonly isMany: boolean
  readonly as: As
  readonly from: string | undefined
  readonly outbox: Outbox
  readonly tell: Tell
  /** Answers `subscribe`, where nobody has yet; false if it was answered. */
  readonly answer: (message: object) => boolean
}

/** One subscription of a socket. */
export class SocketSink implements Sink {
  readonly #options: SocketSinkOptions
  readonly #ended = new AbortController()

  constructor(options: SocketSinkOptions) {
    this.#options = options
  }

  get signal(): AbortSignal {
    return this.#ended.signal
  }

  /** Nothing more is told. */
  close(): void {
    this.#ended.abort()
  }

  onRoom(roomed: () => void): void {
    this.#options.outbox.onRoom(roomed, this.signal)
  }

  state(frame: Frame, base: Frame | undefined): boolean {
    if (this.signal.aborted) return true
    const { outbox, tell, subscription } = this.#options
    const { event, bytes, ...message } = this.#message(frame, base)
    return outbox.send(bytes, () => tell(event, { subscription, id: idOf(frame), ...message }))
  }

  unchanged(): void {
    const { subscription, from, answer } = this.#options
    answer({ subscription, id: from, unchanged: true })
  }

  waiting(error: unknown): void {
    const { subscription, answer } = this.#options
    answer({ subscription, waiting: problemOf(error) })
  }

  refuse(error: unknown): void {
    this.#end('problem', { problem: problemOf(error) })
  }

  end(retryMs: number): void {
    // Who subscribes again on `end` does so too where there was no value yet.
    this.#options.answer({ subscription: this.#options.subscription, ended: true })
    this.#end('end', { retryMs })
  }

  #end(event: 'problem' | 'end', message: object): void {
    if (this.signal.aborted) return
    this.close()
    this.#options.tell(event, { subscription: this.#options.subscription, ...message })
  }

  #message(frame: Frame, base: Frame | undefined) {
    const { isMany, as } = this.#options
    const { body, event } = frame.of
    if (isMany) return nodesMessage(frame.of, base?.of, as)
    if (event === 'absent') return { event: 'absent' as const, bytes: 0, absent: true }
    if (as === 'text') return { event: 'value' as const, bytes: body.length, text: body }
    const patch = as === 'patch' && base ? patchOf(base.of, frame.of) : undefined
    if (patch !== undefined)
      return { event: 'patch' as const, bytes: patch.length, patch: JSON.parse(patch) as unknown }
    return { event: 'value' as const, bytes: body.length, value: parsed(frame.of) }
  }
}

/** Each value is read once, for all who follow it. */
const values = new WeakMap<Representation, { readonly value: unknown }>()

function parsed(representation: Representation): unknown {
  let read = values.get(representation)
  if (!read) {
    read = { value: JSON.parse(representation.body) }
    values.set(representation, read)
  }
  return read.value
}
