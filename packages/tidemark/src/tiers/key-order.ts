import { OrderedTexts, Page } from './ordered-texts.js'
import { Run } from './run.js'

/** What there is to put in order: things under small integers, each with the key that it has now. */
export interface Keyed {
  /** One more than the highest that was ever used. */
  readonly used: number
  /** Undefined for one that is not in use, or has no key. */
  named(id: number): { readonly tenant: string; readonly key: string } | undefined
}

/** Keys of stored entries, and keys that are depended on. */
export const KINDS = ['entry', 'dependency'] as const
export type Kind = (typeof KINDS)[number]

/** A key of the tenant that was asked for. */
export interface OrderedKey {
  readonly key: string
  /** The entry's slot, or the dependency's id. */
  readonly id: number
}

/**
 * The keys of each tenant in order, or in the order of what they end with. Built when it is first asked, in steps, while entries come
 * and go; kept from then on, at the cost of an insertion for each new entry about 25 bytes, and its text.
 */
export class KeyOrder {
  readonly #keyed: Readonly<Record<Kind, Keyed>>
  readonly #textOf: (key: string) => string
  readonly #tenants: Readonly<Record<Kind, Map<string, OrderedTexts>>> = { entry: new Map(), dependency: new Map() }
  #size = 0
  /** How far the building is: what is below is in order. */
  readonly #built: Record<Kind, number> = { entry: 0, dependency: 0 }

  constructor(keyed: Readonly<Record<Kind, Keyed>>, by: 'beginning' | 'end') {
    this.#keyed = keyed
    this.#textOf = by === 'beginning' ? (key) => key : reversed
  }

  /** Something got a key. */
  add(kind: Kind, id: number, tenant: string, key: string): void {
    if (id >= this.#built[kind]) return
    this.#insert(kind, id, tenant, key)
  }

  /** It loses it. */
  remove(kind: Kind, id: number, tenant: string, key: string): void {
    if (id >= this.#built[kind]) return
    const texts = this.#tenants[kind].get(tenant)
    if (!texts?.remove(this.#textOf(key), id)) return
    this.#size--
    if (texts.size === 0) this.#tenants[kind].delete(tenant)
  }

  /** Whether most of what is in order belongs to the tenant; always so of undefined, which stands for all. */
  isMostly(tenant: string | undefined): boolean {
    if (tenant === undefined) return true
    const own = KINDS.reduce((sum, kind) => sum + (this.#tenants[kind].get(tenant)?.size ?? 0), 0)
    return 2 * own > this.#size
  }

  /** Whether all is in order. */
  get isBuilt(): boolean {
    return KINDS.every((kind) => this.#built[kind] === Number.POSITIVE_INFINITY)
  }

  /** Builds what is not built yet; each step is one key, or a place without one. */
  *build(): Generator<undefined> {
    for (const kind of KINDS) {
      const keyed = this.#keyed[kind]
      while (this.#built[kind] < keyed.used) {
        const id = this.#built[kind]++
        const name = keyed.named(id)
        // Those that are free are steps too: there may be a million of them.
        if (name) this.#insert(kind, id, name.tenant, name.key)
        yield
      }
      // From now on, what is new is added as it comes.
      this.#built[kind] = Number.POSITIVE_INFINITY
    }
  }

  /**
   * The tenant's keys that begin (or end) with this, each once, also if others come and go between two steps. What was yielded may
   * have gone by the time that it is looked at.
   *
   * @param after  only those that come later in the order than this key
   */
  *keys(kind: Kind, tenant: string, fixed: string, after?: string): Generator<OrderedKey> {
    for (const { texts, handles } of this.pages(kind, tenant, fixed, after))
      for (let i = 0; i < handles.length; i++) yield { key: this.keyOf(texts[i]!), id: handles[i]! }
  }

  /** The same by the hundred, as texts of the order and slots (or ids): each page is good until the next step. */
  *pages(kind: Kind, tenant: string, fixed: string, after?: string): Generator<Page> {
    const prefix = this.#textOf(fixed)
    const page = new Page()
    let [text, handle] = after === undefined ? [prefix, -1] : [this.#textOf(after), Number.MAX_SAFE_INTEGER - 1]
    for (;;) {
      this.#tenants[kind].get(tenant)?.page(page, prefix, text, handle)
      const last = page.texts.length - 1
      if (last < 0) return
      text = page.texts[last]!
      handle = page.handles[last]!
      yield page
      page.texts.length = 0
    }
  }

  /** The tenant's keys that begin (or end) with this, as texts of the order, without copying. */
  run(kind: Kind, tenant: string, fixed: string): Run {
    return new Run(() => this.#tenants[kind].get(tenant), this.#textOf(fixed))
  }

  /** The key of a page's text. */
  keyOf(text: string): string {
    return this.#textOf(text)
  }

  #insert(kind: Kind, id: number, tenant: string, key: string): void {
    let texts = this.#tenants[kind].get(tenant)
    if (!texts) {
      texts = new OrderedTexts()
      this.#tenants[kind].set(tenant, texts)
    }
    texts.insert(this.#textOf(key), id)
    this.#size++
  }
}

/** By UTF-16 units, so that it is its own inverse. */
function reversed(text: string): string {
  return text.split('').reverse().join('')
}
