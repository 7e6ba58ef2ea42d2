import { enlarged, enlargedList, NONE, nextCapacity } from '../arrays.js'
import type { Dependency, RowsDependency } from './dependency.js'
import { Conditioned, ConditionedGroup, Group, type Home, type RowsScope, type Scope } from './groups.js'
import { type Tuple, tupleOf } from './tuple.js'

/** The dependencies of one table. */
export class Table {
  /** By shape. */
  readonly equal = new Map<string, Group<RowsScope>>()
  readonly conditioned = new Map<string, ConditionedGroup>()
  /** Of the whole table, by the columns that they read. */
  readonly whole = new Map<string, Group<Extract<Scope, { kind: 'table' }>>>()
}

/** Hears of each key that gets its first dependent entry, and of each that loses its last. */
export interface KeyListener {
  depended(id: number, tenant: string, key: string): void
  released(id: number, tenant: string, key: string): void
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
  /** Hears which keys are depended on. */
  keyListener: KeyListener | undefined
  #homes: (Home<Tuple | Conditioned> | undefined)[] = []
  /** Dependencies that entries took over from others, by id and back: who hands such a one in again is known by it, without its name. */
  readonly #handed = new Map<number, Dependency>()
  readonly #idsOfHanded = new Map<Dependency, number>()
  #names: (Tuple | Conditioned)[] = []
  #free = NONE
  #used = 0

  /** The id of the dependency, which is new if its head is `NONE`. */
  id(dependency: Dependency): number {
    const handed = this.#idsOfHanded.get(dependency)
    if (handed !== undefined) return handed
    if (dependency.kind === 'rows' && (dependency.range || dependency.also || dependency.test))
      return this.#conditionedId(dependency)
    const group = this.#group(dependency)
    const name = nameOf(dependency)
    const known = group.ids.get(name)
    if (known !== undefined) return known
    const id = this.#take(group, name)
    group.ids.set(name, id)
    if (dependency.kind === 'key') this.keyListener?.depended(id, dependency.tenant, dependency.key)
    return id
  }

  /** One more than the highest id that was ever used. */
  get used(): number {
    return this.#used
  }

  /** The key of a dependency on a key; undefined for others, and for ids that are free. */
  named(id: number): { readonly tenant: string; readonly key: string } | undefined {
    const home = this.#homes[id]
    if (!(home instanceof Group) || home.scope.kind !== 'key') return undefined
    return { tenant: home.scope.tenant, key: String(this.#names[id]) }
  }

  /** Whether a dependency has this id. */
  has(id: number): boolean {
    return this.#homes[id] !== undefined
  }

  /** The dependency has no entry any more. */
  release(id: number): void {
    const key = this.keyListener && this.named(id)
    if (key) this.keyListener?.released(id, key.tenant, key.key)
    this.#homes[id]!.forget(this.#names[id]!)
    this.#homes[id] = undefined
    const handed = this.#handed.get(id)
    if (handed) {
      this.#handed.delete(id)
      this.#idsOfHanded.delete(handed)
    }
    this.#names[id] = null
    this.heads[id] = this.#free
    this.#free = id
    this.size--
  }

  dependency(id: number): Dependency {
    return this.#homes[id]!.dependency(this.#names[id]!)
  }

  /** The same, for an entry that takes it over: always the same object, while any entry has it. Cost: about 200 bytes for each. */
  handed(id: number): Dependency {
    const known = this.#handed.get(id)
    if (known) return known
    const dependency = this.dependency(id)
    this.#handed.set(id, dependency)
    this.#idsOfHanded.set(dependency, id)
    return dependency
  }

  #conditionedId(dependency: RowsDependency): number {
    const group = this.#conditionedShape(dependency)
    const tuple = tupleOf(dependency.values, dependency.orders)
    const known = group.find(new Conditioned(dependency, tuple, NONE))
    if (known) return known.id
    const id = this.#take(group, null)
    const held = new Conditioned(dependency, tuple, id)
    this.#names[id] = held
    group.insert(held)
    return id
  }

  /** An id for a new dependency, with an empty list. */
  #take(home: Home<never>, name: Tuple): number {
    let id = this.#free
    if (id !== NONE) {
      this.#free = this.heads[id]!
    } else {
      if (this.#used === this.heads.length) this.#grow()
      id = this.#used++
    }
    this.heads[id] = NONE
    this.#homes[id] = home as Home<Tuple | Conditioned>
    this.#names[id] = name
    this.size++
    return id
  }

  #grow(): void {
    const capacity = nextCapacity(this.#used, NONE - 1)
    this.heads = enlarged(this.heads, capacity)
    this.#homes = enlargedList(this.#homes, capacity)
    this.#names = enlargedList(this.#names, capacity)
  }

  #group(dependency: Dependency): Group {
    switch (dependency.kind) {
      case 'tag':
        return ofTenant(this.tags, dependency.kind, dependency.tenant)
      case 'key':
        return ofTenant(this.keys, dependency.kind, dependency.tenant)
      case 'table':
        return this.#whole(dependency)
      case 'rows':
        return this.#shape(dependency)
    }
  }

