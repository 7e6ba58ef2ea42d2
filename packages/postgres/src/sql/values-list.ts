import type { Node } from './ast.js'
import { as } from './ast.js'
import { BOOL, DATE, INT2, INT4, INT8, TEXT, UUID } from './canonical.js'
import type { Column } from './catalogue.js'
import type { Formula } from './conditions.js'
import type { Reads } from './reads.js'
import type { Output, SelectAnswer } from './scope.js'
import { readValue, typeOfValue, type Value } from './values.js'

/** Of other types a value may stand in an answer otherwise than it is written. */
const TYPES: ReadonlySet<number> = new Set([BOOL, INT2, INT4, INT8, TEXT, UUID, DATE])
/** The collation of a text that has no other. */
const DEFAULT_COLLATION = 100

/**
 * What `values (1), (2)` answers: columns that have one of some values. NULL is none of them: whose parameter is NULL equals nothing.
 *
 * @param types  type OIDs of the statement's parameters
 */
export function valuesAnswer(
  lists: readonly Node[],
  reads: Reads,
  types: readonly number[],
): Pick<SelectAnswer, 'outputs' | 'isComplete' | 'holds' | 'open'> {
  const rows = lists.map((each) => as('List', each)?.items ?? [])
  const columns = (rows[0] ?? []).map((_, index) => {
    const values = rows.map((row) => readValue(row[index]))
    const isKnown = values.every((value) => value !== undefined)
    return isKnown ? { values, column: columnOf(values, index, types) } : { values: [], column: undefined }
  })
  const occurrence = reads.derived(columns.flatMap(({ column }) => column ?? []))
  return {
    outputs: columns.map(({ column }, index): Output => {
      return { name: nameAt(index), column: column && { occurrence, column } }
    }),
    isComplete: true,
    holds: columns.flatMap(({ values, column }): Formula[] =>
      column ? [{ kind: 'in', column: { occurrence, column }, values }] : [],
    ),
    open: [],
  }
}

function nameAt(index: number): string {
  return `column${index + 1}`
}

/** undefined unless all are of one type. Texts without one are of type text. */
function columnOf(values: readonly Value[], index: number, types: readonly number[]): Column | undefined {
  const found = new Set(values.map((value) => ('first' in value ? undefined : typeOfValue(value, types))))
  const [first] = found
  const type = first === 0 ? TEXT : first
  if (found.size !== 1 || type === undefined || !TYPES.has(type) || values.some(isNull)) return undefined
  return {
    ...{ number: index + 1, name: nameAt(index), type, modifier: -1, kind: 'b', labels: null, arrayType: 0 },
    ...{ collation: type === TEXT ? DEFAULT_COLLATION : 0, isDeterministic: true, isBytewise: false, isFolded: false },
    ...{ isGenerated: false, hasOwnEquality: false, hasOwnOrder: false },
  }
}

function isNull(value: Value): boolean {
  return 'constant' in value && value.constant === null
}
