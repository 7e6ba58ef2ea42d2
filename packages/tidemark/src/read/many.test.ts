import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Cache, CacheOptions } from '../cache.js'
import { createCache } from '../create.js'
import { type FakeReads, FakeSource, Gate, ManualClock, MemoryL2, rest } from '../testing/index.js'

type TestCache = Cache<{ db: FakeReads }>
type Row = Awaited<ReturnType<FakeReads['one']>>

const caches: TestCache[] = []
afterEach(async () => {
  await Promise.all(caches.splice(0).map((cache) => cache.close()))
})

/** A definition that loads one by one, and many by one query of the whole table. */
async function bed(options: CacheOptions<{ db: FakeReads }> = {}, source = new FakeSource()) {
  for (const id of [1, 2, 3]) source.put('posts', { id, title: `t${id}` })
  const cache: TestCache = createCache({ source, ...options })
  caches.push(cache)
  await cache.settled()
  const runs: (readonly number[])[] = []
  const post = cache.define('post', ({ db }, id: number): Promise<Row | undefined> => one(db, id), {
    loadMany: async ({ of }, ids) => {
      runs.push(ids)
      return Promise.all(ids.map((id) => one(of(id).db, id)))
    },
  })
  return { source, cache, post, runs }
}

async function one(db: FakeReads, id: number): Promise<Row | undefined> {
  return (await db.one('posts', { id })) ?? undefined
}

