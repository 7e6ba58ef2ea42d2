import { compareKeys, keyOf, type Order } from './order.js'

/*
 * Conditions of SQL on one row, in three-valued logic, over the texts that the log has for its columns. They say what PostgreSQL would say,
 * or that they can't tell: never anything else.
 */

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='

/** A value of a row. Integers are computed without rounding; beyond `max` PostgreSQL refuses them, and nothing is told. */
export type Term =
  | { readonly of: 'column'; readonly column: string }
  | { readonly of: 'constant'; readonly value: string | null }
  | {
      readonly of: 'sum' | 'difference' | 'product'
      readonly left: Term
      readonly right: Term
      /** Bits of the type. */
      readonly bits: number
    }
  /** COALESCE. */
  | { readonly of: 'first'; readonly terms: readonly Term[] }

export type Predicate =
  | { readonly is: 'and' | 'or'; readonly parts: readonly Predicate[] }
  | { readonly is: 'not'; readonly part: Predicate }
  | {
      readonly is: 'compared'
      readonly operator: Comparison
      readonly order: Order
      readonly left: Term
      readonly right: Term
    }
  /** IS DISTINCT FROM. */
  | { readonly is: 'distinct'; readonly order: Order; readonly left: Term; readonly right: Term }
  | { readonly is: 'one-of'; readonly order: Order; readonly term: Term; readonly values: readonly (string | null)[] }
  /** IS NULL. */
  | { readonly is: 'absent'; readonly term: Term }
  /** A boolean. */
  | { readonly is: 'truth'; readonly term: Term }
  /** IS TRUE, IS FALSE, IS UNKNOWN. */
  | { readonly is: 'judged'; readonly as: 'yes' | 'no' | 'null'; readonly part: Predicate }
  /** LIKE: texts between `%`, where null stands for `_`. */
  | { readonly is: 'like'; readonly term: Term; readonly pieces: readonly (readonly (string | null)[])[] }
  /** CASE: the first whose condition is true. */
  | {
      readonly is: 'case'
      readonly cases: readonly { readonly when: Predicate; readonly then: Predicate }[]
      readonly otherwise: Predicate
    }
  | { readonly is: 'constant'; readonly value: 'yes' | 'no' | 'null' }

/** `null` is SQL's own unknown; `untold`: the log does not tell. */
export type Verdict = 'yes' | 'no' | 'null' | 'untold'

/** A column of the row; undefined: the log does not have it. */
export type ColumnOf = (column: string) => string | null | undefined

/** Cost: one look at each part that is needed; columns are read as they come. */
export function judge(predicate: Predicate, columnOf: ColumnOf): Verdict {
  switch (predicate.is) {
    case 'and':
      return all(predicate.parts, 'no', columnOf)
    case 'or':
      return all(predicate.parts, 'yes', columnOf)
    case 'not':
      return opposite(judge(predicate.part, columnOf))
    case 'compared':
      return compared(predicate, columnOf)
    case 'distinct':
      return distinct(predicate, columnOf)
    case 'one-of':
      return oneOf(predicate, columnOf)
    case 'absent': {
      const value = textOf(predicate.term, columnOf)
      return value === undefined ? 'untold' : isSo(value === null)
    }
    case 'truth': {
      const value = textOf(predicate.term, columnOf)
      if (value === null) return 'null'
      return value === 't' ? 'yes' : value === 'f' ? 'no' : 'untold'
    }
    case 'judged': {
      const verdict = judge(predicate.part, columnOf)
      return verdict === 'untold' ? verdict : isSo(verdict === predicate.as)
    }
    case 'like': {
      const value = textOf(predicate.term, columnOf)
      if (value === null) return 'null'
      return value === undefined ? 'untold' : isSo(isLike(value, predicate.pieces))
    }
    case 'case': {
      for (const { when, then } of predicate.cases) {
        const verdict = judge(when, columnOf)
        if (verdict === 'yes') return judge(then, columnOf)
        if (verdict === 'untold') return verdict
      }
      return judge(predicate.otherwise, columnOf)
    }
    case 'constant':
      return predicate.value
    default:
      return predicate satisfies never
  }
}

/** AND, where `end` is `no`; OR, where it is `yes`: one that is `end` decides. */
function all(parts: readonly Predicate[], end: 'yes' | 'no', columnOf: ColumnOf): Verdict {
  let verdict: Verdict = end === 'no' ? 'yes' : 'no'
  for (const part of parts) {
    const each = judge(part, columnOf)
    if (each === end) return each
    if (each === 'untold' || (each === 'null' && verdict !== 'untold')) verdict = each
  }
  return verdict
}

