import type { ColumnRef, FuncCall, JoinExpr, Node, RangeFunction, RangeVar, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import { bodyOfCall } from './body.js'
import type { Facts, Relation } from './catalogue.js'
import { type Item, Marks, type Output, type Scope, type Target, type Unneeded } from './marks.js'
import { nameOfRelation, quoted } from './mentions.js'

/*
 * A subquery in FROM, a view and a function may list more columns than the query around them uses. A column of such a list that nothing
 * names is not read. It goes by names, and marks as a garbage collector does: what stands outside of such lists is needed; a name that is
 * needed makes needed whatever it may mean.
 */

/** A statement whose names see nothing of the others; `of`: the view, or undefined for a function's body and the statement itself. */
export interface Closed {
  readonly statement: Node
  readonly of: Relation | undefined
}

interface List {
  readonly outputs: readonly Output[]
  /** The names and stars in it. */
  readonly own: readonly ColumnRef[]
}

interface Cte {
  readonly select: SelectStmt | undefined
  readonly isRenamed: boolean
}

type Alias = NonNullable<RangeVar['alias']>

/** Deeper ones are left as they are. */
const DEPTH_MAX = 20

export class Needed {
  readonly #facts: Facts
  readonly #scopes: Scope[] = []
  readonly #scopeOf = new Map<object, Scope>()
  readonly #lists = new Map<SelectStmt, readonly Output[] | undefined>()
  /** What bodies answer. */
  readonly #tops = new Map<Node, Item>()
  /** The same of views, by OID. */
  readonly #views = new Map<number, Item[]>()
  /** Names in lists that may be of no use. */
  readonly #candidates = new Set<ColumnRef>()
  readonly #wholeBodies: ReadonlySet<Node>
  #depth = 0

  /**
   * @param bodies  of views and functions
   * @param whole  those of them that are called where nobody looks
   */
  constructor(statement: Node, bodies: readonly Closed[], whole: ReadonlySet<Node>, facts: Facts) {
    this.#facts = facts
    this.#wholeBodies = whole
    for (const { statement: body, of } of bodies) {
      const item: Item = { name: '', outputs: () => this.#listOf(as('SelectStmt', body)), isRenamed: false }
      this.#tops.set(body, item)
      if (of) this.#views.set(of.oid, [...(this.#views.get(of.oid) ?? []), item])
    }
    for (const each of [statement, ...bodies.map((body) => body.statement)]) this.#scopes.push(this.#scopeFor(each))
    for (const { items } of this.#scopes) for (const item of [...items.values()].flat()) item.outputs()
  }

  /** @param without  names that do not count */
  unneeded(without: ReadonlySet<object>): Unneeded {
    const marks = new Marks(this.#scopeOf, new Set<object>(this.#candidates))
    if (this.#candidates.size === 0) return marks
    for (const [body, item] of this.#tops) if (this.#wholeBodies.has(body)) marks.all([item])
    for (const scope of this.#scopes) {
      for (const items of scope.whole) marks.all(items())
      for (const items of scope.items.values()) marks.all(items.filter(({ isRenamed }) => isRenamed))
      for (const [star, items] of scope.stars) if (!without.has(star) && !this.#isCandidate(star)) marks.all(items())
      for (const name of scope.bare) marks.bare(scope, name)
      for (const reference of scope.references)
        if (!without.has(reference) && !this.#isCandidate(reference) && !scope.stars.has(reference))
          marks.reference(scope, reference)
    }
    return marks
  }

  #isCandidate(reference: object): boolean {
    return this.#candidates.has(reference as ColumnRef)
  }

  #scopeFor(statement: Node): Scope {
    const scope: Scope = {
      ...{ items: new Map(), joins: new Set(), references: [], stars: new Map(), whole: [], bare: [] },
    }
    const ctes = ctesIn(statement)
    const own = this.#tops.get(statement)
    // ORDER BY and GROUP BY use the names that a list gives.
    if (own) scope.items.set(scope, [own])
    const seen = new Set<object>()
    walk(statement, (tag, content) => {
      this.#scopeOf.set(content, scope)
      switch (tag) {
        case 'RangeSubselect': {
          const { alias, subquery } = content as { alias?: Alias; subquery?: Node }
          const outputs = () => this.#listOf(as('SelectStmt', subquery))
          scope.items.set(content, [
            { name: alias?.aliasname ?? '', outputs, isRenamed: alias?.colnames !== undefined },
          ])
          return
        }
        case 'RangeVar':
          scope.items.set(content, this.#itemsOf(content as RangeVar, ctes))
          return
        case 'RangeFunction': {
          const called = this.#called(content as RangeFunction)
          if (called) seen.add(called.call)
          scope.items.set(content, called ? [called.item] : [])
          return
        }
        case 'FuncCall':
          if (!seen.has(content)) this.#callOf(content as FuncCall, scope)
          return
        case 'JoinExpr':
          joinIn(content as JoinExpr, scope)
          return
        case 'SubLink':
          for (const star of unreadStars(content)) seen.add(star)
          return
        case 'SelectStmt':
          for (const star of loneStars(content as SelectStmt)) {
            const { fromClause } = content as SelectStmt
            scope.stars.set(star, seen.has(star) ? () => [] : () => itemsBelow(fromClause, scope))
          }
          return
        case 'ColumnRef':
          scope.references.push(content as ColumnRef)
      }
    })
    return scope
  }

  /** A name in FROM may be that of a view, or of a common table expression. */
  #itemsOf(place: RangeVar, ctes: ReadonlyMap<string, readonly Cte[]>): Item[] {
    const name = place.alias?.aliasname ?? place.relname ?? ''
    const isRenamed = place.alias?.colnames !== undefined
    const relation = this.#facts.named.get(quoted(nameOfRelation(place)))
    const views = (relation && this.#views.get(relation.oid)) ?? []
    const named = place.schemaname ? [] : (ctes.get(place.relname ?? '') ?? [])
    return [
      ...views.map(({ outputs }): Item => ({ name, outputs, isRenamed })),
      ...named.map(
        ({ select, isRenamed: isOwn }): Item => ({
          name,
          outputs: () => this.#listOf(select),
          isRenamed: isRenamed || isOwn,
        }),
      ),
    ]
  }

  #called({
    alias,
    functions = [],
    ordinality,
    coldeflist,
  }: RangeFunction): { call: FuncCall; item: Item } | undefined {
    const call = as('FuncCall', as('List', functions[0])?.items?.[0])
    const body = call && functions.length === 1 ? bodyOfCall(call, this.#facts) : undefined
    const top = body && this.#tops.get(body.statement)
    if (!call || !top || !body.code.isRow || ordinality || coldeflist) return undefined
    const { columns } = body.code
    const outputs = (): readonly Output[] | undefined => {
      const list = top.outputs()
      if (!list) return undefined
      const all = list.map((_, index): Target => ({ is: 'output', item: top, index }))
      return columns.map(({ name }, index) => ({
        name: name ?? undefined,
        targets: list.length === columns.length ? [all[index]!] : all,
      }))
    }
    const name = alias?.aliasname ?? strings(call.funcname).at(-1) ?? ''
    const isRenamed = alias?.colnames !== undefined || columns.some((column) => column.name === null)
    return { call, item: { name, outputs, isRenamed } }
  }

  /** Called as a value: all of its answer may count. */
  #callOf(call: FuncCall, scope: Scope): void {
    const body = bodyOfCall(call, this.#facts)
    const top = body && this.#tops.get(body.statement)
    if (top) scope.whole.push(() => [top])
  }

  /** The list of a SELECT, if no more counts of it than what is named; undefined: all of it does. */
  #listOf(select: SelectStmt | undefined): readonly Output[] | undefined {
    if (!select || this.#depth > DEPTH_MAX) return undefined
    if (this.#lists.has(select)) return this.#lists.get(select)
    this.#lists.set(select, undefined)
    this.#depth++
    const list = this.#readList(select)
    this.#depth--
    this.#lists.set(select, list?.outputs)
    for (const reference of list?.own ?? []) this.#candidates.add(reference)
    return list?.outputs
  }

  #readList(select: SelectStmt): List | undefined {
    if (isByPlace(select)) return undefined
    if (select.op !== undefined && select.op !== 'SETOP_NONE') {
      // UNION ALL keeps each row; the other set operations compare all of it.
      const isPlain = select.op === 'SETOP_UNION' && select.all && select.larg && select.rarg
      const [left, right] = isPlain ? [this.#readList(select.larg!), this.#readList(select.rarg!)] : []
      if (!left || !right || left.outputs.length !== right.outputs.length) return undefined
      const outputs = left.outputs.map(({ name, targets }, index) => {
        const other = right.outputs[index]!
        return { name, targets: [...targets, ...other.targets] }
      })
      return { outputs, own: [...left.own, ...right.own] }
    }
    if (select.distinctClause || select.valuesLists) return undefined
    const outputs: Output[] = []
    const own: ColumnRef[] = []
    for (const node of select.targetList ?? []) {
      const target = as('ResTarget', node)
      const reference = as('ColumnRef', target?.val)
      const parts = strings(reference?.fields)
      if (!reference) outputs.push({ name: target?.name, targets: [] })
      else if (as('A_Star', reference.fields?.at(-1))) {
        const starred = this.#starOf(select, parts)
        if (!starred) return undefined
        outputs.push(...starred)
        own.push(reference)
      } else {
        outputs.push({ name: target?.name ?? parts.at(-1), targets: [{ is: 'reference', reference }] })
        own.push(reference)
      }
    }
    return { outputs, own }
  }

  /** The columns that a star stands for, in their order. */
  #starOf({ fromClause }: SelectStmt, parts: readonly string[]): Output[] | undefined {
    const places: { readonly node: object; readonly name: string }[] = []
    let isPlain = true
    walk(fromClause, (tag, content) => {
      if (tag === 'JoinExpr') {
        const { isNatural, usingClause, alias } = content as JoinExpr
        isPlain &&= !isNatural && !usingClause && !alias
        return true
      }
      const isItem = tag === 'RangeVar' || tag === 'RangeSubselect' || tag === 'RangeFunction'
      const { alias, relname } = content as { alias?: Alias; relname?: string }
      if (isItem) places.push({ node: content, name: alias?.aliasname ?? relname ?? '' })
      else if (tag.startsWith('Range') || tag.endsWith('Table')) isPlain = false
      // What a condition of a join names is no item.
      return !isItem && tag !== 'SubLink'
    })
    const meant = parts.length === 0 ? places : places.filter(({ name }) => name === parts.at(-1))
    if (!isPlain || (parts.length > 0 && meant.length !== 1)) return undefined
    const columns = meant.map(({ node }) => this.#columnsOf(node))
    return columns.every((each) => each !== undefined) ? columns.flat() : undefined
  }

  #columnsOf(node: object): Output[] | undefined {
    const items = this.#scopeOf.get(node)?.items.get(node) ?? []
    const place = 'relname' in node ? (node as RangeVar) : undefined
    const relation = place && this.#facts.named.get(quoted(nameOfRelation(place)))
    if (place && relation && relation.kind !== 'v') {
      if (items.length > 0 || relation.columns.length === 0 || place.alias?.colnames) return undefined
      return relation.columns.map(({ name }) => ({ name, targets: [{ is: 'column', place, name }] }))
    }
    const [item] = items
    if (!item || items.length > 1 || item.isRenamed) return undefined
    return item.outputs()?.map(({ name }, index) => ({ name, targets: [{ is: 'output', item, index }] }))
  }
}

function joinIn(join: JoinExpr, scope: Scope): void {
  for (const alias of [join.alias, join.join_using_alias]) if (alias?.aliasname) scope.joins.add(alias.aliasname)
  scope.bare.push(...strings(join.usingClause))
  if (join.isNatural || join.alias?.colnames) scope.whole.push(() => itemsBelow([join.larg, join.rarg], scope))
}

function itemsBelow(part: unknown, scope: Scope): Item[] {
  const found: Item[] = []
  walk(part, (tag, content) => {
    found.push(...(scope.items.get(content) ?? []))
    return tag !== 'SelectStmt'
  })
  return found
}

/** A number in ORDER BY or GROUP BY names a column of the list by its place. */
function isByPlace({ sortClause, groupClause }: SelectStmt): boolean {
  let hasNumber = sortClause?.some((node) => as('A_Const', as('SortBy', node)?.node)) ?? false
  walk(groupClause, (tag) => {
    if (tag === 'A_Const') hasNumber = true
  })
  return hasNumber
}

/** By name, all that a statement has anywhere. Of a recursive one all is needed. */
function ctesIn(statement: Node): ReadonlyMap<string, readonly Cte[]> {
  const found = new Map<string, Cte[]>()
  walk(statement, (tag, content) => {
    if (tag !== 'SelectStmt') return
    const { ctes = [], recursive } = (content as SelectStmt).withClause ?? {}
    for (const node of ctes) {
      const { ctename = '', ctequery, aliascolnames } = as('CommonTableExpr', node) ?? {}
      const select = recursive ? undefined : as('SelectStmt', ctequery)
      found.set(ctename, [...(found.get(ctename) ?? []), { select, isRenamed: aliascolnames !== undefined }])
    }
  })
  return found
}

/** Stars that EXISTS does not look at. */
export function unreadStars(link: object): readonly ColumnRef[] {
  const { subLinkType, subselect } = link as { subLinkType?: string; subselect?: Node }
  const select = as('SelectStmt', subselect)
  return subLinkType === 'EXISTS_SUBLINK' && select ? loneStars(select) : []
}

/** Each `*` of a list that is not behind a name. */
export function loneStars({ targetList }: SelectStmt): ColumnRef[] {
  return (targetList ?? []).flatMap((node) => {
    const reference = as('ColumnRef', as('ResTarget', node)?.val)
    return reference?.fields?.length === 1 && as('A_Star', reference.fields[0]) ? [reference] : []
  })
}
