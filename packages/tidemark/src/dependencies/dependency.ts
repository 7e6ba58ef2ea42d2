import type { Order } from './order.js'
import type { Predicate } from './predicate.js'

/**
 * What an entry was computed from. Tags and keys carry their tenant; rows and tables belong to the source.
 */
export type Dependency =
  | { readonly kind: 'tag'; readonly tenant: string; readonly tag: string }
  | { readonly kind: 'key'; readonly tenant: string; readonly key: string }
  | TableDependency
  | RowsDependency

/** As a column that is read: it counts as changed by every update, also by one that leaves all columns as they were. */
export const VERSION = ''

/**
 * All rows of a table. `reads` are the columns whose change matters; absent: all of them; none of them (`[]`): only rows that come
 * and go matter, as for `count(*)`. An update that changes nothing matters only where `VERSION` is read.
 */
export interface TableDependency {
  readonly kind: 'table'
  readonly table: string
  readonly reads?: readonly string[]
}

/**
 * The rows of `table` that satisfy all of this: `columns` (sorted by name) equal `values`, `range` holds, each of `also` holds.
 *
 * Values are texts as the log sends them; null stands for IS NULL. They are compared under `orders` (by column; absent: as text),
 * and must have a key there (`keyOf`).
 */
export interface RowsDependency {
  readonly kind: 'rows'
  readonly table: string
  readonly columns: readonly string[]
  readonly values: readonly (string | null)[]
  readonly orders?: readonly Order[]
  /** Indexed: a change finds the ranges that hold its value in logarithmic time. */
  readonly range?: Range
  /** Looked at for each dependency that the rest has found. */
  readonly also?: readonly Condition[]
  /**
   * What else decides whether a row counts. A row that meets it before and after, and changes none of `reads`, does not matter, however it
   * stands to the rest; nor does one that meets it neither before nor after.
   */
  readonly test?: RowTest
  /** Columns whose change matters in a row that satisfies all of it before and after; absent: all. */
  readonly reads?: readonly string[]
  /**
   * What happens when a change does not tell the old values that decide. `members`: other dependencies of the same entry name every
   * row of its answer by identity, so the new image suffices; `coarse`: the change counts as touching this. `ignored`: as `members`, and
   * rows that leave are left to those others also where the old values are known. `passed`: as `coarse`, of a row that was let pass
   * (partners.ts): it may leave with all others.
   */
  readonly old: 'members' | 'coarse' | 'ignored' | 'passed'
}

/** A condition on a row, with the columns that it names. */
export interface RowTest {
  readonly columns: readonly string[]
  readonly holds: Predicate
}

/** Values of a column between two ends; without an end, all on that side. NULL lies in no range. */
export interface Range {
  readonly column: string
  readonly order: Order
  readonly from?: Bound
  readonly to?: Bound
}

export interface Bound {
  readonly value: string
  readonly isIncluded: boolean
}

/** `in` and `not-in` hold for no NULL, as in SQL. */
export type Condition =
  | ({ readonly is: 'range' } & Range)
  | {
      readonly is: 'in' | 'not-in'
      readonly column: string
      readonly order: Order
      readonly values: readonly string[]
    }
  | { readonly is: 'null' | 'not-null'; readonly column: string }
