import type { Change, Image, RowChange, TableChange, Target } from '../log/change.js'
import {
  type Condition,
  type Dependency,
  type Range,
  type RowsDependency,
  type RowTest,
  type TableDependency,
  VERSION,
} from './dependency.js'
import { compareKeys, type Key, keyOf, type Order } from './order.js'
import { reachOfKey } from './pattern.js'
import { judge } from './predicate.js'

/**
 * How far a change reaches a dependency. `coarse`: it may not concern it at all, but the log does not tell the values that would
 * decide, so it counts as touching it. `unchanged`: it concerns its rows, but changed no column that is read.
 */
export type Reach = 'none' | 'unchanged' | 'exact' | 'coarse'

/** What of a dependency says whether something that happened to its whole table matters. */
type Reached =
  | Pick<TableDependency, 'kind' | 'reads'>
  | (Pick<RowsDependency, 'kind' | 'reads' | 'old'> & { readonly also?: readonly Condition[] })

type ColumnOf = (change: RowChange, column: string) => string | null | undefined

/** Whether a row satisfies a condition; `unknown` if the log does not tell. */
type Truth = 'yes' | 'no' | 'unknown'

/** Whether the change makes what depends on this stale. Agrees exactly with what `DependencyIndex.resolve` finds. */
export function touches(dependency: Dependency, change: Change): boolean {
  const reached = reach(dependency, change)
  return reached === 'exact' || reached === 'coarse'
}

/** Like `touches`, and says why or why not. Pure. */
export function reach(dependency: Dependency, change: Change): Reach {
  switch (change.kind) {
    case 'row':
      if (!('table' in dependency) || dependency.table !== change.table) return 'none'
      if (dependency.kind === 'rows') return rowReach(dependency, change)
      return isUnchanged(change, dependency.reads) ? 'unchanged' : 'exact'
    case 'table': {
      if (!('table' in dependency) || dependency.table !== change.table) return 'none'
      return rules.isTableReached(dependency, change.reason) ? 'exact' : 'none'
    }
    case 'everything':
      return 'table' in dependency ? 'exact' : 'none'
    case 'target':
      return targetsReach(dependency, change.targets)
    default:
      change satisfies never
      return 'coarse'
  }
}

function targetsReach(dependency: Dependency, targets: readonly Target[]): Reach {
  let reached: Reach = 'none'
  for (const target of targets) {
    if (dependency.kind === 'tag') {
      if (target.kind === 'tag' && dependency.tag === target.tag && dependency.tenant === target.tenant) return 'exact'
    } else if (dependency.kind === 'key') {
      const each = rules.reachOfKey(target, dependency.tenant, dependency.key)
      if (each === 'exact') return 'exact'
      if (each === 'coarse') reached = 'coarse'
    }
  }
  return reached
}

/** No row at all satisfies it. */
function isOfNoRow({ also }: Pick<RowsDependency, 'also'>): boolean {
  return also?.some((each) => each.is === 'in' && each.values.length === 0) ?? false
}

/** The dependency is of the change's table. */
export function rowReach(dependency: RowsDependency, change: RowChange): Reach {
  // What changes nothing brings no row and takes none, whether it satisfies this or not.
  if (!dependency.reads && isUnchanged(change, undefined)) return 'none'
  const after = change.op === 'delete' ? 'no' : satisfies(dependency, change, valueAfter)
  const before = change.op === 'insert' ? 'no' : satisfies(dependency, change, valueBefore)
  if (dependency.test) return testedReach(dependency, dependency.test, change, before, after)
  if (after === 'yes' && rules.isAlike(before, after) && isUnchanged(change, dependency.reads)) {
    // Folding takes more for equal than the query does: there a row may have come or gone.
    if (isUnchanged(change, foldedColumns(dependency))) return 'unchanged'
  }
  return reachOf(dependency, before, after)
}

function reachOf({ old }: RowsDependency, before: Truth, after: Truth): Reach {
  if (after === 'yes' || (before === 'yes' && old !== 'ignored')) return 'exact'
  return after === 'unknown' || (before === 'unknown' && isCoarse(old)) ? 'coarse' : 'none'
}

/** Whether an old value that is not told counts as touching. */
export function isCoarse(old: RowsDependency['old']): boolean {
  return old === 'coarse' || old === 'passed'
}

/** @param before @param after  whether the row satisfies the rest */
function testedReach(dependency: RowsDependency, test: RowTest, change: RowChange, before: Truth, after: Truth): Reach {
  const mayLeave = before === 'yes' || (before === 'unknown' && isCoarse(dependency.old))
  if (after === 'no' && !mayLeave) return 'none'
  const was = change.op === 'insert' ? 'no' : meets(test, change, valueBefore)
  const is = change.op === 'delete' ? 'no' : meets(test, change, valueAfter)
  if (was === 'no' && is === 'no') return 'none'
  if (was === 'yes' && is === 'yes' && isUnchanged(change, dependency.reads)) return 'unchanged'
  return reachOf(dependency, both(before, was), both(after, is))
}

function meets({ holds }: RowTest, change: RowChange, columnOf: ColumnOf): Truth {
  const verdict = judge(holds, (column) => columnOf(change, column))
  return verdict === 'yes' ? 'yes' : verdict === 'untold' ? 'unknown' : 'no'
}

function both(one: Truth, other: Truth): Truth {
  if (one === 'no' || other === 'no') return 'no'
  return one === 'yes' && other === 'yes' ? 'yes' : 'unknown'
}

