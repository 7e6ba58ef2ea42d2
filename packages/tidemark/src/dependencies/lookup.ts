import { NONE } from '../arrays.js'
import type { Change, RowChange, TableChange, Target } from '../log/change.js'
import type { Dependency, RowsDependency } from './dependency.js'
import type { Conditioned, ConditionedGroup, Group, RowsScope } from './groups.js'
import type { Intervals } from './intervals.js'
import { Links } from './links.js'
import { isCoarse, isUnchanged, type Reach, rowReach, rules, valueAfter, valueBefore } from './match.js'
import { DependencyNames, type KeyListener, type Table } from './names.js'
import { keyOf } from './order.js'
import { Pairings, type PartnersByTable } from './partners.js'
import { type Tuple, tupleFrom } from './tuple.js'

/** What `resolve` counts. */
export interface Tally {
  /** Shapes of which more was touched than the change names, because the log does not tell the row's old values. */
  coarseOldValues: number
  /** Dependencies that an update would have touched, had it changed a column that they read. */
  unchanged: number
  /** Entries that a row would have touched, had it a partner there. */
  alone: number
}

/** What an entry depends on. */
export interface Dependent {
  readonly dependencies: readonly Dependency[]
  /** Rows of these tables matter only with a partner. `missed`: changes that the value may not show. */
  readonly pairing?: { readonly ways: PartnersByTable; readonly missed: readonly Change[] } | undefined
  /** Some changes may leave it as it is. */
  readonly doubt?: Doubt | undefined
}

/** Whether a change that touches an entry may leave it as it is. `isTagged`: whether the entry, or what it was computed from, has a tag. */
export type About = (change: RowChange, isTagged: (tag: string) => boolean) => boolean

export interface Doubt {
  readonly about: About
  /** Loads the entry again. */
  again(): Promise<unknown>
}

/**
 * Finds the entries that a change touches. A change costs one look-up per shape of its table (two for an update), and
 * the entries that it touches; it does not cost more because there are more entries. Ranges cost the logarithm of their number.
 */
export class DependencyIndex {
  readonly #names = new DependencyNames()
  readonly #links = new Links()
  readonly #pairings = new Pairings()
  readonly #doubts = new Map<number, Doubt>()
  readonly #release = (id: number): void => this.#names.release(id)

  /** Distinct dependencies, for tests and metrics. */
  get dependencies(): number {
    return this.#names.size
  }

