import type { JoinExpr, Node, RangeVar } from './ast.js'
import { as, strings } from './ast.js'
import type { Formula } from './conditions.js'
import { formulaOf, same } from './conditions.js'
import type { Coarse, Reads } from './reads.js'
import type { BoundColumn, Level, Occurrence, Source } from './scope.js'
import { resolve } from './scope.js'

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
  /** Names of common table expressions that are visible here. */
  readonly ctes: ReadonlySet<string>
  /** The level around the statement. */
  readonly outer: Level | undefined
  /** What holds whenever the statement's answer matters. */
  readonly given: readonly Formula[]
  /** Why rows can't be told from the answer's. */
  readonly hidden: Coarse | undefined
  /** Takes a subquery, or an expression that may hold some; `level` is what its names see. */
  subquery(node: Node | undefined, level: Level | undefined, isLateral: boolean): void
  expression(node: unknown, level: Level): void
}

const NOTHING: Item = { sources: [], merged: new Map(), occurrences: [], holds: [] }

/** Reads the items of FROM in order: each sees those before it where it is LATERAL. */
export function fromItems(nodes: readonly Node[], context: FromContext): Item {
  return nodes.reduce<Item>((before, node) => beside(before, fromItem(node, before, context)), NOTHING)
}

export function levelOf(item: Item, outer: Level | undefined): Level {
  return { sources: item.sources, merged: item.merged, outer }
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
    const isLateral = subselect.lateral === true
    context.subquery(subselect.subquery, isLateral ? level : context.outer, isLateral)
    return unknownSource(subselect.alias?.aliasname)
  }
  // Functions, XMLTABLE, JSON_TABLE: always lateral.
  context.expression(node, level)
  const alias = (Object.values(node)[0] as { alias?: { aliasname?: string } }).alias?.aliasname
  const call = as('FuncCall', as('List', as('RangeFunction', node)?.functions?.[0])?.items?.[0])
  return unknownSource(alias ?? strings(call?.funcname).at(-1))
}

function fromTable(node: RangeVar, reason: Coarse | undefined, { reads, ctes, given, hidden }: FromContext): Item {
  const name = node.alias?.aliasname ?? node.relname ?? ''
  if (node.schemaname === undefined && ctes.has(node.relname ?? '')) {
    reads.skip(node)
    return unknownSource(name)
  }
  const relation = reads.relation(node)
  if (!relation || relation.columns.length === 0) {
    if (relation) reads.whole.push({ relation, reason: relation.kind === 'v' ? 'view' : undefined })
    return unknownSource(name)
  }
  const whole = reason ?? (node.alias?.colnames ? 'alias-columns' : undefined)
  if (whole) {
    reads.whole.push({ relation, reason: whole })
    return unknownSource(name)
  }
  const occurrence = reads.occurrence(relation, given, hidden)
  const schema = node.alias ? undefined : node.schemaname
  return { sources: [{ name, schema, occurrence }], merged: new Map(), occurrences: [occurrence], holds: [] }
}

function fromJoin(join: JoinExpr, before: Item, context: FromContext): Item {
  const left = join.larg ? fromItem(join.larg, before, context) : NOTHING
  const right = join.rarg ? fromItem(join.rarg, beside(before, left), context) : NOTHING
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
  const level: Level = { sources: both.sources, merged, outer: context.outer }
  const on: Formula = { kind: 'and', parts: [...equalities, formulaOf(join.quals, level)] }
  context.expression(join.quals, level)
  const holds = applyOn(join, on, left, right)
  return { ...named(join, { ...both, merged }), holds }
}

/**
 * A condition of ON bounds a side's rows if rows that fail it bring nothing: both sides of an inner join, the side that is filled
 * with NULLs of an outer one, none of a full one. Returns what holds for every row of the join.
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
  if (isInner) return [...left.holds, ...right.holds, on]
  return isLeft ? left.holds : isRight ? right.holds : []
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
  if (!sources.every((source) => source.occurrence)) return undefined
  return new Set([
    ...merged.keys(),
    ...sources.flatMap((source) => source.occurrence!.relation.columns.map((column) => column.name)),
  ])
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
  if (alias?.aliasname)
    return {
      ...item,
      sources: [{ name: alias.aliasname, schema: undefined, occurrence: undefined }],
      merged: new Map(),
    }
  if (!join_using_alias?.aliasname) return item
  const using: Source = { name: join_using_alias.aliasname, schema: undefined, occurrence: undefined }
  return { ...item, sources: [...item.sources, using] }
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
  return { ...NOTHING, sources: [{ name: name ?? '', schema: undefined, occurrence: undefined }] }
}
