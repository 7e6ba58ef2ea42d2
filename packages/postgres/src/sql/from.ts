import type { FuncCall, JoinExpr, Node, RangeFunction, RangeVar } from './ast.js'
import { as, strings } from './ast.js'
import type { Relation } from './catalogue.js'
import type { Formula } from './conditions.js'
import { conjunctionOf, same } from './conditions.js'
import { derived, renamed } from './derived.js'
import type { Coarse, Reads } from './reads.js'
import type { BoundColumn, Level, Occurrence, SelectAnswer, Source } from './scope.js'
import { columnsOf, resolve } from './scope.js'

/** What FROM, or a part of it, brings: names, and the tables that are read for it. */
export interface Item {
  readonly sources: readonly Source[]
  readonly merged: ReadonlyMap<string, BoundColumn | undefined>
  readonly occurrences: readonly Occurrence[]
  /** What holds for every row that it brings: conditions of inner joins. */
  readonly holds: readonly Formula[]
}

/** What a FROM needs of the statement around it. */
export interface FromContext {
  readonly reads: Reads
  /** The level around the statement. */
  readonly outer: Level | undefined
  /** What holds whenever a row of it matters. */
  readonly given: Formula
  /** Why rows can't be told from the answer's. */
  readonly hidden: Coarse | undefined
  /** Without a row of it there may be fewer in the statement's answer, but no other. */
  readonly isGrowing: boolean
  /** The same for what an outer join may fill with NULLs: where a row goes, these come. */
  readonly filled: FromContext
  /** The answer of a subquery; `level` is what its names see. */
  subquery(node: Node | undefined, level: Level | undefined): SelectAnswer | undefined
  /** The answer of a common table expression of this name, if there is one; of a view. */
  cte(name: string): { readonly answer: SelectAnswer | undefined; readonly names: readonly string[] } | undefined
  view(relation: Relation): SelectAnswer | undefined
  /** The answer of a function of one's own, if it can be told, and whether that is a set; undefined: it is not looked into. */
  call(call: FuncCall, level: Level): { readonly answer: SelectAnswer | undefined; readonly isSet: boolean } | undefined
  /** Takes an expression that may hold subqueries. */
  expression(node: unknown, level: Level): void
}

const NOTHING: Item = { sources: [], merged: new Map(), occurrences: [], holds: [] }

/** Reads the items of FROM in order: each sees those before it where it is LATERAL. */
export function fromItems(nodes: readonly Node[], context: FromContext): Item {
  return nodes.reduce<Item>((before, node) => beside(before, fromItem(node, before, context)), NOTHING)
}

/** @param looking  looks into what conditions compare with */
export function levelOf(item: Item, outer: Level | undefined, looking: Pick<Level, 'look' | 'call'> = {}): Level {
  return { sources: item.sources, merged: item.merged, outer, ...looking }
}

function fromItem(node: Node, before: Item, context: FromContext): Item {
  const table = as('RangeVar', node)
  if (table) return fromTable(table, undefined, context)
  const join = as('JoinExpr', node)
  if (join) return fromJoin(join, before, context)
  const sample = as('RangeTableSample', node)
  const sampled = as('RangeVar', sample?.relation)
  const level = levelOf(before, context.outer)
  if (sampled) {
    context.expression([sample?.args, sample?.repeatable], level)
    return fromTable(sampled, 'sample', context)
  }
  const subselect = as('RangeSubselect', node)
  if (subselect) {
    const answer = context.subquery(subselect.subquery, subselect.lateral ? level : context.outer)
    const { aliasname = '', colnames } = subselect.alias ?? {}
    return answer ? derived(aliasname, strings(colnames), answer, context.reads) : unknownSource(aliasname)
  }
  // Functions, XMLTABLE, JSON_TABLE: always lateral.
  const item = fromFunction(as('RangeFunction', node), level, context)
  if (item) return item
  context.expression(node, level)
  const alias = (Object.values(node)[0] as { alias?: { aliasname?: string } }).alias?.aliasname
  return unknownSource(alias ?? strings(callIn(as('RangeFunction', node))?.funcname).at(-1))
}

