import type { FuncCall, Node, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Facts } from './catalogue.js'
import type { Formula } from './conditions.js'
import { formulaOf } from './conditions.js'
import { type FromContext, fromItems, levelOf } from './from.js'
import { nameOfParts } from './mentions.js'
import { type Coarse, Reads } from './reads.js'
import type { Level } from './scope.js'

/** Where a SELECT stands. */
interface Place {
  readonly outer: Level | undefined
  readonly ctes: ReadonlySet<string>
  /** What holds whenever its answer matters. */
  readonly given: readonly Formula[]
  /** undefined for the statement itself. */
  readonly hidden: Coarse | undefined
}

const TOP: Place = { outer: undefined, ctes: new Set(), given: [], hidden: undefined }

/** What a SELECT reads, and under which conditions. What stands elsewhere in the statement is noted as read as a whole. */
export function readsOf(statement: Node, facts: Facts): Reads {
  const walkthrough = new Walkthrough(facts)
  walkthrough.statement(statement)
  return walkthrough.reads
}

class Walkthrough {
  readonly reads: Reads
  readonly #facts: Facts

  constructor(facts: Facts) {
    this.reads = new Reads(facts)
    this.#facts = facts
  }

  statement(node: Node): void {
    const select = as('SelectStmt', node)
    if (select) this.#select(select, TOP)
    this.reads.addUnseen(node)
  }

  #select(select: SelectStmt, place: Place): void {
    const ctes = this.#withClause(select, place)
    if (select.op !== undefined && select.op !== 'SETOP_NONE') return this.#setOperation(select, { ...place, ctes })
    const hidden = place.hidden ?? hiddenBy(select, (call) => this.#isAggregate(call))
    const later: ((holds: readonly Formula[]) => void)[] = []
    const context: FromContext = {
      reads: this.reads,
      ctes,
      outer: place.outer,
      given: place.given,
      hidden,
      expression: (node, level) => later.push(() => this.#expression(node, level, { ...place, ctes })),
      subquery: (node, level, isLateral) =>
        later.push((holds) => {
          const inner = as('SelectStmt', node)
          if (inner)
            this.#select(inner, { outer: level, ctes, given: isLateral ? holds : place.given, hidden: 'subquery' })
        }),
    }
    const from = fromItems(select.fromClause ?? [], context)
    const level = levelOf(from, place.outer)
    const where = formulaOf(select.whereClause, level)
    for (const occurrence of from.occurrences) {
      occurrence.formulas.push(where)
      if (occurrence.isNullable) occurrence.hidden ??= 'outer-join'
    }
    // Also for subqueries of a SELECT that answers without rows (an aggregate): what it knows of its rows bounds a subquery only through
    // a column that the subquery names, and that it may name only where there is a row, or a group of some.
    const holds = [...place.given, where, ...from.holds]
    for (const each of later) each(holds)
    const { whereClause, targetList, distinctClause, groupClause, havingClause, windowClause, sortClause } = select
    const perRow = [whereClause, targetList, distinctClause, groupClause, havingClause, windowClause, sortClause]
    this.#expression(perRow, level, { ...place, ctes, given: holds })
    this.#expression([select.valuesLists, select.limitCount, select.limitOffset], level, { ...place, ctes })
  }

  #setOperation(select: SelectStmt, place: Place): void {
    const hidden = place.hidden ?? 'set-operation'
    for (const arm of [select.larg, select.rarg]) if (arm) this.#select(arm, { ...place, hidden })
    this.#expression([select.sortClause, select.limitCount, select.limitOffset], undefined, place)
  }

  /** Returns the names that are visible in the statement. Of a plain WITH each query sees those before it, of a recursive one all. */
  #withClause({ withClause }: SelectStmt, { outer, ctes, given, hidden }: Place): ReadonlySet<string> {
    if (!withClause) return ctes
    const visible = new Set(ctes)
    const queries = (withClause.ctes ?? []).flatMap((node) => as('CommonTableExpr', node) ?? [])
    if (withClause.recursive) for (const query of queries) visible.add(query.ctename ?? '')
    for (const query of queries) {
      const select = as('SelectStmt', query.ctequery)
      if (select) this.#select(select, { outer, ctes: new Set(visible), given, hidden: hidden ?? 'cte' })
      visible.add(query.ctename ?? '')
    }
    return visible
  }

  /** Finds the subqueries of an expression. */
  #expression(node: unknown, level: Level | undefined, place: Place): void {
    walk(node, (tag, content) => {
      if (tag !== 'SelectStmt') return true
      this.#select(content as SelectStmt, { outer: level, ctes: place.ctes, given: place.given, hidden: 'subquery' })
      return false
    })
  }

  #isAggregate(call: FuncCall): boolean {
    if (call.agg_star || call.agg_distinct || call.agg_filter || call.agg_order || call.agg_within_group) return true
    const { schema, name } = nameOfParts(strings(call.funcname))
    return this.#facts.functions.some(
      (each) => each.isAggregate && each.name === name && (schema === undefined || each.schema === schema),
    )
  }
}

/** Why an answer does not show each row that matters to it. */
function hiddenBy(select: SelectStmt, isAggregate: (call: FuncCall) => boolean): Coarse | undefined {
  let isAggregated = select.groupClause !== undefined || select.havingClause !== undefined
  let hasWindow = select.windowClause !== undefined
  walk([select.targetList, select.sortClause], (tag, content) => {
    if (tag === 'SelectStmt') return false
    if (tag === 'JsonArrayAgg' || tag === 'JsonObjectAgg') isAggregated = true
    if (tag !== 'FuncCall') return true
    if ((content as FuncCall).over) hasWindow = true
    else if (isAggregate(content as FuncCall)) isAggregated = true
    return true
  })
  if (isAggregated) return 'aggregate'
  if (hasWindow) return 'window'
  if (select.distinctClause) return 'distinct'
  return select.limitOffset ? 'offset' : undefined
}
