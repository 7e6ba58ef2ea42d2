import type { NotKept } from '../source.js'
import type { SlotKey } from '../tiers/space.js'
import type { Keyspace } from './keyspace.js'
import { sessionText } from './keyspaces.js'

const REMEMBERED_MAX = 1_000

/** Why the last fills that were not kept were not: for `explain` and for watches. Bounded; the oldest are forgotten. */
export class Refusals {
  readonly #reasons = new Map<string, NotKept>()
  readonly #noticed = new Set<string>()

  note(space: Keyspace, key: SlotKey, notKept: NotKept | undefined): void {
    if (notKept === undefined && this.#reasons.size === 0) return
    const name = nameOf(space, key)
    this.#reasons.delete(name)
    if (notKept === undefined) return
    this.#reasons.set(name, notKept)
    if (this.#reasons.size > REMEMBERED_MAX) this.#reasons.delete(this.#reasons.keys().next().value!)
  }

  of(space: Keyspace, key: SlotKey): NotKept | undefined {
    return this.#reasons.get(nameOf(space, key))
  }

  /** True once for each code and definition (and once for all `get` keys): for notices. */
  isFirst(code: string, space: Keyspace): boolean {
    const name = `${code}\u0000${space.name ?? ''}`
    if (this.#noticed.has(name)) return false
    this.#noticed.add(name)
    return true
  }
}

function nameOf(space: Keyspace, key: SlotKey): string {
  return `${space.tenant}\u0000${space.name ?? ''}\u0000${sessionText(space.session)}\u0000${typeof key}\u0000${key}`
}
