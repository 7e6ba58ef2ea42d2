import { BIG, INT, type Kind, literal, REFERENCE } from './kinds.js'
import type { Random } from './random.js'
import type { Column, Relation, Table } from './schema.js'
import { statement, type Write } from './writes.js'

/** A function of the schema's own. */
export interface Func extends Relation {
  readonly arguments: readonly Kind[]
  /** What its calls are: rows in FROM, or one number. */
  readonly is: 'rows' | 'number'
  /** CREATE FUNCTION, in the ways in which it may be replaced. */
  readonly ways: readonly string[]
}

/** Functions of the forms that are looked into, and of some that are not. */
export function randomFunctions(random: Random, tables: readonly Table[]): Func[] {
  const [first] = tables
  const table = random.pick(tables)
  const asked = random.pick(table.columns)
  return [
    ofX(first!),
    ofColumn(random, table, asked),
    joined(random, random.pick(tables), random.pick(tables)),
    one(random, random.pick(tables.filter(({ keys }) => keys.length > 0))),
    nested(random, first!),
    ids(random, random.pick(tables)),
    count(random, random.pick(tables)),
    value(random, random.pick(tables.filter(({ keys }) => keys.length > 0))),
  ]
}

export function createFunctions(random: Random, functions: readonly Func[]): Write[] {
  return functions.map(({ ways }) => statement(random.pick(ways)))
}

const create = (head: string, body: string, volatility = 'stable'): string =>
  `create or replace function ${head} language sql ${volatility} as $f$ ${body} $f$`

function ofX(table: Table): Func {
  const ways = [0, 1].map((more) => create('of_x(int) returns setof a', `select * from a where x = $1 + ${more}`))
  const plain = create('of_x(int) returns setof a', 'select * from a where x = $1')
  return { name: 'of_x', columns: table.columns, keys: [], arguments: [INT], is: 'rows', ways: [plain, ...ways] }
}

/** The argument may be called like a column, which then goes before it; a text may be compared under any collation. */
function ofColumn(random: Random, { name, columns }: Table, asked: Column): Func {
  const argument = random.pick(['asked', 'asked', asked.name.startsWith('"') ? 'asked' : asked.name])
  const more = random.pick(columns)
  const head = `of_column(${argument} ${asked.kind.cast}) returns setof ${name}`
  const conditions = [
    `${asked.name} = $1`,
    `${asked.name} = ${argument}`,
    `t.${asked.name} = of_column.${argument}`,
    `${asked.name} in ($1, ${literal(random.pick(asked.kind.values))}::${asked.kind.cast})`,
    `${asked.name} = $1 or ${more.name} is null`,
    `${asked.name} is not distinct from $1`,
  ]
  const volatility = random.pick(['stable', 'stable', 'immutable', 'stable strict'])
  const ways = conditions.map((condition) => create(head, `select * from ${name} t where ${condition}`, volatility))
  return { name: 'of_column', columns, keys: [], arguments: [asked.kind], is: 'rows', ways }
}

/** Columns of other types and names than those they come from. */
function joined(random: Random, left: Table, right: Table): Func {
  const columns = [
    { name: 'x', kind: BIG },
    { name: 'other', kind: INT },
  ]
  const head = 'joined(asked int, least int default 1) returns table (x bigint, other int)'
  const join = random.pick(['join', 'left join'])
  const body = `select l.x, r.x from ${left.name} l ${join} ${right.name} r on r.x = l.ref where l.x = asked`
  const ways = ['', ' and r.x >= least', ' union all select 1, 2 where asked = 3'].map((more) =>
    create(head, body + more),
  )
  return { name: 'joined', columns, keys: [], arguments: [INT], is: 'rows', ways }
}

/** One row, or one of NULLs. */
function one(random: Random, { name, columns, keys }: Table): Func {
  const order = keys.map((key) => `t.${key}`).join(', ')
  const ways = ['', ' limit 1', ' offset 1'].map((more) =>
    create(`one_of(int) returns ${name}`, `select * from ${name} t where t.x = $1 order by ${order}${more}`),
  )
  return { name: 'one_of', columns, keys: random.pick([[], keys]), arguments: [REFERENCE], is: 'rows', ways }
}

/** A function behind a function. */
function nested(random: Random, { columns }: Table): Func {
  const ways = ['x is not null', 'ref > $1', 'id in (select ids_of($1))'].map((condition) =>
    create(
      'nested(int) returns setof a',
      `select * from of_x($1) where ${condition}`,
      random.pick(['stable', 'immutable']),
    ),
  )
  return { name: 'nested', columns, keys: [], arguments: [INT], is: 'rows', ways }
}

function ids(random: Random, { name }: Table): Func {
  const columns = [{ name: 'ids_of', kind: INT }]
  const more = random.pick(['', ' and x > 0', ' limit 100'])
  const ways = ['ref = $1', 'x = $1'].map((condition) =>
    create('ids_of(int) returns setof int', `select ref from ${name} where ${condition}${more}`),
  )
  return { name: 'ids_of', columns, keys: [], arguments: [REFERENCE], is: 'rows', ways }
}

function count(random: Random, { name }: Table): Func {
  const ways = ['ref = $1', 'x = $1', 'x = (select 1) and ref = $1'].map((condition) =>
    create(
      'count_of(int) returns bigint',
      random.pick([
        `select count(*) from ${name} where ${condition}`,
        `select (select count(*) from ${name} where ${condition})`,
      ]),
    ),
  )
  return { name: 'count_of', columns: [], keys: [], arguments: [REFERENCE], is: 'number', ways }
}

function value(random: Random, { name, keys }: Table): Func {
  const order = keys.join(', ')
  const ways = ['x', 'ref', 'coalesce(x, 0)'].map((column) =>
    create(
      'value_of(int) returns int',
      `select ${column} from ${name} where ref = $1 order by ${order}`,
      random.pick(['stable', 'volatile']),
    ),
  )
  return { name: 'value_of', columns: [], keys: [], arguments: [REFERENCE], is: 'number', ways }
}
