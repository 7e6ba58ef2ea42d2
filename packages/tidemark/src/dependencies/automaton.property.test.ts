import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PatternError } from '../errors.js'
import { Alphabet } from './alphabet.js'
import { Automaton } from './automaton.js'
import { Glob } from './glob.js'
import { compilePattern } from './pattern.js'
import { Regex } from './regex.js'
import { readRegex } from './regex-reader.js'

// It might read an expression otherwise than RE2 does (classes, what a dot and a dollar leave out, blanks, halves of characters), take what holds for
// one text for all that begin so, or forget what texts are made of; and its states might be without number.

const characters = ['a', 'b', ':', '0', '7', '_', '-', ' ', '.', '*', '[', ']', '{', '\\', '^', '$', '\n', '\v', '\r']
const others = [
  '\u00e9',
  '\u00ff',
  '\u0100',
  '\u2028',
  '\u212a',
  '\ue000',
  '\u{1f600}',
  '\u{1f601}',
  '\ud83d',
  '\ude00',
]
const text = (maxLength: number) => fc.string({ unit: fc.constantFrom(...characters, ...others), maxLength })
const common = fc.oneof(text(4), fc.string({ unit: fc.constantFrom('a', 'b', ':', '0', '7'), maxLength: 6 }))
const rests = fc.oneof(
  fc.array(text(5), { minLength: 1, maxLength: 4 }),
  fc.array(fc.string({ unit: fc.constantFrom('0', '7'), minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
)

/** Of few characters, so that what tells them apart is met. */
const few = fc.constantFrom(
  ['a', '\n'],
  ['a', ' '],
  ['_', '\u00e9'],
  ['\ud83d', '\ude00'],
  ['\v', '\r'],
  ['\u{1f600}', '\ud83d'],
  ['0', '\u2028'],
)
const tight = few.chain((letters) => {
  const short = fc.string({ unit: fc.constantFrom(...letters), maxLength: 3 })
  const atom = fc.constantFrom('.', '.*', '\\s', '\\S', '\\w', '\\W', '\\d', '\\D', '[^a]', '[^\\s]', 'a', '\\W+')
  const text = fc.array(atom, { minLength: 1, maxLength: 3 }).map((each) => `^${each.join('')}$`)
  return fc.tuple(text, short, fc.array(short, { minLength: 1, maxLength: 3 }))
})

const tokens = [
  ...['a', 'b', ':', '0', '_', '-', ' ', '\n', '\v', '\u00e9', '\u2028', '\u{1f600}', '/', '~', '<'],
  ...['.', '^', '$', '|', '(', '(?:', ')', '*', '+', '?', '{2}', '{1,}', '{0,2}', '{0}', '*?', '??', '{', '}', ']'],
  ...[
    '\\d',
    '\\D',
    '\\w',
    '\\W',
    '\\s',
    '\\S',
    '\\.',
    '\\*',
    '\\\\',
    '\\-',
    '\\_',
    '\\]',
    '\\n',
    '\\b',
    '\\Qa',
    '\\pL',
  ],
  ...[
    '[ab]',
    '[^a]',
    '[a-b]',
    '[^\\d]',
    '[\\w:]',
    '[a-]',
    '[^b-]',
    '[-a]',
    '[]a]',
    '[a^]',
    '[.$]',
    '[\\]a]',
    '[[:alpha:]]',
  ],
  ...['[\u{1f600}-\u{1f603}]', '[^\\W]', '[\\d-a]', '(?i)', '(?P<n>', '[^\\s\\S]'],
]
const regex = fc.array(fc.constantFrom(...tokens), { minLength: 1, maxLength: 8 }).map((each) => each.join(''))
const likely = fc
  .tuple(
    fc.constantFrom('', '^'),
    common,
    fc.constantFrom('', '.*', '\\d+', '[0-9]+', '[^:]*', '(0|7)*'),
    fc.constantFrom('', '$', ':', '7$'),
  )
  .map(([begin, literal, middle, end]) => begin + literal.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&') + middle + end)
const glob = fc
  .array(
    fc.constantFrom(
      'a',
      'b',
      ':',
      '0',
      '*',
      '*',
      '?',
      '[ab]',
      '[^a]',
      '[!0-7]',
      '[\u{1f600}-\u{1f603}]',
      '\u00e9',
      '\u{1f600}',
      '\\*',
    ),
    {
      maxLength: 7,
    },
  )
  .map((each) => each.join(''))

function agrees(pattern: Glob | Regex, beginning: string, rests: readonly string[]): void {
  const automaton = pattern.expression && Automaton.of(pattern.expression)
  if (!automaton) return
  const texts = rests.map((rest) => beginning + rest)
  const expected = texts.map((each) => pattern.matches(each))
  expect(texts.map((each) => automaton.matches(each))).toEqual(expected)

  const alphabet = new Alphabet()
  for (const rest of rests) alphabet.add(rest, 0)
  const made = automaton.begin(beginning, alphabet)
  if (made.ofAll !== undefined) for (const each of expected) expect(each).toBe(made.ofAll)

  const begun = automaton.begin(beginning)
  if (begun.ofAll !== undefined) for (const each of expected) expect(each).toBe(begun.ofAll)
  expect(begun.isFinal).toBe(begun.ofAll !== undefined)
  if (begun.isFinal)
    for (const rest of rests) expect(pattern.matches(beginning.slice(0, begun.length) + rest)).toBe(begun.ofAll)

  const found: number[] = []
  let at = 0
  while (at < texts.length)
    at = automaton.find({ texts, from: at, to: texts.length }, begun, found, {
      matches: () => true,
      required: undefined,
    })
  expect(found).toEqual(texts.flatMap((_, i) => (expected[i] ? [i] : [])))
}

describe('an automaton', () => {
  test('says of regular expressions what RE2 says, of one text or of all that begin alike', () => {
    let read = 0
    fc.assert(
      fc.property(fc.oneof(regex, likely), common, rests, (text, beginning, rests) => {
        const pattern = readable(text)
        if (!pattern) return
        if (pattern.expression) read++
        agrees(pattern, beginning, rests)
      }),
      { numRuns: 5_000 },
    )
    expect(read).toBeGreaterThan(1_000)
  })

  test('says so where characters are told apart', () => {
    fc.assert(
      fc.property(tight, ([text, beginning, rests]) => agrees(new Regex(text), beginning, rests)),
      { numRuns: 3_000 },
    )
  })

  test('says of globs what they match', () => {
    fc.assert(
      fc.property(glob, common, rests, (text, beginning, rests) => agrees(new Glob(text), beginning, rests)),
      { numRuns: 3_000 },
    )
  })

  test.each([
    '(?i)a',
    '\\bword',
    '[[:alpha:]]',
    '\\pL',
    '(?P<name>a)',
    '\\Qa.b\\E',
    '[]a]',
    'a{,2}',
    '\\n',
    '(?m)^a$',
    '\ud83d',
  ])('is not made of %j, which is left to RE2', (text) => {
    expect(readRegex(text).expression).toBeUndefined()
  })

  test('is not made of globs with half of a character', () => {
    expect(new Glob('a\ud83d*').expression).toBeUndefined()
    expect(compilePattern({ syntax: 'glob', pattern: 'a\ud83d*' }).reach('a\u{1f600}')).toBe('exact')
  })

  test('is told by what they are made of that texts match, and by what they begin with', () => {
    const automaton = Automaton.of(readRegex('^u.*:[0-9]+$').expression!)!
    const [digits, words] = [new Alphabet(), new Alphabet()]
    digits.add('0123456789', 0)
    words.add('0123456789x', 0)
    expect(automaton.begin('user:1', digits)).toMatchObject({ ofAll: true, isFinal: false })
    expect(automaton.begin('user:', digits).ofAll).toBeUndefined()
    expect(automaton.begin('user:1', words).ofAll).toBeUndefined()
    expect(automaton.begin('post:1')).toMatchObject({ ofAll: false, isFinal: true, length: 1 })
    expect(Automaton.of(new Glob('us*r:*').expression!)!.begin('user:1')).toMatchObject({ ofAll: true, length: 5 })
  })

  test('that would need states without number makes some, and leaves the rest to RE2', () => {
    const pattern = '^[ab]*a[ab]{14}c$'
    const automaton = Automaton.of(readRegex(pattern).expression!)!
    const [matcher, re2] = [compilePattern({ syntax: 'regex', pattern }), new Regex(pattern)]
    let bits = 1
    const next = (): string => {
      // Of Knuth's; the low bits repeat soon.
      bits = (Math.imul(bits, 1_664_525) + 1_013_904_223) >>> 0
      return bits & 0x10000 ? 'a' : 'b'
    }
    const began = process.cpuUsage()
    while (!automaton.isSpent) automaton.matches(Array.from({ length: 1_000 }, next).join(''))
    expect(process.cpuUsage(began).user / 1_000).toBeLessThan(2_000)
    for (let i = 0; i < 200; i++) {
      const key = `${Array.from({ length: 30 }, next).join('')}${i % 3 === 0 ? '' : 'c'}`
      const expected = re2.matches(key)
      expect([undefined, expected]).toContain(automaton.matches(key))
      expect(matcher.reach(key)).toBe(expected ? 'exact' : 'none')
      const found: number[] = []
      automaton.find({ texts: [key], from: 0, to: 1 }, automaton.begin(''), found, {
        matches: (text) => re2.matches(text),
        required: undefined,
      })
      expect(found.length === 1).toBe(expected)
    }
  })

  test('of a pattern of many parts is not made', () => {
    expect(Automaton.of(readRegex('(?:ab){300}').expression!)).toBeUndefined()
    expect(Automaton.of(readRegex('((((){9}){9}){9}){9}').expression!)).toBeUndefined()
  })
})

/** Undefined if RE2 refuses it. */
function readable(text: string): Regex | undefined {
  try {
    return new Regex(text)
  } catch (error) {
    if (error instanceof PatternError) return undefined
    throw error
  }
}
