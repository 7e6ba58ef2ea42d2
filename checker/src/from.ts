import { anyPlace, bound, condition, where } from './conditions.js'
import { type Fragment, list, orElse, raw, sql } from './fragment.js'
import type { Func } from './functions.js'
import type { Column } from './schema.js'
import { type Item, isInteger, type Place, placesOf, type Writing } from './scope.js'
import { derived } from './select.js'

/** What stands behind FROM. */
export interface From {
  readonly text: Fragment
  readonly items: readonly Item[]
}

/** One or more tables, views and subqueries, joined in any way. */
export function from(writing: Writing, count: number, depth: number): From {
  let left = single(writing, depth)
  for (let i = 1; i < count; i++) left = joined(writing, left, depth)
  return left
}

/** Tables alone, joined where they refer to each other, as most queries do. */
export function plainFrom(writing: Writing, count: number): From {
  let left = table(writing)
  for (let i = 1; i < count; i++) {
    writing.note('join')
    const right = table(writing, left.items)
    const kind = writing.random.weighted({ join: 4, 'left join': 1 })
    const on = reference(writing, left.items, right.items)
    left = {
      items: [...left.items, ...right.items],
      text: orElse(sql`${left.text} ${kind} ${right.text} on ${on}`, left.text, right.text),
    }
  }
  return left
}

/** @param left  what it is joined to: where that refers to a table by a foreign key, mostly this one */
function table(writing: Writing, left: readonly Item[] = []): From {
  const { random, schema } = writing
  const referred = left.flatMap(({ columns }) => columns.flatMap(({ refersTo }) => refersTo ?? []))
  const isReferred = referred.length > 0 && !left.some(({ relation }) => relation === referred[0])
  const named = isReferred && random.chance(0.7) && schema.tables.find(({ name }) => name === referred[0])
  const relation = named || random.pick(schema.tables)
  const item = writing.item(relation)
  return { items: [item], text: raw(`${relation.name} ${item.alias}`) }
}

function single(writing: Writing, depth: number): From {
  const { random, schema } = writing
  switch (random.weighted({ table: 8, view: 2, derived: depth < 2 ? 1.5 : 0, only: 0.3, function: 1, values: 0.3 })) {
    case 'table':
      return table(writing)
    case 'only': {
      const relation = random.pick(schema.tables.filter(({ partitions }) => partitions.length === 0))
      const item = writing.item(relation)
      return { items: [item], text: raw(`only ${relation.name} ${item.alias}`) }
    }
    case 'view': {
      writing.note('view')
      const view = random.pick(schema.views)
      const item = writing.item(view)
      return { items: [item], text: raw(`${view.name} ${item.alias}`) }
    }
    case 'function': {
      const called = random.pick(schema.functions.filter(({ is }) => is === 'rows'))
      const item = writing.item(called)
      return { items: [item], text: sql`${call(writing, called, [])} ${alias(item, called)}` }
    }
    case 'values': {
      writing.note('values')
      const columns = schema.tables[0]!.columns.filter((column) => column.name === 'x')
      const item: Item = { alias: writing.alias(), columns, keys: ['x'] }
      return { items: [item], text: raw(`(values (1), (2)) ${item.alias} (x)`) }
    }
    case 'derived':
      writing.note('derived')
      return derived(writing, depth)
  }
}

function joined(writing: Writing, left: From, depth: number): From {
  const { random } = writing
  writing.note('join')
  if (random.chance(0.15)) return lateral(writing, left, depth)
  const right = single(writing, depth)
  const items = [...left.items, ...right.items]
  const kind = random.weighted({ join: 5, 'left join': 4, 'right join': 2, 'full join': 1, cross: 1, using: 1 })
  if (kind !== 'join') writing.note('outer-join')
  const shorter = [left.text, right.text]
  if (kind === 'cross') return { items, text: orElse(sql`${left.text} cross join ${right.text}`, ...shorter) }
  if (kind === 'using' && left.items.length === 1 && [...left.items, ...right.items].every(hasX)) {
    const using = random.pick(['join', 'left join'])
    return { items, text: orElse(sql`${left.text} ${using} ${right.text} using (x)`, ...shorter) }
  }
  // A full join needs a condition that can be merged or hashed.
  const isSimple = kind === 'full join' || random.chance(0.7)
  const on = isSimple
    ? reference(writing, left.items, right.items)
    : sql`${reference(writing, left.items, right.items)} and ${random.chance(0.6) ? bound(writing, items) : condition(writing, items, [], depth + 1)}`
  const join = kind === 'using' ? 'join' : kind
  return { items, text: orElse(sql`${left.text} ${join} ${right.text} on ${on}`, ...shorter) }
}

