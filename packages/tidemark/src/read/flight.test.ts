import { describe, expect, test, vi } from 'vitest'
import { createCache } from '../create.js'
import { CycleError, LoaderTimeoutError } from '../errors.js'
import { FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  return { clock, source, cache: createCache({ source, clock }) }
}

async function settledAs(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error)
}

describe('one fill', () => {
  test('1,000 concurrent misses of a key run its loader once, and all get the value', async () => {
    const { cache, source } = bed()
    await cache.settled()
    const gate = new Gate()
    source.gate = gate.passed
    source.put('public.posts', { id: 1, title: 'a' })
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    const reads = Array.from({ length: 1_000 }, () => post.ask(1))
    await rest()
    gate.open()
    const answers = await Promise.all(reads)
    expect(source.reads).toBe(1)
    expect(new Set(answers.map((answer) => answer.state))).toEqual(new Set(['fresh']))
    expect(answers.filter((answer) => answer.from === 'source')).toHaveLength(1)
    expect(answers.filter((answer) => answer.from === 'joined')).toHaveLength(999)
    expect(cache.counters).toMatchObject({ loads: 1, kept: 1, misses: 1_000, joined: 999, hits: 0 })
  })

  test('different keys, and the same key of different definitions, do not wait for each other', async () => {
    const { cache } = bed()
    const gate = new Gate()
    const slow = cache.define('slow', () => gate.passed.then(() => 'slow'), { static: true })
    const fast = cache.define('fast', (_, id: number) => id, { static: true })
    const waits = slow()
    expect(await fast(1)).toBe(1)
    expect(await fast(2)).toBe(2)
    gate.open()
    expect(await waits).toBe('slow')
  })

  test('an error goes to all who wait, is kept for nobody, and is the same error', async () => {
    const { cache } = bed()
    let runs = 0
    const broken = cache.define('broken', async () => {
      runs++
      await rest()
      throw new RangeError(`run ${runs}`)
    })
    const errors = await Promise.all(Array.from({ length: 10 }, () => settledAs(broken())))
    expect(runs).toBe(1)
    expect(errors[0]).toBeInstanceOf(RangeError)
    expect(new Set(errors).size).toBe(1)
    expect(cache.explain('broken()').stored).toBe(false)
    await expect(broken()).rejects.toThrow('run 2')
    expect(cache.counters).toMatchObject({ loads: 2, loadErrors: 2, kept: 0 })
  })

  test('a loader that throws before its first await rejects the read, and does not throw at the caller', async () => {
    const { cache } = bed()
    const broken = cache.define('broken', () => {
      throw new TypeError('at once')
    })
    const read = broken()
    await expect(read).rejects.toThrow('at once')
  })

  test('a loader that rejects with undefined still rejects the read', async () => {
    const { cache } = bed()
    const broken = cache.define('broken', () => Promise.reject(undefined))
    await expect(broken()).rejects.toBe(undefined)
  })
})

