import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ValueError } from './errors.js'
import { copyOf, seal, sizeOf } from './values.js'

describe('seal', () => {
  test('what readers share cannot be changed, at any depth', () => {
    const value = { a: [{ b: new Date(5) }], m: new Map([['k', { c: 1 }]]), s: new Set([{ d: 1 }]) }
    expect(seal(value).copied).toBe(false)
    expect(() => Object.assign(value, { a: 1 })).toThrow(TypeError)
    expect(() => value.a.push({ b: new Date() })).toThrow(TypeError)
    expect(() => Object.assign(value.a[0]!, { b: 1 })).toThrow(TypeError)
    expect(() => value.a[0]!.b.setTime(1)).toThrow(ValueError)
    expect(() => value.a[0]!.b.setUTCFullYear(1)).toThrow(ValueError)
    expect(() => value.m.set('x', { c: 1 })).toThrow(ValueError)
    expect(() => value.m.clear()).toThrow(ValueError)
    expect(() => Object.assign(value.m.get('k')!, { c: 2 })).toThrow(TypeError)
    expect(() => value.s.add({ d: 2 })).toThrow(ValueError)
    expect(() => Object.assign([...value.s][0]!, { d: 2 })).toThrow(TypeError)
    expect(value.a[0]!.b.getTime()).toBe(5)
  })

  test('a shared date, map or set reads as before', () => {
    const value = { date: new Date('2026-01-02T03:04:05Z'), map: new Map([[1, 2]]), set: new Set([1]) }
    seal(value)
    expect(value).toStrictEqual({ date: new Date('2026-01-02T03:04:05Z'), map: new Map([[1, 2]]), set: new Set([1]) })
    expect(value.date).toBeInstanceOf(Date)
    expect(JSON.stringify(value.date)).toBe('"2026-01-02T03:04:05.000Z"')
    expect(structuredClone(value.date)).toEqual(value.date)
    expect(new Date(value.date).setTime(1)).toBe(1)
    expect(new Map(value.map).set(3, 4).size).toBe(2)
  })

  test('primitives are as they are', () => {
    for (const value of [null, undefined, true, 1, 1.5, 'x', 10n]) expect(seal(value).copied).toBe(false)
  })

  test('binary data makes copies necessary, wherever it lies', () => {
    for (const value of [Buffer.from('x'), new Uint8Array(2), new Float64Array(2), new ArrayBuffer(3)]) {
      expect(seal(value).copied).toBe(true)
      expect(seal({ rows: [{ value }] }).copied).toBe(true)
    }
  })

  test('a date that the user froze is copied: freezing did not reach its time', () => {
    expect(seal({ at: Object.freeze(new Date(1)) }).copied).toBe(true)
  })

  test('what a frozen object holds is frozen too', () => {
    const inner = { n: 1 }
    seal(Object.freeze({ inner: Object.freeze([inner]) }))
    expect(Object.isFrozen(inner)).toBe(true)
  })

  test('sealing again changes nothing, and finds what copies need', () => {
    const value = { date: new Date(1), list: [{ a: 'b' }], binary: Buffer.from('x') }
    const first = { ...seal(value) }
    expect({ ...seal(value) }).toEqual(first)
  })

  test('cycles end', () => {
    const value: Record<string, unknown> = { list: [] }
    value.self = value
    ;(value.list as unknown[]).push(value)
    const map = new Map<string, unknown>()
    map.set('self', map)
    seal(value)
    seal(map)
    expect(Object.isFrozen(value)).toBe(true)
  })

  test('plain objects of another realm are plain', () => {
    const value = runInNewContext('({ a: [{ at: new Date(3) }], m: new Map([[1, 2]]) })')
    expect(seal(value).copied).toBe(false)
    expect(Object.isFrozen(value.a[0])).toBe(true)
    expect(() => value.a[0].at.setTime(1)).toThrow(ValueError)
  })

  class Point {
    x = 1
  }
  const refused: [string, unknown, string][] = [
    ['a function', { f() {} }, '.f is or holds a function'],
    ['a symbol', [1, Symbol('x')], '[1] is or holds a symbol'],
    ['a class instance', { rows: [{ at: new Point() }] }, '.rows[0].at is or holds an instance of Point'],
    ['a subclass of Date', { d: new (class Day extends Date {})() }, '.d is or holds an instance of Day'],
    ['a subclass of Map', new (class Bag extends Map {})(), 'The value itself is or holds an instance of Bag'],
    ['a promise', { p: Promise.resolve(1) }, '.p is or holds an instance of Promise'],
    ['an error', [new Error('secret')], '[0] is or holds an instance of Error'],
    ['a regular expression', { r: /x/ }, '.r is or holds an instance of RegExp'],
    ['a URL', { u: new URL('http://x') }, '.u is or holds an instance of URL'],
    ['a WeakMap', { w: new WeakMap() }, '.w is or holds an instance of WeakMap'],
    ['a boxed number', { n: Object(1) }, '.n is or holds an instance of Number'],
    ['shared memory', { s: new SharedArrayBuffer(1) }, '.s is or holds an instance of SharedArrayBuffer'],
    [
      'an accessor',
      {
        o: {
          get now() {
            return 1
          },
        },
      },
      '.o is or holds an accessor, "now"',
    ],
    ['a symbol as a name', { o: { [Symbol('x')]: 1 } }, '.o is or holds a property named by a symbol'],
    ['an object on an object', { o: Object.create({ a: 1 }) }, '.o is or holds an instance of Object'],
    [
      'a date with a property',
      { d: Object.assign(new Date(), { zone: 'x' }) },
      '.d is or holds a Date, Map or Set with properties',
    ],
  ]
  test.each(refused)('%s is refused, with its place', (_, value, message) => {
    expect(() => seal(value)).toThrow(ValueError)
    expect(() => seal(value)).toThrow(message)
    expect(() => seal(value)).not.toThrow('secret')
  })

  test('what is nested too deeply is refused, not a stack overflow', () => {
    let value: unknown = 1
    for (let i = 0; i < 100_000; i++) value = [value]
    expect(() => seal(value)).toThrow(/\[0\]…\[0\].* more than 500 levels/)
    expect(() => seal(value)).toThrow(ValueError)
  })
})

