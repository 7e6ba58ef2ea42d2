import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../test/free-port.js'

/** The client that @tidemark/redis uses. */
export const { Redis } = createRequire(new URL('../packages/redis/package.json', import.meta.url))('ioredis')

const WAIT_MS = 20_000

/** A Redis of the run's own, on a free port and in a temporary folder; in memory only, unless its settings say otherwise. */
export class RedisServer {
  #command
  #process
  #admin

  constructor(port, folder, command) {
    this.port = port
    this.folder = folder
    this.#command = command
  }

  /** @param settings  as on the command line: `['--maxmemory', '1mb']` */
  static async start(settings = []) {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-redis-'))
    const port = await freePort()
    const own = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--protected-mode', 'no']
    const server = new RedisServer(port, folder, [...own, ...settings])
    await server.start()
    return server
  }

  /** A client of the run's own, which connects again by itself. */
  get admin() {
    if (!this.#admin) {
      this.#admin = new Redis(this.port, '127.0.0.1', { maxRetriesPerRequest: null, retryStrategy: () => 20 })
      this.#admin.on('error', () => {})
    }
    return this.#admin
  }

  /** Where its dump is written and read. */
  get dump() {
    return join(this.folder, 'dump.rdb')
  }

  /** Resolves when it answers, if only that it is loading. @param more  settings of this start */
  async start(more = []) {
    this.#process = spawn('redis-server', [...this.#command, ...more], { stdio: 'ignore' })
    const failed = new Promise((_, reject) => this.#process.once('error', reject))
    await Promise.race([failed, this.#answers()])
  }

  /** As if its machine had lost its power. */
  async kill() {
    const ended = this.#process
    if (ended.exitCode !== null || ended.signalCode !== null) return
    const isOver = new Promise((resolve) => ended.once('exit', resolve))
    ended.kill('SIGKILL')
    await isOver
  }

  /** It stands still: connections stay, nothing is answered. */
  pause() {
    this.#process.kill('SIGSTOP')
  }

  resume() {
    this.#process.kill('SIGCONT')
  }

  async drop() {
    this.#admin?.disconnect()
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #answers() {
    for (let waited = 0; waited < WAIT_MS; waited += 5) {
      if (await answers(this.port)) return
      await sleep(5)
    }
    throw new Error(`redis-server did not answer within ${WAIT_MS} ms.`)
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const end = (isAnswer) => {
      socket.destroy()
      resolve(isAnswer)
    }
    socket.once('data', (bytes) => end(/^(\+PONG|-NOAUTH|-LOADING)/.test(bytes.toString())))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
