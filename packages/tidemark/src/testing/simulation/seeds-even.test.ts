import { describe, test } from 'vitest'
import { seedsOf, simulateAll } from './seeds.js'

const seeds = seedsOf(process.env)

describe('the real cache, in a simulated world', () => {
  // One seed alone runs in seeds-odd.test.ts.
  test.skipIf(seeds.only !== undefined)(
    `keeps its promises in every even seed up to ${seeds.count}`,
    { timeout: 1_200_000 },
    async () => {
      const sum = await simulateAll(seeds, 2, 2)
      console.info(`simulation, even seeds: ${JSON.stringify(sum)}`)
    },
  )
})
