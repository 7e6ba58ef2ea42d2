import { problemOf } from '../problem.js'
import type { Connection } from './connection.js'
import type { Frame } from './frame.js'
import type { Sink } from './sink.js'

/** What leads a client from one state to another, as an event; undefined if the whole state is to be sent. */
export type Delta = (from: Frame, to: Frame) => Buffer | undefined

/** An entry's states as server-sent events. `delta` is for a client that wants to be told what is different. */
export class EventSink implements Sink {
  readonly #connection: Connection
  readonly #delta: Delta | undefined

  constructor(connection: Connection, delta?: Delta) {
    this.#connection = connection
    this.#delta = delta
  }

  get signal(): AbortSignal {
    return this.#connection.signal
  }

  onRoom(roomed: () => void): void {
    this.#connection.onRoom(roomed)
  }

  state(frame: Frame, base: Frame | undefined): boolean {
    return this.#connection.send((base && this.#delta?.(base, frame)) ?? frame.bytes)
  }

  unchanged(): void {}

  waiting(error: unknown): void {
    this.#connection.send(`: waiting ${problemOf(error).code}\n\n`)
  }

  refuse(error: unknown, retryMs: number): void {
    this.#connection.send(`event: problem\ndata: ${JSON.stringify(problemOf(error))}\n\n`)
    this.#connection.end(retryMs)
  }

  end(retryMs: number): void {
    this.#connection.end(retryMs)
  }
}
