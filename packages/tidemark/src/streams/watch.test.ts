import { describe, expect, test, vi } from 'vitest'
import type { CacheOptions } from '../cache.js'
import { createCache } from '../create.js'
import { type FakeReads, FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

// A watch might miss a change, send what is old, recompute once for each reader, leak its pin, or spin.

async function bed(options: Partial<CacheOptions<{ db: FakeReads }>> = {}) {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock, ...options })
  const gates: { current?: Gate } = {}
  source.put('public.posts', { id: 1, title: 'v0' })
  await cache.settled()
  const post = cache.define('post', async ({ db }, id: number) => {
    const row = await db.one('public.posts', { id })
    await gates.current?.passed
    return row?.title
  })
  const put = (title: string, id = 1) => source.put('public.posts', { id, title })
  return { clock, source, log: source.log, cache, post, put, gates }
}

/** Takes what a watch sends, as it comes. */
function collect<Value>(watch: AsyncIterableIterator<Value>) {
  const got: { values: Value[]; error: unknown; isDone: boolean } = { values: [], error: undefined, isDone: false }
  void (async () => {
    try {
      for await (const value of watch) got.values.push(value)
    } catch (error) {
      got.error = error
    }
    got.isDone = true
  })()
  return got
}

describe('watch', () => {
  test('sends the value now, and again after each change that touched it, and of no other', async () => {
    const { post, put, cache } = await bed()
    const got = collect(post.watch(1))
    await rest()
    expect(got.values).toEqual(['v0'])
    put('v1')
    await rest()
    put('beside', 2)
    await rest()
    put('v2')
    await rest()
    expect(got.values).toEqual(['v0', 'v1', 'v2'])
    expect(cache.counters.loads).toBe(3)
    await cache.close()
    await rest()
    expect(got).toMatchObject({ isDone: true, error: undefined })
  })

  test('sends each answer with its position, in order, to who asks for answers', async () => {
    const { post, put, cache } = await bed()
    const got = collect(post.watchAnswers(1))
    await rest()
    put('v1')
    await rest()
    expect(got.values).toMatchObject([
      { value: 'v0', state: 'fresh' },
      { value: 'v1', state: 'fresh' },
    ])
    expect(got.values[1]!.asOf).toBe(cache.status().tidemark)
    await cache.close()
  })

  test('works for get keys', async () => {
    const { cache } = await bed()
    let value = 'a'
    const got = collect(cache.watch('plain', () => value, { tags: ['t'] }))
    await rest()
    value = 'b'
    await cache.invalidate({ tags: ['t'] })
    await rest()
    value = 'c'
    await cache.invalidate({ keys: ['plain'], mode: 'expire' })
    await rest()
    expect(got.values).toEqual(['a', 'b', 'c'])
    await cache.close()
  })

  test('a slow reader gets the newest value only, and never an older one', async () => {
    const { post, put, cache } = await bed()
    const slow = post.watch(1)
    expect(await slow.next()).toEqual({ value: 'v0', done: false })
    for (let version = 1; version <= 50; version++) {
      put(`v${version}`)
      if (version % 7 === 0) await rest()
    }
    await rest()
    expect(await slow.next()).toEqual({ value: 'v50', done: false })
    const more = vi.fn()
    void slow.next().then(more)
    await rest()
    expect(more).not.toHaveBeenCalled()
    await cache.close()
  })

  test('however fast changes come, at most one recomputation runs and one is queued', async () => {
    const { post, put, gates, cache, source } = await bed()
    const got = collect(post.watch(1))
    await rest()
    const before = source.reads
    gates.current = new Gate()
    for (let version = 1; version <= 1_000; version++) {
      put(`v${version}`)
      if (version % 100 === 0) await rest()
    }
    await rest()
    expect(source.reads - before).toBe(1)
    gates.current.open()
    await rest()
    expect(source.reads - before).toBeLessThanOrEqual(3)
    expect(got.values.at(-1)).toBe('v1000')
    await cache.close()
  })

  test('many readers share one recomputation and one pin', async () => {
    const { post, put, cache, source } = await bed()
    const readers = Array.from({ length: 100 }, () => collect(post.watch(1)))
    await rest()
    put('v1')
    await rest()
    for (const reader of readers) expect(reader.values).toEqual(['v0', 'v1'])
    expect(source.reads).toBe(2)
    expect(cache.status().watched).toBe(1)
    await cache.close()
  })

  test('who begins to watch after a change never gets the value from before it', async () => {
    const { post, put, gates, cache } = await bed()
    const first = collect(post.watch(1))
    await rest()
    gates.current = new Gate()
    put('v1')
    await rest()
    // The recomputation runs.
    const second = collect(post.watch(1))
    await rest()
    expect(second.values).toEqual([])
    gates.current.open()
    await rest()
    expect(second.values).toEqual(['v1'])
    expect(first.values).toEqual(['v0', 'v1'])
    await cache.close()
  })

  test('who begins to watch what is watched gets the value at once', async () => {
    const { post, cache, source } = await bed()
    const first = collect(post.watch(1))
    await rest()
    const second = collect(post.watch(1))
    await rest()
    expect(second.values).toEqual(['v0'])
    expect(first.values).toEqual(['v0'])
    expect(source.reads).toBe(1)
    await cache.close()
  })

  test('an expired entry is computed again by itself', async () => {
    const { cache, clock } = await bed()
    let version = 0
    const ticking = cache.define('ticking', () => version++, { ttl: '10s' })
    const got = collect(ticking.watch())
    await rest()
    expect(got.values).toEqual([0])
    await clock.advance(9_999)
    expect(got.values).toEqual([0])
    await clock.advance(1)
    expect(got.values).toEqual([0, 1])
    await clock.advance(25_000)
    expect(got.values).toEqual([0, 1, 2, 3])
    await cache.close()
  })

  test('a ttl of nothing is watched without spinning', async () => {
    const { cache, clock } = await bed()
    let loads = 0
    const never = cache.define('never', () => ++loads, { ttl: 0 })
    const got = collect(never.watch())
    await rest()
    expect(got.values.length).toBeGreaterThan(0)
    expect(loads).toBeLessThan(10)
    await clock.advance(1_000)
    expect(loads).toBeLessThan(100)
    await cache.close()
  })

  test('sends nothing fenced: what is not visible yet is sent when it is proven', async () => {
    const { cache, clock, log, post, source } = await bed({ proofWait: '100ms', maxSilence: '1h' })
    const got = collect(post.watch(1))
    await rest()
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'hidden' })
    log.deliver()
    await clock.advance(10_000)
    expect(got.values).toEqual(['v0'])
    for (const commit of log.commits) log.show(commit)
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(1_000)
    expect(got.values).toEqual(['v0', 'hidden'])
    await cache.close()
  })

  test('goes on after the log was lost and taken up anew', async () => {
    const { cache, clock, log, post, source } = await bed()
    const got = collect(post.watch(1))
    await rest()
    log.lose()
    source.put('public.posts', { id: 1, title: 'while lost' })
    await clock.advance(2_000)
    log.start()
    await clock.advance(1_000)
    expect(got.values.at(-1)).toBe('while lost')
    source.put('public.posts', { id: 1, title: 'after' })
    await clock.advance(1_000)
    expect(got.values.at(-1)).toBe('after')
    await cache.close()
  })

  test('begun while the process is not current, it sends the value once it is', async () => {
    const { cache, clock, log, post } = await bed()
    await post(1)
    log.isUp = false
    await clock.advance(10_000)
    expect(cache.status().current).toBe(false)
    const got = collect(post.watch(1))
    await clock.advance(2_000)
    expect(got.values).toEqual([])
    log.isUp = true
    await clock.advance(5_000)
    expect(cache.status().current).toBe(true)
    expect(got.values).toEqual(['v0'])
    await cache.close()
  })

  test('a second reader of a watch is not sent what the process cannot vouch for any more', async () => {
    const { cache, clock, log, post } = await bed()
    const first = collect(post.watch(1))
    await rest()
    log.isUp = false
    await clock.advance(10_000)
    const second = collect(post.watch(1))
    await clock.advance(1_000)
    expect(second.values).toEqual([])
    log.isUp = true
    await clock.advance(5_000)
    expect(second.values).toEqual(['v0'])
    expect(first.values.every((value) => value === 'v0')).toBe(true)
    await cache.close()
  })
})

