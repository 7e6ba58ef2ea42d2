import { areAlike, elementsFit, equalityOf, incomparable, isRanked, orderOf, TEXT, VARCHAR } from './canonical.js'
import type { Column, Relation } from './catalogue.js'
import { Classes } from './classes.js'
import type { Formula, Operator } from './conditions.js'
import type { Cut } from './cut.js'
import { byNames, byRank, isNarrow, joinedAs, type Step, stepsBetween, TABLES_MAX } from './joined.js'
import { type Atom, decided, isRefused } from './presence.js'
import { type Testing, testingOf } from './row-test.js'
import { type BoundColumn, isSameColumn, type Occurrence, type TableOccurrence } from './scope.js'
import { type Value, valueFits } from './values.js'

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
  readonly partners: readonly (readonly PartnerBound[])[] | undefined
}

/** More ways than this are not followed: conditions are left out, which only widens. */
const WAYS_MAX = 64
/** Of more tables beside one it is not asked who its partners are. */
const PARTNERS_MAX = 8

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
  const partners: (readonly PartnerBound[])[] = []
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
  for (const atoms of waysOf(conjuncts)) {
    const way = new Way([...new Set(atoms)].filter(isUsable), types)
    const bounds = [...way.boundsOf(occurrence)]
    isExact &&= bounds.length > 0 && way.isExactFor(occurrence)
    if (bounds.every(({ choice }) => choice.kind === 'cut')) uncut ??= way.unboundReason(occurrence)
    const tables = way.tablesBeside(occurrence)
    if (tables.length > 0) bounds.push({ column: occurrence.relation.columns[0]!, choice: { kind: 'beside', tables } })
    if (bounds.length === 0) return { ways: uncut!, uncut, isExact: false, ...tested, partners: undefined }
    partners.push(way.partnersOf(occurrence))
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
      return [[formula]]
  }
}

/** Whether it leaves something out that was not understood. */
function hasUnknown(formula: Formula): boolean {
  return formula.kind === 'true' || ('parts' in formula && formula.parts.some(hasUnknown))
}

function isHiddenFrom(atom: Atom, { number }: Occurrence): boolean {
  return atom.kind === 'same' && atom.notIn !== undefined && atom.notIn[0] <= number && number < atom.notIn[1]
}

/** What holds together. */
class Way {
  readonly #atoms: readonly Atom[]
  readonly #types: readonly number[]
  readonly #equal: Classes
  readonly #named: Classes
  readonly #own = new Map<Occurrence, Bounds>()
  #joined: ReadonlyMap<Occurrence, Step> | undefined

  constructor(atoms: readonly Atom[], types: readonly number[]) {
    this.#atoms = atoms
    this.#types = types
    const links = atoms.filter((atom) => atom.kind === 'same')
    this.#equal = new Classes(links.filter(({ left, right }) => areAlike(left.column, right.column)))
    this.#named = new Classes(links.filter(({ isName }) => isName))
  }

  boundsOf(occurrence: TableOccurrence): Bounds {
    const bounds = this.#ownBounds(occurrence)
    const chain = this.#chainOf(occurrence)
    return withoutNeedless(chain ? [...bounds, chain] : bounds)
  }

