import { describe, expect, test } from 'vitest'
import { createCache } from '../create.js'
import { FakeSource, Gate, ManualClock, rest } from '../testing/index.js'

function bed() {
  const clock = new ManualClock()
  const source = new FakeSource()
  return { clock, source, cache: createCache({ source, clock }) }
}

/** An entry that a change took which is applied, and can't be seen yet; posts 1, which it took, and 2 are there. */
async function takenUnseen() {
  const { cache, source, clock } = bed()
  for (const id of [1, 2]) source.put('public.posts', { id, title: 'a' })
  await cache.settled()
  const { log } = source
  const post = cache.define('post', ({ db }, id: number) => db.one('public.posts', { id }))
  await post(1)
  log.isAutomatic = false
  source.put('public.posts', { id: 1, title: 'b' })
  log.deliver()
  return { cache, log, clock, post }
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
    const { loads } = cache.counters
    const read = post.ask(1)
    await rest()
    // What took the entry is not proven: a load that begins now would not be kept.
    expect(cache.counters.loads).toBe(loads)
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(5)
    log.show(hidden)
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(5)
    for (const probe of log.probes.splice(0)) probe.answer()
    expect(await read).toMatchObject({ state: 'fresh' })
    expect(post.peek(1)).toBeDefined()
    expect(cache.counters).toMatchObject({ loads: loads + 1, notKept: {} })
  })

  test('a load of another key, or one whose change stays invisible for long, does not wait for that', async () => {
    const { cache, log, clock, post } = await takenUnseen()
    const { loads } = cache.counters
    expect(await post.ask(2)).toMatchObject({ state: 'fresh' })
    const read = post.ask(1)
    await clock.advance(49)
    expect(cache.counters.loads).toBe(loads + 1)
    await clock.advance(1)
    expect(cache.counters).toMatchObject({ loads: loads + 2, notKept: { unproven: 1 } })
    for (const commit of log.commits) log.show(commit)
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    await clock.advance(50)
    expect(await read).toMatchObject({ state: 'fresh' })
    expect(cache.counters.loads).toBe(loads + 3)
  })

  test('of many loads that wait for one proof the first have asked the source before the others begin', async () => {
    const { cache, source, clock } = bed()
    source.put('public.posts', { id: 1, title: 'a' })
    await cache.settled()
    const copy = cache.define('copy', ({ db }, _: number) => db.one('public.posts', { id: 1 }))
    const ids = Array.from({ length: 100 }, (_, id) => id)
    await Promise.all(ids.map((id) => copy(id)))
    const { log } = source
    log.isAutomatic = false
    source.put('public.posts', { id: 1, title: 'b' })
    log.show(log.commits.at(-1)!)
    log.deliver()
    const { loads } = cache.counters
    const { reads } = source
    const all = ids.map((id) => copy.ask(id))
    await rest()
    expect(cache.counters.loads).toBe(loads)
    for (const probe of log.probes.splice(0)) probe.answer()
    await rest()
    const begun = cache.counters.loads - loads
    expect(begun).toBeGreaterThan(0)
    expect(begun).toBeLessThan(50)
    expect(source.reads - reads).toBe(begun)
    await clock.advance(0)
    for (const answer of await Promise.all(all)) expect(answer).toMatchObject({ state: 'fresh', value: { title: 'b' } })
    // Each once: what began late was not in vain.
    expect(cache.counters.loads).toBe(loads + 100)
  })

  test('a load that is not kept anyway, as the log is lost, waits for no proof', async () => {
    const { log, post } = await takenUnseen()
    log.lose()
    // The clock stands still.
    expect(await post.ask(1)).toMatchObject({ state: 'fenced', value: { title: 'b' } })
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
