import type { ColumnRef, JoinExpr, Node, RangeVar, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Facts, Relation } from './catalogue.js'
import { nameOfRelation, quoted } from './mentions.js'

/** What no image of the log has. */
const SYSTEM_COLUMNS = ['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']

/** Which columns are read: of a table in all, and at each place where a statement names it. undefined: all, or nobody knows which. */
export interface ColumnsRead {
  of(relation: Relation): readonly string[] | undefined
  /** @param place  the name in FROM; undefined where it is not known */
  at(relation: Relation, place: RangeVar | undefined): readonly string[] | undefined
}

/**
 * Which columns of each table statements read, anywhere in them, sorted.
 *
 * It goes by names, wherever they stand: a column's value gets into an answer only if the statement names the column, a whole row, or
 * `*`. A bare name counts for every place of a table that has such a column, `p.title` for every place that is called `p`. So whatever
 * the statement means, no column is left out.
 *
 * @param statements  all that is read by, views and functions that were looked into among them
 */
export function columnsRead(statements: readonly Node[], facts: Facts): ColumnsRead {
  const names = new Names(facts)
  for (const statement of statements) names.addTables(statement)
  for (const statement of statements) names.addColumns(statement)
  return {
    of: (relation) => (isPlain(relation) ? names.columnsOf(relation) : undefined),
    at: (relation, place) => {
      if (!isPlain(relation)) return undefined
      return place ? names.columnsAt(relation, place) : names.columnsOf(relation)
    },
  }
}

/** It is known who names its columns: statements, and policies of its own; no view of which only the name is known. */
function isPlain({ columns, via, hasPolicies, policyColumns, definitions }: Relation): boolean {
  if (columns.length === 0 || via.some((each) => each !== 'query')) return false
  // A policy's whole row is written so; pg_depend, from which its columns are, does not have it.
  return !hasPolicies || (policyColumns !== null && !definitions.some((policy) => policy.includes('.*')))
}

class Names {
  readonly #facts: Facts
  /** The places where relations are named, and which ones. */
  readonly #places = new Map<RangeVar, Relation>()
  /** Places by what they are called. */
  readonly #called = new Map<string, RangeVar[]>()
  /** What whole joins are called: a name behind it is one of any of its tables. */
  readonly #joins = new Set<string>()
  readonly #bare = new Set<string>()
  readonly #qualified = new Map<RangeVar, Set<string>>()
  /** Places of which all columns are read. */
  readonly #whole = new Set<RangeVar>()
  #isEverythingRead = false

  constructor(facts: Facts) {
    this.#facts = facts
  }

  addTables(statement: Node): void {
    walk(statement, (tag, content) => {
      if (tag === 'RangeVar') this.#table(content as RangeVar)
      if (tag === 'RangeTableSample') this.#addWhole(content)
      if (tag === 'JoinExpr') this.#join(content as JoinExpr)
    })
  }

  addColumns(statement: Node): void {
    const stars = new Set<object>()
    walk(statement, (tag, content) => {
      if (tag === 'SubLink') this.#existence(content, stars)
      if (tag === 'SelectStmt') this.#starsOf(content as SelectStmt, stars)
      if (tag === 'ColumnRef' && !stars.has(content)) this.#column(content as ColumnRef)
    })
  }

