import type { Column, Relation } from './catalogue.js'
import type { Formula, Operator } from './conditions.js'
import type { Cut } from './cut.js'
import { type Atom, decided, isRefused } from './presence.js'
import { type Testing, testingOf } from './row-test.js'
import type { Occurrence, TableOccurrence } from './scope.js'
import type { Value } from './values.js'
import { textOf, Way } from './way.js'

/** What is known of a column's values. The first four name them; of the others one may be looked up as a range. */
export type Choice =
  | { readonly kind: 'in'; readonly values: readonly Value[]; readonly takesNull: boolean }
  | { readonly kind: 'any'; readonly parameter: number }
  | { readonly kind: 'null' }
  /** Values that another column has in the rows of its table that are bounded so. */
  | {
      readonly kind: 'chain'
      readonly relation: Relation
      readonly column: Column
      readonly bounds: Bounds
      /** It only leaves out rows without a partner: other bounds name the rows too, or none name its own. Then only few values are gone by. */
      readonly isExtra: boolean
    }
  /** Values that the answer's column at this place has. */
  | { readonly kind: 'shown'; readonly place: number }
  | { readonly kind: 'compare'; readonly operator: Operator; readonly value: Value }
  | { readonly kind: 'prefix'; readonly value: Value; readonly escape: string | undefined }
  | { readonly kind: 'not-in'; readonly values: readonly Value[]; readonly takesNull: boolean }
  | { readonly kind: 'not-any'; readonly parameter: number }
  | { readonly kind: 'not-null' }
  /** Not behind the last row that a LIMIT lets through. `takesNull`: NULL comes before it. */
  | { readonly kind: 'cut'; readonly cut: Cut; readonly takesNull: boolean }
  /** Says nothing of the column: no row matters while one of these tables has none, unless that is the row's own. In order. */
  | { readonly kind: 'beside'; readonly tables: readonly Presence[] }

/** Rows that a table must have. */
export interface Presence {
  readonly relation: Relation
  readonly bounds: Bounds
  /** It is the place for whose rows it is asked. */
  readonly isOwn: boolean
}

/** One way for a row to matter: all of these hold for it. */
export type Bounds = readonly { readonly column: Column; readonly choice: Choice }[]

/** A column of a row that must be among the values of another table's, which are asked for as those of a chain. */
export interface PartnerBound {
  readonly column: Column
  readonly chain: Extract<Choice, { kind: 'chain' }>
  /** What a row of that table must be joined to, too. */
  readonly beyond: readonly PartnerBound[]
  /** What it must equal, too, of the rows that lead to it. */
  readonly ties: readonly TieBound[]
}

/** `column` equals `of` in the row so many steps before: 0 is the one that needs the partner. */
export interface TieBound {
  readonly column: Column
  readonly up: number
  readonly of: Column
}

/** What a row must be, and be joined to, to matter in one way. */
export interface PartnerWay {
  /** As it is said of itself. */
  readonly own: Bounds
  readonly partners: readonly PartnerBound[]
}

/** Why no condition bounds the rows that matter. */
export type Unbound = 'condition' | 'generated' | 'operator' | 'collation' | 'type'

/** How rows of a table can matter. */
export interface Bounded {
  /** Or why every row can. */
  readonly ways: readonly Bounds[] | Unbound
  /** Why every row can where no LIMIT is reached; undefined if something else bounds each way. */
  readonly uncut: Unbound | undefined
  /** All that is said of a row is among the ways: none of them names rows that do not matter, as far as that row alone tells. */
  readonly isExact: boolean
  /** What is written of its rows alone, as far as their texts decide it. */
  readonly testings: readonly Testing[]
  /** Nothing else is written of any row. */
  readonly isTested: boolean
  /** By way, what must be there beside a row, as far as it is likely to be little; undefined where not all ways are known. */
  readonly partners: readonly PartnerWay[] | undefined
}

/** More ways than this are not followed: conditions are left out, which only widens. */
const WAYS_MAX = 64
/** Of more ways it is not said what partners need themselves. */
const FAR_WAYS_MAX = 4

/**
 * The ways in which a row of the occurrence can matter: a disjunction of conjunctions of bounds on its columns.
 *
 * @param given  what holds besides the occurrence's own formulas: those of the statements around it
 * @param types  type OIDs of the statement's parameters, from the server
 *
 * Equality is transitive, so what bounds one column bounds all that must equal it: `a.id = p.author_id and p.author_id = $1`. And a column
 * is bounded by the values that an equal one has in rows that are bounded themselves: always where nothing else bounds it, else where
 * those rows are likely to be fewer.
 */
