import type { A_Expr, FuncCall, Node, SelectStmt } from './ast.js'
import { as, strings } from './ast.js'
import { BOOL, incomparable } from './canonical.js'
import type { Cut } from './cut.js'
import { valueIn } from './passed.js'
import type { BoundColumn, Level, Occurrence, SelectAnswer } from './scope.js'
import { isSameColumn, resolve } from './scope.js'
import { isHarmless, isSameConstant, readArray, readValue, typeOf, type Value } from './values.js'

export type Operator = '<' | '<=' | '>' | '>='

/**
 * What is known to hold. `true` stands for all that is not understood: leaving a condition out only widens. An `or` without parts
 * never holds. All but `null`, `cut` and those that take NULL fail for NULL.
 */
export type Formula =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Formula[] }
  | {
      readonly kind: 'same'
      readonly left: BoundColumn
      readonly right: BoundColumn
      /** One is a name for the other: NULL where that is NULL. */
      readonly isName?: boolean
      /** Occurrences for whose own rows it may not be used, by number: from, to (not included). */
      readonly notIn?: readonly [from: number, to: number]
    }
  /** `takesNull`: NULL is equal to NULL, and differs from all others (IS DISTINCT FROM). */
  | {
      readonly kind: 'in' | 'not-in'
      readonly column: BoundColumn
      readonly values: readonly Value[]
      readonly takesNull?: boolean
    }
  | {
      readonly kind: 'any' | 'not-any'
      readonly column: BoundColumn
      readonly parameter: number
      readonly cast: number | undefined
    }
  | { readonly kind: 'compare'; readonly column: BoundColumn; readonly operator: Operator; readonly value: Value }
  | {
      readonly kind: 'prefix'
      readonly column: BoundColumn
      readonly value: Value
      /** What takes a wildcard's meaning in a pattern of LIKE; undefined: the value is the prefix itself. */
      readonly escape: string | undefined
    }
  | { readonly kind: 'null' | 'not-null'; readonly column: BoundColumn }
  /** It is NULL, or one of the values that the column of the statement's answer at this place has. */
  | { readonly kind: 'shown'; readonly column: BoundColumn; readonly place: number }
  /** It is not behind the last row that a LIMIT lets through: known once that row is. */
  | { readonly kind: 'cut'; readonly column: BoundColumn; readonly cut: Cut }
  /** `holds` where the row has one of these, which stand on a side of an outer join that may be filled with NULLs. */
  | { readonly kind: 'if'; readonly present: readonly Occurrence[]; readonly holds: Formula }
  /** The table has a row for which all that is said of it holds. */
  | { readonly kind: 'there'; readonly occurrence: Occurrence }
  | { readonly kind: 'true' }
  /** Says nothing by itself: the condition that others of these are of, as it is written. */
  | { readonly kind: 'written'; readonly condition: Node; readonly level: Level }

const TRUE: Formula = { kind: 'true' }
/** No condition: all rows meet it. */
export const NONE: Formula = { kind: 'and', parts: [] }
const FALSE: Formula = { kind: 'or', parts: [] }

const OPPOSITE: Readonly<Record<string, string>> = { '=': '<>', '<>': '=', '<': '>=', '<=': '>', '>': '<=', '>=': '<' }
const TURNED: Readonly<Record<Operator, Operator>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }

/**
 * Translates a condition into what it says of columns where it is true; or, of three-valued logic's three, where it is false.
 */
function formulaOf(condition: Node | undefined, level: Level, isTrue = true): Formula {
  if (!condition) return NONE
  const logic = as('BoolExpr', condition)
  if (logic) {
    const parts = logic.args ?? []
    if (logic.boolop === 'NOT_EXPR') return formulaOf(parts[0], level, !isTrue)
    const isAnd = (logic.boolop === 'AND_EXPR') === isTrue
    return { kind: isAnd ? 'and' : 'or', parts: parts.map((part) => formulaOf(part, level, isTrue)) }
  }
  const expression = as('A_Expr', condition)
  if (expression) return comparisonOf(expression, level, isTrue)
  const nullTest = as('NullTest', condition)
  if (nullTest) return nullOf(nullTest.arg, level, (nullTest.nulltesttype === 'IS_NULL') === isTrue)
  const truthTest = as('BooleanTest', condition)
  if (truthTest) return truthOf(truthTest.booltesttype ?? '', truthTest.arg, level, isTrue)
  const link = as('SubLink', condition)
  if (link) return isTrue ? linkOf(link, level) : TRUE
  const call = as('FuncCall', condition)
  if (call) return isTrue ? callOf(call, level) : TRUE
  const constant = as('A_Const', condition)?.boolval
  if (constant) return (constant.boolval ?? false) === isTrue ? NONE : FALSE
  const column = columnOf(condition, level)
  return column ? { kind: 'in', column, values: [{ constant: isTrue ? 't' : 'f', type: BOOL, node: undefined }] } : TRUE
}

