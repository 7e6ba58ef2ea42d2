import { expect, test } from 'vitest'
import { createCache } from './create.js'
import { Gate, ManualClock, rest } from './testing/index.js'

// A refill might load more than it was asked to, count what it did not do, or never end when it is given up.

async function bed(load: (id: number) => Promise<number> | number) {
  const clock = new ManualClock()
  const cache = createCache({ clock })
  const loads: number[] = []
  let isRefill = false
  const post = cache.define('post', (_, id: number) => {
    loads.push(id)
    return isRefill ? load(id) : id
  })
  for (const id of [1, 2, 3]) await post(id)
  const plan = await cache.planRefill({ pattern: 'post(*' })
  await cache.invalidate({ pattern: 'post(*' })
  loads.length = 0
  isRefill = true
  return { clock, cache, loads, plan, post }
}

test('loads begin at the pace that is asked for; what fails is counted, and a reader who was faster saves one', async () => {
  const { clock, loads, plan, post } = await bed((id) => (id === 2 ? Promise.reject(new Error('gone')) : id))
  const told: number[] = []
  const done = plan.run({ perSecond: 10, concurrency: 2, onProgress: ({ filled }) => told.push(filled) })
  await rest()
  expect(loads).toHaveLength(1)
  await post(3)
  await clock.advance(1_000)
  expect(await done).toEqual({ filled: 2, failed: 1 })
  expect(loads.sort()).toEqual([1, 2, 3])
  expect(told.at(-1)).toBe(2)
})

test('given up, it ends at once: nothing more begins, and nobody waits for a loader or for a turn', async () => {
  const gate = new Gate()
  const { clock, loads, plan } = await bed(async (id) => {
    if (id !== 1) await gate.passed
    return id
  })
  const leaving = new AbortController()
  const done = plan.run({ perSecond: 1, concurrency: 3, signal: leaving.signal })
  await clock.advance(1_000)
  expect(loads).toHaveLength(2)
  leaving.abort()
  const { filled, failed } = await done
  expect(filled).toBeLessThan(2)
  expect(failed).toBe(0)
  gate.open()
  await clock.advance(10_000)
  expect(loads).toHaveLength(2)
  expect(await plan.run({ signal: AbortSignal.abort() })).toEqual({ filled: 0, failed: 0 })
})
