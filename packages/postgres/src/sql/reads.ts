import type { Node, RangeVar } from './ast.js'
import { walk } from './ast.js'
import type { Column, Facts, Relation } from './catalogue.js'
import type { Formula } from './conditions.js'
import { nameOfRelation, quoted } from './mentions.js'
import { isSameColumn, type Occurrence, type Output, type TableOccurrence } from './scope.js'

/** Why a dependency is wider than what the query reads. Counted, and shown by `explain`. */
export type Coarse =
  | 'condition' // no equality with a parameter, a constant or NULL bounds its rows
  | 'type' // the compared column's type has no single text for a value, or the types differ
  | 'collation' // the column's collation takes different texts for equal
  | 'operator' // somebody defined an own `=` for the column's type
  | 'generated' // the log does not carry generated columns
  | 'value' // the parameter's text in the log can't be told from its value
  | 'too-many-values' // the lists of the query name more rows than are followed one by one
  | 'aggregate' // old values: rows that left are not in the answer
  | 'distinct'
  | 'window'
  | 'offset'
  | 'set-operation'
  | 'subquery'
  | 'cte'
  | 'outer-join'
  | 'self-join' // the answer does not tell which of its occurrences a row came from
  | 'identity-not-selected' // the answer does not say which rows it shows
  | 'too-many-members' // the answer has more rows than membersMax
  | 'unseen' // the answer was not seen (a cursor)
  | 'view' // read through a view
  | 'policy' // read by a row security policy
  | 'sample'
  | 'self-check' // it once read a table that its SQL was not found to depend on
  | 'not-understood' // it stands where the analyser does not look

/** A relation read as a whole. `reason` is undefined where the query itself does so. */
export interface WholeRead {
  readonly relation: Relation
  readonly reason: Coarse | undefined
  /** The name in FROM. */
  readonly place: RangeVar
}

/** Gathers what a statement reads while the analysis walks it. */
export class Reads {
  readonly occurrences: { readonly occurrence: TableOccurrence; readonly given: Formula }[] = []
  readonly whole: WholeRead[] = []
  /** Bodies of functions that it calls, and of views that were looked into; these with their views. */
  readonly bodies = new Map<Node, Relation | undefined>()
  /** Those that are called where the analysis does not look. */
  readonly wholeBodies = new Set<Node>()
  /** The columns of the statement's answer, by their places; none where these can't be told. */
  shown: readonly Output[] = []
  /** What holds for the rows that each row of the statement's answer comes from. */
  holds: readonly Formula[] = []
  /** A name in FROM means no relation that is known. */
  isTorn = false
  readonly #facts: Facts
  readonly #seen = new Set<RangeVar>()
  readonly #looked = new Set<Relation>()
  #number = 0

  constructor(facts: Facts) {
    this.#facts = facts
  }

  /** The relation that a name in FROM means. Its reading is noted by the caller, as an occurrence or as a whole. */
  relation(node: RangeVar): Relation | undefined {
    this.#seen.add(node)
    const relation = this.#facts.named.get(quoted(nameOfRelation(node)))
    this.isTorn ||= relation === undefined
    return relation
  }

  /** A name that is no relation's: a common table expression. */
  skip(node: RangeVar): void {
    this.#seen.add(node)
  }

  /** Notes a table that is read row by row; `given` holds whenever the statement that reads it matters. */
  occurrence(
    relation: Relation,
    place: RangeVar,
    given: Formula,
    { hidden, isGrowing }: Pick<Occurrence, 'hidden' | 'isGrowing'>,
  ): Occurrence {
    const occurrence: TableOccurrence = {
      number: this.#number++,
      relation,
      place,
      columns: relation.columns,
      formulas: [],
      isNullable: false,
      hidden,
      isGrowing,
    }
    this.occurrences.push({ occurrence, given })
    return occurrence
  }

  /** A subquery's place among the others. */
  derived(columns: readonly Column[]): Occurrence {
    return {
      number: this.#number++,
      relation: undefined,
      columns,
      formulas: [],
      isNullable: false,
      hidden: undefined,
      isGrowing: false,
    }
  }

  /** The number of the next occurrence. */
  get next(): number {
    return this.#number
  }

  /** The places in the statement's answer that show columns of an occurrence, by the columns' numbers. */
  placesOf(occurrence: TableOccurrence): ReadonlyMap<number, number> {
    const places = new Map<number, number>()
    for (const column of occurrence.columns) {
      const place = this.shown.findIndex(
        (output) => output.column && isSameColumn(output.column, { occurrence, column }),
      )
      if (place >= 0) places.set(column.number, place)
    }
    return places
  }

  /** Notes that a view was looked into. */
  lookedInto(view: Relation): void {
    this.#looked.add(view)
  }

  /** Whether every view was looked into wherever it stands. */
  get hasSeenViews(): boolean {
    const isHidden = ({ kind, via }: Relation) => kind === 'v' && via.includes('policy')
    const isWhole = (each: Relation) => each.kind === 'v' && this.whole.some((whole) => whole.relation === each)
    const isUnseen = (each: Relation) => each.kind === 'v' && !this.#looked.has(each)
    return !this.#facts.relations.some((each) => isHidden(each) || isWhole(each) || isUnseen(each))
  }

  /** Whether all that is read through views was seen where they were looked into. */
  hasSeen(relation: Relation): boolean {
    return this.hasSeenViews && (relation.kind === 'v' || this.#has(relation))
  }

  #has({ oid }: Relation): boolean {
    return (
      this.occurrences.some(({ occurrence }) => occurrence.relation.oid === oid) ||
      this.whole.some(({ relation }) => relation.oid === oid)
    )
  }

  /** What was mentioned, but not looked at, was read as a whole. */
  addUnseen(statement: Node): void {
    walk(statement, (tag, content) => {
      if (tag === 'RangeVar' && !this.#seen.has(content as RangeVar)) this.#addWhole(content as RangeVar)
    })
  }

  /** All that a body mentions is read as a whole. */
  addWhole(statement: Node): void {
    this.bodies.set(statement, undefined)
    this.wholeBodies.add(statement)
    walk(statement, (tag, content) => {
      if (tag === 'RangeVar') this.#addWhole(content as RangeVar)
    })
  }

  #addWhole(node: RangeVar): void {
    // It may be the name of a common table expression.
    const relation = this.#facts.named.get(quoted(nameOfRelation(node)))
    if (relation) this.whole.push({ relation, reason: 'not-understood', place: node })
  }
}
