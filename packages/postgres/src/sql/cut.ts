import { compareKeys, keyOf, type Order, type Range } from 'tidemark'
import type { FollowedTable } from '../wal/tables.js'
import { type Asked, askedOf, type Standing } from './asked.js'
import type { Node, SelectStmt } from './ast.js'
import { as, strings } from './ast.js'
import { orderOf } from './canonical.js'
import type { Column } from './catalogue.js'
import { columnOf } from './conditions.js'
import type { Item } from './from.js'
import { hasPlaces, placeOf } from './outputs.js'
import { noRow, type RowSet } from './row-set.js'
import type { BoundColumn, Level, SelectAnswer } from './scope.js'
import { readValue, type Value } from './values.js'

/*
 * A SELECT with ORDER BY and LIMIT that shows as many rows as it may answers the same with one condition more: not behind the last row that
 * it shows. It does so until one of the rows that meet the condition goes, or another comes, which is what the condition's dependencies
 * tell. So all that holds of a condition holds of a cut: it goes into joins, subqueries and views as WHERE does.
 */

/** Where ORDER BY with LIMIT cuts rows off. */
export interface Cut {
  readonly column: Column
  readonly isDescending: boolean
  readonly areNullsFirst: boolean
  readonly limit: Value
  /**
   * Which column of the statement's answer shows the last row's value: by its place, or its table and number where no place is known. Where
   * none does, and of a subquery: what is asked for it.
   */
  readonly shown: number | { readonly table: number; readonly number: number } | Asked
}

/**
 * Where a SELECT's LIMIT cuts rows off, by the first column of its order; undefined if it does not, or can't be told. Not for what answers
 * with one row for many that are not equal in that column (windows, aggregates without GROUP BY).
 *
 * @param isStatement  its answer is the statement's
 * @param types  type OIDs of the statement's parameters
 */
export function cutOf(
  select: SelectStmt,
  level: Level,
  from: Item,
  standing: Standing,
  isStatement: boolean,
  types: readonly number[],
): { readonly by: BoundColumn; readonly cut: Cut } | undefined {
  const order = orderIn(select)
  const node = order && sortedBy(order.node, select)
  const by = columnOf(node, level)
  if (!order || !by || !orderOf(by.column)) return undefined
  const { isDescending, areNullsFirst, limit } = order
  const named = as('ColumnRef', node)
  const place = isStatement ? placeIn(by, select, from) : undefined
  const shown = place ?? (named && askedOf(select, named, isDescending, from, standing, types))
  if (shown === undefined) return undefined
  return { by, cut: { column: by.column, isDescending, areNullsFirst, limit, shown } }
}

/**
 * Says the same of the parts of a set operation whose answer is the statement's: what is behind its last row comes from their rows of that value.
 *
 * @param answer  that of the set operation
 */
export function cutArms(
  select: SelectStmt,
  { outputs, isComplete }: Pick<SelectAnswer, 'outputs' | 'isComplete'>,
  arms: readonly SelectAnswer[],
): void {
  const order = orderIn(select)
  if (!order || !isComplete) return
  const number = as('A_Const', order.node)?.ival?.ival
  const [name] = strings(as('ColumnRef', order.node)?.fields)
  const shown = number === undefined ? outputs.findIndex((output) => output.name === name) : number - 1
  const column = outputs[shown]?.column?.column
  if (!column || !orderOf(column)) return
  const { isDescending, areNullsFirst, limit } = order
  const cut = { column, isDescending, areNullsFirst, limit, shown }
  for (const { open, outputs: own } of arms)
    for (const each of open) each.formulas.push({ kind: 'cut', column: own[shown]!.column!, cut })
}

