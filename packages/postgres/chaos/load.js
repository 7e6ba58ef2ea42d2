import { mkdtempSync, rmSync } from 'node:fs'
import { symlink, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbedded } from '@tidemark/embedded'
import pg from 'pg'
import { Child } from './child.js'
import { now } from './clock.js'
import { fill } from './rows-table.js'

const DATABASE = 'chaos'
const WAIT_MS = 60_000

/**
 * The load of a scenario: a PostgreSQL of its own, processes with caches, one that writes and one that judges.
 *
 * Everything reaches the server by one address, which `moveTo` lets lead to another server.
 */
export class Load {
  #folder = mkdtempSync(join(tmpdir(), 'tidemark-chaos-'))
  #children = []
  #frozen = new Set()
  #hasEnded = false
  /** The servers of the run; the first is where it begins. */
  servers = []
  /** Servers beside it. */
  standbys = []
  nodes = []
  statuses = []
  starts = []
  losses = []
  /** Reads that failed, `[start, code, end]`. */
  errors = []
  writes = 0
  failedWrites = 0
  crossed = 0

  constructor(scale, seed) {
    this.scale = scale
    this.seed = seed
    this.address = join(this.#folder, 'address')
  }

  get server() {
    return this.servers.at(-1)
  }

  /** The connection string that leads to whichever server is the primary now. */
  get url() {
    return `postgresql://postgres@localhost:5432/${DATABASE}?host=${encodeURIComponent(this.address)}`
  }

  /** A data folder that goes with the run. */
  folder(name) {
    return join(this.#folder, name)
  }

  async start({ settings = {}, options = {}, processes = 3, maxSilence = '5s', schema = '', marks = false } = {}) {
    const server = await startEmbedded({ dataDir: this.folder('primary'), isDurable: false, settings })
    this.servers.push(server)
    await server.createDatabase(DATABASE)
    await symlink(server.socketDir, this.address)
    await this.admin(async (client) => {
      await fill(client, this.scale)
      if (schema) await client.query(schema)
    })
    this.config = { options: { url: this.url, ...options }, ...this.scale, seed: this.seed, maxSilence, marks }
    this.judge = this.#add(new Child('judge-process.js', { url: this.url }))
    this.writer = this.#add(
      new Child('writer-process.js', { url: this.url, keys: this.scale.keys, seed: this.seed }, (message) => {
        if (message.kind !== 'acks') return
        this.writes += message.acks.length
        this.failedWrites += message.failed
        this.judge.tell({ do: 'acks', acks: message.acks })
      }),
    )
    for (let number = 0; number < processes; number++) this.addNode()
    await Promise.all(this.#children.map(({ ready }) => ready))
    await this.until(() => this.alive.every(({ status }) => status?.keeping && status.current), 'every process keeps')
  }

  /** Another process with a cache. */
  addNode() {
    const number = this.nodes.length
    const node = { number, status: undefined, child: undefined }
    node.child = this.#add(
      new Child('cache-process.js', { ...this.config, number }, (message) => this.#heard(node, message)),
    )
    this.nodes.push(node)
    return node
  }

  get alive() {
    return this.nodes.filter(({ child }) => child.isAlive)
  }

  /** Sets how much is read and written from now on, as a share of the scale. */
  async run(share = 1) {
    const each = (share * this.scale.readsPerSecond) / this.alive.length
    for (const { child } of this.alive) child.tell({ do: 'read', rate: each })
    this.writer.tell({ do: 'write', rate: share * this.scale.writesPerSecond })
  }

  /** Runs statements as a superuser, on a connection of its own. */
  async admin(use) {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 5_000 })
    client.on('error', () => {})
    await client.connect()
    try {
      return typeof use === 'string' ? (await client.query(use)).rows : await use(client)
    } finally {
      await client.end()
    }
  }

  /** Lets the address lead to another server. */
  async moveTo(server) {
    this.servers.push(server)
    await unlink(this.address)
    await symlink(server.socketDir, this.address)
  }

  /** Waits for a condition, with a bound. Returns how long it took, in ms. */
  async until(holds, what, boundMs = WAIT_MS) {
    const began = now()
    for (;;) {
      if (await holds()) return now() - began
      if (now() - began > boundMs) {
        const states = this.nodes.map(({ number, status }) => `${number}: ${JSON.stringify(status)}`).join('\n')
        throw new Error(`Waited ${boundMs} ms: ${what}\n${states}`)
      }
      await sleep(5)
    }
  }

  /** Waits until every process keeps and is current, as it said after this call. */
  recovered(boundMs) {
    const from = now()
    return this.until(
      () => this.alive.every(({ status }) => status?.at > from && status.keeping && status.current),
      'every process keeps, and is current',
      boundMs,
    )
  }

  /** Ends the load and compares all that is kept with what the database says. */
  async settle() {
    for (const { child } of this.alive) child.tell({ do: 'read', rate: 0 })
    await this.writer.ask({ do: 'write', rate: 0 })
    await sleep(300)
    await Promise.all(this.alive.map(({ child }) => child.ask({ do: 'settle' })))
    const sum = { compared: 0, differing: 0, examples: [], coarse: 0 }
    for (const { child } of this.alive) {
      const { kept } = await child.ask({ do: 'kept' })
      const { result } = await this.judge.ask({ do: 'compare', kept })
      sum.compared += result.compared
      sum.differing += result.differing
      sum.examples.push(...result.examples)
    }
    return sum
  }

  /** The server came back with an older history: the judge looks what is lost of what was acknowledged. */
  async restored() {
    // What was acknowledged so far reaches the judge before.
    await this.writer.ask({ do: 'report' })
    await this.judge.ask({ do: 'restored' })
  }

  async judged(wanted) {
    return (await this.judge.ask({ do: 'judge', ...wanted })).result
  }

  /** Stops a process of a server until `thaw`, or the end. */
  freeze(pid) {
    if (this.#hasEnded || this.#frozen.has(pid)) return
    process.kill(pid, 'SIGSTOP')
    this.#frozen.add(pid)
  }

  thaw() {
    for (const pid of this.#frozen) {
      try {
        process.kill(pid, 'SIGCONT')
      } catch {
        // It ended meanwhile.
      }
    }
    this.#frozen.clear()
  }

  async end() {
    this.#hasEnded = true
    // A server does not end while a process of it stands still.
    this.thaw()
    await Promise.all([...this.#children].reverse().map((child) => child.end()))
    for (const server of [...this.standbys, ...this.servers]) await server.stop().catch(() => {})
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #add(child) {
    this.#children.push(child)
    return child
  }

  #heard(node, message) {
    if (message.kind === 'status') {
      node.status = message
      this.statuses.push({ process: node.number, ...message })
    } else if (message.kind === 'reads') {
      this.errors.push(...message.errors)
      this.judge.tell({ do: 'reads', reads: message.reads, process: node.number })
    } else if (message.kind === 'started') this.starts.push({ process: node.number, ...message })
    else if (message.kind === 'lost') this.losses.push({ process: node.number, ...message })
    else if (message.kind === 'crossed') this.crossed++
  }
}
