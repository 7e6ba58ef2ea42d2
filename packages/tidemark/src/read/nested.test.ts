import { describe, expect, test } from 'vitest'
import { createCache } from '../create.js'
import { FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

// What an outer entry was computed from might be lost: at eviction of the inner, by its expiry, by an answer that was not kept,
// or by a call that ran in another tenant or session than its caller.

function bed(l1: { maxEntries?: number } = {}) {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock, l1 })
  source.put('public.posts', { id: 1, title: 'a' })
  const post = cache.define('post', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
  const page = cache.define('page', async (_, id: number) => `<h1>${await post(id)}</h1>`)
  return { clock, source, log: source.log, cache, post, page }
}

describe('an entry computed from another', () => {
  test('takes over its key and all its dependencies, whether it was loaded, joined or found', async () => {
    const { cache, post } = bed()
    await cache.settled()
    const loaded = cache.define('loaded', () => post(1))
    const found = cache.define('found', () => post(1))
    const peeked = cache.define('peeked', () => post.peek(1))
    await Promise.all([loaded(), post(1)])
    await found()
    await peeked()
    const expected = [
      { kind: 'key', tenant: 'default', key: 'post(1)' },
      { kind: 'rows', table: 'public.posts', columns: ['id'], values: ['1'], old: 'coarse' },
    ]
    for (const key of ['loaded()', 'found()', 'peeked()']) {
      expect(cache.explain(key), key).toMatchObject({ stored: true })
      expect(new Set(cache.explain(key).dependencies), key).toEqual(new Set(expected))
    }
  })

  test('is dropped with the row, though the inner entry was evicted long ago', async () => {
    const { cache, source, post, page } = bed({ maxEntries: 2 })
    await cache.settled()
    expect(await page(1)).toBe('<h1>a</h1>')
    // Only the outer entry is read, so that the inner one leaves.
    for (let id = 100; id < 110; id++) {
      expect(page.peek(1)).toBeDefined()
      await cache.get(`filler:${id}`, () => id, { static: true })
    }
    expect(post.peek(1)).toBe(undefined)
    source.put('public.posts', { id: 1, title: 'b' })
    expect(page.peek(1)).toBe(undefined)
    expect(await page(1)).toBe('<h1>b</h1>')
  })

  test('is dropped with the key of the inner entry, though that is not stored any more', async () => {
    const { cache, post, page } = bed()
    await cache.settled()
    await page(1)
    const outerOnly = cache.define('outer', () => page(1))
    await outerOnly()
    await cache.invalidate({ keys: ['post(1)'] })
    expect(post.peek(1)).toBe(undefined)
    expect(page.peek(1)).toBe(undefined)
    expect(outerOnly.peek()).toBe(undefined)
  })

  test('is dropped with a tag that only the innermost entry has', async () => {
    const { cache } = bed()
    await cache.settled()
    const inner = cache.define('inner', ({ tag }) => {
      tag('deep')
      return 1
    })
    const middle = cache.define('middle', () => inner())
    const outer = cache.define('outer', () => middle())
    await outer()
    await cache.invalidate({ tags: ['deep'] })
    expect(outer.peek()).toBe(undefined)
    expect(middle.peek()).toBe(undefined)
  })

  test('expires no later than the inner one, whether that was loaded or found', async () => {
    const { cache, clock } = bed()
    await cache.settled()
    const inner = cache.define('inner', () => 1, { ttl: '60s' })
    const early = cache.define('early', () => inner())
    const late = cache.define('late', () => inner(), { ttl: '1h' })
    await early()
    await clock.advance(40_000)
    await late()
    const { expiresAt } = cache.explain('inner()')
    expect(cache.explain('early()').expiresAt).toBeLessThanOrEqual(expiresAt!)
    expect(cache.explain('late()').expiresAt).toBeLessThanOrEqual(expiresAt!)
    await clock.advance(20_000)
    expect(early.peek()).toBe(undefined)
    expect(late.peek()).toBe(undefined)
  })

  test('of what is stale is stale, and is not kept', async () => {
    const { cache, clock } = bed()
    await cache.settled()
    let gate: Gate | undefined
    const inner = cache.define('inner', async () => gate?.passed, { ttl: '60s', grace: '1h' })
    const outer = cache.define('outer', async () => ({ inner: await inner() }))
    await outer()
    await clock.advance(60_000)
    gate = new Gate()
    expect(await outer.ask()).toMatchObject({ state: 'stale', from: 'source' })
    expect(cache.explain('outer()')).toMatchObject({ state: 'expired' })
    expect(cache.counters.notKept).toEqual({ nested: 1 })
    gate.open()
    await rest()
    expect(await outer.ask()).toMatchObject({ state: 'fresh' })
  })

  test('of what is stale is not kept, though what it was computed from is dropped before the loader goes on', async () => {
    const { clock, source, cache } = bed()
    await cache.settled()
    const graced = cache.define('graced', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title, {
      ttl: '1s',
      grace: '1h',
    })
    const outer = cache.define('outer', async ({ db }) => {
      await db.one('public.posts', { id: 2 })
      const inner = graced(1)
      // The answer stands, but the loader has it only when this code has ended.
      source.put('public.posts', { id: 1, title: 'b' })
      return inner
    })
    await graced(1)
    await clock.advance(1_001)
    const { value, state } = await outer.ask()
    expect({ value, state }).not.toEqual({ value: 'a', state: 'fresh' })
    expect(outer.peek()).not.toBe('a')
  })

  test('of what is stale is fenced, where something else that it read may lack a change that was applied', async () => {
    const { cache, clock, source } = bed()
    await cache.settled()
    const inner = cache.define('inner', async () => gate?.passed, { ttl: '60s', grace: '1h' })
    const row = cache.define('row', ({ db }) => db.one('public.posts', { id: 1 }))
    const own = cache.define('own', async ({ db }) => [await inner(), await db.one('public.posts', { id: 1 })])
    const nested = cache.define('nested', async () => [await inner(), await row()])
    const unknown = cache.define('unknown', () => 'read elsewhere')
    const mixed = cache.define('mixed', async () => [await inner(), await unknown()])
    let gate: Gate | undefined
    await inner()
    await clock.advance(60_000)
    gate = new Gate()
    expect(await own.ask()).toMatchObject({ state: 'stale' })
    expect(await nested.ask()).toMatchObject({ state: 'stale' })
    expect(await mixed.ask()).toMatchObject({ state: 'fenced' })
    // Applied, and no snapshot shows it yet: what is loaded now may be from before it.
    source.log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'b' })
    source.log.deliver()
    expect(await own.ask()).toMatchObject({ state: 'fenced' })
    const read = nested.ask()
    await clock.advance(10_000)
    expect(await read).toMatchObject({ state: 'fenced' })
    gate.open()
    await cache.close()
  })

  test('of what an invalidation made expire is stale at once, before that is proven', async () => {
    const { cache, source } = bed()
    await cache.settled()
    const inner = cache.define('inner', async () => gate?.passed, { static: true, grace: '1h' })
    const outer = cache.define('outer', async () => [await inner()])
    let gate: Gate | undefined
    await inner()
    gate = new Gate()
    source.log.isAutomatic = false
    void cache.invalidate({ keys: ['inner()'], mode: 'expire' })
    await rest()
    source.log.deliver()
    expect(await inner.ask()).toMatchObject({ state: 'stale' })
    expect(await outer.ask()).toMatchObject({ state: 'stale' })
    gate.open()
    await cache.close()
  })

  test('of what is fenced is fenced, and is not kept, through any number of levels', async () => {
    const { cache } = bed()
    await cache.settled()
    const unknown = cache.define('unknown', () => 'read elsewhere')
    const middle = cache.define('middle', () => unknown(), { ttl: '1h' })
    const outer = cache.define('outer', () => middle(), { tags: ['x'], static: true })
    expect(await outer.ask()).toMatchObject({ state: 'fenced', asOf: undefined })
    expect(cache.explain('outer()')).toMatchObject({ stored: false, notKept: 'nested' })
    expect(cache.explain('middle()')).toMatchObject({ stored: false, notKept: 'nested' })
    expect(cache.explain('unknown()')).toMatchObject({ stored: false, notKept: 'no-dependency' })
  })

  test('of a peek that found nothing is fenced: no change would tell when it finds something', async () => {
    const { cache, post } = bed()
    await cache.settled()
    const hopeful = cache.define('hopeful', () => post.peek(1) ?? 'nothing', { tags: ['x'], ttl: '1h' })
    expect(await hopeful.ask()).toMatchObject({ value: 'nothing', state: 'fenced' })
    expect(cache.explain('hopeful()').notKept).toBe('peeked')
    const byKey = cache.define('byKey', () => cache.peek('no such key') ?? 'nothing', { ttl: '1h' })
    expect(await byKey.ask()).toMatchObject({ state: 'fenced' })
    await post(1)
    expect(await hopeful.ask()).toMatchObject({ value: 'a', state: 'fresh' })
  })

  test('whose inner load failed, and which got over that, is kept by what else it read', async () => {
    const { cache, source } = bed()
    await cache.settled()
    const broken = cache.define('broken', () => Promise.reject(new Error('broken')))
    const outer = cache.define('outer', async ({ db }) => {
      const row = await db.one('public.posts', { id: 1 })
      return broken().catch(() => row?.title)
    })
    expect(await outer.ask()).toMatchObject({ value: 'a', state: 'fresh' })
    source.put('public.posts', { id: 1, title: 'b' })
    expect(await outer()).toBe('b')
  })

  test('is not kept if a change overtook the inner one between the two', async () => {
    const { cache, source, post } = bed()
    await cache.settled()
    const gate = new Gate()
    const slow = cache.define('slow', async () => {
      const title = await post(1)
      await gate.passed
      return title
    })
    const before = slow.ask()
    await rest()
    expect(post.peek(1)).toBe('a')
    source.put('public.posts', { id: 1, title: 'b' })
    const after = slow.ask()
    gate.open()
    expect((await before).value).toBe('a')
    expect(await after).toMatchObject({ value: 'b', state: 'fresh' })
    expect(slow.peek()).toBe('b')
  })

  test('what a loader reads after it ended belongs to nobody', async () => {
    const { cache, post } = bed()
    await cache.settled()
    const gate = new Gate()
    let later: Promise<unknown> | undefined
    const hasty = cache.define(
      'hasty',
      () => {
        later = gate.passed.then(() => post(1))
        return 'done'
      },
      { static: true },
    )
    await hasty()
    gate.open()
    expect(await later).toBe('a')
    expect(cache.explain('hasty()').dependencies).toEqual([])
  })
})

