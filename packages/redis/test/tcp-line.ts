import { createConnection, createServer, type Server, type Socket } from 'node:net'

/** A line to a server that can be cut, fall silent without ending, be slow, or lose answers. */
export class TcpLine {
  readonly port: number
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #isSilent = false
  #isLosingAnswers = false
  /** Bytes a second towards the client. */
  bytesPerSecond = Number.POSITIVE_INFINITY

  #target: number

  private constructor(server: Server, port: number, target: number) {
    this.#server = server
    this.port = port
    this.#target = target
  }

  static async to(targetPort: number): Promise<TcpLine> {
    const server = createServer((socket) => line.#accept(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const line = new TcpLine(server, (server.address() as { port: number }).port, targetPort)
    return line
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Nothing passes any more, in either direction; no connection ends, and new ones open. */
  silence(): void {
    this.#isSilent = true
    for (const [client, server] of this.#pairs) for (const socket of [client, server]) socket.pause()
  }

  /** Connections that are silent stay so for good, and do not end: as if a route were gone. New ones pass. */
  lose(): void {
    this.#isSilent = false
  }

  /** What was held up is lost with its connections; new ones pass. */
  heal(): void {
    this.#isSilent = false
    this.#isLosingAnswers = false
    this.cut()
  }

  /** From now on it leads to another server. */
  leadTo(port: number): void {
    this.#target = port
    this.cut()
  }

  /** Requests arrive; their answers do not. */
  loseAnswers(): void {
    this.#isLosingAnswers = true
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
  }

  async end(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  #accept(client: Socket): void {
    const server = createConnection(this.#target, '127.0.0.1')
    const pair = [client, server] as const
    this.#pairs.add(pair)
    for (const socket of pair) {
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#pairs.delete(pair)
        for (const other of pair) other.destroy()
      })
      if (this.#isSilent) socket.pause()
    }
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => {
      if (this.#isLosingAnswers) return
      client.write(bytes)
      const waitMs = (bytes.length / this.bytesPerSecond) * 1_000
      if (waitMs < 1) return
      server.pause()
      setTimeout(() => {
        if (!this.#isSilent) server.resume()
      }, waitMs)
    })
  }
}
