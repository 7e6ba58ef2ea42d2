import type { Range } from 'tidemark'
import type { FollowedTable } from '../wal/tables.js'
import type { Node, SelectStmt } from './ast.js'
import { as, strings } from './ast.js'
import type { Answered } from './bind.js'
import { orderOf, stored, TIMESTAMPTZ, wireText } from './canonical.js'
import type { Column, Relation } from './catalogue.js'
import { columnOf } from './conditions.js'
import type { RowSet } from './row-set.js'
import type { BoundColumn, Level } from './scope.js'
import { readValue, type Value } from './values.js'

/** ORDER BY with LIMIT: of the rows behind the last one that is shown none matters, until one of those before it goes. */
export interface Cut {
  readonly column: Column
  readonly isDescending: boolean
  readonly areNullsFirst: boolean
  readonly limit: Value
}

/** Where a statement's LIMIT cuts off what follows in the order of a plain column of FROM; undefined if it does not, or can't be told. */
export function cutOf(select: SelectStmt, level: Level): { readonly by: BoundColumn; readonly cut: Cut } | undefined {
  const sort = as('SortBy', select.sortClause?.[0])
  const limit = readValue(select.limitCount)
  if (!sort || !limit || select.limitOffset || sort.useOp?.length) return undefined
  const by = sortedBy(sort.node, select, level)
  if (!by?.occurrence.relation || by.occurrence.isNullable || !orderOf(by.column)) return undefined
  const isDescending = sort.sortby_dir === 'SORTBY_DESC'
  if (sort.sortby_dir === 'SORTBY_USING') return undefined
  const nulls = sort.sortby_nulls
  const areNullsFirst = nulls === 'SORTBY_NULLS_FIRST' || (isDescending && nulls !== 'SORTBY_NULLS_LAST')
  return { by, cut: { column: by.column, isDescending, areNullsFirst, limit } }
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
 * Leaves out of the sets the rows behind the last one that the answer shows, if it is as long as it may be.
 *
 * @param parameters  the statement's values
 */
export function shortened(
  sets: readonly RowSet[],
  relation: Relation,
  identity: FollowedTable | undefined,
  { column, isDescending, areNullsFirst, limit }: Cut,
  parameters: readonly unknown[],
  answered: Answered,
): readonly RowSet[] {
  const text = 'constant' in limit ? limit.constant : wireText(parameters[limit.parameter - 1])
  const field = answered.fields.findIndex(
    ({ tableID, columnID }) => tableID === relation.oid && columnID === column.number,
  )
  const isFull = /^[1-9][0-9]*$/.test(text ?? '') && answered.rowCount >= Number(text)
  if (!isFull || field < 0) return sets
  const value = endOf(column, answered.cell(answered.rowCount - 1, field), isDescending)
  if (value === undefined) return sets
  const range: Range = {
    column: column.name,
    order: orderOf(column)!,
    [isDescending ? 'from' : 'to']: { value, isIncluded: true },
  }
  return sets.flatMap((set) => {
    const own = { ...set, ...(set.range ? { also: [...set.also, { is: 'range', ...range } as const] } : { range }) }
    const isBound = set.equal.some((each) => each.column.number === column.number)
    // What names rows by their identity needs no old values.
    const isNamed = identity?.columns.every((name) => set.equal.some((each) => each.column.name === name)) ?? false
    const isRange = set.range?.column === column.name || set.also.some((each) => each.column === column.name)
    if (isBound || isNamed) return [set]
    // NULL is in no range.
    return areNullsFirst && !isRange ? [own, { ...set, equal: withNull(set, column) }] : [own]
  })
}

function withNull({ equal }: RowSet, column: Column): RowSet['equal'] {
  return [...equal, { column, values: [null] }].sort((left, right) => (left.column.name < right.column.name ? -1 : 1))
}

/** The end of the range. A driver's Date has lost what is below a millisecond. */
function endOf(column: Column, value: unknown, isDescending: boolean): string | undefined {
  if (!(value instanceof Date) || column.type !== TIMESTAMPTZ) return stored(column, value)
  const text = wireText(new Date(value.getTime() + (isDescending ? -1 : 1)))
  return typeof text === 'string' ? stored(column, text) : undefined
}
