import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeMember, type Member } from './member.js'
import { Roll } from './roll.js'

const member = (beat: number, everyMs: number): Member => ({
  pid: 1,
  host: 'h',
  address: null,
  version: '1',
  role: 'single',
  log: 'following',
  tidemark: null,
  current: true,
  keeping: true,
  silenceMs: 0,
  uptimeMs: 0,
  everyMs,
  beat,
  joining: false,
  terms: {},
})
const entry = (id: string, beat: number, everyMs = 100, order = 1) => ({
  id,
  order,
  text: encodeMember(member(beat, everyMs)),
})

// It could be wrong by taking out one that lives, or by keeping one that is dead; whatever its own pauses.
test('one that beats is never gone; one that does not is, within the time of five reads', () => {
  const step = fc.record({
    /** What passes between two reads: on time, late, or after a stop. */
    waitMs: fc.oneof(fc.integer({ min: 90, max: 110 }), fc.integer({ min: 110, max: 300 }), fc.constant(60_000)),
    /** Whether the source of entries can be read. */
    isReadable: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const roll = new Roll(100)
      let now = 0
      let reads = 0
      let lastBeat = 0
      for (const { waitMs, isReadable } of steps) {
        now += waitMs
        // The living one has beaten meanwhile, at least once: it beats as often as this one reads.
        lastBeat++
        if (!isReadable) continue
        reads++
        const gone = roll.read([entry('living', lastBeat), entry('dead', 7, 100, 2)], now)
        const present = roll.present.map(({ id }) => id)
        expect(present).toContain('living')
        expect(gone.map(({ id }) => id)).not.toContain('living')
        if (reads <= 3) expect(present).toContain('dead')
        if (reads > 5) expect(present).not.toContain('dead')
        expect(present.includes('dead')).toBe(!gone.some(({ id }) => id === 'dead'))
      }
    }),
  )
})

test('one that was taken out and comes back is there again, and one that left is not', () => {
  const roll = new Roll(100)
  roll.read([entry('a', 1)], 0)
  for (let i = 1; i <= 10; i++) roll.read([entry('a', 1)], i * 100)
  expect(roll.present).toEqual([])
  roll.read([], 1_100)
  roll.read([entry('a', 2, 100, 5)], 1_200)
  expect(roll.present).toMatchObject([{ id: 'a', order: 5, isHeard: false }])
  roll.read([entry('a', 3, 100, 5)], 1_300)
  expect(roll.present).toMatchObject([{ id: 'a', isHeard: true }])
  roll.read([], 1_400)
  expect(roll.present).toEqual([])
})

test('a slower beat is given more time', () => {
  const roll = new Roll(100)
  for (let i = 0; i < 30; i++) roll.read([entry('slow', 1, 1_000)], i * 100)
  expect(roll.present).toMatchObject([{ id: 'slow' }])
})

test('what is not of ours is neither listed nor stands in the way', () => {
  const roll = new Roll(100)
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      roll.read([{ id: 'x', order: 1, text }, entry('a', 1)], 0)
      expect(roll.present.map(({ id }) => id)).toEqual(['a'])
    }),
  )
})
