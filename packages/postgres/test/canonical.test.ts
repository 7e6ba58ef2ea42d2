import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { areAlike, canonical, incomparable, stored, wireText } from '../src/sql/canonical.js'
import { type Column, loadRelations } from '../src/sql/catalogue.js'

/*
 * How it might be wrong: `column = $1` holds for a row on the server, but the text that a dependency gets from the parameter is not
 * the text that the log has for the row. Or what the driver made of a stored value is turned into another text than it has.
 */

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 300)
const SEED = Number(process.env.TIDEMARK_SEED ?? 1)

let database: TestDatabase
let client: pg.Client
let columns: ReadonlyMap<string, Column>

beforeAll(async () => {
  database = await testDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query("set datestyle = 'ISO'; set timezone = 'UTC'")
  await client.query(`
    create type mood as enum ('live', 'draft', 'it''s');
    create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create domain score as int;
    create table t (b bool, i2 int2, i4 int4, i8 int8, o oid, tx text, vc varchar(5), bp char(4), bpx bpchar, u uuid, m mood, d date,
      n numeric, n2 numeric(10,2), n0 numeric(8,0), nn numeric(5,-2), f float8, ts timestamptz, l text collate loose, s score, j jsonb,
      g int generated always as (i4) stored)`)
  const ask = async (text: string, values: unknown[]): Promise<string> =>
    (await client.query({ text, values, rowMode: 'array' })).rows[0]![0]
  const { named } = await loadRelations(ask, [{ schema: undefined, name: 't' }])
  columns = new Map(named.get('"t"')!.columns.map((column) => [column.name, column]))
})

afterAll(async () => {
  await client?.end()
  await database?.drop()
})

/** Values as users pass them: some of a column's type, some nearly. */
const integer = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.bigInt({ min: -(2n ** 31n), max: 2n ** 31n }),
  fc.integer({ min: -5, max: 5 }).map((n) => ` ${n < 0 ? '' : '+'}${n}`),
  fc.integer({ min: 0, max: 9 }).map((n) => `00${n}`),
  fc.constantFrom('-0', '0x5', '1_0', '5.0', '1e0', '', 'NaN'),
)
const text = fc.oneof(
  fc.constantFrom(
    'a',
    'A',
    'a ',
    'ab',
    'ab  ',
    'abcd',
    'abcde',
    '',
    ' ',
    'é',
    'e\u0301',
    '😀',
    '😀b ',
    '\ud800',
    "it's",
    '\\',
    'a\tb',
  ),
  fc.string({ maxLength: 4, unit: 'binary' }).filter((each) => !each.includes('\0')),
)
const decimal = fc.oneof(
  integer,
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.integer({ min: -1000, max: 1000 }).map((n) => (n / 100).toFixed(2)),
  fc.constantFrom(
    '1.5',
    '1.50',
    '1.500',
    '01.5',
    '+1.5',
    '.5',
    '5.',
    '-0.00',
    '0',
    '1e2',
    '100',
    '1.005',
    '12300',
    '1.50 ',
  ),
)
const uuids = [
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
  '{a0eebc999c0b4ef8bb6d6bb9bd380a11}',
  'a0eebc999c0b4ef8bb6d6bb9bd380a11',
]
const days = [
  '2020-02-29',
  '2020-2-29',
  '20200229',
  'Feb 29 2020',
  '2020-02-29 00:00',
  '0001-01-01',
  '2020-02-28',
  '0044-03-15 BC',
  'infinity',
  '10000-01-01',
]

const VALUES: Record<string, fc.Arbitrary<unknown>> = {
  b: fc.constantFrom<unknown>(true, false, 't', 'true', 'yes', 'on', '1', 'f', 'FALSE', 'no', 0, 1),
  i2: integer,
  i4: integer,
  i8: integer,
  o: integer,
  tx: fc.oneof(text, integer, fc.boolean()),
  vc: text,
  bp: text,
  u: fc.constantFrom(...uuids),
  m: fc.constantFrom('live', 'draft', "it's", 'Live', 'live '),
  d: fc.constantFrom<unknown>(...days, new Date(Date.UTC(2020, 1, 29))),
  n2: decimal,
  n0: decimal,
}

