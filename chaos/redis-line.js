import { createConnection, createServer } from 'node:net'

/** The address by which the processes reach Redis: it can lead to another server, be cut, or fall silent without ending. */
export class RedisLine {
  #pairs = new Set()
  #isSilent = false
  #server
  #target

  static async to(target) {
    const line = new RedisLine()
    line.#target = target
    line.#server = createServer((socket) => line.#accept(socket))
    await new Promise((resolve) => line.#server.listen(0, '127.0.0.1', resolve))
    line.port = line.#server.address().port
    return line
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`
  }

  /** From now on it leads to another server. */
  leadTo(port) {
    this.#target = port
    this.cut()
  }

  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
  }

  /** Nothing passes any more, in either direction; no connection ends, and new ones open. */
  silence() {
    this.#isSilent = true
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  /** What was held up is lost with its connections; new ones pass. */
  heal() {
    this.#isSilent = false
    this.cut()
  }

  async end() {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  #accept(client) {
    const server = createConnection(this.#target, '127.0.0.1')
    const pair = [client, server]
    this.#pairs.add(pair)
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#pairs.delete(pair)
        for (const other of pair) other.destroy()
      })
      if (this.#isSilent) socket.pause()
    }
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => client.write(bytes))
  }
}
