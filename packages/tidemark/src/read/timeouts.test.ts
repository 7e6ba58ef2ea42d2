import { describe, expect, test, vi } from 'vitest'
import { createCache } from '../create.js'
import { LoaderTimeoutError } from '../errors.js'
import { FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  return { clock, source, cache: createCache({ source, clock }) }
}

async function settledAs(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error)
}

describe('timeouts and cancellation', () => {
  test('after the hard timeout the signal is aborted, the read fails, and what the loader returns later is ignored', async () => {
    const { cache, clock } = bed()
    const gate = new Gate()
    const signals: AbortSignal[] = []
    const slow = cache.define(
      'slow',
      async ({ signal }) => {
        signals.push(signal)
        await gate.passed
        return 'late'
      },
      { hardTimeout: '2s', static: true },
    )
    const read = settledAs(slow())
    await clock.advance(1_999)
    expect(signals[0]!.aborted).toBe(false)
    await clock.advance(1)
    expect(signals[0]!.aborted).toBe(true)
    const error = await read
    expect(error).toBeInstanceOf(LoaderTimeoutError)
    expect(error).toMatchObject({ code: 'TIDEMARK_LOADER_TIMEOUT' })
    expect((error as Error).message).toContain('slow()')
    expect(signals[0]!.reason).toBe(error)
    gate.open()
    await rest()
    expect(slow.peek()).toBe(undefined)
    expect(cache.status().filling).toBe(0)
    expect(cache.counters.loadErrors).toBe(1)
  })

  test('a loader that timed out does not disturb the next, even if it ends later', async () => {
    const { cache, clock } = bed()
    const gates = [new Gate(), new Gate()]
    let runs = 0
    const slow = cache.define(
      'slow',
      async () => {
        const run = runs++
        await gates[run]!.passed
        return run
      },
      { hardTimeout: '1s', static: true },
    )
    const first = settledAs(slow())
    await clock.advance(1_000)
    expect(await first).toBeInstanceOf(LoaderTimeoutError)
    const second = slow()
    await rest()
    gates[0]!.open()
    await rest()
    gates[1]!.open()
    expect(await second).toBe(1)
    expect(slow.peek()).toBe(1)
  })

  test('with grace, a loader that times out leaves the stale value', async () => {
    const { cache, clock } = bed()
    let isSlow = false
    const post = cache.define('post', () => (isSlow ? new Promise<string>(() => {}) : 'old'), {
      ttl: '1m',
      grace: { failure: '1h' },
      hardTimeout: '2s',
    })
    await post()
    isSlow = true
    await clock.advance(60_000)
    const read = post.ask()
    await clock.advance(2_000)
    expect(await read).toMatchObject({ value: 'old', state: 'stale' })
  })

  test('with a soft timeout, a refill that is quick enough is waited for; a slow one is not, and goes on', async () => {
    const { cache, clock } = bed()
    let value = 'old'
    let gate = new Gate()
    const post = cache.define('post', () => gate.passed.then(() => value), {
      ttl: '1m',
      grace: '1h',
      softTimeout: '100ms',
    })
    gate.open()
    await post()
    await clock.advance(60_000)
    value = 'quick'
    expect(await post.ask()).toMatchObject({ value: 'quick', state: 'fresh', from: 'source' })

    await clock.advance(60_000)
    gate = new Gate()
    value = 'slow'
    const read = post.ask()
    await clock.advance(99)
    const isAnswered = vi.fn()
    void read.then(isAnswered)
    await rest()
    expect(isAnswered).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(await read).toMatchObject({ value: 'quick', state: 'stale' })
    expect(cache.status().filling).toBe(1)
    gate.open()
    await rest()
    expect(post.peek()).toBe('slow')
  })

  test('a load that nobody waits for any more is cancelled, and one that somebody waits for is not', async () => {
    const { cache } = bed()
    const gate = new Gate()
    const signals: AbortSignal[] = []
    const slow = cache.define(
      'slow',
      async ({ signal }) => {
        signals.push(signal)
        await gate.passed
        return 'value'
      },
      { static: true },
    )
    const [one, two] = [new AbortController(), new AbortController()]
    const first = settledAs(slow.with({ signal: one.signal })())
    const second = settledAs(slow.with({ signal: two.signal })())
    await rest()
    one.abort(new Error('gone'))
    expect(await first).toMatchObject({ message: 'gone' })
    expect(signals[0]!.aborted).toBe(false)
    two.abort()
    expect(await second).toMatchObject({ name: 'AbortError' })
    expect(signals[0]!.aborted).toBe(true)
    expect(cache.status().filling).toBe(0)

    const third = slow()
    await rest()
    gate.open()
    expect(await third).toBe('value')
    expect(signals).toHaveLength(2)
    // Nobody failed: the loads were given up.
    expect(cache.counters.loadErrors).toBe(0)
  })

  test('a refill behind a stale answer goes on though nobody waits for it', async () => {
    const { cache, clock } = bed()
    const post = cache.define('post', async () => 'v', { ttl: '1m', grace: '1h' })
    await post()
    await clock.advance(60_000)
    const gone = new AbortController()
    const read = post.with({ signal: gone.signal })()
    gone.abort()
    await settledAs(read)
    await rest()
    expect(cache.counters.loads).toBe(2)
    expect(post.peek()).toBe('v')
  })

  test('giving up an outer read gives up the inner loads that only its loader waits for', async () => {
    const { cache } = bed()
    const signals: AbortSignal[] = []
    const inner = cache.define('inner', ({ signal }) => {
      signals.push(signal)
      return new Promise<string>(() => {})
    })
    const outer = cache.define('outer', () => inner())
    const gone = new AbortController()
    const read = settledAs(outer.with({ signal: gone.signal })())
    await rest()
    gone.abort()
    await read
    await rest()
    expect(signals[0]!.aborted).toBe(true)
    expect(cache.status().filling).toBe(0)
  })

  test('one signal may be that of any number of reads, watches and inner reads, without a warning', async () => {
    const { cache, source } = bed()
    await cache.settled()
    const warned = vi.fn()
    process.on('warning', warned)
    const gate = new Gate()
    source.gate = gate.passed
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    const many = cache.define('many', () => Promise.all(Array.from({ length: 50 }, (_, id) => post(id))))
    const call = { signal: new AbortController().signal, minPosition: cache.status().tidemark! }
    const reads: Promise<unknown>[] = Array.from({ length: 50 }, (_, id) => post.with(call)(id))
    reads.push(many(), many())
    const watches = Array.from({ length: 50 }, (_, id) => post.with({ signal: call.signal }).watch(id))
    await rest()
    gate.open()
    await Promise.all(reads)
    for (const watch of watches) await watch.return!()
    await rest()
    process.off('warning', warned)
    expect(warned).not.toHaveBeenCalled()
  })

  test('a read whose signal was aborted before it asked runs no loader', async () => {
    const { cache } = bed()
    const load = vi.fn(() => 1)
    const one = cache.define('one', load, { static: true })
    await expect(one.with({ signal: AbortSignal.abort(new Error('early')) })()).rejects.toThrow('early')
    expect(load).not.toHaveBeenCalled()
  })
})
