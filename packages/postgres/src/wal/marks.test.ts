import { ManualClock } from 'tidemark/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Marks } from './marks.js'

let clock: ManualClock
let written: string[]
let fails: boolean
let isHeld: boolean
let marks: Marks
let ended: AbortController

beforeEach(() => {
  clock = new ManualClock()
  ended = new AbortController()
  written = []
  fails = false
  isHeld = true
  const message = async (_: string, token: string): Promise<void> => {
    written.push(token)
    if (fails) throw new Error('the source is down')
  }
  marks = new Marks({ message }, clock)
  void marks.run(() => isHeld, ended.signal)
})
afterEach(() => ended.abort())

test('a mark counts once the log has delivered it, with the time before it was written', async () => {
  await clock.advance(10_000)
  expect(written).toHaveLength(1)
  expect(marks.newest).toBeUndefined()
  const mark = marks.delivered(written[0]!, 100)
  expect(mark).toEqual({ lsn: 100, token: written[0], writtenAt: clock.now() })
  expect(marks.newest).toBe(mark)
  // It comes again to whoever takes up the slot.
  expect(marks.delivered(written[0]!, 100)).toBe(mark)
})

test("the same token at another place, and others' tokens, are none", async () => {
  await clock.advance(10_000)
  expect(marks.delivered('forged', 90)).toBeUndefined()
  marks.delivered(written[0]!, 100)
  expect(marks.delivered(written[0]!, 110)).toBeUndefined()
  expect(marks.newest).toMatchObject({ lsn: 100 })
})

test('no other is written while one is under way, and none by who does not hold the slot', async () => {
  await clock.advance(10_000)
  await clock.advance(20_000)
  expect(written).toHaveLength(1)
  marks.delivered(written[0]!, 100)
  isHeld = false
  await clock.advance(10_000)
  expect(written).toHaveLength(1)
  isHeld = true
  await clock.advance(10_000)
  expect(written).toHaveLength(2)
})

test('one that no other follows, as the source can not be written to, does not hold the slot back for ever', async () => {
  await clock.advance(10_000)
  marks.delivered(written[0]!, 100)
  fails = true
  await clock.advance(10_000)
  for (let i = 0; i < 7; i++) await clock.advance(10_000)
  expect(marks.newest).toBeUndefined()
})

test('what was forgotten is not known again', async () => {
  await clock.advance(10_000)
  marks.delivered(written[0]!, 100)
  marks.forget()
  expect(marks.delivered(written[0]!, 100)).toBeUndefined()
})