/** The same of WHERE or ON, each of whose conditions is kept as it is written, unless it is an equality of which all is said. */
export function conjunctionOf(condition: Node | undefined, level: Level): Formula {
  const logic = as('BoolExpr', condition)
  if (logic?.boolop === 'AND_EXPR')
    return { kind: 'and', parts: (logic.args ?? []).map((part) => conjunctionOf(part, level)) }
  const formula = formulaOf(condition, level)
  const isEquality =
    formula.kind === 'same' ||
    formula.kind === 'null' ||
    (formula.kind === 'in' && formula.values.length === 1 && !incomparable(formula.column.column))
  if (!condition || isEquality) return formula
  return { kind: 'and', parts: [formula, { kind: 'written', condition, level }] }
}

/** Whether no row at all meets it: `where false`. */
export function neverHolds(formula: Formula): boolean {
  if (formula.kind === 'or') return formula.parts.every(neverHolds)
  return formula.kind === 'and' && formula.parts.some(neverHolds)
}

/** What is left where a row need not be there: an aggregate answers without any. */
export function withoutPresence(formula: Formula): Formula {
  switch (formula.kind) {
    case 'and':
    case 'or':
      return { kind: formula.kind, parts: formula.parts.map(withoutPresence) }
    case 'if':
      return { ...formula, holds: withoutPresence(formula.holds) }
    default:
      return formula.kind === 'there' ? NONE : formula
  }
}

export function same(left: BoundColumn | undefined, right: BoundColumn | undefined): Formula {
  return left && right ? { kind: 'same', left, right } : TRUE
}

export function nameOf(left: BoundColumn | undefined, right: BoundColumn | undefined): Formula {
  return left && right ? { kind: 'same', left, right, isName: true } : TRUE
}

/** Inside a subquery it may not be used: rows that the subquery leaves out may be what decides which ones it has. */
export function within(formula: Formula, { range }: Pick<SelectAnswer, 'range'>): Formula {
  return formula.kind === 'same' ? { ...formula, notIn: range } : formula
}

/** The column that an expression is, if it is one; a cast that changes no comparison is looked through. */
export function columnOf(node: Node | undefined, level: Level): BoundColumn | undefined {
  const cast = as('TypeCast', node)
  if (cast) {
    const [column, type] = [columnOf(cast.arg, level), typeOf(cast.typeName, false)]
    return column && type !== undefined && isHarmless(column.column.type, type) ? column : undefined
  }
  const fields = as('ColumnRef', node)?.fields
  const parts = strings(fields)
  if (!fields || parts.length !== fields.length) return undefined
  const resolved = resolve(level, parts)
  return typeof resolved === 'string' ? undefined : resolved
}

function valueAt(node: Node | undefined, level: Level): Value | undefined {
  return readValue(valueIn(node, level))
}

function nullOf(node: Node | undefined, level: Level, isNull: boolean): Formula {
  const column = columnOf(node, level)
  return column ? { kind: isNull ? 'null' : 'not-null', column } : TRUE
}

/** `is true`, `is not false`, `is unknown` … */
function truthOf(test: string, node: Node | undefined, level: Level, isTrue: boolean): Formula {
  const [isNegated, truth] = [test.includes('_NOT_') === isTrue, test.replace('_NOT_', '_')]
  const column = columnOf(node, level)
  const unknown: Formula = column ? { kind: 'null', column } : TRUE
  // Where NULL will do, too, a row of a subquery may matter that equals nothing.
  const { sources, merged, outer, passed } = level
  const either: Level = { sources, merged, outer, ...(passed && { passed }) }
  const [yes, no] = [() => formulaOf(node, level, true), () => formulaOf(node, level, false)]
  switch (truth) {
    case 'IS_TRUE':
      return isNegated ? { kind: 'or', parts: [no(), unknown] } : yes()
    case 'IS_FALSE':
      return isNegated ? { kind: 'or', parts: [formulaOf(node, either, true), unknown] } : no()
    case 'IS_UNKNOWN':
      return isNegated ? { kind: 'or', parts: [formulaOf(node, either, true), no()] } : unknown
    default:
      return TRUE
  }
}

