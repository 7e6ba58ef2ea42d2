import { describe, expect, test } from 'vitest'
import type { Cache, CacheOptions, Invalidation } from '../cache.js'
import { createCache } from '../create.js'
import type { CacheEvents } from '../events.js'
import { Gate, ManualClock, rest } from '../testing/index.js'

// A pattern might reach too much or too little; a read or a fill might escape it while its sweep is under way; or the sweep might
// hold the event loop, never end, or go on when the cache is closed.

/** Time passes by each look at it, so that a slice of a sweep ends after a few steps. */
class SteppingClock extends ManualClock {
  lookMs = 0

  override now(): number {
    if (this.lookMs > 0) this.freeze(this.lookMs)
    return super.now()
  }
}

function bed(options: CacheOptions<object> = {}) {
  const clock = new SteppingClock()
  const cache = createCache({ clock, ...options })
  const swept: CacheEvents['swept'][] = []
  const applied: CacheEvents['applied'][] = []
  cache.on('swept', (event) => swept.push(event))
  cache.on('applied', (event) => applied.push(event))
  return { clock, cache, swept, applied }
}

async function fill(cache: Cache, keys: Iterable<string>): Promise<void> {
  for (const key of keys) await cache.get(key, () => key, { grace: '1h', ttl: '1d' })
}

function* users(count: number): Generator<string> {
  for (let i = 0; i < count; i++) yield `user:${i}:${i % 2 ? 'profile' : 'cart'}`
}

const isThere = (cache: Cache, keys: readonly string[]): boolean[] => keys.map((key) => cache.peek(key) !== undefined)

describe('what a pattern reaches', () => {
  const keys = ['user:1', 'user:12', 'user:1:cart', 'users', 'my:user:1', 'ü:1']

  test.each<[string, Invalidation['pattern'] & {}, readonly string[]]>([
    ['an exact key', 'user:1', ['user:1']],
    ['a beginning', 'user:*', ['user:1', 'user:12', 'user:1:cart']],
    ['an end', '*:1', ['user:1', 'my:user:1', 'ü:1']],
    ['both', 'user:*t', ['user:1:cart']],
    ['something between', '*ser*1*', ['user:1', 'user:12', 'user:1:cart', 'my:user:1']],
    ['one character', '?:1', ['ü:1']],
    ['a class', 'user:[0-9][0-9]', ['user:12']],
    ['a regular expression', { regex: '^user:\\d+$' }, ['user:1', 'user:12']],
    ['a regular expression anywhere', { regex: 'r:1$' }, ['user:1', 'my:user:1']],
    ['several', ['users', '*:cart', { regex: '^ü' }], ['user:1:cart', 'users', 'ü:1']],
    ['every key', '*', keys],
    ['nothing', 'nobody:*', []],
  ])('%s', async (_, pattern, gone) => {
    const { cache, applied } = bed()
    await fill(cache, keys)
    await cache.invalidate({ pattern })
    expect(isThere(cache, keys)).toEqual(keys.map((key) => !gone.includes(key)))
    expect(applied[0]).toMatchObject({ touched: gone.length, left: keys.length - gone.length })
    expect(applied[0]!.entries.map(({ key }) => key).sort()).toEqual([...gone].sort())
    expect(cache.counters.invalidated).toBe(gone.length)
  })

  test('keys of definitions, in every session', async () => {
    const { cache } = bed()
    const post = cache.define('post', (_, id: number) => id)
    const reader = cache.as({ role: 'reader' })
    await Promise.all([post(41), post(7), reader.in(post)(42), reader.in(post)(7)])
    await cache.invalidate({ pattern: 'post(4*' })
    expect([post.peek(41), post.peek(7)]).toEqual([undefined, 7])
    expect([reader.in(post).peek(42), reader.in(post).peek(7)]).toEqual([undefined, 7])
  })

  test('what was computed from a key that matches, also where that one was evicted', async () => {
    const { cache } = bed({ l1: { maxEntries: 1 } })
    const post = cache.define('post', (_, id: number) => id)
    const page = cache.define('page', async (_, id: number) => post(id))
    for (const pattern of ['post(4*', '*st(41)', { regex: 'st.41' }, '*os*4*']) {
      await page(41)
      expect([page.peek(41), post.peek(41)]).toEqual([41, undefined])
      await cache.invalidate({ pattern: 'post(5*' })
      await cache.invalidate({ pattern: '*(42)' })
      expect(page.peek(41)).toBe(41)
      await cache.invalidate({ pattern })
      expect(page.peek(41)).toBe(undefined)
    }
  })

  test('another tenant only through what was computed from its keys', async () => {
    const { cache } = bed()
    const acme = cache.tenant('acme')
    const rate = acme.define('rate', () => 1)
    await acme.get('plain', () => 1)
    await cache.get('plain', () => 1)
    await cache.get('price', () => rate())
    await acme.invalidate({ pattern: '*a*' })
    expect([acme.peek('plain'), cache.peek('plain'), cache.peek('price')]).toEqual([undefined, 1, undefined])
    await cache.get('price', () => rate())
    await acme.invalidate({ all: 'tenant' })
    expect([cache.peek('plain'), cache.peek('price')]).toEqual([1, undefined])
  })

  test('all of a tenant, or everything', async () => {
    const { cache } = bed()
    const acme = cache.tenant('acme')
    for (const each of [cache, acme]) await fill(each, users(3))
    await acme.invalidate({ all: 'tenant' })
    expect([cache.peek('user:1:profile'), acme.peek('user:1:profile')]).toEqual(['user:1:profile', undefined])
    await fill(acme, users(3))
    await cache.invalidate({ all: 'everything' })
    expect(cache.status().entries).toBe(0)
    await expect(acme.invalidate({ all: 'everything' })).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
  })

  test('keys that come and go, again and again, are found as they are then', async () => {
    const { cache } = bed({ l1: { maxEntries: 5 } })
    const post = cache.define('post', (_, id: number) => id)
    const page = cache.define('page', async (_, id: number) => post(id))
    for (let round = 0; round < 40; round++) {
      const id = round % 7
      await page(id)
      await post((round * 3) % 5)
      const pattern = [`post(${id}*`, `*t(${id})`, 'page*', '*ge(*)'][round % 4]!
      await cache.invalidate({ pattern })
      expect(page.peek(id)).toBe(undefined)
    }
  })
})

