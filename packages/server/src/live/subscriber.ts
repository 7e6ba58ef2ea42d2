import { type Frame, judge, type Mark } from './frame.js'
import type { Sink } from './sink.js'

/** A client of one entry's stream: gets states in the log's order, and only the newest while it is slow. */
export class Subscriber {
  readonly sink: Sink
  /** The newest state that was offered; nothing older is sent. */
  #newest: Mark | undefined
  /** What the client has. */
  #sent: Mark | undefined
  /** The same, where it was sent here: deltas lead on from it. */
  #base: Frame | undefined
  #pending: Frame | undefined
  #isCurrent = false
  /** It is not known yet which states would be older than what the client has seen elsewhere. */
  #isHeld: boolean

  /** `seen` is what the client had when it came: nothing is sent before `admit`. */
  constructor(sink: Sink, seen: Mark | undefined) {
    this.sink = sink
    this.#newest = seen
    this.#sent = seen
    this.#isHeld = seen !== undefined
    sink.onRoom(() => this.#flush())
  }

  /** From now on it gets states: those as of a position or later, if one is given. */
  admit(from?: { readonly epoch: string; readonly lsn: number }): void {
    this.#isHeld = false
    const last = this.#newest
    if (last && from && from.epoch === last.epoch) this.#newest = { ...last, lsn: Math.max(last.lsn, from.lsn) }
  }

  /** Whether the client was offered a state that is not before what it had when it came. */
  get isCurrent(): boolean {
    return this.#isCurrent
  }

  offer(frame: Frame): void {
    if (this.#isHeld || judge(frame, this.#newest) === 'older') return
    this.#isCurrent = true
    this.#newest = frame
    this.#pending = judge(frame, this.#sent) === 'same' ? undefined : frame
    if (this.#pending) this.#flush()
    else this.sink.unchanged()
  }

  #flush(): void {
    if (!this.#pending || !this.sink.state(this.#pending, this.#base)) return
    this.#sent = this.#pending
    this.#base = this.#pending
    this.#pending = undefined
  }
}
