import { redisL2, redisLog } from '@tidemark/redis'
import { type Cache, createCache } from 'tidemark'
import { expect, test } from 'vitest'
import { RedisServer, until } from './redis-server.js'

// A pattern might miss what only L2 has, what is being loaded or stored while it is told, or what is older than the patterns that L2 keeps;
// or L2 might bring back what a pattern meant, after it has lost all of it, or a part.

const STEPS = Number(process.env['PATTERN_STEPS'] ?? 60)
const GROUPS = 4
const KEYS = Array.from({ length: 40 }, (_, i) => `g${i % GROUPS}:${i}`)

test('nothing that a pattern meant is served again, whatever L2 keeps, loses or is told meanwhile', async () => {
  const seed = Number(process.env['PATTERN_SEED'] ?? Date.now() % 1_000_000)
  const random = randomOf(seed)
  const [logServer, l2Server] = await Promise.all([RedisServer.start(), RedisServer.start()])
  const caches: Cache[] = []
  const versions = new Map(KEYS.map((key) => [key, 1]))
  const counts = { reads: 0, l2: 0 }
  /** What is read carries it: whichever process reads, it knows of all that was invalidated before. */
  let position: string | undefined

  const join = async (): Promise<Cache> => {
    const l2 = redisL2({ url: l2Server.url, deadline: '10s', batchDeadline: '10s' })
    const cache = createCache({ log: redisLog({ url: logServer.url }), l2, maxSilence: 6_000 })
    await until(() => cache.status().keeping && cache.status().current && l2.status().state === 'ready')
    return cache
  }
  const read = async (cache: Cache, key: string): Promise<void> => {
    const wanted = versions.get(key)!
    const load = async (): Promise<number> => {
      const version = versions.get(key)!
      // The source was read, and the answer is late.
      if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, random(4)))
      return version
    }
    const answer = await cache.ask(key, load, { ttl: '1h', ...(position !== undefined && { minPosition: position }) })
    counts.reads++
    if (answer.from === 'l2') counts.l2++
    expect(answer.value, `seed ${seed}: ${key}, ${answer.state} from ${answer.from}`).toBeGreaterThanOrEqual(wanted)
  }
  const invalidate = async (cache: Cache): Promise<void> => {
    const [pattern, meant] = patternOf(random)
    for (const key of KEYS.filter(meant)) versions.set(key, versions.get(key)! + 1)
    position = await cache.invalidate({ pattern })
  }
  /** In place of the oldest, a process that has nothing but what L2 has. */
  const replace = async (): Promise<void> => {
    const [oldest] = caches.splice(0, 1)
    caches.push(await join())
    await oldest!.close()
  }
  const lose = async (): Promise<void> => {
    const { admin } = l2Server
    const all = await admin.keys('*')
    const lost = [all, all.filter((key) => key.endsWith(':s')), all.filter((key) => key.endsWith(':z'))][random(3)]!
    if (lost.length > 0) await admin.unlink(...lost)
  }

  try {
    caches.push(await join(), await join())
    for (let step = 0; step < STEPS; step++) {
      const cache = caches[random(caches.length)]!
      switch (random(12)) {
        case 0:
          await lose()
          break
        case 1:
          // So many others follow that L2 does not keep it.
          await invalidate(cache)
          for (let i = 0; i < 40; i++) position = await cache.invalidate({ pattern: `none${i}*` })
          await replace()
          break
        case 2:
          await replace()
          break
        case 3:
        case 4: {
          // While it is loaded, here and elsewhere.
          const keys = Array.from({ length: 8 }, () => KEYS[random(KEYS.length)]!)
          const reads = keys.map((key, i) => read(caches[i % caches.length]!, key))
          await Promise.all([...reads, invalidate(cache)])
          break
        }
        default:
          await Promise.all(KEYS.filter(() => random(2) === 0).map((key) => read(cache, key)))
      }
    }
    expect(counts.l2, `of ${counts.reads} reads`).toBeGreaterThan(STEPS / 10)
  } finally {
    await Promise.all(caches.map((cache) => cache.close()))
    await Promise.all([logServer.drop(), l2Server.drop()])
  }
})

function patternOf(random: (below: number) => number): [string | { regex: string }, (key: string) => boolean] {
  const [group, last] = [random(GROUPS), random(10)]
  switch (random(3)) {
    case 0:
      return [`g${group}:*`, (key) => key.startsWith(`g${group}:`)]
    case 1:
      return [`*${last}`, (key) => key.endsWith(`${last}`)]
    default:
      return [{ regex: `:\\d*${last}$` }, (key) => key.endsWith(`${last}`)]
  }
}

/** Source: "mulberry32" by Tommy Ettinger. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