function opposite(verdict: Verdict): Verdict {
  return verdict === 'yes' ? 'no' : verdict === 'no' ? 'yes' : verdict
}

function isSo(truth: boolean): Verdict {
  return truth ? 'yes' : 'no'
}

function compared(
  { operator, order, left, right }: Extract<Predicate, { is: 'compared' }>,
  columnOf: ColumnOf,
): Verdict {
  const [one, other] = [textOf(left, columnOf), textOf(right, columnOf)]
  if (one === undefined || other === undefined) return 'untold'
  if (one === null || other === null) return 'null'
  const side = sideOf(order, one, other)
  if (side === undefined) return 'untold'
  switch (operator) {
    case '=':
      return isSo(side === 0)
    case '<>':
      return isSo(side !== 0)
    case '<':
      return isSo(side < 0)
    case '<=':
      return isSo(side <= 0)
    case '>':
      return isSo(side > 0)
    case '>=':
      return isSo(side >= 0)
    default:
      return operator satisfies never
  }
}

function distinct({ order, left, right }: Extract<Predicate, { is: 'distinct' }>, columnOf: ColumnOf): Verdict {
  const [one, other] = [textOf(left, columnOf), textOf(right, columnOf)]
  if (one === undefined || other === undefined) return 'untold'
  if (one === null || other === null) return isSo(one !== other)
  const side = sideOf(order, one, other)
  return side === undefined ? 'untold' : isSo(side !== 0)
}

function oneOf({ order, term, values }: Extract<Predicate, { is: 'one-of' }>, columnOf: ColumnOf): Verdict {
  // Of none nothing is one, NULL neither.
  if (values.length === 0) return 'no'
  const value = textOf(term, columnOf)
  if (value === null) return 'null'
  if (value === undefined) return 'untold'
  let verdict: Verdict = 'no'
  for (const each of values) {
    if (each === null) {
      if (verdict === 'no') verdict = 'null'
      continue
    }
    const side = sideOf(order, value, each)
    if (side === 0) return 'yes'
    if (side === undefined) verdict = 'untold'
  }
  return verdict
}

/** How two texts stand to each other; undefined where that can't be told. */
function sideOf(order: Order, left: string, right: string): number | undefined {
  const [one, other] = [keyOf(order, left), keyOf(order, right)]
  return one === undefined || other === undefined ? undefined : compareKeys(order, one, other)
}

/** A value as text; undefined where it can't be told. */
function textOf(term: Term, columnOf: ColumnOf): string | null | undefined {
  switch (term.of) {
    case 'column':
      return columnOf(term.column)
    case 'constant':
      return term.value
    case 'sum':
    case 'difference':
    case 'product':
      return computed(term, columnOf)
    case 'first': {
      for (const each of term.terms) {
        const value = textOf(each, columnOf)
        if (value !== null) return value
      }
      return null
    }
    default:
      return term satisfies never
  }
}

function computed(
  { of, left, right, bits }: Extract<Term, { of: 'sum' | 'difference' | 'product' }>,
  columnOf: ColumnOf,
): string | null | undefined {
  const [one, other] = [textOf(left, columnOf), textOf(right, columnOf)]
  if (one === undefined || other === undefined) return undefined
  if (one === null || other === null) return null
  if (!/^-?[0-9]+$/.test(one) || !/^-?[0-9]+$/.test(other)) return undefined
  const [a, b] = [BigInt(one), BigInt(other)]
  const result = of === 'sum' ? a + b : of === 'difference' ? a - b : a * b
  return BigInt.asIntN(bits, result) === result ? String(result) : undefined
}

/** The first piece stands at the begin, the last at the end; of those between each is found as early as can be. */
function isLike(text: string, pieces: readonly (readonly (string | null)[])[]): boolean {
  const characters = [...text]
  const [first = [], ...rest] = pieces
  const last = rest.pop()
  const isAt = (piece: readonly (string | null)[], at: number): boolean =>
    at + piece.length <= characters.length && piece.every((each, i) => each === null || each === characters[at + i])
  if (!last) return first.length === characters.length && isAt(first, 0)
  if (!isAt(first, 0)) return false
  let at = first.length
  for (const piece of rest) {
    while (at + piece.length <= characters.length && !isAt(piece, at)) at++
    if (at + piece.length > characters.length) return false
    at += piece.length
  }
  const end = characters.length - last.length
  return end >= at && isAt(last, end)
}
