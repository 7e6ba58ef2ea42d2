import { areAlike, elementsFit, fits, incomparable } from './canonical.js'
import type { Column } from './catalogue.js'
import type { Formula, Value } from './conditions.js'
import type { BoundColumn, Occurrence } from './scope.js'

/** What a column is bound to: one of some values, one of a parameter's elements, or NULL. */
export type Choice =
  | { readonly kind: 'in'; readonly values: readonly Value[] }
  | { readonly kind: 'any'; readonly parameter: number }
  | { readonly kind: 'null' }

/** One way for a row to matter: all of these hold for it. */
export type Bounds = readonly { readonly column: Column; readonly choice: Choice }[]

/** Why no condition bounds the rows that matter. */
export type Unbound = 'condition' | 'generated' | 'operator' | 'collation' | 'type'

type Atom = Exclude<Formula, { kind: 'and' | 'or' | 'true' }>

/** More ways than this are not followed: conditions are left out, which only widens. */
const WAYS_MAX = 64

/**
 * The ways in which a row of the occurrence can matter: a disjunction of conjunctions of bounds on its columns.
 *
 * @param given  what holds besides the occurrence's own formulas: those of the statements around it
 * @param types  type OIDs of the statement's parameters, from the server
 * @returns why there is a way that bounds no column: then every row can matter
 *
 * Equality is transitive, so what bounds one column bounds all that must equal it: `a.id = p.author_id and p.author_id = $1`.
 */
export function boundsOf(
  occurrence: Occurrence,
  given: readonly Formula[],
  types: readonly number[],
): readonly Bounds[] | Unbound {
  const ways: Bounds[] = []
  for (const atoms of waysOf([...occurrence.formulas, ...given])) {
    const { bounds, reason } = wayOf(occurrence, atoms, types)
    if (bounds.length === 0) return reason
    ways.push(bounds)
  }
  return ways
}

/** Disjunctive normal form. What would exceed the limit is left out. */
function waysOf(conjuncts: readonly Formula[]): readonly (readonly Atom[])[] {
  let ways: readonly (readonly Atom[])[] = [[]]
  for (const conjunct of conjuncts) {
    const parts = alternatives(conjunct)
    if (ways.length * parts.length > WAYS_MAX) continue
    ways = ways.flatMap((way) => parts.map((part) => [...way, ...part]))
  }
  return ways
}

function alternatives(formula: Formula): readonly (readonly Atom[])[] {
  switch (formula.kind) {
    case 'true':
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

function wayOf(
  occurrence: Occurrence,
  atoms: readonly Atom[],
  types: readonly number[],
): { bounds: Bounds; reason: Unbound } {
  const classes = new Classes(atoms)
  const bounds: { column: Column; choice: Choice }[] = []
  let reason: Unbound = 'condition'
  for (const column of occurrence.relation.columns) {
    const found = atoms.filter((atom) => atom.kind !== 'same' && classes.has(atom.column, { occurrence, column }))
    if (found.length === 0) continue
    const choices = found.flatMap((atom) => choiceOf(atom, { occurrence, column }, types) ?? [])
    const best = choices.sort((left, right) => sizeOf(left) - sizeOf(right))[0]
    if (best) bounds.push({ column, choice: best })
    else if (reason === 'condition' && found.some((atom) => atom.kind !== 'null'))
      reason = incomparable(column) ?? 'type'
  }
  return { bounds, reason }
}

/** What an atom says of a column that must equal the atom's own. */
function choiceOf(atom: Atom, target: BoundColumn, types: readonly number[]): Choice | undefined {
  if (atom.kind === 'same') return undefined
  if (atom.kind === 'null') return isSame(atom.column, target) && canBeNull(target) ? { kind: 'null' } : undefined
  if (incomparable(target.column) || incomparable(atom.column.column)) return undefined
  switch (atom.kind) {
    case 'in': {
      const fit = atom.values.every(
        (value) => valueFits(atom.column.column, value, types) && valueFits(target.column, value, types),
      )
      return fit ? { kind: 'in', values: atom.values } : undefined
    }
    case 'any': {
      const type = types[atom.parameter - 1]
      const fit =
        type !== undefined &&
        elementsFit(atom.column.column, type, atom.cast) &&
        elementsFit(target.column, type, atom.cast)
      return fit ? { kind: 'any', parameter: atom.parameter } : undefined
    }
  }
}

/**
 * IS NULL bounds a column of any type that the log carries, except where all fields NULL count as NULL. On the side that an
 * outer join fills it bounds nothing: a row that is not NULL there may be the reason why none was filled in.
 */
function canBeNull({ occurrence, column }: BoundColumn): boolean {
  return !occurrence.isNullable && !column.isGenerated && column.kind !== 'c' && column.kind !== 'd'
}

function valueFits(column: Column, value: Value, types: readonly number[]): boolean {
  if ('constant' in value) return fits(column, value.type, undefined)
  const type = types[value.parameter - 1]
  return type !== undefined && fits(column, type, value.cast)
}

/** Of several choices the smallest names the fewest rows. */
function sizeOf(choice: Choice): number {
  return choice.kind === 'in' ? choice.values.length : choice.kind === 'null' ? 1 : 10
}

/** Columns that must be equal, in one way. */
class Classes {
  readonly #parents = new Map<string, string>()

  constructor(atoms: readonly Atom[]) {
    for (const atom of atoms) {
      if (atom.kind !== 'same' || !areAlike(atom.left.column, atom.right.column)) continue
      this.#parents.set(this.#root(nameOf(atom.left)), this.#root(nameOf(atom.right)))
    }
  }

  has(left: BoundColumn, right: BoundColumn): boolean {
    return this.#root(nameOf(left)) === this.#root(nameOf(right))
  }

  #root(name: string): string {
    let root = name
    for (
      let parent = this.#parents.get(root);
      parent !== undefined && parent !== root;
      parent = this.#parents.get(root)
    )
      root = parent
    return root
  }
}

function isSame(left: BoundColumn, right: BoundColumn): boolean {
  return left.occurrence === right.occurrence && left.column.number === right.column.number
}

function nameOf({ occurrence, column }: BoundColumn): string {
  return `${occurrence.number}.${column.number}`
}
