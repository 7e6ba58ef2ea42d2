import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PatternError } from '../errors.js'
import { escapeGlob, Glob } from './glob.js'
import { compilePattern, matcherOf, PATTERN_LENGTH_MAX } from './pattern.js'
import { Regex } from './regex.js'

// A pattern might match too much or too little (stars that swallow, overlapping ends, classes, characters of two units), promise a
// beginning or end that a match does not have, so that the index misses it, or take for ever.

const letters = ['a', 'b', ':', '*', '?', '[', ']', '\\', '-', '^', '!', '(', '\n', 'é', '😀']
const key = fc.string({ unit: fc.constantFrom(...letters), maxLength: 12 })

/** A part of a glob, as text and as a function of the rest of a text that says every rest that it can leave. */
interface Part {
  readonly text: string
  rests(points: readonly string[]): readonly (readonly string[])[]
}

const one = (text: string, isOf: (point: string) => boolean): Part => ({
  text,
  rests: (points) => (points.length > 0 && isOf(points[0]!) ? [points.slice(1)] : []),
})
const literal = fc.constantFrom(...letters).map((letter) => one(escapeGlob(letter), (point) => point === letter))
const escaped = fc.constantFrom('a', '-', '😀').map((letter) => one(`\\${letter}`, (point) => point === letter))
const any = fc.constant(one('?', () => true))
const star: fc.Arbitrary<Part> = fc.constantFrom('*', '**').map((text) => ({
  text,
  rests: (points) => Array.from({ length: points.length + 1 }, (_, i) => points.slice(i)),
}))
const members = fc.uniqueArray(fc.constantFrom('a', 'b', '*', '😀', '\\]', '\\-'), { minLength: 1, maxLength: 3 })
const oneOf = fc.tuple(members, fc.constantFrom('', '^', '!')).map(([each, not]) => {
  const set = new Set(each.map((member) => member.replace('\\', '')))
  return one(`[${not}${each.join('')}]`, (point) => set.has(point) === (not === ''))
})
const between = fc
  .constantFrom('', '^')
  .map((not) => one(`[${not}a-é]`, (point) => (point >= 'a' && point <= 'é' && point.length === 1) === (not === '')))
const glob = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: literal },
    { weight: 1, arbitrary: escaped },
    { weight: 2, arbitrary: any },
    { weight: 3, arbitrary: star },
    { weight: 2, arbitrary: oneOf },
    { weight: 1, arbitrary: between },
  ),
  { maxLength: 7 },
)

/** Tries every way. */
function isMatch(parts: readonly Part[], points: readonly string[]): boolean {
  const [first, ...others] = parts
  return first ? first.rests(points).some((rest) => isMatch(others, rest)) : points.length === 0
}

describe('globs', () => {
  test('match exactly what a matcher that tries every way matches, and what the index is told holds', () => {
    fc.assert(
      fc.property(glob, key, (parts, key) => {
        const pattern = new Glob(parts.map(({ text }) => text).join(''))
        const expected = isMatch(parts, [...key])
        expect(pattern.matches(key)).toBe(expected)
        if (pattern.only !== undefined) expect(expected).toBe(key === pattern.only)
        if (pattern.isAll) expect(expected).toBe(true)
        if (expected) expect([key.startsWith(pattern.prefix), key.endsWith(pattern.suffix)]).toEqual([true, true])
      }),
      { numRuns: 3_000 },
    )
  })

  test('match a text that is made from them', () => {
    fc.assert(
      fc.property(glob, fc.infiniteStream(key), (parts, texts) => {
        const made = parts.map((part) => {
          if (part.text.startsWith('*')) return texts.next().value
          return letters.find((letter) => part.rests([letter]).length > 0) ?? ''
        })
        expect(new Glob(parts.map(({ text }) => text).join('')).matches(made.join(''))).toBe(true)
      }),
    )
  })

  test('an escaped text matches itself and nothing else', () => {
    fc.assert(
      fc.property(key, (text) => {
        expect(new Glob(escapeGlob(text)).only).toBe(text)
      }),
    )
  })

  test.each([
    ['user:*', 'user:', ''],
    ['*:profile', '', ':profile'],
    ['a\\*b*c?d', 'a*b', 'd'],
    ['post(4?)', 'post(4', ')'],
    ['*x*', '', ''],
    ['?x', '', 'x'],
  ])('%s begins with "%s" and ends with "%s"', (text, prefix, suffix) => {
    expect(new Glob(text)).toMatchObject({ prefix, suffix })
  })

  test.each([
    ['ab[c', 2],
    ['a[]', 1],
    ['a\\', 1],
    ['a[z-a]', 2],
  ])('%s is refused, with the place', (text, position) => {
    expect(errorOf(() => new Glob(text))).toMatchObject({ code: 'TIDEMARK_PATTERN', position })
  })
})