  #whole({ kind, table: name, reads }: Extract<Dependency, { kind: 'table' }>): Group {
    const table = this.#table(name)
    return found(
      table.whole,
      readsKey(reads),
      (leave) => new Group({ kind, table: name, ...(reads && { reads }) }, leave),
      () => this.#leaveTable(name, table),
    )
  }

  #shape(dependency: RowsDependency): Group {
    const table = this.#table(dependency.table)
    return found(
      table.equal,
      shapeKey(dependency),
      (leave) => new Group(scopeOf(dependency), leave),
      () => this.#leaveTable(dependency.table, table),
    )
  }

  #conditionedShape(dependency: RowsDependency): ConditionedGroup {
    const { range } = dependency
    const table = this.#table(dependency.table)
    const key = shapeKey(dependency) + (range ? `\0\0b${range.order} ${range.column}` : '')
    return found(
      table.conditioned,
      key,
      (leave) => new ConditionedGroup(scopeOf(dependency), range, leave),
      () => this.#leaveTable(dependency.table, table),
    )
  }

  #table(name: string): Table {
    let table = this.tables.get(name)
    if (!table) {
      table = new Table()
      this.tables.set(name, table)
    }
    return table
  }

  #leaveTable(name: string, { equal, conditioned, whole }: Table): void {
    if (equal.size + conditioned.size + whole.size === 0) this.tables.delete(name)
  }
}

function found<Of>(groups: Map<string, Of>, key: string, make: (leave: () => void) => Of, left: () => void): Of {
  let group = groups.get(key)
  if (!group) {
    group = make(() => {
      groups.delete(key)
      left()
    })
    groups.set(key, group)
  }
  return group
}

function scopeOf({ kind, table, columns, orders, reads, old }: RowsDependency): RowsScope {
  return { kind, table, columns, ...(orders && { orders }), ...(reads && { reads }), old }
}

/** No identifier of PostgreSQL holds a zero character, or nothing at all. */
function shapeKey({ old, columns, orders, reads }: RowsDependency): string {
  const names = columns.length === 1 ? `${old} ${columns[0]}` : `${old} ${columns.join('\0')}`
  return (orders ? `${names}\0\0o${orders}` : names) + readsKey(reads)
}

/** Analyses hand the same list to each of their dependencies. */
const readsKeys = new WeakMap<readonly string[], string>()

function readsKey(reads: readonly string[] | undefined): string {
  if (!reads) return ''
  let key = readsKeys.get(reads)
  if (key === undefined) {
    key = `\0\0r${reads.length}\0${reads.join('\0')}`
    readsKeys.set(reads, key)
  }
  return key
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
      return tupleOf(dependency.values, dependency.orders)
  }
}
