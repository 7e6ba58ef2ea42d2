import { areAlike } from './canonical.js'
import type { Column } from './catalogue.js'
import { type Formula, nameOf, within } from './conditions.js'
import type { Item } from './from.js'
import type { Reads } from './reads.js'
import type { BoundColumn, Occurrence, Output, SelectAnswer } from './scope.js'

/*
 * A subquery in FROM (or a view, or a common table expression) is a place where rows come from, with columns that are names for others'.
 * What is said of such a column holds for the column behind it; and what holds inside holds for what is joined to it.
 */

/** What a subquery brings to FROM, under a name. `names` rename its first columns. */
export function derived(
  name: string,
  names: readonly string[],
  answer: SelectAnswer,
  reads: Reads,
  schema?: string,
): Item {
  // Where places are not known, an alias may rename any of them.
  const own = names.length > 0 && !answer.isComplete ? [] : answer.outputs
  const outputs = own.map((output, index) => ({ ...output, name: names[index] ?? output.name }))
  const occurrence = reads.derived(outputs.map(columnOf).filter((column) => column !== undefined))
  const columns = new Map<string, BoundColumn | undefined>()
  let isComplete = answer.isComplete
  for (const [index, output] of outputs.entries()) {
    const column = columnOf(output, index)
    // Of two columns of one name neither can be named.
    isComplete &&= !columns.has(output.name)
    columns.set(output.name, column && !columns.has(output.name) ? { occurrence, column } : undefined)
  }
  const links = linksOf(occurrence, outputs)
  for (const open of answer.open) open.formulas.push({ kind: 'and', parts: links })
  return {
    sources: [{ name, schema, columns, isComplete }],
    merged: new Map(),
    occurrences: [occurrence, ...answer.open],
    holds: [...links.map((link) => within(link, answer)), ...answer.holds],
  }
}

/** The answer of a set operation: of each column a name for those of its arms, where they compare alike. */
export function combined(op: string, arms: readonly SelectAnswer[], isCut: boolean, reads: Reads): SelectAnswer {
  const [first] = arms
  const isComplete = arms.every((arm) => arm.isComplete && arm.outputs.length === first!.outputs.length)
  if (!isComplete) return { outputs: [], isComplete: false, holds: [], open: [], range: rangeOf(arms) }
  const outputs = first!.outputs.map((output, index): Output => {
    const isAlike = arms.every(({ outputs: own }) => {
      const [left, right] = [output.column, own[index]!.column]
      return left && right && areAlike(left.column, right.column)
    })
    return isAlike ? output : { name: output.name, column: undefined }
  })
  const occurrence = reads.derived(outputs.map(columnOf).filter((column) => column !== undefined))
  const range = rangeOf(arms)
  const ways = arms.map((arm): Formula => {
    const own = outputs.map((output, index) => ({ ...output, column: output.column && arm.outputs[index]!.column }))
    const links = linksOf(occurrence, own)
    if (!isCut) for (const open of arm.open) open.formulas.push({ kind: 'and', parts: links })
    return { kind: 'and', parts: [...links.map((link) => within(link, { range })), ...arm.holds] }
  })
  return {
    outputs: outputs.map((output, index) => {
      const column = columnOf(output, index)
      return { name: output.name, column: column && { occurrence, column } }
    }),
    isComplete,
    holds: op === 'SETOP_UNION' ? [{ kind: 'or', parts: ways }] : op === 'SETOP_EXCEPT' ? [ways[0]!] : ways,
    open: isCut ? [] : [occurrence, ...arms.flatMap((arm) => arm.open)],
    range,
  }
}

/** Columns under new names: the first ones, as an alias lists them. */
export function renamed(
  columns: Map<string, BoundColumn | undefined>,
  names: readonly string[],
): Map<string, BoundColumn | undefined> {
  if (names.length === 0) return columns
  return new Map([...columns].map(([name, column], index) => [names[index] ?? name, column]))
}

function linksOf(occurrence: Occurrence, outputs: readonly Output[]): Formula[] {
  return outputs.flatMap((output, index) => {
    const column = columnOf(output, index)
    return column ? [nameOf({ occurrence, column }, output.column)] : []
  })
}

function columnOf({ name, column }: Output, index: number): Column | undefined {
  return column && { ...column.column, name, number: index + 1 }
}

function rangeOf(arms: readonly SelectAnswer[]): readonly [number, number] {
  return [Math.min(...arms.map(({ range }) => range[0])), Math.max(...arms.map(({ range }) => range[1]))]
}
