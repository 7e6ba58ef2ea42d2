import { NONE } from '../arrays.js'
import type { Change, RowChange, Target } from '../log/change.js'
import type { Dependency } from './dependency.js'
import { Links } from './links.js'
import { valueAfter, valueBefore } from './match.js'
import { DependencyNames, type Group, type Table } from './names.js'
import { tupleFrom } from './tuple.js'

/**
 * Finds the entries that a change touches. A change costs one look-up per shape of its table (two for an update), and
 * the entries that it touches; it does not cost more because there are more entries.
 */
export class DependencyIndex {
  readonly #names = new DependencyNames()
  readonly #links = new Links()
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

  resize(capacity: number): void {
    this.#links.resize(capacity)
  }

  /** Gives the dependencies to a slot that has none. */
  add(slot: number, dependencies: readonly Dependency[]): void {
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
    this.#links.remove(slot, this.#names.heads, this.#release)
  }

  of(slot: number): Dependency[] {
    return this.#links.dependenciesOf(slot).map((id) => this.#names.dependency(id))
  }

  /**
   * Calls `touch` once or more for every slot that has a dependency which the change touches. `touch` may remove the
   * slot that it is given; it must not add or remove others.
   *
   * @returns how many shapes were touched as a whole, because the log does not tell the row's old values
   */
  resolve(change: Change, touch: (slot: number) => void): number {
    switch (change.kind) {
      case 'row': {
        const table = this.#names.tables.get(change.table)
        return table ? this.#touchRow(table, change, touch) : 0
      }
      case 'table':
        this.#touchTable(this.#names.tables.get(change.table), touch)
        return 0
      case 'everything':
        for (const table of this.#names.tables.values()) this.#touchTable(table, touch)
        return 0
      case 'target':
        for (const target of change.targets) this.#touchTarget(target, touch)
        return 0
    }
  }

  #touchRow(table: Table, change: RowChange, touch: (slot: number) => void): number {
    let coarse = 0
    if (table.whole) this.#touchGroup(table.whole, touch)
    const after = (column: string) => valueAfter(change, column)
    const before = (column: string) => valueBefore(change, column)
    // Maps may lose members while they are walked.
    for (const shape of table.shapes.values()) {
      const { columns, old } = shape.scope
      const now = change.op === 'delete' ? undefined : tupleFrom(columns, after)
      const was = change.op === 'insert' ? undefined : tupleFrom(columns, before)
      if (
        (now === undefined && change.op !== 'delete') ||
        (was === undefined && change.op !== 'insert' && old === 'coarse')
      ) {
        this.#touchGroup(shape, touch)
        coarse++
        continue
      }
      if (now !== undefined) this.#touchList(shape.ids.get(now), touch)
      if (was !== undefined && was !== now) this.#touchList(shape.ids.get(was), touch)
    }
    return coarse
  }

  #touchTable(table: Table | undefined, touch: (slot: number) => void): void {
    if (!table) return
    if (table.whole) this.#touchGroup(table.whole, touch)
    for (const shape of table.shapes.values()) this.#touchGroup(shape, touch)
  }

  #touchTarget(target: Target, touch: (slot: number) => void): void {
    const group = target.kind === 'tag' ? this.#names.tags.get(target.tenant) : this.#names.keys.get(target.tenant)
    this.#touchList(group?.ids.get(target.kind === 'tag' ? target.tag : target.key), touch)
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
