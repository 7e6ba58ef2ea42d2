import { assignments } from './changes.js'
import { bound, where } from './conditions.js'
import { type Fragment, list, orElse, raw, sql } from './fragment.js'
import type { Random } from './random.js'
import { type Column, MORE_IDS, rowsOf, type Schema, type Table } from './schema.js'
import { type Item, isInteger, type Writing } from './scope.js'
import { selectList } from './select.js'
import { update, type Write } from './writes.js'

/** A column of one of the tables that are joined. */
interface End {
  readonly alias: string
  readonly table: string
  readonly column: string
}

/** Columns that a join makes equal. */
export type Link = readonly [End, End]

export interface Linked {
  readonly fragment: Fragment
  readonly links: readonly Link[]
}

/** Three tables and more that are joined in a row, a star or a circle, and bounded loosely: a row of each is often alone. */
export function linkedSelect(writing: Writing): Linked {
  const { random, schema } = writing
  writing.note('join')
  const items: Item[] = []
  const links: Link[] = []
  const shape = random.weighted({ row: 3, star: 1, circle: 1.5 })
  const count = random.chance(0.75) ? 3 : 4
  let text: Fragment = raw('')
  for (let i = 0; i < count; i++) {
    const unused = schema.tables.filter(({ name }) => !items.some(({ relation }) => relation === name))
    const table = random.pick(unused.length > 0 && random.chance(0.85) ? unused : schema.tables)
    const item = writing.item(table)
    const named = raw(`${table.name} ${item.alias}`)
    if (i === 0) text = named
    else {
      const own = [link(random, shape === 'star' ? random.pick(items) : items.at(-1)!, item)]
      if (shape === 'circle' && i === count - 1) own.push(link(random, item, items[0]!))
      const conditions: Fragment[] = own.map(([left, right]) =>
        raw(`${left.alias}.${left.column} = ${right.alias}.${right.column}`),
      )
      if (random.chance(0.2)) conditions.push(loose(writing, item))
      const kind = random.weighted({ join: 6, 'left join': 1 })
      if (kind !== 'join') writing.note('outer-join')
      text = orElse(sql`${text} ${kind} ${named} on ${list(conditions, ' and ')}`, text)
      links.push(...own)
    }
    items.push(item)
  }
  const conditions = random.some(items, 0.6).map((item) => loose(writing, item))
  const keys = items.flatMap(({ alias, keys }) => keys.map((key) => raw(`${alias}.${key}`)))
  const shown = random.weighted({ keys: 5, some: 3, count: 1 })
  if (shown === 'count') writing.note('aggregate')
  const columns =
    shown === 'count'
      ? raw('count(*) as n')
      : shown === 'keys' && keys.length > 0
        ? list(keys, ', ')
        : selectList(writing, items)
  return { fragment: sql`select ${columns} from ${text}${where(conditions)}`, links }
}

function link(random: Random, from: Item, to: Item): Link {
  return [endOf(random, from), endOf(random, to)]
}

function endOf(random: Random, { alias, relation, columns }: Item): End {
  const integers = columns.filter((column) => isInteger(column) && column.name !== 'u').map(({ name }) => name)
  const usual = integers.filter((name) => ['id', 'ref', 'x'].includes(name))
  return { alias, table: relation!, column: random.pick(random.chance(0.85) ? usual : integers) }
}

/** What most rows meet. */
function loose(writing: Writing, item: Item): Fragment {
  const { random } = writing
  const x = `${item.alias}.x`
  const usual = [`${x} >= 0`, `${x} > 0`, `${x} < 5`, `${x} is not null`, `${x} <> 3`, `${x} in (0, 1, 2, 4)`]
  return random.chance(0.7) ? orElse(raw(random.pick(usual)), raw('true')) : bound(writing, [item])
}

/**
 * Rows of tables that are joined come one after the other, in any order, some of them without a partner that they are led to later.
 *
 * @returns what is written together
 */
export function randomStory(random: Random, schema: Schema, links: readonly Link[]): Write[][] {
  const writes = (random.chance(0.6) ? ledOn(random, schema, links) : undefined) ?? anyOrder(random, schema, links)
  return grouped(random, writes)
}

/** A row comes, then its partner, which has none itself; then this one is led to a row that is there. */
function ledOn(random: Random, { tables }: Schema, links: readonly Link[]): Write[] | undefined {
  const both = links.flatMap((link) => [link, [link[1], link[0]] as const])
  const ways = both.flatMap(([first, to]) =>
    both.flatMap(([from, last]) =>
      to.alias === from.alias && to.column !== from.column && last.alias !== first.alias
        ? [{ first, to, from, last }]
        : [],
    ),
  )
  if (ways.length === 0) return undefined
  const { first, to, from, last } = random.pick(ways)
  const [one, two] = [first, to].map((end) => tables.find(({ name }) => name === end.table))
  if (!one || !two || !has(one, first) || !has(two, to) || !has(two, from)) return undefined
  const value = sharedValue(random, [column(one, first), column(two, to)])
  const numberOf = ({ column }: End): number => (column === 'id' ? value : numberOfRow(random, 0.1))
  const [oneNumber, twoNumber] = [numberOf(first), numberOf(to)]
  const leads = existing(random, last)
  const writes = [
    placed(random, one, oneNumber, new Map([[first.column, String(value)]])),
    placed(
      random,
      two,
      twoNumber,
      new Map([
        [to.column, String(value)],
        [from.column, away(random, column(two, from))],
      ]),
    ),
    update(two.name, [`${from.column} = ${leads}`], keyed(two, twoNumber)),
  ]
  return random.chance(0.75) ? writes : shuffled(random, writes)
}