for (const [name, values] of Object.entries(VALUES)) {
  it(`a parameter that equals a stored ${name} has its text`, { timeout: 120_000 }, async () => {
    let equal = 0
    let told = 0
    let recognised = 0
    await fc.assert(
      fc.asyncProperty(values, values, async (held, asked) => {
        const column = columns.get(name)!
        const answer = await compare(name, held, asked)
        if (!answer) return
        if (answer.isEqual) equal++
        const wire = wireText(asked)
        const own = typeof wire === 'string' ? canonical(column, wire) : undefined
        if (own !== undefined) told++
        if (own !== undefined)
          expect({ held, asked, isSame: own === answer.log }).toEqual({ held, asked, isSame: answer.isEqual })
        // The stored value as the server writes it, and what the driver made of it.
        for (const seen of [answer.log, answer.parsed]) expect([answer.log, undefined]).toContain(stored(column, seen))
        if (stored(column, answer.log) !== undefined) recognised++
      }),
      { numRuns: RUNS, seed: SEED },
    )
    expect(equal).toBeGreaterThan(0)
    expect(told).toBeGreaterThan(RUNS / 20)
    expect(recognised).toBeGreaterThan(RUNS / 20)
  })
}

/** Stores a value and asks whether it equals the other; undefined if the server takes one of them not. */
async function compare(
  name: string,
  held: unknown,
  asked: unknown,
): Promise<{ isEqual: boolean; log: string; parsed: unknown } | undefined> {
  await client.query('begin')
  try {
    await client.query(`insert into t (${name}) values ($1)`, [held])
    const { rows } = await client.query(`select ${name} = $1 as equal, ${name} as parsed from t`, [asked])
    // As output functions write it: `::text` would cut the blanks of char(n).
    const log = await client.query({
      text: `select ${name} from t`,
      types: { getTypeParser: () => (each: string) => each } as never,
    })
    return { isEqual: rows[0].equal, log: log.rows[0][name], parsed: rows[0].parsed }
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    return undefined
  } finally {
    await client.query('rollback')
  }
}

describe('a column whose values have several texts, or none in the log', () => {
  const reasons: Record<string, string> = {
    bpx: 'type',
    n: 'type',
    nn: 'type',
    f: 'type',
    ts: 'type',
    l: 'collation',
    s: 'type',
    j: 'type',
    g: 'generated',
  }
  for (const [name, reason] of Object.entries(reasons)) {
    it(`is not compared: ${name}`, () => {
      expect(incomparable(columns.get(name)!)).toBe(reason)
      expect(areAlike(columns.get(name)!, columns.get(name)!)).toBe(false)
    })
  }
})

it('an operator = of somebody else makes a type incomparable', async () => {
  await client.query(`
    create function never(mood, mood) returns bool language sql immutable as 'select false';
    create operator = (leftarg = mood, rightarg = mood, function = never)`)
  const ask = async (query: string, values: unknown[]): Promise<string> =>
    (await client.query({ text: query, values, rowMode: 'array' })).rows[0]![0]
  const { named } = await loadRelations(ask, [{ schema: 'public', name: 't' }])
  const column = named.get('"public"."t"')!.columns.find(({ name }) => name === 'm')!
  expect(incomparable(column)).toBe('operator')
  await client.query('drop operator = (mood, mood)')
})

it('columns bound each other only where one value has one text in both', () => {
  const pairs: [string, string, boolean][] = [
    ['i2', 'i8', true],
    ['tx', 'vc', true],
    ['tx', 'bp', false],
    ['i4', 'n0', false],
    ['i4', 'o', false],
    ['tx', 'l', false],
    ['u', 'u', true],
    ['m', 'm', true],
    ['n2', 'n0', true],
  ]
  for (const [left, right, isAlike] of pairs)
    expect([left, right, areAlike(columns.get(left)!, columns.get(right)!)]).toEqual([left, right, isAlike])
})