describe('calls in a loader', () => {
  test('inherit its tenant and session, at every level, for definitions, get, peek and tags', async () => {
    const source = new FakeSource()
    const seen: unknown[] = []
    const context = source.context.bind(source)
    source.context = (reading) => {
      seen.push({ tenant: reading.tenant, session: reading.session })
      return context(reading)
    }
    const cache = createCache({ source, clock: new ManualClock() })
    await cache.settled()
    const inner = cache.define('inner', ({ tenant, tag }) => {
      tag('mine')
      return `inner of ${tenant}`
    })
    const outer = cache.define('outer', async () => [
      await inner(),
      await cache.get('plain', ({ tenant }) => tenant, { static: true }),
    ])
    const session = { role: 'reader', settings: { 'app.user': '7' }, timeZone: 'UTC' }
    const acme = cache.tenant('acme').as(session)
    expect(await acme.in(outer)()).toEqual(['inner of acme', 'acme'])
    expect(seen).toHaveLength(3)
    for (const each of seen) expect(each).toEqual({ tenant: 'acme', session })
    expect(acme.peek('plain')).toBe('acme')
    expect(cache.peek('plain')).toBe(undefined)
    expect(inner.peek()).toBe(undefined)
    expect(acme.in(inner).peek()).toBe('inner of acme')

    await cache.invalidate({ tags: ['mine'] })
    expect(acme.in(outer).peek()).toBeDefined()
    await acme.invalidate({ tags: ['mine'] })
    expect(acme.in(outer).peek()).toBe(undefined)
  })

  test('of a view that was chosen go to that view, and what was read there drops the entry', async () => {
    const { cache } = bed()
    await cache.settled()
    const shared = cache.tenant('shared')
    const settings = shared.define('settings', ({ tenant, tag }) => {
      tag('settings')
      return tenant
    })
    const header = cache.define('header', () => settings())
    const acme = cache.tenant('acme')
    expect(await acme.in(header)()).toBe('shared')
    await acme.invalidate({ tags: ['settings'] })
    expect(acme.in(header).peek()).toBe('shared')
    await shared.invalidate({ tags: ['settings'] })
    expect(acme.in(header).peek()).toBe(undefined)
  })

  test('do not mix loaders that run at the same time', async () => {
    const { cache } = bed()
    await cache.settled()
    const who = cache.define(
      'who',
      async ({ tenant }) => {
        await rest()
        return tenant
      },
      { static: true },
    )
    const outer = cache.define('outer', async ({ tenant }) => {
      await rest()
      const inner = await who()
      await rest()
      return `${tenant}:${inner}`
    })
    const tenants = ['a', 'b', 'c', 'd']
    const values = await Promise.all(tenants.map((tenant) => cache.tenant(tenant).in(outer)()))
    expect(values).toEqual(['a:a', 'b:b', 'c:c', 'd:d'])
  })
})
