import { afterEach, expect, test } from 'vitest'
import { World } from './judge.js'
import { openL2 } from './opened.js'
import { RedisServer } from './redis-server.js'

// Under a policy that evicts, any key may be gone at any moment: entries, the state, the stamps. All of that must be misses.

let server: RedisServer | undefined
afterEach(() => server?.drop())

const policies = [
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
  'noeviction',
]

for (const policy of policies) {
  test(`nothing stale is believed under ${policy}, with an L2 that is many times larger than Redis`, async () => {
    server = await RedisServer.start(['--maxmemory', '3mb', '--maxmemory-policy', policy])
    const l2 = await openL2(server, { failuresMax: 1_000_000 })
    const world = new World(l2, 1, { keys: 1_500, valueBytes: 2_000, wholeOneIn: 1_000 })
    await world.settle()
    for (let round = 0; round < 8; round++) {
      await world.fillAll()
      await world.change(20)
      await world.readAll()
      for (let i = 0; i < 10; i++) await world.step()
      await world.settle()
    }
    expect(world.stale).toEqual([])
    const { evicted, oom } = await pressure(server)
    expect(policy === 'noeviction' ? oom : evicted).toBeGreaterThan(100)
    const { resets } = l2.status().counters
    // What evicts at random soon evicts the state; what looks at the time that a key has never does. LRU counts in whole seconds, and here
    // more is written in each than Redis holds: to it, all keys were used at the same time.
    if (policy === 'allkeys-random') expect(resets).toBeGreaterThan(1)
    else if (policy !== 'allkeys-lru') expect(world.seen.believed).toBeGreaterThan(100)
    if (!policy.startsWith('allkeys')) expect(resets).toBe(1)
    await l2.close()
  })
}

test('L2 hears what is stale though Redis is out of memory', async () => {
  server = await RedisServer.start(['--maxmemory', '3mb', '--maxmemory-policy', 'noeviction'])
  const l2 = await openL2(server)
  const world = new World(l2, 2, { keys: 3_000, valueBytes: 2_000 })
  await world.settle()
  await world.fillAll()
  expect(l2.status().counters.refused.unwritable).toBeGreaterThan(0)
  const before = (await l2.read('k1')).tide!.m
  for (let i = 0; i < 20; i++) await world.step()
  await world.settle()
  expect((await l2.read('k1')).tide!.m).toBeGreaterThan(before)
  await world.readAll()
  expect(world.stale).toEqual([])
  await l2.close()
})

async function pressure(redis: RedisServer): Promise<{ evicted: number; oom: number }> {
  const stats = await redis.admin.info('everything')
  const figure = (form: RegExp): number => Number(form.exec(stats)?.[1] ?? 0)
  return { evicted: figure(/evicted_keys:(\d+)/), oom: figure(/errorstat_OOM:count=(\d+)/) }
}
