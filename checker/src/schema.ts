import { createFunctions, type Func, randomFunctions } from './functions.js'
import { BIG, COMMON, INT, type Kind, literal, ODD, REFERENCE, TEXT, TYPES } from './kinds.js'
import type { Random } from './random.js'
import { statement, type Write } from './writes.js'

export type Identity = 'default' | 'full' | 'index' | 'nothing'
/** Which replica identities the tables of a schema have. */
export type Identities = 'full' | 'default' | 'mixed'

export interface Column {
  readonly name: string
  readonly kind: Kind
  /** The table whose id it has, where a foreign key says so. */
  readonly refersTo?: string
}

/** What stands in FROM: a table or a view. */
export interface Relation {
  readonly name: string
  readonly columns: readonly Column[]
  /** Columns by which its rows differ, if there are such. */
  readonly keys: readonly string[]
}

export interface Table extends Relation {
  readonly identity: Identity
  /** How a key is made of a number. */
  readonly keyOf: (number: number) => readonly string[]
  readonly partitions: readonly string[]
}

export interface Schema {
  readonly tables: Table[]
  readonly views: Relation[]
  readonly functions: readonly Func[]
  readonly setup: readonly Write[]
}

/** Ids of rows; some more may be inserted than there are at first. */
export const IDS = 16
export const MORE_IDS = 22

const names = ['a', 'b', 'c', '"Odd one"', 'other.d', 'e']

/** @param hasKeys  tables refer to the first one by foreign keys, and their rows to rows that exist */
export function randomSchema(random: Random, identities: Identities, hasKeys: boolean): Schema {
  const count = 3 + random.below(2)
  const newTable = (...[name, index]: [string, number]): Table => {
    const table = randomTable(random, name, identities, index)
    return hasKeys && index > 0 ? { ...table, columns: table.columns.map(keyed) } : table
  }
  const tables = names.slice(0, count).map((name, index) => newTable(name, index))
  const setup = ['create schema other', ...TYPES].map(statement)
  for (const table of tables) setup.push(...createTable(random, table))
  if (random.chance(0.5)) {
    const partitioned = newTable('p', 9)
    setup.push(...createPartitioned(partitioned))
    const columns = [...partitioned.columns, { name: 'part', kind: INT }]
    tables.push({ ...partitioned, ...PARTITIONED, columns })
  }
  if (random.chance(0.3)) {
    const parent = newTable('h', 9)
    const child = { ...parent, name: 'h1' }
    setup.push(...createTable(random, parent), statement('create table h1 (primary key (id)) inherits (h)'))
    setup.push(...identify(child, 'h1'))
    // A row of the child may have the id of one of the parent.
    tables.push({ ...parent, keys: [] }, child)
  }
  const functions = randomFunctions(random, tables)
  setup.push(statement('set check_function_bodies = off'), ...createFunctions(random, functions))
  if (random.chance(0.3)) setup.push(...addTrigger(random.pick(tables).name))
  const views = randomViews(random, tables)
  const made = [...setup, ...views.map(({ write }) => write)]
  return { tables, views: views.map(({ view }) => view), functions, setup: made }
}

/** A number as a table's key. */
export function randomKey(random: Random, table: Table): readonly string[] {
  return table.keyOf(random.below(MORE_IDS))
}

function keyed(column: Column): Column {
  return column.name === 'ref' ? { ...column, refersTo: names[0]! } : column
}