describe('copyOf', () => {
  test('copies are equal, of the same types, mutable, and share nothing', () => {
    const value = {
      list: [1, { a: null }],
      date: new Date(5),
      map: new Map([['k', [1]]]),
      set: new Set(['x']),
      big: 10n,
      buffer: Buffer.from('abc'),
      floats: new Float32Array([1.5]),
      raw: new Uint8Array([1, 2]).buffer,
      nothing: undefined,
      bare: Object.assign(Object.create(null), { a: 1 }),
    }
    seal(value)
    const copy = copyOf(value)
    expect(copy).toStrictEqual(value)
    expect(Buffer.isBuffer(copy.buffer)).toBe(true)
    expect(Object.getPrototypeOf(copy.date)).toBe(Date.prototype)
    expect(Object.getPrototypeOf(copy.map)).toBe(Map.prototype)
    expect(Object.getPrototypeOf(copy.bare)).toBe(null)
    copy.date.setTime(9)
    copy.list.push(2)
    copy.map.get('k')!.push(2)
    copy.set.add('y')
    copy.buffer[0] = 0
    copy.floats[0] = 0
    new Uint8Array(copy.raw)[0] = 9
    expect(value.date.getTime()).toBe(5)
    expect(value.list.length).toBe(2)
    expect(value.map.get('k')).toEqual([1])
    expect(value.set.size).toBe(1)
    expect(value.buffer.toString()).toBe('abc')
    expect(value.floats[0]).toBe(1.5)
    expect(new Uint8Array(value.raw)[0]).toBe(1)
  })

  test('shared parts stay shared, cycles closed, and `__proto__` is a name', () => {
    const part = { a: 1 }
    const value: Record<string, unknown> = JSON.parse('{"__proto__": {"x": 1}}')
    Object.assign(value, { one: part, two: part, list: [] })
    value.self = value
    seal(value)
    const copy = copyOf(value)
    expect(copy.self).toBe(copy)
    expect(copy.one).toBe(copy.two)
    expect(Object.getOwnPropertyDescriptor(copy, '__proto__')!.value).toEqual({ x: 1 })
    expect((copy as { x?: number }).x).toBe(undefined)
  })

  test('any value of the kinds that are kept is sealed, sized and copied equal', () => {
    const anything = fc.anything({
      withDate: true,
      withMap: true,
      withSet: true,
      withBigInt: true,
      withTypedArray: true,
      withNullPrototype: true,
    })
    fc.assert(
      fc.property(anything, (value) => {
        const { bytes } = seal(value)
        expect(Number.isFinite(bytes)).toBe(true)
        expect(copyOf(value)).toEqual(value)
      }),
    )
  })
})

describe('sizeOf', () => {
  test('sizes grow with what they measure', () => {
    expect(sizeOf('x'.repeat(1000))).toBeGreaterThanOrEqual(1000)
    expect(sizeOf(2n ** 8000n)).toBeGreaterThanOrEqual(1000)
    expect(seal(Buffer.alloc(5000)).bytes).toBeGreaterThanOrEqual(5000)
    expect(seal(Array.from({ length: 100 }, (_, i) => ({ id: i }))).bytes).toBeGreaterThan(100 * 32)
  })
})
