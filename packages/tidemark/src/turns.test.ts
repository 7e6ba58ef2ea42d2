import { describe, expect, test } from 'vitest'
import type { Cache } from './cache.js'
import { type Clock, systemClock } from './clock.js'
import { createCache } from './create.js'
import { ManualClock, rest } from './testing/index.js'
import { type Need, Turns } from './turns.js'

// What goes through all keys might forget to look at the clock, in one of its phases; or several at once might hold the event loop
// together, each within its own bounds.

const KEYS = 2_000
/** Keys that may be gone through between two looks: what one page of the ordered index has. */
const UNSEEN_MAX = 256
const LOOKS_PER_TURN = 50
/** As long as a turn is. */
const TURN_MS = 0.5

/** Time passes by each look at it alone, so that a turn has so many looks. */
class CountingClock implements Clock {
  looks = 0
  looksMax = 0
  #sinceTurn = 0
  #now = 1_000

  now(): number {
    this.looks++
    this.looksMax = Math.max(this.looksMax, ++this.#sinceTurn)
    this.#now += TURN_MS / LOOKS_PER_TURN
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  after(ms: number, run: () => void): { cancel(): void } {
    // Nothing but the turns is due in this test.
    if (ms > 0) return { cancel: () => {} }
    const turn = setImmediate(() => {
      this.#sinceTurn = 0
      run()
    })
    return { cancel: () => clearImmediate(turn) }
  }

  random(): number {
    return 0.5
  }

  begin(): void {
    this.looks = this.looksMax = this.#sinceTurn = 0
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

async function filled(clock: Clock): Promise<Cache> {
  const cache = createCache({ clock, l1: { maxEntries: 10 * KEYS } })
  const post = cache.define('post', (_, id: number) => id, { ttl: '1h', tags: ['posts'] })
  for (let id = 0; id < KEYS; id++) await post(id)
  return cache
}

describe('what goes through all keys', () => {
  test.each<[string, phases: number, (cache: Cache) => Promise<unknown>]>([
    ['a preview of a glob', 2, (cache) => cache.preview({ pattern: '*o?t*' })],
    ['a preview of a regular expression', 2, (cache) => cache.preview({ pattern: { regex: 'p.s' } })],
    ['a preview of an end, when its index is built', 3, (cache) => cache.preview({ pattern: '*)' })],
    ['a preview of a beginning, when its index is built', 1, (cache) => cache.preview({ pattern: 'post*' })],
    ['a preview of a tag', 1, (cache) => cache.preview({ tags: ['posts'] })],
    ['a count of a glob', 1, (cache) => cache.count({ pattern: '*o?t*' })],
    ['a plan to fill again', 3, (cache) => cache.planRefill({ pattern: '*o?t*' })],
    ['what leaves this memory alone', 2, (cache) => cache.evict({ pattern: '*o?t*' })],
    ['keys by size', 1, (cache) => cache.keys({ sort: 'size', contains: '9' })],
    ['keys of a tag', 1, (cache) => cache.keys({ tag: 'posts', sort: 'age', limit: 20 })],
    ['keys in order, when their index is built', 1, (cache) => cache.keys({ contains: 'nothing' })],
    ['keys that a regular expression matches', 2, (cache) => cache.keys({ pattern: { regex: 'nothing$' } })],
    ['an invalidation of a glob', 1, (cache) => cache.invalidate({ pattern: '*o?t*' })],
    ['one of a regular expression', 1, (cache) => cache.invalidate({ pattern: { regex: 'p.s' }, mode: 'expire' })],
    ['one of a whole tenant', 1, (cache) => cache.invalidate({ all: 'tenant' })],
  ])('%s looks at the clock often enough, and ends its turn when it is over', async (_, phases, run) => {
    const clock = new CountingClock()
    const cache = await filled(clock)
    clock.begin()
    await run(cache)
    while (cache.status().sweeping > 0) await turn()
    expect(clock.looks).toBeGreaterThan((phases * KEYS) / UNSEEN_MAX)
    expect(clock.looksMax).toBeLessThan(3 * LOOKS_PER_TURN)
    await cache.close()
  })

  test('is not gone through to count what begins with a text', async () => {
    const clock = new CountingClock()
    const cache = await filled(clock)
    await cache.count({ pattern: 'post*' })
    clock.begin()
    expect(await cache.count({ pattern: 'post*', sampleMax: 1 })).toMatchObject({ count: KEYS })
    expect(clock.looks).toBeLessThan(5)
    await cache.close()
  })

  test('is passed over quickly where slots are free', async () => {
    const clock = new CountingClock()
    const cache = await filled(clock)
    await cache.invalidate({ all: 'tenant' })
    while (cache.status().sweeping > 0) await turn()
    clock.begin()
    expect((await cache.keys()).keys).toEqual([])
    expect(clock.looks).toBeGreaterThan(KEYS)
  })
})

test('of a tag that many entries have, a thousand go at once and the others in turns', async () => {
  const clock = new CountingClock()
  const cache = await filled(clock)
  clock.begin()
  await cache.invalidate({ tags: ['posts'] })
  expect(cache.status().sweeping).toBe(1)
  while (cache.status().sweeping > 0) await turn()
  expect(cache.status().entries).toBe(0)
  expect(clock.looks).toBeGreaterThan(KEYS)
  expect(clock.looksMax).toBeLessThan(1_000 + 3 * LOOKS_PER_TURN)
  await cache.close()
})

test('several at once leave the event loop its turns', async () => {
  // Each look takes a while, as it does where keys are long.
  const busy: Clock = {
    ...systemClock,
    now() {
      const end = performance.now() + 0.02
      while (performance.now() < end);
      return performance.now()
    },
  }
  const cache = await filled(busy)
  let [ticks, isDone] = [0, false]
  const tick = (): void => {
    ticks++
    if (!isDone) setImmediate(tick)
  }
  setImmediate(tick)
  await Promise.all(Array.from({ length: 4 }, (_, i) => cache.preview({ pattern: `*o?t*${i}*` })))
  isDone = true
  // Some 250 looks of 0.02 ms, and half a millisecond a turn.
  expect(ticks).toBeGreaterThan(8)
  await cache.close()
})

test('those who wait go on one after the other, a sweep every other time; who is not needed leaves nothing behind', async () => {
  const clock = new ManualClock()
  const turns = Turns.of(clock)
  const order: string[] = []
  const work = (name: string, slices: number, need: Need): void => {
    order.push(name)
    if (slices > 1) turns.wait(() => work(name, slices - 1, need), need)
  }
  for (const name of ['a', 'b']) turns.wait(() => work(name, 2, 'asked'), 'asked')
  turns.wait(() => work('sweep', 3, 'sweep'), 'sweep')
  expect(clock.timers).toBe(1)
  await clock.advance(0)
  await rest()
  expect(order).toEqual(['sweep', 'a', 'sweep', 'b', 'sweep', 'a', 'b'])
  const left = turns.wait(() => order.push('never'), 'asked')
  left.cancel()
  expect(clock.timers).toBe(0)
})

describe('work at leisure', () => {
  /** Says what each turn was waited for with, and gives it when it is told to. */
  function resting() {
    const waits: ('soon' | 'rested')[] = []
    const due = new Set<() => void>()
    const wait = (kind: 'soon' | 'rested') => (run: () => void) => {
      waits.push(kind)
      due.add(run)
      return { cancel: () => void due.delete(run) }
    }
    const clock: Clock = Object.assign(new ManualClock(), { soon: wait('soon'), rested: wait('rested') })
    const give = (): void => {
      const [next] = due
      due.delete(next!)
      next!()
    }
    return { clock, waits, due, give }
  }

  test('leaves the processor between two turns, unless somebody waits for other work', () => {
    const { clock, waits, due, give } = resting()
    const turns = Turns.of(clock)
    const order: string[] = []
    turns.wait(() => order.push('leisure'), 'leisure')
    expect(waits).toEqual(['rested'])
    // The rest ends at once for who is asked.
    turns.wait(() => order.push('asked'), 'asked')
    expect(waits).toEqual(['rested', 'soon'])
    expect(due.size).toBe(1)
    give()
    give()
    expect(order).toEqual(['leisure', 'asked'])
    turns.wait(() => order.push('sweep'), 'sweep')
    turns.wait(() => order.push('leisure'), 'leisure')
    expect(waits.slice(2)).toEqual(['soon', 'soon'])
    give()
    expect(waits.slice(4)).toEqual(['rested'])
  })

  test('is what a few sweeps are; many are hastened', async () => {
    const { clock, waits, due, give } = resting()
    const cache = createCache({ clock, l1: { maxEntries: 100_000 } })
    for (let i = 0; i < 20_000; i++) await cache.get(`user:${i}`, () => i, { ttl: '1d' })
    await cache.invalidate({ pattern: 'user:*9*' })
    while (due.size > 0) give()
    // As if each look at the clock took as long as a turn.
    clock.now = () => (clock as ManualClock & { at?: number }).at!++
    Object.assign(clock, { at: 2_000 })
    waits.length = 0
    const invalidated = Array.from({ length: 6 }, (_, i) => cache.invalidate({ pattern: `user:${i + 1}*` }))
    await rest()
    expect(cache.status().sweeping).toBe(6)
    // The first was alone when it began to wait.
    expect(waits).toEqual(['rested'])
    give()
    while (cache.status().sweeping > 4) give()
    expect(new Set(waits.slice(1, -1))).toEqual(new Set(['soon']))
    expect(waits.at(-1)).toBe('rested')
    while (cache.status().sweeping > 0) give()
    await Promise.all(invalidated)
    expect(cache.peek('user:7')).toBe(7)
    expect(cache.peek('user:15')).toBe(undefined)
    await cache.close()
  })
})
