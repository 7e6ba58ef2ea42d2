import type { Comparison, Order, Predicate, RowTest } from 'tidemark'
import type { A_Expr, ColumnRef, Node } from './ast.js'
import { as, strings } from './ast.js'
import { areAlike, BOOL, elementsFit, equalityOf, incomparable, orderOf, TEXT } from './canonical.js'
import type { Column } from './catalogue.js'
import { type Made, made, made2, told } from './made.js'
import { valueIn } from './passed.js'
import { piecesOf } from './pieces.js'
import { elementTexts, textOf } from './row-set.js'
import { one, ownName, Terms, texts } from './row-terms.js'
import type { Level, Occurrence } from './scope.js'
import { readArray, valueFits } from './values.js'

/*
 * Conditions on one row of one table whose truth its columns' texts decide: comparisons of types that are compared exactly, whole numbers,
 * COALESCE, CASE, LIKE. What is not in this list decides nothing here: then the condition stays as it is elsewhere, with its columns read.
 */

/** A condition of a statement as a test of rows: the parameters' values make it one. */
export interface Testing {
  readonly occurrence: Occurrence
  /** As it is written. */
  readonly condition: Node
  readonly columns: readonly string[]
  /** Where it names them, and all that they are named for is tested. */
  readonly references: ReadonlySet<ColumnRef>
  /** It is less than what is written: more may decide. */
  readonly isPart: boolean
  /** undefined where a parameter's value can't be told. */
  holds(parameters: readonly unknown[]): Predicate | undefined
}

/**
 * Reads a condition as a test of one table's rows; undefined if it is none, or can't be told from their texts.
 *
 * @param types  type OIDs of the statement's parameters
 */
export function testingOf(condition: Node, level: Level, types: readonly number[]): Testing | undefined {
  const terms = new Terms(level, types)
  const make = new Reader(terms).predicate(condition)
  const [first] = terms.columns
  if (!make) return refusalOf(condition, level, types)
  if (!first || terms.columns.some(({ occurrence }) => occurrence !== first.occurrence)) return undefined
  return {
    isPart: false,
    occurrence: first.occurrence,
    condition,
    columns: [...new Set(terms.columns.map(({ column }) => column.name))].sort(),
    references: terms.references,
    holds: make,
  }
}

/**
 * What a comparison with values says of any type and collation whose operators are PostgreSQL's own: it is true of no NULL, and where
 * the value is NULL of nothing.
 */
function refusalOf(condition: Node, level: Level, types: readonly number[]): Testing | undefined {
  const { kind, name, lexpr, rexpr } = as('A_Expr', condition) ?? {}
  if ((kind !== 'AEXPR_OP' && kind !== 'AEXPR_IN') || !isComparison(ownName(strings(name)))) return undefined
  for (const [node, other] of [
    [lexpr, rexpr],
    [rexpr, lexpr],
  ]) {
    const terms = new Terms(level, types)
    const term = as('ColumnRef', node) && terms.read(node, true)
    const [bound] = terms.columns
    if (!term || !bound || !('column' in term) || term.column.hasOwnEquality || term.column.hasOwnOrder) continue
    const value = terms.value(other)
    const absent: Predicate = { is: 'absent', term: { of: 'column', column: term.column.name } }
    const isNull = (parameters: readonly unknown[]): boolean =>
      value !== undefined && textOf(term.column, value, parameters) === null
    return {
      occurrence: bound.occurrence,
      condition: { NullTest: { arg: node!, nulltesttype: 'IS_NOT_NULL' } },
      columns: [term.column.name],
      references: new Set(),
      isPart: true,
      holds: (parameters) => (isNull(parameters) ? { is: 'constant', value: 'no' } : { is: 'not', part: absent }),
    }
  }
  return undefined
}

/** Several as one; undefined where one of them can't be told. */
export function testOf(testings: readonly Testing[], parameters: readonly unknown[]): RowTest | undefined {
  const parts = testings.map((each) => each.holds(parameters))
  if (parts.length === 0 || !parts.every((part) => part !== undefined)) return undefined
  return {
    columns: [...new Set(testings.flatMap(({ columns }) => columns))].sort(),
    holds: parts.length === 1 ? parts[0]! : { is: 'and', parts },
  }
}

class Reader {
  readonly #terms: Terms

  constructor(terms: Terms) {
    this.#terms = terms
  }

