import { type L2DownError, redisL2 } from '@tidemark/redis'
import { afterEach, expect, test } from 'vitest'
import { World } from './judge.js'
import { fillOf, lsnOf, openL2, tell } from './opened.js'
import { RedisServer, until } from './redis-server.js'
import { TcpLine } from './tcp-line.js'

let server: RedisServer
afterEach(() => server.drop())

test('it is made without Redis, answers at once that it is not connected, and connects when Redis is there', async () => {
  server = await RedisServer.start()
  await server.kill()
  const l2 = redisL2({ url: server.url, deadline: '1m' })
  expect(l2.status().state).toBe('disconnected')
  const began = performance.now()
  const calls = await Promise.all([reasonOf(l2.read('a')), reasonOf(l2.fill('a', fillOf(1))), reasonOf(tell(l2, 0, 1))])
  expect(calls).toEqual(['not-connected', 'not-connected', 'not-connected'])
  // The deadline is a minute: nothing was waited for.
  expect(performance.now() - began).toBeLessThan(30_000)
  await server.start()
  await until(() => l2.status().state === 'ready')
  await tell(l2, 0, 1)
  expect(await l2.fill('a', fillOf(1))).toBe('stored')
  await l2.close()
})

test('a Redis that stands still costs a deadline a few times, then nothing; and is used again when it answers', async () => {
  server = await RedisServer.start()
  const l2 = await openL2(server, { deadline: 50, batchDeadline: 50, failuresMax: 3 })
  await untilStored(l2)
  // On a busy machine something may have taken too long already.
  const before = { ...l2.status().counters.failures }
  server.pause()
  const reasons: string[] = []
  for (let i = 0; i < 10; i++) reasons.push(await reasonOf(l2.read('a')))
  expect(reasons.slice(0, 3)).toEqual(['deadline', 'deadline', 'deadline'])
  expect(reasons[3]).toBe('paused')
  const { failures } = l2.status().counters
  const sum = (counts: typeof failures) => (counts.deadline ?? 0) + (counts.paused ?? 0)
  expect(sum(failures) - sum(before)).toBe(10)
  server.resume()
  await until(async () => (await reasonOf(l2.read('a'))) === 'none')
  expect(await lsnOf(l2, 'a')).toBe(1)
  await l2.close()
})

test('many calls at once cost one deadline together', async () => {
  server = await RedisServer.start()
  const l2 = await openL2(server, { deadline: 200 })
  await untilStored(l2)
  server.pause()
  const began = performance.now()
  const reasons = await Promise.all(Array.from({ length: 5_000 }, (_, i) => reasonOf(l2.read(`k${i}`))))
  expect(new Set(reasons)).toEqual(new Set(['deadline']))
  expect(performance.now() - began).toBeLessThan(30_000)
  await l2.close()
})

test('more calls than may wait are misses at once', async () => {
  server = await RedisServer.start()
  const l2 = await openL2(server, { deadline: 300 })
  server.pause()
  const reasons = await Promise.all(Array.from({ length: 10_010 }, (_, i) => reasonOf(l2.read(`k${i}`))))
  expect(reasons.filter((reason) => reason === 'busy')).toHaveLength(10)
  await l2.close()
})

test('Redis is killed and comes back empty, again and again, and nothing stale is believed', async () => {
  server = await RedisServer.start()
  const l2 = await openL2(server, { failuresMax: 1_000_000 })
  const world = new World(l2, 3)
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 20; i++) await world.step()
    const steps = (async () => {
      for (let i = 0; i < 20; i++) await world.step()
    })()
    await server.kill()
    await steps
    await server.start()
    await until(() => l2.status().state === 'ready')
  }
  await world.settle()
  await world.fillAll()
  await world.readAll()
  expect(world.stale).toEqual([])
  expect(world.seen.failed).toBeGreaterThan(0)
  expect(world.seen.believed).toBeGreaterThan(12)
  expect(l2.status().counters.resets).toBeGreaterThan(3)
  await l2.close()
})

test('Redis comes back as it was in an old backup, and nothing stale is believed', async () => {
  server = await RedisServer.start(['--dbfilename', 'dump.rdb'])
  const l2 = await openL2(server, { failuresMax: 1_000_000 })
  const world = new World(l2, 4)
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 10; i++) await world.step()
    await world.settle()
    await world.fillAll()
    await server.admin.save()
    await world.change(1 + round)
    await world.fillAll()
    await server.kill()
    await server.start()
    await until(() => l2.status().state === 'ready')
    // It has entries of before the changes, and they are not believed, though L2 does not know yet that it lost them.
    await world.readAll()
    expect((await l2.read('k1')).tide!.m).toBeLessThan(world.tidemark)
    await world.settle()
    await world.readAll()
  }
  expect(world.stale).toEqual([])
  expect(world.seen.disbelieved).toBeGreaterThan(0)
  await l2.close()
})

test('a connection on which nothing comes any more, and that does not end, is given up for a new one', async () => {
  server = await RedisServer.start()
  const line = await TcpLine.to(server.port)
  const l2 = await openL2(server, { url: line.url, deadline: 50, batchDeadline: 50 })
  await untilStored(l2)
  line.silence()
  await until(async () => (await reasonOf(l2.read('a'))) === 'paused')
  line.lose()
  await until(async () => (await reasonOf(l2.read('a'))) === 'none')
  await l2.close()
  await line.end()
})

async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'none'
  } catch (error) {
    return (error as L2DownError).reason
  }
}

/** The deadline is short, and the machine may be busy. */
async function untilStored(l2: Awaited<ReturnType<typeof openL2>>): Promise<void> {
  await until(async () => {
    try {
      await tell(l2, 0, 1)
      await l2.fill('a', fillOf(1))
      return (await lsnOf(l2, 'a')) === 1
    } catch {
      return false
    }
  })
}
