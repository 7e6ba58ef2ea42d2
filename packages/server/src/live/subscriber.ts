import type { Connection } from './connection.js'
import { type Delta, type Frame, judge, type Mark } from './frame.js'

/** A client of one entry's stream: gets states in the log's order, and only the newest while it is slow. */
export class Subscriber {
  readonly connection: Connection
  /** The newest state that was offered; nothing older is sent. */
  #newest: Mark | undefined
  /** What the client has. */
  #sent: Mark | undefined
  /** The same, where it was sent here: deltas lead on from it. */
  #base: Frame | undefined
  readonly #delta: Delta | undefined
  #pending: Frame | undefined
  #isCurrent = false

  /** `seen` is what the client had when it came; `delta` is for one that wants to be told what is different. */
  constructor(connection: Connection, seen: Mark | undefined, delta?: Delta) {
    this.connection = connection
    this.#delta = delta
    this.#newest = seen
    this.#sent = seen
    connection.onRoom(() => this.#flush())
  }

  /** Whether the client was offered a state that is not before what it had when it came. */
  get isCurrent(): boolean {
    return this.#isCurrent
  }

  offer(frame: Frame): void {
    if (judge(frame, this.#newest) === 'older') return
    this.#isCurrent = true
    this.#newest = frame
    this.#pending = judge(frame, this.#sent) === 'same' ? undefined : frame
    this.#flush()
  }

  #flush(): void {
    if (!this.#pending || !this.connection.send(this.#bytes(this.#pending))) return
    this.#sent = this.#pending
    this.#base = this.#pending
    this.#pending = undefined
  }

  #bytes(frame: Frame): Buffer {
    return (this.#base && this.#delta?.(this.#base, frame)) ?? frame.bytes
  }
}
