import { createConnection, createServer, type Server, type Socket } from 'node:net'

interface Line {
  readonly client: Socket
  readonly upstream: Socket
  isReplication: boolean
}

/** Which way nothing passes any more. */
export type Silence = 'both' | 'to server' | 'to client'

/** A line to a server on a Unix socket, that can fall silent without ending, or lead elsewhere. */
export class SilentLine {
  readonly #server: Server
  readonly #lines: Line[] = []
  #path: string
  #hasEnded = false
  readonly url: string

  private constructor(server: Server, url: string, path: string) {
    this.#server = server
    this.#path = path
    this.url = url
  }

  static async to(url: string): Promise<SilentLine> {
    const [address] = url.split('?')
    const server = createServer((socket) => line.#accept(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const line = new SilentLine(server, address!.replace(/@[^/]*/, `@127.0.0.1:${port}`), socketOf(url))
    return line
  }

  /** From now on nothing passes on the replication connections that there are; none of them ends. */
  silenceReplication(silence: Silence = 'both'): void {
    const silenced = this.#lines.filter(({ isReplication }) => isReplication)
    if (silenced.length === 0) throw new Error('there is no replication connection')
    for (const line of silenced) fallSilent(line, silence)
  }

  /** From now on nothing passes on any connection that there is; none of them ends, and new ones are as ever. */
  silenceAll(): void {
    for (const line of this.#lines) fallSilent(line, 'both')
  }

  /** Ends the connections that there are; new ones lead to another server, which is at this address. */
  leadTo(url: string): void {
    this.#path = socketOf(url)
    this.#destroy()
  }

  async end(): Promise<void> {
    // First no new ones: whoever is cut off connects again.
    this.#hasEnded = true
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#destroy()
    await closed
  }

  #destroy(): void {
    for (const { client, upstream } of this.#lines.splice(0)) for (const socket of [client, upstream]) socket.destroy()
  }

  #accept(client: Socket): void {
    if (this.#hasEnded) return void client.destroy()
    const upstream = createConnection(this.#path)
    const line = { client, upstream, isReplication: false }
    this.#lines.push(line)
    for (const socket of [client, upstream]) socket.on('error', () => {})
    // As a line that is cut: who is on its other end is told.
    upstream.on('error', () => client.destroy())
    client.once('data', (first) => {
      line.isReplication = first.includes('replication\0')
    })
    client.pipe(upstream)
    upstream.pipe(client)
  }
}

function fallSilent({ client, upstream }: Line, silence: Silence): void {
  if (silence !== 'to client') client.unpipe().pause()
  if (silence !== 'to server') upstream.unpipe().pause()
}

function socketOf(url: string): string {
  return `${new URLSearchParams(url.split('?')[1]).get('host')}/.s.PGSQL.5432`
}
