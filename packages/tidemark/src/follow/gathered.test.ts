import { describe, expect, test } from 'vitest'
import type { Cache } from '../cache.js'
import { createCache } from '../create.js'
import type { CacheEvents } from '../events.js'
import { ManualClock, rest } from '../testing/index.js'

// What is left for later might be found by a reader, be forgotten, take along what was stored since, or be counted twice.

/** Time passes by each look at it, so that a slice of a sweep ends after a few steps. */
class SteppingClock extends ManualClock {
  lookMs = 0

  override now(): number {
    if (this.lookMs > 0) this.freeze(this.lookMs)
    return super.now()
  }
}

const isThere = (cache: Cache, keys: readonly string[]): boolean[] => keys.map((key) => cache.peek(key) !== undefined)

describe('what thousands of entries were computed from', () => {
  const KEYS = Array.from({ length: 2_500 }, (_, i) => `user:${i}`)

  /** Entries with a tag, of which none is looked at but by readers: the clock stands between two slices. */
  async function tagged() {
    const clock = new SteppingClock()
    const cache = createCache({ clock })
    const applied: CacheEvents['applied'][] = []
    const swept: CacheEvents['swept'][] = []
    cache.on('applied', (event) => applied.push(event))
    cache.on('swept', (event) => swept.push(event))
    for (const key of KEYS) await cache.get(key, () => key, { tags: ['users', `of ${key}`], grace: '1h', ttl: '1d' })
    await cache.get('other', () => 'other', { ttl: '1d' })
    clock.lookMs = 1
    return { clock, cache, applied, swept }
  }

  async function ended({ cache, clock }: Awaited<ReturnType<typeof tagged>>): Promise<void> {
    for (let i = 0; cache.status().sweeping > 0; i++) {
      expect(i).toBeLessThan(10_000)
      await clock.advance(0)
      await rest()
    }
  }

  test('no reader finds what goes, though most of it is still there; an event tells of the last', async () => {
    const parts = await tagged()
    const { cache, applied, swept } = parts
    await cache.invalidate({ tags: ['users'] })
    expect(applied.at(-1)).toMatchObject({ sweeping: 1, mode: 'drop' })
    expect(applied.at(-1)!.touched).toBeLessThan(1_100)
    expect(cache.status().entries).toBeGreaterThan(1_400)
    expect(isThere(cache, [...KEYS.slice(-10), 'other'])).toEqual([...Array(10).fill(false), true])
    // Stored since, with the same tag: it is none of the sweep's, whichever slot it has got.
    await cache.get('user:7', () => 'new', { tags: ['users'], ttl: '1d' })
    await ended(parts)
    expect(cache.status().entries).toBe(2)
    expect(isThere(cache, ['user:7', 'other'])).toEqual([true, true])
    // Counted once each, those that went at once among them.
    expect(cache.counters.invalidated).toBe(KEYS.length)
    expect(swept).toMatchObject([{ touched: KEYS.length, mode: 'drop' }])
  })

  test('asked for again meanwhile, it goes once', async () => {
    const parts = await tagged()
    const { cache } = parts
    await cache.invalidate({ tags: ['users'] })
    await cache.invalidate({ tags: ['users'], mode: 'expire' })
    await cache.invalidate({ tags: ['of user:2', 'users'] })
    expect(parts.applied.slice(-2)).toMatchObject([{ touched: 0 }, { touched: 0 }])
    expect(cache.status().sweeping).toBe(1)
    await ended(parts)
    expect(cache.status().entries).toBe(1)
    expect(cache.counters.invalidated).toBe(KEYS.length)
  })

  test('what expires is stale at once, and is served by grace', async () => {
    const parts = await tagged()
    const { cache } = parts
    await cache.invalidate({ tags: ['users'], mode: 'expire' })
    expect(cache.status().sweeping).toBe(1)
    expect(isThere(cache, [KEYS[0]!, KEYS.at(-1)!, 'other'])).toEqual([false, false, true])
    await ended(parts)
    expect(cache.status().entries).toBe(KEYS.length + 1)
    expect(cache.counters.invalidated).toBe(KEYS.length)
  })
})