function randomTable(random: Random, name: string, identities: Identities, index: number): Table {
  const identity: Identity =
    identities === 'mixed'
      ? random.weighted({ full: 3, default: 4, index: 2, nothing: name === 'c' ? 1 : 0 })
      : identities
  const isSimple = index === 0 || index === 9
  const key = isSimple ? 'int' : random.weighted({ int: 8, pair: 1, text: 1, uuid: 1 })
  const columns: Column[] = {
    int: [{ name: 'id', kind: REFERENCE }],
    pair: [
      { name: 'k1', kind: REFERENCE },
      { name: 'k2', kind: INT },
    ],
    text: [{ name: 'id', kind: { ...TEXT, values: range(4).map(textKey) } }],
    uuid: [
      {
        name: 'id',
        kind: {
          ...TEXT,
          name: 'uuid key',
          type: 'uuid',
          cast: 'uuid',
          family: 'uuid' as const,
          values: range(4).map(uuidKey),
        },
      },
    ],
  }[key]
  const keys = columns.map((column) => column.name)
  if (identity === 'index') columns.push({ name: 'u', kind: BIG })
  columns.push({ name: 'ref', kind: REFERENCE }, { name: 'x', kind: INT })
  for (let i = 0; i < 2 + random.below(4); i++) {
    columns.push({
      name: random.chance(0.1) ? `"C ${i}"` : `c${i}`,
      kind: random.pick(random.chance(0.3) ? ODD : COMMON),
    })
  }
  const keyOf = {
    int: (n: number) => [String(n)],
    pair: (n: number) => [String(n >> 1), String(n & 1)],
    text: (n: number) => [`'${textKey(n)}'`],
    uuid: (n: number) => [`'${uuidKey(n)}'`],
  }[key]
  return { name, columns, keys, identity, keyOf, partitions: [] }
}

const range = (count: number): number[] => [...Array(count).keys()]
const textKey = (n: number): string => `k${n}`
const uuidKey = (n: number): string => `00000000-0000-4000-9000-0000000000${String(n).padStart(2, '0')}`

function createTable(random: Random, table: Table): Write[] {
  const columns = table.columns.map(({ name, kind }) => ({
    name,
    definition: `${kind.type}${name === 'u' ? ' not null' : ''}`,
  }))
  if (table.identity !== 'full' && random.chance(0.1))
    columns.push({ name: 'twice', definition: 'int generated always as (x * 2) stored' })
  const write: Write = {
    kind: 'create',
    table: table.name,
    columns,
    constraints: [`primary key (${table.keys.join(', ')})`, ...foreignKeys(table)],
    rest: '',
  }
  return [write, ...identify(table, table.name)]
}

function foreignKeys({ name, columns }: Table): string[] {
  const gone = name.length % 2 === 0 ? 'set null' : 'cascade'
  return columns.flatMap((column) =>
    column.refersTo === undefined
      ? []
      : [`foreign key (${column.name}) references ${column.refersTo} (id) on update cascade on delete ${gone}`],
  )
}

/** How writes and conditions see the partitioned table: its key has the column that it is divided by. */
const PARTITIONED = {
  keys: ['id', 'part'],
  keyOf: (n: number): readonly string[] => [String(n), String(n % 4)],
  partitions: ['p0', 'p1', 'p1a', 'p1b', 'p2'],
}

function createPartitioned(table: Table): Write[] {
  const columns = table.columns.map(({ name, kind }) => ({ name, definition: kind.type }))
  columns.push({ name: 'part', definition: 'int not null' })
  const create: Write = {
    kind: 'create',
    table: table.name,
    columns,
    constraints: ['primary key (id, part)', ...foreignKeys(table)],
    rest: ' partition by list (part)',
  }
  const parts = [
    'create table p0 partition of p for values in (0)',
    'create table p1 partition of p for values in (1, 2) partition by list (part)',
    'create table p1a partition of p1 for values in (1)',
    'create table p1b partition of p1 for values in (2)',
    'create table p2 partition of p default',
  ]
  return [create, ...parts.map(statement), ...['p', ...PARTITIONED.partitions].flatMap((name) => identify(table, name))]
}

function identify({ identity, columns }: Table, name: string): Write[] {
  switch (identity) {
    case 'default':
      return []
    case 'index': {
      if (!columns.some((column) => column.name === 'u') || name.startsWith('p')) return []
      const index = `${name.replace(/\W/g, '_')}_u`
      return [
        statement(`create unique index ${index} on ${name} (u)`),
        statement(`alter table ${name} replica identity using index ${index}`),
      ]
    }
    default:
      return [statement(`alter table ${name} replica identity ${identity}`)]
  }
}

