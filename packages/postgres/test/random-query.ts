import fc, { type Arbitrary, type GeneratorValue } from 'fast-check'

/*
 * Random SELECTs over three small tables, with values from so small a range that conditions often hold and changes often matter.
 * They use what the analyser understands, what it does not, and what hides rows, in any nesting.
 */

export const SCHEMA = `
  create type mood as enum ('live', 'draft');
  create table a (id int primary key, x int, y text, s mood, b_id int);
  create table b (id int primary key, x bigint, y varchar(10), a_id int, ok boolean);
  create table c (k1 int, k2 int, x int, y char(3), primary key (k1, k2));
  create view v as select a.id, a.x, b.y from a join b on b.a_id = a.id where a.s = 'live';
  create schema other;
  create table other.a (id int primary key, x int);
`

interface TableShape {
  readonly name: string
  readonly columns: Readonly<Record<string, ColumnShape>>
}
export type ColumnShape = 'key' | 'int' | 'text' | 'mood' | 'bool'

const TABLES: readonly TableShape[] = [
  { name: 'a', columns: { id: 'key', x: 'int', y: 'text', s: 'mood', b_id: 'int' } },
  { name: 'b', columns: { id: 'key', x: 'int', y: 'text', a_id: 'int', ok: 'bool' } },
  { name: 'c', columns: { k1: 'key', k2: 'key', x: 'int', y: 'text' } },
  { name: 'v', columns: { id: 'int', x: 'int', y: 'text' } },
  { name: 'other.a', columns: { id: 'key', x: 'int' } },
]

export const CHANGED = TABLES.filter(({ name }) => name !== 'v')

/** Some values more often than others, so that conditions hold. */
export const VALUES: Readonly<Record<ColumnShape, readonly (string | null)[]>> = {
  key: ['0', '1', '2', '3'],
  int: ['0', '1', '2', '1', '1', null],
  text: ['p', 'q', null],
  mood: ['live', 'draft', null],
  bool: ['t', 'f', null],
}

export interface RandomQuery {
  readonly text: string
  readonly values: readonly unknown[]
}

/** What a name in FROM offers. */
interface Item {
  readonly alias: string
  readonly columns: Readonly<Record<string, ColumnShape>>
}

export const randomQuery: Arbitrary<RandomQuery> = fc.gen().map((g) => new Writer(g).query())

class Writer {
  readonly #g: GeneratorValue
  readonly #values: unknown[] = []
  #aliases = 0
  /** Only what the analyser understands: else hardly anything is exact. */
  readonly #isPlain: boolean

  constructor(g: GeneratorValue) {
    this.#g = g
    this.#isPlain = this.#chance(2)
  }

  query(): RandomQuery {
    const text = this.#isPlain
      ? this.#select([], 0).text
      : this.#chance(8)
        ? this.#withCte()
        : this.#chance(10)
          ? this.#union()
          : this.#select([], 0).text
    return { text, values: this.#values }
  }

  #withCte(): string {
    const name = this.#pick(['t', 'a', 'b'])
    const inner = this.#select([], 1)
    const columns = Object.keys(inner.columns)
    return `with ${name} as (${inner.text}) select * from ${name} ${this.#chance(2) ? `where ${this.#condition([{ alias: name, columns: inner.columns }], 1)}` : ''} limit ${columns.length + 50}`
  }

  #union(): string {
    const arm = (): string => {
      const { item, text } = this.#tables([], 0)
      return `select ${this.#column(item, 'int')} from ${text} where ${this.#condition(item, 0)}`
    }
    return `${arm()} ${this.#pick(['union', 'union all', 'except', 'intersect'])} ${arm()}`
  }

