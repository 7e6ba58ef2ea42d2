import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Cache, KeysQuery } from './cache.js'
import { createCache } from './create.js'
import { ManualClock } from './testing/index.js'

// A page might lack a key, have one twice, tell another tenant's, or lose its place as keys come and go.

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 100)

async function all(cache: Cache, query: KeysQuery): Promise<string[]> {
  const keys: string[] = []
  for (let after: string | undefined, pages = 0; pages < 1_000; pages++) {
    const page = await cache.keys({ ...query, ...(after === undefined ? {} : { after }) })
    expect(page.keys.length).toBeLessThanOrEqual(query.limit ?? 50)
    keys.push(...page.keys.map(({ key }) => key))
    if (page.next === undefined) return keys
    after = page.next
  }
  throw new Error('The pages do not end.')
}

describe('keys', () => {
  test('are told with what is known of each, fifty a page', async () => {
    const clock = new ManualClock()
    const cache = createCache({ clock })
    const post = cache.define('post', (_, id: number) => id, { ttl: '1m', tags: ['posts'] })
    await Promise.all(Array.from({ length: 60 }, (_, id) => post(id)))
    await cache.get('plain', () => 'x'.repeat(1_000))
    const page = await cache.keys()
    expect(page.keys).toHaveLength(50)
    expect(page.keys[0]).toEqual({
      key: 'plain',
      definition: undefined,
      state: 'fresh',
      bytes: expect.any(Number),
      position: expect.any(String),
      filledAt: clock.wall(),
      expiresAt: undefined,
      tags: [],
    })
    expect(page.keys[1]).toMatchObject({
      key: 'post(0)',
      definition: 'post',
      tags: ['posts'],
      expiresAt: clock.wall() + 60_000,
    })
    expect((await cache.keys({ after: page.next! })).keys).toHaveLength(11)
    expect((await cache.keys({ sort: 'size', descending: true, limit: 1 })).keys[0]!.key).toBe('plain')
    await clock.advance(60_000)
    expect((await cache.keys({ state: 'fresh' })).keys.map(({ key }) => key)).toEqual(['plain'])
    expect((await cache.keys({ state: 'expired', tag: 'posts', limit: 1_000 })).keys).toHaveLength(60)
  })

  test('are those of a naive search, in every order, whatever is asked for', async () => {
    const part = fc.constantFrom('a', 'b', ':', 'ü', '😀', '1', '*')
    const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
    const query = fc.record(
      {
        pattern: fc.constantFrom('a*', '*1', '*:*', 'a', { regex: '^a' }, { regex: '1' }),
        contains: part,
        tag: fc.constantFrom('even', 'odd', 'none'),
        sort: fc.constantFrom('key', 'age', 'size', 'expiry'),
        descending: fc.boolean(),
        limit: fc.integer({ min: 1, max: 7 }),
      },
      { requiredKeys: ['limit'] },
    )
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { maxLength: 30 }), query, async (keys, asked) => {
        const clock = new ManualClock()
        const cache = createCache({ clock })
        for (const [n, each] of keys.entries()) {
          await cache.set(each, 'x'.repeat(n % 3), {
            tags: [n % 2 ? 'odd' : 'even'],
            ...(n % 5 ? {} : { ttl: n + 1_000 }),
          })
          await cache.tenant('acme').set(`${each}!`, 1)
          if (n % 4 === 0) await clock.advance(1)
        }
        const wanted = await cache.matching(asked.pattern ?? '*', keys)
        const found = await all(cache, asked as KeysQuery)
        const expected = wanted.filter(
          (each) =>
            each.includes(asked.contains ?? '') &&
            (asked.tag === undefined || keys.indexOf(each) % 2 === ['even', 'odd'].indexOf(asked.tag)),
        )
        expect([...found].sort()).toEqual([...expected].sort())
        if (asked.sort === undefined || asked.sort === 'key') {
          const sorted = [...expected].sort()
          expect(found).toEqual(asked.descending ? sorted.reverse() : sorted)
        }
        await cache.close()
      }),
      { numRuns: RUNS },
    )
  })

  test('that stay are told once while others come and go', async () => {
    const cache = createCache()
    const stay = Array.from({ length: 100 }, (_, n) => `k${String(n).padStart(3, '0')}`)
    for (const each of stay) await cache.set(each, 1)
    const told: string[] = []
    let after: string | undefined
    do {
      const page = await cache.keys({ limit: 7, ...(after === undefined ? {} : { after }) })
      told.push(...page.keys.map(({ key }) => key))
      after = page.next
      await cache.set(`k${Math.random()}`, 1)
      await cache.invalidate({ keys: [`k${Math.random()}`] })
    } while (after !== undefined)
    expect(told.filter((key) => stay.includes(key))).toEqual(stay)
  })

  test('are asked for with what there is', async () => {
    const cache = createCache()
    for (const query of [
      { limit: 0 },
      { limit: 1_001 },
      { sort: 'x' },
      { state: 'x' },
      { after: 'x' },
      { x: 1 },
      { pattern: '[' },
    ]) {
      const error = await cache.keys(query as KeysQuery).catch((reason: { code: string }) => reason)
      expect(error, JSON.stringify(query)).toHaveProperty(
        'code',
        'pattern' in query ? 'TIDEMARK_PATTERN' : 'TIDEMARK_OPTION',
      )
    }
  })
})

describe('find', () => {
  test('has what is kept, whoever stored it, and loads nothing', async () => {
    const clock = new ManualClock()
    const cache = createCache({ clock })
    const post = cache.define('post', (_, id: number) => ({ id }), { ttl: '1s' })
    await post(1)
    expect(await cache.find('post(1)')).toMatchObject({
      key: 'post(1)',
      value: { id: 1 },
      from: 'l1',
      expiresAt: clock.wall() + 1_000,
    })
    expect(cache.look('post(1)')).toEqual(await cache.find('post(1)'))
    expect(await cache.find('post(2)')).toBe(undefined)
    expect(cache.look('post(2)')).toBe(undefined)
    expect(await cache.as({ role: 'r' }).find('post(1)')).toBe(undefined)
    await clock.advance(1_000)
    expect(await cache.find('post(1)')).toBe(undefined)
    expect(cache.counters).toMatchObject({ hits: 3, misses: 4, loads: 1 })
  })

  test('in a loader counts as a read', async () => {
    const cache = createCache()
    await cache.set('a', 1)
    await cache.get('outer', async () => (await cache.find('a'))?.value)
    await cache.get('other', async () => (await cache.find('b'))?.value)
    await cache.get('third', async () => cache.look('b')?.value ?? null)
    const unkept = ['other', 'third'].map((key) => cache.explain(key).notKept)
    expect([cache.peek('outer'), ...unkept]).toEqual([1, 'peeked', 'peeked'])
    await cache.invalidate({ keys: ['a'] })
    expect(cache.peek('outer')).toBe(undefined)
  })
})
