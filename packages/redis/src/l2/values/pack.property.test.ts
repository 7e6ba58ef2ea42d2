import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Packer, UnpackableError } from './pack.js'
import { unpack } from './unpack.js'

// A value might come back as another one: -0 as 0, undefined as null, a lone surrogate as U+FFFD, a hole as undefined, a Buffer as
// a Uint8Array, a name that is __proto__ as a prototype; or bytes that are none might crash, hang or take all memory.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 2_000)
const BYTES_MAX = 1_000_000

const text = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 5 }).map((units) => String.fromCharCode(...units)),
  fc.constantFrom('__proto__', 'constructor', 'x'.repeat(32), 'x'.repeat(255), 'é'.repeat(128), 'x'.repeat(70_000)),
)
const bytes = fc.uint8Array({ maxLength: 40 })
const binary = fc.oneof(
  bytes,
  bytes.map((each) => Buffer.from(each)),
  bytes.map((each) => new Uint8Array(each).buffer),
  fc.int16Array({ maxLength: 5 }),
  fc.float64Array({ maxLength: 5 }),
  fc.uint8ClampedArray({ maxLength: 5 }),
  fc.bigInt64Array({ maxLength: 5 }),
  bytes.map((each) => new Uint16Array(new Uint8Array(each).buffer, 0, each.length >> 1)),
)
const leaf = fc.oneof(
  text,
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(-0, 127, 128, -32, -33, 2 ** 31, -(2 ** 31), 2 ** 32, Number.NaN, null, undefined, true, false),
  fc.bigInt(),
  // An invalid date equals none, not even itself, to what compares here: it has a test of its own.
  fc.date({ noInvalidDate: true }),
  binary,
)
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('any'), { maxLength: 6 }),
    fc.array(tie('any'), { maxLength: 20 }),
    fc.sparseArray(tie('any'), { maxNumElements: 4 }),
    fc.dictionary(text, tie('any'), { maxKeys: 20 }),
    fc.dictionary(text, tie('any'), { maxKeys: 5, noNullPrototype: true }),
    fc.array(fc.tuple(tie('any'), tie('any')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie('any'), { maxLength: 4 }).map((items) => new Set(items)),
  ),
})).any

describe('msgpack', () => {
  test('an invalid date stays one', () => {
    const back = unpack(Buffer.from(new Packer(BYTES_MAX).pack(new Date(Number.NaN))))
    expect([back instanceof Date, (back as Date).getTime()]).toEqual([true, Number.NaN])
  })

  test('a value comes back as what it was', () => {
    // Of texts of 70,000 characters there may be many.
    const packer = new Packer(100 * BYTES_MAX)
    fc.assert(
      fc.property(value, (each) => {
        const packed = Buffer.from(packer.pack(each))
        expect(isDeepStrictEqual(unpack(packed), each)).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })

  test('a Buffer comes back as a Buffer, other binary data as what it was, with memory of its own', () => {
    const packed = Buffer.from(new Packer(BYTES_MAX).pack([Buffer.from('ab'), new Uint16Array([1, 2])]))
    const [buffer, numbers] = unpack(packed) as [Buffer, Uint16Array]
    packed.fill(0)
    expect(Buffer.isBuffer(buffer)).toBe(true)
    expect([buffer.toString(), [...numbers]]).toEqual(['ab', [1, 2]])
    expect(numbers.buffer.byteLength).toBe(4)
  })

  test('bytes that are no value throw, whatever they are', () => {
    const packer = new Packer(BYTES_MAX)
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(255), fc.boolean(), (each, place, byte, isCut) => {
        const packed = Buffer.from(packer.pack(each))
        const at = place % packed.length
        const damaged = isCut ? packed.subarray(0, at) : Buffer.from(packed)
        if (!isCut) damaged[at] = byte
        try {
          unpack(damaged)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
      { numRuns: RUNS },
    )
    expect(() => unpack(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]))).toThrow('ends too early')
    expect(() => unpack(Buffer.from([0xc1]))).toThrow('none begins with')
    expect(() => unpack(Buffer.from([0, 0]))).toThrow('does not end')
    expect(() => unpack(Buffer.alloc(2_000, 0x91))).toThrow('too deep')
  })

  test('what would not come back is refused, and what is too large', () => {
    const packer = new Packer(1_000)
    const reasonOf = (each: unknown): string => {
      try {
        packer.pack(each)
      } catch (error) {
        if (error instanceof UnpackableError) return error.reason
      }
      return 'none'
    }
    const cycle: unknown[] = []
    cycle.push(cycle)
    // Each level doubles it.
    let shared: unknown = ['x'.repeat(10)]
    for (let i = 0; i < 60; i++) shared = [shared, shared]
    class Own {}
    expect([cycle, shared, new Own(), () => {}, Symbol('x'), 'x'.repeat(1_001), 1].map(reasonOf)).toEqual([
      'depth',
      'size',
      'type',
      'type',
      'type',
      'size',
      'none',
    ])
  })
})
