import fc from 'fast-check'
import { expect, test } from 'vitest'
import { csvLine } from './csv.js'

// A cell that a spreadsheet runs, or that breaks out of its place, is an attack on whoever opens the export.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 1_000)
const hostile = fc.constantFrom(
  '=',
  '+',
  '-',
  '@',
  '\t',
  '\r',
  '\n',
  '"',
  ',',
  "'",
  ' ',
  '＝',
  '=cmd|calc!A1',
  '\u0000',
  'a',
)
const cell = fc.oneof(
  fc.array(hostile, { maxLength: 6 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary' }),
)

/** As RFC 4180 says. */
function parse(line: string): string[] {
  const cells: string[] = []
  let rest = line.replace(/\r\n$/, '')
  for (;;) {
    const [whole, quoted, plain] = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(?:,|$)/.exec(rest) ?? []
    if (whole === undefined) throw new Error(`not CSV: ${JSON.stringify(line)}`)
    cells.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'))
    if (whole.length === rest.length && !whole.endsWith(',')) return cells
    rest = rest.slice(whole.length)
    if (rest === '' && whole.endsWith(',')) return [...cells, '']
  }
}

test('every cell comes back as it was, but for the apostrophe before a formula, and none is one', () => {
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1, maxLength: 5 }), (cells) => {
      const read = parse(csvLine(cells))
      expect(read).toHaveLength(cells.length)
      for (const [i, text] of read.entries()) {
        expect([cells[i], `'${cells[i]}`]).toContain(text)
        expect(text.trimStart()).not.toMatch(/^[=+\-@＝＋－＠]/)
        expect(text).not.toMatch(/^[\t\r\n]/)
      }
    }),
    { numRuns: RUNS },
  )
})

test('a number is one, and nothing is an empty cell', () => {
  expect(csvLine([-1.5, null, 'a,b'])).toBe('-1.5,,"a,b"\r\n')
})