/** A single function, without more to it than an alias. */
function fromFunction(node: RangeFunction | undefined, level: Level, context: FromContext): Item | undefined {
  const call = callIn(node)
  if (!node || !call || node.ordinality || node.is_rowsfrom || node.coldeflist) return undefined
  const called = context.call(call, level)
  if (!called) return undefined
  context.expression(call.args, level)
  const { answer, isSet } = called
  const name = node.alias?.aliasname ?? strings(call.funcname).at(-1) ?? ''
  if (!answer) return unknownSource(name)
  const outputs = answer.outputs.map((output) => (output.name === '' ? { ...output, name } : output))
  const item = derived(name, strings(node.alias?.colnames), { ...answer, outputs }, context.reads)
  return isSet ? item : atMostOne(item)
}

/** A function that answers no set brings one row, of NULLs where its body has none: as the filled side of an outer join does. */
function atMostOne(item: Item): Item {
  for (const occurrence of item.occurrences) occurrence.isNullable = true
  return { ...item, holds: [ifPresent(item)] }
}

function callIn(node: RangeFunction | undefined): FuncCall | undefined {
  return as('FuncCall', as('List', node?.functions?.[0])?.items?.[0])
}

function fromTable(node: RangeVar, reason: Coarse | undefined, context: FromContext): Item {
  const { reads, given } = context
  const name = node.alias?.aliasname ?? node.relname ?? ''
  const names = strings(node.alias?.colnames)
  const cte = node.schemaname === undefined ? context.cte(node.relname ?? '') : undefined
  if (cte) {
    reads.skip(node)
    return cte.answer
      ? derived(name, [...names, ...cte.names.slice(names.length)], cte.answer, reads)
      : unknownSource(name)
  }
  const relation = reads.relation(node)
  if (!relation) return unknownSource(name)
  const schema = node.alias ? undefined : node.schemaname
  if (relation.kind === 'v') {
    const answer = context.view(relation)
    if (answer)
      return derived(
        name,
        [...names, ...relation.columns.slice(names.length).map((each) => each.name)],
        answer,
        reads,
        schema,
      )
  }
  const whole = reason ?? (relation.kind === 'v' ? 'view' : undefined)
  if (whole || relation.columns.length === 0) {
    reads.whole.push({ relation, reason: whole, place: node })
    return unknownSource(name)
  }
  const occurrence = reads.occurrence(relation, node, given, context)
  const source = { name, schema, columns: renamed(columnsOf(occurrence), names), isComplete: true }
  return { sources: [source], merged: new Map(), occurrences: [occurrence], holds: [{ kind: 'there', occurrence }] }
}

function fromJoin(join: JoinExpr, before: Item, context: FromContext): Item {
  const isFull = join.jointype === 'JOIN_FULL'
  const [ofLeft, ofRight] = [
    isFull || join.jointype === 'JOIN_RIGHT' ? context.filled : context,
    isFull || join.jointype === 'JOIN_LEFT' ? context.filled : context,
  ]
  const left = join.larg ? fromItem(join.larg, before, ofLeft) : NOTHING
  const right = join.rarg ? fromItem(join.rarg, beside(before, left), ofRight) : NOTHING
  const both = beside(left, right)
  const shared = sharedColumns(join, left, right)
  const merged = new Map(both.merged)
  const equalities: Formula[] = []
  for (const name of shared) {
    const [leftColumn, rightColumn] = [own(left, name), own(right, name)]
    equalities.push(same(leftColumn, rightColumn))
    merged.set(name, mergedColumn(join, leftColumn, rightColumn))
  }
  // A condition of ON sees the two sides only, and then the levels around the statement.
  const level = levelOf({ ...both, merged }, context.outer)
  const on: Formula = { kind: 'and', parts: [...equalities, conjunctionOf(join.quals, level)] }
  context.expression(join.quals, level)
  const holds = applyOn(join, on, left, right)
  return { ...named(join, { ...both, merged }), holds }
}

/**
 * A condition of ON bounds a side's rows if rows that fail it bring nothing: both sides of an inner join, the side that is filled
 * with NULLs of an outer one, none of a full one; and what refuses the NULLs makes it an inner one. Returns what holds for every row
 * of the join.
 */
