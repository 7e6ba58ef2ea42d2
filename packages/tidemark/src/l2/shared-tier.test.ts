import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Cache, CacheOptions, Invalidation } from '../cache.js'
import { createCache } from '../create.js'
import type { EntryOptions } from '../definition.js'
import { type FakeReads, FakeSource, Gate, MemoryL2, rest } from '../testing/index.js'
import { l2Rules } from '../testing/memory-l2.js'
import { beliefRules, epochRules } from './shared-tier.js'

type TestCache = Cache<{ db: FakeReads }>

let l2: MemoryL2
let source: FakeSource
let caches: TestCache[]

beforeEach(() => {
  l2 = new MemoryL2()
  source = new FakeSource()
  source.put('posts', { id: 1, title: 'a' })
  caches = []
})

afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()))
})

/** As another process has it: with an L1 of its own. */
async function process(options: CacheOptions<{ db: FakeReads }> = {}) {
  const cache: TestCache = createCache({ source, l2, ...options })
  caches.push(cache)
  await cache.settled()
  await rest()
  const post = cache.define('post', ({ db }, id: number) => db.one('posts', { id }))
  return { cache, post }
}

async function stored(count: number): Promise<void> {
  for (let turn = 0; turn < 1_000 && l2.size < count; turn++) await rest()
  expect(l2.size).toBe(count)
}

test('what one process has loaded another takes from L2, until it changes', async () => {
  const [one, other] = [await process(), await process()]
  expect(await one.post.ask(1)).toMatchObject({ value: { title: 'a' }, from: 'source' })
  await stored(1)
  expect(await other.post.ask(1)).toMatchObject({ value: { title: 'a' }, state: 'fresh', from: 'l2' })
  expect(await other.post.ask(1)).toMatchObject({ from: 'l1' })
  source.put('posts', { id: 1, title: 'b' })
  await rest()
  expect(await other.post.ask(1)).toMatchObject({ value: { title: 'b' }, from: 'source' })
  expect([one.cache.counters.l2Misses, other.cache.counters.l2Hits]).toEqual([1, 1])
})

test('what L2 has of another history is not believed, whatever its positions', async () => {
  const one = await process()
  const restored = async (title: string): Promise<string> => {
    // The server comes back from a backup, in which the row is another one, and the log stands at the same place.
    source.log.lose()
    const { put } = FakeSource.prototype
    const write = source.log.write
    source.log.write = () => ({}) as never
    put.call(source, 'posts', { id: 1, title })
    source.log.write = write
    source.log.start(true)
    await one.cache.settled()
    await rest()
    return (await one.post(1))!.title as string
  }
  await one.post(1)
  await stored(1)
  expect(await restored('b')).toBe('b')
  // And the test can fail.
  const right = epochRules.name
  epochRules.name = () => 'same'
  try {
    await rest()
    await one.cache.invalidate({ keys: ['post(1)'] })
    expect(await one.post(1)).toMatchObject({ title: 'b' })
    await stored(1)
    expect(await restored('c')).toBe('b')
  } finally {
    epochRules.name = right
  }
})

test('an L2 that is down is a miss, and what was told meanwhile is told later', async () => {
  const [one, other] = [await process(), await process()]
  await one.post(1)
  await stored(1)
  l2.isDown = true
  expect(await other.post.ask(1)).toMatchObject({ value: { title: 'a' }, from: 'source' })
  source.put('posts', { id: 1, title: 'b' })
  expect(await one.post(1)).toMatchObject({ title: 'b' })
  l2.isDown = false
  await until(() => l2.tide?.m === source.log.end)
  const late = await process()
  expect(await late.post(1)).toMatchObject({ title: 'b' })
  expect(one.cache.counters.l2Errors).toBeGreaterThan(0)
  expect(other.cache.counters.l2Errors).toBeGreaterThan(0)
})

test('a pattern takes from L2 what it means, also where no process has it in L1, and leaves the rest', async () => {
  for (const id of [2, 3]) source.put('posts', { id, title: 'a' })
  const one = await process()
  for (const id of [1, 2, 3]) await one.post(id)
  await stored(3)
  // Of what a key that it means was computed into, too.
  const outer = one.cache.define('outer', async (_, id: number) => ({ ...(await one.post(id)), outer: true }))
  await outer(2)
  await stored(4)
  await one.cache.invalidate({ pattern: 'post(2*' })
  await until(() => l2.tide?.m === source.log.end)
  const late = await process()
  expect(await Promise.all([1, 2, 3].map((id) => late.post.ask(id)))).toMatchObject(
    ['l2', 'source', 'l2'].map((from) => ({ from, state: 'fresh' })),
  )
  expect(late.cache.counters.l2Disbelieved).toBe(1)
  // And the test can fail.
  const right = beliefRules.isMeant
  beliefRules.isMeant = () => false
  try {
    await one.cache.invalidate({ pattern: 'post(3*' })
    await until(() => l2.tide?.m === source.log.end)
    expect(await (await process()).post.ask(3)).toMatchObject({ from: 'l2' })
  } finally {
    beliefRules.isMeant = right
  }
})

