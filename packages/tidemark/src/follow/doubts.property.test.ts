import { describe, expect, test } from 'vitest'
import { createCache } from '../create.js'
import { FakeSource, ManualClock, rest } from '../testing/index.js'

// An entry that stays might hold a value that the rows do not say: when changes come while it is loaded again, before they can be seen, several to a
// commit, or to what it only just began to depend on.

const SEEDS = Number(process.env['DOUBT_SEEDS'] ?? 60)
const POINTERS = 4
const TEXTS = 5

/** Mulberry32. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

describe('entries that may stay', () => {
  test(`what is kept is what the rows say, whatever changes while it is loaded again (${SEEDS} seeds)`, async () => {
    let stayed = 0
    for (let seed = 1; seed <= SEEDS; seed++) stayed += await run(seed)
    expect(stayed).toBeGreaterThan(SEEDS)
  })
})

/** Pointers lead to texts, by each other or at once; what is shown is the text. Returns how often something stayed. */
async function run(seed: number): Promise<number> {
  const below = random(seed)
  const source = new FakeSource()
  const { log } = source
  const clock = new ManualClock()
  const cache = createCache({ source, clock })
  const to = new Map<number, number>()
  const texts = new Map<number, string>()
  const point = (id: number): void => {
    to.set(id, below(TEXTS))
    source.put('pointers', { id, to: to.get(id)! })
  }
  const write = (id: number): void => {
    texts.set(id, 'ab'[below(2)]!)
    source.put('texts', { id, text: texts.get(id)! })
  }
  for (let id = 0; id < POINTERS; id++) point(id)
  for (let id = 0; id < TEXTS; id++) write(id)
  const text = cache.define('text', async ({ db }, id: number) => (await db.one('texts', { id }))?.text)
  const shown = cache.define('shown', async ({ db, mayStay }, id: number) => {
    mayStay(({ table }) => table === 'pointers')
    const pointer = await db.one('pointers', { id })
    return { text: await text(Number(pointer?.to)) }
  })
  await cache.settled()
  for (let step = 0; step < 30; step++) {
    for (let id = 0; id < POINTERS; id++) if (below(2) === 0) await shown(id)
    log.isAutomatic = below(2) === 0
    for (let count = 1 + below(3); count > 0; count--) {
      if (below(3) === 0) write(below(TEXTS))
      else point(below(POINTERS))
      const commit = log.commits.at(-1)!
      // Delivered before it can be seen, or the other way round.
      if (!log.isAutomatic && below(2) === 0) log.deliver(log.waiting)
      if (below(2) === 0) await rest()
      log.show(commit)
      log.deliver(log.waiting)
      for (let id = 0; id < POINTERS; id++)
        if (shown.peek(id))
          expect(shown.peek(id), `seed ${seed}, step ${step}`).toEqual({ text: texts.get(to.get(id)!) })
    }
    log.isAutomatic = true
    for (const probe of log.probes.splice(0)) probe.answer()
    log.keepalive()
    let isSettled = false
    void cache.settled().then(() => {
      isSettled = true
    })
    for (let turn = 0; !isSettled && turn < 1_000; turn++) {
      await clock.advance(5)
      await rest()
    }
    expect(isSettled, `seed ${seed}, step ${step}`).toBe(true)
    for (let id = 0; id < POINTERS; id++)
      if (shown.peek(id)) expect(shown.peek(id), `seed ${seed}, step ${step}`).toEqual({ text: texts.get(to.get(id)!) })
  }
  const { counters } = cache
  await cache.close()
  return counters.stayed
}
