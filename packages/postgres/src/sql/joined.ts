import type { Bounds, Choice } from './bounds.js'
import { areAlike, BOOL } from './canonical.js'
import type { Column } from './catalogue.js'
import type { BoundColumn, Occurrence, TableOccurrence } from './scope.js'

/**
 * How few rows of a table its own bounds are likely to name: a row by its primary key, rows by values, rows of a range, those of a
 * small table, or who knows how many.
 */
export type Rank = 'one' | 'named' | 'range' | 'part' | 'many'

/** A table that is joined. */
export interface Joined {
  readonly occurrence: TableOccurrence
  readonly rank: Rank
  /** Its columns whose values are named by its own bounds. */
  readonly named: readonly Column[]
}

/** A column of a table is one of the values that another has in the rows of its own. */
export interface Step {
  readonly column: Column
  readonly other: BoundColumn
}

const RANKS: readonly Rank[] = ['one', 'named', 'range', 'part', 'many']
/** Through so many tables a chain may go, and so many tables are looked at. */
const STEPS_MAX = 5
export const TABLES_MAX = 30

/** What names the rows by values. */
const NAMING: ReadonlySet<Choice['kind']> = new Set<Choice['kind']>(['in', 'any', 'null', 'chain'])

interface Placed {
  readonly occurrence: TableOccurrence
  readonly depth: number
}

/**
 * Says through which other table each of the tables that are joined is bounded: from the one with the fewest rows to those that are
 * joined to it, and so on. (A minimum spanning tree, as Prim grows it.)
 *
 * Never through each other: a row that comes to both, one after the other, would be left out by each, as its partner was not there when
 * the values were asked for. So the first of them stays bounded by what is said of itself alone.
 *
 * @param classes  columns that must be equal
 */
export function stepsBetween(
  tables: readonly Joined[],
  classes: readonly (readonly BoundColumn[])[],
): ReadonlyMap<Occurrence, Step> {
  const steps = new Map<Occurrence, Step>()
  if (tables.length > TABLES_MAX) return steps
  let waiting = [...tables].sort(byRank)
  const placed: Placed[] = []
  while (waiting.length > 0) {
    const found = nextOf(waiting, placed, classes)
    const next = found?.table ?? waiting[0]!
    waiting = waiting.filter((each) => each !== next)
    // A single row needs no partner; of who knows how many rows the values are not asked for.
    if (found && next.rank !== 'one') steps.set(next.occurrence, found.step)
    const isAsked = next.occurrence.relation.isReadable && (found !== undefined || next.rank !== 'many')
    if (isAsked) placed.push({ occurrence: next.occurrence, depth: found ? found.depth : 0 })
  }
  return steps
}

/** Those with few rows first. */
export function byRank(left: Joined, right: Joined): number {
  return RANKS.indexOf(left.rank) - RANKS.indexOf(right.rank) || left.occurrence.number - right.occurrence.number
}

function nextOf(
  waiting: readonly Joined[],
  placed: readonly Placed[],
  classes: readonly (readonly BoundColumn[])[],
): { readonly table: Joined; readonly step: Step; readonly depth: number } | undefined {
  for (const table of waiting) {
    const own = classes.flatMap((members) =>
      members
        .filter(({ occurrence, column }) => occurrence === table.occurrence && !table.named.includes(column))
        .map(({ column }) => ({ column, members })),
    )
    for (const { occurrence, depth } of placed) {
      if (depth >= STEPS_MAX) continue
      for (const { column, members } of own) {
        const other = members.find((each) => each.occurrence === occurrence && areAlike(column, each.column))
        if (other) return { table, step: { column, other }, depth: depth + 1 }
      }
    }
  }
  return undefined
}

/** Whether it may be said to name few rows: one of many values. */
export function isNarrow({ column, choice }: Bounds[number]): boolean {
  if (column.type === BOOL || column.kind === 'e') return false
  return ['in', 'any', 'chain', 'compare', 'prefix'].includes(choice.kind)
}

/** @param bounds  its own */
export function joinedAs(occurrence: TableOccurrence, bounds: Bounds): Joined {
  const { keys, isSmall } = occurrence.relation
  const naming = bounds.filter(({ choice }) => NAMING.has(choice.kind))
  const named = naming.map(({ column }) => column)
  const isOne = keys.length > 0 && keys.every((key) => named.some(({ name }) => name === key))
  const rank = isOne
    ? 'one'
    : naming.some(isNarrow)
      ? 'named'
      : bounds.some(isNarrow)
        ? 'range'
        : isSmall
          ? 'part'
          : 'many'
  return { occurrence, rank, named }
}

/** What names rows first, and of that what names the fewest. */
export function byNames(left: Choice, right: Choice): number {
  return sizeOf(left) - sizeOf(right)
}

function sizeOf(choice: Choice): number {
  if (!NAMING.has(choice.kind)) return 10_000
  return choice.kind === 'in' ? choice.values.length : choice.kind === 'null' ? 1 : 10
}