  /** What is held for dependencies that are gone; zero unless something leaks. For tests. */
  get remains(): { groups: number; links: number } {
    const { tags, keys, tables } = this.#names
    return { groups: tags.size + keys.size + tables.size, links: this.#links.pooled }
  }

  /** Keys that are depended on, under the ids of their dependencies. */
  get keyed(): Pick<DependencyNames, 'used' | 'named'> {
    return this.#names
  }

  /** Says from now on which keys begin and cease to be depended on. */
  listen(listener: KeyListener): void {
    this.#names.keyListener = listener
  }

  /** The keys of a tenant that are depended on, with their dependencies' ids. What changes between two steps may be missed, if it is new. */
  *keysOf(tenant: string): Generator<readonly [key: string, id: number]> {
    for (const [key, id] of this.#names.keys.get(tenant)?.ids ?? []) yield [String(key), id]
  }

  /** Calls `visit` for each entry that has the dependency; it may remove the entry that it is given. */
  entriesOf(id: number, visit: (slot: number) => void): void {
    if (this.#names.has(id)) this.#touchList(id, visit)
  }

  /** The id of a dependency on a key or tag; undefined if nothing has it. */
  idOf(target: Extract<Target, { kind: 'key' | 'tag' }>): number | undefined {
    return target.kind === 'tag'
      ? this.#names.tags.get(target.tenant)?.ids.get(target.tag)
      : this.#names.keys.get(target.tenant)?.ids.get(target.key)
  }

  resize(capacity: number): void {
    this.#links.resize(capacity)
  }

  /** Gives the dependencies to a slot that has none. */
  add(slot: number, dependencies: readonly Dependency[], pairing?: Dependent['pairing'], doubt?: Doubt): void {
    if (pairing) this.#pairings.hold(slot, pairing.ways, pairing.missed)
    if (doubt) this.#doubts.set(slot, doubt)
    if (dependencies.length === 1) {
      const id = this.#names.id(dependencies[0]!)
      this.#links.addOnly(slot, id, this.#names.heads)
      return
    }
    for (const dependency of dependencies) {
      const id = this.#names.id(dependency)
      this.#links.add(slot, id, this.#names.heads)
    }
  }

  remove(slot: number): void {
    if (!this.#pairings.isEmpty) this.#pairings.release(slot)
    if (this.#doubts.size > 0) this.#doubts.delete(slot)
    this.#links.remove(slot, this.#names.heads, this.#release)
  }

  doubtOf(slot: number): Doubt | undefined {
    return this.#doubts.get(slot)
  }

  of(slot: number): Dependency[] {
    return this.#links.dependenciesOf(slot).map((id) => this.#names.dependency(id))
  }

  /** The same, for entries that take them over: each always the same object, which is found again by what it is, not by its name. */
  handedOf(slot: number): Dependency[] {
    return this.#links.dependenciesOf(slot).map((id) => this.#names.handed(id))
  }

  /**
   * Calls `touch` once or more for every slot that has a dependency which the change touches, but for rows that have no partner
   * there. `touch` may remove the slot that it is given; it must not add or remove others. Of targets, keys and tags alone are looked
   * up here: what others name is found by sweeps (follow/sweeps.ts).
   */
  resolve(change: Change, touch: (slot: number) => void, tally: Tally): void {
    switch (change.kind) {
      case 'row': {
        if (!this.#pairings.isEmpty) return this.#resolvePaired(change, touch, tally)
        const table = this.#names.tables.get(change.table)
        if (table) this.#touchRow(table, change, touch, tally)
        return
      }
      case 'table':
        this.#touchTable(this.#names.tables.get(change.table), change.reason, touch)
        return
      case 'everything':
        for (const table of this.#names.tables.values()) this.#touchTable(table, 'coarse', touch)
        return
      case 'target':
        for (const target of change.targets)
          if (target.kind === 'key' || target.kind === 'tag') this.#touchList(this.idOf(target), touch)
    }
  }

  #resolvePaired(change: RowChange, touch: (slot: number) => void, tally: Tally): void {
    this.#pairings.note(change)
    const table = this.#names.tables.get(change.table)
    if (!table) return
    let passed: Map<number, readonly Dependency[]> | undefined
    const judged = (slot: number): void => {
      if (passed?.has(slot)) return
      const awaited = this.#pairings.pass(slot, change)
      if (!awaited) return touch(slot)
      passed ??= new Map()
      passed.set(slot, awaited)
    }
    this.#touchRow(table, change, judged, tally)
    for (const [slot, awaited] of passed ?? []) this.#extend(slot, awaited)
    tally.alone += passed?.size ?? 0
  }

  /** Links of a slot are added in a row, so those that it has are added anew. */
  #extend(slot: number, more: readonly Dependency[]): void {
    if (more.length === 0) return
    const ids = new Set([...this.#links.dependenciesOf(slot), ...more.map((each) => this.#names.id(each))])
    this.#links.remove(slot, this.#names.heads, () => {})
    for (const id of ids) this.#links.add(slot, id, this.#names.heads)
  }

  #touchRow(table: Table, change: RowChange, touch: (slot: number) => void, tally: Tally): void {
    // Maps may lose members while they are walked.
    for (const whole of table.whole.values()) {
      if (isUnchanged(change, whole.scope.reads)) tally.unchanged++
      else this.#touchGroup(whole, touch)
    }
    const isNothing = isUnchanged(change, undefined)
    for (const shape of table.equal.values())
      if (!isNothing || shape.scope.reads) this.#touchEqual(shape, change, touch, tally)
    for (const shape of table.conditioned.values())
      if (!isNothing || shape.scope.reads) this.#touchConditioned(shape, change, touch, tally)
  }

  #touchEqual(shape: Group<RowsScope>, change: RowChange, touch: (slot: number) => void, tally: Tally): void {
    const { now, was, isUnknown } = tuplesOf(shape.scope, change)
    const id = now === undefined ? undefined : shape.ids.get(now)
    if (isUnknown && shape.scope.columns.length > 1) return this.#judge(shape.ids.values(), change, touch, tally)
    if (isUnknown) {
      // Of the one column nothing is known: it touches all, and all but one of them perhaps in vain.
      if (shape.ids.size > (id === undefined ? 0 : 1)) tally.coarseOldValues++
      return this.#touchGroup(shape, touch)
    }
    if (now === was && id !== undefined && isUnchanged(change, shape.scope.reads))
      return this.#judge([id], change, touch, tally)
    this.#touchList(id, touch)
    if (was !== undefined && was !== now && shape.scope.old !== 'ignored') this.#touchList(shape.ids.get(was), touch)
  }

  #touchConditioned(shape: ConditionedGroup, change: RowChange, touch: (slot: number) => void, tally: Tally): void {
    const { now, was, isUnknown } = tuplesOf(shape.scope, change)
    const found = new Set<number>()
    const find = ({ id }: Conditioned): unknown => found.add(id)
    if (isUnknown) {
      for (const bucket of shape.buckets.values()) bucket.stab(undefined, find)
    } else {
      if (now !== undefined)
        stab(shape, shape.buckets.get(now), valueAfter(change, shape.range?.column ?? ''), true, find)
      if (was !== undefined) {
        const { old } = shape.scope
        stab(shape, shape.buckets.get(was), valueBefore(change, shape.range?.column ?? ''), isCoarse(old), find)
      }
    }
    this.#judge(found, change, touch, tally)
  }

  /** Holds each of the dependencies, all of one shape, against the change. */
  #judge(ids: Iterable<number>, change: RowChange, touch: (slot: number) => void, tally: Tally): void {
    let isCoarse = false
    for (const id of ids) {
      // It may have gone with the last of its entries.
      if (!this.#names.has(id)) continue
      const reached: Reach = rowReach(this.#names.dependency(id) as RowsDependency, change)
      if (reached === 'unchanged') tally.unchanged++
      else if (reached !== 'none') this.#touchList(id, touch)
      isCoarse ||= reached === 'coarse'
    }
    if (isCoarse) tally.coarseOldValues++
  }

  #touchTable(table: Table | undefined, reason: TableChange['reason'], touch: (slot: number) => void): void {
    if (!table) return
    for (const group of table.whole.values())
      if (rules.isTableReached(group.scope, reason)) this.#touchGroup(group, touch)
    for (const shape of table.equal.values())
      if (rules.isTableReached(shape.scope, reason)) this.#touchGroup(shape, touch)
    for (const shape of table.conditioned.values()) {
      if (!rules.isTableReached(shape.scope, reason)) continue
      const found: number[] = []
      for (const bucket of shape.buckets.values())
        bucket.stab(undefined, ({ id, dependency }) => {
          if (rules.isTableReached(dependency, reason)) found.push(id)
        })
      for (const id of found) if (this.#names.has(id)) this.#touchList(id, touch)
    }
  }

  #touchGroup(group: Group, touch: (slot: number) => void): void {
    for (const id of group.ids.values()) this.#touchList(id, touch)
  }

  #touchList(id: number | undefined, touch: (slot: number) => void): void {
    if (id === undefined) return
    let link = this.#names.heads[id]!
    while (link !== NONE) {
      // Read before `touch` removes the slot, and with it its links.
      const next = this.#links.next(link)
      touch(this.#links.slotOf(link))
      link = next
    }
  }
}

export interface Tuples {
  /** The row's tuple as it is now; undefined if there is no row, or it is not known. */
  readonly now: Tuple | undefined
  readonly was: Tuple | undefined
  /** A value is not known that decides. */
  readonly isUnknown: boolean
}

/** The tuples of a changed row under a shape. */
export function tuplesOf(
  { columns, orders, old }: Pick<RowsScope, 'columns' | 'orders' | 'old'>,
  change: RowChange,
): Tuples {
  const now = change.op === 'delete' ? undefined : tupleFrom(columns, orders, (column) => valueAfter(change, column))
  const was = change.op === 'insert' ? undefined : tupleFrom(columns, orders, (column) => valueBefore(change, column))
  const isUnknown =
    (now === undefined && change.op !== 'delete') || (was === undefined && change.op !== 'insert' && isCoarse(old))
  return { now, was, isUnknown }
}

/** Finds what of a bucket holds the value; all of it, if the value is not known and that counts. */
function stab(
  { range }: ConditionedGroup,
  bucket: Intervals<Conditioned> | undefined,
  value: string | null | undefined,
  doesUnknownCount: boolean,
  find: (held: Conditioned) => void,
): void {
  if (!bucket) return
  if (!range) return bucket.stab(undefined, find)
  if (value === null) return
  const key = value === undefined ? undefined : keyOf(range.order, value)
  if (key !== undefined || doesUnknownCount) bucket.stab(key, find)
}
