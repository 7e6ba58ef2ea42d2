import type { ColumnRef, JoinExpr, Node, RangeVar, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Facts, Relation } from './catalogue.js'
import { nameOfRelation, quoted } from './mentions.js'
import { type Closed, loneStars, Needed, unreadStars } from './needed.js'

/** What no image of the log has. */
const SYSTEM_COLUMNS = ['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']
const SYSTEM_NAMES = new RegExp(`\\b(${SYSTEM_COLUMNS.join('|')})\\b`)

/** Which columns are read: of a table in all, and at each place where a statement names it. undefined: all, or nobody knows which. */
export interface ColumnsRead {
  of(relation: Relation): readonly string[] | undefined
  /** @param place  the name in FROM; undefined where it is not known; @param without  names of columns that do not count */
  at(relation: Relation, place: RangeVar | undefined, without?: ReadonlySet<object>): readonly string[] | undefined
  /** The same without what only orders the rows of the statement's answer. */
  unordered(relation: Relation, place: RangeVar, without?: ReadonlySet<object>): readonly string[] | undefined
  /** The same without what the statement only shows: what decides which rows its answer has. */
  deciding(relation: Relation, place: RangeVar, without?: ReadonlySet<object>): readonly string[] | undefined
  /** Something is read that an update may change though it leaves all columns of the log as they were: system columns, generated ones. */
  readonly isVersionRead: boolean
}

/**
 * Which columns of each table statements read, anywhere in them, sorted.
 *
 * It goes by names, wherever they stand: a column's value gets into an answer only if the statement names the column, a whole row, or
 * `*`. A bare name counts for every place of a table that has such a column, `p.title` for every place that is called `p`; each of the
 * statement, the views and the functions by itself, as none sees the names of another. What a subquery lists and nothing names is not read
 * (needed.ts). So whatever the statement means, no column is left out.
 *
 * @param statement  the statement itself
 * @param bodies  what else is read by: views and functions that were looked into
 * @param wholeBodies  those of them that are called where nobody looks
 * @param hasSeen  whether all that is read of a relation through views was looked into
 */
export function columnsRead(
  statement: Node,
  bodies: readonly Closed[],
  wholeBodies: ReadonlySet<Node>,
  facts: Facts,
  hasSeen: (relation: Relation) => boolean,
): ColumnsRead {
  const needed = new Needed(statement, bodies, wholeBodies, facts)
  const statements = [statement, ...bodies.map((body) => body.statement)]
  const namesIn = (without: ReadonlySet<object>): AllNames => new AllNames(statements, needed, facts, without)
  const names = namesIn(new Set())
  const [ordering, shown] = [orderingIn(statement), shownBy(statement)]
  const known = new Map<ReadonlySet<object>, AllNames>()
  const isKnown = (relation: Relation): boolean => isPlain(relation, hasSeen)
  const lesser = (relation: Relation, place: RangeVar, less: ReadonlySet<object>, without?: ReadonlySet<object>) => {
    if (!isKnown(relation)) return undefined
    if (without) return namesIn(new Set([...less, ...without])).columnsAt(relation, place)
    const found = less.size === 0 ? names : (known.get(less) ?? namesIn(less))
    known.set(less, found)
    return found.columnsAt(relation, place)
  }
  return {
    of: (relation) => (isKnown(relation) ? names.columnsOf(relation) : undefined),
    at: (relation, place, without) => {
      if (!isKnown(relation)) return undefined
      if (place && without) return namesIn(without).columnsAt(relation, place)
      return place ? names.columnsAt(relation, place) : names.columnsOf(relation)
    },
    unordered: (relation, place, without) => lesser(relation, place, ordering, without),
    deciding: (relation, place, without) => lesser(relation, place, shown, without),
    isVersionRead: names.isVersionRead || facts.relations.some(hasVersion),
  }
}

/** Columns that stand in the list of the statement alone, and decide by no ORDER BY which of its rows it shows; and what only orders them. */
function shownBy(statement: Node): ReadonlySet<object> {
  const select = as('SelectStmt', statement)
  if (!select) return new Set()
  const { targetList = [], sortClause = [] } = select
  const isCut = !isAllShown(select)
  const sorted = sortClause.map((node) => as('SortBy', node)?.node)
  // By its place in the list.
  if (isCut && sorted.some((node) => as('A_Const', node))) return new Set()
  const names = new Set(isCut ? sorted.map((node) => strings(as('ColumnRef', node)?.fields).at(-1)) : [])
  const shown = targetList.flatMap((node) => {
    const target = as('ResTarget', node)
    return target?.name !== undefined && names.has(target.name) ? [] : (as('ColumnRef', target?.val) ?? [])
  })
  return new Set([...shown, ...orderingIn(statement)])
}

/** Columns in the statement's ORDER BY that decide nothing but the order of its rows. */
function orderingIn(statement: Node): ReadonlySet<object> {
  const select = as('SelectStmt', statement)
  if (!select || !isAllShown(select)) return new Set()
  return new Set((select.sortClause ?? []).flatMap((node) => as('ColumnRef', as('SortBy', node)?.node) ?? []))
}

/** ORDER BY decides nothing of which rows a SELECT shows. */
function isAllShown({ limitCount, limitOffset, distinctClause }: SelectStmt): boolean {
  const isDistinctOn = distinctClause?.some((node) => Object.keys(node).length > 0)
  return !limitCount && !limitOffset && !isDistinctOn
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

/** The names of several statements, of which none sees those of another. */
class AllNames {
  readonly #each: readonly Names[]

  constructor(statements: readonly Node[], needed: Needed, facts: Facts, without: ReadonlySet<object>) {
    const { references, starred } = needed.unneeded(without)
    const left = new Set([...without, ...references])
    this.#each = statements.map((statement) => {
      const names = new Names(facts)
      names.addTables(statement)
      names.addColumns(statement, left)
      return names
    })
    for (const [place, columns] of starred)
      for (const names of this.#each) if (names.has(place)) names.addAt(place, columns)
  }

  get isVersionRead(): boolean {
    return this.#each.some((names) => names.isVersionRead)
  }

  /** undefined: all. */
  columnsOf(relation: Relation): readonly string[] | undefined {
    const all = this.#each.map((names) => names.columnsOf(relation))
    return all.every((each) => each !== undefined) ? [...new Set(all.flat())].sort() : undefined
  }

  /** undefined: all. */
  columnsAt(relation: Relation, place: RangeVar): readonly string[] | undefined {
    const names = this.#each.find((each) => each.has(place))
    return names ? names.columnsAt(relation, place) : this.columnsOf(relation)
  }
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
      if (tag === 'SubLink') for (const star of unreadStars(content)) stars.add(star)
      if (tag === 'SelectStmt') this.#starsOf(content as SelectStmt, stars)
      if (tag === 'ColumnRef' && !stars.has(content)) this.#column(content as ColumnRef)
    })
  }

  has(place: RangeVar): boolean {
    return this.#places.has(place)
  }

  addAt(place: RangeVar, columns: Iterable<string>): void {
    this.#qualified.set(place, new Set([...(this.#qualified.get(place) ?? []), ...columns]))
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