describe('fills', () => {
  test('one in flight whose key matches, or that read one that does, is not kept', async () => {
    const { cache } = bed()
    for (const pattern of ['user:*', '*:7', { regex: 'r:7' }, '*']) {
      const gate = new Gate()
      const inner = cache.get('user:7', () => gate.passed)
      const outer = cache.get('page', () => cache.get('user:7', () => 0))
      const other = cache.get('Other', () => gate.passed)
      await rest()
      await cache.invalidate({ pattern })
      gate.open()
      await Promise.all([inner, outer, other])
      expect(isThere(cache, ['user:7', 'page'])).toEqual([false, false])
      expect(cache.explain('Other').stored).toBe(pattern !== '*')
      await cache.invalidate({ all: 'everything' })
    }
  })

  test('who asks after a pattern gets no value of a load from before it', async () => {
    const { cache } = bed()
    const gate = new Gate()
    let version = 1
    const load = async (): Promise<number> => {
      const seen = version
      await gate.passed
      return seen
    }
    const early = cache.get('user:7', load)
    await rest()
    version = 2
    await cache.invalidate({ pattern: 'user:*' })
    const late = cache.get('user:7', load)
    gate.open()
    expect(await late).toBe(2)
    await early
    expect(cache.peek('user:7')).toBe(2)
  })
})

