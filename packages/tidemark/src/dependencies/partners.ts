import type { Change, RowChange } from '../log/change.js'
import type { Dependency, RowsDependency } from './dependency.js'
import { isUnchanged, valueAfter, valueBefore } from './match.js'
import { type Key, keyOf, type Order } from './order.js'

/*
 * A row of a table that is joined matters only if it has a partner. Which partners there are is asked while an entry is loaded; which come
 * later the log tells. A row that has none is let pass, and its partner waited for from then on: docs/decisions/join-partners.md proves it.
 */

/** A table beside a row: the row matters only if the table has one whose column has the value that the row has in its own. */
export interface Partner {
  /** The row's own column. NULL has no partner. */
  readonly column: string
  readonly order: Order
  /** The values that the table had when the entry was loaded, as keys under the order. */
  readonly keys: ReadonlySet<Key>
  readonly table: string
  /** The table's column that has the value. */
  readonly of: string
  /** By which columns its row counts as a partner, `of` among them. */
  readonly counts: readonly string[]
  /** The columns that are read of the table, `counts` among them; undefined: all, or that is not known. */
  readonly reads: readonly string[] | undefined
}

/** In one way of mattering a row needs all of these. */
export type Partners = readonly Partner[]

/** By table, the ways in which a row of it can matter to an entry, through whatever it was computed from. */
export type PartnersByTable = ReadonlyMap<string, readonly Partners[]>

/** So many rows are let pass for an entry: each adds what it waits for. */
const PASSED_MAX = 100
/** Of a column so many values that came are told apart. */
const ARRIVALS_MAX = 10_000

interface Held {
  readonly ways: PartnersByTable
  /** What had come when it was stored. */
  readonly since: number
  passed: number
}

/** Says of entries that have partners which changes that seem to touch them let them be. */
export class Pairings {
  readonly #held = new Map<number, Held>()
  readonly #arrivals = new Arrivals()

  get isEmpty(): boolean {
    return this.#held.size === 0
  }

  /**
   * @param slot  the entry's
   * @param missed  what it may not have seen when it was loaded: partners among these are counted as there
   */
  hold(slot: number, ways: PartnersByTable, missed: readonly Change[]): void {
    if (ways.size === 0) return
    for (const partner of partnersOf(ways)) this.#arrivals.track(partner)
    const since = this.#arrivals.now
    if (pairingRules.countsMissed()) for (const change of missed) this.note(change)
    this.#held.set(slot, { ways, since, passed: 0 })
  }

  release(slot: number): void {
    const held = this.#held.get(slot)
    if (!held) return
    this.#held.delete(slot)
    for (const partner of partnersOf(held.ways)) this.#arrivals.untrack(partner)
  }

  /** Takes what a change brings. Before it is asked about the change itself: a row may be its own partner. */
  note(change: Change): void {
    if (change.kind === 'row') this.#arrivals.note(change)
  }

  /**
   * What an entry must depend on from now on, so that it may stay though the change names its rows; undefined: it may not. Neither the row
   * as it was nor as it is now has a partner.
   */
  pass(slot: number, change: RowChange): readonly Dependency[] | undefined {
    const held = this.#held.get(slot)
    const ways = held?.ways.get(change.table)
    if (!held || !ways || held.passed >= PASSED_MAX) return undefined
    if (change.op !== 'insert')
      for (const way of ways)
        if (!way.some((each) => this.#isAlone(valueBefore(change, each.column), each, held.since))) return undefined
    if (change.op === 'delete') return []
    const awaited: Dependency[] = []
    for (const way of ways) {
      const missing = way.find((each) => this.#isAlone(valueAfter(change, each.column), each, held.since))
      if (!missing) return undefined
      const value = valueAfter(change, missing.column)
      if (value !== null) awaited.push(arrivalOf(missing, value!))
    }
    held.passed++
    return pairingRules.awaits() ? awaited : []
  }

  #isAlone(value: string | null | undefined, partner: Partner, since: number): boolean {
    if (value === undefined) return false
    if (value === null) return true
    const key = keyOf(partner.order, value)
    return key !== undefined && !partner.keys.has(key) && !this.#arrivals.hasCome(partner, key, since)
  }
}

function* partnersOf(ways: PartnersByTable): Generator<Partner> {
  for (const each of ways.values()) for (const way of each) yield* way
}

/**
 * The rows that would be a partner of this value. Of those that leave none was one; but one that came, and was let pass for want of a third,
 * may lead to it by any of its columns.
 */
function arrivalOf(partner: Partner, value: string): RowsDependency {
  const { table, of, order } = partner
  const reads = pairingRules.follows(partner)
  const orders = order === 'text' ? {} : { orders: [order] }
  return { kind: 'rows', table, columns: [of], values: [value], ...orders, ...(reads ? { reads } : {}), old: 'ignored' }
}

interface Column {
  readonly column: string
  readonly order: Order
  readonly counts: readonly string[]
  /** How many partners of entries look at it. */
  uses: number
  /** When a value came last, the oldest first. */
  readonly last: Map<Key, number>
  /** Of what came up to here some is forgotten: it may have been any value. */
  forgotten: number
}

/** Which values came to columns, and when, in the order of changes. */
class Arrivals {
  readonly #tables = new Map<string, Map<string, Column>>()
  now = 0

  track(partner: Partner): void {
    const { table, of, order, counts } = partner
    let columns = this.#tables.get(table)
    if (!columns) {
      columns = new Map()
      this.#tables.set(table, columns)
    }
    const name = nameOf(partner)
    const column = columns.get(name)
    if (column) column.uses++
    else columns.set(name, { column: of, order, counts, uses: 1, last: new Map(), forgotten: -1 })
  }

  untrack(partner: Partner): void {
    const { table } = partner
    const columns = this.#tables.get(table)!
    const name = nameOf(partner)
    const column = columns.get(name)!
    column.uses--
    if (column.uses > 0) return
    columns.delete(name)
    if (columns.size === 0) this.#tables.delete(table)
  }

  note(change: RowChange): void {
    this.now++
    if (change.op === 'delete') return
    for (const each of this.#tables.get(change.table)?.values() ?? []) {
      // A row that counts as it did before has come before.
      if (isUnchanged(change, each.counts)) continue
      const value = valueAfter(change, each.column)
      if (value === null) continue
      const key = value === undefined ? undefined : keyOf(each.order, value)
      // It may be any.
      if (key === undefined) each.forgotten = this.now
      else this.#came(each, key)
    }
  }

  /** Whether it came after that, or may have. */
  hasCome(partner: Partner, key: Key, since: number): boolean {
    const column = this.#tables.get(partner.table)?.get(nameOf(partner))
    return !column || column.forgotten > since || (column.last.get(key) ?? -1) > since
  }

  #came(column: Column, key: Key): void {
    const { last } = column
    last.delete(key)
    last.set(key, this.now)
    if (last.size <= ARRIVALS_MAX) return
    const [oldest] = last
    last.delete(oldest![0])
    column.forgotten = Math.max(column.forgotten, oldest![1])
  }
}

function nameOf({ of, order, counts }: Partner): string {
  return JSON.stringify([order, of, ...counts])
}

/** As functions, so that tests can plant the bug of leaving one out. */
export const pairingRules = {
  /** What a row that is let pass waits for touches the entry. */
  awaits(): boolean {
    return true
  },
  /** The columns of a partner that is waited for whose changes touch the entry. */
  follows({ reads }: Partner): readonly string[] | undefined {
    return reads
  },
  /** What a fill may not have seen may be a partner. */
  countsMissed(): boolean {
    return true
  },
}
