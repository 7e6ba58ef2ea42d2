import { describe, expect, test, vi } from 'vitest'
import type { CacheOptions } from '../cache.js'
import { createCache } from '../create.js'
import type { Log } from '../log/log.js'
import type { Source } from '../source.js'
import { FakeLog, type FakeReads, FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

// A process that was cut off from the log might go on serving what it has, trust one clock, or leave something running.

async function bed(options: Partial<CacheOptions<{ db: FakeReads }>> = {}) {
  const clock = new ManualClock()
  const source = new FakeSource()
  const cache = createCache({ source, clock, ...options })
  source.put('public.posts', { id: 1, title: 'a' })
  await cache.settled()
  const post = cache.define('post', async ({ db }, id: number) => (await db.one('public.posts', { id }))?.title)
  return { clock, source, log: source.log, cache, post }
}

test('before the log was ever taken up, reads are answered by the source, fenced, and nothing is claimed', async () => {
  const source = new FakeSource()
  source.log.isAutomatic = false
  const cache = createCache({ source, clock: new ManualClock() })
  expect(cache.status()).toMatchObject({ tidemark: undefined, keeping: false, current: false })
  expect(await cache.ask('k', () => 1, { static: true })).toMatchObject({ value: 1, state: 'fenced', asOf: undefined })
  expect(cache.explain('k').notKept).toBe('not-following')
  await cache.close()
})

describe('a log that was lost', () => {
  test('and is taken up anew empties L1, and says so', async () => {
    const { cache, log, post, source } = await bed()
    const heard: unknown[] = []
    cache.on('lost', ({ reason }) => heard.push(reason.code))
    cache.on('started', ({ emptied }) => heard.push(emptied))
    await post(1)
    await post(2)
    log.lose()
    expect(cache.status().log.state).toBe('lost')
    source.put('public.posts', { id: 1, title: 'unheard' })
    log.start()
    expect(post.peek(1)).toBe(undefined)
    expect(cache.status()).toMatchObject({ entries: 0, log: { state: 'following' } })
    expect(heard).toEqual(['TIDEMARK_LOG_GAP', 2])
    expect(cache.counters).toMatchObject({ gaps: 1, emptied: 2 })
    expect(await post(1)).toBe('unheard')
  })

  test('and proves its history again leaves what was filled before a time, and follows on from there', async () => {
    const { cache, clock, log, post, source } = await bed()
    source.put('public.posts', { id: 2, title: 'b' })
    await post(1)
    await clock.advance(1_000)
    const before = clock.now()
    await post(2)
    log.lose()
    log.start(true, before)
    await cache.settled()
    expect([post.peek(1), post.peek(2)]).toEqual(['a', undefined])
    expect(cache.counters).toMatchObject({ emptied: 1 })
    source.put('public.posts', { id: 1, title: 'c' })
    await cache.settled()
    expect(post.peek(1)).toBe(undefined)
    expect(await post(1)).toBe('c')
  })

  test('is not mistaken for the same history: a new epoch shows in the position', async () => {
    const { cache, log } = await bed()
    const before = cache.status().tidemark!
    log.lose()
    log.start(true)
    await rest()
    expect(before).toMatch(/^fake-1:/)
    expect(cache.status().tidemark).toMatch(/^fake-2:/)
  })

  test('keeps no fill that began before it was taken up anew', async () => {
    const { cache, log, source } = await bed()
    const gate = new Gate()
    const slow = cache.define('slow', async ({ db }) => {
      const row = await db.one('public.posts', { id: 1 })
      await gate.passed
      return row?.title
    })
    const read = slow.ask()
    await rest()
    log.lose()
    source.put('public.posts', { id: 1, title: 'unheard' })
    log.start()
    await rest()
    gate.open()
    // The read asked before; the log cannot say whether what it got still holds, so it loads again.
    expect(await read).toMatchObject({ value: 'unheard', state: 'fresh' })
    expect(slow.peek()).toBe('unheard')
    expect(cache.counters.notKept).toEqual({ starting: 1 })
  })

  test('keeps nothing while it is lost: reads are answered by the source, fenced', async () => {
    const { cache, log, post } = await bed()
    log.lose()
    expect(await post.ask(1)).toMatchObject({ value: 'a', state: 'fenced', from: 'source', asOf: undefined })
    expect(cache.explain('post(1)')).toMatchObject({ stored: false, notKept: 'not-following' })
  })
})

describe('a record that names a predecessor which was never applied', () => {
  class GapLog extends FakeLog {
    /** Delivers a record as a log does that lost the one before it. */
    skip(): void {
      const commit = this.write([])
      this.listener.commit({ ...commit, lsn: commit.lsn + 100, prev: commit.lsn + 50 })
    }
    listener!: Parameters<Log['follow']>[0]
    override follow(listener: Parameters<Log['follow']>[0]): void {
      this.listener = listener
      super.follow(listener)
    }
  }

  test('empties L1 and keeps nothing until what lies between can be seen', async () => {
    const log = new GapLog()
    const source: Source = { id: 'gap', openLog: () => log, context: () => ({}), close: async () => undefined }
    const cache = createCache({ source, clock: new ManualClock() })
    await cache.settled()
    const one = cache.define('one', () => 1, { static: true })
    await one()
    let isVisible: (value: boolean) => void = () => undefined
    log.visible = () => new Promise((resolve) => (isVisible = resolve))
    log.skip()
    expect(one.peek()).toBe(undefined)
    expect(cache.status()).toMatchObject({ keeping: false, entries: 0 })
    expect(cache.counters.gaps).toBe(1)
    expect(await one.ask()).toMatchObject({ state: 'fenced' })
    isVisible(true)
    await rest()
    expect(cache.status().keeping).toBe(true)
    expect(await one.ask()).toMatchObject({ state: 'fresh' })
    await cache.close()
  })
})

describe('currency', () => {
  test('within maxSilence of the last proof entries are fresh, and not a millisecond longer', async () => {
    const { cache, clock, log, post } = await bed({ maxSilence: '5s' })
    await post(1)
    await clock.advance(2_000)
    log.isUp = false
    const silent = cache.status().silenceMs
    clock.freeze(5_000 - silent)
    expect(post.peek(1)).toBe('a')
    clock.freeze(1)
    expect(post.peek(1)).toBe(undefined)
    expect(cache.explain('post(1)')).toMatchObject({ stored: true, state: 'untrusted' })
    expect(await post.ask(1)).toMatchObject({ state: 'fenced', from: 'source' })
  })

  test('a process that was frozen does not serve before its timers have fired', async () => {
    const { clock, post, cache } = await bed({ maxSilence: '5s' })
    await post(1)
    clock.freeze(60_000)
    expect(post.peek(1)).toBe(undefined)
    expect(cache.status().current).toBe(false)
    await clock.advance(0)
    await cache.settled()
    await clock.advance(2_000)
    expect(post.peek(1)).toBe('a')
  })

  test('a machine that slept, which stops the monotonic clock, does not serve what it had', async () => {
    const { clock, post } = await bed({ maxSilence: '5s' })
    await post(1)
    clock.sleep(60_000)
    expect(post.peek(1)).toBe(undefined)
  })

  test('a wall clock that was set back does not make a process current', async () => {
    const { clock, log, post } = await bed({ maxSilence: '5s' })
    await post(1)
    log.isUp = false
    clock.sleep(-3_600_000)
    clock.freeze(5_001)
    expect(post.peek(1)).toBe(undefined)
  })

  test('a machine that slept is noticed, though its wall clock had been set back before', async () => {
    const { clock, post } = await bed({ maxSilence: '5s' })
    await post(1)
    clock.sleep(-3_600_000)
    await clock.advance(10_000)
    expect(post.peek(1)).toBe('a')
    clock.sleep(60_000)
    expect(post.peek(1)).toBe(undefined)
  })

  test('hearing from the log is not being current: behind its flushed end, progress alone does not help', async () => {
    const { clock, log, post, source, cache } = await bed({ maxSilence: '3s' })
    await post(1)
    log.isAutomatic = false
    source.put('public.other', { id: 1 })
    source.put('public.other', { id: 2 })
    const answering = async (): Promise<void> => {
      for (const probe of log.probes.splice(0)) probe.answer()
      await rest()
    }
    for (let i = 0; i < 10; i++) {
      await clock.advance(500)
      await answering()
      // The line is never silent: it says how far it has come, which is not far enough.
      log.keepalive()
    }
    expect(post.peek(1)).toBe(undefined)
    log.deliver(2)
    for (let i = 0; i < 3; i++) {
      await clock.advance(500)
      await answering()
    }
    expect(cache.status().current).toBe(true)
    expect(post.peek(1)).toBe('a')
  })

  test('at rest the source is asked a few times per maxSilence, and no more', async () => {
    const { clock, log } = await bed({ maxSilence: '6s' })
    const probe = vi.spyOn(log, 'probe')
    await clock.advance(60_000)
    expect(probe.mock.calls.length).toBeGreaterThanOrEqual(29)
    expect(probe.mock.calls.length).toBeLessThanOrEqual(32)
  })

  test('a cache without a source is always current', async () => {
    const clock = new ManualClock()
    const cache = createCache({ clock })
    await cache.get('k', () => 1)
    clock.freeze(1e9)
    expect(cache.peek('k')).toBe(1)
    expect(cache.status()).toMatchObject({ current: true, silenceMs: 0, keeping: true })
  })
})

describe('deliveries', () => {
  test('a commit that is delivered twice is applied once', async () => {
    const { cache, log, post, source } = await bed()
    await post(1)
    source.put('public.posts', { id: 1, title: 'b' })
    expect(await post(1)).toBe('b')
    const { commits } = cache.counters
    for (const commit of log.commits) log.repeat(commit)
    expect(post.peek(1)).toBe('b')
    expect(cache.counters.commits).toBe(commits)
  })
})

describe('caches that share a source', () => {
  test('share one log; a change reaches both; closing one leaves the other, closing the last ends it', async () => {
    const source = new FakeSource()
    const openLog = vi.spyOn(source, 'openLog')
    const closeLog = vi.spyOn(source.log, 'close')
    const closeSource = vi.spyOn(source, 'close')
    const clock = new ManualClock()
    const caches = [createCache({ source, clock }), createCache({ source, clock })]
    const posts = caches.map((cache) => cache.define('post', ({ db }, id: number) => db.one('public.posts', { id })))
    await caches[0]!.settled()
    for (const post of posts) await post(1)
    source.put('public.posts', { id: 1 })
    for (const post of posts) expect(post.peek(1)).toBe(undefined)
    expect(openLog).toHaveBeenCalledTimes(1)

    await caches[0]!.close()
    expect(closeLog).not.toHaveBeenCalled()
    expect(closeSource).not.toHaveBeenCalled()
    await posts[1]!(1)
    source.put('public.posts', { id: 1, title: 'x' })
    expect(await posts[1]!(1)).toMatchObject({ title: 'x' })
    await caches[1]!.close()
    expect(closeLog).toHaveBeenCalledTimes(1)
    expect(closeSource).toHaveBeenCalledTimes(1)
  })

  test('that come one after another, as in a hot reload, never pile up logs', async () => {
    const source = new FakeSource()
    const openLog = vi.spyOn(source, 'openLog')
    let cache = createCache({ source, clock: new ManualClock() })
    for (let reload = 0; reload < 20; reload++) {
      const next = createCache({ source, clock: new ManualClock() })
      await cache.close()
      cache = next
    }
    expect(openLog).toHaveBeenCalledTimes(1)
    await cache.close()
  })

  test('that were refused for their options leave nothing open', async () => {
    const source = new FakeSource()
    const openLog = vi.spyOn(source, 'openLog')
    const clock = new ManualClock()
    for (const options of [
      { l1: { maxEntries: -1 } },
      { watchMax: 0 },
      { waitMax: 'soon' },
      { defaults: { ttl: 'x' } },
    ])
      expect(() => createCache({ source, clock, ...(options as object) })).toThrow(
        expect.objectContaining({ code: 'TIDEMARK_OPTION' }),
      )
    expect(openLog).not.toHaveBeenCalled()
  })

  test('in which another, incompatible copy of the library follows the source say so', async () => {
    const registry = (globalThis as Record<symbol, unknown>)[Symbol.for('tidemark.followers')] as Map<string, unknown>
    const source = new FakeSource()
    registry.set(source.id, { form: -1, follower: {}, users: 1 })
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const cache = createCache({ source, clock: new ManualClock() })
    expect(warning).toHaveBeenCalledWith(
      expect.stringContaining('two slots'),
      expect.objectContaining({ code: 'second-copy' }),
    )
    await cache.close()
    warning.mockRestore()
    registry.delete(source.id)
  })
})

describe('close', () => {
  test('rejects reads that wait, at once, and runs no loader afterwards', async () => {
    const { cache, post, clock } = await bed()
    let signal: AbortSignal | undefined
    const stuck = cache.define('stuck', (context) => {
      signal = context.signal
      return new Promise<number>(() => {})
    })
    const expired = cache.define('expired', () => (cache.counters.loads < 3 ? 1 : new Promise<number>(() => {})), {
      ttl: '1s',
      grace: '1h',
      softTimeout: '1h',
    })
    await expired()
    const reads = [stuck(), stuck.ask(), cache.get('k', () => stuck())]
    await clock.advance(1_000)
    reads.push(expired())
    await rest()
    const { loads } = cache.counters
    const closing = cache.close()
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
    await closing
    expect(signal!.aborted).toBe(true)
    await expect(post(1)).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
    await expect(cache.get('k', () => 1)).rejects.toMatchObject({ code: 'TIDEMARK_CLOSED' })
    expect(post.peek(1)).toBe(undefined)
    await rest()
    expect(cache.counters.loads).toBe(loads)
    expect(cache.status()).toMatchObject({ entries: 0, filling: 0, watched: 0 })
  })

  test('leaves no timer, and can be called again', async () => {
    const { cache, clock, post } = await bed()
    void post.watch(1).next()
    await rest()
    const closing = cache.close()
    expect(cache.close()).toBe(closing)
    await closing
    await rest()
    expect(clock.timers).toBe(0)
  })
})

describe('settled', () => {
  test('resolves when all that was committed is applied and no fill runs', async () => {
    const { cache, log, source } = await bed()
    const gate = new Gate()
    const slow = cache.define('slow', () => gate.passed)
    void slow()
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'b' })
    const isSettled = vi.fn()
    void cache.settled().then(isSettled)
    await rest()
    for (const probe of log.probes.splice(0)) probe.answer()
    log.deliver()
    await rest()
    expect(isSettled).not.toHaveBeenCalled()
    gate.open()
    await rest()
    expect(isSettled).toHaveBeenCalledOnce()
  })

  test('gives up when its signal is aborted, before or while it waits', async () => {
    const { cache } = await bed()
    const slow = cache.define('slow', () => new Promise<number>(() => {}))
    slow().catch(() => undefined)
    await rest()
    await expect(cache.settled({ signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow('early')
    const later = new AbortController()
    const settling = cache.settled({ signal: later.signal })
    await rest()
    later.abort(new Error('later'))
    await expect(settling).rejects.toThrow('later')
    await cache.close()
  })
})
