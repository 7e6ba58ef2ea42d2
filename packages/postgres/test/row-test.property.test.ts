import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import fc from 'fast-check'
import pg from 'pg'
import { judge, type RowVerdict } from 'tidemark'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Analyst } from '../src/sql/analyst.js'
import { as, type Node } from '../src/sql/ast.js'
import { describe } from '../src/sql/describe.js'
import { parseSql } from '../src/sql/parse.js'
import { testingOf, testOf } from '../src/sql/row-test.js'
import { columnsOf, type Level, type Occurrence } from '../src/sql/scope.js'

/*
 * How a test of rows might be wrong: it says of a row what PostgreSQL does not. So: random conditions over columns of many types, with
 * NULL, NaN, infinities, blanks at the end, letters of several cases, and values of other types than the column's; of each row what
 * PostgreSQL says. Where the test can't tell it may say so, but it must tell most.
 */

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 400)
const SEED = Number(process.env.TIDEMARK_SEED ?? 20260101)
const ROWS = 60

/** By the column: its type, and values of it. */
const KINDS: Record<string, { type: string; values: readonly string[] }> = {
  n: { type: 'int', values: ['0', '1', '2', '-3', '2147483647'] },
  m: { type: 'int', values: ['0', '1', '2', '-3'] },
  s: { type: 'smallint', values: ['0', '1', '2', '32767'] },
  b: { type: 'bigint', values: ['0', '1', '2', '9223372036854775807'] },
  d: { type: 'numeric', values: ['0', '1', '1.0', '1.50', 'NaN', 'Infinity', '2'] },
  e: { type: 'numeric(6,2)', values: ['0', '1', '1.5', '2'] },
  f: { type: 'float8', values: ['0', '-0', '1', '1.5', 'NaN', '-Infinity', '1e300'] },
  r: { type: 'real', values: ['0', '1', '0.1', 'NaN'] },
  t: { type: 'text', values: ['', 'a', 'A', 'ab', 'ab ', 'a%', 'a_c', 'é', 'e\u0301', '\u{1f600}b'] },
  c: { type: 'text collate "C"', values: ['', 'a', 'A', 'ab', 'é', '\u{1f600}b', '\uffeeb'] },
  i: { type: 'text collate unordered', values: ['', 'a', 'A', 'ab'] },
  v: { type: 'varchar(5)', values: ['', 'a', 'A', 'ab', 'ab '] },
  p: { type: 'char(4)', values: ['', 'a', 'ab', 'ab '] },
  o: { type: 'boolean', values: ['t', 'f'] },
  k: { type: 'mood', values: ['live', 'draft', 'gone'] },
  w: { type: 'whole', values: ['0', '1', '2'] },
  y: { type: 'date', values: ['2024-01-01', '2024-02-29', '-infinity', 'infinity', '0044-03-15 BC'] },
  z: { type: 'timestamptz', values: ['2024-01-01 00:00:00+00', '2024-01-01 01:00:00.5+01', 'infinity'] },
  q: { type: 'citext', values: ['a', 'A', 'b'] },
  l: { type: 'int[]', values: ['{}', '{1,2}', '{NULL}'] },
  j: { type: 'jsonb', values: ['1', '1.0', '{"a":1}'] },
}
const PARAMETERS = [
  { type: 'int', values: [0, 1, 2, null] },
  { type: 'bigint', values: ['1', '2', null] },
  { type: 'text', values: ['a', 'ab ', 'a%', '%b', 'a\\', '_', null] },
  { type: 'numeric', values: ['1.0', 'NaN', '2', null] },
  { type: 'int[]', values: [[1, 2], [], [1, null], null] },
  { type: 'text[]', values: [['a', 'é'], ['ab '], [null], null] },
  { type: 'boolean', values: [true, false, null] },
  { type: 'timestamptz', values: ['2024-01-01T00:00:00Z', '2024-01-01 00:00:00', null] },
]
const TYPES = [23, 20, 25, 1700, 1007, 1009, 16, 1184]
const INTEGERS = ['n', 'm', 's', 'b']

