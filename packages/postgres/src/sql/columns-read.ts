import type { ColumnRef, JoinExpr, Node, RangeVar, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Facts, Relation } from './catalogue.js'
import { nameOfRelation, quoted } from './mentions.js'

/** What no image of the log has. */
const SYSTEM_COLUMNS = ['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']
const SYSTEM_NAMES = new RegExp(`\\b(${SYSTEM_COLUMNS.join('|')})\\b`)

/** Which columns are read: of a table in all, and at each place where a statement names it. undefined: all, or nobody knows which. */
export interface ColumnsRead {
  of(relation: Relation): readonly string[] | undefined
  /** @param place  the name in FROM; undefined where it is not known; @param without  names of columns that do not count */
  at(relation: Relation, place: RangeVar | undefined, without?: ReadonlySet<object>): readonly string[] | undefined
  /** The same without what the statement only shows: what decides which rows its answer has, and in which order. */
  deciding(relation: Relation, place: RangeVar, without?: ReadonlySet<object>): readonly string[] | undefined
  /** Something is read that an update may change though it leaves all columns of the log as they were: system columns, generated ones. */
  readonly isVersionRead: boolean
}

/**
 * Which columns of each table statements read, anywhere in them, sorted.
 *
 * It goes by names, wherever they stand: a column's value gets into an answer only if the statement names the column, a whole row, or
 * `*`. A bare name counts for every place of a table that has such a column, `p.title` for every place that is called `p`. So whatever
 * the statement means, no column is left out.
 *
 * @param statement  the statement itself
 * @param bodies  what else is read by: views and functions that were looked into
 * @param hasSeen  whether all that is read of a relation through views was looked into
 */
export function columnsRead(
  statement: Node,
  bodies: Iterable<Node>,
  facts: Facts,
  hasSeen: (relation: Relation) => boolean,
): ColumnsRead {
  const statements = [statement, ...bodies]
  const names = namesIn(statements, facts, new Set())
  let deciding: Names | undefined
  const isKnown = (relation: Relation): boolean => isPlain(relation, hasSeen)
  return {
    of: (relation) => (isKnown(relation) ? names.columnsOf(relation) : undefined),
    at: (relation, place, without) => {
      if (!isKnown(relation)) return undefined
      if (place && without) return namesIn(statements, facts, without).columnsAt(relation, place)
      return place ? names.columnsAt(relation, place) : names.columnsOf(relation)
    },
    deciding: (relation, place, without) => {
      if (!isKnown(relation)) return undefined
      const shown = shownBy(statement)
      if (without) return namesIn(statements, facts, new Set([...shown, ...without])).columnsAt(relation, place)
      deciding ??= namesIn(statements, facts, shown)
      return deciding.columnsAt(relation, place)
    },
    isVersionRead: names.isVersionRead || facts.relations.some(hasVersion),
  }
}

function namesIn(statements: readonly Node[], facts: Facts, without: ReadonlySet<object>): Names {
  const names = new Names(facts)
  for (const statement of statements) names.addTables(statement)
  for (const statement of statements) names.addColumns(statement, without)
  return names
}

/** Columns that stand in the list of the statement alone, and are not ordered by under the name that it gives them. */
function shownBy(statement: Node): ReadonlySet<object> {
  const { targetList = [], sortClause = [] } = as('SelectStmt', statement) ?? {}
  const sorted = sortClause.map((node) => as('SortBy', node)?.node)
  // By its place in the list.
  if (sorted.some((node) => as('A_Const', node))) return new Set()
  const names = new Set(sorted.map((node) => strings(as('ColumnRef', node)?.fields).at(-1)))
  return new Set(
    targetList.flatMap((node) => {
      const target = as('ResTarget', node)
      return target?.name !== undefined && names.has(target.name) ? [] : (as('ColumnRef', target?.val) ?? [])
    }),
  )
}

/** It is known who names its columns: statements, views that were looked into, and policies of its own. */
function isPlain(relation: Relation, hasSeen: (relation: Relation) => boolean): boolean {
  const { columns, via, hasPolicies, policyColumns, definitions } = relation
  const isSeen = via.every((each) => each === 'query' || (each === 'view' && hasSeen(relation)))
  if (columns.length === 0 || !isSeen) return false
  // A policy's whole row is written so; pg_depend, from which its columns are, does not have it.
  return !hasPolicies || (policyColumns !== null && !definitions.some((policy) => policy.includes('.*')))
}

/** A view or a policy that names a system column, or a table with a column that the log does not have. */
function hasVersion({ columns, definitions }: Relation): boolean {
  return columns.some(({ isGenerated }) => isGenerated) || definitions.some((text) => SYSTEM_NAMES.test(text))
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
  isVersionRead = false

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

  addColumns(statement: Node, without: ReadonlySet<object>): void {
    const stars = new Set<object>(without)
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
    this.isVersionRead ||= SYSTEM_COLUMNS.includes(last ?? '')
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
