import fc, { type Arbitrary, type GeneratorValue } from 'fast-check'
import type { RandomQuery } from './random-query.js'

/*
 * Random SELECTs of the shapes that the analyser bounds, each around one rule of it: where a condition of ON counts, when an answer
 * hides rows, what a name means. Integers only, of a small range, so that a rule that is wrong soon shows.
 */

const TABLES: Readonly<Record<string, readonly string[]>> = {
  a: ['id', 'x', 'b_id'],
  b: ['id', 'x', 'a_id'],
  c: ['k1', 'k2', 'x'],
  'other.a': ['id', 'x'],
}

export const focusedQuery: Arbitrary<RandomQuery> = fc.gen().map((g) => new Shapes(g).query())

interface Item {
  readonly alias: string
  readonly table: string
}

class Shapes {
  readonly #g: GeneratorValue
  readonly #values: unknown[] = []
  #aliases = 0

  constructor(g: GeneratorValue) {
    this.#g = g
  }

  query(): RandomQuery {
    const shapes = [
      this.#joined,
      this.#joined,
      this.#nestedJoin,
      this.#using,
      this.#plain,
      this.#plain,
      this.#antiJoin,
      this.#antiJoin,
      this.#hiding,
      this.#hiding,
    ]
    shapes.push(
      this.#subquery,
      this.#subquery,
      this.#outerAggregate,
      this.#setOperation,
      this.#cte,
      this.#derived,
      this.#lateral,
      this.#chained,
      this.#chained,
      this.#inside,
      this.#inside,
    )
    // Some of what was written was not taken: its parameters are left out.
    const values: unknown[] = []
    const text = this.#pick(shapes)
      .call(this)
      .replace(/\$(\d+)/g, (_, number) => {
        values.push(this.#values[Number(number) - 1])
        return `$${values.length}`
      })
    return { text, values }
  }

  #joined(): string {
    const [left, right] = [this.#item(), this.#item()]
    const both = [left, right]
    const kind = this.#pick(['join', 'left join', 'right join', 'full join'])
    const on = [this.#same(left, right)]
    // A full join needs conditions that can be merged or hashed.
    if (kind !== 'full join' && this.#chance(2))
      on.push(this.#pick([this.#same(left, right), this.#bound(left), this.#bound(right)]))
    const join = `${this.#from(left)} ${kind} ${this.#from(right)} on ${on.join(' and ')}`
    return `select ${this.#list(both)} from ${join} ${this.#where(both)} ${this.#limit()}`
  }

  /** Rows without a partner: what takes a partner away is in no answer. */
  #antiJoin(): string {
    const [one, other] = [this.#item(), this.#item()]
    const on = `${this.#same(one, other)}${this.#pick(['', ` and ${this.#bound(other)}`, ` and ${this.#bound(other)}`])}`
    const join = this.#pick([
      `${this.#from(one)} left join ${this.#from(other)} on ${on}`,
      `${this.#from(other)} right join ${this.#from(one)} on ${on}`,
    ])
    const and = this.#pick(['', ` and ${this.#bound(one)}`])
    return `select ${this.#list([one, other])} from ${join} where ${this.#column(other)} is null${and}`
  }

  /** Rows that are skipped, or only counted, matter without being in the answer. */
  #hiding(): string {
    const item = this.#item()
    const from = `from ${this.#from(item)} where ${this.#bound(item)}`
    const all = `${item.alias}.*`
    return this.#pick([
      `select ${all} ${from} order by 1, 2 offset 1`,
      `select ${all} ${from} order by 1, 2 offset 1 limit 1`,
      `with q as (select * ${from}) select * from q order by 1, 2 offset 1`,
      `select * from (select * ${from}) q order by 1, 2 offset 1`,
      `select ${all}, count(*) over () ${from} order by 1, 2 limit 1`,
      `select count(*) ${from}`,
    ])
  }

  #nestedJoin(): string {
    const [one, two, three] = [this.#item(), this.#item(), this.#item()]
    const [outer, inner] = [
      this.#pick(['join', 'left join', 'right join']),
      this.#pick(['join', 'left join', 'right join']),
    ]
    const on = (left: Item, right: Item): string =>
      this.#pick([this.#same(left, right), `${this.#same(left, right)} and ${this.#bound(right)}`])
    const nested = this.#chance(2)
      ? `${this.#from(one)} ${outer} (${this.#from(two)} ${inner} ${this.#from(three)} on ${on(two, three)}) on ${on(one, two)}`
      : `(${this.#from(one)} ${inner} ${this.#from(two)} on ${on(one, two)}) ${outer} ${this.#from(three)} on ${on(two, three)}`
    return `select ${this.#list([one, two, three])} from ${nested} ${this.#where([one, two, three])}`
  }