function anyOrder(random: Random, { tables }: Schema, links: readonly Link[]): Write[] {
  const writes: Write[] = []
  for (const { table, number, values } of shuffled(random, rowsAt(random, tables, links))) {
    // Without the column that it is known by: that stays.
    const missed = [...values].filter(([name]) => !table.keys.includes(name) && random.chance(0.4))
    const first = new Map([
      ...values,
      ...missed.map(([name]) => [name, away(random, table.columns.find((each) => each.name === name)!)] as const),
    ])
    const at = random.below(writes.length + 1)
    writes.splice(at, 0, placed(random, table, number, first))
    const later = (write: Write): unknown => writes.splice(at + 1 + random.below(writes.length - at), 0, write)
    for (const [name, value] of missed) {
      const other = otherEnd(random, links, table.name, name)
      const to = other && random.chance(0.4) ? existing(random, other) : value
      later(update(table.name, [`${name} = ${to}`], keyed(table, number)))
    }
    if (random.chance(0.3)) later(update(table.name, assignments(random, table), keyed(table, number)))
  }
  return writes
}

interface Row {
  readonly table: Table
  readonly number: number
  /** By column, what its links make it equal to. */
  readonly values: Map<string, string>
}

/** A row for each table that is joined, and the values by which they belong together. */
function rowsAt(random: Random, tables: readonly Table[], links: readonly Link[]): Row[] {
  const rows = new Map<string, Row>()
  for (const ends of links) {
    const known = ends.find(({ alias, column }) => column === 'id' && rows.has(alias))
    const columns = ends.flatMap(({ table, column }) =>
      tables.flatMap(({ name, columns }) => (name === table ? columns.filter((each) => each.name === column) : [])),
    )
    const value = known ? rows.get(known.alias)!.number : sharedValue(random, columns)
    for (const { alias, table: name, column } of ends) {
      const table = tables.find((each) => each.name === name)
      if (!table || !has(table, { column })) continue
      const number = column === 'id' ? value : numberOfRow(random, 0.5)
      const row = rows.get(alias) ?? { table, number, values: new Map<string, string>() }
      row.values.set(column, String(value))
      rows.set(alias, row)
    }
  }
  return [...rows.values()]
}

/** Values from here on no row has at first. */
const FRESH = 30
const AWAY = 40

function has({ columns }: Table, { column }: Pick<End, 'column'>): boolean {
  return columns.some(({ name }) => name === column)
}

function column({ columns }: Table, end: End): Column {
  return columns.find(({ name }) => name === end.column)!
}

/** What columns are made equal by: mostly new to them, where no foreign key forbids it. */
function sharedValue(random: Random, columns: readonly Column[]): number {
  const isFree = columns.every(({ refersTo }) => refersTo === undefined)
  return isFree && random.chance(0.8) ? FRESH + random.below(6) : random.below(16)
}

/** Of a row that is there, or was, or of one that mostly was not. */
function numberOfRow(random: Random, isOld: number): number {
  return random.chance(isOld) ? random.below(MORE_IDS) : MORE_IDS + random.below(40)
}

/** What no row has in the column that it is joined to. */
function away(random: Random, { refersTo }: Column): string {
  return refersTo === undefined ? String(AWAY + random.below(5)) : 'null'
}

/** A value that the column has in some row. */
function existing(random: Random, { table, column }: End): string {
  return `(select ${column} from ${table} where ${column} is not null order by 1 limit 1 offset ${random.below(6)})`
}

function otherEnd(random: Random, links: readonly Link[], table: string, column: string): End | undefined {
  const others = links.flatMap(([left, right]) =>
    left.table === table && left.column === column
      ? [right]
      : right.table === table && right.column === column
        ? [left]
        : [],
  )
  return others.length > 0 ? random.pick(others) : undefined
}

/** Inserted; where it is there, its links are set. */
function placed(random: Random, table: Table, number: number, values: ReadonlyMap<string, string>): Write {
  const set = [...values.keys()].filter((name) => !table.keys.includes(name) && name !== 'id')
  const rest =
    table.keys.length > 0 && set.length > 0
      ? ` on conflict (${table.keys.join(', ')}) do update set ${set.map((name) => `${name} = excluded.${name}`).join(', ')}`
      : ' on conflict do nothing'
  const write = rowsOf(random, table, [number], rest)
  if (write.kind !== 'rows') return write
  const rows = write.rows.map((row) =>
    row.map((value, index) => {
      const name = write.columns[index]!
      return set.includes(name) ? values.get(name)! : value
    }),
  )
  return { ...write, rows }
}

function keyed(table: Table, number: number): string {
  const names = table.keys.length > 0 ? table.keys : ['id']
  const key = table.keyOf(number)
  return names.map((name, index) => `${name} = ${key[index]}`).join(' and ')
}

/** Each by itself, all together, or some of them. */
function grouped(random: Random, writes: readonly Write[]): Write[][] {
  const form = random.weighted({ each: 4, some: 3, all: 1 })
  if (form === 'all') return [[...writes]]
  const groups: Write[][] = []
  for (const write of writes) {
    const last = groups.at(-1)
    if (last && form === 'some' && random.chance(0.5)) last.push(write)
    else groups.push([write])
  }
  return groups
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((left, right) => left.at - right.at)
    .map(({ item }) => item)
}
