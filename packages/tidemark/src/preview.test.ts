import { describe, expect, test } from 'vitest'
import { createCache } from './create.js'
import { ManualClock } from './testing/index.js'

function bed() {
  const clock = new ManualClock()
  return { clock, cache: createCache({ clock }) }
}

describe('looking at what a request would name', () => {
  test('says what a refill would cost, as far as loads were measured, and as many keys as are wanted', async () => {
    const { cache, clock } = bed()
    const slow = cache.define('slow', async (_, id: number) => {
      await new Promise<void>((resolve) => clock.after(40, resolve))
      return id
    })
    for (const id of [1, 2, 3]) {
      const asked = slow(id)
      await clock.advance(40)
      await asked
    }
    const { refill, sample } = await cache.preview({ pattern: 'slow(*', sampleMax: 2 })
    expect(refill).toEqual({ loads: 3, sourceMs: 120, unmeasured: 0 })
    expect(sample).toHaveLength(2)
    await expect(cache.preview({ pattern: 'slow(*', sampleMax: -1 })).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
  })

  test('counts a tenant, and what begins with a text, as it counts what it looks at one by one', async () => {
    const { cache } = bed()
    const post = cache.define('post', (_, id: number) => id)
    const page = cache.define('page', (_, id: number) => post(id))
    await Promise.all([page(1), page(2), post(3), cache.tenant('acme').in(page)(1)])
    const named = [
      [{ pattern: 'post(*' }, { pattern: { regex: '^post\\(' } }, { pattern: 'page*' }],
      [{ pattern: '*' }],
    ] as const
    const [[prefix, regex, pages] = [], [all] = []] = await Promise.all(
      named.map((group) => Promise.all(group.map((each) => cache.preview({ ...each, sampleMax: 100 })))),
    )
    expect(prefix).toEqual(regex)
    expect(prefix).toMatchObject({ count: 3, dependents: 2, dependentSample: ['page(1)', 'page(2)'] })
    expect(pages).toMatchObject({ count: 2, dependents: 0 })
    expect(all).toMatchObject({ count: 5, dependents: 0, refill: { loads: 5 } })
    expect([...all!.sample].sort()).toEqual(['page(1)', 'page(2)', 'post(1)', 'post(2)', 'post(3)'])
  })

  test('what is evicted leaves this memory alone, with what was computed from it; nothing enters the log', async () => {
    const { cache } = bed()
    const post = cache.define('post', (_, id: number) => id)
    const page = cache.define('page', (_, id: number) => post(id))
    await Promise.all([page(1), page(2), cache.tenant('acme').in(page)(1)])
    const { tidemark } = cache.status()
    expect(await cache.evict({ keys: ['post(1)'] })).toBe(2)
    expect(cache.status()).toMatchObject({ entries: 4, tidemark })
    expect(cache.counters).toMatchObject({ evicted: 2, invalidated: 0 })
    expect(await cache.evict({ pattern: '*' })).toBe(2)
    expect(await page(1)).toBe(1)
  })

  test('a pattern matches among given keys, stored or not, in their order', async () => {
    const { cache } = bed()
    expect(await cache.matching('user:1:*', ['user:1:b', 'user:2:b', 'user:1:a'])).toEqual(['user:1:b', 'user:1:a'])
    expect(await cache.matching(['a', { regex: '^b' }], ['bc', 'ab', 'a'])).toEqual(['bc', 'a'])
    expect(await cache.matching('*', ['x'])).toEqual(['x'])
    await expect(cache.matching({ regex: '(a' }, [])).rejects.toMatchObject({ code: 'TIDEMARK_PATTERN' })
  })
})
