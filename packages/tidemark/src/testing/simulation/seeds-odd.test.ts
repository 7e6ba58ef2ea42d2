import { describe, expect, test } from 'vitest'
import { simulate } from './run.js'
import { seedsOf, simulateAll } from './seeds.js'

// SIM_SEEDS=100000 for more; SIM_SEED=17 for one, with its steps if it fails. The other half runs beside this one, in its own file.
const seeds = seedsOf(process.env)

describe('the real cache, in a simulated world', () => {
  test(`keeps its promises in every odd seed up to ${seeds.count}`, { timeout: 1_200_000 }, async () => {
    const sum = await simulateAll(seeds, 1, 2)
    console.info(`simulation, odd seeds: ${JSON.stringify(sum)}`)
    // It would keep every promise by doing nothing.
    if (seeds.only === undefined && sum.seeds >= 1_000) {
      const { fresh, stale, fenced, watched } = sum.answers
      const { kept, sets, evicted, gaps, markedStarts, l2Hits, l2Disbelieved } = sum
      expect(
        Math.min(fresh, stale, fenced, watched, kept, sets, evicted, gaps, markedStarts, l2Hits, l2Disbelieved),
      ).toBeGreaterThan(0)
    }
  })

  test('does the same again from the same seed', async () => {
    for (const seed of [3, 5, 8]) {
      const first = await simulate(seed, true)
      expect(first.trace.length).toBeGreaterThan(50)
      expect(await simulate(seed, true)).toEqual(first)
      expect(await simulate(seed)).toEqual({ ...first, trace: [] })
    }
  })
})