function comparisonOf({ kind, name, lexpr, rexpr }: A_Expr, level: Level, isTrue: boolean): Formula {
  const parts = strings(name)
  const operator = parts.at(-1) ?? ''
  if ((parts.length === 2 && parts[0] !== 'pg_catalog') || parts.length > 2) return TRUE
  switch (kind) {
    case 'AEXPR_OP': {
      const constant = operator === '=' ? isSameConstant(lexpr, rexpr) : undefined
      if (constant !== undefined) return constant === isTrue ? NONE : FALSE
      if (operator === '^@') return isTrue ? prefixOf(lexpr, rexpr, undefined, level) : TRUE
      return operatorOf(isTrue ? operator : OPPOSITE[operator], lexpr, rexpr, level)
    }
    case 'AEXPR_IN':
      return inOf(lexpr, as('List', rexpr)?.items ?? [], level, (operator === '=') === isTrue)
    case 'AEXPR_OP_ANY':
      return operator === '=' ? anyOf(lexpr, rexpr, level, isTrue) : TRUE
    case 'AEXPR_OP_ALL':
      return operator === '<>' ? anyOf(lexpr, rexpr, level, !isTrue) : TRUE
    case 'AEXPR_DISTINCT':
      return distinctOf(lexpr, rexpr, level, isTrue)
    case 'AEXPR_NOT_DISTINCT':
      return distinctOf(lexpr, rexpr, level, !isTrue)
    case 'AEXPR_LIKE':
      return (operator === '~~') === isTrue && ['~~', '!~~'].includes(operator) ? likeOf(lexpr, rexpr, level) : TRUE
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
      return betweenOf(kind, lexpr, rexpr, level, isTrue)
    case 'AEXPR_NOT_BETWEEN':
    case 'AEXPR_NOT_BETWEEN_SYM':
      return betweenOf(kind, lexpr, rexpr, level, !isTrue)
    default:
      return TRUE
  }
}

function operatorOf(
  operator: string | undefined,
  left: Node | undefined,
  right: Node | undefined,
  level: Level,
): Formula {
  const [leftRow, rightRow] = [as('RowExpr', left)?.args, as('RowExpr', right)?.args]
  if (leftRow && rightRow) return rowsOf(operator, leftRow, rightRow, level)
  const [leftColumn, rightColumn] = [columnOf(left, level), columnOf(right, level)]
  if (leftColumn && rightColumn && isSameColumn(leftColumn, rightColumn)) return ofItself(operator, leftColumn)
  switch (operator) {
    case '=': {
      if (leftColumn && rightColumn) return same(leftColumn, rightColumn)
      const column = leftColumn ?? rightColumn
      const other = leftColumn ? right : left
      const value = valueAt(other, level)
      if (column && value) return { kind: 'in', column, values: [value] }
      const link = as('SubLink', other)
      if (column && link?.subLinkType === 'EXPR_SUBLINK') return linkedTo([column], link.subselect, level, false)
      const call = column && as('FuncCall', other)
      const answer = call && level.call?.(call, level)
      return answer ? linkedWith([column], answer) : TRUE
    }
    case '<>': {
      const column = leftColumn ?? rightColumn
      const value = valueAt(leftColumn ? right : left, level)
      return column && value ? { kind: 'not-in', column, values: [value] } : TRUE
    }
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const column = leftColumn ?? rightColumn
      const value = valueAt(leftColumn ? right : left, level)
      return column && value
        ? { kind: 'compare', column, operator: leftColumn ? operator : TURNED[operator], value }
        : TRUE
    }
    default:
      return TRUE
  }
}

/** `x = x`: what is not NULL equals itself, NaN too, under operators of PostgreSQL's own. */
function ofItself(operator: string | undefined, column: BoundColumn): Formula {
  if (incomparable(column.column) || column.column.hasOwnOrder || !operator) return TRUE
  if (['=', '<=', '>='].includes(operator)) return { kind: 'not-null', column }
  return ['<>', '<', '>'].includes(operator) ? FALSE : TRUE
}

/** `(a, b) = (1, 2)` part by part; of `(a, b) > (1, 2)` what it says of the first, which narrows most. */
function rowsOf(operator: string | undefined, left: readonly Node[], right: readonly Node[], level: Level): Formula {
  if (left.length !== right.length || left.length === 0) return TRUE
  const each = (part: string): Formula[] => left.map((node, index) => operatorOf(part, node, right[index], level))
  switch (operator) {
    case '=':
      return { kind: 'and', parts: each('=') }
    case '<>':
      return { kind: 'or', parts: each('<>') }
    case '<':
    case '<=':
    case '>':
    case '>=':
      if (left.length === 1) return each(operator)[0]!
      return { kind: 'and', parts: [operatorOf(`${operator[0]}=`, left[0], right[0], level), TRUE] }
    default:
      return TRUE
  }
}

function inOf(left: Node | undefined, items: readonly Node[], level: Level, isIn: boolean): Formula {
  if (as('RowExpr', left)) {
    const parts = items.map((item) => operatorOf(isIn ? '=' : '<>', left, item, level))
    return { kind: isIn ? 'or' : 'and', parts }
  }
  const column = columnOf(left, level)
  const values = items.flatMap((item) => valueAt(item, level) ?? [])
  if (!column) return TRUE
  // Of values that it must differ from some will do.
  if (!isIn) return { kind: 'not-in', column, values }
  return values.length === items.length ? { kind: 'in', column, values } : TRUE
}

