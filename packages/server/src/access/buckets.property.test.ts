import fc from 'fast-check'
import { type Clock, systemClock } from 'tidemark'
import { describe, expect, it } from 'vitest'
import { Buckets } from './buckets.js'

const UNITS = 10
const WINDOW_MS = 1_000

const steps = fc.array(
  fc.record({
    waitMs: fc.integer({ min: 0, max: 400 }),
    units: fc.integer({ min: 1, max: 14 }),
    kind: fc.constantFrom('take', 'take', 'take', 'charge'),
  }),
  { maxLength: 60 },
)

const runs = {
  numRuns: Number(process.env['FC_RUNS'] ?? 1_000),
  ...(process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}),
}

function bucketsAt(time: { now: number }): Buckets {
  const clock: Clock = { ...systemClock, now: () => time.now }
  return new Buckets({ units: UNITS, windowMs: WINDOW_MS, clock })
}

/** They might be wrong by letting more through than comes back, by refusing what is there, or by a wrong time to wait. */
describe('a bucket', () => {
  it('lets through no more than it holds and what came back since, and refuses nothing that is there', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const time = { now: 0 }
        const buckets = bucketsAt(time)
        let level = UNITS
        for (const { waitMs, units, kind } of script) {
          time.now += waitMs
          level = Math.min(UNITS, level + (waitMs * UNITS) / WINDOW_MS)
          if (kind === 'charge') {
            buckets.charge('a', units)
            level = Math.max(level - units, -UNITS)
            continue
          }
          const { isTaken, left } = buckets.take('a', units)
          const isThere = level >= units - 1e-6 || level >= UNITS - 1e-6
          expect(isTaken).toBe(isThere)
          if (isTaken) level = Math.max(level - units, -UNITS)
          expect(left).toBe(Math.max(0, Math.floor(level + 1e-6)))
        }
      }),
      runs,
    )
  })

  it('says how long to wait: then it is there, and not before', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: UNITS }), (script, units) => {
        const time = { now: 0 }
        const buckets = bucketsAt(time)
        for (const step of script) {
          time.now += step.waitMs
          buckets.take('a', step.units)
        }
        const { isTaken, retryInMs } = buckets.take('a', units)
        if (isTaken) return
        time.now += retryInMs - 1
        expect(retryInMs > 1 && buckets.take('a', units).isTaken).toBe(false)
        time.now += 1.001
        expect(buckets.take('a', units).isTaken).toBe(true)
      }),
      runs,
    )
  })

  it('of one name knows nothing of another', () => {
    const buckets = bucketsAt({ now: 0 })
    while (buckets.take('a').isTaken);
    expect(buckets.take('b')).toMatchObject({ isTaken: true, left: UNITS - 1 })
  })
})