/**
 * Whether the change is an update of which it is known that it left all these columns as they were; undefined stands for all columns
 * that there are.
 */
export function isUnchanged(change: RowChange, reads: readonly string[] | undefined): boolean {
  if (change.op !== 'update' || !change.new) return false
  for (const column of reads ?? Object.keys(change.new)) {
    if (column === VERSION) return false
    const now = valueIn(change.new, column)
    // What an update leaves out it did not change (TOAST).
    if (now !== undefined && now !== valueIn(change.old, column)) return false
  }
  return true
}

/** A column of the row as it now is. One that the new image leaves out did not change (TOAST), so the old one may tell. */
export function valueAfter(change: RowChange, column: string): string | null | undefined {
  const value = valueIn(change.new, column)
  return value === undefined ? valueIn(change.old, column) : value
}

/** A column of the row as it was. */
export function valueBefore(change: RowChange, column: string): string | null | undefined {
  return valueIn(change.old, column)
}

/** A condition that is known to fail decides, whatever is unknown of the others. */
function satisfies(dependency: RowsDependency, change: RowChange, columnOf: ColumnOf): Truth {
  const { columns, values, orders, range, also } = dependency
  let truth: Truth = 'yes'
  for (let i = 0; i < columns.length; i++) {
    const each = equals(values[i]!, columnOf(change, columns[i]!), orders?.[i] ?? 'text')
    if (each === 'no') return 'no'
    if (each === 'unknown') truth = 'unknown'
  }
  if (range) {
    const each = isWithin(range, columnOf(change, range.column))
    if (each === 'no') return 'no'
    if (each === 'unknown') truth = 'unknown'
  }
  if (also) {
    for (const condition of also) {
      const each = holds(condition, columnOf(change, condition.column))
      if (each === 'no') return 'no'
      if (each === 'unknown') truth = 'unknown'
    }
  }
  return truth
}

function foldedColumns({ columns, orders, also }: RowsDependency): readonly string[] {
  if (!orders?.includes('folded') && !also) return []
  const inAlso = (also ?? []).flatMap((each) => ('order' in each && each.order === 'folded' ? [each.column] : []))
  return [...columns.filter((_, i) => orders?.[i] === 'folded'), ...inAlso]
}

function equals(wanted: string | null, value: string | null | undefined, order: Order): Truth {
  if (value === undefined) return 'unknown'
  if (order === 'text' || value === null || wanted === null) return value === wanted ? 'yes' : 'no'
  const key = keyOf(order, value)
  if (key === undefined) return 'unknown'
  return key === keyOf(order, wanted) ? 'yes' : 'no'
}

function holds(condition: Condition, value: string | null | undefined): Truth {
  if (condition.is === 'in' && condition.values.length === 0) return 'no'
  if (value === undefined) return 'unknown'
  switch (condition.is) {
    case 'range':
      return isWithin(condition, value)
    case 'null':
      return value === null ? 'yes' : 'no'
    case 'not-null':
      return value === null ? 'no' : 'yes'
    case 'in':
    case 'not-in': {
      if (value === null) return 'no'
      const key = keyOf(condition.order, value)
      if (key === undefined) return 'unknown'
      const isIn = condition.values.some((each) => keyOf(condition.order, each) === key)
      // It may differ from what it only folds to.
      if (isIn && condition.is === 'not-in' && condition.order === 'folded') return 'unknown'
      return isIn === (condition.is === 'in') ? 'yes' : 'no'
    }
    default:
      condition satisfies never
      return 'unknown'
  }
}

function isWithin({ order, from, to }: Range, value: string | null | undefined): Truth {
  if (value === undefined) return 'unknown'
  const key = value === null ? undefined : keyOf(order, value)
  if (key === undefined) return value === null ? 'no' : 'unknown'
  const [first, last] = [from && keyOf(order, from.value), to && keyOf(order, to.value)]
  const isInside =
    (first === undefined || rules.isAfter(order, key, first, from!.isIncluded)) &&
    (last === undefined || rules.isAfter(order, last, key, to!.isIncluded))
  return isInside ? 'yes' : 'no'
}

/** Judgements as functions, so that the simulation can plant the bug of getting one wrong. */
export const rules = {
  /** Whether `key` lies behind the bound, or on it where that is included. */
  isAfter(order: Order, key: Key, bound: Key, isIncluded: boolean): boolean {
    const side = compareKeys(order, key, bound)
    return side > 0 || (side === 0 && isIncluded)
  },
  /** Whether what happened to a whole table matters. */
  isTableReached(dependency: Reached, reason: TableChange['reason']): boolean {
    if (reason === 'columns-added') return dependency.reads === undefined
    // Rows that leave are left to others of the entry's dependencies; and of no row there is none to leave.
    return (
      reason !== 'truncate' || dependency.kind === 'table' || (dependency.old === 'coarse' && !isOfNoRow(dependency))
    )
  },
  /** Whether a row matters as it did: else it came or went, whatever was read of it. */
  isAlike(before: Truth, after: Truth): boolean {
    return before === after
  },
  /** Whether a target names a key that is depended on. */
  reachOfKey,
}

function valueIn(image: Image | null, column: string): string | null | undefined {
  const value: unknown = image?.[column]
  // A column may be called `constructor`: what an image inherits is no value.
  return typeof value === 'string' || value === null ? value : undefined
}
