import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../../../test/free-port.js'

/** Waits for a condition; fails after 20 s. */
export async function until(condition: () => boolean | Promise<boolean>, what = ''): Promise<void> {
  const bound = Date.now() + 45_000
  while (!(await condition())) {
    if (Date.now() > bound) throw new Error(`never came true: ${condition} ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Another server that speaks Redis's protocol can be tested in its place: Valkey, say. */
const PROGRAM = process.env['TIDEMARK_REDIS_SERVER'] || 'redis-server'

/** A Redis of the test's own, on a free port and in a temporary folder. */
export class RedisServer {
  readonly port: number
  readonly folder: string
  readonly #program: string
  readonly #command: readonly string[]
  #process: ChildProcess | undefined
  #admin: Redis | undefined

  private constructor(port: number, folder: string, command: readonly string[], program = PROGRAM) {
    this.port = port
    this.folder = folder
    this.#command = command
    this.#program = program
  }

  /**
   * @param settings  as on the command line: `['--appendonly', 'yes']`. By default nothing is written to disk
   * @param program  `redis-server` unless the environment names another
   */
  static async start(settings: readonly string[] = [], program = PROGRAM): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-redis-'))
    const port = await freePort()
    const own = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--protected-mode', 'no']
    const server = new RedisServer(port, folder, [...own, ...settings], program)
    await server.start()
    return server
  }

  /** A Sentinel with this file of settings. */
  static async sentinel(port: number, folder: string, file: string): Promise<RedisServer> {
    const server = new RedisServer(port, folder, [file, '--sentinel'])
    await server.start()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** A client of the test's own, which connects again by itself. */
  get admin(): Redis {
    if (!this.#admin) {
      this.#admin = new Redis(this.port, '127.0.0.1', { maxRetriesPerRequest: null, retryStrategy: () => 20 })
      this.#admin.on('error', () => {})
    }
    return this.#admin
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const { port } = this
    this.#process = spawn(this.#program, this.#command, { stdio: 'ignore' })
    const failed = new Promise<never>((_, reject) => this.#process!.once('error', reject))
    await Promise.race([failed, until(() => answers(port), `${this.#program} answers`)])
  }

  /** As if its machine had lost its power. */
  async kill(): Promise<void> {
    const ended = this.#process
    if (!ended || ended.exitCode !== null || ended.signalCode !== null) return
    const isOver = new Promise((resolve) => ended.once('exit', resolve))
    ended.kill('SIGKILL')
    await isOver
  }

  /** It stands still: connections stay, nothing is answered. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async drop(): Promise<void> {
    this.#admin?.disconnect()
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Whether it answers at all, though it wants a password. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const end = (isAnswer: boolean): void => {
      socket.destroy()
      resolve(isAnswer)
    }
    socket.once('data', (bytes) => end(/^(\+PONG|-NOAUTH)/.test(bytes.toString())))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
