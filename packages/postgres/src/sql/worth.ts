import type { Analysis, RowRead } from './analyse.js'
import type { Bounds, Choice } from './bounds.js'

/*
 * Which tables have rows is asked for in the round trip that asks for chains. Without one it costs a round trip of its own: that is worth it
 * where a table would be followed as a whole, and where the statement's last answer showed that rows lack partners.
 */

/** What leaves out few rows of a table, or none. */
const LOOSE: ReadonlySet<Choice['kind']> = new Set<Choice['kind']>(['not-null', 'cut', 'beside'])
/** Statements of which the last answer left room for rows without a partner. */
const SPARSE = new WeakSet<Analysis>()

/** Whether it is worth a question which tables have rows, and which partners there are. */
export function isWorthAsking(analysis: Analysis): boolean {
  return SPARSE.has(analysis) || analysis.rows.some(isNearlyWhole)
}

/** Takes how many rows an answer had: what the next fill goes by. */
export function noteAnswer(analysis: Analysis, rowCount: number): void {
  if (isSparse(analysis, rowCount)) SPARSE.add(analysis)
  else SPARSE.delete(analysis)
}

/** Where its bounds leave out next to nothing. */
function isNearlyWhole({ ways, uncut, isAll }: RowRead): boolean {
  if (isAll || typeof ways === 'string') return !isAll && uncut !== undefined
  return uncut !== undefined || ways.some((way) => way.every(({ choice }) => LOOSE.has(choice.kind)))
}

/** Tables are joined, and the answer is empty, or has fewer rows than values that are asked for. */
function isSparse({ rows }: Analysis, rowCount: number): boolean {
  if (rows.length < 2) return false
  return rows.some(({ ways }) => typeof ways !== 'string' && ways.some((way) => rowCount < valuesNamed(way)))
}

function valuesNamed(way: Bounds): number {
  return Math.max(
    1,
    ...way.map(({ choice }) => (choice.kind === 'in' ? choice.values.length : choice.kind === 'any' ? 2 : 1)),
  )
}
