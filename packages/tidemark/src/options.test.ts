import { describe, expect, test, vi } from 'vitest'
import { createCache } from './create.js'
import { milliseconds } from './duration.js'
import { FakeSource, ManualClock, rest } from './testing/index.js'

const refused = expect.objectContaining({ code: 'TIDEMARK_OPTION' })
const load = () => 1

describe('durations', () => {
  test('are ms, or a number with a unit', () => {
    const cases = {
      '0ms': 0,
      '250ms': 250,
      '30s': 30_000,
      '1.5s': 1_500,
      '5m': 300_000,
      '1h': 3_600_000,
      '7d': 604_800_000,
    } as const
    for (const [text, ms] of Object.entries(cases)) expect(milliseconds(text as keyof typeof cases, 'ttl')).toBe(ms)
    expect(milliseconds(12.5, 'ttl')).toBe(12.5)
    expect(milliseconds(Number.POSITIVE_INFINITY, 'ttl')).toBe(Number.POSITIVE_INFINITY)
  })

  test('that are anything else are refused, with the name of the option', () => {
    const wrong: unknown[] = [
      '',
      '5',
      '5 s',
      '-5s',
      '5S',
      's',
      '1e3s',
      '5s ',
      '٣s',
      'Infinity',
      -1,
      Number.NaN,
      null,
      {},
      [],
      true,
      5n,
    ]
    for (const value of wrong)
      expect(() => milliseconds(value as number, 'softTimeout'), String(value)).toThrow(
        /softTimeout must be a duration/,
      )
  })
})

describe('options', () => {
  test('of createCache are checked, with what they may be', () => {
    const wrong: object[] = [
      { sorce: undefined },
      { l1: { maxEntries: 0 } },
      { l1: { maxEntries: 1.5 } },
      { l1: { maxBytes: '1 GB' } },
      { l1: { max: 5 } },
      { l1: null },
      { maxSilence: 'long' },
      { waitMax: -1 },
      { proofWait: Number.NaN },
      { ringMax: 0 },
      { ringRowsMax: -1 },
      { watchMax: 0.5 },
      { defaults: { tll: '5s' } },
      { defaults: { minPosition: '0/1' } },
      { defaults: 5 },
      { source: 'postgres://localhost' },
      { source: null },
    ]
    for (const options of wrong) expect(() => createCache(options), JSON.stringify(options)).toThrow(refused)
  })

  test('of entries are checked where they are given', async () => {
    const cache = createCache()
    const wrong: object[] = [
      { tll: '5s' },
      { ttl: 'x' },
      { ttl: -1 },
      { jitter: 1 },
      { jitter: -0.1 },
      { jitter: '10%' },
      { earlyRefresh: 1 },
      { earlyRefresh: 2 },
      { grace: 'x' },
      { grace: { refil: '1h' } },
      { grace: { failure: 'x' } },
      { grace: null },
      { softTimeout: 'x' },
      { hardTimeout: 'x' },
      { tags: 'a' },
      { tags: [''] },
      { tags: [1] },
      { tags: ['x'.repeat(1_025)] },
      { tags: Array.from({ length: 1_001 }, String) },
      { static: 'yes' },
      { sourceLag: 'x' },
      { values: 'shared' },
    ]
    for (const options of wrong) {
      expect(() => cache.define('post', load, options), JSON.stringify(options)).toThrow(refused)
      await expect(cache.get('k', load, options), JSON.stringify(options)).rejects.toEqual(refused)
      expect(() => cache.watch('k', load, options), JSON.stringify(options)).toThrow(refused)
    }
    for (const options of [{ minPosition: '0/1' }, { signal: AbortSignal.abort() }, { waitMax: '1s' }])
      expect(() => cache.define('post', load, options as object), 'of one call').toThrow(refused)
    // None of them took the name.
    expect(cache.define('post', load)).toBeTypeOf('function')
    await cache.close()
  })

  test('of one definition do not reach another, and defaults reach all', async () => {
    const clock = new ManualClock()
    const cache = createCache({ clock, defaults: { ttl: '10s', tags: ['all'] } })
    const [plain, own] = [cache.define('plain', load), cache.define('own', load, { ttl: '20s' })]
    await Promise.all([plain(), own(), cache.get('k', load), cache.get('l', load, { ttl: '30s', tags: [] })])
    const wall = clock.wall()
    const left = ['plain()', 'own()', 'k', 'l'].map((key) => cache.explain(key).expiresAt! - wall)
    expect(left).toEqual([10_000, 20_000, 10_000, 30_000])
    await cache.invalidate({ tags: ['all'] })
    expect([plain.peek(), own.peek(), cache.peek('k'), cache.peek('l')]).toEqual([undefined, undefined, undefined, 1])
  })

  test('stay what they were when they were given', async () => {
    const cache = createCache()
    const tags = ['a']
    const post = cache.define('post', load, { tags })
    tags[0] = 'b'
    await post()
    await cache.invalidate({ tags: ['b'] })
    expect(post.peek()).toBe(1)
    const options = { ttl: 5, tags: ['x'] }
    await cache.get('k', load, options)
    options.tags = ['y']
    await cache.get('l', load, options)
    await cache.invalidate({ tags: ['x'] })
    expect([cache.peek('k'), cache.peek('l')].filter((value) => value !== undefined).length).toBeLessThanOrEqual(1)
    expect(cache.explain('l').dependencies).toEqual([{ kind: 'tag', tenant: 'default', tag: 'y' }])
  })

  test('tags of a loader are checked like those of options', async () => {
    const cache = createCache()
    for (const tag of ['', 7, 'x'.repeat(1_025)])
      await expect(cache.get('k', (context) => context.tag(tag as string))).rejects.toEqual(refused)
  })
})