  #select(outer: readonly Item[], depth: number): { text: string; columns: Readonly<Record<string, ColumnShape>> } {
    const { item, text: from } = this.#tables(outer, depth)
    const scope = [...item, ...outer]
    const where = this.#chance(this.#isPlain ? 20 : 5) ? '' : ` where ${this.#condition(scope, depth)}`
    const kind =
      depth === 0 ? this.#pick(['rows', 'rows', 'rows', 'rows', 'aggregate', 'group', 'distinct', 'window']) : 'rows'
    if (kind === 'aggregate') {
      const sub = this.#chance(3) ? `, ${this.#scalar(outer, depth)}` : ''
      return {
        text: `select ${this.#pick(['count(*)', `max(${this.#column(item, 'int')})`])}${sub} from ${from}${where}`,
        columns: {},
      }
    }
    if (kind === 'group') {
      const by = this.#column(item, 'int')
      return {
        text: `select ${by}, count(*) from ${from}${where} group by ${by}${this.#chance(3) ? ' having count(*) > 1' : ''}`,
        columns: {},
      }
    }
    const columns: Record<string, ColumnShape> = {}
    const list = item.flatMap(({ alias, columns: own }) =>
      Object.entries(own).flatMap(([name, shape]) => {
        if (!this.#chance(shape === 'key' ? 8 : 2, true)) return []
        const as = `${alias}_${name}`
        columns[as] = shape === 'key' ? 'int' : shape
        return [`${alias}.${name} as ${as}`]
      }),
    )
    if (!this.#isPlain && this.#chance(4)) list.push(`${this.#scalar(scope, depth)} as sub${++this.#aliases}`)
    if (list.length === 0) list.push('1 as one')
    if (kind === 'window') list.push('count(*) over () as w')
    // An order that is total, so that LIMIT has one answer.
    const order = list.map((_, index) => index + 1).join(', ')
    const limit =
      depth < 2 && this.#chance(3)
        ? ` order by ${order} limit ${this.#pick([1, 2, 3])}${this.#chance(3) ? ' offset 1' : ''}`
        : ''
    return {
      text: `select ${kind === 'distinct' ? 'distinct ' : ''}${list.join(', ')} from ${from}${where}${limit}`,
      columns,
    }
  }

  #tables(outer: readonly Item[], depth: number): { item: Item[]; text: string } {
    const first = this.#table(outer, depth)
    const item = [first.item]
    let text = first.text
    const more = this.#pick(depth === 0 ? [0, 0, 1, 1, 2] : [0, 0, 0, 1])
    for (let i = 0; i < more; i++) {
      const isLateral = this.#chance(8)
      const next = isLateral ? this.#lateral([...item, ...outer], depth) : this.#table(outer, depth)
      const kind = this.#pick(['comma', 'join', 'join', 'left join', 'right join', 'full join', 'using', 'left using'])
      if (kind === 'comma') text = `${text} cross join ${next.text}`
      else if (
        kind.endsWith('using') &&
        !isLateral &&
        'x' in next.item.columns &&
        item.length === 1 &&
        'x' in item[0]!.columns
      ) {
        text = `${text} ${kind === 'using' ? 'join' : 'left join'} ${next.text} using (x)`
      } else {
        const both = [...item, next.item]
        const join = isLateral ? this.#pick(['join', 'left join']) : kind.endsWith('join') ? kind : 'join'
        // A full join needs a condition that can be merged or hashed.
        const on =
          join === 'full join'
            ? `${this.#column(item, 'int')} = ${this.#column([next.item], 'int')}`
            : this.#pick([0, 1]) === 0
              ? `${this.#column(item, 'int')} = ${this.#column([next.item], 'int')}`
              : this.#condition(both, depth + 1)
        text = `${text} ${join} ${next.text} on ${on}`
      }
      item.push(next.item)
    }
    return { item, text }
  }

  #table(outer: readonly Item[], depth: number): { item: Item; text: string } {
    const alias = `t${++this.#aliases}`
    if (depth < 2 && !this.#isPlain && this.#chance(8)) {
      const inner = this.#select(outer.slice(0, 0), depth + 1)
      return { item: { alias, columns: inner.columns }, text: `(${inner.text}) ${alias}` }
    }
    const table = this.#pick(this.#isPlain ? CHANGED : TABLES)
    return { item: { alias, columns: table.columns }, text: `${table.name} ${alias}` }
  }

  #lateral(before: readonly Item[], depth: number): { item: Item; text: string } {
    const alias = `t${++this.#aliases}`
    const table = this.#pick(TABLES)
    const inner: Item = { alias: `t${++this.#aliases}`, columns: table.columns }
    const where = this.#condition([inner, ...before], depth + 1)
    return {
      item: { alias, columns: table.columns },
      text: `lateral (select * from ${table.name} ${inner.alias} where ${where}) ${alias}`,
    }
  }

