import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../testing/index.js'
import { Currency } from './currency.js'

function asking() {
  const clock = new ManualClock()
  const currency = new Currency(clock)
  return {
    clock,
    currency,
    ask: (flushed: number, tidemark: number) => currency.asked(flushed, clock.now(), clock.wall(), tidemark),
    silence: () => currency.silence(clock.now()),
  }
}

describe('currency', () => {
  test('is unknown before the first question was reached', () => {
    const { ask, silence, currency } = asking()
    expect(silence()).toBe(Number.POSITIVE_INFINITY)
    ask(10, 9)
    expect(silence()).toBe(Number.POSITIVE_INFINITY)
    expect(currency.reached(10)).toBe(true)
    expect(silence()).toBe(0)
  })

  test('counts from when the source was asked, not from when it was reached', () => {
    const { clock, ask, silence, currency } = asking()
    ask(10, 0)
    clock.freeze(300)
    ask(20, 0)
    clock.freeze(50)
    expect(currency.reached(15)).toBe(false)
    expect(silence()).toBe(350)
    expect(currency.reached(20)).toBe(true)
    expect(silence()).toBe(50)
  })

  test('is judged by whichever clock moved more', () => {
    const { clock, ask, silence } = asking()
    ask(0, 0)
    clock.freeze(100)
    expect(silence()).toBe(100)
    clock.sleep(5_000)
    expect(silence()).toBe(5_100)
    clock.sleep(-60_000)
    expect(silence()).toBeGreaterThanOrEqual(100)
  })

  test('starts over where the log is taken up anew, and is always there where the log lives in the process', () => {
    const { clock, ask, silence, currency } = asking()
    ask(10, 0)
    currency.reset()
    expect(currency.reached(10)).toBe(true)
    expect(silence()).toBe(Number.POSITIVE_INFINITY)
    currency.always()
    clock.freeze(1e9)
    expect(silence()).toBe(0)
  })

  test('is the last question that was reached, in any order of questions and steps of the tidemark', () => {
    const step = fc.record({ ms: fc.integer({ min: 0, max: 50 }), flushed: fc.nat(30), tidemark: fc.nat(30) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { clock, ask, silence, currency } = asking()
        const questions: { readonly at: number; readonly flushed: number }[] = []
        let tidemark = 0
        let end = 0
        for (const { ms, flushed, tidemark: moved } of steps) {
          clock.freeze(ms)
          // Neither the source's log nor the tidemark goes back within a start.
          end = Math.max(end, flushed)
          questions.push({ at: clock.now(), flushed: end })
          ask(end, tidemark)
          tidemark = Math.max(tidemark, moved)
          currency.reached(tidemark)
          const last = questions.findLast((question) => question.flushed <= tidemark)
          expect(silence()).toBe(last ? clock.now() - last.at : Number.POSITIVE_INFINITY)
        }
      }),
    )
  })
})
