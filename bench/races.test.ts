import { expect, test } from 'vitest'
import { races } from './races.mjs'

test('in no race between a load and an invalidation is Tidemark left with the old value', async () => {
  const results = Object.entries(await races(5))
  expect(results).toHaveLength(6)
  for (const [scenario, lost] of results) expect(lost.tidemark, scenario).toBe(0)
})

test('the races are real: some peers lose them', async () => {
  const results = Object.values(await races(2))
  const peers = results.flatMap(({ tidemark: _, ...others }) => Object.values(others))
  expect(peers.some((lost) => lost === 2)).toBe(true)
})