  predicate(node: Node | undefined): Made<Predicate> {
    const logic = as('BoolExpr', node)
    if (logic) {
      const parts = (logic.args ?? []).map((each) => this.predicate(each))
      if (logic.boolop === 'NOT_EXPR') return made(parts, ([part]) => ({ is: 'not', part: part! }))
      const is = logic.boolop === 'AND_EXPR' ? 'and' : 'or'
      return made(parts, (each) => ({ is, parts: each }))
    }
    const expression = as('A_Expr', node)
    if (expression) return this.#comparison(expression)
    const nullTest = as('NullTest', node)
    if (nullTest) return this.#absent(nullTest.arg, nullTest.nulltesttype === 'IS_NULL')
    const truthTest = as('BooleanTest', node)
    if (truthTest) return this.#judged(truthTest.booltesttype ?? '', truthTest.arg)
    const constant = as('A_Const', node)
    if (constant?.boolval) return told({ is: 'constant', value: constant.boolval.boolval ? 'yes' : 'no' })
    const choice = as('CaseExpr', node)
    if (choice && !choice.arg) {
      const cases = this.#cases(choice.args ?? [], (each) => this.predicate(each))
      const otherwise = choice.defresult
        ? this.predicate(choice.defresult)
        : told<Predicate>({ is: 'constant', value: 'null' })
      return made2(cases, otherwise, (each, last) => ({ is: 'case', cases: each, otherwise: last }))
    }
    const term = this.#terms.read(node)
    if (!term || 'value' in term || term.column.type !== BOOL || term.column.kind !== 'b') return undefined
    return made([term.make], ([each]) => ({ is: 'truth', term: each! }))
  }

