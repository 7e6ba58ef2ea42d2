import { createConnection, createServer, type Server, type Socket } from 'node:net'

/** A line to a server on a Unix socket, that can fall silent without ending. */
export class SilentLine {
  readonly #server: Server
  readonly #lines: { readonly sockets: readonly Socket[]; isReplication: boolean }[] = []
  readonly url: string

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  static async to(url: string): Promise<SilentLine> {
    const [address, query] = url.split('?')
    const path = `${new URLSearchParams(query).get('host')}/.s.PGSQL.5432`
    const server = createServer((socket) => line.#accept(socket, path))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const line = new SilentLine(server, address!.replace(/@[^/]*/, `@127.0.0.1:${port}`))
    return line
  }

  /** From now on nothing passes on the replication connections that there are, in either direction; none of them ends. */
  silenceReplication(): void {
    const silenced = this.#lines.filter(({ isReplication }) => isReplication)
    if (silenced.length === 0) throw new Error('there is no replication connection')
    for (const { sockets } of silenced) for (const socket of sockets) socket.unpipe().pause()
  }

  async end(): Promise<void> {
    // First no new ones: whoever is cut off connects again.
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const { sockets } of this.#lines) for (const socket of sockets) socket.destroy()
    await closed
  }

  #accept(socket: Socket, path: string): void {
    const upstream = createConnection(path)
    const line = { sockets: [socket, upstream], isReplication: false }
    this.#lines.push(line)
    for (const each of line.sockets) each.on('error', () => {})
    socket.once('data', (first) => {
      line.isReplication = first.includes('replication\0')
    })
    socket.pipe(upstream)
    upstream.pipe(socket)
  }
}
