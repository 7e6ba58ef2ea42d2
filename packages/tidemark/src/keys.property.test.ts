import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCache } from './create.js'
import { parseSlotText, slotKey, slotText } from './keys.js'

// Two calls might share a key, a key might not come back from its text, or a text might name a key that nobody can make.

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 2_000)

const NAUGHTY = [
  '',
  ' ',
  '\u0000',
  '\u0000\u0000',
  '\u0000"a"',
  '"',
  '""',
  "'",
  '\\',
  '\\"',
  '(',
  ')',
  '()',
  'post(42)',
  '42',
  '42n',
  '-0',
  '0',
  '1e3',
  'NaN',
  'Infinity',
  '-Infinity',
  'null',
  'undefined',
  'true',
  'false',
  '[object Object]',
  '{}',
  '[]',
  '[1]',
  '{"a":1}',
  '@2026-01-01T00:00:00.000Z',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'ﬀ',
  'é',
  'e\u0301',
  '\ud800',
  '\udfff',
  '😀',
  '\u202e',
  '\ufeff',
  '\u2028',
  '\r\n',
  '\t',
  "'; drop table posts; --",
  '{{7*7}}',
  '../../etc/passwd',
  '%00',
  '1,2',
  '1, 2',
  ',',
  'a\u0001b',
  '\u007f',
  'x'.repeat(1_000),
]

const primitive = fc.oneof(
  fc.constantFrom(...NAUGHTY),
  fc.string({ unit: 'binary' }),
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(null, undefined, 0, -0, 1, '1', 1n, Number.MAX_SAFE_INTEGER, 1e21, 5e-324),
)
const argument = fc.letrec((tie) => ({
  any: fc.oneof(
    { weight: 4, arbitrary: primitive },
    fc.date({ noInvalidDate: true }),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...NAUGHTY), fc.string()), tie('any'), { maxKeys: 3 }),
  ),
})).any
const call = fc.array(argument, { maxLength: 3 })

/** What a call means: trailing undefined is leaving out, -0 is 0, and a field that is undefined is no field. */
function meaning(args: readonly unknown[]): unknown {
  let length = args.length
  while (length > 0 && args[length - 1] === undefined) length--
  return args.slice(0, length).map(meaningOf)
}

function meaningOf(value: unknown): unknown {
  if (typeof value === 'number') return ['number', String(value === 0 ? 0 : value)]
  if (typeof value === 'bigint') return ['bigint', String(value)]
  if (value instanceof Date) return ['date', value.getTime()]
  if (Array.isArray(value)) return ['array', ...value.map(meaningOf)]
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return ['object', ...fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, field]) => [name, meaningOf(field)])]
  }
  return [typeof value, value ?? String(value)]
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