const names = Object.keys(KINDS)
const column = fc.constantFrom(...names)
const integer = fc.constantFrom(...INTEGERS)
const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`
/** A value beside a column: of its type, or a parameter of some type. */
const valueBeside = (name: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...KINDS[name]!.values).map(quoted) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(...KINDS[name]!.values)
        .map((value) => `${quoted(value)}::${KINDS[name]!.type.split(' ')[0]}`),
    },
    { weight: 2, arbitrary: fc.constantFrom('0', '1', '1.5', '2', 'null') },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }).map((number) => `$${number}`) },
    { weight: 1, arbitrary: fc.constantFrom('$7', '$8', 'true') },
  )
const comparison = fc.constantFrom('=', '<>', '<', '<=', '>', '>=')
const beside = <T>(make: (name: string, value: fc.Arbitrary<string>) => fc.Arbitrary<T>) =>
  column.chain((name) => make(name, valueBeside(name)))
const sum: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(integer, fc.constantFrom('+', '-', '*'), fc.oneof(integer, fc.constantFrom('1', '2', '$1', '$2', '-1')))
    .map(([left, operator, right]) => `(${left} ${operator} ${right})`),
  integer.map((name) => `coalesce(${name}, 0)`),
  fc.tuple(integer, integer).map((both) => `coalesce(${both.join(', ')})`),
  fc.tuple(integer, fc.constantFrom('bigint', 'numeric', 'int', 'text')).map((cast) => cast.join('::')),
)
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3 },
    beside((name, value) => fc.tuple(comparison, value).map(([operator, each]) => `${name} ${operator} ${each}`)),
    fc.tuple(column, comparison, column).map((parts) => parts.join(' ')),
    fc
      .tuple(sum, comparison, fc.oneof(sum, fc.constantFrom('0', '1', '2', '$1', '$4')))
      .map((parts) => parts.join(' ')),
    beside((name, value) =>
      fc.array(value, { minLength: 1, maxLength: 3 }).map((all) => `${name} in (${all.join(', ')})`),
    ),
    beside((name, value) =>
      fc.array(value, { minLength: 1, maxLength: 3 }).map((all) => `${name} not in (${all.join(', ')})`),
    ),
    beside((name, value) =>
      fc
        .tuple(fc.constantFrom('between', 'not between', 'between symmetric'), value, value)
        .map(([between, from, to]) => `${name} ${between} ${from} and ${to}`),
    ),
    beside((name, value) => value.map((each) => `${name} is distinct from ${each}`)),
    beside((name, value) => value.map((each) => `${name} is not distinct from ${each}`)),
    column.map((name) => `${name} is null`),
    column.map((name) => `${name} is not null`),
    fc
      .tuple(
        fc.constantFrom('t', 'c', 'v', 'p', 'i', 'q'),
        fc.constantFrom('like', 'not like', 'ilike'),
        fc.constantFrom("'a%'", "'%b'", "'a\\_c'", "'_b%'", "'%'", "''", '$3', 'null'),
      )
      .map((parts) => parts.join(' ')),
    fc
      .tuple(integer, fc.constantFrom('= any($5)', '<> all($5)', "= any('{1,2}'::int[])", '= any(array[1, 2])'))
      .map((parts) => parts.join(' ')),
    fc
      .tuple(fc.constantFrom('t', 'c', 'v', 'p', 'i'), fc.constantFrom('= any($6)', '<> all($6)'))
      .map((parts) => parts.join(' ')),
    fc
      .tuple(integer, integer, comparison, fc.constantFrom('(1, 2)', '($1, 0)', '(n, m)', '(null, 1)'))
      .map(([one, other, operator, row]) => `(${one}, ${other}) ${operator} ${row}`),
    fc.constantFrom('o', 'coalesce(o, false)', 'o is not true', 'o is unknown', 'not o', 'o = $7'),
    fc.tuple(tie('condition'), fc.constantFrom('and', 'or'), tie('condition')).map((parts) => `(${parts.join(' ')})`),
    tie('condition').map((each) => `not (${each})`),
    tie('condition').map((each) => `(${each}) is not true`),
    tie('condition').map((each) => `(${each}) is unknown`),
    fc
      .tuple(tie('condition'), tie('condition'), tie('condition'))
      .map(([when, then, otherwise]) => `case when ${when} then ${then} else ${otherwise} end`),
  ),
}))

let database: TestDatabase
let client: pg.Client

beforeAll(async () => {
  database = await testDatabase()
  client = new pg.Client({ connectionString: database.url, types: { getTypeParser: () => (text: unknown) => text } })
  await client.connect()
  await client.query(`
    set timezone = 'UTC';
    create extension citext;
    create collation unordered (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create type mood as enum ('live', 'draft', 'gone');
    create domain whole as int check (value >= 0);
    create table rows_of (id int primary key, ${names.map((name) => `${name} ${KINDS[name]!.type}`).join(', ')})`)
  const random = fc.sample(
    fc.tuple(...names.map((name) => fc.option(fc.constantFrom(...KINDS[name]!.values), { freq: 5 }))),
    { numRuns: ROWS, seed: SEED },
  )
  for (const [id, values] of random.entries())
    await client.query(
      `insert into rows_of values (${id}, ${values.map((value) => (value === null ? 'null' : quoted(value))).join(', ')})`,
    )
})
afterAll(async () => {
  await client?.end()
  await database?.drop()
})

it('a test of rows says what PostgreSQL says, or that it can not tell', async () => {
  const analyst = new Analyst(() => 1)
  const { analysis } = await analyst.analyse('select * from rows_of where id > 0', '', {
    ask: async (text, values) => (await client.query({ text, values, rowMode: 'array' })).rows[0]![0],
    describe: (text) => describe((each) => client.query(each as pg.Query), text),
  })
  const { relation } = analysis.rows[0]!
  const occurrence = {
    number: 0,
    relation,
    columns: relation.columns,
    formulas: [],
    isNullable: false,
    hidden: undefined,
    isGrowing: false,
  }
  const source = { name: 'rows_of', schema: undefined, columns: columnsOf(occurrence as Occurrence), isComplete: true }
  const level: Level = { sources: [source], merged: new Map(), outer: undefined }
  const images: Record<string, string | null>[] = (await client.query('select * from rows_of order by id')).rows
  const casts = PARAMETERS.map(({ type }, i) => `$${i + 1}::${type}`).join(', ')
  const count = { refused: 0, unread: 0, yes: 0, no: 0, null: 0, untold: 0, partly: 0 }
  const cases = fc.tuple(condition, fc.tuple(...PARAMETERS.map(({ values }) => fc.constantFrom(...values))))
  for (const [text, values] of fc.sample(cases, { numRuns: RUNS, seed: SEED })) {
    // The parameters' types are those by which they are named first.
    const sql = `select ${casts}, (${text}) as verdict from rows_of order by id`
    const answer = await client.query(sql, values as unknown[]).catch(() => undefined)
    if (!answer) {
      count.refused++
      continue
    }
    const parsed = parseSql(`select from rows_of where ${text}`)
    const where = 'tooDeep' in parsed ? undefined : as('SelectStmt', parsed.statements[0])?.whereClause
    const testing = testingOf(where as Node, level, TYPES)
    const test = testing && testOf([testing], values as unknown[])
    if (!test || testing.isPart) count.unread++
    if (!test) continue
    for (const [index, { verdict }] of answer.rows.entries()) {
      const found = judge(test.holds, (name) => images[index]![name])
      const expected: RowVerdict = verdict === null ? 'null' : verdict === 't' ? 'yes' : 'no'
      // A part says only what is not so.
      if (testing.isPart && (found !== 'no' || expected !== 'yes')) {
        if (found === 'no') count.partly++
        continue
      }
      count[found]++
      if (found !== 'untold' && found !== expected)
        expect.fail(`${text} of ${JSON.stringify({ values, row: images[index] })} is ${expected}, not ${found}`)
    }
  }
  expect(count.unread).toBeLessThan(0.75 * (RUNS - count.refused))
  for (const verdict of ['yes', 'no', 'null'] as const) expect(count[verdict]).toBeGreaterThan(RUNS)
  expect(count.partly).toBeGreaterThan(RUNS / 4)
  expect(count.untold).toBeLessThan(0.05 * count.yes)
}, 60_000)
