import type { FuncCall, Node, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import { Calls } from './calls.js'
import type { Facts, Relation } from './catalogue.js'
import { conjunctionOf, type Formula, NONE, neverHolds, withoutPresence } from './conditions.js'
import { countedOf } from './counted.js'
import { cutArms, cutOf } from './cut.js'
import { combined } from './derived.js'
import { type FromContext, fromItems, levelOf } from './from.js'
import { type Growth, growthsOf } from './growth.js'
import { nameOfParts } from './mentions.js'
import { withTypes } from './named-types.js'
import { outputsOf } from './outputs.js'
import { parseSql } from './parse.js'
import { type Coarse, Reads } from './reads.js'
import { type Recursion, recursionOf, shownAnswer } from './recursion.js'
import type { Level, SelectAnswer } from './scope.js'
import { SourceText } from './source-text.js'
import { isTable, once, spineOf } from './spine.js'
import { valuesAnswer } from './values-list.js'

/** A query of WITH, and where it stands; undefined: what it answers can't be told (it is recursive). */
interface Cte {
  readonly names: readonly string[]
  readonly select: SelectStmt
  readonly place: Place
  isUsed: boolean
  /** It was looked at for all places that are too many to be told apart. */
  isShared: boolean
}

/** What is made of a SELECT's answer. */
interface Use {
  /** What holds whenever it matters. */
  readonly given: Formula
  /** Why its rows are not shown by the statement's answer; undefined if they are. */
  readonly hidden: Coarse | undefined
  /** By what of it the statement's answer grows, if it does. */
  readonly growth: Growth
}

/** Where a SELECT stands. */
interface Place extends Use {
  readonly outer: Level | undefined
  readonly ctes: ReadonlyMap<string, Cte | SelectAnswer | undefined>
  /** The text that it stands in, if that is the statement's own. */
  readonly source: SourceText | undefined
}

/** What stands behind a statement. */
const TOP: Place = {
  outer: undefined,
  ctes: new Map(),
  given: NONE,
  hidden: undefined,
  growth: 'none',
  source: undefined,
}

/** A statement that names more tables than this, through its views and common table expressions, is looked into no further. */
const OCCURRENCES_MAX = 200

/**
 * What a SELECT reads, and under which conditions. What stands elsewhere in the statement is noted as read as a whole.
 *
 * @param text  the statement's
 * @param types  type OIDs of its parameters
 */
export function readsOf(statement: Node, text: string, facts: Facts, types: readonly number[]): Reads {
  const walkthrough = new Walkthrough(text, facts, types)
  walkthrough.statement(statement)
  return walkthrough.reads
}

class Walkthrough {
  readonly reads: Reads
  readonly #facts: Facts
  readonly #types: readonly number[]
  readonly #calls: Calls
  /** Where the statement itself stands. */
  readonly #top: Place
  #statement: Node | undefined

  constructor(text: string, facts: Facts, types: readonly number[]) {
    this.reads = new Reads(facts)
    this.#types = types
    this.#top = { ...TOP, growth: 'presence', source: new SourceText(text) }
    this.#facts = facts
    this.#calls = new Calls(facts, types, this.reads)
  }

  statement(node: Node): void {
    this.#statement = node
    const select = as('SelectStmt', node)
    const answer = select && this.#select(select, this.#top)
    if (answer) this.reads.holds = answer.holds
    if (answer?.isComplete) this.reads.shown = answer.outputs
    this.#addUnseen(node)
    this.#calls.addHidden()
  }

  #addUnseen(node: Node): void {
    this.reads.addUnseen(node)
    this.#calls.addUnseen(node)
  }

  #select(select: SelectStmt, outside: Place): SelectAnswer {
    const first = this.reads.next
    const own = new Map<string, Cte | undefined>()
    const place = { ...outside, ctes: this.#withClause(select, outside, own) }
    const isSetOperation = select.op !== undefined && select.op !== 'SETOP_NONE'
    const answer = isSetOperation ? this.#setOperation(select, place, outside) : this.#plain(select, place, outside)
    for (const cte of own.values())
      if (cte && !cte.isUsed) this.#select(cte.select, { ...cte.place, hidden: 'cte', growth: 'none', given: NONE })
    return { ...answer, range: [first, this.reads.next] }
  }

  /** @param outside  without the common table expressions of its own */
  #plain(written: SelectStmt, place: Place, outside: Place): SelectAnswer {
    const select = this.#calls.inFrom(written)
    const { ctes, outer, source } = place
    const kind = kindOf(select, (call) => this.#isAggregate(call))
    const hidden = place.hidden ?? kind.hidden
    const isGrowing = place.growth !== 'none' && (kind.grows === 'rows' || kind.grows === place.growth)
    const growth = isGrowing ? 'rows' : 'none'
    // Filled when all of FROM and WHERE is known; read when the whole statement is.
    const holds: Formula[] = []
    const given: Formula = { kind: 'and', parts: [place.given, { kind: 'and', parts: holds }] }
    // Of what is computed behind FROM and WHERE.
    const shown: Formula[] = []
    const givenShown: Formula = { kind: 'and', parts: [place.given, { kind: 'and', parts: shown }] }
    const looked = new Set<object>()
    const look = (inner: SelectStmt, level: Level): SelectAnswer => {
      looked.add(inner)
      return this.#select(inner, { outer: level, ctes, given, hidden: 'subquery', growth, source })
    }
    const call = (node: FuncCall, level: Level): SelectAnswer | undefined => {
      const called = this.#call(node, level, { given, hidden: 'subquery', growth: 'none' })
      if (called) looked.add(node)
      return called?.isValue ? called.answer : undefined
    }
    const expression = (node: unknown, level: Level | undefined, known: Formula): void => {
      walk(node, (tag, content) => {
        if (tag === 'FuncCall' && !looked.has(content))
          this.#call(content as FuncCall, level, { given: known, hidden: 'subquery', growth: 'none' })
        if (tag !== 'SelectStmt') return true
        if (!looked.has(content))
          this.#select(content as SelectStmt, {
            outer: level,
            ctes,
            given: known,
            hidden: 'subquery',
            growth: 'none',
            source,
          })
        return false
      })
    }
    const contextOf = (own: Growth): FromContext => ({
      reads: this.reads,
      outer,
      given,
      hidden,
      isGrowing: own === 'rows',
      get filled() {
        return contextOf('none')
      },
      expression: (node, level) => expression(node, level, place.given),
      subquery: (node, level) => {
        const inner = as('SelectStmt', node)
        return inner && this.#derive(inner, { outer: level, ctes, given, hidden, growth: own, source })
      },
      cte: (name) => (ctes.has(name) ? this.#cte(ctes.get(name), { given, hidden, growth: own }) : undefined),
      view: (relation) => this.#view(relation, { given, hidden, growth: own }),
      call: (node, level) => this.#call(node, level, { given, hidden, growth: own }),
    })
    const from = fromItems(select.fromClause ?? [], contextOf(growth))
    const level = levelOf(from, outer, { look, call })
    const isStatement = outside === this.#top
    const standing = {
      source: select === written ? source : undefined,
      isInside: outer !== undefined,
      ctes: outside.ctes,
    }
    const mayCut = !kind.isWhole && !kind.hasWindow
    const cut = mayCut ? cutOf(select, level, from, standing, isStatement, this.#types) : undefined
    const where: Formula = {
      kind: 'and',
      parts: [
        conjunctionOf(select.whereClause, level),
        ...(cut ? [{ kind: 'cut', column: cut.by, cut: cut.cut } as const] : []),
        ...(kind.isWhole
          ? [
              countedOf(
                select,
                level,
                levelOf(from, undefined),
                this.#facts,
                (call) => this.#isAggregate(call),
                isStatement,
              ),
            ]
          : []),
      ],
    }
    const spine = once(() => spineOf(select, from, { ...standing, ctes }, this.#types, this.#statement))
    for (const occurrence of from.occurrences) {
      if (isTable(occurrence)) occurrence.spine ??= spine
      occurrence.formulas.push(where, ...from.holds)
      if (occurrence.isNullable) occurrence.hidden ??= 'outer-join'
    }
    holds.push(where, ...from.holds)
    // Also for subqueries of a SELECT that answers without rows (an aggregate): what it knows of its rows bounds a subquery only through
    // a column that the subquery names, and that it may name only where there is a row, or a group of some.
    // But what never holds, or needs a row, bounds all of them, and such a SELECT answers all the same.
    shown.push(...(kind.isWhole ? holds.map(withoutPresence).filter((formula) => !neverHolds(formula)) : holds))
    const { whereClause, targetList, distinctClause, groupClause, havingClause, windowClause, sortClause } = select
    expression(whereClause, level, given)
    expression([targetList, distinctClause, groupClause, havingClause, windowClause, sortClause], level, givenShown)
    expression([select.valuesLists, select.limitCount, select.limitOffset], level, place.given)
    // It may answer without any row.
    if (kind.isWhole) return { outputs: [], isComplete: false, holds: [], open: from.occurrences, range: [0, 0] }
    if (select.valuesLists) return { ...valuesAnswer(select.valuesLists, this.reads, this.#types), range: [0, 0] }
    const { outputs, isComplete } = outputsOf(select, from, kind.isGrouped)
    const isOpen = !select.limitCount && !select.limitOffset && !kind.hasWindow && !isDistinctOn(select)
    return { outputs, isComplete, holds, open: isOpen ? from.occurrences : [], range: [0, 0] }
  }

  /** @param outside  as of `#plain` */
  #setOperation(select: SelectStmt, place: Place, outside: Place): SelectAnswer {
    const hidden = place.hidden ?? 'set-operation'
    const growths = growthsOf(select, place.growth)
    // What an arm needs of the other, known when both are read: a row that could be equal.
    const others: readonly [Formula[], Formula[]] = [[], []]
    const arms = [select.larg, select.rarg].flatMap((arm, index) => {
      const given: Formula = { kind: 'and', parts: [place.given, { kind: 'and', parts: others[index]! }] }
      return arm ? [this.#select(arm, { ...place, given, hidden, growth: growths[index]! })] : []
    })
    if (select.op === 'SETOP_INTERSECT') others[0].push(...(arms[1]?.holds ?? []))
    if (select.op !== 'SETOP_UNION') others[1].push(...(arms[0]?.holds ?? []))
    walk([select.sortClause, select.limitCount, select.limitOffset], (tag, content) => {
      if (tag !== 'SelectStmt') return true
      this.#select(content as SelectStmt, {
        ...place,
        outer: undefined,
        hidden: 'subquery',
        growth: 'none',
        source: undefined,
      })
      return false
    })
    const isCut = select.limitCount !== undefined || select.limitOffset !== undefined
    const answer = combined(select.op ?? '', arms, isCut, this.reads)
    if (outside === this.#top) cutArms(select, answer, arms)
    return answer
  }

  /** A subquery in FROM. Where it only filters, its rows are shown as those of the SELECT around it. */
  #derive(select: SelectStmt, place: Place): SelectAnswer {
    const kind = kindOf(select, (call) => this.#isAggregate(call))
    const isPlain = !kind.hidden && !select.limitCount && (select.op === undefined || select.op === 'SETOP_NONE')
    return this.#select(select, { ...place, hidden: place.hidden ?? (isPlain ? undefined : 'subquery') })
  }

  /**
   * Each place that names it is looked at by itself: so each is bounded by what is said of it there. Of a recursive one, and where that
   * would be too much, nothing is known there.
   */
  #cte(cte: Cte | SelectAnswer | undefined, use: Use): ReturnType<FromContext['cte']> {
    if (!cte || 'outputs' in cte) return { answer: cte, names: [] }
    if (this.reads.next > OCCURRENCES_MAX) {
      if (!cte.isShared) {
        cte.isUsed = cte.isShared = true
        this.#select(cte.select, { ...cte.place, hidden: 'cte', growth: 'none', given: NONE })
      }
      return { answer: undefined, names: [] }
    }
    cte.isUsed = true
    return { answer: this.#derive(cte.select, { ...cte.place, ...use }), names: cte.names }
  }

  #view(relation: Relation, use: Use): SelectAnswer | undefined {
    if (relation.definitions.length !== 1 || this.reads.next > OCCURRENCES_MAX) return undefined
    const parsed = parseSql(relation.definitions[0]!)
    const [first] = 'tooDeep' in parsed ? [] : parsed.statements
    const statement = first && withTypes(first, this.#facts.types)
    const select = as('SelectStmt', statement)
    if (!statement || !select) return undefined
    this.reads.lookedInto(relation)
    this.reads.bodies.set(statement, relation)
    const answer = this.#derive(select, { ...TOP, ...use })
    this.#addUnseen(statement)
    return answer
  }

  /** What a function of one's own answers, where its body can be looked into. Its names see nothing of the statement but what is passed. */
  #call(
    node: FuncCall,
    level: Level | undefined,
    { given, hidden = 'subquery', growth }: Use,
  ): ReturnType<Calls['enter']> {
    return this.#calls.enter(node, level, (body, outer) => {
      // What answers no set answers NULL where there is no row.
      const own = body.code.isSet ? growth : 'none'
      const answer = this.#derive(body.select, { ...TOP, outer, given, hidden, growth: own })
      this.#addUnseen(body.statement)
      return answer
    })
  }

  /** Returns the names that are visible in the statement. Of a plain WITH each query sees those before it, of a recursive one all. */
  #withClause(statement: SelectStmt, place: Place, own: Map<string, Cte | undefined>): Place['ctes'] {
    const { withClause } = statement
    if (!withClause) return place.ctes
    const visible = new Map(place.ctes)
    const queries = (withClause.ctes ?? []).flatMap((node) => as('CommonTableExpr', node) ?? [])
    for (const query of queries) if (withClause.recursive) visible.set(query.ctename ?? '', undefined)
    for (const query of queries) {
      const select = as('SelectStmt', query.ctequery)
      const inside = { ...place, ctes: new Map(visible) }
      const isKnown = select && !withClause.recursive
      const recursion = !isKnown && place === this.#top ? recursionOf(statement, query) : undefined
      const hidden = { ...inside, hidden: place.hidden ?? 'cte', growth: 'none' } as const
      if (recursion) this.#recursive(recursion, hidden)
      else if (select && !isKnown) this.#select(select, hidden)
      const cte = isKnown
        ? { names: strings(query.aliascolnames), select, place: inside, isUsed: false, isShared: false }
        : undefined
      visible.set(query.ctename ?? '', cte)
      own.set(query.ctename ?? '', cte)
    }
    return visible
  }

  #recursive(recursion: Recursion, place: Place): void {
    const answer = shownAnswer(this.#select(recursion.first, place), recursion, this.reads)
    const ctes = new Map<string, Cte | SelectAnswer | undefined>(place.ctes).set(recursion.name, answer)
    this.#select(recursion.next, { ...place, ctes })
  }

  #isAggregate(call: FuncCall): boolean {
    if (call.agg_star || call.agg_distinct || call.agg_filter || call.agg_order || call.agg_within_group) return true
    const { schema, name } = nameOfParts(strings(call.funcname))
    return this.#facts.functions.some(
      (each) => each.isAggregate && each.name === name && (schema === undefined || each.schema === schema),
    )
  }
}

