import type { RowChange } from '../log/change.js'
import { isUnchanged, valueAfter, valueBefore } from './match.js'
import { keyOf, type Order } from './order.js'
import type { ColumnOf } from './predicate.js'

/*
 * Where it matters which values rows have, but not how many of them have these (EXISTS, IN, DISTINCT, UNION), a row that has a twin may come or
 * go. docs/decisions/twins.md proves it.
 */

/** Rows of a table of which one is as good as several that are alike. */
export interface Twins {
  /** All columns that are read of it. The order must tell any two texts apart that a query could: two rows with the same keys are twins. */
  readonly columns: readonly Ordered[]
  /** What names a row. */
  readonly key: readonly Ordered[]
  /**
   * By `twinOf` the columns, the rows by `twinOf` their keys: those that were there when the entry was loaded, as far as they are known. It
   * is changed by what the log tells from then on.
   */
  readonly rows: Map<string, Set<string>>
}

interface Ordered {
  readonly column: string
  readonly order: Order
}

/** The values of a row as one text; undefined if one is not told. */
export function twinOf(columns: readonly Ordered[], columnOf: ColumnOf): string | undefined {
  const keys: (string | null)[] = []
  for (const { column, order } of columns) {
    const text = columnOf(column)
    const key = text === null || text === undefined ? text : keyOf(order, text)
    if (key === undefined) return undefined
    // JSON has no infinity.
    keys.push(key === null ? null : String(key))
  }
  return JSON.stringify(keys)
}

/** Whether there is another row like this: as the change left it, or found it. */
export function hasTwin(twins: Twins, change: RowChange, columnOf: ColumnOf): boolean {
  // It is its own twin.
  if (
    isUnchanged(
      change,
      [...twins.columns, ...twins.key].map(({ column }) => column),
    )
  )
    return true
  const values = twinOf(twins.columns, columnOf)
  const others = values === undefined ? undefined : twins.rows.get(values)
  if (!others) return false
  const itself = keysOf(twins, change)
  if (itself.includes(undefined)) return false
  for (const other of others) if (!itself.includes(other)) return true
  return false
}

/** Takes a change of a row that is let pass. */
export function follow(twins: Twins, change: RowChange): void {
  const { columns, rows } = twins
  const itself = keysOf(twins, change)
  for (const [values, others] of rows) {
    for (const key of itself) if (key !== undefined) others.delete(key)
    if (others.size === 0) rows.delete(values)
  }
  if (change.op === 'delete') return
  const values = twinOf(columns, (column) => valueAfter(change, column))
  const key = twinOf(twins.key, (column) => valueAfter(change, column))
  if (values === undefined || key === undefined) return
  rows.set(values, (rows.get(values) ?? new Set()).add(key))
}

/** The row's names before and after. */
function keysOf({ key }: Twins, change: RowChange): (string | undefined)[] {
  const names: (string | undefined)[] = []
  if (change.op !== 'insert') names.push(twinOf(key, (column) => valueBefore(change, column)))
  if (change.op !== 'delete') names.push(twinOf(key, (column) => valueAfter(change, column)))
  return names
}