describe('reads across changes', () => {
  test('a read that joined a load from before a change gets a second load, and who asked before gets the first', async () => {
    const { cache, source } = bed()
    await cache.settled()
    source.put('public.posts', { id: 1, title: 'old' })
    const gates = [new Gate(), new Gate()]
    let runs = 0
    const post = cache.define('post', async ({ db }, id: number) => {
      const run = runs++
      const row = await db.one('public.posts', { id })
      await gates[run]?.passed
      return row?.title
    })
    const before = post.ask(1)
    await rest()
    source.put('public.posts', { id: 1, title: 'new' })
    const after = post.ask(1)
    await rest()
    gates[0]!.open()
    expect(await before).toMatchObject({ value: 'old', state: 'fresh', from: 'source' })
    await rest()
    expect(runs).toBe(2)
    gates[1]!.open()
    expect(await after).toMatchObject({ value: 'new', state: 'fresh', from: 'joined' })
    expect(post.peek(1)).toBe('new')
    expect(cache.counters.notKept).toEqual({ overtaken: 1 })
  })

  test('the position of an answer that was overtaken is one at which the value held', async () => {
    const { cache, source } = bed()
    await cache.settled()
    source.put('public.posts', { id: 1, title: 'old' })
    const start = cache.status().tidemark
    const gate = new Gate()
    const post = cache.define('post', async ({ db }, id: number) => {
      const row = await db.one('public.posts', { id })
      await gate.passed
      return row?.title
    })
    const before = post.ask(1)
    await rest()
    source.put('public.posts', { id: 1, title: 'new' })
    gate.open()
    expect(await before).toMatchObject({ value: 'old', asOf: start })
  })

  test('a change of another row does not cost a second load', async () => {
    const { cache, source } = bed()
    await cache.settled()
    const gate = new Gate()
    source.gate = gate.passed
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    const read = post(1)
    await rest()
    source.put('public.posts', { id: 2, title: 'beside' })
    const joined = post(1)
    gate.open()
    await Promise.all([read, joined])
    expect(source.reads).toBe(1)
    expect(post.peek(1)).toBe(null)
  })

  test('however fast a row changes, a read needs at most two loads, and never gets a value from before it asked', async () => {
    const { cache, source } = bed()
    await cache.settled()
    let version = 0
    const hot = cache.define('hot', async ({ db }) => {
      const row = await db.one('public.hot', { id: 1 })
      // The row changes several times while each load runs.
      for (let i = 0; i < 3; i++) {
        source.put('public.hot', { id: 1, version: ++version })
        await rest()
      }
      return Number(row?.version)
    })
    source.put('public.hot', { id: 1, version: 0 })
    const alone = cache.counters.loads
    const asked = version
    expect(await hot()).toBeGreaterThanOrEqual(asked)
    expect(cache.counters.loads - alone).toBe(1)

    for (let round = 0; round < 20; round++) {
      const before = cache.counters.loads
      const first = { asked: version, value: hot() }
      await rest()
      const joined = { asked: version, value: hot() }
      expect(await first.value).toBeGreaterThanOrEqual(first.asked)
      expect(await joined.value).toBeGreaterThanOrEqual(joined.asked)
      expect(cache.counters.loads - before).toBeLessThanOrEqual(2)
    }
  })

  test('a change that was applied but is not visible yet: the read waits for the proof, then loads what shows it', async () => {
    const { cache, source, clock } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const { log } = source
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    await post(1)
    log.isAutomatic = false
    const hidden = log.write([
      { kind: 'row', op: 'update', table: 'public.posts', old: { id: '1' }, new: { id: '1', title: 'b' } },
    ])
    log.deliver()
    expect(post.peek(1)).toBe(undefined)
    const read = post.ask(1)
    await rest()
    // The first load began while the change was unproven: it is not believed.
    expect(cache.counters.notKept).toEqual({ unproven: 1 })
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(5)
    log.show(hidden)
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(50)
    for (const probe of log.probes.splice(0)) probe.answer()
    expect(await read).toMatchObject({ state: 'fresh' })
    expect(post.peek(1)).toBeDefined()
  })

  test('a change that stays invisible: the read gets the answer of the source, fenced, after proofWait', async () => {
    const clock = new ManualClock()
    const source = new FakeSource()
    const cache = createCache({ source, clock, proofWait: '200ms', maxSilence: '1h' })
    await cache.settled()
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    source.log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'hidden' })
    source.log.deliver()
    const read = post.ask(1)
    let isAnswered = false
    void read.then(() => (isAnswered = true))
    await clock.advance(199)
    expect(isAnswered).toBe(false)
    await clock.advance(1)
    expect(await read).toMatchObject({ state: 'fenced', asOf: undefined })
    expect(cache.explain('post(1)')).toMatchObject({ stored: false, notKept: 'unproven' })
  })

  test('a read beside a watch that waits for a proof without a bound keeps its own bound', async () => {
    const clock = new ManualClock()
    const source = new FakeSource()
    const cache = createCache({ source, clock, proofWait: '200ms', maxSilence: '1h' })
    await cache.settled()
    const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
    source.log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'hidden' })
    source.log.deliver()
    const watched = post.watch(1).next()
    await rest()
    const read = post.ask(1)
    await clock.advance(400)
    expect(await read).toMatchObject({ state: 'fenced' })
    for (const commit of source.log.commits) source.log.show(commit)
    source.log.isAutomatic = true
    for (const probe of source.log.probes.splice(0)) probe.answer()
    await clock.advance(100)
    expect(await watched).toMatchObject({ value: { title: 'hidden' } })
    await cache.close()
  })
})

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

  test('a read whose signal was aborted before it asked runs no loader', async () => {
    const { cache } = bed()
    const load = vi.fn(() => 1)
    const one = cache.define('one', load, { static: true })
    await expect(one.with({ signal: AbortSignal.abort(new Error('early')) })()).rejects.toThrow('early')
    expect(load).not.toHaveBeenCalled()
  })
})

