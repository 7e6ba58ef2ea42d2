import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cutJson, jsonOf, parseJson, printJson, readJson, valueIn } from '../src/json.js'
import { limitsOf } from '../src/limits.js'
import { assemble, flatten, placesFor } from '../src/nodes.js'
import { ancestorsOf, childOf, isWithin, nameOf, parentOf, stepsOf } from '../src/pointer.js'

const limits = limitsOf()
const names = fc.string({ unit: 'grapheme', maxLength: 6 }).filter((name) => !name.includes('\0'))

it('a path is its steps, whatever is in their names', () => {
  fc.assert(
    fc.property(fc.array(names, { maxLength: 5 }), (steps) => {
      const path = steps.reduce(childOf, '')
      expect(stepsOf(path, limits)).toEqual(steps)
      if (steps.length > 0) {
        expect(nameOf(path)).toBe(steps.at(-1))
        expect(parentOf(path)).toBe(steps.slice(0, -1).reduce(childOf, ''))
      }
      expect(ancestorsOf(path)).toEqual(steps.map((_, index) => steps.slice(0, index).reduce(childOf, '')))
      for (const above of ancestorsOf(path)) expect(isWithin(path, above)).toBe(true)
    }),
  )
})

it('a document is read as JSON.parse reads it, with its order and its digits', () => {
  fc.assert(
    fc.property(fc.json({ noUnicodeString: false }), (text) => {
      let expected: unknown
      try {
        expected = parseJson(text, limits)
      } catch (error) {
        expect(error).toMatchObject({ code: 'TIDEMARK_TREE_VALUE' })
        return
      }
      const printed = printJson(expected as never)
      expect(JSON.parse(printed)).toEqual(JSON.parse(text))
      // Whatever white space was between.
      expect(printJson(parseJson(JSON.stringify(JSON.parse(text), null, ' \t'), limits))).toBe(
        printJson(parseJson(JSON.stringify(JSON.parse(text)), limits)),
      )
    }),
  )
})

it('any text is a document or a clear error', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'{}[]":,\\u0019e-. ntf') })),
      (text) => {
        try {
          const json = parseJson(text, limits)
          expect(JSON.parse(printJson(json))).toEqual(JSON.parse(text))
        } catch (error) {
          expect(error).toMatchObject({ code: 'TIDEMARK_TREE_VALUE' })
        }
      },
    ),
    { numRuns: 2_000 },
  )
})

it('refuses what cannot be stored, and says where', () => {
  const refused: Record<string, string | undefined> = {
    '{"a":{"b":"\\u0000"}}': '/a/b',
    '["\\ud800"]': '/0',
    '{"a":1,"a":2}': '/a',
    '{"\\u0000":1}': '',
    '[1e401]': '/0',
    '[1e400]': '/0',
    '[-1e-400]': '/0',
    [`[${'9'.repeat(300)}e300]`]: '/0',
    [`[0.${'1'.repeat(300)}e-300]`]: '/0',
    [`[${'9'.repeat(401)}]`]: '/0',
    [`${'['.repeat(65)}${']'.repeat(65)}`]: undefined,
    [`${'['.repeat(100_000)}`]: undefined,
    nonsense: undefined,
    '{"a":1,}': undefined,
    '': undefined,
  }
  for (const [text, path] of Object.entries(refused)) {
    let error: unknown
    try {
      parseJson(text, limits)
    } catch (reason) {
      error = reason
    }
    expect(error, text.slice(0, 40)).toMatchObject({ code: 'TIDEMARK_TREE_VALUE', path })
  }
})

