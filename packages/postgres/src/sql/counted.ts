import type { FuncCall, Node, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import { DATE, INT2, INT4, INT8, NUMERIC, OID, orderOf, TEXT, TIMESTAMP, TIMESTAMPTZ } from './canonical.js'
import type { Facts } from './catalogue.js'
import { columnOf, conjunctionOf, type Formula, NONE } from './conditions.js'
import type { Cut } from './cut.js'
import { nameOfParts } from './mentions.js'
import type { Level } from './scope.js'

/*
 * A SELECT of aggregates without GROUP BY answers the same with one condition more: that a row counts for one of them. Those of PostgreSQL
 * skip NULLs, and what their FILTER refuses; and `max` and `min` answer the same without the rows before the one that they show. So the
 * condition goes where that of WHERE does.
 */

/** Aggregates of PostgreSQL's own that skip a NULL. */
const SKIPPING: ReadonlySet<string> = new Set([
  ...[
    'count',
    'sum',
    'avg',
    'min',
    'max',
    'bool_and',
    'bool_or',
    'every',
    'bit_and',
    'bit_or',
    'bit_xor',
    'string_agg',
  ],
  ...['stddev', 'stddev_pop', 'stddev_samp', 'variance', 'var_pop', 'var_samp'],
])
/** For these types `max` and `min` are PostgreSQL's own, whatever else has the name: an exact type goes before all others. */
const EXTREMES: ReadonlySet<number> = new Set([...[INT2, INT4, INT8, NUMERIC, OID, TEXT, DATE, TIMESTAMP, TIMESTAMPTZ]])

/** What a row must meet to count for one aggregate. */
interface Part {
  readonly conditions: readonly Node[]
  readonly cut: Formula | undefined
}

/**
 * The condition that a row counts for one of the aggregates; `NONE` if each row does, or that can't be told.
 *
 * @param select  has no GROUP BY, and its list, HAVING or ORDER BY has aggregates
 * @param own  its level without those around it: an aggregate of nothing but columns around it belongs there
 * @param isStatement  its answer is the statement's: then it shows what `max` and `min` have found
 */
export function countedOf(
  select: SelectStmt,
  level: Level,
  own: Level,
  facts: Facts,
  isAggregate: (call: FuncCall) => boolean,
  isStatement: boolean,
): Formula {
  const { targetList = [], havingClause, sortClause } = select
  const calls: FuncCall[] = []
  let isPlain = select.groupClause === undefined && facts.isCatalogFirst
  walk([targetList, havingClause, sortClause], (tag, content) => {
    // A subquery may be answered by any row; others are aggregates of another grammar.
    if (tag === 'SubLink' || tag.startsWith('Json')) isPlain = false
    if (tag !== 'FuncCall') return true
    const call = content as FuncCall
    if (call.over) isPlain = false
    if (!isAggregate(call)) return true
    calls.push(call)
    isPlain &&= isOwn(call, own)
    return false
  })
  if (!isPlain || calls.length === 0) return NONE
  const isAlone = calls.length === 1
  const parts = calls.map((call) => partOf(call, own, facts, isAlone, isStatement ? targetList : []))
  if (!parts.every((part) => part !== undefined)) return NONE
  if (isAlone) return formulaOf(parts[0]!, level)
  if (parts.some(({ cut }) => cut)) return { kind: 'or', parts: parts.map((part) => formulaOf(part, level)) }
  const alternatives = parts.map(({ conditions }) => logic('AND_EXPR', conditions))
  return conjunctionOf(logic('OR_EXPR', alternatives), level)
}

function isOwn(call: FuncCall, own: Level): boolean {
  const isOfOwn: boolean[] = []
  let hasSubquery = false
  walk(call, (tag, content) => {
    if (tag === 'SubLink') hasSubquery = true
    if (tag === 'ColumnRef') isOfOwn.push(columnOf({ ColumnRef: content } as Node, own) !== undefined)
  })
  return !hasSubquery && (isOfOwn.length === 0 || isOfOwn.includes(true))
}

function formulaOf({ conditions, cut }: Part, level: Level): Formula {
  return { kind: 'and', parts: [...conditions.map((each) => conjunctionOf(each, level)), ...(cut ? [cut] : [])] }
}

/**
 * @param isAlone  no other aggregate reads the row: then columns of its FILTER, and one that is only counted, are read for nothing but the
 * condition, which is known by its nodes being those of the statement
 */
function partOf(call: FuncCall, own: Level, facts: Facts, isAlone: boolean, shown: readonly Node[]): Part | undefined {
  const { schema, name } = nameOfParts(strings(call.funcname))
  const [argument] = call.args ?? []
  const column = columnOf(argument, own)
  const others = facts.functions.filter((each) => each.name === name && each.schema !== 'pg_catalog')
  const isExtreme =
    (name === 'max' || name === 'min') &&
    column?.column.kind === 'b' &&
    EXTREMES.has(column.column.type) &&
    !others.some(({ code }) => code?.parameters.some(({ type }) => type.isDomain))
  const isBuiltIn = isExtreme || others.length === 0
  const isSkipping =
    column !== undefined &&
    as('ColumnRef', argument) &&
    SKIPPING.has(name) &&
    isBuiltIn &&
    (schema ?? 'pg_catalog') === 'pg_catalog'
  const conditions: Node[] = []
  if (call.agg_filter) conditions.push(isAlone ? call.agg_filter : structuredClone(call.agg_filter))
  if (isSkipping && !column.column.isRequired) {
    const isOnlyCounted = isAlone && name === 'count' && !call.agg_distinct && !call.agg_order
    const arg = isOnlyCounted ? argument! : structuredClone(argument!)
    conditions.push({ NullTest: { arg, nulltesttype: 'IS_NOT_NULL' } } as Node)
  }
  const place = shown.findIndex((node) => as('FuncCall', as('ResTarget', node)?.val) === call)
  const hasStar = shown.slice(0, place + 1).some((node) => as('ColumnRef', as('ResTarget', node)?.val))
  const isShown = isSkipping && isExtreme && place >= 0 && !hasStar && orderOf(column.column)
  if (!isShown) return conditions.length === 0 ? undefined : { conditions, cut: undefined }
  const cut: Cut = {
    column: column.column,
    isDescending: name === 'max',
    areNullsFirst: false,
    limit: { constant: '1', type: INT4, node: undefined },
    shown: place,
  }
  return { conditions, cut: { kind: 'cut', column, cut } }
}

function logic(boolop: 'AND_EXPR' | 'OR_EXPR', args: readonly Node[]): Node {
  return args.length === 1 ? args[0]! : ({ BoolExpr: { boolop, args: [...args] } } as Node)
}
