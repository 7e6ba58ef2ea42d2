import { mkdtempSync, rmSync } from 'node:fs'
import { symlink, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbedded } from '@tidemark/embedded'
import pg from 'pg'
import { Child } from './child.js'
import { now } from './clock.js'
import { RedisLine } from './redis-line.js'
import { RedisServer } from './redis-server.js'
import { fill } from './rows-table.js'

const DATABASE = 'chaos'
const WAIT_MS = 60_000

/** All that such a process answers comes from what others share, or from the source. */
const KEEPS_LITTLE = { cacheOptions: { l1: { maxEntries: 1 } } }

/** The slot that the processes share where one of them relays what it reads. */
export const SLOT = 'chaos_shared'

/**
 * The load of a scenario: a PostgreSQL of its own, a Redis where it is asked for, processes with caches, one that writes and one that judges.
 *
 * Everything reaches the server by one address, which `moveTo` lets lead to another server; and Redis by `line`.
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
  /** The Redis of the run, and others beside it. */
  redis
  line
  redisServers = []
  /** What sessions saw. */
  sessions = { reads: 0, back: 0, behind: 0 }
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

  /**
   * @param redis  what the processes share in Redis: `l2` its options, or none; `hasRelay`, with which one reads the log for all;
   *   `settings` of the server
   */
  async start({
    settings = {},
    options = {},
    processes = 3,
    maxSilence = '5s',
    schema = '',
    marks = false,
    redis,
    cacheOptions = {},
  } = {}) {
    if (redis) {
      this.redis = await this.addRedis(redis.settings)
      this.line = await RedisLine.to(this.redis.port)
    }
    const server = await startEmbedded({ dataDir: this.folder('primary'), isDurable: false, settings })
    this.servers.push(server)
    await server.createDatabase(DATABASE)
    await symlink(server.socketDir, this.address)
    await this.admin(async (client) => {
      await fill(client, this.scale)
      if (schema) await client.query(schema)
    })
    this.config = {
      options: { url: this.url, ...(redis?.hasRelay && { slot: SLOT, secret: 'ours' }), ...options },
      ...this.scale,
      seed: this.seed,
      maxSilence,
      marks,
      cacheOptions,
      ...(redis && { redis: { url: this.line.url, l2: {}, ...redis } }),
    }
    this.judge = this.#add(new Child('judge-process.js', { url: this.url }))
    this.writer = this.#add(
      new Child('writer-process.js', { url: this.url, keys: this.scale.keys, seed: this.seed }, (message) => {
        if (message.kind !== 'acks') return
        this.writes += message.acks.length
        this.failedWrites += message.failed
        this.judge.tell({ do: 'acks', acks: message.acks })
      }),
    )
    for (let number = 0; number < processes; number++) this.addNode(redis && number === 2 ? KEEPS_LITTLE : {})
    await Promise.all(this.#children.map(({ ready }) => ready))
    await this.until(() => this.alive.every(({ status }) => status?.keeping && status.current), 'every process keeps')
  }

  /** A Redis of the run's own. */
  async addRedis(settings) {
    const server = await RedisServer.start(settings)
    this.redisServers.push(server)
    return server
  }

  /** Another process with a cache. @param own  of its configuration */
  addNode(own = {}) {
    const number = this.nodes.length
    const node = { number, status: undefined, child: undefined, isKilled: false, keepsLittle: own === KEEPS_LITTLE }
    node.child = this.#add(
      new Child('cache-process.js', { ...this.config, ...own, number }, (message) => this.#heard(node, message)),
    )
    this.nodes.push(node)
    return node
  }

  /** Another scenario begins: what is counted is counted anew. */
  begin() {
    this.writes = this.failedWrites = this.crossed = 0
    this.sessions = { reads: 0, back: 0, behind: 0 }
  }

  get alive() {
    return this.nodes.filter(({ child }) => child.isAlive)
  }

  /** Processes that ended though nobody killed them. */
  get ended() {
    return this.nodes.filter(({ child, isKilled }) => !child.isAlive && !isKilled)
  }

  /** Ends processes, in order. */
  async endNodes(nodes) {
    for (const node of nodes) node.isKilled = true
    await Promise.all(nodes.map(({ child }) => child.end()))
  }

  /** Adds processes as they are in the run, which keep when this resolves. */
  async addNodes(count) {
    const nodes = Array.from({ length: count }, () => this.addNode())
    await Promise.all(nodes.map(({ child }) => child.ready))
    await this.recovered()
    return nodes
  }

  /** Kills a process with -9; resolves when it is gone. */
  async killNode(node) {
    node.isKilled = true
    node.child.kill()
    await this.until(() => !node.child.isAlive, 'the process is gone')
  }

  /** Kills it in a moment of its work, or at once; resolves when it is gone. @param moment  as cache-process.js knows them */
  async killAt(node, moment) {
    if (moment === undefined) return this.killNode(node)
    node.isKilled = true
    node.child.tell({ do: 'trouble', trouble: { dieAt: moment } })
    await this.until(() => !node.child.isAlive, `the process died at ${moment}`)
  }

  /** The sum of a figure of all processes that live, as they said last. */
  sum(figureOf) {
    return this.alive.reduce((total, { status }) => total + (status ? figureOf(status) : 0), 0)
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

  /** What is wrong in the processes from now on, as cache-process.js knows it; nothing by default. */
  trouble(trouble = {}, nodes = this.alive) {
    for (const { child } of nodes) child.tell({ do: 'trouble', trouble })
  }

  /** Asks all processes that live. */
  askAll(message) {
    return Promise.all(this.alive.map(({ child }) => child.ask(message)))
  }

  /** Stops reads and writes; resolves when what was under way is over. */
  async rest() {
    for (const { child } of this.alive) child.tell({ do: 'read', rate: 0 })
    await this.writer.ask({ do: 'write', rate: 0 })
    await sleep(300)
    await Promise.all(this.alive.map(({ child }) => child.ask({ do: 'settle' })))
  }

  /** Ends the load and compares all that is kept with what the database says. */
  async settle() {
    await this.rest()
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
    await this.line?.end()
    for (const server of [...this.standbys, ...this.servers]) await server.stop().catch(() => {})
    for (const server of this.redisServers) await server.drop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** A session asks another process next. */
  #handOn(node, { session, reads, back, behind }) {
    this.sessions.reads += reads
    this.sessions.back += back
    this.sessions.behind += behind
    const { alive } = this
    const next = alive[(alive.indexOf(node) + 1) % alive.length]
    next?.child.tell({ do: 'session', session })
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
    else if (message.kind === 'session') this.#handOn(node, message)
  }
}