describe('the end of a watch', () => {
  test('break releases it, and its entry can be evicted again', async () => {
    const { cache, post } = await bed({ l1: { maxEntries: 2 } })
    for await (const value of post.watch(1)) {
      expect(value).toBe('v0')
      expect(cache.status().watched).toBe(1)
      for (let id = 0; id < 5; id++) await cache.get(`filler:${id}`, () => id, { static: true })
      expect(post.peek(1)).toBe('v0')
      break
    }
    expect(cache.status().watched).toBe(0)
    for (let id = 0; id < 5; id++) await cache.get(`more:${id}`, () => id, { static: true })
    expect(post.peek(1)).toBe(undefined)
    expect(cache.status().entries).toBe(2)
  })

  test('return() ends a reader that waits, before any change comes', async () => {
    const { cache, post } = await bed()
    for (const watch of [post.watch(1), post.watchAnswers(1), cache.watch('k', () => 1, { static: true })]) {
      await watch.next()
      const next = watch.next()
      await watch.return!()
      expect(await next).toEqual({ value: undefined, done: true })
      expect(await watch.next()).toEqual({ value: undefined, done: true })
    }
    expect(cache.status().watched).toBe(0)
  })

  test('return() before the first value releases it too', async () => {
    const { cache, post } = await bed()
    for (const watch of [post.watch(1), post.watchAnswers(1), cache.watch('k', () => 1, { static: true })])
      await watch.return!()
    expect(cache.status().watched).toBe(0)
  })

  test('abort ends it as if it were over, whether it waits or not', async () => {
    const { cache, post } = await bed()
    const [now, early] = [new AbortController(), AbortSignal.abort()]
    const got = collect(post.with({ signal: now.signal }).watch(1))
    const never = collect(post.with({ signal: early }).watch(1))
    await rest()
    expect(never).toMatchObject({ values: [], isDone: true, error: undefined })
    expect(got).toMatchObject({ values: ['v0'], isDone: false })
    now.abort()
    await rest()
    expect(got).toMatchObject({ values: ['v0'], isDone: true, error: undefined })
    expect(cache.status().watched).toBe(0)
  })

  test('one reader that leaves does not disturb the others', async () => {
    const { cache, post, put } = await bed()
    const leaving = post.watch(1)
    const staying = collect(post.watch(1))
    await leaving.next()
    await leaving.return!()
    put('v1')
    await rest()
    expect(staying.values).toEqual(['v0', 'v1'])
    await cache.close()
  })

  test('after the last reader left, a change costs no load', async () => {
    const { post, put, source } = await bed()
    const watch = post.watch(1)
    await watch.next()
    await watch.return!()
    put('v1')
    await rest()
    expect(source.reads).toBe(1)
  })

  test('close() ends all of them, and no watch begins on a closed cache', async () => {
    const { cache, post } = await bed()
    const got = [collect(post.watch(1)), collect(post.watch(2)), collect(cache.watch('k', () => 1, { static: true }))]
    await rest()
    await cache.close()
    await rest()
    for (const each of got) expect(each).toMatchObject({ isDone: true, error: undefined })
    expect(() => cache.watch('k', () => 1)).toThrow(expect.objectContaining({ code: 'TIDEMARK_CLOSED' }))
    expect(() => post.watch(1)).toThrow(expect.objectContaining({ code: 'TIDEMARK_CLOSED' }))
  })
})

