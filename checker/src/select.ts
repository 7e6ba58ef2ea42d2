import { anyPlace, bound, condition, where } from './conditions.js'
import { EMPTY, type Fragment, list, orElse, raw, render, sql } from './fragment.js'
import { type From, from, plainFrom } from './from.js'
import { bare, type Column } from './schema.js'
import { type Item, isInteger, isPlain, placesOf, type Writing } from './scope.js'
import { plainList, scalar, texts } from './subqueries.js'

/** What most applications ask: bounded by equality, IN and ranges, over tables that are joined by their references. */
export function boundedSelect(writing: Writing): Fragment {
  const { random } = writing
  const { items, text } = plainFrom(
    writing,
    random.weighted({ one: 6, two: 4, three: 1 }) === 'one' ? 1 : random.chance(0.85) ? 2 : 3,
  )
  const conditions = [bound(writing, [random.pick(items)])]
  while (random.chance(0.4)) conditions.push(bound(writing, items))
  const order = random.chance(0.3) && items.every(({ keys }) => keys.length > 0) ? ordering(writing, items) : EMPTY
  return sql`select ${selectList(writing, items)} from ${text}${where(conditions)}${order}`
}

/** Any SELECT. */
export function wideSelect(writing: Writing): Fragment {
  switch (
    writing.random.weighted({
      rows: 8,
      aggregate: 2,
      grouped: 2,
      distinct: 1.5,
      window: 1.5,
      set: 1.5,
      cte: 2,
      recursive: 0.3,
      nothing: 0.2,
    })
  ) {
    case 'rows':
      return rows(writing, 0).text
    case 'aggregate':
      return aggregate(writing)
    case 'grouped':
      return grouped(writing)
    case 'distinct':
      return distinct(writing)
    case 'window':
      return window(writing)
    case 'set':
      return setOperation(writing)
    case 'cte':
      return cte(writing)
    case 'recursive':
      return recursive(writing)
    case 'nothing':
      return sql`select ${scalar(writing, [], 0)} as n`
  }
}

/** A subquery in FROM. */
export function derived(writing: Writing, depth: number): From {
  const alias = writing.alias()
  const { text, columns } = rows(writing, depth + 1)
  return { items: [{ alias, columns, keys: [] }], text: sql`(${text}) ${alias}` }
}

function rows(writing: Writing, depth: number): { text: Fragment; columns: readonly Column[] } {
  const { random } = writing
  const { items, text } = wideFrom(writing, depth)
  const columns = items.flatMap(({ alias, columns }) =>
    random.some(columns, 0.5, 0).map((column) => ({ alias, column })),
  )
  if (columns.length === 0) columns.push({ alias: items[0]!.alias, column: items[0]!.columns[0]! })
  const named = columns.map(({ alias, column }) => ({
    text: `${alias}.${column.name}`,
    column: { name: `${alias}_${bare(column.name)}`, kind: column.kind },
  }))
  const selected = named.map(({ text, column }) => raw(`${text} as ${column.name}`))
  if (depth === 0 && random.chance(0.2)) selected.push(sql`${scalar(writing, items, depth)} as n`)
  const filter = filters(writing, items, depth)
  const hasLimit = random.chance(depth === 0 ? 0.3 : 0.1)
  const ordered = hasLimit
    ? limited(writing, items, depth === 0)
    : random.chance(0.2) && depth === 0
      ? ordering(writing, items)
      : EMPTY
  // The order of a subquery's rows is not the answer's.
  const end = depth === 0 ? ordered : raw(render(ordered).text)
  return {
    text: sql`select ${list(selected, ', ')} from ${text}${filter}${end}`,
    columns: named.map(({ column }) => column),
  }
}

function wideFrom(writing: Writing, depth: number): From {
  const count = writing.random.weighted({ one: 5, two: 4, three: depth === 0 ? 1 : 0 })
  return from(writing, { one: 1, two: 2, three: 3 }[count], depth)
}

