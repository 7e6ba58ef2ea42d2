import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compilePattern } from './pattern.js'
import { Regex } from './regex.js'
import { readRegex } from './regex-reader.js'
import { Required, requiredBy } from './required.js'

// It might ask for a text that a match need not have: one of a choice, one that may be missing, two that something lies between, half of a
// character; or look for what every key has, for ever.

const letters = ['a', 'b', ':', '\u{1f600}', '\u{1f601}', '\ud83d']
const atom = fc.constantFrom('a', 'b', 'ab', ':', '(ab)', '(?:a|b)', '(a:|ab)', '.', '\\d', '[a]', '[ab]', '\u{1f600}')
const times = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{0,2}', '+?')
const piece = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(atom, times).map((each) => each.join('')) },
  fc.constantFrom('^', '$', '|'),
)
const regex = fc.array(piece, { minLength: 1, maxLength: 5 }).map((each) => each.join(''))
const keys = fc.array(fc.string({ unit: fc.constantFrom(...letters), maxLength: 8 }), { minLength: 1, maxLength: 80 })

describe('the text that every match has', () => {
  test.each([
    ['r:\\d+:t07$', ':t07'],
    ['^(user:)1', 'user:1'],
    ['ab?c', 'a'],
    ['(?:abc)+d', 'abc'],
    ['a(?:bc){0,3}de', 'de'],
    ['abc|abd', ''],
    ['x[y]z', 'xyz'],
    ['.*', ''],
  ])('of %s is "%s"', (text, required) => {
    expect(requiredBy(readRegex(text).expression!)).toBe(required)
  })

  test('leaves out nothing that the pattern is found in, however often it was looked for', () => {
    let withText = 0
    fc.assert(
      fc.property(regex, keys, (pattern, keys) => {
        const re2 = new Regex(pattern)
        if (re2.expression && Required.of(re2.expression)) withText++
        const matcher = compilePattern({ syntax: 'regex', pattern })
        const texts = [...keys].sort()
        const found: number[] = []
        for (let from = 0; from < texts.length; )
          from = matcher.begin('').find({ texts, from, to: texts.length }, found)
        for (const [i, key] of texts.entries()) {
          const expected = re2.matches(key)
          expect(matcher.reach(key)).toBe(expected ? 'exact' : 'none')
          expect(found.includes(i)).toBe(expected)
        }
      }),
      { numRuns: 2_000 },
    )
    expect(withText).toBeGreaterThan(200)
  })

  test('is no longer looked for where it is always there, and again where it no longer is', () => {
    const required = Required.of(readRegex('user:').expression!)!
    for (let i = 0; i < 100; i++) expect(required.isMissingIn(`user:${i}`)).toBe(false)
    const missing = Array.from({ length: 2_000 }, () => required.isMissingIn('post:1'))
    expect(missing[0]).toBe(false)
    expect(missing.slice(-500)).not.toContain(false)
  })
})

describe('what every text begins with in which a pattern is found', () => {
  test.each([
    ['^user:\\d', 'user:'],
    ['^user:\\.(?:a|b)', 'user:.'],
    ['^(?:us)er', 'user'],
    ['^\u{1f600}é+', '\u{1f600}'],
    ['^us?', 'u'],
    ['^ab{', 'ab'],
    ['^user:\\b7', 'user:'],
    ['^user:[[:alpha:]]+', 'user:'],
    ['^user(?i)A', 'user'],
    ['^user\\b|x', ''],
    ['^a|b', ''],
    ['(?:^a)?b', ''],
    ['(?i)^a', ''],
    ['(?m)^a', ''],
    ['user', ''],
    ['^', ''],
  ])('of %s is "%s"', (text, prefix) => {
    expect(new Regex(text).prefix).toBe(prefix)
  })

  const strange = fc.constantFrom('', '\\b', '(?i)', '[[:alpha:]]', '\\Qa|b\\E', '\\pL', '(?m:^)', 'a{')
  test('is what RE2 finds nothing without, also where it says what only RE2 understands', () => {
    let withPrefix = 0
    fc.assert(
      fc.property(regex, strange, regex, keys, (before, between, after, keys) => {
        const re2 = new Regex(`^${before}${between}${after}`)
        if (re2.prefix !== '') withPrefix++
        for (const key of keys) if (re2.matches(key)) expect(key.startsWith(re2.prefix)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
    expect(withPrefix).toBeGreaterThan(200)
  })
})
