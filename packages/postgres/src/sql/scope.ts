import type { FuncCall, Node, RangeVar, SelectStmt } from './ast.js'
import type { Column, Relation } from './catalogue.js'
import type { Formula } from './conditions.js'
import type { Coarse } from './reads.js'
import type { Spine } from './spine.js'

/** One place in a statement where rows come from: a table that is read row by row, or a subquery whose columns have a source. */
export interface Occurrence {
  readonly number: number
  /** undefined for a subquery. */
  readonly relation: Relation | undefined
  readonly columns: readonly Column[]
  /** What holds for every row that can matter: each a conjunct. */
  readonly formulas: Formula[]
  /** It stands on the side of an outer join that is filled with NULLs. */
  isNullable: boolean
  /** Why its rows can't be told from the answer's, or undefined if each of them that matters appears there. */
  hidden: Coarse | undefined
  /** A row that leaves it brings none into an answer that has none. */
  readonly isGrowing: boolean
}

/** An occurrence of a table. */
export interface TableOccurrence extends Occurrence {
  readonly relation: Relation
  /** Its name in FROM. */
  readonly place: RangeVar
  /** What asks for the rows that the SELECT around it is made of. */
  spine?: () => Spine | undefined
}

/** A column of an occurrence. */
export interface BoundColumn {
  readonly occurrence: Occurrence
  readonly column: Column
}

export function isSameColumn(left: BoundColumn, right: BoundColumn): boolean {
  return left.occurrence === right.occurrence && left.column.number === right.column.number
}

/** A column of a SELECT's answer, and the column whose values it shows; undefined: an expression. */
export interface Output {
  readonly name: string
  readonly column: BoundColumn | undefined
}

/** What a SELECT answers with, as far as that tells something of rows. */
export interface SelectAnswer {
  readonly outputs: readonly Output[]
  /** All columns of the answer are listed, each at its place and by its name. */
  readonly isComplete: boolean
  /** What holds for the rows that each row of the answer comes from. */
  readonly holds: readonly Formula[]
  /** Occurrences in it that matter only through rows of the answer that have the same values in the outputs. */
  readonly open: readonly Occurrence[]
  /** Numbers of the occurrences in it: from, to (not included). */
  readonly range: readonly [from: number, to: number]
}

/** What one item of FROM offers to names. */
export interface Source {
  /** Its alias, else the table's own name. */
  readonly name: string
  /** Given only where the table was named with it, and no alias. */
  readonly schema: string | undefined
  /** By name; undefined: it can't be told what it means. */
  readonly columns: ReadonlyMap<string, BoundColumn | undefined>
  /** It has no other columns. */
  readonly isComplete: boolean
}

/** What names mean at one level of a statement; the level around it comes after. */
export interface Level {
  readonly sources: readonly Source[]
  /** Columns that a JOIN … USING made one of two; undefined: of neither (FULL JOIN, or an unknown side). */
  readonly merged: ReadonlyMap<string, BoundColumn | undefined>
  readonly outer: Level | undefined
  /** The level around a function's body: the values that its parameters stand for, by `passedKey`. */
  readonly passed?: ReadonlyMap<string, Node>
  /** Looks into a subquery of a condition whose rows decide; undefined where it can't be told. */
  look?(select: SelectStmt, level: Level): SelectAnswer | undefined
  /** The same for a call of a function that answers one value. */
  call?(call: FuncCall, level: Level): SelectAnswer | undefined
}

/** `column`, or what a name is instead: one that can't be known here, or one of no level. */
export type Resolved = BoundColumn | 'unknown' | 'absent'

/**
 * Finds the column that a name means, as PostgreSQL does: innermost level first. It relies on the server having accepted the
 * statement: a name that fits two items of a level would be an error, so if one of them is known to have it, it is that one.
 */
export function resolve(level: Level, parts: readonly string[]): Resolved {
  for (let each: Level | undefined = level; each; each = each.outer) {
    const found = resolveIn(each, parts)
    if (found !== 'absent') return found
  }
  return 'absent'
}

/** The value that a name means where it is a parameter of a function: columns of the body go before. */
export function passedTo(level: Level, parts: readonly string[]): Node | undefined {
  for (let each: Level | undefined = level; each; each = each.outer) {
    if (each.passed) return each.passed.get(passedKey(parts))
    if (resolveIn(each, parts) !== 'absent') return undefined
  }
  return undefined
}

export function passedKey(parts: readonly string[]): string {
  return JSON.stringify(parts)
}

function resolveIn(level: Level, parts: readonly string[]): Resolved {
  return parts.length === 1 ? resolveBare(level, parts[0]!) : resolveQualified(level, parts)
}

function resolveBare(level: Level, name: string): Resolved {
  if (level.merged.has(name)) return level.merged.get(name) ?? 'unknown'
  const found = level.sources.filter(({ columns }) => columns.has(name))
  if (found.length === 1) return found[0]!.columns.get(name) ?? 'unknown'
  return found.length > 1 || level.sources.some(({ isComplete }) => !isComplete) ? 'unknown' : 'absent'
}

function resolveQualified(level: Level, parts: readonly string[]): Resolved {
  const [column, name, schema] = [...parts].reverse()
  const named = level.sources.filter(
    (source) => source.name === name && (schema === undefined || source.schema === schema),
  )
  if (named.length === 0) return 'absent'
  return (named.length === 1 && parts.length <= 3 && named[0]!.columns.get(column!)) || 'unknown'
}

export function columnsOf(occurrence: Occurrence): Map<string, BoundColumn | undefined> {
  return new Map(occurrence.columns.map((column) => [column.name, { occurrence, column }]))
}
