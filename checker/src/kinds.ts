/** What columns there are: their types, and values from so small a range that conditions often hold and changes often matter. */
export interface Kind {
  readonly name: string
  /** As CREATE TABLE has it. */
  readonly type: string
  /** As a cast has it. */
  readonly cast: string
  /** Kinds of one family can be compared. */
  readonly family: Family
  /** Equal values have the same text: else DISTINCT, GROUP BY and UNION may answer with either. */
  readonly isPlain: boolean
  readonly values: readonly string[]
}

type Family = 'number' | 'text' | 'bool' | 'date' | 'moment' | 'uuid' | 'mood' | 'array' | 'json' | 'bytes'

/** Made before the tables. */
export const TYPES = [
  'create extension if not exists citext',
  "create collation folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
  "create type mood as enum ('live', 'draft', 'gone')",
  'create domain positive as int check (value >= 0)',
  'create domain label as text',
]

const words = ['a', 'b', 'ab', 'abc', 'B', '', 'a%', 'é', 'a_c']
const integers = ['0', '1', '2', '3', '4', '5']

const kind = (
  name: string,
  family: Family,
  values: readonly string[],
  { type = name, cast = type, isPlain = true }: { type?: string; cast?: string; isPlain?: boolean } = {},
): Kind => ({ name, type, cast, family, values, isPlain })

export const INT = kind('int', 'number', integers)
/** Refers to ids of other tables. */
export const REFERENCE = kind('reference', 'number', [...Array(16).keys()].map(String), { type: 'int' })
export const TEXT = kind('text', 'text', words)
const BOOL = kind('bool', 'bool', ['t', 'f'], { type: 'boolean' })
const MOOD = kind('mood', 'mood', ['live', 'draft', 'gone'])
export const BIG = kind('bigint', 'number', [...integers, '9007199254740993'])

/** What most schemas are made of. */
export const COMMON: readonly Kind[] = [
  INT,
  INT,
  BIG,
  TEXT,
  TEXT,
  BOOL,
  MOOD,
  kind('varchar', 'text', words, { type: 'varchar(10)', cast: 'varchar' }),
  kind('price', 'number', ['0.00', '1.00', '2.50', '-1.00'], { type: 'numeric(8,2)', cast: 'numeric' }),
  kind('date', 'date', ['2024-01-01', '2024-01-02', '2024-02-01', 'infinity']),
  kind('timestamptz', 'moment', ['2024-01-01 00:00:00+00', '2024-01-01 12:30:00.5+00', '2024-02-01 00:00:00+02']),
  kind(
    'uuid',
    'uuid',
    [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`),
  ),
]

/** What is rarer, and where text and equality part. */
export const ODD: readonly Kind[] = [
  kind('smallint', 'number', integers),
  kind('numeric', 'number', ['0', '1', '1.0', '1.00', '2.5', '-1', 'NaN'], { isPlain: false }),
  kind('float', 'number', ['0', '-0', '1', '1.5', 'NaN', '1e20'], { type: 'float8', isPlain: false }),
  kind('c text', 'text', words, { type: 'text collate "C"', cast: 'text' }),
  kind('icu text', 'text', words, { type: 'text collate "en-x-icu"', cast: 'text' }),
  kind('folding text', 'text', words, { type: 'text collate folding', cast: 'text', isPlain: false }),
  kind('char', 'text', ['a', 'b', 'ab', 'ab ', ''], { type: 'char(4)', cast: 'bpchar' }),
  kind('citext', 'text', words, { isPlain: false }),
  kind('label', 'text', words),
  kind('positive', 'number', integers),
  kind('timestamp', 'moment', ['2024-01-01 00:00:00', '2024-01-01 12:30:00.25', '-infinity']),
  kind('ints', 'array', ['{}', '{1}', '{1,2}', '{NULL}', '{2,1}'], { type: 'int[]' }),
  kind('json', 'json', ['1', '{"a": 1}', 'null', '"x"', '[1, 2]'], { type: 'jsonb' }),
  kind('bytes', 'bytes', ['\\x', '\\x01', '\\x0102'], { type: 'bytea' }),
]

/** A literal without a type. */
export function literal(value: string | null): string {
  return value === null ? 'null' : `'${value.replaceAll("'", "''")}'`
}