describe('definitions', () => {
  test('have names of their own', () => {
    const cache = createCache()
    cache.define('post', load)
    expect(() => cache.define('post', load)).toThrow(expect.objectContaining({ code: 'TIDEMARK_DEFINED' }))
    expect(() => cache.tenant('acme').define('post', load)).toThrow(
      expect.objectContaining({ code: 'TIDEMARK_DEFINED' }),
    )
    for (const name of ['', ' x', 'a(b', 'a)', 'a\nb', 'x'.repeat(257), 7, undefined])
      expect(() => cache.define(name as string, load), String(name)).toThrow(refused)
    expect(() => cache.define('no loader', undefined as unknown as typeof load)).toThrow(refused)
    expect(cache.define('x'.repeat(256), load).name).toBe('x'.repeat(256))
  })

  test('of another cache are refused by in()', () => {
    const [a, b] = [createCache(), createCache()]
    expect(() => b.in(a.define('post', load))).toThrow(refused)
    expect(() => b.in(load as never)).toThrow(refused)
  })

  test('get() needs a loader', async () => {
    await expect(createCache().get('k', undefined as unknown as typeof load)).rejects.toEqual(refused)
  })
})

describe('expiry', () => {
  function bed() {
    const clock = new ManualClock()
    return { clock, cache: createCache({ clock }) }
  }

  test('by ttl: fresh up to it, gone at it', async () => {
    const { clock, cache } = bed()
    await cache.get('k', load, { ttl: '10s' })
    await clock.advance(9_999)
    expect(cache.peek('k')).toBe(1)
    await clock.advance(1)
    expect(cache.peek('k')).toBe(undefined)
    expect(cache.explain('k')).toMatchObject({ stored: true, state: 'expired' })
    await cache.get('k', load, { ttl: '10s' })
    expect(cache.counters.loads).toBe(2)
  })

  test('with jitter: taken off ttl at random, never added, within its bound', async () => {
    const { clock, cache } = bed()
    clock.chances = [0, 0.25, 0.999_999]
    for (const key of ['none', 'quarter', 'most']) await cache.get(key, load, { ttl: 10_000, jitter: 0.4 })
    const wall = clock.wall()
    const left = ['none', 'quarter', 'most'].map((key) => cache.explain(key).expiresAt! - wall)
    expect(left).toEqual([10_000, 9_000, 6_000])
  })

  test('early refresh: a hit late in its life loads again behind the reader, once', async () => {
    const { clock, cache } = bed()
    let version = 0
    const post = cache.define('post', () => ++version, { ttl: '10s', earlyRefresh: 0.8 })
    expect(await post()).toBe(1)
    await clock.advance(7_999)
    expect(await post()).toBe(1)
    await rest()
    expect(version).toBe(1)
    await clock.advance(1)
    expect(await Promise.all([post(), post(), post.ask().then(({ value }) => value)])).toEqual([1, 1, 1])
    await rest()
    expect(version).toBe(2)
    expect(post.peek()).toBe(2)
    await clock.advance(9_999)
    expect(post.peek()).toBe(2)
  })

  test('early refresh that fails leaves the entry for the rest of its life', async () => {
    const { clock, cache } = bed()
    let isDown = false
    const post = cache.define('post', () => (isDown ? Promise.reject(new Error('down')) : 1), {
      ttl: '10s',
      earlyRefresh: 0.5,
    })
    await post()
    isDown = true
    await clock.advance(6_000)
    expect(await post()).toBe(1)
    await rest()
    expect(cache.counters.loadErrors).toBe(1)
    expect(post.peek()).toBe(1)
    await clock.advance(4_000)
    await expect(post()).rejects.toThrow('down')
  })

  test('an early refresh that a change overtook is not kept', async () => {
    const { clock, cache } = bed()
    let version = 1
    let open: () => void = () => undefined
    const post = cache.define(
      'post',
      async () => {
        const read = version
        if (cache.counters.loads === 2) await new Promise<void>((resolve) => (open = resolve))
        return read
      },
      { ttl: '10s', earlyRefresh: 0.5, tags: ['t'] },
    )
    await post()
    await clock.advance(6_000)
    await post()
    await rest()
    version = 2
    await cache.invalidate({ tags: ['t'] })
    open()
    await rest()
    expect(post.peek()).toBe(undefined)
    expect(await post()).toBe(2)
  })

  test('by default: none where a source is followed or none is there, unfollowedTtlMs where it is not followed', async () => {
    const source = new FakeSource()
    const unfollowed = {
      id: 'unfollowed',
      unfollowedTtlMs: 30_000,
      context: () => ({}),
      openLog: () => undefined,
      close: vi.fn(),
    }
    const caches = [
      createCache({ clock: new ManualClock() }),
      createCache({ source, clock: new ManualClock() }),
      createCache({ source: unfollowed, clock: new ManualClock() }),
    ]
    const expiries = []
    for (const cache of caches) {
      await cache.settled()
      const { filledAt } = await cache.ask('k', load, { tags: ['t'] })
      const { expiresAt } = cache.explain('k')
      expiries.push(expiresAt && expiresAt - filledAt)
      await cache.close()
    }
    expect(expiries).toEqual([undefined, undefined, 30_000])
    expect(unfollowed.close).toHaveBeenCalledOnce()
  })

  test('a source that is not followed says so in status, and takes invalidations', async () => {
    const source = {
      id: 'off',
      unfollowedTtlMs: 30_000,
      context: () => ({}),
      openLog: () => undefined,
      close: async () => undefined,
    }
    const cache = createCache({ source })
    expect(cache.status()).toMatchObject({
      log: { state: 'off', reason: expect.stringContaining('not followed') },
      current: true,
    })
    await cache.get('k', load, { tags: ['t'] })
    await cache.invalidate({ tags: ['t'] })
    expect(cache.peek('k')).toBe(undefined)
    await cache.close()
  })
})
