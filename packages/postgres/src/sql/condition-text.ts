import type { A_Const, A_Expr, Node } from './ast.js'
import { as, strings } from './ast.js'

/**
 * A condition in SQL again, for people: what `row-test.ts` reads, and no more. What it does not know is `…`. Parentheses stand where
 * they may be needed.
 */
export function conditionText(node: Node | undefined): string {
  return text(node, false)
}

function text(node: Node | undefined, isInner: boolean): string {
  const logic = as('BoolExpr', node)
  if (logic?.boolop === 'NOT_EXPR') return `not ${text(logic.args?.[0], true)}`
  if (logic) {
    const parts = (logic.args ?? []).map((each) => text(each, true))
    return within(parts.join(logic.boolop === 'AND_EXPR' ? ' and ' : ' or '), isInner)
  }
  const expression = as('A_Expr', node)
  if (expression) return within(compared(expression), isInner)
  const nullTest = as('NullTest', node)
  if (nullTest) {
    const is = nullTest.nulltesttype === 'IS_NULL' ? 'is null' : 'is not null'
    return within(`${text(nullTest.arg, true)} ${is}`, isInner)
  }
  const truthTest = as('BooleanTest', node)
  if (truthTest) {
    const is = (truthTest.booltesttype ?? '').replaceAll('_', ' ').toLowerCase()
    return within(`${text(truthTest.arg, true)} ${is}`, isInner)
  }
  const cast = as('TypeCast', node)
  if (cast) return `${text(cast.arg, true)}::${strings(cast.typeName?.names).at(-1) ?? '…'}`
  return plain(node)
}

function plain(node: Node | undefined): string {
  const column = as('ColumnRef', node)
  if (column) return strings(column.fields).map(quotedIfNeeded).join('.')
  const parameter = as('ParamRef', node)
  if (parameter) return `$${parameter.number}`
  const constant = as('A_Const', node)
  if (constant) return valueText(constant)
  const list = as('RowExpr', node)?.args ?? as('List', node)?.items
  if (list) return `(${list.map(conditionText).join(', ')})`
  const array = as('A_ArrayExpr', node)
  if (array) return `array[${(array.elements ?? []).map(conditionText).join(', ')}]`
  const coalesce = as('CoalesceExpr', node)
  if (coalesce) return `coalesce(${(coalesce.args ?? []).map(conditionText).join(', ')})`
  const choice = as('CaseExpr', node)
  if (choice && !choice.arg) {
    const whens = (choice.args ?? []).map((each) => as('CaseWhen', each))
    const cases = whens.map((each) => `when ${conditionText(each?.expr)} then ${conditionText(each?.result)}`)
    const otherwise = choice.defresult ? [`else ${conditionText(choice.defresult)}`] : []
    return ['case', ...cases, ...otherwise, 'end'].join(' ')
  }
  return '…'
}

function compared({ kind, name, lexpr, rexpr }: A_Expr): string {
  const operator = strings(name).at(-1) ?? '…'
  const operand = (node: Node | undefined): string => text(node, isComputed(operator) || !isComputed(operatorOf(node)))
  const left = operand(lexpr)
  const bounds = (): string => (as('List', rexpr)?.items ?? []).map(operand).join(' and ')
  switch (kind) {
    case 'AEXPR_IN':
      return `${left} ${operator === '=' ? 'in' : 'not in'} ${plain(rexpr)}`
    case 'AEXPR_OP_ANY':
      return `${left} ${operator} any(${conditionText(rexpr)})`
    case 'AEXPR_OP_ALL':
      return `${left} ${operator} all(${conditionText(rexpr)})`
    case 'AEXPR_DISTINCT':
      return `${left} is distinct from ${operand(rexpr)}`
    case 'AEXPR_NOT_DISTINCT':
      return `${left} is not distinct from ${operand(rexpr)}`
    case 'AEXPR_LIKE':
      return `${left} ${operator === '~~' ? 'like' : 'not like'} ${operand(rexpr)}`
    case 'AEXPR_BETWEEN':
      return `${left} between ${bounds()}`
    case 'AEXPR_NOT_BETWEEN':
      return `${left} not between ${bounds()}`
    case 'AEXPR_BETWEEN_SYM':
      return `${left} between symmetric ${bounds()}`
    case 'AEXPR_NOT_BETWEEN_SYM':
      return `${left} not between symmetric ${bounds()}`
    default:
      return `${left} ${operator} ${operand(rexpr)}`
  }
}

/** It goes before comparisons. */
function isComputed(operator: string | undefined): boolean {
  return operator === '+' || operator === '-' || operator === '*'
}

function operatorOf(node: Node | undefined): string | undefined {
  return strings(as('A_Expr', node)?.name).at(-1)
}

function within(inner: string, isInner: boolean): string {
  return isInner ? `(${inner})` : inner
}

function quotedIfNeeded(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

function valueText({ isnull, ival, fval, boolval, sval, bsval }: A_Const): string {
  if (isnull) return 'null'
  if (ival) return String(ival.ival ?? 0)
  if (fval) return fval.fval ?? '0'
  if (boolval) return String(boolval.boolval ?? false)
  if (bsval) return bsval.bsval ?? '…'
  return `'${(sval?.sval ?? '').replaceAll("'", "''")}'`
}