describe('keys', () => {
  test('two calls have one key exactly if they mean the same', () => {
    fc.assert(
      fc.property(call, call, (a, b) => {
        expect(Object.is(slotKey(a), slotKey(b))).toBe(same(meaning(a), meaning(b)))
      }),
      { numRuns: RUNS },
    )
  })

  test('all naughty strings, alone, in arrays, in fields and beside each other, have keys of their own', () => {
    expect(slotKey([42, undefined])).toBe(slotKey([42]))
    const calls: unknown[][] = [[], [undefined, 1], [null], [[]], [{}], [0], [1], [1n], [true], [[null]], [[undefined]]]
    for (const text of NAUGHTY)
      calls.push([text], [[text]], [{ [text]: 1 }], [{ a: text }], [text, text], [text, 1], [1, text])
    const keys = calls.map(slotKey)
    expect(new Set(keys).size).toBe(calls.length)
    expect(new Set(keys.map(slotText)).size).toBe(calls.length)
  })

  test('a key comes back from its text, with its type', () => {
    fc.assert(
      fc.property(call, (args) => {
        const key = slotKey(args)
        const back = parseSlotText(slotText(key))
        expect(typeof back).toBe(typeof key)
        expect(back).toBe(key)
      }),
      { numRuns: RUNS },
    )
  })

  test('any text names at most the key that has this text', () => {
    const text = fc.oneof(
      fc.constantFrom(...NAUGHTY),
      fc.string(),
      fc.stringMatching(/^[-+]?[0-9xnE.]{1,6}$/),
      fc.json(),
    )
    fc.assert(
      fc.property(text, (text) => {
        expect(slotText(parseSlotText(text))).toBe(text)
      }),
      { numRuns: RUNS },
    )
  })

  test('a definition, a get key of the same text and a string argument are told apart', async () => {
    const cache = createCache()
    const post = cache.define('post', (_, id: number | string) => `definition ${typeof id}`)
    expect(await post(42)).toBe('definition number')
    expect(await post('42')).toBe('definition string')
    expect(await post('post(42)')).toBe('definition string')
    expect(await cache.get('post(42)', () => 'get')).toBe('get')
    expect([post.peek(42), cache.peek('post(42)')]).toEqual(['definition number', 'get'])
    expect(post.key('42')).toBe('post("42")')
    await cache.close()
  })

  test('every naughty string is a get key of its own, that can be read, explained and invalidated', async () => {
    const cache = createCache()
    for (const key of NAUGHTY) await cache.get(key, () => key)
    expect(NAUGHTY.map((key) => cache.peek(key))).toEqual(NAUGHTY)
    for (const key of NAUGHTY) {
      expect(cache.explain(key)).toMatchObject({ stored: true, key })
      await cache.invalidate({ keys: [key] })
      expect(cache.peek(key)).toBe(undefined)
    }
    expect(cache.status().entries).toBe(0)
    await cache.close()
  })

  test('every naughty string is an argument of its own, that can be explained and invalidated by the key of the call', async () => {
    const cache = createCache()
    const echo = cache.define('echo', (_, text: string) => text)
    for (const text of NAUGHTY) expect(await echo(text)).toBe(text)
    expect(NAUGHTY.map((text) => echo.peek(text))).toEqual(NAUGHTY)
    for (const text of NAUGHTY) {
      expect(cache.explain(echo.key(text)), text).toMatchObject({ stored: true })
      await cache.invalidate({ keys: [echo.key(text)] })
      expect(echo.peek(text), text).toBe(undefined)
    }
    await cache.close()
  })

  test('what no key can hold is TIDEMARK_KEY: the read rejects, and nothing is loaded', async () => {
    const cache = createCache()
    let loads = 0
    const any = cache.define('any', (_, value: unknown) => {
      loads++
      return typeof value
    })
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    class Money {}
    const wrong: unknown[] = [
      Number.NaN,
      () => 1,
      Symbol('s'),
      new Money(),
      new Map(),
      new Set(),
      /a/,
      new Date(Number.NaN),
      cyclic,
      Buffer.from('a'),
      [Number.NaN],
      { a: () => 1 },
      { [Symbol('s')]: 1 },
      new Error('x'),
      Promise.resolve(),
      new Proxy(new Money(), {}),
      'x'.repeat(65_537),
      { a: 'x'.repeat(65_537) },
    ]
    for (const value of wrong) {
      await expect(any(value)).rejects.toMatchObject({ code: 'TIDEMARK_KEY' })
      await expect(any.ask(value)).rejects.toMatchObject({ code: 'TIDEMARK_KEY' })
    }
    expect(() => any.peek(Number.NaN)).toThrow(expect.objectContaining({ code: 'TIDEMARK_KEY' }))
    await expect(cache.get(7 as unknown as string, () => 1)).rejects.toMatchObject({ code: 'TIDEMARK_KEY' })
    await expect(cache.get('x'.repeat(65_537), () => 1)).rejects.toMatchObject({ code: 'TIDEMARK_KEY' })
    expect(loads).toBe(0)
    await cache.close()
  })

  test('what a loader gets is what the call said, not what the key became', async () => {
    const cache = createCache()
    const seen: unknown[] = []
    const any = cache.define('any', (_, ...args: unknown[]) => seen.push(args))
    const when = new Date(0)
    await any(-0, { b: undefined, a: when }, undefined)
    expect(Object.is((seen[0] as unknown[])[0], -0)).toBe(true)
    expect(seen[0]).toEqual([-0, { b: undefined, a: when }, undefined])
    await cache.close()
  })
})
