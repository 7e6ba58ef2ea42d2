import type { ServerResponse } from 'node:http'
import type { Clock } from 'tidemark'

export interface ConnectionLimits {
  /** Bytes that may wait for the client; more is held back by the sender. */
  readonly bufferMaxBytes: number
  /** How long the client may take nothing while something waits for it. */
  readonly stuckMaxMs: number
}

/** How long a closed stream's last words may take before its connection is cut. */
const FAREWELL_MS = 1_000

/**
 * One client of a stream: writes events, knows how much of what was written waits for the client, and calls back when
 * there is room again. What to do without room is the sender's to decide: this never buffers more than its limit, except
 * for one event that alone is larger.
 */
export class Connection {
  readonly #response: ServerResponse
  readonly #limits: ConnectionLimits
  readonly #clock: Clock
  readonly #closed = new AbortController()
  #waitingBytes = 0
  #takenAt: number
  #roomed: () => void = () => {}

  constructor(response: ServerResponse, limits: ConnectionLimits, clock: Clock) {
    this.#response = response
    this.#limits = limits
    this.#clock = clock
    this.#takenAt = clock.now()
    response.once('close', () => this.#closed.abort())
    // A client that goes away in the middle of a write is no error; 'close' follows.
    response.on('error', () => {})
  }

  /** Aborted when the connection has ended, whoever ended it. */
  get signal(): AbortSignal {
    return this.#closed.signal
  }

  /** Calls `roomed` whenever the client has taken something. */
  onRoom(roomed: () => void): void {
    this.#roomed = roomed
  }

  /** Writes an event if there is room for it; else does nothing and returns false. */
  send(bytes: Buffer | string): boolean {
    const length = Buffer.byteLength(bytes)
    const hasRoom = this.#waitingBytes === 0 || this.#waitingBytes + length <= this.#limits.bufferMaxBytes
    if (!hasRoom || this.#response.writableEnded || this.#response.destroyed) return false
    if (this.#waitingBytes === 0) this.#takenAt = this.#clock.now()
    this.#waitingBytes += length
    this.#response.write(bytes, () => {
      this.#waitingBytes -= length
      this.#takenAt = this.#clock.now()
      if (!this.signal.aborted) this.#roomed()
    })
    return true
  }

  /** A comment, which clients ignore: keeps proxies from closing a quiet stream. Closes a client that has been stuck too long. */
  beat(retryMs: number): void {
    if (this.#waitingBytes === 0) this.send(':\n\n')
    else if (this.#clock.now() - this.#takenAt > this.#limits.stuckMaxMs) this.end(retryMs)
  }

  /** Tells the client when to ask again, and closes. A client that does not take even that is cut off. */
  end(retryMs: number): void {
    if (this.signal.aborted || this.#response.writableEnded) return
    this.#response.end(`retry: ${Math.round(retryMs)}\n\n`)
    this.#clock.after(FAREWELL_MS, () => this.#response.destroy())
  }
}
