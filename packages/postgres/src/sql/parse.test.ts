import { beforeAll, expect, it } from 'vitest'
import { SqlError } from './errors.js'
import { loadParser, parseSql } from './parse.js'

beforeAll(() => loadParser())

it('parses with the grammar of PostgreSQL, and remembers the tree', () => {
  const parsed = parseSql('select 1; select 2 -- the end')
  expect('statements' in parsed && parsed.statements).toHaveLength(2)
  expect(parseSql('select 1; select 2 -- the end')).toBe(parsed)
  expect(parseSql('-- nothing')).toEqual({ statements: [] })
})

it.each([
  ['selec 1', 1],
  ['select * frm t', 10],
  ["select 'a", 8],
  ['select 1 1', 10],
  ["select 'é' 1", 12],
])('says where %s goes wrong', (text, position) => {
  const parse = () => parseSql(text)
  expect(parse).toThrow(SqlError)
  expect(parse).toThrow(expect.objectContaining({ code: 'TIDEMARK_SQL', sqlState: '42601', position }))
})

it('refuses a NUL, behind which the parser would see nothing', () => {
  expect(() => parseSql('select 1 \0; drop table t')).toThrow(
    expect.objectContaining({ code: 'TIDEMARK_SQL', position: 10 }),
  )
})

it('refuses a text of nothing', () => {
  expect(() => parseSql(' \n')).toThrow(SqlError)
})

it('is not brought down by SQL that is nested too deeply', () => {
  expect(parseSql(`select ${'1+'.repeat(20_000)}1`)).toEqual({ tooDeep: true })
  expect(parseSql(`select ${'('.repeat(20_000)}1${')'.repeat(20_000)}`)).toEqual({ tooDeep: true })
  expect(parseSql(`select ${'('.repeat(9_000)}1${')'.repeat(9_000)}`)).toHaveProperty('statements')
  expect(parseSql('select 2')).toHaveProperty('statements')
})

it('forgets the texts that were not used for longest', () => {
  const first = parseSql('select 0')
  for (let n = 1; n <= 999; n++) parseSql(`select ${n} as n`)
  expect(parseSql('select 0')).toBe(first)
  for (let n = 1; n <= 1_000; n++) parseSql(`select ${n} as m`)
  expect(parseSql('select 0')).not.toBe(first)
})