describe('regular expressions', () => {
  const atom = fc.constantFrom('a', 'b', ':', '\\*', '.', '[ab]', '[^a]', '(a|b)', '(?:(?:ab)?)', '\\d', '\\(')
  const piece = fc.tuple(atom, fc.constantFrom('', '', '', '*', '+', '?', '{2}')).map(([each, times]) => each + times)
  const regex = fc
    .tuple(fc.constantFrom('', '^'), fc.array(piece, { maxLength: 6 }), fc.constantFrom('', '$', '|b'))
    .map(([begin, pieces, end]) => begin + pieces.join('') + end)
  const short = fc.string({ unit: fc.constantFrom('a', 'b', ':', '*', '(', '1', '\u00e9'), maxLength: 10 })

  test('are found where JavaScript finds them, and what the index is told holds', () => {
    fc.assert(
      fc.property(regex, short, (text, key) => {
        const pattern = new Regex(text)
        const expected = new RegExp(text, 'u').test(key)
        expect(pattern.matches(key)).toBe(expected)
        if (expected) expect(key.startsWith(pattern.prefix)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['^user:\\d+$', 'user:'],
    ['^post\\(4', 'post(4'],
    ['^ab?c', 'a'],
    ['^ab{2}', 'a'],
    ['^a|b', ''],
    ['^a(b|c)', 'a'],
    ['^a[|]', 'a|'],
    ['^a[]|]|b', ''],
    ['^a\\Q|\\E', ''],
    ['a', ''],
    ['(?i)^a', ''],
  ])('%s begins with "%s"', (text, prefix) => {
    expect(new Regex(text).prefix).toBe(prefix)
  })

  test('may nest as deep as RE2 reads them; what is too deep for the stack is refused', () => {
    const nested = (open: string, depth: number) => ({
      syntax: 'regex' as const,
      pattern: `^user:${open.repeat(depth)}${')'.repeat(depth)}`,
    })
    for (const depth of [1, 300, 4_000]) expect(compilePattern(nested('(?:', depth)).reach('user:1')).toBe('exact')
    const deepIn = (frames: number): unknown =>
      frames > 0 ? deepIn(frames - 1) : compilePattern(nested('(?:a|', 2_500))
    let frames = 1
    const refused = (): unknown => {
      try {
        deepIn(frames)
      } catch (error) {
        return error
      }
    }
    while (frames < 100_000 && refused() === undefined) frames = Math.ceil(frames * 1.1)
    expect(frames).toBeLessThan(100_000)
  })

  test.each([
    ['^user:', true],
    ['^user:.*', true],
    ['^user:\\d*', true],
    ['^user:$', false],
    ['^user:.', false],
    ['user:', false],
    ['.*', false],
    ['^user:(?i)', false],
  ])('%s is all that begins with its beginning: %s', (pattern, isPrefix) => {
    expect(compilePattern({ syntax: 'regex', pattern }).isPrefix).toBe(isPrefix)
  })

  test.each([
    ['a(?=b)', 1],
    ['(a)\\1', 3],
    ['x[z-a]', 2],
    ['ab(', 0],
    ['x**', 1],
    ['a{2000}', 1],
    ['(?:x{100}){10}', 0],
  ])('%s is refused, with the place as far as it is known', (text, position) => {
    const error = errorOf(() => new Regex(text))
    expect(error).toBeInstanceOf(PatternError)
    expect(error).toMatchObject({ code: 'TIDEMARK_PATTERN', position })
  })
})

describe('what would take long', () => {
  const long = 'x'.repeat(65_536)

  test.each([
    ['many stars', 'glob', `${'*x'.repeat(500)}*y`],
    ['many places', 'glob', `*${'?'.repeat(1_000)}y*z`],
    ['nested repetition', 'regex', '(x+x+)+y'],
    ['many choices', 'regex', '(x?){80}y'],
    ['any text, many times', 'regex', '(.*)*(.*)*y'],
  ] as const)('%s: decided in a moment for a key of 64 Ki characters', (_, syntax, pattern) => {
    const matcher = compilePattern({ syntax, pattern })
    const began = process.cpuUsage()
    expect(['none', 'coarse']).toContain(matcher.reach(long))
    // The bound is about 10 ms; slow machines take longer, and what is not linear takes minutes.
    expect(process.cpuUsage(began).user / 1_000).toBeLessThan(2_000)
  })

  test('counts as a match where it can not be decided in time', () => {
    expect(compilePattern({ syntax: 'regex', pattern: '(?i)(x?){80}y' }).reach(long)).toBe('coarse')
    expect(compilePattern({ syntax: 'regex', pattern: 'y$' }).reach('x'.repeat(1_000))).toBe('none')
  })
})

describe('what the log brings', () => {
  const target = { kind: 'pattern', tenant: 't' } as const

  test('and this version cannot read, may mean any key', () => {
    expect(matcherOf({ ...target, syntax: 'regex', pattern: '(?=x)' }).reach('y')).toBe('coarse')
    expect(matcherOf({ ...target, syntax: 'glob', pattern: '[' }).reach('y')).toBe('coarse')
    const long = 'x'.repeat(PATTERN_LENGTH_MAX + 1)
    expect(matcherOf({ ...target, syntax: 'glob', pattern: long }).reach('y')).toBe('coarse')
  })

  test('is compiled once, and any number of patterns is remembered no longer than there is room', () => {
    const first = compilePattern({ syntax: 'glob', pattern: 'first*' })
    for (let i = 0; i < 5_000; i++) {
      compilePattern({ syntax: 'glob', pattern: `p${i}*` })
      expect(compilePattern({ syntax: 'glob', pattern: 'first*' })).toBe(first)
    }
  })
})

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
