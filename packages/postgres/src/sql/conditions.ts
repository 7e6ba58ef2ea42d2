import type { A_Const, A_Expr, Node, TypeName } from './ast.js'
import { as, strings } from './ast.js'
import {
  BOOL,
  BPCHAR,
  DATE,
  FLOAT4,
  FLOAT8,
  INT2,
  INT4,
  INT8,
  INTEGERS,
  NUMERIC,
  OID,
  TEXT,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from './canonical.js'
import type { BoundColumn, Level } from './scope.js'
import { resolve } from './scope.js'

/** A value that a statement compares with: a parameter, or a constant. `type` is its type's OID; 0 takes the other side's. */
export type Value =
  | { readonly parameter: number; readonly cast: number | undefined }
  | { readonly constant: string | null; readonly type: number; readonly node: A_Const | undefined }

/** What is known to hold. `true` stands for all that is not understood: leaving a condition out only widens. */
export type Formula =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Formula[] }
  | { readonly kind: 'same'; readonly left: BoundColumn; readonly right: BoundColumn }
  | { readonly kind: 'in'; readonly column: BoundColumn; readonly values: readonly Value[] }
  | {
      readonly kind: 'any'
      readonly column: BoundColumn
      readonly parameter: number
      readonly cast: number | undefined
    }
  | { readonly kind: 'null'; readonly column: BoundColumn }
  | { readonly kind: 'true' }

const TRUE: Formula = { kind: 'true' }
const NONE: Formula = { kind: 'and', parts: [] }

/** Built-in types that a cast may name. */
const TYPES: ReadonlyMap<string, number> = new Map([
  ['bool', BOOL],
  ['int8', INT8],
  ['int2', INT2],
  ['int4', INT4],
  ['text', TEXT],
  ['oid', OID],
  ['bpchar', BPCHAR],
  ['varchar', VARCHAR],
  ['date', DATE],
  ['float4', FLOAT4],
  ['float8', FLOAT8],
  ['timestamp', TIMESTAMP],
  ['timestamptz', TIMESTAMPTZ],
  ['numeric', NUMERIC],
  ['uuid', UUID],
])

/** Translates a condition into what it says of columns. */
export function formulaOf(condition: Node | undefined, level: Level): Formula {
  if (!condition) return NONE
  const logic = as('BoolExpr', condition)
  if (logic) {
    const parts = logic.args ?? []
    if (logic.boolop === 'NOT_EXPR') return negationOf(parts[0], level)
    return { kind: logic.boolop === 'OR_EXPR' ? 'or' : 'and', parts: parts.map((part) => formulaOf(part, level)) }
  }
  const expression = as('A_Expr', condition)
  if (expression) return comparisonOf(expression, level)
  const nullTest = as('NullTest', condition)
  if (nullTest) return nullTest.nulltesttype === 'IS_NULL' ? nullOf(nullTest.arg, level) : TRUE
  const truthTest = as('BooleanTest', condition)
  if (truthTest?.booltesttype === 'IS_TRUE') return formulaOf(truthTest.arg, level)
  if (truthTest?.booltesttype === 'IS_FALSE') return negationOf(truthTest.arg, level)
  return booleanOf(condition, level, 't')
}

export function same(left: BoundColumn | undefined, right: BoundColumn | undefined): Formula {
  return left && right ? { kind: 'same', left, right } : TRUE
}

function negationOf(condition: Node | undefined, level: Level): Formula {
  const logic = as('BoolExpr', condition)
  if (logic?.boolop === 'NOT_EXPR') return formulaOf(logic.args?.[0], level)
  return booleanOf(condition, level, 'f')
}

/** A column that stands for itself: `where published`. */
function booleanOf(node: Node | undefined, level: Level, constant: 't' | 'f'): Formula {
  const column = columnOf(node, level)
  return column ? { kind: 'in', column, values: [{ constant, type: BOOL, node: undefined }] } : TRUE
}

function nullOf(node: Node | undefined, level: Level): Formula {
  const column = columnOf(node, level)
  return column ? { kind: 'null', column } : TRUE
}