  /** undefined: all. */
  columnsOf(relation: Relation): readonly string[] | undefined {
    const places = [...this.#places].flatMap(([place, each]) => (each.oid === relation.oid ? [place] : []))
    return this.#columns(relation, places)
  }

  /** undefined: all. */
  columnsAt(relation: Relation, place: RangeVar): readonly string[] | undefined {
    return this.#places.get(place)?.oid === relation.oid ? this.#columns(relation, [place]) : this.columnsOf(relation)
  }

  #columns(relation: Relation, places: readonly RangeVar[]): readonly string[] | undefined {
    if (this.#isEverythingRead || places.some((place) => this.#whole.has(place))) return undefined
    const decides = (relation.hasPolicies && relation.policyColumns) || []
    const isBare = (name: string): boolean => this.#bare.has(name) || decides.includes(name)
    if (SYSTEM_COLUMNS.some(isBare)) return undefined
    const isNamed = (name: string): boolean =>
      isBare(name) || places.some((place) => this.#qualified.get(place)?.has(name))
    const read = relation.columns.filter(({ name }) => isNamed(name))
    // The log does not have it, and nobody says from which columns it is computed.
    if (read.some((column) => column.isGenerated)) return undefined
    return read.map(({ name }) => name).sort()
  }

  #table(node: RangeVar): void {
    const relation = this.#facts.named.get(quoted(nameOfRelation(node)))
    if (!relation) return
    this.#places.set(node, relation)
    const name = node.alias?.aliasname ?? node.relname ?? ''
    this.#called.set(name, [...(this.#called.get(name) ?? []), node])
    // Its columns go by other names.
    if (node.alias?.colnames) this.#whole.add(node)
  }

  #join(join: JoinExpr): void {
    for (const alias of [join.alias, join.join_using_alias]) if (alias?.aliasname) this.#joins.add(alias.aliasname)
    if (join.alias?.colnames) this.#addWhole(join)
    for (const name of strings(join.usingClause)) this.#bare.add(name)
    if (join.isNatural) this.#addWhole(join)
  }

  /** EXISTS does not look at what its subquery selects. */
  #existence(content: object, stars: Set<object>): void {
    const { subLinkType, subselect } = content as { subLinkType?: string; subselect?: Node }
    const select = as('SelectStmt', subselect)
    if (subLinkType !== 'EXISTS_SUBLINK' || !select?.targetList) return
    for (const star of loneStars(select)) stars.add(star)
  }

  /** `*` stands for all columns of what this FROM names; subqueries of it say themselves what they read. */
  #starsOf(select: SelectStmt, stars: Set<object>): void {
    for (const star of loneStars(select)) {
      if (stars.has(star)) continue
      stars.add(star)
      this.#addWhole(select.fromClause)
    }
  }

  #column({ fields }: ColumnRef): void {
    const parts = strings(fields)
    const [last, before] = [parts.at(-1), parts.at(-2)]
    if (last === undefined) {
      // A star that stands where none is expected.
      this.#isEverythingRead = true
    } else if (parts.length !== fields?.length) {
      this.#addRow(last)
    } else if (before !== undefined) {
      this.#addQualified(before, last)
    } else {
      this.#bare.add(last)
      this.#addRow(last)
    }
  }

  /** The name may be that of a table, or of a join, and stand for its rows. */
  #addRow(name: string): void {
    for (const place of this.#called.get(name) ?? []) this.#whole.add(place)
    if (this.#joins.has(name)) this.#isEverythingRead = true
  }

  #addQualified(table: string, name: string): void {
    const called = this.#called.get(table)
    if (!called || this.#joins.has(table)) this.#bare.add(name)
    for (const place of called ?? []) {
      const { columns } = this.#places.get(place)!
      // A system column, or a function of the whole row that is written like a column.
      if (columns.some((column) => column.name === name))
        this.#qualified.set(place, (this.#qualified.get(place) ?? new Set()).add(name))
      else this.#whole.add(place)
    }
  }

  #addWhole(part: unknown): void {
    walk(part, (tag, content) => {
      if (tag !== 'RangeVar') return tag !== 'SelectStmt'
      this.#whole.add(content as RangeVar)
      return true
    })
  }
}

function loneStars({ targetList }: SelectStmt): ColumnRef[] {
  return (targetList ?? []).flatMap((node) => {
    const reference = as('ColumnRef', as('ResTarget', node)?.val)
    return reference?.fields?.length === 1 && as('A_Star', reference.fields[0]) ? [reference] : []
  })
}
