import type { BoundColumn } from './scope.js'

/** Columns that must be equal, in one way. */
export class Classes {
  readonly #parents = new Map<string, string>()
  readonly #columns = new Map<string, BoundColumn>()

  constructor(links: readonly { readonly left: BoundColumn; readonly right: BoundColumn }[]) {
    for (const { left, right } of links) {
      this.#parents.set(this.#root(this.#name(left)), this.#root(this.#name(right)))
    }
  }

  has(left: BoundColumn, right: BoundColumn): boolean {
    return this.#root(nameOf(left)) === this.#root(nameOf(right))
  }

  get classes(): BoundColumn[][] {
    const classes = new Map<string, BoundColumn[]>()
    for (const [name, member] of this.#columns) {
      const root = this.#root(name)
      const members = classes.get(root)
      if (members) members.push(member)
      else classes.set(root, [member])
    }
    return [...classes.values()]
  }

  /** All that are equal to it, itself among them if it equals another. */
  membersOf(column: BoundColumn): BoundColumn[] {
    const root = this.#root(nameOf(column))
    return [...this.#columns].filter(([name]) => this.#root(name) === root).map(([, member]) => member)
  }

  #name(column: BoundColumn): string {
    const name = nameOf(column)
    this.#columns.set(name, column)
    return name
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

function nameOf({ occurrence, column }: BoundColumn): string {
  return `${occurrence.number}.${column.number}`
}