function anyOf(left: Node | undefined, right: Node | undefined, level: Level, isIn: boolean): Formula {
  const array = readArray(valueIn(right, level))
  if (array && 'elements' in array) return inOf(left, array.elements, level, isIn)
  const column = columnOf(left, level)
  return column && array ? { kind: isIn ? 'any' : 'not-any', column, ...array } : TRUE
}

function distinctOf(left: Node | undefined, right: Node | undefined, level: Level, isDistinct: boolean): Formula {
  const [leftColumn, rightColumn] = [columnOf(left, level), columnOf(right, level)]
  const column = leftColumn ?? rightColumn
  const value = valueAt(leftColumn ? right : left, level)
  if (!column || !value) return TRUE
  if (!isDistinct) return { kind: 'in', column, values: [value], takesNull: true }
  const differs: Formula = { kind: 'not-in', column, values: [value], takesNull: true }
  return { kind: 'or', parts: [{ kind: 'null', column }, differs] }
}

function betweenOf(
  kind: string,
  left: Node | undefined,
  right: Node | undefined,
  level: Level,
  isIn: boolean,
): Formula {
  const [from, to] = as('List', right)?.items ?? []
  const parts = (low: Node | undefined, high: Node | undefined): Formula => ({
    kind: isIn ? 'and' : 'or',
    parts: [operatorOf(isIn ? '>=' : '<', left, low, level), operatorOf(isIn ? '<=' : '>', left, high, level)],
  })
  if (!kind.endsWith('_SYM')) return parts(from, to)
  return { kind: isIn ? 'or' : 'and', parts: [parts(from, to), parts(to, from)] }
}

function likeOf(left: Node | undefined, right: Node | undefined, level: Level): Formula {
  const escaped = as('FuncCall', right)
  if (!escaped) return prefixOf(left, right, '\\', level)
  const escaping = as('A_Const', escaped.args?.[1])?.sval?.sval
  const isEscape = strings(escaped.funcname).at(-1) === 'like_escape'
  return isEscape && escaping !== undefined ? prefixOf(left, escaped.args?.[0], escaping, level) : TRUE
}

function callOf({ funcname, args }: FuncCall, level: Level): Formula {
  const name = strings(funcname)
  const isPrefix =
    name.at(-1) === 'starts_with' && (name.length === 1 || name[0] === 'pg_catalog') && args?.length === 2
  return isPrefix ? prefixOf(args[0], args[1], undefined, level) : TRUE
}

function prefixOf(
  left: Node | undefined,
  right: Node | undefined,
  escaping: string | undefined,
  level: Level,
): Formula {
  const [column, value] = [columnOf(left, level), valueAt(right, level)]
  return column && value ? { kind: 'prefix', column, value, escape: escaping } : TRUE
}

/** EXISTS and IN of a subquery: there is a row of it for which all of its own conditions hold. */
function linkOf(
  link: { subLinkType?: string; testexpr?: Node; operName?: Node[]; subselect?: Node },
  level: Level,
): Formula {
  if (link.subLinkType === 'EXISTS_SUBLINK') return linkedTo([], link.subselect, level, false)
  if (link.subLinkType !== 'ANY_SUBLINK' || (link.operName && strings(link.operName).join('.') !== '=')) return TRUE
  const tested = as('RowExpr', link.testexpr)?.args ?? (link.testexpr ? [link.testexpr] : [])
  return linkedTo(
    tested.map((node) => columnOf(node, level)),
    link.subselect,
    level,
    true,
  )
}

function linkedTo(
  columns: readonly (BoundColumn | undefined)[],
  node: Node | undefined,
  level: Level,
  isMembership: boolean,
): Formula {
  const select: SelectStmt | undefined = as('SelectStmt', node)
  const answer = select && level.look?.(select, level)
  if (!answer) return TRUE
  // Of a row that is not equal it makes no difference whether it is there.
  if (isMembership) for (const open of answer.open) open.formulas.push({ kind: 'and', parts: linksOf(columns, answer) })
  return linkedWith(columns, answer)
}

/** There is a row of the answer whose columns equal these. */
function linkedWith(columns: readonly (BoundColumn | undefined)[], answer: SelectAnswer): Formula {
  const links = linksOf(columns, answer)
  return { kind: 'and', parts: [...links.map((link) => within(link, answer)), ...answer.holds] }
}

function linksOf(columns: readonly (BoundColumn | undefined)[], { outputs, isComplete }: SelectAnswer): Formula[] {
  return columns.map((column, index) => same(column, isComplete ? outputs[index]?.column : undefined))
}
