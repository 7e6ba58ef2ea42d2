import { areAlike, elementsFit } from './canonical.js'
import type { Formula } from './conditions.js'
import { type BoundColumn, isSameColumn, type Occurrence } from './scope.js'
import { valueFits } from './values.js'

/** What says something of columns by itself. */
export type Atom = Exclude<Formula, { kind: 'and' | 'or' | 'true' | 'if' | 'written' }>

/**
 * What formulas say together, each conjunct by itself, where every `if` is decided: an outer join whose filled side some other conjunct
 * refuses when it is NULL is an inner one, so that its ON holds for both sides. (Outer join simplification: Galindo-Legaria and
 * Rosenthal, ACM TODS 22(1), 1997.) Of an `if` that is not decided nothing is said.
 *
 * @param types  type OIDs of the statement's parameters
 * @param isUsable  whether an atom may be gone by
 */
export function decided(
  formulas: readonly Formula[],
  types: readonly number[],
  isUsable: (atom: Atom) => boolean,
): readonly Formula[] {
  const conjuncts = new Set<Formula>()
  let open: Extract<Formula, { kind: 'if' }>[] = []
  const take = (formula: Formula): void => {
    if (formula.kind === 'if') open.push(formula)
    else if (formula.kind === 'and') formula.parts.forEach(take)
    else conjuncts.add(formula)
  }
  // The same condition often comes by several ways.
  new Set(formulas).forEach(take)
  for (let isMore = true; open.length > 0 && isMore; ) {
    isMore = false
    const needs = new Needs([...conjuncts], types, isUsable)
    const waiting = open
    open = []
    for (const each of waiting) {
      if (!needs.oneOf(each.present)) {
        open.push(each)
        continue
      }
      take(each.holds)
      isMore = true
    }
  }
  return [...conjuncts]
}

/** Whether formulas refuse NULLs in the place of an occurrence. */
export function isRefused(
  occurrence: Occurrence,
  formulas: readonly Formula[],
  types: readonly number[],
  isUsable: (atom: Atom) => boolean,
): boolean {
  return new Needs(decided(formulas, types, isUsable), types, isUsable).oneOf([occurrence])
}

/** Which occurrences must have a row, as conditions fail for their NULLs. */
class Needs {
  readonly #conjuncts: readonly Formula[]
  readonly #types: readonly number[]
  readonly #isUsable: (atom: Atom) => boolean
  readonly #names: readonly (readonly [BoundColumn, BoundColumn])[]

  constructor(conjuncts: readonly Formula[], types: readonly number[], isUsable: (atom: Atom) => boolean) {
    this.#conjuncts = conjuncts
    this.#types = types
    this.#isUsable = isUsable
    this.#names = conjuncts.flatMap((each) =>
      each.kind === 'same' && each.isName && isUsable(each) ? [[each.left, each.right] as const] : [],
    )
  }

  oneOf(occurrences: readonly Occurrence[]): boolean {
    return this.#conjuncts.some((each) => this.#needs(each, occurrences))
  }

  #needs(formula: Formula, occurrences: readonly Occurrence[]): boolean {
    switch (formula.kind) {
      case 'and':
        return formula.parts.some((part) => this.#needs(part, occurrences))
      case 'or':
        return formula.parts.every((part) => this.#needs(part, occurrences))
      case 'if':
      case 'true':
      case 'written':
        return false
      default:
        return (
          this.#isUsable(formula) && this.#refused(formula).some((column) => this.#isOf(column, occurrences, new Set()))
        )
    }
  }

  /** The columns for whose NULL the atom is not true: operators of PostgreSQL's own are strict, others may be anything. */
  #refused(atom: Atom): readonly BoundColumn[] {
    switch (atom.kind) {
      case 'same':
        return !atom.isName && areAlike(atom.left.column, atom.right.column) ? [atom.left, atom.right] : []
      case 'in':
      case 'not-in': {
        const isStrict = !atom.takesNull && !(atom.kind === 'not-in' && atom.values.length === 0)
        return isStrict && this.#fit(atom.column, atom.values) ? [atom.column] : []
      }
      case 'compare':
        return !atom.column.column.hasOwnOrder && this.#fit(atom.column, [atom.value]) ? [atom.column] : []
      case 'any': {
        const type = this.#types[atom.parameter - 1]
        const { column } = atom.column
        return !column.hasOwnEquality && type !== undefined && elementsFit(column, type, atom.cast) ? [atom.column] : []
      }
      case 'not-null':
        return [atom.column]
      default:
        // `<> all` of no values is true of NULL too; LIKE of another type may be somebody's own.
        return []
    }
  }

  #fit({ column }: BoundColumn, values: readonly Parameters<typeof valueFits>[1][]): boolean {
    return !column.hasOwnEquality && values.every((value) => valueFits(column, value, this.#types))
  }

  #isOf(column: BoundColumn, occurrences: readonly Occurrence[], seen: Set<BoundColumn>): boolean {
    if (occurrences.includes(column.occurrence)) return true
    seen.add(column)
    return this.#names.some((pair) =>
      pair.some((each, i) => {
        const other = pair[1 - i]!
        return isSameColumn(each, column) && !seen.has(other) && this.#isOf(other, occurrences, seen)
      }),
    )
  }
}
