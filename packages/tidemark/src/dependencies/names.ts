import { enlarged, enlargedList, NONE, nextCapacity } from '../arrays.js'
import type { Dependency } from './dependency.js'
import { type Tuple, tupleOf, valuesOf } from './tuple.js'

/** Dependencies that differ only in a name: the tags of a tenant, the keys of a tenant, a table, the tuples of a shape. */
export type Scope =
  | { readonly kind: 'tag'; readonly tenant: string }
  | { readonly kind: 'key'; readonly tenant: string }
  | { readonly kind: 'table'; readonly table: string }
  | {
      readonly kind: 'rows'
      readonly table: string
      readonly columns: readonly string[]
      readonly old: 'members' | 'coarse'
    }

export class Group<Of extends Scope = Scope> {
  readonly ids = new Map<Tuple, number>()

  /** @param leave takes the group out of where it is found; called when its last dependency goes */
  constructor(
    readonly scope: Of,
    readonly leave: () => void,
  ) {}
}

type Rows = Extract<Scope, { kind: 'rows' }>

export class Table {
  readonly shapes = new Map<string, Group<Rows>>()
  whole: Group | undefined
}

/**
 * Every dependency that some entry has, under a small integer. A dependency is here while it has entries: `release` it
 * with its last one.
 *
 * Cost: 20 bytes, and 29 to 58 of a Map, per distinct dependency.
 */
export class DependencyNames {
  readonly tags = new Map<string, Group>()
  readonly keys = new Map<string, Group>()
  readonly tables = new Map<string, Table>()
  /** The first link of each dependency's list of entries; of a free id, the next free id. */
  heads = new Uint32Array(0)
  /** How many there are. */
  size = 0
  #groups: (Group | undefined)[] = []
  #names: Tuple[] = []
  #free = NONE
  #used = 0

  /** The id of the dependency, which is new if its head is `NONE`. */
  id(dependency: Dependency): number {
    const group = this.#group(dependency)
    const name = nameOf(dependency)
    const known = group.ids.get(name)
    if (known !== undefined) return known
    const id = this.#take()
    this.heads[id] = NONE
    this.#groups[id] = group
    this.#names[id] = name
    group.ids.set(name, id)
    this.size++
    return id
  }

  /** The dependency has no entry any more. */
  release(id: number): void {
    const group = this.#groups[id]!
    group.ids.delete(this.#names[id]!)
    if (group.ids.size === 0) group.leave()
    this.#groups[id] = undefined
    this.#names[id] = null
    this.heads[id] = this.#free
    this.#free = id
    this.size--
  }

  dependency(id: number): Dependency {
    const { scope } = this.#groups[id]!
    const name = this.#names[id]!
    switch (scope.kind) {
      case 'tag':
        return { ...scope, tag: String(name) }
      case 'key':
        return { ...scope, key: String(name) }
      case 'table':
        return scope
      case 'rows':
        return { ...scope, values: valuesOf(name, scope.columns.length) }
    }
  }

  #take(): number {
    const free = this.#free
    if (free !== NONE) {
      this.#free = this.heads[free]!
      return free
    }
    if (this.#used === this.heads.length) {
      const capacity = nextCapacity(this.#used, NONE - 1)
      this.heads = enlarged(this.heads, capacity)
      this.#groups = enlargedList(this.#groups, capacity)
      this.#names = enlargedList(this.#names, capacity)
    }
    return this.#used++
  }

  #group(dependency: Dependency): Group {
    switch (dependency.kind) {
      case 'tag':
        return ofTenant(this.tags, dependency.kind, dependency.tenant)
      case 'key':
        return ofTenant(this.keys, dependency.kind, dependency.tenant)
      case 'table':
        return this.#whole(dependency.table)
      case 'rows':
        return this.#shape(dependency)
    }
  }

  #whole(name: string): Group {
    const table = this.#table(name)
    table.whole ??= new Group({ kind: 'table', table: name }, () => {
      table.whole = undefined
      this.#leaveTable(name, table)
    })
    return table.whole
  }

  #shape({ table: name, columns, old }: Extract<Dependency, { kind: 'rows' }>): Group {
    const table = this.#table(name)
    // No identifier of PostgreSQL holds a zero character.
    const key = columns.length === 1 ? `${old} ${columns[0]}` : `${old} ${columns.join('\0')}`
    let shape = table.shapes.get(key)
    if (!shape) {
      shape = new Group({ kind: 'rows', table: name, columns: [...columns], old }, () => {
        table.shapes.delete(key)
        this.#leaveTable(name, table)
      })
      table.shapes.set(key, shape)
    }
    return shape
  }

  #table(name: string): Table {
    let table = this.tables.get(name)
    if (!table) {
      table = new Table()
      this.tables.set(name, table)
    }
    return table
  }

  #leaveTable(name: string, table: Table): void {
    if (!table.whole && table.shapes.size === 0) this.tables.delete(name)
  }
}

function ofTenant(groups: Map<string, Group>, kind: 'tag' | 'key', tenant: string): Group {
  let group = groups.get(tenant)
  if (!group) {
    group = new Group({ kind, tenant }, () => groups.delete(tenant))
    groups.set(tenant, group)
  }
  return group
}

function nameOf(dependency: Dependency): Tuple {
  switch (dependency.kind) {
    case 'tag':
      return dependency.tag
    case 'key':
      return dependency.key
    case 'table':
      return null
    case 'rows':
      return tupleOf(dependency.values)
  }
}