  #using(): string {
    const [left, right] = [this.#item(), this.#item()]
    const kind = this.#pick(['join', 'left join', 'right join', 'full join'])
    const test = this.#pick([`x = ${this.#value()}`, 'x is null', `${left.alias}.x = ${this.#value()}`])
    const join =
      this.#chance(4) && left.table.endsWith('a') && right.table.endsWith('a')
        ? `natural ${kind} ${this.#from(right)}`
        : `${kind} ${this.#from(right)} using (x)`
    return `select ${this.#list([left, right])} from ${this.#from(left)} ${join} where ${test}`
  }

  #plain(): string {
    const item = this.#item()
    const [column, where] = [this.#column(item), this.#where([item])]
    const from = `from ${this.#from(item)} ${where}`
    const all = this.#list([item])
    return this.#pick([
      `select ${all} ${from} ${this.#limit()}`,
      `select ${all} ${from} ${this.#limit()}`,
      `select ${all} ${from} order by ${all} offset 1 limit 2`,
      `select count(*) ${from}`,
      `select max(${column}) ${from}`,
      `select ${column}, count(*) ${from} group by 1`,
      `select ${column} ${from} group by 1 having count(*) > 1`,
      `select distinct ${column} ${from}`,
      `select distinct on (${column}) ${all} ${from} order by ${column}, ${all}`,
      `select ${all}, count(*) over (partition by ${column}) ${from}`,
      `select array(select ${column} ${from} order by 1)`,
    ])
  }

  #subquery(): string {
    const [outer, inner] = [this.#item(), this.#item()]
    const tests = [this.#same(inner, outer), this.#bound(inner)].slice(this.#pick([0, 0, 1]))
    const from = `from ${this.#from(inner)} where ${tests.join(' and ')}`
    const [own, its] = [this.#column(outer), this.#column(inner)]
    const not = this.#pick(['', 'not '])
    const head = `select ${this.#list([outer])}`
    const rest = `from ${this.#from(outer)} where ${this.#bound(outer)}`
    const and = this.#pick(['and', 'and', 'or'])
    return this.#pick([
      `${head}, (select count(*) ${from}) ${rest}`,
      `${head}, (select max(${its}) ${from}) ${rest}`,
      `${head} ${rest} ${and} ${not}exists (select ${from})`,
      `${head} ${rest} ${and} ${own} ${not}in (select ${its} ${from})`,
      `${head} ${rest} ${and} ${own} = (select max(${its}) ${from})`,
      `select count(*), (select count(*) from ${this.#from(inner)} where ${this.#bound(inner)}) ${rest}`,
    ])
  }

  /** An aggregate of the outer SELECT inside the inner one: the outer answers even without rows. */
  #outerAggregate(): string {
    const [outer, inner] = [this.#item(), this.#item()]
    const value = this.#value()
    return this.#pick([
      `select (select count(${this.#column(outer)}) from ${this.#from(inner)} where ${this.#bound(inner)} limit 1) from ${this.#from(outer)} where ${this.#bound(outer)}`,
      `select (select max(${this.#column(inner)}) from ${this.#from(inner)} where ${inner.alias}.x = ${value}), count(*) from ${this.#from(outer)} where ${outer.alias}.x = ${value} and ${this.#bound(outer)}`,
    ])
  }

  #setOperation(): string {
    const arm = (): string => {
      const item = this.#item()
      return `select ${this.#column(item)} from ${this.#from(item)} where ${this.#bound(item)}`
    }
    return `${arm()} ${this.#pick(['union', 'union all', 'except', 'except all', 'intersect'])} ${arm()}`
  }

  #cte(): string {
    const item = this.#item()
    const test = this.#bound({ ...item, alias: item.table })
    const name = item.table
    if (name.includes('.')) return this.#plain()
    return this.#pick([
      `with ${name} as (select * from ${name} where ${test}) select * from ${name}`,
      `with q as (select * from ${name} where ${test}), ${name} as (select * from q) select * from ${name}`,
      `with q as (select * from ${name}), ${name} as (select * from other.a) select q.* from q where ${this.#bound({ ...item, alias: 'q' })}`,
      `with recursive ${name} as (select 1 as x union select x + 1 from ${name} where x < 3) select * from ${name}`,
      `select * from ${name} where ${test} and exists (with ${name} as (select 1) select from ${name})`,
      `with q as (select * from ${name} where ${test}) select * from q order by 1, 2 offset 1`,
      `with q as (select * from ${name} where ${test}) select * from q where ${this.#bound({ ...item, alias: 'q' })} limit 1`,
      `with q as (select count(*) as n from ${name} where ${test}) select n from q`,
    ])
  }

  #derived(): string {
    const [item, other] = [this.#item(), this.#item()]
    const inner = `(select * from ${this.#from(item)} where ${this.#bound(item)} ${this.#pick(['', 'order by 1, 2 limit 1', 'order by 1, 2 offset 1'])})`
    const d = { alias: 'd', table: item.table }
    return this.#pick([
      `select * from ${inner} d`,
      `select * from ${inner} d order by 1, 2 offset 1`,
      `select ${this.#list([other])}, d.* from ${this.#from(other)} left join ${inner} d on ${this.#same(d, other)} where d.x is null`,
      `select d.*, ${this.#list([other])} from ${inner} d join ${this.#from(other)} on ${this.#same(d, other)} where ${this.#bound(other)}`,
      `select count(*) from ${inner} d where ${this.#bound(d)}`,
      `select v.*, ${this.#list([other])} from v join ${this.#from(other)} on v.x = ${this.#column(other)} where ${this.#bound(other)}`,
    ])
  }

  /** Tables that only others lead to, some of them through subqueries. */
  #chained(): string {
    const [one, two, three] = [this.#item(), this.#item(), this.#item()]
    const head = `select ${this.#list([one])}`
    const bound = this.#bound(two)
    const inner = `select ${this.#column(two)} from ${this.#from(two)} where ${bound}`
    const cut = this.#pick([
      '',
      '',
      ' order by 1 limit 1',
      ' order by 1 offset 1',
      ' group by 1',
      ' order by 1 desc limit 1',
    ])
    const own = this.#column(one)
    const on = this.#pick(['true', this.#bound(one), this.#bound(three)])
    return this.#pick([
      `select ${this.#list([one, two, three])} from ${this.#from(one)} join ${this.#from(two)} on ${this.#same(one, two)} join ${this.#from(three)} on ${this.#same(two, three)} where ${this.#bound(this.#pick([one, two, three]))}`,
      `${head} from ${this.#from(one)} where ${own} in (${inner}${cut})`,
      `${head} from ${this.#from(one)} where ${own} in (${inner}${cut}) and ${this.#bound(one)}`,
      `${head} from ${this.#from(one)} where ${own} = (select max(q.m) from (${inner}${cut}) q(m))`,
      `${head} from ${this.#from(one)} where exists (select from ${this.#from(two)} where ${this.#same(two, one)} and ${bound})`,
      `${head} from ${this.#from(one)} where ${this.#bound(one)} or exists (select from ${this.#from(two)} where ${this.#same(two, one)} and ${bound})`,
      `${head} from ${this.#from(one)} where exists (select from ${this.#from(two)} where ${this.#same(two, one)} and ${bound}) and not exists (select from ${this.#from(three)} where ${this.#same(three, one)})`,
      `${head}, l.n from ${this.#from(one)} left join lateral (select count(*) as n from (select * from ${this.#from(three)} where ${this.#same(three, one)}${this.#pick(['', ' order by 1, 2 limit 1'])}) t) l on true where ${this.#bound(one)}`,
      `${head}, q.* from ${this.#from(one)} left join (select ${this.#column(three)} as g, count(*) from ${this.#from(three)} group by 1) q on q.g = ${own} where ${this.#bound(one)}`,
      `${head}, q.* from ${this.#from(one)} ${this.#pick(['left join', 'join', 'right join'])} (${inner}${cut}) q(g) on q.g = ${own} left join ${this.#from(three)} on ${this.#same(three, one)} and ${on}`,
    ])
  }

  /** What is asked of a column of a subquery, a view or a common table expression. */
  #inside(): string {
    const [one, two] = [this.#item(), this.#item()]
    const arm = (item: Item): string =>
      `select ${this.#column(item)} as p, ${this.#column(item)} as q from ${this.#from(item)}${this.#pick(['', ` where ${this.#bound(item)}`])}`
    const d: Item = { alias: 'd', table: 'derived' }
    const test = `${this.#pick(['d.p', 'd.q'])} ${this.#pick([`= ${this.#value()}`, `> ${this.#value()}`, 'is null', `<> ${this.#value()}`])}`
    const cut = this.#pick(['', '', '', ' order by 1, 2 limit 2', ' order by 1, 2 offset 1'])
    const op = this.#pick(['union', 'union all', 'except', 'intersect'])
    return this.#pick([
      `select * from (${arm(one)}${cut}) ${d.alias} where ${test}`,
      `select * from (select distinct p, q from (${arm(one)}${cut}) s) d where ${test}`,
      `select * from (select distinct on (p) p, q from (${arm(one)}) s order by p, q) d where ${test}`,
      `select * from (select p, q, row_number() over (order by p, q) from (${arm(one)}) s) d where ${test}`,
      `select * from (select p, max(q) as q from (${arm(one)}) s group by p having count(*) > 0) d where ${test}`,
      `select * from (${arm(one)} ${op} ${arm(two)}${cut}) d where ${test}`,
      `with d as (${arm(one)}${cut}) select * from d where ${test}`,
      `with d as (${arm(one)}${cut}), e as (select * from d where ${test}) select * from e union all select * from d where d.p = ${this.#value()}`,
      `with d(q, p) as (${arm(one)}) select d.*, ${this.#list([two])} from d join ${this.#from(two)} on d.p = ${this.#column(two)} where ${test}`,
      `select * from v d(p, q) where ${test}`,
      `select d.*, ${this.#list([two])} from v d(p, q) left join ${this.#from(two)} on d.p = ${this.#column(two)} where ${test}`,
      `select ${this.#list([two])}, d.* from ${this.#from(two)} left join v d(p, q) on d.q = ${this.#column(two)} where ${this.#bound(two)}`,
      `select ${this.#list([two])}, d.* from ${this.#from(two)} left join (${arm(one)}) d on d.p = ${this.#column(two)} where ${test}`,
    ])
  }

  #lateral(): string {
    const [outer, inner] = [this.#item(), this.#item()]
    const sub = `lateral (select * from ${this.#from(inner)} where ${this.#same(inner, outer)} ${this.#pick(['', 'order by 1, 2 limit 1'])}) l`
    const join = this.#pick([
      `cross join ${sub}`,
      `left join ${sub} on true`,
      `left join ${sub} on ${this.#bound(outer)}`,
    ])
    return `select ${this.#list([outer])}, l.x from ${this.#from(outer)} ${join} ${this.#where([outer])}`
  }

  #item(): Item {
    return { alias: `t${++this.#aliases}`, table: this.#pick(Object.keys(TABLES)) }
  }

  #from({ alias, table }: Item): string {
    return `${table} ${alias}`
  }

  #column({ alias, table }: Item): string {
    return `${alias}.${this.#pick(TABLES[table]!)}`
  }

  /** Columns of the answer: mostly all, else without those that tell rows apart. */
  #list(items: readonly Item[]): string {
    const columns = items.flatMap(({ alias, table }) => {
      const own = this.#chance(5) ? ['x'] : TABLES[table]!
      return own.map((name) => `${alias}.${name}`)
    })
    return columns.join(', ')
  }

  #same(left: Item, right: Item): string {
    return `${this.#column(left)} = ${this.#column(right)}`
  }

  #bound(item: Item): string {
    const column = this.#column(item)
    if (this.#chance(5)) return `${column} in (${this.#value()}, ${this.#value()})`
    if (this.#chance(5)) return this.#wider(column)
    return this.#chance(12) ? `not (${column} = ${this.#value()})` : `${column} = ${this.#value()}`
  }

  /** What is compared other than for equality. */
  #wider(column: string): string {
    const value = (): string => this.#value()
    return this.#pick([
      `${column} ${this.#pick(['<', '<=', '>', '>=', '<>'])} ${value()}`,
      `${value()} ${this.#pick(['<', '<=', '>', '>='])} ${column}`,
      `${column} ${this.#pick(['', 'not '])}between ${this.#pick(['', 'symmetric '])}${value()} and ${value()}`,
      `${column} not in (${value()}, ${value()})`,
      `not (${column} in (${value()}, ${value()}) or ${column} > ${value()})`,
      `${column} is ${this.#pick(['', 'not '])}distinct from ${this.#pick([value(), 'null'])}`,
      `(${column}, ${column}) ${this.#pick(['<', '>=', '='])} (${value()}, ${value()})`,
      `(${column} > ${value()}) is ${this.#pick(['true', 'not true', 'not false', 'unknown', 'not unknown'])}`,
      `not (${column} is null and ${column} < ${value()})`,
      `${column} <> all(array[${value()}, ${value()}])`,
    ])
  }

  #where(items: readonly Item[]): string {
    const test = (): string => {
      const item = this.#pick(items)
      return this.#pick([this.#bound(item), this.#bound(item), this.#bound(item), `${this.#column(item)} is null`])
    }
    return this.#pick([
      '',
      `where ${test()}`,
      `where ${test()}`,
      `where ${test()} and ${test()}`,
      `where (${test()} or ${test()})`,
    ])
  }

  #limit(): string {
    return this.#pick(['', '', 'order by 1, 2 limit 1', 'order by 1, 2 fetch first 2 rows with ties'])
  }

  #value(): string {
    const value = this.#pick([0, 1, 1, 2])
    if (this.#chance(2)) return String(value)
    this.#values.push(value)
    return `$${this.#values.length}::int`
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#g(fc.nat, { max: from.length - 1 })]!
  }

  /** True once in `n` times. */
  #chance(n: number): boolean {
    return this.#g(fc.nat, { max: n - 1 }) === 0
  }
}
