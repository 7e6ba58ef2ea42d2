import fc from 'fast-check'
import { ManualClock } from 'tidemark/testing'
import { expect, test } from 'vitest'
import { Holds } from './holds.js'

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 500)
const HOLD_MS = 1_000
const HOLD_BYTES = 5_000

// What is acknowledged too early is lost to whoever waits; what is never acknowledged fills a disk.

const step = fc.record({
  ms: fc.integer({ min: 0, max: 300 }),
  bytes: fc.integer({ min: 0, max: 2_000 }),
  bounded: fc.integer({ min: 0, max: 2_500 }),
  unbounded: fc.integer({ min: 0, max: 2_500 }),
})

test('nothing that something waits for is acknowledged before its bound, and nothing waits beyond it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = new ManualClock()
      const holds = new Holds({ holdMs: HOLD_MS, holdBytes: HOLD_BYTES }, clock)
      let [lsn, bounded, unbounded] = [100, 0, 0]
      holds.add({ name: 'l2', upTo: () => bounded, isBounded: true })
      holds.add({ name: 'journal', upTo: () => unbounded, isBounded: false })
      const waiting = holds.waiting()
      const reached: { at: number; lsn: number }[] = []
      for (const each of steps) {
        await clock.advance(each.ms)
        lsn += each.bytes
        bounded = Math.min(lsn, bounded + each.bounded)
        unbounded = Math.min(lsn, unbounded + each.unbounded)
        reached.push({ at: clock.now(), lsn })
        const may = waiting.within(lsn)
        expect(may).toBeLessThanOrEqual(unbounded)
        // At the earliest what could have been acknowledged so long ago; at the latest the same, a note later.
        const since = (ms: number) => reached.filter(({ at }) => clock.now() - at >= ms).at(-1)?.lsn ?? 0
        const bound = (ms: number) => Math.min(lsn, unbounded, Math.max(bounded, lsn - HOLD_BYTES, since(ms)))
        expect(may).toBeLessThanOrEqual(bound(HOLD_MS))
        expect(may).toBeGreaterThanOrEqual(bound(HOLD_MS + HOLD_MS / 20 + 300))
      }
    }),
    { numRuns: RUNS },
  )
})

test('says what it waits for, until that has ended', () => {
  const clock = new ManualClock()
  const holds = new Holds({ holdMs: HOLD_MS, holdBytes: HOLD_BYTES }, clock)
  const waiting = holds.waiting()
  const end = holds.add({ name: 'l2', upTo: () => 50, isBounded: true })
  expect([waiting.within(90), waiting.behind(90), waiting.behind(40)]).toEqual([50, ['l2'], []])
  end()
  expect([waiting.within(90), waiting.behind(90)]).toEqual([90, []])
})