describe('a sweep in slices', () => {
  async function sweeping(invalidation: Invalidation, count = 100) {
    const made = bed()
    await fill(made.cache, users(count))
    made.clock.lookMs = 3
    await made.cache.invalidate(invalidation)
    made.clock.lookMs = 0
    return made
  }
  const WIDE = [
    { pattern: 'user:*' },
    { pattern: '*' },
    { pattern: '*s*' },
    { all: 'everything' },
  ] satisfies Invalidation[]

  test.each(WIDE)('%j: nothing that it has not come to is found, and what is stored meanwhile stays', async (named) => {
    const { cache, clock, swept, applied } = await sweeping(named)
    expect(swept).toEqual([])
    expect(applied[0]!.touched).toBeLessThan(10)
    // In every way of asking.
    const late = ['user:70:cart', 'user:80:cart', 'user:90:cart', 'user:99:profile'] as const
    expect(cache.peek(late[0])).toBe(undefined)
    expect(await cache.ask(late[1], () => 'new')).toMatchObject({ value: 'new', from: 'source', state: 'fresh' })
    expect(cache.explain(late[2])).toMatchObject({ stored: false })
    expect(await cache.get('page', () => cache.get(late[3], () => 'inner'))).toBe('inner')
    await fill(cache, ['user:1:profile', 'user:new'])
    await clock.advance(1_000)
    expect(cache.status().entries).toBe(5)
    expect(isThere(cache, [late[1], late[3], 'page', 'user:1:profile', 'user:new'])).toEqual(Array(5).fill(true))
    expect(swept).toMatchObject([{ touched: 100, mode: 'drop' }])
    expect(swept[0]!.entries).toHaveLength(100)
    expect(cache.counters.invalidated).toBe(100)
    expect(clock.timers).toBe(0)
  })

  test('expire: a read gets the stale value by grace, expired since the change, and the refill stays', async () => {
    const { cache, clock, swept } = await sweeping({ pattern: 'user:*', mode: 'expire' })
    await clock.advance(0)
    const options = { grace: '1h', ttl: '1d' } as const
    const key = 'user:98:cart'
    expect(cache.peek(key)).toBe(undefined)
    expect(await cache.ask(key, () => 'new', options)).toMatchObject({ value: key, state: 'stale' })
    await rest()
    expect(cache.peek(key)).toBe('new')
    await clock.advance(1_000)
    expect(cache.peek(key)).toBe('new')
    expect(cache.status().entries).toBe(100)
    expect(swept).toMatchObject([{ touched: 100, mode: 'expire' }])
    // Once only, however often it was looked at.
    await cache.invalidate({ pattern: 'user:*', mode: 'expire' })
    expect(cache.counters.invalidated).toBe(101)
  })

  test('few entries go at once, and are told of with the change, though the turn is over meanwhile', async () => {
    const { cache, clock, applied, swept } = bed()
    await fill(cache, users(50))
    clock.lookMs = 0.3
    await cache.invalidate({ pattern: '*e*' })
    expect(applied).toMatchObject([{ touched: 50, sweeping: 0 }])
    expect(swept).toEqual([])
  })

  test('who watches is told first', async () => {
    const { cache, clock } = bed()
    await fill(cache, users(100))
    let version = 1
    const watch = cache.watch('user:late', () => version)
    expect((await watch.next()).value).toBe(1)
    version = 2
    // Two steps in a slice.
    clock.lookMs = 0.3
    await cache.invalidate({ pattern: '*e*' })
    clock.lookMs = 0
    expect((await watch.next()).value).toBe(2)
    await watch.return!()
  })

  test('many at once hold at once, and are worked off one after the other', async () => {
    const { cache, clock, swept } = bed()
    await fill(cache, users(60))
    clock.lookMs = 3
    const asked = Promise.all(Array.from({ length: 30 }, (_, i) => cache.invalidate({ pattern: { regex: `:${i}:` } })))
    await asked
    clock.lookMs = 0
    expect(isThere(cache, [...users(60)])).toEqual(Array.from({ length: 60 }, (_, i) => i >= 30))
    await clock.advance(10_000)
    expect(swept.length).toBeGreaterThan(0)
    expect(clock.timers).toBe(0)
    expect(cache.status().entries).toBe(30)
  })

  test('a read that many of them may mean is not held up: what would take too long to say counts as meant', async () => {
    const { cache, clock } = bed()
    // Only RE2 reads it: 84 instructions for each of 1,000 characters: less than a match may take, and twelve in a row hold up everybody.
    const long = 'x'.repeat(1_000)
    await fill(cache, [...users(200), long, 'short'])
    clock.lookMs = 3
    await Promise.all(
      Array.from({ length: 12 }, (_, i) => cache.invalidate({ pattern: { regex: `(?i)(x?){20}y${i}` } })),
    )
    clock.lookMs = 0
    expect(cache.counters.coarse.pattern ?? 0).toBe(0)
    expect(isThere(cache, ['short', long])).toEqual([true, false])
    expect(cache.counters.coarse.pattern).toBeGreaterThan(0)
    await clock.advance(60_000)
    expect(cache.status().entries).toBe(201)
  })

  test('a wider one ends those before it', async () => {
    const { cache, clock, swept } = bed()
    await fill(cache, users(60))
    clock.lookMs = 3
    for (const regex of ['a', 'b', 'c']) await cache.invalidate({ pattern: { regex } })
    await cache.invalidate({ all: 'tenant' })
    clock.lookMs = 0
    expect(swept.length).toBe(3)
    await clock.advance(10_000)
    expect(cache.status().entries).toBe(0)
  })

  test('more than there is room for count for the whole tenant, and are counted', async () => {
    const { cache, clock } = bed({ patterns: { maxCount: 2_000 } })
    await fill(cache, [...users(50), 'other'])
    clock.lookMs = 3
    const pattern = Array.from({ length: 1_100 }, (_, i) => ({ regex: `nobody${i}` }))
    await cache.invalidate({ pattern })
    expect(cache.peek('other')).toBe(undefined)
    clock.lookMs = 0
    expect(cache.counters.coarse.sweeps).toBeGreaterThan(0)
    await clock.advance(60_000)
    expect(cache.status().entries).toBe(0)
  })

  test('ends when the cache is closed, or the log is taken up anew', async () => {
    const { cache, clock } = await sweeping({ pattern: '*e*' })
    expect(clock.timers).toBe(1)
    await cache.close()
    expect(clock.timers).toBe(0)
  })
})