describe('what an expiry made stale stays in L2 for grace', () => {
  const load = async ({ db }: { db: FakeReads }, id: number) => db.one('posts', { id })
  const named = async (grace: '1m' | '1ms' | undefined, options: EntryOptions = {}) => {
    const { cache } = await process()
    return { cache, post: cache.define('graced', load, { tags: ['posts'], ...(grace && { grace }), ...options }) }
  }
  const expired = async (target: Invalidation): Promise<void> => {
    const one = await named('1m')
    await one.post(1)
    await stored(1)
    await one.cache.invalidate({ ...target, mode: 'expire' })
    await until(() => l2.tide?.m === source.log.end)
  }

  test.each<Invalidation>([
    { tags: ['posts'] },
    { keys: ['graced(1)'] },
    { pattern: 'grac*' },
    { all: 'tenant' },
    { all: 'everything' },
  ])('%j: another process serves it while it loads', async (target) => {
    await expired(target)
    const late = await named('1m')
    const gate = new Gate()
    source.gate = gate.passed
    expect(await late.post.ask(1)).toMatchObject({ value: { title: 'a' }, state: 'stale', from: 'l1' })
    gate.open()
    await until(() => late.post.peek(1) !== undefined)
    expect(await late.post.ask(1)).toMatchObject({ state: 'fresh', from: 'l1' })
    expect(source.reads).toBe(2)
  })

  test('and where the loader fails; without grace, or after its time, it loads', async () => {
    for (const grace of [undefined, '1ms'] as const) {
      await expired({ tags: ['posts'] })
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(await (await named(grace)).post.ask(1)).toMatchObject({ state: 'fresh', from: 'source' })
      await until(() => caches.every(({ counters }) => counters.l2Stored + counters.l2Refused === counters.kept))
    }
    await expired({ tags: ['posts'] })
    const failing = await named(undefined, { grace: { refill: 0, failure: '1m' } })
    source.isDown = true
    expect(await failing.post.ask(1)).toMatchObject({ value: { title: 'a' }, state: 'stale' })
    source.isDown = false
  })

  test('without the rule it would be taken for fresh', async () => {
    const right = l2Rules.isExpired
    l2Rules.isExpired = () => false
    try {
      await expired({ tags: ['posts'] })
      expect(await (await named('1m')).post.ask(1)).toMatchObject({ state: 'fresh', from: 'l2' })
    } finally {
      l2Rules.isExpired = right
    }
  })

  test('a soft timeout is waited for; a change drops what had expired, whichever came first', async () => {
    await expired({ tags: ['posts'] })
    const soft = await named('1m', { softTimeout: '10s' })
    expect(await soft.post.ask(1)).toMatchObject({ state: 'fresh' })
    await expired({ tags: ['posts'] })
    source.put('posts', { id: 1, title: 'b' })
    const late = await named('1m')
    expect(await late.post.ask(1)).toMatchObject({ value: { title: 'b' }, state: 'fresh', from: 'source' })
  })
})

test('programs of another version, and other loaders, leave each other’s entries alone', async () => {
  const one = await process({ version: '1' })
  await one.post(1)
  await stored(1)
  const two = await process({ version: '2' })
  expect(await two.post.ask(1)).toMatchObject({ from: 'source' })
  await stored(2)
  const again = createCache({ source, l2, version: '1' })
  caches.push(again)
  const changed = again.define('post', async ({ db }, id: number) => ({
    ...(await db.one('posts', { id })),
    isNew: true,
  }))
  expect(await changed(1)).toMatchObject({ title: 'a', isNew: true })
})

describe('one process loads what all miss', () => {
  test('the others wait for its answer', async () => {
    const gate = new Gate()
    source.gate = gate.passed
    const all = await Promise.all([process(), process(), process()])
    const reads = all.flatMap(({ post }) => [post(1), post(1)])
    await until(() => source.reads === 1)
    await rest()
    gate.open()
    for (const value of await Promise.all(reads)) expect(value).toMatchObject({ title: 'a' })
    expect(source.reads).toBe(1)
    expect(all.map(({ cache }) => cache.counters.l2Hits).sort()).toEqual([0, 1, 1])
  })

  test('if its load fails, another one loads', async () => {
    const [one, other] = [await process(), await process()]
    const gate = new Gate()
    source.gate = gate.passed
    source.isDown = true
    const failing = one.post(1).catch((error: Error) => error.message)
    await until(() => source.reads === 1)
    const waiting = other.post(1)
    await rest()
    gate.open()
    expect(await failing).toBe('The fake source is down.')
    source.isDown = false
    expect(await waiting).toMatchObject({ title: 'a' })
  })

  test('a load that another loader waits for does not wait', async () => {
    const [one, other] = [await process(), await process()]
    const gate = new Gate()
    source.gate = gate.passed
    void one.post(1)
    await until(() => source.reads === 1)
    const outer = other.cache.define('outer', async (_, id: number) => other.post(id))
    source.gate = undefined
    expect(await outer(1)).toMatchObject({ title: 'a' })
    gate.open()
  })
})

test('who refills early does not get the same again', async () => {
  const [one, other] = [await process(), await process()]
  const load = async ({ db }: { db: FakeReads }, id: number) => db.one('posts', { id })
  const options = { ttl: '100ms', earlyRefresh: 0.01 } as const
  const [first, second] = [one.cache.define('early', load, options), other.cache.define('early', load, options)]
  await first(1)
  await stored(1)
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(await second.ask(1)).toMatchObject({ from: 'source' })
})

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 2))
  expect(holds()).toBe(true)
}
