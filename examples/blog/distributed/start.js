// The blog in four processes behind HAProxy, one of which reads the log for all, with a tier in Redis that they share. Kill any of them: the page goes on.

import { randomBytes } from 'node:crypto'
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startEmbedded } from '@tidemark/embedded'
import { keep } from './child.js'
import { haproxyConfig } from './haproxy.js'

const PROCESSES = 4
const SLOT = 'tidemark_blog'
const READY_MAX_MS = 60_000
const ROLE_LOOK_MS = 500

const missing = ['haproxy', 'redis-server'].filter((command) => !isThere(command))
if (missing.length > 0) {
  console.error(`Missing: ${missing.join(', ')}. Install with: sudo apt-get install ${missing.join(' ')}`)
  process.exitCode = 1
} else {
  await main()
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-distributed-'))
  const stops = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })]
  const stopping = new AbortController()
  const stop = async () => {
    if (stopping.signal.aborted) return
    stopping.abort()
    for (const each of stops.reverse()) await each()
  }
  // A terminal and npm may both pass one on: the second must not end this process before the others.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void stop())
  try {
    const postgres = await startEmbedded({ dataDir: join(folder, 'postgres') })
    stops.push(() => postgres.stop())
    const [proxyPort, redisPort, ...ports] = await freePorts(2 + PROCESSES)
    const redis = startRedis(folder, redisPort)
    stops.push(() => redis.stop())
    const address = `http://127.0.0.1:${proxyPort}`
    const env = {
      ...process.env,
      DATABASE_URL: postgres.url,
      REDIS_URL: `redis://127.0.0.1:${redisPort}`,
      TIDEMARK_SLOT: SLOT,
      TIDEMARK_SECRET: randomBytes(24).toString('base64url'),
      TIDEMARK_ADDRESS: address,
    }
    const blogs = []
    stops.push(() => Promise.all(blogs.map(({ child }) => child.stop())))
    for (const port of ports) {
      blogs.push(startBlog(port, env))
      // The first makes the tables.
      if (blogs.length === 1) await ready(`http://127.0.0.1:${port}`, stopping.signal)
    }
    for (const { url } of blogs) await ready(url, stopping.signal)
    const config = join(folder, 'haproxy.cfg')
    writeFileSync(config, haproxyConfig({ port: proxyPort, processes: ports }))
    const proxy = keep({ command: 'haproxy', args: ['-q', '-db', '-f', config], againAfterMs: 500, started: () => {} })
    stops.push(() => proxy.stop(1_000))
    await ready(address, stopping.signal)
    const change = `update posts set title = 'Changed from psql' where id = 1`
    console.log(`Tidemark is ready: ${address}`)
    console.log(`psql '${postgres.url}' -c "${change}"`)
    console.log(`redis pid ${redis.pid} redis://127.0.0.1:${redisPort}`)
    await tellRoles(blogs, stopping.signal)
  } catch (error) {
    if (!stopping.signal.aborted) {
      console.error(`${error.code ? `${error.code}: ` : ''}${error.message}`)
      process.exitCode = 1
    }
    await stop()
  }
}

function startRedis(folder, port) {
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
  return keep({
    command: 'redis-server',
    args: [...args, '--logfile', join(folder, 'redis.log')],
    againAfterMs: 3_000,
    started: ({ pid, before }) => before && console.log(`redis pid ${pid} redis://127.0.0.1:${port} (after ${before})`),
  })
}

function startBlog(port, env) {
  const args = [fileURLToPath(new URL('../start.js', import.meta.url)), '--port', `${port}`]
  const blog = { url: `http://127.0.0.1:${port}`, role: undefined, told: undefined, child: undefined }
  blog.child = keep({
    command: process.execPath,
    args,
    env,
    againAfterMs: 1_000,
    started: () => {
      blog.role = undefined
    },
  })
  return blog
}

/** Says who leads and who follows, at first and whenever that is another. */
async function tellRoles(blogs, signal) {
  while (!signal.aborted) {
    const roles = await Promise.all(blogs.map(({ url }) => roleOf(url)))
    for (const [i, blog] of blogs.entries()) {
      const { pid } = blog.child
      const role = roles[i]
      if (role === undefined || blog.told === `${role} ${pid}`) continue
      blog.told = `${role} ${pid}`
      console.log(`${role} pid ${pid} ${blog.url}`)
    }
    await sleep(ROLE_LOOK_MS, undefined, { signal }).catch(() => {})
  }
}

/** Whoever holds the shared slot leads, and relays the log to the others; undefined while it does not answer. */
async function roleOf(url) {
  try {
    const { parts } = await (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).json()
    const slot = parts.find(({ name }) => name === 'slot')
    const relay = parts.find(({ name }) => name === 'relay')
    // One that begins to lead does so once it holds the slot.
    return relay?.state === 'leader' && slot?.state !== 'held' ? undefined : relay?.state
  } catch {
    return undefined
  }
}

async function ready(url, signal) {
  const end = performance.now() + READY_MAX_MS
  while (performance.now() < end) {
    signal.throwIfAborted()
    const isReady = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return
    await sleep(100)
  }
  throw new Error(`${url} did not get ready within ${READY_MAX_MS / 1_000} s.`)
}

/** Ports that nobody uses now; they are closed again before anybody takes them. */
/** Ports below those of outgoing connections, which could take the port of a process while it is started again. */
async function freePorts(count) {
  const ports = new Set()
  for (let tried = 0; ports.size < count; tried++) {
    if (tried === 1000) throw new Error(`${count} free ports were not found in 1,000 tries.`)
    const port = 10_000 + Math.floor(Math.random() * 22_000)
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

function isThere(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
