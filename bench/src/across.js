// What is measured of several processes on one Redis.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parsePosition } from '../../packages/tidemark/dist/index.js'
import { tiers } from './l2-contenders.js'
import { alternate, median, quantile, runAlone } from './measure.js'
import { withRedis } from './redis.js'

const PROCESSES = 4

/** 1,000 reads of a missing key at once, from four processes. Returns the runs of the loader, one figure for each round. */
export function missesAcross(rounds) {
  return withRedis(async (_, port) => {
    const file = fileURLToPath(new URL('misses.js', import.meta.url))
    const children = Array.from({ length: PROCESSES }, () => fork(file, [String(port)]))
    try {
      await Promise.all(children.map((child) => once(child, 'message')))
      const loads = []
      for (let round = 0; round < rounds; round++) {
        const answers = children.map((child) => once(child, 'message'))
        for (const child of children) child.send({ key: `k${round}`, reads: 1_000 / PROCESSES })
        loads.push((await Promise.all(answers)).reduce((sum, [each]) => sum + each.loads, 0))
      }
      return loads
    } finally {
      for (const child of children) child.disconnect()
    }
  })
}

/** Invalidating one in a hundred of so many keys: by contender { tag, prefix? }, each { ms, waitMs }. */
export async function invalidatedAcross(keys) {
  const seen = new Map()
  for (const name of ['tidemark', 'SCAN and UNLINK', 'bentocache'])
    seen.set(name, await withRedis((_, port) => runAlone('l2-invalidate.js', [name, port, keys])))
  return seen
}

/** Fills/s into both tiers, together and one by one, beside the bare client; ms until a tag of all of them is dropped; µs of a miss afterwards. */
export function bulkAcross(entries) {
  return withRedis((_, port) => runAlone('l2-bulk.js', [port, entries]))
}

const SEEN_MS = 60_000

const CUT_RATE = 100

/**
 * One of two processes is cut off from Redis for a while, in which the log goes on.
 *
 * @returns ms from when Redis can be reached again until it has applied all that it missed, how many commits that was, and the gaps it found
 */