/** What a SELECT makes of its rows. */
interface Kind {
  /** What grows, or stays as it is, by a row more in its tables. */
  readonly grows: Growth
  /** Why its answer does not show each row that matters to it. */
  readonly hidden: Coarse | undefined
  /** A row of its answer stands for rows that are equal in the expressions of GROUP BY. */
  readonly isGrouped: boolean
  /** A row of its answer may stand for all rows, or for none. */
  readonly isWhole: boolean
  readonly hasWindow: boolean
}

function kindOf(select: SelectStmt, isAggregate: (call: FuncCall) => boolean): Kind {
  let isAggregated = select.groupClause !== undefined || select.havingClause !== undefined
  let hasWindow = select.windowClause !== undefined
  let hasCall = false
  walk([select.targetList, select.sortClause], (tag, content) => {
    if (tag === 'SelectStmt') return false
    if (tag === 'JsonArrayAgg' || tag === 'JsonObjectAgg') isAggregated = true
    if (tag !== 'FuncCall') return true
    if ((content as FuncCall).over) hasWindow = true
    else if (isAggregate(content as FuncCall)) isAggregated = true
    else hasCall = true
    return true
  })
  const isGrouped = select.groupClause !== undefined
  const hasSets = select.groupClause?.some((node) => as('GroupingSet', node)) ?? false
  const hidden = isAggregated
    ? 'aggregate'
    : hasWindow
      ? 'window'
      : select.distinctClause
        ? 'distinct'
        : select.limitOffset
          ? 'offset'
          : undefined
  const isWhole = isAggregated && (!isGrouped || hasSets)
  const isSummed = isGrouped || hasWindow
  const isCut = select.limitCount !== undefined || select.limitOffset !== undefined || isDistinctOn(select)
  // How many rows a call makes of a sum may be fewer where that is more.
  const isLost = isWhole || select.havingClause !== undefined || (isSummed && hasCall)
  const grows = isLost ? 'none' : isSummed || isCut ? 'presence' : 'rows'
  return { grows, hidden, isGrouped, isWhole, hasWindow }
}

/** DISTINCT alone has one empty expression. */
function isDistinctOn({ distinctClause }: SelectStmt): boolean {
  return distinctClause?.some((node) => Object.keys(node).length > 0) ?? false
}
