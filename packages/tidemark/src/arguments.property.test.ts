import fc from 'fast-check'
import { expect, test } from 'vitest'
import { argumentsOf } from './arguments.js'
import { slotKey } from './keys.js'

const primitive = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', ',', '"', '\\', '1', '1n', 'null', 'true', '\u0000'),
  fc.double({ noNaN: true }),
  fc.bigInt(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
)

test('of primitives a key says them as they were, each with its type', () => {
  fc.assert(
    fc.property(fc.array(primitive, { maxLength: 4 }), (args) => {
      const found = argumentsOf(slotKey(args))
      if (found === undefined) expect(JSON.stringify(args.map(String))).toMatch(/\\u0000/)
      else expect(slotKey(found)).toBe(slotKey(args))
    }),
  )
})

test('whatever else there is among them, what a key says makes the same key', () => {
  const any = fc.oneof(
    primitive,
    fc.array(primitive),
    fc.dictionary(fc.string(), primitive),
    fc.date({ noInvalidDate: true }),
  )
  fc.assert(
    fc.property(fc.array(any, { maxLength: 4 }), (args) => {
      const found = argumentsOf(slotKey(args))
      if (found) expect(slotKey(found)).toBe(slotKey(args))
    }),
  )
})