function filters(writing: Writing, items: readonly Item[], depth: number): Fragment {
  const { random } = writing
  if (random.chance(0.08)) return EMPTY
  const conditions = [random.chance(0.5) ? bound(writing, items) : condition(writing, items, [], depth)]
  while (random.chance(0.35)) conditions.push(condition(writing, items, [], depth))
  return where(conditions)
}

function aggregate(writing: Writing): Fragment {
  writing.note('aggregate')
  const { random } = writing
  const { items, text } = wideFrom(writing, 0)
  const calls = (): Fragment[] => [
    raw('count(*) as n'),
    raw(`count(${anyPlace(writing, items).text}) as m`),
    raw(`sum(${anyPlace(writing, items, isInteger).text}) as s`),
    raw(`max(${anyPlace(writing, items, isInteger).text}) as top`),
    raw(`count(distinct ${anyPlace(writing, items, isPlain).text}) as d`),
    raw(
      `array_agg(${anyPlace(writing, items, isInteger).text} order by ${placesOf(items, isInteger)[0]?.text ?? '1'}) filter (where false) as e`,
    ),
    sql`count(*) filter (where ${bound(writing, items)}) as f`,
  ]
  return sql`select ${list(random.some(calls(), 0.3), ', ')} from ${text}${filters(writing, items, 0)}`
}

function grouped(writing: Writing): Fragment {
  writing.note('aggregate')
  const { random } = writing
  const { items, text } = wideFrom(writing, 0)
  const by = plainList(writing, items, random.pick([1, 1, 2]))
  const call = random.pick([
    'count(*)',
    `max(${anyPlace(writing, items, isInteger).text})`,
    `sum(${anyPlace(writing, items, isInteger).text})`,
  ])
  const having = random.chance(0.3) ? orElse(raw(' having count(*) > 1'), EMPTY) : EMPTY
  const all = [...by.keys()].map((index) => String(index + 1)).join(', ')
  const end = random.chance(0.2)
    ? { ...orElse(raw(` order by ${by.length + 1}, ${all}`), EMPTY), isOrder: true as const }
    : EMPTY
  return sql`select ${by.join(', ')}, ${call} as n from ${text}${filters(writing, items, 0)} group by ${by.join(', ')}${having}${end}`
}

function distinct(writing: Writing): Fragment {
  writing.note('distinct')
  const { random } = writing
  const { items, text } = wideFrom(writing, 0)
  const columns = plainList(writing, items, random.pick([1, 2, 3]))
  const only = items.length === 1 && items[0]!.keys.length > 0 ? items[0]! : undefined
  if (only && random.chance(0.3)) {
    const [first] = columns
    const keys = only.keys.map((key) => `${only.alias}.${key}`)
    return sql`select distinct on (${first!}) ${first!}, ${keys.join(', ')} from ${text}${filters(writing, items, 0)} order by ${[first!, ...keys].join(', ')}`
  }
  return sql`select distinct ${texts(columns)} from ${text}${filters(writing, items, 0)}`
}

function window(writing: Writing): Fragment {
  writing.note('window')
  const { random } = writing
  const { items, text } = wideFrom(writing, 0)
  const by = anyPlace(writing, items, isPlain).text
  const total = totalOrder(items).join(', ')
  const call = random.pick([
    `count(*) over (partition by ${by})`,
    'count(*) over ()',
    `sum(${anyPlace(writing, items, isInteger).text}) over (partition by ${by})`,
    `row_number() over (order by ${total})`,
    `rank() over (partition by ${by} order by ${anyPlace(writing, items, isInteger).text})`,
    `lag(${anyPlace(writing, items).text}) over (order by ${total})`,
  ])
  return sql`select ${selectList(writing, items)}, ${call} as w from ${text}${filters(writing, items, 0)}`
}

