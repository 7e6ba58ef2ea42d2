import type { Range } from 'tidemark'
import type { FollowedTable } from '../wal/tables.js'
import type { Node, SelectStmt } from './ast.js'
import { as, strings } from './ast.js'
import type { Answered } from './bind.js'
import { orderOf, stored, TIMESTAMPTZ, wireText } from './canonical.js'
import type { Column } from './catalogue.js'
import { columnOf } from './conditions.js'
import type { Item } from './from.js'
import { placeOf } from './outputs.js'
import type { RowSet } from './row-set.js'
import type { BoundColumn, Level } from './scope.js'
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
  /** Which column of the statement's answer shows the order: by its place, or its table and number where it has no other place. */
  readonly shown: number | { readonly table: number; readonly number: number }
}

/**
 * Where the statement's own LIMIT cuts rows off, by the first column of its order; undefined if it does not, or can't be told. Not for
 * what answers with one row for many that are not equal in that column (windows, aggregates without GROUP BY).
 */
export function cutOf(
  select: SelectStmt,
  level: Level,
  from: Item,
): { readonly by: BoundColumn; readonly cut: Cut } | undefined {
  const sort = as('SortBy', select.sortClause?.[0])
  const limit = readValue(select.limitCount)
  if (!sort || !limit || sort.useOp?.length || sort.sortby_dir === 'SORTBY_USING') return undefined
  const by = sortedBy(sort.node, select, level)
  if (!by || !orderOf(by.column)) return undefined
  const { relation } = by.occurrence
  const shown = placeOf(by, select, from) ?? (relation && { table: relation.oid, number: by.column.number })
  if (shown === undefined) return undefined
  const isDescending = sort.sortby_dir === 'SORTBY_DESC'
  const nulls = sort.sortby_nulls
  const areNullsFirst = nulls === 'SORTBY_NULLS_FIRST' || (isDescending && nulls !== 'SORTBY_NULLS_LAST')
  return { by, cut: { column: by.column, isDescending, areNullsFirst, limit, shown } }
}

/** A name means a column of the answer before one of FROM; a number a place in the answer. */
function sortedBy(node: Node | undefined, { targetList = [] }: SelectStmt, level: Level): BoundColumn | undefined {
  const targets = targetList.flatMap((each) => as('ResTarget', each) ?? [])
  const place = as('A_Const', node)?.ival
  if (place) {
    const before = targets.slice(0, place.ival ?? 0)
    return before.some(({ val }) => isStar(val)) ? undefined : columnOf(before.at(-1)?.val, level)
  }
  const fields = as('ColumnRef', node)?.fields ?? []
  const [name] = strings(fields)
  const called = targets.filter(({ name: own, val }) => (own ?? strings(as('ColumnRef', val)?.fields).at(-1)) === name)
  if (fields.length !== 1 || called.length === 0) return columnOf(node, level)
  return called.length === 1 ? columnOf(called[0]!.val, level) : undefined
}

function isStar(node: Node | undefined): boolean {
  const last = as('ColumnRef', node)?.fields?.at(-1)
  return last !== undefined && as('A_Star', last) !== undefined
}

/**
 * The value of the last row that the answer shows, as the log has it; undefined if it is not as long as it may be, or that can't be told.
 *
 * @param parameters  the statement's values
 * @param isSingle  whether the statement reads the table, by its OID, in one place only
 */
export function endOf(
  { column, isDescending, limit, shown }: Cut,
  parameters: readonly unknown[],
  answered: Answered,
  isSingle: (table: number) => boolean,
): string | undefined {
  const text = 'constant' in limit ? limit.constant : wireText(parameters[limit.parameter - 1])
  const isFull = /^[1-9][0-9]*$/.test(text ?? '') && answered.rowCount >= Number(text)
  const field = typeof shown === 'number' ? shown : isSingle(shown.table) ? placeIn(answered, shown) : -1
  if (!isFull || field < 0) return undefined
  const value = answered.cell(answered.rowCount - 1, field)
  // A driver's Date has lost what is below a millisecond.
  if (!(value instanceof Date) || column.type !== TIMESTAMPTZ) return stored(column, value)
  const moment = wireText(new Date(value.getTime() + (isDescending ? -1 : 1)))
  return typeof moment === 'string' ? stored(column, moment) : undefined
}

function placeIn({ fields }: Answered, { table, number }: { table: number; number: number }): number {
  return fields.findIndex(({ tableID, columnID }) => tableID === table && columnID === number)
}

/**
 * Leaves out of a set the rows behind a cut.
 *
 * @param column  the set's column that it cuts by
 * @param end  see `endOf`
 */
export function shortened(
  set: RowSet,
  column: Column,
  { isDescending }: Cut,
  takesNull: boolean,
  end: string,
  identity: FollowedTable | undefined,
): readonly RowSet[] {
  const isBound = set.equal.some((each) => each.column.number === column.number)
  // What names rows by their identity needs no old values.
  const isNamed = identity?.columns.every((name) => set.equal.some((each) => each.column.name === name)) ?? false
  if (isBound || isNamed) return [set]
  const range: Range = {
    column: column.name,
    order: orderOf(column)!,
    [isDescending ? 'from' : 'to']: { value: end, isIncluded: true },
  }
  const own = { ...set, ...(set.range ? { also: [...set.also, { is: 'range', ...range } as const] } : { range }) }
  const isRange = set.range?.column === column.name || set.also.some((each) => each.column === column.name)
  // NULL is in no range.
  return takesNull && !isRange ? [own, { ...set, equal: withNull(set, column) }] : [own]
}

function withNull({ equal }: RowSet, column: Column): RowSet['equal'] {
  return [...equal, { column, values: [null] }].sort((left, right) => (left.column.name < right.column.name ? -1 : 1))
}
