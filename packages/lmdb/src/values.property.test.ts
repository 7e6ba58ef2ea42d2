import { deepStrictEqual as equal } from 'node:assert/strict'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pack, unpack } from './values.js'

// A value might come back as another one: msgpack has no -0, no small bigint, no holes, no half surrogate pairs, one name for
// `__proto__`, and no cycles.

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(-0, 0, Number.NaN, 2 ** 53, -(2 ** 31) - 1, 2 ** 32, 0.1),
)
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\ud800', '', '\u0000', 'é😀', '__proto__', 'toJSON'),
)
const leaf = fc.oneof(
  number,
  text,
  fc.bigInt(),
  fc.constantFrom(5n, -5n, 2n ** 63n, -(2n ** 63n) - 1n, 2n ** 90n),
  fc.boolean(),
  fc.constantFrom(null, undefined),
  // deepStrictEqual holds no invalid date to be the same as another.
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc.float64Array({ maxLength: 3 }),
  fc.bigInt64Array({ maxLength: 3 }),
  fc.uint8Array().map((bytes) => new Uint8Array(bytes).buffer),
  fc.nat(3).map((length) => Object.assign(new Array<unknown>(length), { 1: 1 })),
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(text, tie('value'), { maxKeys: 5, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
  ),
}))

function back(value: unknown): unknown {
  const packed = pack(value)!
  return unpack({ ...packed, bytes: Buffer.from(packed.bytes) })
}

test('a value comes back as what it was', () => {
  fc.assert(
    fc.property(value, (value) => equal(back(value), value)),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 3_000) },
  )
})

test('an invalid date stays one', () => {
  expect(back(new Date(Number.NaN))).toEqual(new Date(Number.NaN))
})

test('a cycle comes back as one, and parts that are shared a million times over as shared', () => {
  const ring: Record<string, unknown> = { text: 'x', zero: -0 }
  ring['self'] = [ring]
  const again = back(ring) as typeof ring
  expect((again['self'] as unknown[])[0]).toBe(again)
  let shared: unknown = ['leaf']
  for (let i = 0; i < 20; i++) shared = [shared, shared]
  const [left, right] = back(shared) as [unknown, unknown]
  expect(left).toBe(right)
})

test('what would come back as something else is not packed', () => {
  const bare: Record<string, unknown> = Object.create(null)
  expect(pack(bare)).toBeUndefined()
  expect(pack([-0, new Map([[1, { bare }]])])).toBeUndefined()
  const ring: unknown[] = [bare]
  ring.push(ring)
  expect(pack(ring)).toBeUndefined()
  expect(pack({ run: () => 1 })).toBeUndefined()
  expect(pack(Symbol('s'))).toBeUndefined()
})

test('what msgpack keeps is msgpack', () => {
  expect(pack({ a: [1, 'x', 5n, new Date(5), new Map([[1, new Set(['x'])]]), undefined, Number.NaN] })?.packing).toBe(
    'msgpack',
  )
  expect(pack({ a: -0 })?.packing).toBe('v8')
})
