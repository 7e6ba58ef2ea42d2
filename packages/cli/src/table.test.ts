import { expect, test } from 'vitest'
import { formatResult } from './table.js'

const text = { name: 'title', isNumber: false }
const number = { name: 'id', isNumber: true }

test('rows are a table as psql prints it: names centred, numbers to the right, NULL empty', () => {
  const rows = [
    ['1', 'Slack water'],
    ['23', null],
  ]
  expect(formatResult({ tag: '', columns: [number, text], rows })).toBe(
    [' id |    title', '----+-------------', '  1 | Slack water', ' 23 |', '(2 rows)', '', ''].join('\n'),
  )
})

test('a statement without rows is its tag', () => {
  expect(formatResult({ tag: 'UPDATE 1', columns: [], rows: [] })).toBe('UPDATE 1\n')
})

test('RETURNING prints both the rows and the tag', () => {
  expect(formatResult({ tag: 'UPDATE 1', columns: [number], rows: [['7']] })).toBe(
    ' id\n----\n  7\n(1 row)\n\nUPDATE 1\n',
  )
})

test('a value of several lines takes several lines, and wide letters count twice', () => {
  const printed = formatResult({ tag: '', columns: [text, number], rows: [['潮\nlow', '1']] })
  expect(printed).toBe(' title | id\n-------+----\n 潮   +|  1\n low   |\n(1 row)\n\n')
})

test('what would steer the terminal is shown by its number', () => {
  const printed = formatResult({ tag: '', columns: [text], rows: [['\u001b]0;owned\u0007 \u202egnp.exe']] })
  expect(printed).toContain('\\x1b]0;owned\\x07 \\u202egnp.exe')
  expect(printed).not.toMatch(/[\u001b\u0007\u202e]/)
})
