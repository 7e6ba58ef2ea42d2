import { EMPTY, type Fragment, list, orElse, raw, sql } from './fragment.js'
import { type Item, isInteger, isOrdered, isPlain, type Place, type Writing } from './scope.js'
import { exists, inSubquery, scalar } from './subqueries.js'

const TRUE = raw('true')

/** ` where …`, or nothing. */
export function where(conditions: readonly Fragment[]): Fragment {
  return conditions.length === 0 ? EMPTY : orElse(sql` where ${list(conditions, ' and ')}`, EMPTY)
}

/** A condition that bounds a column by what it is equal to or between. */
export function bound(writing: Writing, items: readonly Item[]): Fragment {
  const { random } = writing
  switch (random.weighted({ equality: 8, in: 2, any: 2, range: 3, between: 2 })) {
    case 'equality':
      writing.note('equality')
      return orElse(equality(writing, anyPlace(writing, items)), TRUE)
    case 'in': {
      writing.note('in')
      const { text, kind } = anyPlace(writing, items)
      return orElse(
        sql`${text} in (${list([writing.value(kind), writing.value(kind), ...(random.chance(0.3) ? [writing.value(kind)] : [])], ', ')})`,
        TRUE,
      )
    }
    case 'any': {
      writing.note('in')
      const { text, kind } = anyPlace(
        writing,
        items,
        (column) => !['array', 'json', 'bytes'].includes(column.kind.family),
      )
      const value = random.some(kind.values, 0.3, random.chance(0.1) ? 0 : 1)
      return orElse(sql`${text} = any(${{ value, cast: `${kind.cast}[]` }})`, TRUE)
    }
    case 'range': {
      writing.note('range')
      const { text, kind } = anyPlace(writing, items, isOrdered)
      return orElse(sql`${text} ${random.pick(['<', '<=', '>', '>='])} ${writing.value(kind)}`, TRUE)
    }
    default: {
      writing.note('range')
      const { text, kind } = anyPlace(writing, items, isOrdered)
      if (random.chance(0.4))
        return orElse(sql`(${text} >= ${writing.value(kind)} and ${text} < ${writing.value(kind)})`, TRUE)
      return orElse(
        sql`${text} between ${random.chance(0.1) ? 'symmetric ' : ''}${writing.value(kind)} and ${writing.value(kind)}`,
        TRUE,
      )
    }
  }
}

/** Any condition. */
export function condition(writing: Writing, items: readonly Item[], outer: readonly Item[], depth: number): Fragment {
  const { random } = writing
  const scope = random.chance(0.25) && outer.length > 0 ? [...items, ...outer] : items
  const again = (): Fragment => condition(writing, items, outer, depth + 1)
  const deep = depth < 2 ? 1 : 0
  const form = random.weighted({
    bound: 7,
    and: 3 * deep,
    or: 3 * deep,
    not: 1.5 * deep,
    null: 2,
    like: 1,
    bool: 1,
    tuple: 1,
    distinct: 0.7,
    unequal: 1,
    columns: 1,
    sublink: 3 * deep,
    truth: deep,
    expression: 0.7,
  })
  writing.note(form === 'bound' || form === 'and' ? 'where' : form)
  switch (form) {
    case 'bound':
      return bound(writing, scope)
    case 'and':
    case 'or': {
      const [left, right] = [again(), again()]
      return orElse(sql`(${left} ${form} ${right})`, left, right)
    }
    case 'not': {
      const inner = again()
      return orElse(sql`not (${inner})`, inner, TRUE)
    }
    case 'null':
      return orElse(sql`${anyPlace(writing, scope).text} is ${random.chance(0.4) ? 'not ' : ''}null`, TRUE)
    case 'like':
      return orElse(like(writing, scope), TRUE)
    case 'bool':
      return orElse(boolean(writing, scope), TRUE)
    case 'tuple':
      return orElse(tuple(writing, scope), TRUE)
    case 'distinct': {
      const { text, kind } = anyPlace(writing, scope)
      const value = writing.value(kind, [...kind.values, null])
      return orElse(sql`${text} is ${random.chance(0.5) ? 'not ' : ''}distinct from ${value}`, TRUE)
    }
    case 'unequal': {
      const { text, kind } = anyPlace(writing, scope, isOrdered)
      if (random.chance(0.3)) return orElse(sql`${text} not in (${writing.value(kind)}, ${writing.value(kind)})`, TRUE)
      if (random.chance(0.1)) {
        const value = random.some(kind.values, 0.3, 0)
        return orElse(sql`${text} <> all(${{ value, cast: `${kind.cast}[]` }})`, TRUE)
      }
      return orElse(sql`${text} <> ${writing.value(kind)}`, TRUE)
    }
    case 'columns': {
      const left = anyPlace(writing, scope)
      const right = anyPlace(
        writing,
        scope,
        ({ kind }) =>
          kind.family === left.kind.family && kind.type.includes('collate') === left.kind.type.includes('collate'),
      )
      const operator = ['number', 'text', 'date'].includes(left.kind.family) ? random.pick(['=', '=', '<', '>=']) : '='
      return orElse(raw(`${left.text} ${operator} ${right.text}`), TRUE)
    }
    case 'truth': {
      const inner = random.chance(0.6) ? sublink(writing, scope, depth) : again()
      return orElse(
        sql`(${inner}) is ${random.pick(['', 'not '])}${random.pick(['true', 'false', 'unknown'])}`,
        inner,
        TRUE,
      )
    }
    case 'sublink':
      return orElse(sublink(writing, scope, depth), TRUE)
    case 'expression':
      return orElse(expression(writing, scope, depth), TRUE)
  }
}

