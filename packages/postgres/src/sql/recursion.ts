import type { CommonTableExpr, SelectStmt } from './ast.js'
import { as, strings } from './ast.js'
import type { Formula } from './conditions.js'
import type { Reads } from './reads.js'
import type { BoundColumn, Output, SelectAnswer } from './scope.js'

/*
 * What a recursive query finds is known when it ran. A statement that shows all of it says so by its answer, and what the second part is
 * joined to is among that: of `… from nodes n join tree t on n.parent_id = t.id` the rows matter whose parent is in the answer. From no other
 * row does anything follow while the answer is what it is.
 */

/** A query of WITH RECURSIVE all of whose rows the statement shows. */
export interface Recursion {
  readonly name: string
  readonly first: SelectStmt
  readonly next: SelectStmt
  /** The columns' names, as far as they are given. */
  readonly names: readonly string[]
  /** Which column of the answer shows the one of this name, or at this place; undefined if none does. */
  placeOf(name: string, index: number): number | undefined
}

/** @param statement  the whole: what is a part of another shows nothing */
export function recursionOf(statement: SelectStmt, query: CommonTableExpr): Recursion | undefined {
  const { ctename: name = '', ctequery, aliascolnames, ...more } = query
  const select = as('SelectStmt', ctequery)
  const isPlain = select?.op === 'SETOP_UNION' && !select.withClause && !select.sortClause && !isCut(select)
  const isOther = 'search_clause' in more || 'cycle_clause' in more
  if (!isPlain || isOther || !select.larg || !select.rarg) return undefined
  const placeOf = placesIn(statement, name)
  return placeOf && { name, first: select.larg, next: select.rarg, names: strings(aliascolnames), placeOf }
}

/** Undefined unless it shows each row as it is. */
function placesIn(statement: SelectStmt, name: string): Recursion['placeOf'] | undefined {
  const { fromClause = [], targetList = [], whereClause, groupClause, havingClause, distinctClause, op } = statement
  const table = fromClause.length === 1 ? as('RangeVar', fromClause[0]) : undefined
  const isAll = table?.relname === name && !table.schemaname && !table.alias?.colnames && !isCut(statement)
  if (!isAll || whereClause || groupClause || havingClause || distinctClause || (op && op !== 'SETOP_NONE'))
    return undefined
  const shown = targetList.map((node) => as('ColumnRef', as('ResTarget', node)?.val)?.fields)
  // A call may answer no row for one.
  if (!shown.every((fields) => fields !== undefined)) return undefined
  const isStar = shown.map((fields) => as('A_Star', fields.at(-1)) !== undefined)
  if (isStar.includes(true)) return isStar.length === 1 ? (_, index) => index : undefined
  return (column) => {
    const place = shown.findIndex((fields) => strings(fields).at(-1) === column)
    return place < 0 ? undefined : place
  }
}

function isCut({ limitCount, limitOffset }: SelectStmt): boolean {
  return limitCount !== undefined || limitOffset !== undefined
}

/** What the second part sees of the whole. @param first  what the first part answers: the columns have its types */
export function shownAnswer(
  first: SelectAnswer,
  { names, placeOf }: Recursion,
  reads: Reads,
): SelectAnswer | undefined {
  if (!first.isComplete) return undefined
  const outputs = first.outputs.map((output, index) => ({ ...output, name: names[index] ?? output.name }))
  const columns = outputs.map(({ name, column }, index) => column && { ...column.column, name, number: index + 1 })
  const occurrence = reads.derived(columns.filter((column) => column !== undefined))
  const own = columns.map((column): BoundColumn | undefined => column && { occurrence, column })
  return {
    outputs: outputs.map(({ name }, index): Output => ({ name, column: own[index] })),
    isComplete: true,
    holds: own.flatMap((column, index): Formula[] => {
      const place = placeOf(outputs[index]!.name, index)
      return column && place !== undefined ? [{ kind: 'shown', column, place }] : []
    }),
    open: [],
    range: [occurrence.number, occurrence.number + 1],
  }
}
