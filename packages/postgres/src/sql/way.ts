import type { Bounds, Choice, PartnerBound, PartnerWay, Presence, TieBound, Unbound } from './bounds.js'
import { areAlike, elementsFit, equalityOf, incomparable, isRanked, orderOf, TEXT, VARCHAR } from './canonical.js'
import type { Column } from './catalogue.js'
import { Classes } from './classes.js'
import { byNames, byRank, isNarrow, joinedAs, type Step, stepsBetween, TABLES_MAX } from './joined.js'
import type { Atom } from './presence.js'
import { type BoundColumn, isSameColumn, type Occurrence, type TableOccurrence } from './scope.js'
import { type Value, valueFits } from './values.js'

/** Of more tables beside one it is not asked who its partners are. */
const PARTNERS_MAX = 8
/** Of so many of them it is said what they need themselves, through so many tables, where no more are joined. */
const BEYOND_MAX = 3
const FAR_MAX = 3
const FAR_TABLES_MAX = 8

/** What holds together. */
export class Way {
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

  /**
   * What a row of it must be joined to, of tables with few rows: in either direction of a chain it is as true.
   *
   * @param isFar  also says what the rows of these tables must be joined to, beside it
   */
  partnersOf(occurrence: TableOccurrence, isFar: boolean): PartnerWay {
    const tables = new Set(this.#joinable().flatMap((members) => members.map((each) => each.occurrence)))
    const depth = isFar && tables.size <= FAR_TABLES_MAX ? FAR_MAX : 0
    const partners = this.#partnersBehind([occurrence], undefined, depth).slice(0, PARTNERS_MAX)
    return { own: this.#ownBounds(occurrence), partners }
  }

  /**
   * @param path  the tables that lead here, the last of them the one whose partners are asked for
   * @param by  the column by which it is joined to the one before: what must equal that, the one before must be joined to itself
   */
  #partnersBehind(path: readonly TableOccurrence[], by: BoundColumn | undefined, depth: number): PartnerBound[] {
    const own = path.at(-1)!
    // Of a column with one value it is enough to know whether there is a row beside it.
    const single = this.#ownBounds(own).flatMap(({ column, choice }) => (isSingle(choice) ? [column] : []))
    return this.#joinable().flatMap((members) => {
      if (by && members.some((each) => isSameColumn(each, by))) return []
      return members.flatMap((each) => {
        if (each.occurrence !== own || single.includes(each.column)) return []
        const others = members.filter(
          (other) => !path.includes(other.occurrence as TableOccurrence) && isPair(each, other),
        )
        return others.flatMap((other) => this.#partnerOf(each.column, other, path, depth) ?? [])
      })
    })
  }

  #partnerOf(
    column: Column,
    other: BoundColumn,
    path: readonly TableOccurrence[],
    depth: number,
  ): PartnerBound | undefined {
    const occurrence = other.occurrence as TableOccurrence
    const { relation } = occurrence
    const bounds = this.#ownBounds(occurrence)
    const { rank } = joinedAs(occurrence, bounds)
    if (!relation.isReadable || (rank !== 'one' && rank !== 'named' && !relation.isSmall)) return undefined
    const beyond = depth > 1 ? this.#partnersBehind([...path, occurrence], other, depth - 1).slice(0, BEYOND_MAX) : []
    const ties = depth > 0 ? this.#tiesTo(path, other) : []
    return { column, chain: { kind: 'chain', relation, column: other.column, bounds, isExtra: true }, beyond, ties }
  }

  /** What columns of a table must equal besides the one by which it is joined, of the tables that lead to it. */
  #tiesTo(path: readonly TableOccurrence[], by: BoundColumn): readonly TieBound[] {
    return this.#joinable().flatMap((members) => {
      if (members.some((each) => isSameColumn(each, by))) return []
      const own = members.filter((each) => each.occurrence === by.occurrence)
      return own.flatMap((each) =>
        members.flatMap((other): TieBound[] => {
          const place = path.indexOf(other.occurrence as TableOccurrence)
          if (place < 0 || !isPair(each, other)) return []
          return [{ column: each.column, up: path.length - 1 - place, of: other.column }]
        }),
      )
    })
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
    if (atom.kind === 'shown')
      return equalityOf(column) === equalityOf(own) ? { kind: 'shown', place: atom.place } : undefined
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

export function textOf(choice: Choice | Bounds): string {
  return JSON.stringify(choice, (key, value) => (key === 'node' ? undefined : key === 'relation' ? value.oid : value))
}