/** A call, whose arguments may be columns. */
export function call(writing: Writing, called: Func, outer: readonly Item[]): Fragment {
  writing.note('function')
  const { random } = writing
  const given = called.arguments.map((kind) => {
    const isAlike = (column: Column): boolean => column.kind.cast === kind.cast
    const place = random.chance(0.7) ? writing.place(outer, isAlike) : undefined
    if (place) return raw(place.text)
    return random.chance(0.1) ? sql`coalesce(${writing.value(kind)}, null)::${kind.cast}` : writing.value(kind)
  })
  return sql`${called.name}(${list(given, ', ')})`
}

/** The column of a function that answers values is called like its alias. */
function alias({ alias }: Item, { name, columns }: Func): string {
  return columns.length === 1 && columns[0]!.name === name ? `${alias}(${name})` : alias
}

function lateral(writing: Writing, left: From, depth: number): From {
  writing.note('lateral')
  const { random } = writing
  if (random.chance(0.3)) {
    const called = random.pick(writing.schema.functions.filter(({ is }) => is === 'rows'))
    const item = writing.item(called)
    const join = random.pick(['cross join', 'left join'])
    const text = sql`${left.text} ${join} ${call(writing, called, left.items)} ${alias(item, called)}${join === 'left join' ? ' on true' : ''}`
    return { items: [...left.items, item], text: orElse(text, left.text) }
  }
  const relation = random.pick(writing.schema.tables)
  const inner = writing.item(relation)
  const item = writing.item(relation)
  const tie = raw(`${anyPlace(writing, [inner], isInteger).text} = ${anyPlace(writing, left.items, isInteger).text}`)
  const conditions = [tie, ...(random.chance(0.5) ? [condition(writing, [inner], left.items, depth + 1)] : [])]
  const limit =
    inner.keys.length > 0 && random.chance(0.5)
      ? ` order by ${inner.keys.map((key) => `${inner.alias}.${key}`).join(', ')} limit 1`
      : ''
  const join = random.pick(['join', 'left join'])
  const text = sql`${left.text} ${join} lateral (select * from ${relation.name} ${inner.alias}${where(conditions)}${limit}) ${item.alias} on true`
  return { items: [...left.items, item], text: orElse(text, left.text) }
}

/** A condition by which two sides belong together: usually a reference to an id. */
function reference(writing: Writing, left: readonly Item[], right: readonly Item[]): Fragment {
  const { random } = writing
  const keys = [...referring(left, right), ...referring(right, left)]
  if (keys.length > 0 && random.chance(0.9)) return raw(random.pick(keys))
  const places = (items: readonly Item[], name: string): Place[] =>
    placesOf(items, (column) => column.name === name && isInteger(column))
  const ways: [Place, Place][] = []
  for (const [from, to] of [
    ['ref', 'id'],
    ['id', 'ref'],
    ['x', 'x'],
  ] as const)
    for (const one of places(left, from)) for (const other of places(right, to)) ways.push([one, other])
  const [one, other] =
    ways.length > 0 && random.chance(0.9)
      ? random.pick(ways)
      : [anyPlace(writing, left, isInteger), anyPlace(writing, right, isInteger)]
  return raw(random.chance(0.5) ? `${one.text} = ${other.text}` : `${other.text} = ${one.text}`)
}

/** Equalities of foreign keys of the ones to the others. */
function referring(from: readonly Item[], to: readonly Item[]): string[] {
  return from.flatMap(({ alias, columns }) =>
    columns.flatMap(({ name, refersTo }) =>
      to.flatMap((other) =>
        refersTo !== undefined && other.relation === refersTo ? [`${alias}.${name} = ${other.alias}.id`] : [],
      ),
    ),
  )
}

function hasX({ columns }: Item): boolean {
  return columns.some(({ name }) => name === 'x')
}