function sublink(writing: Writing, outer: readonly Item[], depth: number): Fragment {
  return writing.random.chance(0.5) ? exists(writing, outer, depth) : inSubquery(writing, outer, depth)
}

export function equality(writing: Writing, { text, kind }: Place): Fragment {
  const value = writing.value(kind)
  return writing.random.chance(0.1) ? sql`${value} = ${text}` : sql`${text} = ${value}`
}

function like(writing: Writing, items: readonly Item[]): Fragment {
  const place = writing.place(items, ({ kind }) => kind.family === 'text' && kind.isPlain)
  if (!place) return equality(writing, anyPlace(writing, items))
  const pattern = writing.random.pick(['a%', 'ab%', '%', 'a\\%%', 'a_c', '%b', 'B%', 'é%', 'abc'])
  switch (writing.random.weighted({ constant: 3, parameter: 3, not: 1, starts: 1, ilike: 1 })) {
    case 'constant':
      return raw(`${place.text} like '${pattern}'`)
    case 'parameter':
      return sql`${place.text} like ${{ value: pattern, cast: '' }}`
    case 'not':
      return raw(`${place.text} not like '${pattern}'`)
    case 'starts':
      return sql`starts_with(${place.text}::text, ${{ value: 'a', cast: '' }})`
    case 'ilike':
      return raw(`${place.text} ilike '${pattern}'`)
  }
}

function boolean(writing: Writing, items: readonly Item[]): Fragment {
  const place = writing.place(items, ({ kind }) => kind.family === 'bool')
  if (!place) return raw(`${anyPlace(writing, items).text} is not null`)
  const { text } = place
  return raw(
    writing.random.pick([
      text,
      `not ${text}`,
      `${text} is true`,
      `${text} is not true`,
      `${text} is false`,
      `${text} is unknown`,
      `${text} = true`,
      `coalesce(${text}, false)`,
    ]),
  )
}

function tuple(writing: Writing, items: readonly Item[]): Fragment {
  const { random } = writing
  const [left, right] = [anyPlace(writing, items, isOrdered), anyPlace(writing, items, isOrdered)]
  const pair = (): Fragment => sql`(${writing.value(left.kind)}, ${writing.value(right.kind)})`
  const columns = `(${left.text}, ${right.text})`
  if (random.chance(0.3)) return sql`${columns} in (${list([pair(), pair()], ', ')})`
  return sql`${columns} ${random.pick(['=', '>', '<=', '<', '<>'])} ${pair()}`
}

/** What no index of conditions can know. */
function expression(writing: Writing, items: readonly Item[], depth: number): Fragment {
  const { random } = writing
  const { text, kind } = anyPlace(writing, items, isInteger)
  switch (random.weighted({ sum: 2, case: 1, coalesce: 2, cast: 2, parameter: 1, scalar: depth < 2 ? 2 : 0 })) {
    case 'sum':
      return sql`${text} + 1 = ${writing.value(kind)}`
    case 'case':
      return sql`case when ${text} > 2 then ${equality(writing, anyPlace(writing, items))} else ${text} = 1 end`
    case 'coalesce':
      return sql`coalesce(${text}, 0) = ${writing.value(kind)}`
    case 'cast':
      return sql`${text}::${random.pick(['bigint', 'numeric', 'text'])} = ${random.pick(["'1'", "'2'"])}`
    case 'parameter':
      return sql`${text} = ${{ value: random.below(4), cast: 'int' }} + 1`
    case 'scalar':
      return sql`${text} ${random.pick(['=', '>', '<='])} ${scalar(writing, items, depth + 1)}`
  }
}

export function anyPlace(
  writing: Writing,
  items: readonly Item[],
  isWanted?: (column: Item['columns'][number]) => boolean,
): Place {
  return writing.place(items, isWanted) ?? writing.place(items, isPlain) ?? writing.place(items)!
}