  #condition(scope: readonly Item[], depth: number): string {
    const plain = ['eq', 'eq', 'eq', 'and', 'and', 'or', 'in', 'any', 'null', 'bool', 'row']
    const kind = this.#pick(
      this.#isPlain
        ? plain
        : [
            'eq',
            'eq',
            'eq',
            'and',
            'and',
            'or',
            'join',
            'in',
            'any',
            'null',
            'notnull',
            'not',
            'range',
            'sub',
            'bool',
            'row',
            'distinct',
          ],
    )
    switch (kind) {
      case 'and':
      case 'or':
        return depth > 3
          ? this.#equal(scope)
          : `(${this.#condition(scope, depth + 1)} ${kind} ${this.#condition(scope, depth + 1)})`
      case 'not':
        return `not (${this.#condition(scope, depth + 1)})`
      case 'join':
        return `${this.#column(scope, 'int')} = ${this.#column(scope, 'int')}`
      case 'in':
        return `${this.#column(scope, 'int')} in (${this.#value('int')}, ${this.#value('int')})`
      case 'any': {
        this.#values.push([this.#pick(VALUES.int), this.#pick(VALUES.int)])
        return `${this.#column(scope, 'int')} = any($${this.#values.length}::int[])`
      }
      case 'null':
        return `${this.#column(scope)} is null`
      case 'notnull':
        return `${this.#column(scope)} is not null`
      case 'range':
        return `${this.#column(scope, 'int')} > ${this.#value('int')}`
      case 'row':
        return `(${this.#column(scope, 'int')}, ${this.#column(scope, 'int')}) = (${this.#value('int')}, ${this.#value('int')})`
      case 'bool':
        return this.#boolean(scope)
      case 'distinct':
        return `${this.#column(scope, 'int')} is not distinct from ${this.#value('int')}`
      case 'sub':
        return depth > 1 ? this.#equal(scope) : this.#sublink(scope, depth)
      default:
        return this.#equal(scope)
    }
  }

  #boolean(scope: readonly Item[]): string {
    const column = this.#columnOrNone(scope, 'bool')
    return column ? this.#pick([column, `not ${column}`, `${column} is true`, `${column} is not true`]) : 'true'
  }

  #sublink(scope: readonly Item[], depth: number): string {
    const inner = this.#tables(scope, depth + 1)
    const where = this.#condition([...inner.item, ...scope], depth + 1)
    const not = this.#chance(3) ? 'not ' : ''
    if (this.#chance(2)) return `${not}exists (select from ${inner.text} where ${where})`
    return `${this.#column(scope, 'int')} ${not}in (select ${this.#column(inner.item, 'int')} from ${inner.text} where ${where})`
  }

  #scalar(scope: readonly Item[], depth: number): string {
    if (depth > 1) return '1'
    const inner = this.#tables(scope, depth + 1)
    const counted = this.#chance(2) ? '*' : this.#column([...inner.item, ...inner.item, ...scope], 'int')
    return `(select count(${this.#chance(6) ? '*' : counted}) from ${inner.text} where ${this.#condition([...inner.item, ...scope], depth + 1)})`
  }

  #equal(scope: readonly Item[]): string {
    const shape = this.#pick<ColumnShape>(['int', 'int', 'int', 'text', 'mood'])
    const column = this.#columnOrNone(scope, shape)
    if (!column) return `${this.#column(scope, 'int')} = ${this.#value('int')}`
    return this.#chance(4) ? `${this.#value(shape)} = ${column}` : `${column} = ${this.#value(shape)}`
  }

  /** A parameter or a constant. */
  #value(shape: ColumnShape): string {
    const value = this.#pick(VALUES[shape])
    const cast = { key: 'int', int: 'int', text: 'text', mood: 'mood', bool: 'bool' }[shape]
    if (this.#chance(2)) {
      this.#values.push(value)
      return `$${this.#values.length}::${cast}`
    }
    if (value === null) return `null::${cast}`
    return shape === 'int' || shape === 'key' ? value : `'${value}'`
  }

  #column(scope: readonly Item[], shape?: ColumnShape): string {
    return this.#columnOrNone(scope, shape) ?? this.#anyInt(scope)
  }

  #columnOrNone(scope: readonly Item[], shape?: ColumnShape): string | undefined {
    const all = scope.flatMap(({ alias, columns }) =>
      Object.entries(columns).flatMap(([name, own]) =>
        shape === undefined || own === shape || (shape === 'int' && own === 'key') ? [`${alias}.${name}`] : [],
      ),
    )
    return all.length > 0 ? this.#pick(all) : undefined
  }

  #anyInt(scope: readonly Item[]): string {
    return this.#columnOrNone(scope, 'int') ?? '1'
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#g(fc.nat, { max: from.length - 1 })]!
  }

  /** True once in `n` times; or, reversed, all but once. */
  #chance(n: number, isReversed = false): boolean {
    return (this.#g(fc.nat, { max: n - 1 }) === 0) !== isReversed
  }
}