describe('many at once', () => {
  test('hits are answered, and all that is missing goes to one run of the loader; each is an entry of its own', async () => {
    const { source, cache, post, runs } = await bed()
    await post(2)
    expect(await post.many([1, 2, 3, 9])).toMatchObject([{ title: 't1' }, { title: 't2' }, { title: 't3' }, undefined])
    expect(runs).toEqual([[1, 3, 9]])
    expect(cache.counters).toMatchObject({ hits: 1, loads: 4, kept: 4 })
    // What is not there is kept too, until it comes.
    expect(await post.many([9, 1])).toMatchObject([undefined, { title: 't1' }])
    source.put('posts', { id: 9, title: 'new' })
    source.put('posts', { id: 1, title: 'changed' })
    await rest()
    expect([post.peek(3), post.peek(1), post.peek(9)]).toEqual([{ id: 3, title: 't3' }, undefined, undefined])
    expect(await post.askMany([9, 1, 3])).toMatchObject([
      { value: { title: 'new' }, state: 'fresh', from: 'source' },
      { value: { title: 'changed' }, state: 'fresh', from: 'source' },
      { value: { title: 't3' }, state: 'fresh', from: 'l1' },
    ])
    expect(runs).toEqual([
      [1, 3, 9],
      [9, 1],
    ])
  })

  test('plain keys are those of get; the loader may answer with a Map, and what is not in it is undefined', async () => {
    const { cache } = await bed()
    await cache.get('a', () => 'mine', { static: true })
    const load = vi.fn(async ({ tag }: { tag(...tags: string[]): void }, keys: readonly string[]) => {
      tag('all')
      return new Map(keys.filter((key) => key !== 'none').map((key) => [key, `${key}!`]))
    })
    expect(await cache.getMany(['a', 'b', 'none', 'b'], load)).toEqual(['mine', 'b!', undefined, 'b!'])
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.get('b', () => 'other')).toBe('b!')
    await cache.invalidate({ tags: ['all'] })
    expect(cache.peek('b')).toBeUndefined()
    expect(cache.peek('a')).toBe('mine')
    expect(await cache.getMany([], load)).toEqual([])
  })

  test('an invalidation of one while they are loaded drops that one alone, and its readers get a load of after', async () => {
    const { cache } = await bed()
    const gate = new Gate()
    let version = 1
    const load = vi.fn(async (_: unknown, keys: readonly string[]) => {
      const seen = version
      await gate.passed
      return keys.map((key) => `${key}${seen}`)
    })
    const early = cache.getMany(['a', 'b'], load, { tags: ['t'] })
    await rest()
    version = 2
    await cache.invalidate({ keys: ['a'] })
    const late = cache.getMany(['a', 'b'], load, { tags: ['t'] })
    await rest()
    gate.open()
    // Who asked before may have what was so then.
    expect(await early).toEqual(['a1', 'b1'])
    expect(await late).toEqual(['a2', 'b1'])
    expect([cache.peek('a'), cache.peek('b')]).toEqual(['a2', 'b1'])
    expect(load.mock.calls.map(([, keys]) => keys)).toEqual([['a', 'b'], ['a']])
  })

  test('what others load already is joined, and they join what is loaded together', async () => {
    const { cache, post, runs, source } = await bed()
    const gate = new Gate()
    source.gate = gate.passed
    const first = post.ask(1)
    const many = post.askMany([1, 2])
    await rest()
    const last = post.ask(2)
    await rest()
    gate.open()
    expect(await first).toMatchObject({ from: 'source' })
    expect(await many).toMatchObject([{ from: 'joined' }, { from: 'source' }])
    expect(await last).toMatchObject({ value: { title: 't2' }, from: 'joined' })
    expect(runs).toEqual([[2]])
    expect(cache.counters.loads).toBe(2)
  })

  test('what the loader reads and tags counts for all, what it does through of() for that key alone', async () => {
    const { cache, source } = await bed()
    const load = async (
      context: {
        db: FakeReads
        tag(...tags: string[]): void
        of(key: string): { db: FakeReads; tag(...tags: string[]): void }
      },
      keys: readonly string[],
    ) => {
      await context.db.one('posts', { id: 3 })
      for (const key of keys) context.of(key).tag(`own:${key}`)
      expect(() => context.of('other')).toThrow('of() takes one of the keys')
      return keys
    }
    const [a, b] = ['a', 'b']
    await cache.getMany([a, b], load)
    await cache.invalidate({ tags: ['own:a'] })
    expect([cache.peek(a), cache.peek(b)]).toEqual([undefined, b])
    source.put('posts', { id: 3, title: 'new' })
    await rest()
    expect(cache.peek(b)).toBeUndefined()
  })

  test('a loader that fails, or answers with something else than a value for each, fails all who wait; the hits of others stay', async () => {
    const { cache } = await bed()
    const cases: readonly [answer: unknown, message: string][] = [
      [['a'], 'was asked for 2 keys and returned an array of 1'],
      [
        new Map([
          ['a', 1],
          ['c', 1],
        ]),
        'returned a Map with 1 keys that it was not asked for',
      ],
      [undefined, 'returned neither an array nor a Map'],
    ]
    for (const [answer, message] of cases) {
      const error = await cache.getMany(['a', 'b'], () => answer as string[]).catch((error) => error)
      expect(error).toMatchObject({ code: 'TIDEMARK_BATCH_ANSWER', message: expect.stringContaining(message) })
    }
    const failing = cache.getMany(['a', 'b'], () => Promise.reject(new Error('down')))
    await expect(failing).rejects.toThrow('down')
    expect(cache.counters.loadErrors).toBe(8)
    expect(cache.status().filling).toBe(0)
    const noFunction = cache.getMany(['a'], 1 as never)
    await expect(noFunction).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
    await expect(cache.getMany('a' as never, () => [])).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
    await expect(cache.getMany([1] as never, () => [])).rejects.toMatchObject({ code: 'TIDEMARK_KEY' })
    expect(() => cache.define('x', () => 1, { loadMany: 1 as never })).toThrow('loadMany')
  })

  test('with grace, what expired is served while the loader runs behind it, or fails', async () => {
    const clock = new ManualClock()
    const { cache } = await bed({ clock })
    const options = { ttl: '1m', grace: '1h' } as const
    let value = 'old'
    const load = vi.fn(async (_: unknown, keys: readonly string[]) => keys.map((key) => `${key} ${value}`))
    await cache.getMany(['a', 'b'], load, options)
    await clock.advance(60_000)
    value = 'new'
    expect(await cache.askMany(['a', 'b', 'c'], load, options)).toMatchObject([
      { value: 'a old', state: 'stale' },
      { value: 'b old', state: 'stale' },
      { value: 'c new', state: 'fresh' },
    ])
    expect(load.mock.calls.map(([, keys]) => keys)).toEqual([
      ['a', 'b'],
      ['a', 'b', 'c'],
    ])
    expect(await cache.getMany(['a', 'b'], load, options)).toEqual(['a new', 'b new'])
    await clock.advance(60_000)
    load.mockRejectedValue(new Error('down'))
    const failing = { ttl: '1m', grace: { failure: '1h' } } as const
    expect(await cache.getMany(['a', 'b'], load, failing)).toEqual(['a new', 'b new'])
    await expect(cache.getMany(['a', 'd'], load, failing)).rejects.toThrow('down')
  })

  test('the load is given up when nobody waits for any of it, and fails all that it loads when it takes too long', async () => {
    const clock = new ManualClock()
    const { cache } = await bed({ clock })
    const signals: AbortSignal[] = []
    const load = ({ signal }: { signal: AbortSignal }): Promise<string[]> => {
      signals.push(signal)
      return new Promise(() => {})
    }
    const [one, two] = [new AbortController(), new AbortController()]
    const first = cache.getMany(['a', 'b'], load, { signal: one.signal }).catch((error) => error)
    const second = cache.getMany(['b'], load, { signal: two.signal }).catch((error) => error)
    await rest()
    one.abort(new Error('gone'))
    expect(await first).toMatchObject({ message: 'gone' })
    expect(signals).toHaveLength(1)
    expect(signals[0]!.aborted).toBe(false)
    two.abort(new Error('gone too'))
    expect(await second).toMatchObject({ message: 'gone too' })
    expect(signals[0]!.aborted).toBe(true)
    expect(cache.status().filling).toBe(0)
    const slow = cache.getMany(['a', 'b'], load, { hardTimeout: '2s' }).catch((error) => error)
    await rest()
    await clock.advance(2_000)
    expect(await slow).toMatchObject({
      code: 'TIDEMARK_LOADER_TIMEOUT',
      message: expect.stringContaining('a and 1 more'),
    })
    expect(signals[1]!.aborted).toBe(true)
    await expect(cache.getMany(['a'], load, { signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow('early')
  })

  test('who comes for a key that its readers have left joins the load that goes on for others', async () => {
    const { cache } = await bed()
    const gate = new Gate()
    const load = vi.fn(async (_: unknown, keys: readonly string[]) => {
      await gate.passed
      return keys
    })
    const gone = new AbortController()
    const first = cache.getMany(['a', 'b'], load, { signal: gone.signal, static: true }).catch((error) => error)
    const waiting = cache.getMany(['b'], load, { static: true })
    await rest()
    gone.abort(new Error('gone'))
    expect(await first).toMatchObject({ message: 'gone' })
    const late = cache.getMany(['a', 'b'], load, { static: true })
    await rest()
    gate.open()
    expect([await waiting, await late]).toEqual([['b'], ['a', 'b']])
    expect(load).toHaveBeenCalledTimes(1)
  })

  test('what was fresh when it was read is not said to be, if the process is not current when the last one is there', async () => {
    const clock = new ManualClock()
    const { cache, source, post } = await bed({ clock })
    await post(1)
    expect(await post.askMany([1])).toMatchObject([{ state: 'fresh', from: 'l1' }])
    const gate = new Gate()
    source.gate = gate.passed
    source.log.isAutomatic = false
    const many = post.askMany([1, 2])
    await rest()
    await clock.advance(6_000)
    expect(cache.status().current).toBe(false)
    gate.open()
    expect((await many).map(({ state }) => state)).toEqual(['fenced', 'fenced'])
  })

  test('in a loader it is a read: what it read is taken over, and a circle is an error', async () => {
    const { cache, source, post } = await bed()
    const page = cache.define('page', async (_, id: number): Promise<string> => {
      const posts = await post.many([id, id + 1])
      return posts.map((each) => each?.['title']).join()
    })
    expect([await page(1), await page(1)]).toEqual(['t1,t2', 't1,t2'])
    source.put('posts', { id: 2, title: 'new' })
    await rest()
    expect(await page(1)).toBe('t1,new')
    const self: { readonly many: (ids: readonly number[]) => Promise<number[]> } = cache.define(
      'self',
      (_, id: number) => id,
      {
        loadMany: async (_, ids) => self.many(ids),
      },
    )
    await expect(self.many([1, 2])).rejects.toMatchObject({ code: 'TIDEMARK_CYCLE' })
  })

  test('a call that carries a position gets nothing older, or says that it could not', async () => {
    const { cache, source, post, runs } = await bed()
    await post.many([1, 2])
    source.log.isAutomatic = true
    const at = cache.status().tidemark!
    expect(await post.with({ minPosition: at }).many([1, 2])).toMatchObject([{ title: 't1' }, { title: 't2' }])
    expect(runs).toHaveLength(1)
    expect(await post.with({ minPosition: at, shows: true }).askMany([1])).toMatchObject([
      { shows: expect.any(String) },
    ])
  })

  test('a definition without a loader of many runs its loader for each; values that are cloned are', async () => {
    const { cache } = await bed()
    const twice = cache.define('twice', (_, id: number) => ({ id: 2 * id }), { static: true, values: 'cloned' })
    const [one, other] = [await twice.many([1, 2]), await twice.many([1, 2])]
    expect([one, other]).toEqual([
      [{ id: 2 }, { id: 4 }],
      [{ id: 2 }, { id: 4 }],
    ])
    expect(one[0]).not.toBe(other[0])
    await expect(twice.many(7 as never)).rejects.toMatchObject({ code: 'TIDEMARK_OPTION' })
  })

  test('the tier that processes share is asked for all at once, and gets each of them', async () => {
    const l2 = new MemoryL2()
    const source = new FakeSource()
    const [one, other] = [await bed({ l2 }, source), await bed({ l2 }, source)]
    await rest()
    await one.post.many([1, 2])
    for (let turn = 0; turn < 1_000 && l2.size < 2; turn++) await rest()
    const readAll = vi.spyOn(l2, 'readAll')
    expect(await other.post.askMany([1, 2, 3])).toMatchObject([{ from: 'l2' }, { from: 'l2' }, { from: 'source' }])
    expect(readAll).toHaveBeenCalledTimes(1)
    expect(other.runs).toEqual([[3]])
    l2.isDown = true
    expect(await one.post.many([7, 8])).toEqual([undefined, undefined])
    expect(one.cache.counters.l2Errors).toBeGreaterThanOrEqual(2)
  })

  test('a key that another process loads is waited for, and not loaded here', async () => {
    const l2 = new MemoryL2()
    const source = new FakeSource()
    const [one, other] = [await bed({ l2 }, source), await bed({ l2 }, source)]
    await rest()
    const gate = new Gate()
    source.gate = gate.passed
    const there = one.post(1)
    await rest()
    const here = other.post.askMany([1, 2])
    await rest()
    gate.open()
    expect(await there).toMatchObject({ title: 't1' })
    expect(await here).toMatchObject([{ value: { title: 't1' }, from: 'l2' }, { from: 'source' }])
    expect(other.runs).toEqual([[2]])
  })

  test('processes whose loaders of many differ leave each other’s entries alone', async () => {
    const l2 = new MemoryL2()
    const source = new FakeSource()
    const [one, other] = [await bed({ l2 }, source), await bed({ l2 }, source)]
    await rest()
    const first = one.cache.define('sum', (_, id: number) => id, { static: true, loadMany: (_, ids) => ids })
    const second = other.cache.define('sum', (_, id: number) => id, { static: true, loadMany: (_, ids) => [...ids] })
    await first.many([1])
    for (let turn = 0; turn < 1_000 && l2.size < 1; turn++) await rest()
    expect(await second.askMany([1])).toMatchObject([{ from: 'source' }])
  })
})