  /** What values and constants say of it. */
  #ownBounds(occurrence: TableOccurrence): Bounds {
    const known = this.#own.get(occurrence)
    if (known) return known
    const bounds: { column: Column; choice: Choice }[] = []
    this.#own.set(occurrence, bounds)
    for (const column of occurrence.relation.columns) {
      const target = { occurrence, column }
      const seen = new Set<string>()
      for (const choice of this.#atoms.flatMap((atom) => this.#choiceOf(atom, target) ?? []).sort(byNames)) {
        const text = textOf(choice)
        if (!seen.has(text)) bounds.push({ column, choice })
        seen.add(text)
      }
    }
    return bounds
  }

  /** What a row of it must be joined to, of tables with few rows: in either direction of a chain it is as true. */
  partnersOf(occurrence: TableOccurrence): readonly PartnerBound[] {
    // Of a column with one value it is enough to know whether there is a row beside it.
    const single = this.#ownBounds(occurrence).flatMap(({ column, choice }) => (isSingle(choice) ? [column] : []))
    const partners = this.#joinable().flatMap((members) =>
      members.flatMap((each) => {
        if (each.occurrence !== occurrence || single.includes(each.column)) return []
        return members.flatMap((other) => (isPair(each, other) ? (this.#partnerOf(each.column, other) ?? []) : []))
      }),
    )
    return partners.slice(0, PARTNERS_MAX)
  }

  #partnerOf(column: Column, other: BoundColumn): PartnerBound | undefined {
    const occurrence = other.occurrence as TableOccurrence
    const { relation } = occurrence
    const bounds = this.#ownBounds(occurrence)
    const { rank } = joinedAs(occurrence, bounds)
    if (!relation.isReadable || (rank !== 'one' && rank !== 'named' && !relation.isSmall)) return undefined
    return { column, chain: { kind: 'chain', relation, column: other.column, bounds, isExtra: true } }
  }

  /** Whether each atom that says something of its columns bounds it. */
  isExactFor(occurrence: TableOccurrence): boolean {
    return this.#atoms.every(
      (atom) =>
        atom.kind === 'same' ||
        atom.kind === 'there' ||
        atom.column.occurrence !== occurrence ||
        this.#choiceOf(atom, atom.column) !== undefined,
    )
  }

  /**
   * The tables that must have a row each, those first that are likely to have the fewest: where one of them has none, no row of another
   * matters. Not those whose rows it would cost much to look for. Nothing, if it is alone.
   */
  tablesBeside(own: TableOccurrence): readonly Presence[] {
    const tables = new Set(
      this.#atoms.flatMap((atom) => (atom.kind === 'there' ? [atom.occurrence as TableOccurrence] : [])),
    )
    if (tables.size > TABLES_MAX) return []
    const found = [...tables]
      .filter(({ relation }) => relation.isReadable)
      .map((occurrence) => joinedAs(occurrence, this.#ownBounds(occurrence)))
      .filter(
        ({ occurrence, rank }) =>
          occurrence === own || rank === 'one' || rank === 'named' || occurrence.relation.isSmall,
      )
      .sort(byRank)
    if (found.every(({ occurrence }) => occurrence === own)) return []
    return found.map(({ occurrence }) => ({
      relation: occurrence.relation,
      bounds: this.boundsOf(occurrence),
      isOwn: occurrence === own,
    }))
  }

  unboundReason(occurrence: TableOccurrence): Unbound {
    for (const column of occurrence.relation.columns) {
      const isMentioned = this.#atoms.some(
        (atom) =>
          !['same', 'null', 'not-null', 'cut'].includes(atom.kind) &&
          'column' in atom &&
          isSameColumn(atom.column, { occurrence, column }),
      )
      if (isMentioned) return incomparable(column) ?? 'type'
    }
    return 'condition'
  }

  /** The bound through the rows of another table. */
  #chainOf(occurrence: TableOccurrence): Bounds[number] | undefined {
    this.#joined ??= this.#join()
    const step = this.#joined.get(occurrence)
    if (!step) return undefined
    const { column, other } = step
    const bounds = this.boundsOf(other.occurrence as TableOccurrence)
    const isExtra = bounds.length === 0 || this.#ownBounds(occurrence).some(isNarrow)
    return {
      column,
      choice: { kind: 'chain', relation: other.occurrence.relation!, column: other.column, bounds, isExtra },
    }
  }

  /** Columns of tables that must be equal. */
  #joinable(): readonly (readonly BoundColumn[])[] {
    const isUsable = ({ occurrence, column }: BoundColumn): boolean =>
      occurrence.relation !== undefined && equalityOf(column) !== undefined
    return this.#equal.classes.map((members) => members.filter(isUsable)).filter(({ length }) => length > 1)
  }

  #join(): ReadonlyMap<Occurrence, Step> {
    const classes = this.#joinable()
    const tables = [...new Set(classes.flat().map(({ occurrence }) => occurrence as TableOccurrence))]
    return stepsBetween(
      tables.map((occurrence) => joinedAs(occurrence, this.#ownBounds(occurrence))),
      classes,
    )
  }

  /** What an atom says of a column that must equal the atom's own. */
  #choiceOf(atom: Atom, target: BoundColumn): Choice | undefined {
    if (atom.kind === 'same' || atom.kind === 'there') return undefined
    if (atom.kind === 'null') return this.#canBeNull(atom.column, target) ? { kind: 'null' } : undefined
    if (!isSameColumn(atom.column, target) && !this.#equal.has(atom.column, target)) return undefined
    if (atom.kind === 'not-null') return target.column.isGenerated ? undefined : { kind: 'not-null' }
    const [own, column] = [atom.column.column, target.column]
    if (incomparable(column) || incomparable(own)) return undefined
    const doesFit = (value: Value) => [own, column].every((each) => valueFits(each, value, this.#types))
    switch (atom.kind) {
      case 'in': {
        if (!atom.values.every(doesFit)) return undefined
        const takesNull = atom.takesNull === true
        if (takesNull && !this.#canBeNull(atom.column, target)) return undefined
        return { kind: 'in', values: atom.values, takesNull }
      }
      case 'not-in': {
        // Of values that it must differ from some will do.
        const values = atom.values.filter(doesFit)
        if (values.length === 0 || own.hasOwnOrder || column.hasOwnOrder || equalityOf(column) === 'folded')
          return undefined
        return { kind: 'not-in', values, takesNull: atom.takesNull === true }
      }
      case 'any':
      case 'not-any': {
        const type = this.#types[atom.parameter - 1]
        const isExact =
          atom.kind === 'any' || (equalityOf(column) !== 'folded' && !own.hasOwnOrder && !column.hasOwnOrder)
        const fit =
          type !== undefined && elementsFit(own, type, atom.cast) && elementsFit(column, type, atom.cast) && isExact
        return fit ? { kind: atom.kind, parameter: atom.parameter } : undefined
      }
      case 'compare': {
        const isOrdered = [own, column].every((each) => orderOf(each) || isRanked(each))
        if (!isOrdered || !doesFit(atom.value)) return undefined
        return { kind: 'compare', operator: atom.operator, value: atom.value }
      }
      case 'cut': {
        if (!orderOf(own) || !orderOf(column)) return undefined
        // Where only an equality leads there, NULL does not.
        const takesNull =
          atom.cut.areNullsFirst && (isSameColumn(atom.column, target) || this.#named.has(atom.column, target))
        return takesNull && !this.#canBeNull(atom.column, target)
          ? undefined
          : { kind: 'cut', cut: atom.cut, takesNull }
      }
      case 'prefix': {
        const isText = [own, column].every(({ type, kind }) => kind === 'b' && (type === TEXT || type === VARCHAR))
        return isText && doesFit(atom.value) ? { kind: 'prefix', value: atom.value, escape: atom.escape } : undefined
      }
    }
  }

  /**
   * IS NULL bounds a column of any type that the log carries, except where all fields NULL count as NULL. On the side that an
   * outer join fills it bounds nothing: a row that is not NULL there may be the reason why none was filled in.
   */
  #canBeNull(named: BoundColumn, target: BoundColumn): boolean {
    const { column, occurrence } = target
    if (column.isGenerated || column.kind === 'c' || column.kind === 'd') return false
    if (isSameColumn(named, target)) return !occurrence.isNullable
    if (!this.#named.has(named, target)) return false
    return this.#named.membersOf(named).every((member) => !member.occurrence.isNullable)
  }
}

function isSingle(choice: Choice): boolean {
  return choice.kind === 'null' || (choice.kind === 'in' && choice.values.length === 1)
}

function isPair(own: BoundColumn, other: BoundColumn): boolean {
  if (own.occurrence === other.occurrence || !areAlike(own.column, other.column)) return false
  return equalityOf(own.column) === equalityOf(other.column)
}

/** What is one of some values is not NULL. */
function withoutNeedless(bounds: Bounds): Bounds {
  return bounds.filter(
    ({ column, choice }) =>
      choice.kind !== 'not-null' ||
      !bounds.some((each) => each.column === column && !['not-null', 'null', 'cut'].includes(each.choice.kind)),
  )
}

function textOf(choice: Choice | Bounds): string {
  return JSON.stringify(choice, (key, value) => (key === 'node' ? undefined : key === 'relation' ? value.oid : value))
}
