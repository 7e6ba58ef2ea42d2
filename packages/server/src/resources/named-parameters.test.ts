import fc from 'fast-check'
import { loadModule, scanSync } from 'libpg-query'
import { beforeAll, describe, expect, it } from 'vitest'
import { numberParameters } from './named-parameters.js'

describe('named parameters', () => {
  it('are numbered in the order in which they appear, each once', () => {
    const { text, order } = numberParameters('select :a, :b from t where x = :a')
    expect(text).toBe('select $1, $2 from t where x = $1')
    expect(order).toEqual(['a', 'b'])
  })

  it.each([
    ['a cast', 'select x::text, :a::bigint', 'select x::text, $1::bigint'],
    ['a cast behind a cast', 'select x::text::int', 'select x::text::int'],
    ['a string', "select ':a', 'it''s :a', :a", "select ':a', 'it''s :a', $1"],
    ['a string with escapes', "select E'\\':a', e'\\\\', :a", "select E'\\':a', e'\\\\', $1"],
    ['a string with escapes that goes on', "select E'x'\n  '\\' :a', :a", "select E'x'\n  '\\' :a', $1"],
    ['a plain string before a backslash', "select '\\', :a", "select '\\', $1"],
    ['a quoted identifier', 'select ":a", "b"":a", :a', 'select ":a", "b"":a", $1'],
    ['a dollar quote', 'select $$ :a $$, $q$ $$ :a $$ $q$, :a', 'select $$ :a $$, $q$ $$ :a $$ $q$, $1'],
    ['an identifier with dollars', 'select a$b$, :a, c$b$', 'select a$b$, $1, c$b$'],
    ['a line comment', 'select 1 -- :a\n, :a', 'select 1 -- :a\n, $1'],
    ['a nested comment', 'select /* /* :a */ :a */ :a', 'select /* /* :a */ :a */ $1'],
    ['a named argument', 'select f(a := :a)', 'select f(a := $1)'],
    ['an operator', "select 'x'||:a, -:a", "select 'x'||$1, -$1"],
    ['a name of other letters', 'select été, :a, é$b$', 'select été, $1, é$b$'],
  ])('are found beside %s', (_, sql, text) => {
    expect(numberParameters(sql).text).toBe(text)
  })

  it('leave SQL that does not end as it is', () => {
    for (const sql of ["select ':a", 'select ":a', 'select $x$ :a', 'select /* :a', 'select :', 'select $']) {
      expect(numberParameters(sql).text).toBe(sql)
    }
  })

  it('tell where a place in the numbered SQL stood', () => {
    const sql = 'select :first, :second from nowhere'
    const { text, original } = numberParameters(sql)
    expect(original(text.indexOf('nowhere'))).toBe(sql.indexOf('nowhere'))
    expect(original(0)).toBe(0)
  })

  it('report parameters that are already numbered', () => {
    const sql = "select $1, '$2' from a$3"
    expect(numberParameters(sql).numbered).toEqual([7])
  })
})

/**
 * It might be wrong by seeing a parameter where PostgreSQL sees a part of a string, comment or identifier, or the other
 * way round. PostgreSQL's own lexer is the judge.
 */
describe("beside PostgreSQL's lexer", () => {
  beforeAll(() => loadModule())

  const piece = fc.constantFrom(
    ':a',
    ':b_1',
    ':A',
    "'",
    "''",
    '"',
    '""',
    '$$',
    '$q$',
    '$',
    'q$',
    '--',
    '\n',
    '/*',
    '*/',
    '::',
    ':=',
    ':',
    ' ',
    ' ',
    ',',
    '\\',
    'e',
    'E',
    'x',
    'select',
    '[1:a]',
    '(',
    ')',
    '+',
    '-',
    '*',
    '/',
    'é',
    '1',
    '||',
    "e'",
    "E'\\'",
    "U&'",
    "'\n'",
    '\t',
  )

  it('finds the same parameters in any text', () => {
    let compared = 0
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const sql = pieces.join('')
        const expected = byPostgres(sql)
        if (expected === undefined) return
        compared += 1
        expect([...occurrences(sql)]).toEqual(expected)
      }),
      {
        numRuns: Number(process.env['FC_RUNS'] ?? 20_000),
        ...(process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}),
      },
    )
    expect(compared).toBeGreaterThan(1_000)
  })
})

/** The offsets at which our lexer sees a parameter. */
function occurrences(sql: string): number[] {
  const { text, order, original } = numberParameters(sql)
  const offsets: number[] = []
  for (let at = 0; at < text.length; at += 1) {
    const before = original(at)
    const name = /^\$([0-9]+)/.exec(text.slice(at))
    const parameter = name ? order[Number(name[1]) - 1] : undefined
    if (parameter !== undefined && sql.startsWith(`:${parameter}`, before)) offsets.push(before)
  }
  return offsets
}

/** The offsets at which PostgreSQL's lexer sees a colon followed by a plain word; undefined where it can't read the text. */
function byPostgres(sql: string): number[] | undefined {
  let tokens: ReturnType<typeof scanSync>['tokens']
  try {
    tokens = scanSync(sql).tokens
  } catch {
    return undefined
  }
  const bytes = Buffer.from(sql)
  return tokens.flatMap((token, index) => {
    const next = tokens[index + 1]
    const isColon = bytes.subarray(token.start, token.end).toString() === ':'
    if (!isColon || next?.start !== token.end || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(next.text)) return []
    return [bytes.subarray(0, token.start).toString().length]
  })
}
