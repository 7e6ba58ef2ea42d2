import type { Predicate, RowTest } from 'tidemark'
import type { Bounds, Choice } from './bounds.js'
import { equalityOf, isRanked, orderOf } from './canonical.js'
import type { Column } from './catalogue.js'
import { listOf, textOf } from './row-set.js'

/**
 * What of bounds one row's texts decide, as a test: then a row that moves within them stays. undefined if nothing is decided by which a
 * row could move.
 *
 * @param isAny  also a single value, within which no row moves
 * @returns the test, and the columns of the bounds that it does not decide
 */
export function boundsTestOf(
  bounds: Bounds,
  parameters: readonly unknown[],
  isAny = false,
): { readonly test: RowTest; readonly undecided: readonly Column[] } | undefined {
  const parts: Predicate[] = []
  const decided = new Set<Column>()
  const undecided = new Set<Column>()
  let isWorth = isAny
  for (const { column, choice } of bounds) {
    if (choice.kind === 'beside') continue
    const part = predicateOf(column, choice, parameters)
    if (!part) {
      undecided.add(column)
      continue
    }
    parts.push(part)
    decided.add(column)
    isWorth ||= part.is !== 'one-of' || part.values.length > 1
  }
  if (!isWorth || parts.length === 0) return undefined
  const columns = [...decided].map(({ name }) => name).sort()
  return { test: { columns, holds: { is: 'and', parts } }, undecided: [...undecided] }
}

function predicateOf(column: Column, choice: Choice, parameters: readonly unknown[]): Predicate | undefined {
  const term = { of: 'column', column: column.name } as const
  const order = equalityOf(column)
  if (choice.kind === 'not-null') return { is: 'not', part: { is: 'absent', term } }
  if (!order || order === 'folded') return undefined
  switch (choice.kind) {
    case 'in':
    case 'any':
    case 'not-in':
    case 'not-any': {
      const values = listOf(column, choice, parameters)
      if (('takesNull' in choice && choice.takesNull) || !values?.every((value) => value !== undefined))
        return undefined
      // Of none NULL, too, differs from all.
      if (choice.kind === 'not-any' && values.length === 0) return undefined
      const list: Predicate = { is: 'one-of', order, term, values }
      return choice.kind === 'in' || choice.kind === 'any' ? list : { is: 'not', part: list }
    }
    case 'compare': {
      const [ranged, value] = [orderOf(column), textOf(column, choice.value, parameters)]
      if (!ranged || isRanked(column) || typeof value !== 'string') return undefined
      return { is: 'compared', operator: choice.operator, order: ranged, left: term, right: { of: 'constant', value } }
    }
    default:
      return undefined
  }
}
