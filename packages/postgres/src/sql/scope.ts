import type { Column, Relation } from './catalogue.js'
import type { Formula } from './conditions.js'
import type { Coarse } from './reads.js'

/** One place in a statement where a table is read row by row. */
export interface Occurrence {
  readonly number: number
  readonly relation: Relation
  /** What holds for every row that can matter: each a conjunct. */
  readonly formulas: Formula[]
  /** It stands on the side of an outer join that is filled with NULLs. */
  isNullable: boolean
  /** Why its rows can't be told from the answer's, or undefined if each of them that matters appears there. */
  hidden: Coarse | undefined
}

/** A column of an occurrence. */
export interface BoundColumn {
  readonly occurrence: Occurrence
  readonly column: Column
}

/** What one item of FROM offers to names. */
export interface Source {
  /** Its alias, else the table's own name. */
  readonly name: string
  /** Given only where the table was named with it, and no alias. */
  readonly schema: string | undefined
  /** undefined: its columns are not known (a subquery, a function, a view, renamed columns). */
  readonly occurrence: Occurrence | undefined
}

/** What names mean at one level of a statement; the level around it comes after. */
export interface Level {
  readonly sources: readonly Source[]
  /** Columns that a JOIN … USING made one of two; undefined: of neither (FULL JOIN, or an unknown side). */
  readonly merged: ReadonlyMap<string, BoundColumn | undefined>
  readonly outer: Level | undefined
}

/** `column`, or what a name is instead: one that can't be known here, or one of no level. */
export type Resolved = BoundColumn | 'unknown' | 'absent'

/**
 * Finds the column that a name means, as PostgreSQL does: innermost level first. It relies on the server having accepted the
 * statement: a name that fits two items of a level would be an error, so if one of them is known to have it, it is that one.
 */
export function resolve(level: Level, parts: readonly string[]): Resolved {
  for (let each: Level | undefined = level; each; each = each.outer) {
    const found = parts.length === 1 ? resolveBare(each, parts[0]!) : resolveQualified(each, parts)
    if (found !== 'absent') return found
  }
  return 'absent'
}

function resolveBare(level: Level, name: string): Resolved {
  if (level.merged.has(name)) return level.merged.get(name) ?? 'unknown'
  const found = level.sources.flatMap((source) => columnOf(source, name) ?? [])
  if (found.length === 1) return found[0]!
  return found.length > 1 || level.sources.some((source) => !source.occurrence) ? 'unknown' : 'absent'
}

function resolveQualified(level: Level, parts: readonly string[]): Resolved {
  const [column, name, schema] = [...parts].reverse()
  const named = level.sources.filter(
    (source) => source.name === name && (schema === undefined || source.schema === schema),
  )
  if (named.length === 0) return 'absent'
  return (named.length === 1 && parts.length <= 3 && columnOf(named[0]!, column!)) || 'unknown'
}

function columnOf(source: Source, name: string): BoundColumn | undefined {
  const column = source.occurrence?.relation.columns.find((each) => each.name === name)
  return column && { occurrence: source.occurrence!, column }
}