describe('waits of loaders for each other', () => {
  test('a loader that reads its own key is a cycle, at once', async () => {
    const { cache } = bed()
    const self: (id: number) => Promise<number> = cache.define('self', (_, id: number): Promise<number> => self(id))
    const error = await settledAs(self(1))
    expect(error).toBeInstanceOf(CycleError)
    expect((error as Error).message).toContain('self(1)')
  })

  test('two loaders that read each other are a cycle, from whichever side', async () => {
    const { cache } = bed()
    const a: () => Promise<number> = cache.define('a', (): Promise<number> => b())
    const b: () => Promise<number> = cache.define('b', (): Promise<number> => a())
    expect(await settledAs(a())).toMatchObject({ code: 'TIDEMARK_CYCLE' })
    expect(await settledAs(b())).toMatchObject({ code: 'TIDEMARK_CYCLE' })
    const both = await Promise.all([settledAs(a()), settledAs(b())])
    expect(both).toMatchObject([{ code: 'TIDEMARK_CYCLE' }, { code: 'TIDEMARK_CYCLE' }])
    expect(cache.status().filling).toBe(0)
  })

  test('three loaders in a ring are a cycle, and a diamond is none', async () => {
    const { cache } = bed()
    const ring: (id: number) => Promise<number> = cache.define(
      'ring',
      (_, id: number): Promise<number> => ring((id + 1) % 3),
    )
    const all = await Promise.all([0, 1, 2].map((id) => settledAs(ring(id))))
    for (const error of all) expect(error).toMatchObject({ code: 'TIDEMARK_CYCLE' })

    const bottom = cache.define('bottom', async () => rest().then(() => 1), { static: true })
    const left = cache.define('left', () => bottom())
    const right = cache.define('right', () => bottom())
    const top = cache.define('top', async () => {
      const [l, r] = await Promise.all([left(), right()])
      return l + r
    })
    expect(await top()).toBe(2)
    expect(cache.counters.joined).toBeGreaterThan(0)
  })

  test('a cycle that closes only after both sides began is found when it closes', async () => {
    const { cache } = bed()
    const gates = { a: new Gate(), b: new Gate() }
    const a: () => Promise<string> = cache.define('a', async (): Promise<string> => {
      await gates.a.passed
      return b()
    })
    const b: () => Promise<string> = cache.define('b', async (): Promise<string> => {
      await gates.b.passed
      return a()
    })
    const both = [settledAs(a()), settledAs(b())]
    await rest()
    gates.a.open()
    await rest()
    gates.b.open()
    expect(await Promise.all(both)).toMatchObject([{ code: 'TIDEMARK_CYCLE' }, { code: 'TIDEMARK_CYCLE' }])
  })

  test('a loader that catches the cycle and loads by itself gets through', async () => {
    const { cache } = bed()
    const a: () => Promise<string> = cache.define('a', (): Promise<string> => b())
    const b: () => Promise<string> = cache.define('b', (): Promise<string> => a().catch(() => 'own'))
    expect(await a()).toBe('own')
  })

  test('two readers of one loader that reads the same inner key twice at once are no cycle', async () => {
    const { cache } = bed()
    const inner = cache.define('inner', async (_, id: number) => rest().then(() => id), { static: true })
    const outer = cache.define('outer', async () => (await Promise.all([inner(1), inner(1), inner(2)])).join())
    expect(await Promise.all([outer(), outer()])).toEqual(['1,1,2', '1,1,2'])
    expect(cache.counters.loads).toBe(3)
  })

  test('a cycle across an expired entry with grace and a soft timeout never hangs', async () => {
    const { cache, clock } = bed()
    let isCyclic = false
    const a: () => Promise<string> = cache.define('a', (): Promise<string> | string => (isCyclic ? a() : 'v'), {
      ttl: '1m',
      grace: '1h',
      softTimeout: '10s',
    })
    await a()
    isCyclic = true
    await clock.advance(60_000)
    expect(await a()).toBe('v')
  })
})