it('a number that is stored is one that PostgreSQL writes as text which may be stored again', () => {
  // As jsonb does: without an exponent, and with as many digits behind the point as were written.
  const asWritten = (text: string): string => {
    const [, sign, whole, part = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text)!
    const digits = `${whole}${part}`
    const point = whole!.length + Number(exponent)
    const padded = `${'0'.repeat(Math.max(0, 1 - point))}${digits}${'0'.repeat(Math.max(0, point - digits.length))}`
    const at = Math.max(1, point)
    return `${sign}${padded.slice(0, at).replace(/^0+(?=\d)/, '')}${padded.length > at ? `.${padded.slice(at)}` : ''}`
  }
  const digits = fc.tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 420 }),
  )
  const part = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 420 })
  const numbers = fc
    .tuple(fc.constantFrom('', '-'), digits, fc.option(part), fc.option(fc.integer({ min: -420, max: 420 })))
    .map(
      ([sign, [first, more], behind, exponent]) =>
        `${sign}${first}${more}${behind === null ? '' : `.${behind}`}${exponent === null ? '' : `e${exponent}`}`,
    )
  fc.assert(
    fc.property(numbers, (text) => {
      try {
        parseJson(text, limits)
      } catch (error) {
        expect(error).toMatchObject({ code: 'TIDEMARK_TREE_VALUE' })
        expect(asWritten(text).length).toBeGreaterThan(400)
        return
      }
      const written = asWritten(text)
      expect(printJson(parseJson(written, limits))).toBe(written)
    }),
    { numRuns: 1_000 },
  )
})

it('what SQL has stored is read, though an edit could not write it', () => {
  const number = `1${'0'.repeat(1_000)}`
  expect(printJson(readJson(`[${number}]`))).toBe(`[${number}]`)
  expect(cutJson(`[${number}]`, 1)).toBe(`[${number}]`)
  expect(valueIn(`[${number}]`)).toEqual([10n ** 1_000n])
})

it('names that JavaScript gives a meaning are plain data', () => {
  const text = '{"__proto__":{"x":1},"constructor":{"prototype":{"y":2}},"10":1,"2":2}'
  expect(printJson(parseJson(text, limits))).toBe(text)
  const value = valueIn(text) as Record<string, unknown>
  expect(Object.keys(value)).toContain('__proto__')
  expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  const exact = valueIn('{"__proto__":{"x":12345678901234567890}}') as object
  expect(Object.getOwnPropertyDescriptor(exact, '__proto__')!.value).toEqual({ x: 12345678901234567890n })
  expect(Object.getPrototypeOf(exact)).toBe(Object.prototype)
})

it('nodes give back the tree that they are of', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), async (value) => {
      const json = jsonOf(value, limits)
      let order = 0
      const nodes = [...flatten('', json, 0, (_, members) => members.map(() => ++order))]
      // In whatever order they come from the server.
      const shuffled = new Map(nodes.toReversed().map((node) => [node.path, { ...node, version: 1 }]))
      expect(printJson((await assemble('', shuffled))!)).toBe(printJson(json))
    }),
  )
})

it('members that stay where they are keep their places, and all places increase', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }), { maxLength: 12 }), (had) => {
      const unique = had.map((place, index) => (had.indexOf(place) === index ? place : undefined))
      const places = placesFor(unique, 30)
      for (const [index, place] of places.entries()) if (index > 0) expect(place).toBeGreaterThan(places[index - 1]!)
      const sorted = unique.every(
        (place, index) =>
          place === undefined || unique.slice(0, index).every((before) => before === undefined || before < place),
      )
      if (sorted)
        expect(places.filter((_, index) => unique[index] !== undefined)).toEqual(
          unique.filter((place) => place !== undefined),
        )
    }),
  )
})

it('a document of far more values than an edit may write is refused before it is read', () => {
  const few = limitsOf({ editNodesMax: 10 })
  const zeros = (count: number) => `[${Array(count).fill('"0,0,0"').join(',')}]`
  expect(parseJson(zeros(80), few)).toMatchObject({ kind: 'array' })
  expect(() => parseJson(zeros(81), few)).toThrow(expect.objectContaining({ code: 'TIDEMARK_TREE_LIMIT' }))
})