export function cutOff(url, seconds) {
  return withRedis(async (_, port) => {
    const line = await lineTo(port)
    const file = fileURLToPath(new URL('spread-follower.js', import.meta.url))
    const start = async (ofRedis) => {
      const child = fork(file, [url, String(ofRedis), '2'])
      await once(child, 'message')
      return child
    }
    const children = [await start(port)]
    try {
      children.push(await start(line.port))
      const [before] = await ask([children[1]], 'role')
      if (before.role !== 'follower') throw new Error(`The process to be cut off is ${before.role}, not a follower.`)
      line.cut()
      const { commits } = await runAlone('rate-writer.js', [url, CUT_RATE, seconds])
      const [{ tidemark: end }] = await ask([children[0]], 'role')
      const began = performance.now()
      line.heal()
      for (;;) {
        const [{ tidemark, gaps }] = await ask([children[1]], 'role')
        if (isAt(tidemark, end)) return { ms: performance.now() - began, commits, gaps: gaps - before.gaps }
        if (performance.now() - began > SEEN_MS) throw new Error('It does not come back.')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    } finally {
      for (const child of children) if (child.connected) child.disconnect()
      line.end()
    }
  })
}

function isAt(tidemark, end) {
  const [here, there] = [parsePosition(tidemark), parsePosition(end)]
  return here.epoch === there.epoch && here.lsn >= there.lsn
}

/** A way to a port of this machine, which can be cut. */
async function lineTo(port) {
  const open = new Set()
  let isCut = false
  const server = createServer((socket) => {
    if (isCut) return socket.destroy()
    const there = createConnection(port, '127.0.0.1')
    for (const each of [socket, there]) {
      open.add(each)
      each.on('error', () => {})
      each.on('close', () => open.delete(each))
    }
    socket.pipe(there).pipe(socket)
    socket.on('close', () => there.destroy())
    there.on('close', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    isCut = true
    for (const each of open) each.destroy()
  }
  const heal = () => {
    isCut = false
  }
  const end = () => {
    cut()
    server.close()
  }
  return { port: server.address().port, cut, heal, end }
}

/**
 * From a commit to the last of some processes that dropped what it touched, at a rate; where one reads the log for all, then how long it takes
 * until another one leads when that one is killed.
 *
 * @returns p50 and p99 in ms, `any` with those of one of them, whichever it is, commits/s, and failoverMs
 */
export function spread(url, processes, { isRelayed, rate, seconds }) {
  return withRedis(async (_, port) => {
    const roles = Array.from({ length: processes }, () => [url, isRelayed ? port : 0, processes])
    return withChildren('spread-follower.js', roles, async (children) => {
      const figures = await spreadOver(children, url, rate, seconds)
      return isRelayed ? { ...figures, failoverMs: await failover(children) } : figures
    })
  })
}

/** The floor of `spread`: the same way without Tidemark, where nothing is decoded, applied, proven or read beside. */
export function bareSpread(url, processes, { isRelayed, rate, seconds }) {
  return withRedis((_, port) => {
    const roles = Array.from({ length: processes }, (_, i) => [
      isRelayed ? (i === 0 ? 'writer' : 'reader') : 'alone',
      url,
      port,
    ])
    return withChildren('spread-bare.js', roles, (children) => spreadOver(children, url, rate, seconds))
  })
}

/** Runs `use` with a process of `file` for each list of arguments, once each has said that it is ready. */
async function withChildren(file, each, use) {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const children = each.map((args) => fork(path, args.map(String)))
  try {
    await Promise.all(children.map((child) => once(child, 'message')))
    return await use(children)
  } finally {
    for (const child of children) if (child.connected) child.disconnect()
  }
}

async function spreadOver(children, url, rate, seconds) {
  await ask(children, 'seen')
  const { commits, ms } = await runAlone('rate-writer.js', [url, rate, seconds])
  const seen = await seenBy(children, commits)
  const warm = seen.slice(Math.ceil(seen.length / 5))
  const last = warm.map((each) => Math.max(...each))
  const any = warm.flat()
  return {
    p50: quantile(last, 0.5),
    p99: quantile(last, 0.99),
    any: { p50: quantile(any, 0.5), p99: quantile(any, 0.99) },
    rate: (commits / ms) * 1_000,
  }
}

function ask(children, what) {
  const answers = children.map((child) => once(child, 'message').then(([answer]) => answer))
  for (const child of children) child.send(what)
  return Promise.all(answers)
}

/** Of each commit that all have seen, in order, how long it took each of them. */
async function seenBy(children, commits) {
  const all = children.map(() => new Map())
  const end = performance.now() + SEEN_MS
  while (all.some((each) => each.size < commits)) {
    if (performance.now() > end) throw new Error(`${all.map(({ size }) => size)} of ${commits} commits were seen.`)
    const answers = await ask(children, 'seen')
    for (const [i, { seen }] of answers.entries()) for (const [position, ms] of seen) all[i].set(position, ms)
  }
  const [first] = all
  const known = [...first.keys()].filter((position) => all.every((each) => each.has(position)))
  return known.map((position) => all.map((each) => each.get(position)))
}

async function failover(children) {
  const roles = await ask(children, 'role')
  const leader = children[roles.findIndex(({ role }) => role === 'leader')]
  const others = children.filter((child) => child !== leader)
  const began = performance.now()
  leader.kill('SIGKILL')
  while (!(await ask(others, 'role')).some(({ role }) => role === 'leader')) {
    if (performance.now() - began > SEEN_MS) throw new Error('Nobody leads.')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return performance.now() - began
}

/** Each tier in Redis: `write` and `read`, by contender the medians of operations a second, µs of processor time, and µs alone. */
export function tiersAcross(rounds, entries) {
  return withRedis(async (redis, port) => {
    const seen = { write: new Map(), read: new Map() }
    await alternate(
      Object.keys(tiers),
      rounds,
      async (name) => {
        await redis.flushall()
        for (const what of ['write', 'read']) {
          const figures = await runAlone('l2.js', [name, port, what, entries])
          seen[what].set(name, [...(seen[what].get(name) ?? []), figures])
        }
      },
      () => 0,
    )
    return Object.fromEntries(Object.entries(seen).map(([what, of]) => [what, new Map([...of].map(mediansOf))]))
  })
}

function mediansOf([name, rounds]) {
  return [
    name,
    Object.fromEntries(Object.keys(rounds[0]).map((figure) => [figure, median(rounds.map((each) => each[figure]))])),
  ]
}