  #cases<Then>(
    nodes: readonly Node[],
    read: (node: Node | undefined) => Made<Then>,
  ): Made<readonly { readonly when: Predicate; readonly then: Then }[]> {
    const all = nodes.map((node) => {
      const when = as('CaseWhen', node)
      return made2(this.predicate(when?.expr), read(when?.result), (condition, then) => ({ when: condition, then }))
    })
    return made(all, (each) => each)
  }

  #absent(node: Node | undefined, isNull: boolean): Made<Predicate> {
    const term = this.#terms.read(node, true)
    if (!term || 'value' in term) return undefined
    return made([term.make], ([each]) => {
      const absent: Predicate = { is: 'absent', term: each! }
      return isNull ? absent : { is: 'not', part: absent }
    })
  }

  #judged(test: string, node: Node | undefined): Made<Predicate> {
    const is = test.replace('_NOT_', '_')
    const verdict = is === 'IS_TRUE' ? 'yes' : is === 'IS_FALSE' ? 'no' : is === 'IS_UNKNOWN' ? 'null' : undefined
    if (!verdict) return undefined
    return made([this.predicate(node)], ([part]) => {
      const judged: Predicate = { is: 'judged', as: verdict, part: part! }
      return test.includes('_NOT_') ? { is: 'not', part: judged } : judged
    })
  }

  #comparison({ kind, name, lexpr, rexpr }: A_Expr): Made<Predicate> {
    const operator = ownName(strings(name))
    const right = as('List', rexpr)?.items ?? []
    switch (kind) {
      case 'AEXPR_OP':
        return this.#operator(operator, lexpr, rexpr)
      case 'AEXPR_IN':
        return negated(operator !== '=', operator === '=' || operator === '<>' ? this.#in(lexpr, right) : undefined)
      case 'AEXPR_OP_ANY':
        return operator === '=' ? this.#any(lexpr, rexpr) : undefined
      case 'AEXPR_OP_ALL':
        return operator === '<>' ? negated(true, this.#any(lexpr, rexpr)) : undefined
      case 'AEXPR_DISTINCT':
        return operator === '=' ? this.#pair('distinct', lexpr, rexpr) : undefined
      case 'AEXPR_NOT_DISTINCT':
        return operator === '=' ? negated(true, this.#pair('distinct', lexpr, rexpr)) : undefined
      case 'AEXPR_LIKE':
        return negated(
          operator === '!~~',
          operator === '~~' || operator === '!~~' ? this.#like(lexpr, rexpr) : undefined,
        )
      case 'AEXPR_BETWEEN':
      case 'AEXPR_NOT_BETWEEN':
        return negated(kind === 'AEXPR_NOT_BETWEEN', this.#between(lexpr, right[0], right[1]))
      case 'AEXPR_BETWEEN_SYM':
      case 'AEXPR_NOT_BETWEEN_SYM': {
        const ways = [this.#between(lexpr, right[0], right[1]), this.#between(lexpr, right[1], right[0])]
        return negated(
          kind === 'AEXPR_NOT_BETWEEN_SYM',
          made(ways, (parts) => ({ is: 'or', parts })),
        )
      }
      default:
        return undefined
    }
  }

  #operator(operator: string | undefined, left: Node | undefined, right: Node | undefined): Made<Predicate> {
    if (!isComparison(operator)) return undefined
    const [one, other] = [as('RowExpr', left)?.args, as('RowExpr', right)?.args]
    if (!one && !other) return this.#pair(operator, left, right)
    return one && other && one.length === other.length ? this.#rows(operator, one, other) : undefined
  }

  /** Of rows `<` is decided by the first pair that differs. */
  #rows(operator: Comparison, left: readonly Node[], right: readonly Node[]): Made<Predicate> {
    const [one, other] = [left[0], right[0]]
    if (left.length < 2) return one && other ? this.#pair(operator, one, other) : undefined
    const rest = this.#rows(operator, left.slice(1), right.slice(1))
    if (operator === '=' || operator === '<>') {
      const is = operator === '=' ? 'and' : 'or'
      return made([this.#pair(operator, one, other), rest], (parts) => ({ is, parts }))
    }
    const strict = operator.startsWith('<') ? '<' : '>'
    return made([this.#pair(strict, one, other), this.#pair('=', one, other), rest], ([before, same, then]) => ({
      is: 'or',
      parts: [before!, { is: 'and', parts: [same!, then!] }],
    }))
  }

  #between(node: Node | undefined, from: Node | undefined, to: Node | undefined): Made<Predicate> {
    return made([this.#pair('>=', node, from), this.#pair('<=', node, to)], (parts) => ({ is: 'and', parts }))
  }

  #pair(operator: Comparison | 'distinct', left: Node | undefined, right: Node | undefined): Made<Predicate> {
    const [one, other] = [this.#terms.read(left), this.#terms.read(right)]
    if (!one || !other) return undefined
    const column = 'column' in one ? one.column : 'column' in other ? other.column : undefined
    if (!column) return undefined
    const isRanged = operator !== '=' && operator !== '<>' && operator !== 'distinct'
    const order =
      'column' in one && 'column' in other
        ? orderBetween(one.column, other.column, isRanged)
        : exactOrder(column, isRanged)
    if (!order || (operator !== '=' && column.hasOwnOrder)) return undefined
    return made2(
      this.#terms.as(one, column),
      this.#terms.as(other, column),
      (first, second): Predicate =>
        operator === 'distinct'
          ? { is: 'distinct', order, left: first, right: second }
          : { is: 'compared', operator, order, left: first, right: second },
    )
  }

  #in(left: Node | undefined, items: readonly Node[]): Made<Predicate> {
    const row = as('RowExpr', left)
    const values = items.map((item) => this.#terms.value(item))
    if (!row && items.length > 0 && values.every((value) => value !== undefined)) {
      const term = this.#terms.read(left)
      if (!term || 'value' in term || !values.every((value) => valueFits(term.column, value, this.#terms.types)))
        return undefined
      const order = exactOrder(term.column, false)
      return (
        order &&
        made2(term.make, texts(term.column, values), (each, list) => ({
          is: 'one-of',
          order,
          term: each,
          values: list,
        }))
      )
    }
    return made(
      items.map((item) => this.#operator('=', left, item)),
      (parts) => ({ is: 'or', parts }),
    )
  }

  #any(left: Node | undefined, right: Node | undefined): Made<Predicate> {
    const array = readArray(valueIn(right, this.#terms.level))
    if (!array) return undefined
    if ('elements' in array) return array.elements.length > 0 ? this.#in(left, array.elements) : undefined
    const term = this.#terms.read(left)
    const type = this.#terms.types[array.parameter - 1]
    if (!term || 'value' in term || type === undefined || !elementsFit(term.column, type, array.cast)) return undefined
    const { column, make } = term
    const order = exactOrder(column, false)
    if (!order) return undefined
    const values = (parameters: readonly unknown[]) => elementTexts(column, parameters[array.parameter - 1])
    return made2(
      make,
      values,
      (each, list): Predicate =>
        list === 'null' ? { is: 'constant', value: 'null' } : { is: 'one-of', order, term: each, values: list },
    )
  }

  #like(left: Node | undefined, right: Node | undefined): Made<Predicate> {
    const [term, pattern] = [this.#terms.read(left), this.#terms.value(right)]
    if (!term || 'value' in term || !pattern) return undefined
    const { column, make } = term
    // Of another type somebody may have an operator of their own.
    const isText = column.kind === 'b' && column.type === TEXT && !column.isFolded
    if (!isText || incomparable(column) || !valueFits(column, pattern, this.#terms.types)) return undefined
    return made2(make, one(column, pattern), (each, text): Predicate | undefined => {
      if (text.value === null) return { is: 'constant', value: 'null' }
      const pieces = piecesOf(text.value)
      return pieces && { is: 'like', term: each, pieces }
    })
  }
}

const COMPARISONS: ReadonlySet<string> = new Set<Comparison>(['=', '<>', '<', '<=', '>', '>='])

function isComparison(operator: string | undefined): operator is Comparison {
  return operator !== undefined && COMPARISONS.has(operator)
}

/** How values of the column are compared, where texts tell that exactly. */
function exactOrder(column: Column, isRanged: boolean): Order | undefined {
  if (isRanged) return orderOf(column)
  const order = equalityOf(column)
  return order === 'folded' ? undefined : order
}

function orderBetween(left: Column, right: Column, isRanged: boolean): Order | undefined {
  if (!areAlike(left, right) || right.hasOwnOrder) return undefined
  const [one, other] = [exactOrder(left, isRanged), exactOrder(right, isRanged)]
  // Of whole numbers, too, the text of a numeric of the same value may be another.
  return one === other ? one : one && other ? 'number' : undefined
}

function negated(isNegated: boolean, predicate: Made<Predicate>): Made<Predicate> {
  return isNegated ? made([predicate], ([part]) => ({ is: 'not', part: part! })) : predicate
}
