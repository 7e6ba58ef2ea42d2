import type { FuncCall, Node, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Facts } from './catalogue.js'
import type { Formula } from './conditions.js'
import { formulaOf } from './conditions.js'
import { type FromContext, fromItems, levelOf } from './from.js'
import { nameOfParts } from './mentions.js'
import { type Coarse, Reads } from './reads.js'
import type { Level } from './scope.js'
import { resolve } from './scope.js'

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
  const walkthrough = new Walkthrough(facts, true)
  walkthrough.statement(statement)
  if (!walkthrough.hasStrayAggregate) return walkthrough.reads
  const careful = new Walkthrough(facts, false)
  careful.statement(statement)
  return careful.reads
}

class Walkthrough {
  readonly reads: Reads
  /**
   * An aggregate in a subquery that belongs to a SELECT around it: that SELECT answers even where no row meets its conditions,
   * so what holds for its rows does not hold whenever its subqueries matter. Rare enough to walk again without such knowledge.
   */
  hasStrayAggregate = false
  readonly #facts: Facts
  readonly #isPassedOn: boolean

  constructor(facts: Facts, isPassedOn: boolean) {
    this.reads = new Reads(facts)
    this.#facts = facts
    this.#isPassedOn = isPassedOn
  }

  statement(node: Node): void {
    const select = as('SelectStmt', node)
    if (select) this.#select(select, TOP)
    this.reads.addUnseen(node)
  }

  #select(select: SelectStmt, place: Place): void {
    const ctes = this.#withClause(select, place)
    if (select.op !== undefined && select.op !== 'SETOP_NONE') return this.#setOperation(select, { ...place, ctes })
    const own: Shape = shapeOf(select, (call) => this.#isAggregate(call))
    const hidden = place.hidden ?? own.hidden ?? (this.#isPassedOn ? undefined : 'aggregate')
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
    const holds = this.#isPassedOn ? [...place.given, where, ...from.holds] : place.given
    for (const each of later) each(holds)
    this.#expression(select.whereClause, level, { ...place, ctes, given: holds })
    // An aggregate over no rows answers too: then nothing holds for rows.
    const answers = own.answersWithoutRows ? place.given : holds
    const rest = [
      select.targetList,
      select.distinctClause,
      select.groupClause,
      select.havingClause,
      select.windowClause,
      select.sortClause,
    ]
    this.#expression(rest, level, { ...place, ctes, given: answers })
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
      if (tag === 'FuncCall' && this.#isAggregate(content as FuncCall))
        this.hasStrayAggregate ||= isStray(content, level)
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

interface Shape {
  /** Why the answer does not show each row that matters. */
  readonly hidden: Coarse | undefined
  readonly answersWithoutRows: boolean
}

function shapeOf(select: SelectStmt, isAggregate: (call: FuncCall) => boolean): Shape {
  let hasAggregate = select.havingClause !== undefined
  let hasWindow = select.windowClause !== undefined
  let hasGroupingSet = false
  walk([select.targetList, select.havingClause, select.sortClause, select.groupClause], (tag, content) => {
    if (tag === 'SelectStmt') return false
    if (tag === 'GroupingSet') hasGroupingSet = true
    if (tag === 'JsonArrayAgg' || tag === 'JsonObjectAgg') hasAggregate = true
    if (tag !== 'FuncCall') return true
    if ((content as FuncCall).over) hasWindow = true
    else if (isAggregate(content as FuncCall)) hasAggregate = true
    return true
  })
  const isGrouped = select.groupClause !== undefined
  return {
    hidden: hiddenBy(select, hasAggregate || isGrouped, hasWindow),
    answersWithoutRows: hasAggregate && (!isGrouped || hasGroupingSet),
  }
}

function hiddenBy(select: SelectStmt, isAggregated: boolean, hasWindow: boolean): Coarse | undefined {
  if (isAggregated) return 'aggregate'
  if (hasWindow) return 'window'
  if (select.distinctClause) return 'distinct'
  return select.limitOffset ? 'offset' : undefined
}

/** Says whether an aggregate may belong to a SELECT around its own: it names columns, and none that is known to be of its own level. */
function isStray(call: object, level: Level | undefined): boolean {
  if (!level?.outer) return false
  let names = 0
  let ownNames = 0
  walk(call, (tag, content) => {
    if (tag !== 'ColumnRef') return
    names++
    const found = resolve({ ...level, outer: undefined }, strings((content as { fields?: Node[] }).fields))
    if (typeof found !== 'string') ownNames++
  })
  return names > 0 && ownNames === 0
}
