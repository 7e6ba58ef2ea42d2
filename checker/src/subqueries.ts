import { anyPlace, bound, condition, where } from './conditions.js'
import { type Fragment, list, raw, sql } from './fragment.js'
import { call, from } from './from.js'
import { type Item, isInteger, isPlain, type Writing } from './scope.js'

/** `exists (select …)`, usually tied to the row outside. */
export function exists(writing: Writing, outer: readonly Item[], depth: number): Fragment {
  writing.note('exists')
  const { items, text } = from(writing, writing.random.chance(0.15) ? 2 : 1, depth + 1)
  const not = writing.random.chance(0.35) ? 'not ' : ''
  return sql`${not}exists (select from ${text}${where(innerConditions(writing, items, outer, depth))})`
}

export function inSubquery(writing: Writing, outer: readonly Item[], depth: number): Fragment {
  writing.note('in-subquery')
  const { random } = writing
  const place = anyPlace(writing, outer, isInteger)
  const called = random.chance(0.1) && writing.schema.functions.find(({ name }) => name === 'ids_of')
  if (called) return sql`${place.text} in (select ${call(writing, called, random.chance(0.3) ? outer : [])})`
  const { items, text } = from(writing, random.chance(0.15) ? 2 : 1, depth + 1)
  const inner = anyPlace(writing, items, isInteger)
  const operator = random.weighted({ in: 6, 'not in': 2, '= any': 1, '> all': 0.5, '<> all': 0.5 })
  const conditions = random.chance(0.75) ? innerConditions(writing, items, random.chance(0.3) ? outer : [], depth) : []
  return sql`${place.text} ${operator} (select ${inner.text} from ${text}${where(conditions)})`
}

/** A subquery of one value. */
export function scalar(writing: Writing, outer: readonly Item[], depth: number): Fragment {
  writing.note('scalar')
  const { random } = writing
  const called = writing.schema.functions.find(({ is }) => is === 'number' && random.chance(0.1))
  if (called) return call(writing, called, outer)
  const { items, text } = from(writing, random.chance(0.15) ? 2 : 1, depth + 1)
  const filter = where(innerConditions(writing, items, outer, depth))
  const place = anyPlace(writing, items, isInteger)
  switch (random.weighted({ count: 3, column: 1, max: 2, first: 2 })) {
    case 'count':
      return sql`(select count(*) from ${text}${filter})`
    case 'column':
      return sql`(select count(${anyPlace(writing, items).text}) from ${text}${filter})`
    case 'max':
      return sql`(select ${random.pick(['max', 'min', 'sum'])}(${place.text}) from ${text}${filter})`
    case 'first':
      return sql`(select ${place.text} from ${text}${filter} order by ${place.text} limit 1)`
  }
}

function innerConditions(writing: Writing, items: readonly Item[], outer: readonly Item[], depth: number): Fragment[] {
  const { random } = writing
  const conditions: Fragment[] = []
  if (outer.length > 0 && random.chance(0.8)) {
    const left = anyPlace(writing, items, isInteger)
    const right = anyPlace(writing, outer, isInteger)
    conditions.push(raw(`${left.text} = ${right.text}`))
  }
  if (random.chance(0.6) || conditions.length === 0)
    conditions.push(random.chance(0.6) ? bound(writing, items) : condition(writing, items, outer, depth + 1))
  return conditions
}

/** Several plain columns, as GROUP BY and the like need them. */
export function plainList(writing: Writing, items: readonly Item[], count: number): string[] {
  const texts = new Set<string>()
  for (let i = 0; i < count; i++) texts.add(anyPlace(writing, items, isPlain).text)
  return [...texts]
}

export function texts(of: readonly string[]): Fragment {
  return list(of.map(raw), ', ')
}