export function boundsOf(occurrence: TableOccurrence, given: Formula, types: readonly number[]): Bounded {
  const ways: Bounds[] = []
  const partners: PartnerWay[] = []
  let uncut: Unbound | undefined
  let isExact = true
  const texts = new Set<string>()
  const isUsable = (atom: Atom): boolean => !isHiddenFrom(atom, occurrence)
  const conjuncts = decided([...occurrence.formulas, given], types, isUsable)
  const written = conjuncts.flatMap((each) =>
    each.kind === 'written' ? [testingOf(each.condition, each.level, types)] : [],
  )
  const tested = {
    testings: written.filter((each) => each?.occurrence === occurrence) as Testing[],
    isTested: written.every((each) => each?.isPart === false),
  }
  const all = waysOf(conjuncts)
  for (const atoms of all) {
    const way = new Way([...new Set(atoms)].filter(isUsable), types)
    const bounds = [...way.boundsOf(occurrence)]
    isExact &&= bounds.length > 0 && way.isExactFor(occurrence)
    if (bounds.every(({ choice }) => choice.kind === 'cut')) uncut ??= way.unboundReason(occurrence)
    const tables = way.tablesBeside(occurrence)
    if (tables.length > 0) bounds.push({ column: occurrence.relation.columns[0]!, choice: { kind: 'beside', tables } })
    if (bounds.length === 0) return { ways: uncut!, uncut, isExact: false, ...tested, partners: undefined }
    partners.push(way.partnersOf(occurrence, all.length <= FAR_WAYS_MAX))
    const text = textOf(bounds)
    if (!texts.has(text)) ways.push(bounds)
    texts.add(text)
  }
  // It can match nothing: a bound that names no row.
  if (ways.length === 0)
    ways.push([{ column: occurrence.relation.columns[0]!, choice: { kind: 'in', values: [], takesNull: false } }])
  return { ways, uncut, isExact: isExact && !conjuncts.some(hasUnknown), ...tested, partners }
}

/**
 * Whether the answer has no row in which NULLs stand in the place of an occurrence.
 *
 * @param holds  what holds for the rows that each row of the answer comes from
 */
export function isAlwaysThere(occurrence: Occurrence, holds: readonly Formula[], types: readonly number[]): boolean {
  return isRefused(occurrence, holds, types, (atom) => !isHiddenFrom(atom, occurrence))
}

/** Disjunctive normal form. What would exceed the limit is left out. */
function waysOf(conjuncts: readonly Formula[]): readonly (readonly Atom[])[] {
  let ways: readonly (readonly Atom[])[] = [[]]
  for (const conjunct of conjuncts.flatMap(flat)) {
    const parts = alternatives(conjunct)
    if (ways.length * parts.length > WAYS_MAX) continue
    ways = ways.flatMap((way) => parts.map((part) => [...way, ...part]))
  }
  return ways
}

function flat(formula: Formula): readonly Formula[] {
  return formula.kind === 'and' ? formula.parts.flatMap(flat) : [formula]
}

function alternatives(formula: Formula): readonly (readonly Atom[])[] {
  switch (formula.kind) {
    case 'true':
    case 'if':
    case 'written':
      return [[]]
    case 'and':
      return waysOf(formula.parts)
    case 'or': {
      const all = formula.parts.flatMap(alternatives)
      return all.length > WAYS_MAX || all.some((way) => way.length === 0) ? [[]] : all
    }
    default:
      return neverHolds(formula) ? [] : [[formula]]
  }
}

/** It compares with NULL, as it is written: by operators of PostgreSQL's own that is true of nothing, also of a subquery's column. */
function neverHolds(atom: Atom): boolean {
  const isNull = (value: Value): boolean => 'constant' in value && value.constant === null
  switch (atom.kind) {
    case 'compare':
      return !atom.column.column.hasOwnOrder && isNull(atom.value)
    case 'in':
      return !atom.takesNull && !atom.column.column.hasOwnEquality && atom.values.every(isNull)
    case 'not-in':
      return !atom.takesNull && !atom.column.column.hasOwnOrder && atom.values.some(isNull)
    default:
      return false
  }
}

/** Whether it leaves something out that was not understood. */
function hasUnknown(formula: Formula): boolean {
  return formula.kind === 'true' || ('parts' in formula && formula.parts.some(hasUnknown))
}

function isHiddenFrom(atom: Atom, { number }: Occurrence): boolean {
  return atom.kind === 'same' && atom.notIn !== undefined && atom.notIn[0] <= number && number < atom.notIn[1]
}
