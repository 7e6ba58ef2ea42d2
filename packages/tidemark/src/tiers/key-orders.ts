import type { DependencyIndex } from '../dependencies/lookup.js'
import { type Keyed, KeyOrder } from './key-order.js'
import type { SlotKey, Space } from './space.js'

/** The orders of an L1's keys that were asked for. */
export class KeyOrders {
  #beginning: KeyOrder | undefined
  #end: KeyOrder | undefined
  readonly #keyed: { readonly entry: Keyed; readonly dependency: Keyed }

  constructor(entry: Keyed, index: DependencyIndex) {
    this.#keyed = { entry, dependency: index.keyed }
    index.listen({
      depended: (id, tenant, key) => this.#each((order) => order.add('dependency', id, tenant, key)),
      released: (id, tenant, key) => this.#each((order) => order.remove('dependency', id, tenant, key)),
    })
  }

  /** Whether the keys are in the order of what they begin with. */
  get isOrdered(): boolean {
    return this.#beginning?.isBuilt === true
  }

  by(by: 'beginning' | 'end'): KeyOrder {
    if (by === 'beginning') {
      this.#beginning ??= new KeyOrder(this.#keyed, by)
      return this.#beginning
    }
    this.#end ??= new KeyOrder(this.#keyed, by)
    return this.#end
  }

  /** An entry is stored. */
  add(slot: number, { tenant, text }: Space, slotKey: SlotKey): void {
    if (!this.#beginning && !this.#end) return
    const key = text(slotKey)
    this.#each((order) => order.add('entry', slot, tenant, key))
  }

  /** It is about to go. */
  remove(slot: number, { tenant, text }: Space, slotKey: SlotKey): void {
    if (!this.#beginning && !this.#end) return
    const key = text(slotKey)
    this.#each((order) => order.remove('entry', slot, tenant, key))
  }

  /** Gives up those that are mostly the tenant's; undefined stands for all. */
  forsake(tenant: string | undefined): void {
    if (this.#beginning?.isMostly(tenant)) this.#beginning = undefined
    if (this.#end?.isMostly(tenant)) this.#end = undefined
  }

  #each(run: (order: KeyOrder) => void): void {
    if (this.#beginning) run(this.#beginning)
    if (this.#end) run(this.#end)
  }
}
