import type { Connection } from './connection.js'
import { type Frame, judge, type Mark } from './frame.js'

/** A client of one entry's stream: gets states in the log's order, and only the newest while it is slow. */
export class Subscriber {
  readonly connection: Connection
  /** The newest state that was offered; nothing older is sent. */
  #newest: Mark | undefined
  /** What the client has. */
  #sent: Mark | undefined
  #pending: Frame | undefined
  #isCurrent = false

  /** `seen` is what the client had when it came. */
  constructor(connection: Connection, seen: Mark | undefined) {
    this.connection = connection
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
    if (!this.#pending || !this.connection.send(this.#pending.bytes)) return
    this.#sent = this.#pending
    this.#pending = undefined
  }
}
