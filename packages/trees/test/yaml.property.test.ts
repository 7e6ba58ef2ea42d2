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

it('aliases stand for the last node before them that has their anchor, and nothing else', () => {
  const text = 'a: &x {b: &y 1}\nc: &y 2\nd: *x\ne: *y\nf: &x 3\ng: *x\n'
  expect(jsonOfYaml(text, limits)).toBe('{"a":{"b":1},"c":2,"d":{"b":1},"e":2,"f":3,"g":3}')
  for (const refused of ['a: *x\n', 'a: *x\nb: &x 1\n', '*x : 1\n', 'a: &x b\n*x : 1\n', 'a: &x [*x]\n'])
    expect(() => jsonOfYaml(refused, limits), refused).toThrow(expect.objectContaining({ code: 'TIDEMARK_TREE_VALUE' }))
})

it('a document takes time by its length, whatever is in it, and one of too many nodes is not parsed', () => {
  const many = (count: number, line: (n: number) => string) => Array.from({ length: count }, (_, n) => line(n)).join('')
  const documents: Record<string, [text: string, code?: string]> = {
    aliases: [`a: &x 1\n${many(8_000, (n) => `b${n}: *x\n`)}`],
    anchors: [many(8_000, (n) => `- &a${n} 1\n- *a${n}\n`)],
    names: [many(15_000, (n) => `b${n}: 1\n`)],
    'names, twice': [`a: 1\n${many(15_000, (n) => `b${n}: 1\n`)}a: 1\n`, 'TIDEMARK_TREE_VALUE'],
    'a long number': [`- 0x${'F'.repeat(1_000_000)}`, 'TIDEMARK_TREE_VALUE'],
    'too many items': [`[${'1,'.repeat(500_000)}]`, 'TIDEMARK_TREE_LIMIT'],
    'too many lines': ['\n'.repeat(1_000_000), 'TIDEMARK_TREE_LIMIT'],
    'too deep': ['['.repeat(1_000_000), 'TIDEMARK_TREE_'],
  }
  for (const [name, [text, code]] of Object.entries(documents)) {
    const began = process.cpuUsage()
    let refused: string | undefined
    try {
      jsonOfYaml(text, limits)
    } catch (error) {
      refused = (error as { code: string }).code
    }
    if (code === undefined) expect(refused, name).toBeUndefined()
    else expect(refused, name).toContain(code)
    // Where each looks at all others, seconds to minutes.
    expect(process.cpuUsage(began).user / 1_000, name).toBeLessThan(2_000)
  }
}, 60_000)
