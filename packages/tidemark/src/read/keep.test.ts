import { describe, expect, test } from 'vitest'
import type { CacheOptions } from '../cache.js'
import { createCache } from '../create.js'
import type { NotKept } from '../source.js'
import { FakeSource, ManualClock, rest } from '../testing/index.js'

// A value might come back as something else, be changed by a reader, not be kept though it may, or be kept though it may not.

async function bed(options: Partial<CacheOptions<object>> = {}) {
  const cache = createCache({ clock: new ManualClock(), ...options })
  await cache.settled()
  return cache
}

describe('values', () => {
  test('null, undefined, false, 0, "", NaN and [] are values, kept like any', async () => {
    const cache = await bed()
    for (const value of [null, undefined, false, 0, -0, '', Number.NaN, [], {}]) {
      let loads = 0
      const load = () => {
        loads++
        return value
      }
      const key = `${typeof value} ${String(value)} ${Object.is(value, -0)}`
      expect(await cache.get(key, load), key).toEqual(value)
      expect(await cache.ask(key, load), key).toMatchObject({ state: 'fresh', from: 'l1' })
      expect(Object.is(await cache.get(key, load), value), key).toBe(true)
      expect(loads, key).toBe(1)
    }
  })

  test('are shared and frozen, deeply: a reader that writes to one fails and changes nothing', async () => {
    const cache = await bed()
    const load = () => ({ tags: ['a'], at: new Date(0), by: new Map([['a', { n: 1 }]]), seen: new Set([1]) })
    const value = await cache.get('k', load)
    expect(await cache.get('k', load)).toBe(value)
    expect(cache.peek('k')).toBe(value)
    expect(() => value.tags.push('b')).toThrow(TypeError)
    expect(() => value.at.setTime(5)).toThrow(expect.objectContaining({ code: 'TIDEMARK_VALUE' }))
    expect(() => value.by.set('b', { n: 2 })).toThrow(expect.objectContaining({ code: 'TIDEMARK_VALUE' }))
    expect(() => value.seen.add(2)).toThrow(expect.objectContaining({ code: 'TIDEMARK_VALUE' }))
    expect(() => Object.assign(value.by.get('a')!, { n: 2 })).toThrow(TypeError)
    expect(await cache.get('k', load)).toEqual(load())
  })

  test('of an answer that is not kept are frozen all the same: a loader must not work by luck', async () => {
    const source = new FakeSource()
    const cache = await bed({ source })
    const answer = await cache.ask('k', () => ({ a: [1] }))
    expect(answer.state).toBe('fenced')
    expect(Object.isFrozen(answer.value.a)).toBe(true)
  })

  test('with values: cloned, each reader gets its own, from the load, from a join and from L1', async () => {
    const cache = await bed()
    let original: { list: number[] } | undefined
    const post = cache.define(
      'post',
      async () => {
        await rest()
        original = { list: [1] }
        return original
      },
      { values: 'cloned' },
    )
    const values = await Promise.all([post(), post(), post()])
    values.push(await post(), (await post.ask()).value, post.peek()!)
    for (const value of values) {
      expect(value).toEqual({ list: [1] })
      value.list.push(2)
    }
    expect(new Set(values).size).toBe(6)
    original!.list.push(3)
    expect(await post()).toEqual({ list: [1] })
  })

  test('of binary data are copied for each reader, since nothing can freeze them', async () => {
    const cache = await bed()
    const load = () => ({ data: Buffer.from('abc'), view: new Uint16Array([1, 2]) })
    const [first, second] = await Promise.all([cache.get('k', load), cache.get('k', load)])
    first.data[0] = 0
    second.view[0] = 9
    const third = await cache.get('k', load)
    expect(third).toEqual(load())
    expect(Buffer.isBuffer(third.data)).toBe(true)
  })

  test('keep their types: Date, Map, Set, bigint, nested', async () => {
    const cache = await bed()
    const load = () => ({ at: new Date(5), big: 2n ** 70n, map: new Map([[1, { s: new Set(['x']) }]]) })
    await cache.get('k', load)
    const kept = await cache.get('k', load)
    expect(kept.at).toBeInstanceOf(Date)
    expect(kept).toEqual(load())
  })

  test('that cannot be kept as they are, are refused for all who wait: TIDEMARK_VALUE, with the place', async () => {
    const cache = await bed()
    class Money {}
    const wrong: Record<string, () => unknown> = {
      class: () => ({ price: new Money() }),
      function: () => ({ price: () => 1 }),
      symbol: () => ({ price: Symbol('x') }),
      promise: () => ({ price: Promise.resolve(1) }),
      accessor: () => ({
        get price() {
          return 1
        },
      }),
      error: () => ({ price: new Error('x') }),
      url: () => ({ price: new URL('http://localhost') }),
    }
    for (const [key, load] of Object.entries(wrong)) {
      const failed: unknown[] = []
      const off = cache.on('failed', ({ key }) => failed.push(key))
      const reads = [cache.get(key, load), cache.get(key, load)]
      for (const read of reads)
        await expect(read, key).rejects.toMatchObject({
          code: 'TIDEMARK_VALUE',
          message: expect.stringContaining('price'),
        })
      expect(cache.explain(key).stored).toBe(false)
      expect(failed).toEqual([key])
      off()
    }
    expect(cache.counters.loadErrors).toBe(Object.keys(wrong).length)
    expect(cache.status().filling).toBe(0)
  })

  test('larger than the tier are answered as fresh, and not kept', async () => {
    const cache = await bed({ l1: { maxBytes: 1_000 } })
    await cache.get('small', () => 1)
    expect(await cache.ask('big', () => 'x'.repeat(2_000))).toMatchObject({ state: 'fresh', from: 'source' })
    expect(cache.explain('big')).toMatchObject({ stored: false, notKept: 'too-large' })
    expect(cache.peek('small')).toBe(1)
  })

  test('leave for room: the tier never holds more entries than its limit', async () => {
    const cache = await bed({ l1: { maxEntries: 10 } })
    for (let i = 0; i < 100; i++) await cache.get(`k${i}`, () => i)
    expect(cache.status().entries).toBe(10)
    expect(cache.counters.evicted).toBe(90)
  })
})