function setOperation(writing: Writing): Fragment {
  writing.note('set-operation')
  const { random } = writing
  const arm = (): Fragment => {
    const { items, text } = wideFrom(writing, 1)
    return sql`select ${anyPlace(writing, items, isInteger).text} as n from ${text}${filters(writing, items, 1)}`
  }
  const [left, right] = [arm(), arm()]
  const operator = random.pick(['union', 'union all', 'except', 'except all', 'intersect'])
  const both = orElse(sql`${left} ${operator} ${right}`, left, right)
  if (random.chance(0.3))
    return sql`select * from (${both}) s where n ${random.pick(['=', '>', '<='])} ${String(random.below(4))}`
  return random.chance(0.2) ? { ...orElse(sql`${both} order by 1 limit 3`, both), isOrder: true } : both
}

function cte(writing: Writing): Fragment {
  writing.note('cte')
  const { random } = writing
  const { text, columns } = rows(writing, 1)
  const name = random.pick(['q', 'q', 'a', 'v1'])
  const item: Item = { alias: writing.alias(), columns, keys: [] }
  const other: Item = { alias: writing.alias(), columns, keys: [] }
  const kept = random.weighted({ '': 3, 'materialized ': 0.5, 'not materialized ': 0.5 })
  const isTwice = random.chance(0.3)
  const shared = columns.find(isInteger)
  const join =
    isTwice && shared
      ? ` join ${name} ${other.alias} on ${item.alias}.${shared.name} = ${other.alias}.${shared.name}`
      : ''
  return sql`with ${name} as ${kept}(${text}) select ${selectList(writing, [item])} from ${name} ${item.alias}${join}${random.chance(0.7) ? filters(writing, [item], 1) : EMPTY}`
}

function recursive(writing: Writing): Fragment {
  writing.note('recursive')
  const { random } = writing
  const table = random.pick(
    writing.schema.tables.filter(({ columns }) => columns.some((column) => column.name === 'id' && isInteger(column))),
  )
  const start = { value: random.below(16), cast: 'int' }
  return sql`with recursive r (n) as (select t.id from ${table.name} t where t.id = ${start} union select t.id from ${table.name} t join r on t.ref = r.n) select n from r`
}

/** Some columns, now and then all. */
export function selectList(writing: Writing, items: readonly Item[]): Fragment {
  const { random } = writing
  if (random.chance(0.15)) return raw(random.chance(0.5) ? '*' : `${random.pick(items).alias}.*`)
  const columns = items.flatMap(({ alias, columns, keys }) => {
    const chosen = random.some(columns, 0.4, 0)
    // Most answers carry the key of their rows.
    const first = random.chance(0.7) ? keys : []
    return [...first, ...chosen.map(({ name }) => name).filter((name) => !first.includes(name))].map(
      (name) => `${alias}.${name}`,
    )
  })
  return columns.length === 0 ? raw('1 as one') : texts(columns)
}

/** ` order by` something, and then by what tells all rows apart. */
export function ordering(writing: Writing, items: readonly Item[]): Fragment {
  writing.note('order')
  const { random } = writing
  const { text } = anyPlace(writing, items, isPlain)
  const by = `${text}${random.pick(['', '', ' desc', ' desc nulls last'])}`
  return { ...orElse(raw(` order by ${[by, ...totalOrder(items)].join(', ')}`), EMPTY), isOrder: true }
}

function limited(writing: Writing, items: readonly Item[], isOuter: boolean): Fragment {
  writing.note('limit')
  const { random } = writing
  const order = ordering(writing, items)
  const limit = random.pick([1, 2, 3, 5])
  const count = isOuter && random.chance(0.3) ? sql`${{ value: limit, cast: '' }}` : raw(String(limit))
  const offset = random.chance(0.25) ? orElse(raw(` offset ${random.pick([1, 2])}`), EMPTY) : EMPTY
  return orElse(sql`${order} limit ${count}${offset}`, order, EMPTY)
}

function totalOrder(items: readonly Item[]): string[] {
  return items.flatMap(({ alias, columns, keys }) =>
    keys.length > 0
      ? keys.map((key) => `${alias}.${key}`)
      : columns.map(({ name }) => `${alias}.${name}::text collate "C"`),
  )
}
