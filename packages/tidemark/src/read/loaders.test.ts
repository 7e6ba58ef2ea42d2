import { expect, test } from 'vitest'
import { createCache } from '../create.js'
import type { RowsDependency } from '../dependencies/dependency.js'
import { FakeSource, ManualClock } from '../testing/index.js'
import { currentReading } from './current.js'

async function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock })
  source.put('public.posts', { id: 1, title: 'a' })
  await cache.settled()
  return { clock, source, cache }
}

test("two reads of one get key at once share the first one's loader", async () => {
  const { cache } = await bed()
  const [a, b] = await Promise.all([
    cache.get('k', async () => 'a', { static: true }),
    cache.get('k', async () => 'b', { ttl: '1s' }),
  ])
  expect([a, b]).toEqual(['a', 'a'])
})

test('a loader that invalidates its own key is answered and not kept', async () => {
  const { cache } = await bed()
  let n = 0
  const self = cache.define(
    'self',
    async () => {
      n++
      if (n < 3) await cache.invalidate({ keys: ['self()'] })
      return n
    },
    { static: true },
  )
  expect(await self()).toBe(1)
  expect(self.peek()).toBe(undefined)
})

test('a loader may take one value of a watch', async () => {
  const { cache } = await bed()
  const inner = cache.define('inner', () => 1, { static: true })
  const outer = cache.define(
    'outer',
    async () => {
      for await (const v of inner.watch()) return v
      return 0
    },
    { static: true },
  )
  expect(await outer()).toBe(1)
  expect(cache.status().watched).toBe(0)
})

test('a loader that closes the cache is rejected, and hangs nobody', async () => {
  const { cache } = await bed()
  const bad = cache.define('bad', async () => {
    await cache.close()
    return 1
  })
  await expect(bad()).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
})

test('a loader that waits for settled(), which waits for it, ends with its signal', async () => {
  const { cache } = await bed()
  const bad = cache.define(
    'bad',
    async () => cache.settled({ signal: AbortSignal.timeout(50) }).catch((e: Error) => e.name),
    { static: true },
  )
  expect(await bad()).toBe('TimeoutError')
})

test('a definition is a plain function: its ways can be passed around', async () => {
  const { cache } = await bed()
  const o = { f: cache.define('f', () => 1, { static: true }) }
  const { f } = o
  expect(await o.f()).toBe(1)
  expect(await f.call(null)).toBe(1)
  expect([1, 2].map(f.peek)).toHaveLength(2)
})

test('an expired inner entry that a change dropped is not served to the outer one by grace', async () => {
  const { cache, source, clock } = await bed()
  const post = cache.define('post', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title, {
    ttl: '1m',
    grace: '1h',
  })
  const page = cache.define('page', async () => `<${await post(1)}>`)
  await page()
  await clock.advance(60_000)
  source.put('public.posts', { id: 1, title: 'b' })
  expect(await page()).toBe('<b>')
})

test('what lags is kept once the process has followed for longer than the lag, and no change lies within it', async () => {
  const { cache, clock, source } = await bed()
  const lagging = cache.define('lagging', async ({ db }) => (await db.one('public.posts', { id: 1 }))?.title, {
    sourceLag: '5s',
  })
  expect(await lagging.ask()).toMatchObject({ state: 'fenced' })
  await clock.advance(10_000)
  expect(await lagging.ask()).toMatchObject({ state: 'fresh' })
  source.put('public.posts', { id: 1, title: 'b' })
  expect(await lagging.ask()).toMatchObject({ state: 'fenced' })
  await clock.advance(5_001)
  expect(await lagging.ask()).toMatchObject({ state: 'fresh', value: 'b' })
  const outer = cache.define('outer', () => lagging())
  expect(await outer.ask()).toMatchObject({ state: 'fresh' })
})

test('what was computed from an answer that may lag is not kept either', async () => {
  const { cache, clock, source } = await bed()
  const lagging = cache.define('lagging', async ({ db }) => (await db.one('public.posts', { id: 1 }))?.title, {
    sourceLag: '5s',
  })
  await clock.advance(10_000)
  await lagging()
  await clock.advance(6_000)
  const outer = cache.define('outer', async () => lagging())
  source.put('public.posts', { id: 1, title: 'b' })
  expect(await outer.ask()).toMatchObject({ state: 'fenced' })
  expect(cache.explain('outer()').stored).toBe(false)
})

test("a cloned value that a loader embeds in its own is not the readers' to change", async () => {
  const { cache } = await bed()
  const inner = cache.define('inner', () => ({ a: 1 }), { static: true, values: 'cloned' })
  const outer = cache.define('outer', async () => ({ inner: await inner() }), { static: true })
  const a = await outer()
  const b = await inner()
  b.a = 2
  expect((await inner()).a).toBe(1)
  expect(a.inner.a).toBe(1)
})

test('a frozen value that a loader embeds in a cloned one stays as it was', async () => {
  const { cache } = await bed()
  const inner = cache.define('inner', () => ({ a: [1] }), { static: true })
  const outer = cache.define('outer', async () => ({ inner: await inner() }), { static: true, values: 'cloned' })
  const o = await outer()
  o.inner.a.push(2)
  expect(await inner()).toEqual({ a: [1] })
  expect(await outer()).toEqual({ inner: { a: [1] } })
})

test('reads that differ only in what rows are tested for are told apart', async () => {
  const { source, cache } = await bed()
  const titled = (value: string): RowsDependency => ({
    ...{ kind: 'rows', table: 'public.posts', columns: [], values: [], old: 'coarse' },
    test: {
      columns: ['title'],
      holds: {
        ...{ is: 'compared', operator: '=', order: 'text' },
        left: { of: 'column', column: 'title' },
        right: { of: 'constant', value },
      },
    },
  })
  const both = cache.define('both', () => {
    for (const value of ['a', 'b']) currentReading()?.depend(titled(value))
    return 1
  })
  for (const [id, title] of ['c', 'a', 'b'].entries()) {
    await both()
    source.put('public.posts', { id: id + 2, title })
    await cache.settled()
    expect(both.peek()).toBe(title === 'c' ? 1 : undefined)
  }
})
