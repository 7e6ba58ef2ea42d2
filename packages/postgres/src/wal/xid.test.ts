import fc from 'fast-check'
import { expect, test } from 'vitest'
import { widenXid } from './xid.js'

test('an id is widened around a wrap, on both sides of it', () => {
  const wrap = 5 * 2 ** 32
  expect(widenXid(4_294_967_290, wrap + 10)).toBe(wrap - 6) // Before the wrap, seen from after it.
  expect(widenXid(3, wrap - 10)).toBe(wrap + 3) // After the wrap, seen from before it.
  expect(widenXid(3, wrap + 3)).toBe(wrap + 3)
  expect(widenXid(731, 740)).toBe(731)
})

test('any id less than 2^31 from the reference is found again from its lower half', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2 ** 32, max: 2 ** 52 }),
      fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }),
      (reference, distance) => {
        expect(widenXid((reference + distance) % 2 ** 32, reference)).toBe(reference + distance)
      },
    ),
  )
})
