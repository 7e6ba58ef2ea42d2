import { describe, expect, test } from 'vitest'
import { PLANTED } from './planted.js'
import { report, simulate } from './run.js'

const SEEDS_MAX = 10_000

describe('a rule left out', () => {
  test.each(PLANTED)('$rule: the simulation notices that $bug', { timeout: 600_000 }, async ({ rule, plant }) => {
    const takeOut = plant()
    let seed = 0
    let violation: string | undefined
    try {
      while (violation === undefined && seed < SEEDS_MAX) violation = (await simulate(++seed)).violation
      expect(violation, `${rule} left out was not noticed in ${SEEDS_MAX} seeds`).toBeDefined()
      // What is printed leads to the bug: the seed runs into it again.
      expect(await report(seed)).toContain(`SIM_SEED=${seed} `)
      expect((await simulate(seed, true)).violation).toBe(violation)
    } finally {
      takeOut()
    }
    console.info(`${rule} left out: caught at seed ${seed}: ${violation}`)
    // And it was that bug.
    expect((await simulate(seed)).violation).toBe(undefined)
  })
})