/** The first rows of a table. */
export function firstRows(random: Random, table: Table): Write {
  const numbers = range(IDS).filter(() => random.chance(0.75))
  return rowsOf(random, table, numbers, '')
}

export function rowsOf(random: Random, table: Table, numbers: readonly number[], rest: string): Write {
  const columns = table.columns.map(({ name }) => name)
  const rows = numbers.map((number) => {
    const key = table.keyOf(number)
    return columns.map((name) => {
      const place = table.keys.length > 0 ? table.keys.indexOf(name) : name === 'id' ? 0 : -1
      if (place >= 0) return key[place]!
      return name === 'u'
        ? String(number + 100)
        : randomValue(random, table.columns.find((column) => column.name === name)!)
    })
  })
  return { kind: 'rows', table: table.name, columns, rows, rest }
}

/** A literal for a column, or the id of a row that there is; NULL now and then. */
export function randomValue(random: Random, { kind, name, refersTo }: Column): string {
  if (name === 'u') return String(100 + random.below(MORE_IDS))
  const value = literal(random.chance(0.12) ? null : random.pick(kind.values))
  return refersTo === undefined ? value : `(select id from ${refersTo} where id >= ${value} order by id limit 1)`
}

/** A write of a function that no statement names. */
function addTrigger(table: string): Write[] {
  const body = 'begin update a set x = (coalesce(x, 0) + 1) % 5 where id = coalesce(new.x, old.x, 0); return null; end'
  return [
    statement(`create function touch_a() returns trigger language plpgsql as '${body}'`),
    statement(`create trigger touching after update of ref on ${table} for each row execute function touch_a()`),
  ]
}

function randomViews(random: Random, tables: readonly Table[]): { view: Relation; write: Write }[] {
  const [first, second] = [random.pick(tables), random.pick(tables)]
  const barrier = random.chance(0.3) ? ' with (security_barrier)' : ''
  const plain = { name: 'v1', columns: first.columns, keys: first.keys }
  const filter = first.columns.find(({ name }) => name.startsWith('c')) ?? first.columns.at(-1)!
  const value = random.pick(filter.kind.values)
  const wheres = [
    `where x > 0`,
    `where ${filter.name} is not null`,
    `where ${filter.name} = ${literal(value)}::${filter.kind.cast}`,
    '',
  ]
  const plainText = `select ${first.columns.map(({ name }) => name).join(', ')} from ${first.name} ${random.pick(wheres)}`
  const joined = {
    name: 'v2',
    columns: [
      ...first.columns.slice(0, 3).map(({ name, kind }) => ({ name: `${bare(name)}_l`, kind })),
      ...second.columns.slice(0, 3).map(({ name, kind }) => ({ name: `${bare(name)}_r`, kind })),
    ],
    keys: [],
  }
  const sides = [
    ...first.columns.slice(0, 3).map(({ name }) => `l.${name} as ${bare(name)}_l`),
    ...second.columns.slice(0, 3).map(({ name }) => `r.${name} as ${bare(name)}_r`),
  ]
  const join = random.pick(['join', 'join', 'left join'])
  const joinedText = `select ${sides.join(', ')} from ${first.name} l ${join} ${second.name} r on r.x = l.x`
  const grouped = {
    name: 'v3',
    columns: [
      { name: 'x', kind: INT },
      { name: 'n', kind: BIG },
    ],
    keys: ['x'],
  }
  const groupedText = `select x, count(*) as n from ${second.name} group by x`
  return [
    { view: plain, write: statement(`create view v1${barrier} as ${plainText}`) },
    { view: joined, write: statement(`create view v2 as ${joinedText}`) },
    { view: grouped, write: statement(`create view v3 as ${groupedText}`) },
  ]
}

export function bare(name: string): string {
  return name.replace(/\W/g, '_')
}
