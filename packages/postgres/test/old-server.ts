import { createConnection, createServer, type Server, type Socket } from 'node:net'

const OLD = '120022'

/** A line to a server on a Unix socket, on which it says that it is PostgreSQL 12. */
export class OldServer {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly url: string

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  static async to(url: string): Promise<OldServer> {
    const [address, query] = url.split('?')
    const path = `${new URLSearchParams(query).get('host')}/.s.PGSQL.5432`
    const server = createServer((socket) => old.#accept(socket, path))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const old = new OldServer(server, address!.replace(/@[^/]*/, `@127.0.0.1:${port}`))
    return old
  }

  async end(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #accept(socket: Socket, path: string): void {
    const upstream = createConnection(path)
    for (const each of [socket, upstream]) this.#sockets.add(each.on('error', () => {}))
    socket.pipe(upstream)
    // As many bytes for as many: the messages stay whole.
    upstream.on('data', (data) => socket.write(data.toString('latin1').replaceAll(/1[3-9]00\d\d/g, OLD), 'latin1'))
    upstream.on('end', () => socket.end())
  }
}