function comparisonOf({ kind, name, lexpr, rexpr }: A_Expr, level: Level): Formula {
  const operator = strings(name)
  if (operator.at(-1) !== '=' || (operator.length === 2 && operator[0] !== 'pg_catalog') || operator.length > 2)
    return TRUE
  switch (kind) {
    case 'AEXPR_OP':
      return equalOf(lexpr, rexpr, level)
    case 'AEXPR_IN':
      return inOf(lexpr, as('List', rexpr)?.items ?? [], level)
    case 'AEXPR_OP_ANY':
      return anyOf(lexpr, rexpr, level)
    default:
      return TRUE
  }
}

function equalOf(left: Node | undefined, right: Node | undefined, level: Level): Formula {
  const [leftRow, rightRow] = [as('RowExpr', left)?.args, as('RowExpr', right)?.args]
  if (leftRow && rightRow) {
    if (leftRow.length !== rightRow.length) return TRUE
    return { kind: 'and', parts: leftRow.map((part, index) => equalOf(part, rightRow[index], level)) }
  }
  const [leftColumn, rightColumn] = [columnOf(left, level), columnOf(right, level)]
  if (leftColumn && rightColumn) return same(leftColumn, rightColumn)
  const column = leftColumn ?? rightColumn
  const value = readValue(leftColumn ? right : left)
  return column && value ? { kind: 'in', column, values: [value] } : TRUE
}

function inOf(left: Node | undefined, items: readonly Node[], level: Level): Formula {
  if (as('RowExpr', left)) return { kind: 'or', parts: items.map((item) => equalOf(left, item, level)) }
  const column = columnOf(left, level)
  const values = items.flatMap((item) => readValue(item) ?? [])
  return column && values.length === items.length ? { kind: 'in', column, values } : TRUE
}

function anyOf(left: Node | undefined, right: Node | undefined, level: Level): Formula {
  const elements = as('A_ArrayExpr', right)?.elements
  if (elements) return inOf(left, elements, level)
  const column = columnOf(left, level)
  const cast = as('TypeCast', right)
  const parameter = as('ParamRef', cast ? cast.arg : right)?.number
  const type = cast && typeOf(cast.typeName, true)
  if (!column || !parameter || (cast && type === undefined)) return TRUE
  return { kind: 'any', column, parameter, cast: type }
}

function columnOf(node: Node | undefined, level: Level): BoundColumn | undefined {
  const fields = as('ColumnRef', node)?.fields
  const parts = strings(fields)
  if (!fields || parts.length !== fields.length) return undefined
  const resolved = resolve(level, parts)
  return typeof resolved === 'string' ? undefined : resolved
}

function readValue(node: Node | undefined): Value | undefined {
  const cast = as('TypeCast', node)
  const parameter = as('ParamRef', cast ? cast.arg : node)
  const type = cast && typeOf(cast.typeName, false)
  if (cast && type === undefined) return undefined
  if (parameter) return parameter.number ? { parameter: parameter.number, cast: type } : undefined
  const constant = as('A_Const', cast ? cast.arg : node)
  return constant && constantOf(constant, type)
}

/** A constant as its type's text. A cast that would write it differently (`true::text`, `1e3::text`) is not understood. */
function constantOf(node: A_Const, cast: number | undefined): Value | undefined {
  const constant = (text: string | null, type: number): Value => ({ constant: text, type: cast ?? type, node })
  if (node.isnull) return constant(null, 0)
  if (node.sval) return constant(node.sval.sval ?? '', 0)
  if (node.boolval)
    return cast === undefined || cast === BOOL ? constant(node.boolval.boolval ? 't' : 'f', BOOL) : undefined
  if (node.ival) return constant(String(node.ival.ival ?? 0), INT4)
  // A number with a point, or too large for an integer.
  const isNumber = cast === undefined || INTEGERS.has(cast) || cast === NUMERIC
  return node.fval && isNumber ? constant(node.fval.fval ?? '0', NUMERIC) : undefined
}

/** The type that a cast names, if it is built in and has no length (which would cut the value) or bounds other than asked for. */
function typeOf(name: TypeName | undefined, isArray: boolean): number | undefined {
  const parts = strings(name?.names)
  const isPlain = !name?.setof && !name?.pct_type && !name?.typmods && (name?.arrayBounds !== undefined) === isArray
  if (!isPlain || (parts.length === 2 && parts[0] !== 'pg_catalog') || parts.length > 2) return undefined
  return TYPES.get(parts.at(-1)!)
}
