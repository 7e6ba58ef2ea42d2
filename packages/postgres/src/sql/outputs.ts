import type { Node, SelectStmt } from './ast.js'
import { as, strings } from './ast.js'
import { columnOf } from './conditions.js'
import type { Item } from './from.js'
import { levelOf } from './from.js'
import { type BoundColumn, isSameColumn, type Output, type SelectAnswer } from './scope.js'

/**
 * The columns of a SELECT's answer: those that are plain columns of its FROM, by name and place. Where it groups, only those that it
 * groups by: of the others a row of the answer shows one value of many.
 */
export function outputsOf(
  select: SelectStmt,
  from: Item,
  isGrouped: boolean,
): Pick<SelectAnswer, 'outputs' | 'isComplete'> {
  const { outputs, hasPlaces, hasNames } = listOf(select, from)
  const isComplete = hasPlaces && hasNames
  if (!isGrouped) return { outputs: hasPlaces ? outputs : named(outputs), isComplete }
  if (!hasPlaces) return { outputs: [], isComplete }
  // A column of FROM goes before a name of the list.
  const isNamed = from.sources.every((source) => source.isComplete)
  const level = levelOf(from, undefined)
  const groups = (select.groupClause ?? []).map((node) => groupOf(node, isNamed ? outputs : [], columnOf(node, level)))
  return {
    outputs: outputs.map((output) => (isIn(output, groups) ? output : { ...output, column: undefined })),
    isComplete,
  }
}

/** The place of a column in a SELECT's answer, from 0; undefined if it is not there, or can't be told. */
export function placeOf(column: BoundColumn, select: SelectStmt, from: Item): number | undefined {
  const { outputs, hasPlaces } = listOf(select, from)
  const place = outputs.findIndex((output) => output.column && isSameColumn(output.column, column))
  return hasPlaces && place >= 0 ? place : undefined
}

/** Whether it is known of each column of the answer where it stands. */
export function hasPlaces(select: SelectStmt, from: Item): boolean {
  return listOf(select, from).hasPlaces
}

function listOf(select: SelectStmt, from: Item): { outputs: Output[]; hasPlaces: boolean; hasNames: boolean } {
  const level = levelOf(from, undefined)
  const outputs: Output[] = []
  let hasPlaces = select.valuesLists === undefined
  let hasNames = true
  for (const node of select.targetList ?? []) {
    const target = as('ResTarget', node)
    const fields = as('ColumnRef', target?.val)?.fields
    if (fields && as('A_Star', fields.at(-1))) {
      const star = starOf(strings(fields), from)
      hasPlaces &&= star.isComplete
      outputs.push(...star.outputs)
      continue
    }
    const call = as('FuncCall', target?.val)?.funcname
    const name = target?.name ?? strings(fields ?? call).at(-1)
    // What PostgreSQL calls other expressions is not repeated here.
    hasNames &&= name !== undefined
    outputs.push({ name: name ?? '', column: columnOf(target?.val, level) })
  }
  return { outputs, hasPlaces, hasNames }
}

/** Those whose place does not matter as they are asked for by name. */
function named(outputs: readonly Output[]): Output[] {
  return outputs.filter(({ name }) => name !== '')
}

/** A place in the list, a column, or a name of the list. */
function groupOf(node: Node, outputs: readonly Output[], column: BoundColumn | undefined): BoundColumn | undefined {
  if (column) return column
  const place = as('A_Const', node)?.ival
  if (place) return outputs[(place.ival ?? 0) - 1]?.column
  const fields = as('ColumnRef', node)?.fields
  const called = outputs.filter(({ name }) => fields?.length === 1 && name === strings(fields)[0])
  return called.length === 1 ? called[0]!.column : undefined
}

function isIn({ column }: Output, groups: readonly (BoundColumn | undefined)[]): boolean {
  return groups.some((group) => group && column && isSameColumn(group, column))
}

/** `*` and `t.*`. Behind USING the order is another, so the places are not known. */
function starOf(parts: readonly string[], from: Item): Pick<SelectAnswer, 'outputs' | 'isComplete'> {
  const sources = from.sources.filter(({ name }) => parts.length === 0 || name === parts.at(-1))
  const isPlain = from.merged.size === 0 && (parts.length === 0 || sources.length === 1)
  const outputs = sources.flatMap(({ columns }) =>
    [...columns].map(([name, column]) => ({ name, column: from.merged.has(name) ? from.merged.get(name) : column })),
  )
  return { outputs, isComplete: isPlain && sources.length > 0 && sources.every(({ isComplete }) => isComplete) }
}