/** ORDER BY's first item, and LIMIT. */
function orderIn(
  select: SelectStmt,
): (Pick<Cut, 'isDescending' | 'areNullsFirst' | 'limit'> & { node: Node | undefined }) | undefined {
  const sort = as('SortBy', select.sortClause?.[0])
  const limit = readValue(select.limitCount)
  if (!sort || !limit || sort.useOp?.length || sort.sortby_dir === 'SORTBY_USING') return undefined
  const isDescending = sort.sortby_dir === 'SORTBY_DESC'
  const nulls = sort.sortby_nulls
  const areNullsFirst = nulls === 'SORTBY_NULLS_FIRST' || (isDescending && nulls !== 'SORTBY_NULLS_LAST')
  return { node: sort.node, isDescending, areNullsFirst, limit }
}

/** undefined where the answer does not show it. */
function placeIn(by: BoundColumn, select: SelectStmt, from: Item): Cut['shown'] | undefined {
  const { relation } = by.occurrence
  const place = placeOf(by, select, from)
  if (place !== undefined || hasPlaces(select, from)) return place
  return relation && { table: relation.oid, number: by.column.number }
}

/** What is sorted by: a name means a column of the answer before one of FROM; a number a place in the answer. */
function sortedBy(node: Node | undefined, { targetList = [] }: SelectStmt): Node | undefined {
  const targets = targetList.flatMap((each) => as('ResTarget', each) ?? [])
  const place = as('A_Const', node)?.ival
  if (place) {
    const before = targets.slice(0, place.ival ?? 0)
    return before.some(({ val }) => isStar(val)) ? undefined : before.at(-1)?.val
  }
  const fields = as('ColumnRef', node)?.fields ?? []
  const [name] = strings(fields)
  const called = targets.filter(({ name: own, val }) => (own ?? strings(as('ColumnRef', val)?.fields).at(-1)) === name)
  if (fields.length !== 1 || called.length === 0) return node
  return called.length === 1 ? called[0]!.val : undefined
}

function isStar(node: Node | undefined): boolean {
  const last = as('ColumnRef', node)?.fields?.at(-1)
  return last !== undefined && as('A_Star', last) !== undefined
}

/**
 * Leaves out of a set the rows behind a cut.
 *
 * @param column  the set's column that it cuts by
 * @param end  the last row's value
 */
export function shortened(
  set: RowSet,
  column: Column,
  { isDescending }: Cut,
  takesNull: boolean,
  end: string,
  identity: FollowedTable | undefined,
): readonly RowSet[] {
  const order = orderOf(column)!
  const isBound = set.equal.some((each) => each.column.number === column.number)
  if (isBound) return [withoutBehind(set, column, (value) => isBehind(value, end, order, isDescending))]
  // What names rows by their identity needs no old values.
  const isNamed = identity?.columns.every((name) => set.equal.some((each) => each.column.name === name)) ?? false
  if (isNamed) return [set]
  const range: Range = {
    column: column.name,
    order,
    [isDescending ? 'from' : 'to']: { value: end, isIncluded: true },
  }
  const own = { ...set, ...(set.range ? { also: [...set.also, { is: 'range', ...range } as const] } : { range }) }
  const isRange = set.range?.column === column.name || set.also.some((each) => each.column === column.name)
  // NULL is in no range.
  return takesNull && !isRange ? [own, { ...set, equal: withNull(set, column) }] : [own]
}

/** Of the values that are named those that are not behind the end. */
function withoutBehind(set: RowSet, column: Column, isOut: (value: string) => boolean): RowSet {
  const equal = set.equal.map((each) =>
    each.column.number === column.number
      ? { column: each.column, values: each.values.filter((value) => value === null || !isOut(value)) }
      : each,
  )
  return equal.some(({ values }) => values.length === 0) ? noRow(column) : { ...set, equal }
}

function isBehind(value: string, end: string, order: Order, isDescending: boolean): boolean {
  const [key, last] = [keyOf(order, value), keyOf(order, end)]
  if (key === undefined || last === undefined) return false
  const side = compareKeys(order, key, last)
  return isDescending ? side < 0 : side > 0
}

function withNull({ equal }: RowSet, column: Column): RowSet['equal'] {
  return [...equal, { column, values: [null] }].sort((left, right) => (left.column.name < right.column.name ? -1 : 1))
}
