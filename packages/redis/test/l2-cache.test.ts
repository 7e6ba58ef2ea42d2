import { type RedisL2, redisL2, redisLog } from '@tidemark/redis'
import { Redis } from 'ioredis'
import { type Cache, createCache } from 'tidemark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RedisServer, until } from './redis-server.js'

// Processes that share L2, as users see them. The log is in a Redis of its own, so that the one of L2 can be lost alone.

let logServer: RedisServer
let l2Server: RedisServer
let caches: Cache[] = []
let source = 1
let loads = 0

beforeEach(async () => {
  ;[logServer, l2Server] = await Promise.all([RedisServer.start(), RedisServer.start()])
  source = 1
  loads = 0
})
afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()))
  caches = []
  await Promise.all([logServer.drop(), l2Server.drop()])
})

test('what one process loaded another finds in L2, and what one invalidates is gone in all', async () => {
  const [one, other] = await start(2)
  for (let round = 1; round <= 5; round++) {
    source = round
    await one!.invalidate({ tags: ['prices'] })
    const stored = one!.counters.l2Stored
    const position = (await price(one!)).asOf!
    await until(() => one!.counters.l2Stored > stored)
    expect(await price(other!, position)).toMatchObject({ value: round, state: 'fresh', from: 'l2' })
    expect(await price(other!)).toMatchObject({ value: round, state: 'fresh', from: 'l1' })
    expect(loads).toBe(round)
  }
})

test('a process that starts finds warm what others left', async () => {
  const [one] = await start(1)
  const ask = (cache: Cache) =>
    Promise.all(
      Array.from({ length: 100 }, (_, i) => cache.ask(`p${i}`, async () => ({ i, source }), { tags: ['prices'] })),
    )
  await ask(one!)
  await until(() => one!.counters.l2Stored >= 100)
  await one!.close()
  caches = []
  const [next] = await start(1)
  source = 2
  const answers = await ask(next!)
  expect(answers.map(({ value, from }) => ({ ...value, from }))).toEqual(
    Array.from({ length: 100 }, (_, i) => ({ i, source: 1, from: 'l2' })),
  )
})

test('a thousand misses in four processes run the loader once', async () => {
  const all = await start(4)
  const slow = async (): Promise<number> => {
    loads++
    await new Promise((resolve) => setTimeout(resolve, 100))
    return source
  }
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => all[i % 4]!.ask('slow', slow, { tags: ['prices'] })),
  )
  expect(new Set(answers.map(({ value }) => value))).toEqual(new Set([1]))
  expect(loads).toBe(1)
})

test('a miss asks Redis once before it loads, though it takes the lease', async () => {
  await start(1)
  const client = new Redis(l2Server.port, '127.0.0.1')
  let calls = 0
  const callBuffer = client.callBuffer.bind(client) as (...args: unknown[]) => Promise<unknown>
  const counted = (...args: unknown[]) => {
    calls++
    return callBuffer(...args)
  }
  Object.assign(client, { callBuffer: counted })
  const l2 = redisL2({ client, deadline: '10s', batchDeadline: '10s' })
  const cache = createCache({ log: redisLog({ url: logServer.url }), l2, maxSilence: 60_000 })
  caches.push(cache)
  await until(async () => cache.status().keeping && (await l2.read('none')).tide !== undefined)
  // Scripts are known to the server, and nothing is told any more.
  let first = 0
  await until(async () => {
    // L2 may have been told more, by the other process, than this one knows yet: then it refuses.
    await cache.get(`first${first++}`, async () => 1, { tags: ['prices'] })
    return cache.counters.l2Stored > 0
  })
  // The lease of the first is given back behind its reader's back.
  await until(async () => {
    const before = calls
    return (await cache.get(`k${before}`, async () => calls - before, { tags: ['prices'] })) === 1
  })
  client.disconnect()
})

test('what processes miss a moment one after the other is loaded once, whoever comes first', async () => {
  const all = await start(3)
  const keys = Array.from({ length: 600 }, (_, i) => `k${i}`)
  const quick = async (): Promise<number> => {
    loads++
    await new Promise((resolve) => setTimeout(resolve, loads % 4))
    return source
  }
  const read = async (cache: Cache): Promise<void> => {
    let next = 0
    const reader = async (): Promise<void> => {
      while (next < keys.length) await cache.get(keys[next++]!, quick, { tags: ['prices'] })
    }
    await Promise.all(Array.from({ length: 20 }, reader))
  }
  await Promise.all(all.map(read))
  expect(loads).toBe(keys.length)
})

test('while Redis stands still or is gone reads go on, and L1 hits are as they were', async () => {
  const [one] = await start(1, { deadline: 100, failuresMax: 3 })
  await price(one!)
  l2Server.pause()
  for (let i = 0; i < 20; i++) expect(await one!.get(`k${i}`, () => i, { tags: ['prices'] })).toBe(i)
  expect(l2s[0]!.status().state).toBe('paused')
  // No read waits any more.
  const began = performance.now()
  for (let i = 0; i < 200; i++) expect(await price(one!)).toMatchObject({ from: 'l1' })
  expect(performance.now() - began).toBeLessThan(10_000)
  source = 2
  await one!.invalidate({ tags: ['prices'] })
  expect((await price(one!)).value).toBe(2)
  l2Server.resume()
  await l2Server.kill()
  source = 3
  await one!.invalidate({ tags: ['prices'] })
  expect((await price(one!)).value).toBe(3)
  await l2Server.start()
  const stored = one!.counters.l2Stored
  let key = 0
  await until(async () => {
    await one!.get(`again${key++}`, () => 1, { tags: ['prices'] })
    return one!.counters.l2Stored > stored
  })
})

let l2s: RedisL2[] = []

async function start(count: number, options: { deadline?: number; failuresMax?: number } = {}): Promise<Cache[]> {
  l2s = Array.from({ length: count }, () =>
    redisL2({ url: l2Server.url, deadline: '10s', batchDeadline: '10s', ...options }),
  )
  const started = l2s.map((l2) => createCache({ log: redisLog({ url: logServer.url }), l2, maxSilence: 6_000 }))
  caches.push(...started)
  for (const [i, cache] of started.entries())
    await until(() => cache.status().keeping && cache.status().current && l2s[i]!.status().state === 'ready')
  // L2 was told where the log stands.
  for (const l2 of l2s) await until(async () => (await l2.read('none').catch(() => undefined))?.tide !== undefined)
  return started
}

/** One text in all processes, or it would be another definition. */
const load = async (): Promise<number> => {
  loads++
  return source
}

function price(cache: Cache, minPosition?: string) {
  return cache.ask('price', load, { tags: ['prices'], ...(minPosition === undefined ? {} : { minPosition }) })
}
