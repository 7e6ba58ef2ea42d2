import type { FuncCall, Node, RangeVar, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Facts } from './catalogue.js'
import { nameOfParts } from './mentions.js'

/*
 * Where it matters which rows a place has, but not how many of them are alike: below EXISTS, IN, ANY and ALL, and where DISTINCT, GROUP BY or a
 * set operation makes one row of those that are.
 */

/** Aggregates of PostgreSQL's own that take several equal values for one. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['min', 'max', 'bool_and', 'bool_or', 'every', 'bit_and', 'bit_or'])

/**
 * The names in FROM, of the statement itself, where it does not matter how many rows are alike in all columns that are read. What is not certain
 * is not among them.
 */
export function placesOfSets(statement: Node, { functions }: Facts): ReadonlySet<RangeVar> {
  const places = new Set<RangeVar>()

  /** @param isSet  how often a row stands in its answer does not matter */
  const select = (each: SelectStmt, isSet: boolean): void => {
    const isCut = each.limitCount !== undefined || each.limitOffset !== undefined
    expression([each.withClause, each.limitCount, each.limitOffset, each.valuesLists])
    if (each.op !== undefined && each.op !== 'SETOP_NONE') {
      const isWhole = each.all ? each.op === 'SETOP_UNION' && isSet && !isCut : true
      for (const arm of [each.larg, each.rarg]) if (arm) select(arm, isWhole)
      expression(each.sortClause)
      return
    }
    const list = [each.targetList, each.havingClause, each.sortClause, each.distinctClause, each.windowClause]
    const { isAggregated, isCounted } = countingOf(list)
    const isOne = isAggregated || each.groupClause !== undefined || each.distinctClause !== undefined
    const own = !isCounted && each.windowClause === undefined && (isOne || (isSet && !isCut))
    for (const node of each.fromClause ?? []) item(node, own)
    expression([list, each.whereClause, each.groupClause])
  }

  const item = (node: Node, isSet: boolean): void => {
    const table = as('RangeVar', node)
    const join = as('JoinExpr', node)
    const inner = as('SelectStmt', as('RangeSubselect', node)?.subquery)
    if (table && isSet) places.add(table)
    else if (join) {
      for (const side of [join.larg, join.rarg]) if (side) item(side, isSet)
      expression(join.quals)
    } else if (inner) select(inner, isSet)
    else expression(node)
  }

  const expression = (part: unknown): void =>
    walk(part, (tag, content) => {
      if (tag === 'SelectStmt') select(content as SelectStmt, false)
      if (tag !== 'SubLink') return tag !== 'SelectStmt'
      const {
        subLinkType = '',
        subselect,
        testexpr,
      } = content as Partial<Record<string, Node>> & { subLinkType?: string }
      const inner = as('SelectStmt', subselect)
      if (inner) select(inner, ['EXISTS_SUBLINK', 'ANY_SUBLINK', 'ALL_SUBLINK'].includes(subLinkType))
      expression(testexpr)
      return false
    })

  /** Also of what stands deeper in it: an aggregate there may be of this SELECT. */
  const countingOf = (list: unknown): { isAggregated: boolean; isCounted: boolean } => {
    let [isAggregated, isCounted] = [false, false]
    walk(list, (tag, content) => {
      if (tag === 'JsonArrayAgg' || tag === 'JsonObjectAgg') isCounted = true
      if (tag !== 'FuncCall') return
      const call = content as FuncCall
      const isAggregate = isAggregateCall(call)
      isAggregated ||= isAggregate
      isCounted ||= call.over !== undefined || (isAggregate && !isIdempotent(call))
    })
    return { isAggregated, isCounted }
  }

  const aggregatesOf = ({ funcname }: FuncCall): Facts['functions'] => {
    const { schema, name } = nameOfParts(strings(funcname))
    return functions.filter(
      (each) => each.isAggregate && each.name === name && (schema === undefined || each.schema === schema),
    )
  }
  const isAggregateCall = (call: FuncCall): boolean =>
    [call.agg_star, call.agg_distinct, call.agg_filter, call.agg_order, call.agg_within_group].some(Boolean) ||
    aggregatesOf(call).length > 0
  const isIdempotent = (call: FuncCall): boolean => {
    if (call.agg_star || call.agg_within_group) return false
    const found = aggregatesOf(call)
    const isOwn = found.length > 0 && found.every(({ schema }) => schema === 'pg_catalog')
    return isOwn && (call.agg_distinct === true || IDEMPOTENT.has(found[0]!.name))
  }

  const all = as('SelectStmt', statement)
  if (all) select(all, false)
  return places
}