describe('a watch that fails', () => {
  test('before the first value throws the error', async () => {
    const { cache, post, source } = await bed()
    source.isDown = true
    const got = collect(post.watch(1))
    await rest()
    expect(got).toMatchObject({ isDone: true, values: [], error: { message: 'The fake source is down.' } })
    expect(cache.status().watched).toBe(0)
  })

  test('later keeps the last value, retries with growing pauses, and sends the new value when it can', async () => {
    const { clock, post, put, source, cache } = await bed()
    const got = collect(post.watch(1))
    await rest()
    source.isDown = true
    put('v1')
    await clock.advance(60_000)
    expect(got).toMatchObject({ values: ['v0'], isDone: false })
    expect(source.reads).toBeLessThan(30)
    expect(source.reads).toBeGreaterThan(10)
    source.isDown = false
    await clock.advance(5_000)
    expect(got.values).toEqual(['v0', 'v1'])
    await cache.close()
  })

  test('of what can never be kept is TIDEMARK_NOT_WATCHABLE and says why', async () => {
    const { cache } = await bed()
    const elsewhere = cache.define('elsewhere', () => 'read where nobody sees it')
    const got = collect(elsewhere.watch())
    await rest()
    expect(got.error).toMatchObject({ code: 'TIDEMARK_NOT_WATCHABLE' })
    expect((got.error as Error).message).toMatch(/elsewhere\(\).*no-dependency/)
    expect(cache.status().watched).toBe(0)
  })

  test('of a value that cannot be kept is TIDEMARK_VALUE', async () => {
    const { cache } = await bed()
    const odd = cache.define('odd', () => new URL('http://localhost'), { static: true })
    const got = collect(odd.watch())
    await rest()
    expect(got.error).toMatchObject({ code: 'TIDEMARK_VALUE' })
  })

  test('beyond watchMax is TIDEMARK_LIMIT; a second reader of a watched entry is not beyond it', async () => {
    const { cache, post } = await bed({ watchMax: 2 })
    const got = [collect(post.watch(1)), collect(post.watch(2)), collect(post.watch(2))]
    expect(() => post.watch(3)).toThrow(expect.objectContaining({ code: 'TIDEMARK_LIMIT' }))
    await rest()
    expect(got.map((each) => each.values.length)).toEqual([1, 1, 1])
    expect(cache.status().watched).toBe(2)
    await cache.close()
  })
})
