import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseJson, printJson } from '../src/json.js'
import { limitsOf } from '../src/limits.js'
import { jsonOfYaml, yamlOfJson } from '../src/yaml.js'

// What goes out as YAML might come back as something else: text that looks like a number, white space, odd names, digits.

const limits = limitsOf()
const looksLikeMore = fc.constantFrom(
  ...[
    '',
    '~',
    'null',
    'yes',
    'No',
    'on',
    '1',
    '-1',
    '+1',
    '01',
    '1.',
    '.5',
    '1e3',
    '0x1F',
    '.inf',
    '.NaN',
    '2001-01-01',
    '1:30',
  ],
  ...[
    '- a',
    '? a',
    'a: b',
    '# a',
    ' a',
    'a ',
    '\n',
    'a\n',
    '\na',
    'a\n\n b',
    '\t',
    '!!str',
    '&a',
    '*a',
    '%',
    '@',
    '`',
    '"',
    "'",
    '<<',
    '=',
    '---',
    '...',
  ],
)
const text = fc
  .oneof(looksLikeMore, fc.string({ unit: 'grapheme', maxLength: 8 }))
  .filter((each) => !each.includes('\0'))
const number = fc.oneof(
  fc.integer().map(String),
  fc.bigInt().map(String),
  fc.constantFrom('12345678901234567890.5', '1e30', '-0', '0.10', '1E-7'),
)
const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    text.map((each) => JSON.stringify(each)),
    number,
    fc.constantFrom('null', 'true', 'false'),
    fc.array(tie('json'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
    fc
      .uniqueArray(fc.tuple(text, tie('json')), { maxLength: 4, selector: ([name]) => name })
      .map((members) => `{${members.map(([name, member]) => `${JSON.stringify(name)}:${member}`).join(',')}}`),
  ),
}))

it('a document that goes out as YAML comes back as it was, with its order and its digits', () => {
  fc.assert(
    fc.property(json, (document) => {
      const written = printJson(parseJson(document, limits))
      expect(jsonOfYaml(yamlOfJson(written), limits)).toBe(written)
    }),
    { numRuns: 1_000 },
  )
})

it('any text is a document or a clear error', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'{}[]":,&*!|>- \n?ab1.%') })),
      (given) => {
        try {
          JSON.parse(jsonOfYaml(given, limits))
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^TIDEMARK_TREE_(VALUE|LIMIT)$/) })
        }
      },
    ),
    { numRuns: 500 },
  )
})

it('every number of YAML keeps its digits, however it is written', () => {
  const numbers: Record<string, string> = {
    '+9007199254740993': '9007199254740993',
    '0009007199254740993': '9007199254740993',
    '-007': '-7',
    '-0': '-0',
    '.1234567890123456789': '0.1234567890123456789',
    '-.5': '-0.5',
    '+.50': '0.50',
    '9007199254740993.': '9007199254740993',
    '1.e3': '1e3',
    '+01.50E+2': '1.50E+2',
    '+9007199254740993.25': '9007199254740993.25',
    '.5e300': '0.5e300',
    '0xFFFFFFFFFFFFFFFFFF': '4722366482869645213695',
  }
  for (const [plain, expected] of Object.entries(numbers))
    expect(jsonOfYaml(`- ${plain}\n`, limits), plain).toBe(`[${expected}]`)
})
