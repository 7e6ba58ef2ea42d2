import type { Socket } from 'socket.io'

/** What Socket.IO says of the connection below a socket. */
type Connection = Socket['conn']

/**
 * What waits for one slow socket. Socket.IO itself would keep any amount; this tells its senders to keep the newest only, until the client
 * has taken what was sent.
 */
export class Outbox {
  readonly #socket: Socket
  readonly #bytesMax: number
  readonly #roomed = new Set<() => void>()
  #waitingBytes = 0
  #isWanted = false

  constructor(socket: Socket, bytesMax: number) {
    this.#socket = socket
    this.#bytesMax = bytesMax
    const { conn } = socket
    this.#follow(conn.transport)
    conn.on('upgrade', (transport: Connection['transport']) => this.#follow(transport))
  }

  /** Calls `roomed` when there is room again, after there was none. */
  onRoom(roomed: () => void, signal: AbortSignal): void {
    this.#roomed.add(roomed)
    signal.addEventListener('abort', () => this.#roomed.delete(roomed))
  }

  /** Sends, if there is room; else does nothing and returns false. One message that alone is larger than the limit has room while none waits. */
  send(bytes: number, send: () => void): boolean {
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > this.#bytesMax) {
      this.#isWanted = true
      return false
    }
    this.#waitingBytes += bytes
    send()
    return true
  }

  /** A transport is ready when what was handed to it is written; the connection's own listener, which came first, has handed it the next by then. */
  #follow(transport: Connection['transport']): void {
    transport.on('ready', () => {
      if (transport !== this.#socket.conn.transport || !transport.writable) return
      this.#waitingBytes = 0
      if (!this.#isWanted) return
      this.#isWanted = false
      for (const roomed of [...this.#roomed]) roomed()
    })
  }
}