function applyOn({ jointype }: JoinExpr, on: Formula, left: Item, right: Item): readonly Formula[] {
  const isInner = jointype === 'JOIN_INNER'
  const [isLeft, isRight] = [jointype === 'JOIN_LEFT', jointype === 'JOIN_RIGHT']
  for (const occurrence of left.occurrences) {
    if (isInner || isRight) occurrence.formulas.push(on)
    if (!isInner && !isLeft) occurrence.isNullable = true
  }
  for (const occurrence of right.occurrences) {
    if (isInner || isLeft) occurrence.formulas.push(on)
    if (!isInner && !isRight) occurrence.isNullable = true
  }
  // What holds on one side says something of the other where that has no row without it.
  if (isInner || isRight) for (const occurrence of left.occurrences) occurrence.formulas.push(...right.holds)
  if (isInner || isLeft) for (const occurrence of right.occurrences) occurrence.formulas.push(...left.holds)
  if (isInner) return [...left.holds, ...right.holds, on]
  if (isLeft) return [...left.holds, ifPresent(right, on)]
  if (isRight) return [...right.holds, ifPresent(left, on)]
  // Of a full one each side has rows for which ON does not hold: it bounds the other one's rows, which matter only beside them.
  for (const occurrence of left.occurrences) occurrence.formulas.push(ifBeside(right, on))
  for (const occurrence of right.occurrences) occurrence.formulas.push(ifBeside(left, on))
  return [ifPresent(left), ifPresent(right), ifBeside(left, ifBeside(right, on))]
}

/** What holds of a side that may be filled with NULLs. */
function ifPresent({ occurrences, holds }: Item, ...on: readonly Formula[]): Formula {
  return { kind: 'if', present: occurrences, holds: { kind: 'and', parts: [...holds, ...on] } }
}

/** What holds of whatever stands beside a row of that side. */
function ifBeside({ occurrences }: Item, holds: Formula): Formula {
  return { kind: 'if', present: occurrences, holds }
}

function sharedColumns(join: JoinExpr, left: Item, right: Item): readonly string[] {
  if (join.usingClause) return strings(join.usingClause)
  if (!join.isNatural) return []
  // Where a side's columns are not known, any name of the other may be shared: then it may mean neither side's.
  const [leftNames, rightNames] = [columnNames(left), columnNames(right)]
  if (!leftNames || !rightNames) return [...(leftNames ?? rightNames ?? [])]
  return [...leftNames].filter((name) => rightNames.has(name))
}

function columnNames({ sources, merged }: Item): ReadonlySet<string> | undefined {
  if (!sources.every(({ isComplete }) => isComplete)) return undefined
  return new Set([...merged.keys(), ...sources.flatMap(({ columns }) => [...columns.keys()])])
}

/** Which side a column of USING means: the one that is never filled with NULLs. */
function mergedColumn(
  { jointype }: JoinExpr,
  left: BoundColumn | undefined,
  right: BoundColumn | undefined,
): BoundColumn | undefined {
  switch (jointype) {
    case 'JOIN_INNER':
      return left ?? right
    case 'JOIN_LEFT':
      return left
    case 'JOIN_RIGHT':
      return right
    default:
      return undefined
  }
}

function own(item: Item, name: string): BoundColumn | undefined {
  const found = resolve({ sources: item.sources, merged: item.merged, outer: undefined }, [name])
  return typeof found === 'string' ? undefined : found
}

/** An alias of the whole join hides the names inside it; one behind USING adds a name. */
function named({ alias, join_using_alias }: JoinExpr, item: Item): Item {
  if (alias?.aliasname) {
    const columns = alias.colnames ? undefined : namesOf(item)
    const source = { ...unknown(alias.aliasname), ...(columns ? { columns, isComplete: true } : {}) }
    return { ...item, sources: [source], merged: new Map() }
  }
  if (!join_using_alias?.aliasname) return item
  return { ...item, sources: [...item.sources, { ...unknown(join_using_alias.aliasname), isComplete: true }] }
}

/** All columns of an item by their names; undefined where they are not known. */
function namesOf(item: Item): Map<string, BoundColumn | undefined> | undefined {
  const names = columnNames(item)
  return names && new Map([...names].map((name) => [name, own(item, name)]))
}

function beside(left: Item, right: Item): Item {
  return {
    sources: [...left.sources, ...right.sources],
    merged: new Map([...left.merged, ...right.merged]),
    occurrences: [...left.occurrences, ...right.occurrences],
    holds: [...left.holds, ...right.holds],
  }
}

function unknownSource(name: string | undefined): Item {
  return { ...NOTHING, sources: [unknown(name ?? '')] }
}

function unknown(name: string): Source {
  return { name, schema: undefined, columns: new Map(), isComplete: false }
}