describe('what is not kept', () => {
  const reasons: NotKept[] = [
    'unfollowed-table',
    'row-security',
    'session',
    'function',
    'writes',
    'not-understood',
    'dirty-connection',
    'open-transaction',
    'elsewhere',
    'replica',
    'self-check',
  ]
  test.each(reasons)('because of %s: is answered fenced, and explain says why and what to do', async (reason) => {
    const source = new FakeSource()
    const cache = await bed({ source })
    const context = source.context.bind(source)
    source.context = (reading) => {
      reading.unkept(reason)
      return context(reading)
    }
    const post = cache.define('post', () => 1, { static: true, ttl: '1h', tags: ['t'] })
    expect(await post.ask()).toMatchObject({ value: 1, state: 'fenced', from: 'source', asOf: undefined })
    const explanation = cache.explain('post()')
    expect(explanation).toMatchObject({ stored: false, state: 'absent', notKept: reason })
    expect(explanation.text).toMatch(/^Not kept: .{20,}\.$/)
    expect(cache.counters.notKept).toEqual({ [reason]: 1 })
  })

  test('what needs an expiry is kept if there is one', async () => {
    const source = new FakeSource()
    const cache = await bed({ source })
    const context = source.context.bind(source)
    source.context = (reading) => {
      reading.needsExpiry('time')
      return context(reading)
    }
    expect(await cache.ask('k', () => 1, { tags: ['t'] })).toMatchObject({ state: 'fenced' })
    expect(cache.explain('k').notKept).toBe('time')
    expect(await cache.ask('k', () => 1, { tags: ['t'], ttl: '1m' })).toMatchObject({ state: 'fresh' })
    expect(cache.explain('k')).toMatchObject({ stored: true, notKept: undefined })
  })

  test('what read nothing that could be seen needs tags, ttl or static, where a source is there', async () => {
    const cache = await bed({ source: new FakeSource() })
    const states = []
    for (const options of [{}, { tags: ['t'] }, { ttl: '1h' }, { static: true }] as const)
      states.push((await cache.ask(JSON.stringify(options), () => 1, options)).state)
    expect(states).toEqual(['fenced', 'fresh', 'fresh', 'fresh'])
    expect((await cache.ask('k', ({ tag }) => tag('t'))).state).toBe('fresh')
    const alone = await bed()
    expect((await alone.ask('k', () => 1)).state).toBe('fresh')
  })
})
