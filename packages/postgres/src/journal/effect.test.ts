import { afterEach, expect, it, vi } from 'vitest'
import { effectOf } from './effect.js'
import { wall } from './wall.js'

const effect = { epoch: 'e', lsn: 1, committedAt: 1_000, tenant: 'default', mode: 'drop', touched: { l1: 1 } } as const

afterEach(() => {
  vi.useRealTimers()
})

it('takes a microsecond at least, whatever the clock of the server said when it committed', () => {
  for (const [ms, written] of [
    [-0.7, 0.001],
    [0, 0.001],
    [0.0004, 0.001],
    [0.25, 0.25],
    [12.34567, 12.346],
  ] as const)
    expect(effectOf({ ...effect, ms }, 'p', 1).latencyMs, String(ms)).toBe(written)
})

it('is counted by a clock that has fractions, and follows the one that is set', () => {
  const isTheTime = (): void => {
    const [before, now, after] = [Date.now(), wall(), Date.now()]
    expect(now).toBeGreaterThan(before - 3)
    expect(now).toBeLessThan(after + 3)
  }
  isTheTime()
  expect(Array.from({ length: 50 }, wall).some((ms) => !Number.isInteger(ms))).toBe(true)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 })
  isTheTime()
  vi.useRealTimers()
  isTheTime()
})