describe('what is refused', () => {
  test.each<[Invalidation['pattern'] & {}, string, object]>([
    ['user:[', 'TIDEMARK_PATTERN', { position: 5 }],
    ['', 'TIDEMARK_PATTERN', { position: 0 }],
    ['x'.repeat(1_025), 'TIDEMARK_PATTERN', { position: 1_024 }],
    [{ regex: 'a(?=b)' }, 'TIDEMARK_PATTERN', { position: 1 }],
    [{ regex: '(?:a{100}){9}' }, 'TIDEMARK_PATTERN', { position: 0 }],
    [Array(101).fill('a*'), 'TIDEMARK_OPTION', {}],
    [/a/ as never, 'TIDEMARK_OPTION', {}],
    [7 as never, 'TIDEMARK_OPTION', {}],
    [[null as never], 'TIDEMARK_OPTION', {}],
  ])('%j', async (pattern, code, more) => {
    const { cache, applied } = bed()
    await expect(cache.invalidate({ pattern })).rejects.toMatchObject({ code, ...more })
    await expect(cache.preview({ pattern })).rejects.toMatchObject({ code, ...more })
    await expect(cache.count({ pattern })).rejects.toMatchObject({ code, ...more })
    expect(applied).toEqual([])
  })

  test('limits are options', async () => {
    const { cache } = bed({ patterns: { maxLength: 5, maxCount: 1 } })
    await expect(cache.invalidate({ pattern: 'user:*' })).rejects.toMatchObject({ code: 'TIDEMARK_PATTERN' })
    await expect(cache.invalidate({ pattern: ['a*', 'b*'] })).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
    await cache.invalidate({ pattern: 'user*' })
  })
})

describe('preview', () => {
  test('counts what is named and what goes along, and changes nothing', async () => {
    const { cache } = bed()
    const post = cache.define('post', (_, id: number) => id, { tags: ['posts'] })
    const page = cache.define('page', async (_, id: number) => (await post(id)) + (await post(id + 1)))
    await Promise.all([page(1), page(7), cache.get('other', () => 1), cache.tenant('acme').in(post)(1)])
    const both = {
      count: 2,
      sample: ['post(1)', 'post(2)'],
      dependents: 1,
      dependentSample: ['page(1)'],
      refill: { loads: 3, sourceMs: 0, unmeasured: 0 },
    }
    const sorted = async (named: Parameters<Cache['preview']>[0]) => {
      const found = await cache.preview(named)
      const { count, sample } = found
      expect(await cache.count(named)).toMatchObject({ count, sample })
      return { ...found, sample: [...found.sample].sort() }
    }
    expect(await sorted({ pattern: ['post(1)', { regex: 't.2' }] })).toEqual(both)
    expect(await sorted({ pattern: 'post([12])' })).toEqual(both)
    expect(await sorted({ keys: ['post(1)', 'post(2)'] })).toEqual(both)
    // Of tags, what was computed from the tagged has the tag too.
    expect(await sorted({ tags: ['posts'] })).toMatchObject({ count: 6, dependents: 0 })
    expect(await sorted({ all: 'tenant' })).toMatchObject({ count: 7, dependents: 0 })
    expect(await sorted({ all: 'everything' })).toMatchObject({ count: 8, dependents: 0 })
    expect(await sorted({ pattern: 'nobody*' })).toMatchObject({
      count: 0,
      sample: [],
      dependents: 0,
      dependentSample: [],
    })
    expect(await sorted({})).toMatchObject({ count: 0 })
    expect(cache.status().entries).toBe(8)
    await cache.invalidate({ pattern: 'post([12])' })
    expect(cache.counters.invalidated).toBe(3)
  })

  test('goes in slices, ends when it is told to, and does not count what a sweep has yet to come to', async () => {
    const { cache, clock } = bed()
    await fill(cache, users(100))
    clock.lookMs = 3
    const stop = new AbortController()
    const asked = cache.preview({ pattern: '*s*', signal: stop.signal })
    stop.abort(new Error('enough'))
    const error = asked.catch((reason: unknown) => reason)
    await clock.advance(0)
    expect(await error).toMatchObject({ message: 'enough' })
    const whole = cache.preview({ pattern: '*s*' })
    await clock.advance(2_000)
    expect(await whole).toMatchObject({ count: 100 })
    await cache.invalidate({ pattern: 'user:1*' })
    const rest = cache.preview({ pattern: '*s*' })
    await clock.advance(2_000)
    expect(await rest).toMatchObject({ count: 89 })
    clock.lookMs = 0
    expect(await cache.count({ pattern: '*s*' })).toMatchObject({ count: 89 })
  })
})
