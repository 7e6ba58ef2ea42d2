import type { ColumnRef, RangeVar } from './ast.js'
import { strings } from './ast.js'

export interface Unneeded {
  /** Names and stars in lists, of which nothing is read; for stars see `starred`. */
  readonly references: ReadonlySet<object>
  /** By the place of a table, the columns that are read of it through stars among them. */
  readonly starred: ReadonlyMap<RangeVar, ReadonlySet<string>>
}

export type Target =
  | { readonly is: 'reference'; readonly reference: ColumnRef }
  | { readonly is: 'column'; readonly place: RangeVar; readonly name: string }
  | { readonly is: 'output'; readonly item: Item; readonly index: number }

/** A column of a list, and what it shows; an expression shows nothing that is not needed anyway. */
export interface Output {
  readonly name: string | undefined
  readonly targets: readonly Target[]
}

/** Something in FROM that has such a list. */
export interface Item {
  readonly name: string
  /** undefined: all that it reads is needed. Read when all statements are known. */
  outputs(): readonly Output[] | undefined
  /** Its columns go by names that are not looked up here. */
  readonly isRenamed: boolean
}

export interface Scope {
  /** What stands in FROM, by its node: a name may mean several. */
  readonly items: Map<object, Item[]>
  readonly joins: Set<string>
  readonly references: ColumnRef[]
  /** What is below a star that stands alone. */
  readonly stars: Map<object, () => readonly Item[]>
  /** What is needed as a whole. */
  readonly whole: (() => readonly Item[])[]
  /** Names of columns that stand there as such. */
  readonly bare: string[]
}

/** Takes out what is needed. */
export class Marks implements Unneeded {
  readonly references: Set<object>
  readonly starred = new Map<RangeVar, Set<string>>()
  readonly #scopeOf: ReadonlyMap<object, Scope>
  readonly #done = new Map<Item, Set<number>>()

  constructor(scopeOf: ReadonlyMap<object, Scope>, candidates: Set<object>) {
    this.#scopeOf = scopeOf
    this.references = candidates
  }

  all(items: readonly Item[]): void {
    for (const item of items) for (const index of (item.outputs() ?? []).keys()) this.#output(item, index)
  }

  reference(scope: Scope, { fields }: ColumnRef): void {
    const parts = strings(fields)
    const [last, before] = [parts.at(-1), parts.at(-2)]
    // A star that stands where none is expected.
    if (last === undefined) for (const items of scope.items.values()) this.all(items)
    else if (parts.length !== fields?.length) this.#row(scope, last)
    else if (before === undefined || scope.joins.has(before)) this.bare(scope, last)
    else this.#qualified(scope, before, last)
  }

  bare(scope: Scope, name: string): void {
    this.#row(scope, name)
    for (const items of scope.items.values()) for (const item of items) this.#named(item, name)
  }

  /** The name may be that of an item, or of a join, and stand for its rows. */
  #row(scope: Scope, name: string): void {
    for (const items of scope.items.values())
      this.all(scope.joins.has(name) ? items : items.filter((item) => item.name === name))
  }

  #qualified(scope: Scope, before: string, name: string): void {
    for (const items of scope.items.values())
      for (const item of items) {
        // What it has not may be a function of the row.
        if (item.name === before && !this.#named(item, name)) this.all([item])
      }
  }

  #named(item: Item, name: string): boolean {
    let isThere = false
    for (const [index, output] of (item.outputs() ?? []).entries()) {
      if (output.name !== name) continue
      isThere = true
      this.#output(item, index)
    }
    return isThere
  }

  #output(item: Item, index: number): void {
    const done = this.#done.get(item) ?? new Set()
    if (done.has(index)) return
    this.#done.set(item, done.add(index))
    for (const target of item.outputs()?.[index]?.targets ?? []) {
      if (target.is === 'output') this.#output(target.item, target.index)
      else if (target.is === 'column')
        this.starred.set(target.place, (this.starred.get(target.place) ?? new Set()).add(target.name))
      else if (this.references.delete(target.reference))
        this.reference(this.#scopeOf.get(target.reference)!, target.reference)
    }
  }
}
