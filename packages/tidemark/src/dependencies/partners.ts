import type { Change, RowChange } from '../log/change.js'
import type { Dependency, RowsDependency, RowTest } from './dependency.js'
import { isUnchanged, valueAfter, valueBefore } from './match.js'
import { type Key, keyOf, type Order } from './order.js'
import { type ColumnOf, judge } from './predicate.js'
import { follow, hasTwin, type Twins } from './twins.js'

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
  /** What the table's rows need themselves: one that does not have it is no partner. */
  readonly beyond?: Beyond
}

/** The rows of a table beside a row, and what they need themselves. */
export interface Beyond {
  /** The columns of `rows`; all of them are counted. */
  readonly columns: readonly string[]
  /** By the key of its value in `of`, the table's rows as they were when the entry was loaded. */
  readonly rows: ReadonlyMap<Key, readonly (readonly (string | null)[])[]>
  /** What each of them must have. */
  readonly partners: readonly Partner[]
  /** What each of them must equal, of the rows that lead to it. */
  readonly ties: readonly Tie[]
}

/** Two columns that must be equal. */
export interface Tie {
  readonly column: string
  /** Of the row so many steps before: 0 is the one that needs the partner. */
  readonly up: number
  readonly of: string
  readonly order: Order
}

/** One way of mattering. */
export interface Partners {
  /** A row needs all of these. */
  readonly partners: readonly Partner[]
  /** And must be unlike all of these rows; absent: how many are alike matters. It takes `key`. */
  readonly twins?: Twins
  /** And must meet this, if anything. */
  readonly test?: RowTest
  /** What names one row of the table; absent: nothing is known to. */
  readonly key?: readonly Pick<Partner, 'column' | 'order'>[]
}

/** By table, the ways in which a row of it can matter to an entry, through whatever it was computed from. */
export type PartnersByTable = ReadonlyMap<string, readonly Partners[]>

/** So many rows are let pass for an entry: each adds what it waits for. */
const PASSED_MAX = 100
/** For one of them no more than this is waited for. */
const AWAITED_MAX = 50
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
   * as it was nor as it is now has a partner, or each has a twin.
   */
  pass(slot: number, change: RowChange): readonly Dependency[] | undefined {
    const held = this.#held.get(slot)
    const ways = held?.ways.get(change.table)
    const more = held && ways && this.#judge(held, ways, change)
    if (more) for (const { twins } of ways) if (twins) follow(twins, change)
    return more
  }

  #judge(held: Held, ways: readonly Partners[], change: RowChange): readonly Dependency[] | undefined {
    if (held.passed >= PASSED_MAX) return undefined
    if (change.op !== 'insert')
      for (const way of ways)
        if (!this.#missing(way, change, (column) => valueBefore(change, column), held.since)) return undefined
    if (change.op === 'delete') return []
    const awaited: Dependency[] = []
    const itself: Dependency[] = []
    for (const way of ways) {
      const alone = this.#missing(way, change, (column) => valueAfter(change, column), held.since)
      if (!alone) return undefined
      awaited.push(...alone.missing)
      if (alone.column) itself.push(itselfOf(change, [alone.column, ...(way.key ?? [])]))
    }
    // It meets in no way what is said of it alone: what makes it do so comes into what the entry depends on, and for what was let pass.
    if (itself.length === 0) return []
    // Each of them costs memory.
    if (awaited.length + itself.length > AWAITED_MAX) return undefined
    held.passed++
    return [...(pairingRules.awaits() ? awaited : []), ...(pairingRules.followsItself() ? itself : [])]
  }

  /** Why a row does not matter in this way; undefined if it may. What it is itself changes by its own changes alone. */
  #missing(
    { partners, test, twins, key }: Partners,
    change: RowChange,
    columnOf: ColumnOf,
    since: number,
  ): Alone | undefined {
    const verdict = test && judge(test.holds, columnOf)
    if (verdict === 'no' || verdict === 'null') return { missing: [], column: undefined }
    if (twins && key && pairingRules.isTwin(twins, change, columnOf)) return { missing: [], column: key[0] }
    return this.#missingOf(partners, [columnOf], since)
  }

  /** @param path  the row that needs one of each of these partners, before the rows that led to it */
  #missingOf(partners: readonly Partner[], path: readonly ColumnOf[], since: number): Alone | undefined {
    for (const partner of partners) {
      const missing = this.#arrivalsOf(partner, path, since)
      if (missing) return { missing, column: partner }
    }
    return undefined
  }

  /**
   * What would have to come for a row to have a partner; undefined if it may have one. Where the table has rows with the value, what each
   * of them lacks is awaited too; they themselves are as they were when the entry was loaded, else they had come.
   */
  #arrivalsOf(partner: Partner, path: readonly ColumnOf[], since: number): readonly Dependency[] | undefined {
    const value = path[0]!(partner.column)
    if (value === undefined) return undefined
    if (value === null) return []
    const key = keyOf(partner.order, value)
    if (key === undefined || this.#arrivals.hasCome(partner, key, since)) return undefined
    const awaited: Dependency[] = [arrivalOf(partner, value)]
    if (!partner.keys.has(key)) return awaited
    const { beyond } = partner
    if (!beyond) return undefined
    for (const row of beyond.rows.get(key) ?? UNKNOWN) {
      const columnOf = (column: string) => row[beyond.columns.indexOf(column)]
      if (!beyond.ties.every((tie) => mayEqual(tie, columnOf(tie.column), path[tie.up]!(tie.of)))) continue
      const alone = this.#missingOf(beyond.partners, [columnOf, ...path], since)
      if (!alone) return undefined
      if (pairingRules.awaitsBeyond()) awaited.push(...alone.missing)
    }
    return awaited
  }
}

/** A row that lacks a partner, or has a twin. */
interface Alone {
  /** What would have to come. */
  readonly missing: readonly Dependency[]
  /** By which column it has none, or is told from its twin; undefined if it does not even meet what is said of it alone. */
  readonly column: Pick<Partner, 'column' | 'order'> | undefined
}

/** A row of which nothing is told. */
const UNKNOWN: readonly (readonly (string | null)[])[] = [[]]

function mayEqual({ order }: Tie, left: string | null | undefined, right: string | null | undefined): boolean {
  if (left === null || right === null) return false
  if (left === undefined || right === undefined) return true
  const [one, other] = [keyOf(order, left), keyOf(order, right)]
  return one === undefined || other === undefined || one === other
}

function* partnersOf(ways: PartnersByTable): Generator<Partner> {
  for (const each of ways.values()) for (const { partners } of each) yield* withBeyond(partners)
}

function* withBeyond(partners: readonly Partner[]): Generator<Partner> {
  for (const partner of partners) {
    yield partner
    if (partner.beyond) yield* withBeyond(partner.beyond.partners)
  }
}

/**
 * The rows that would be a partner of this value. Of those that leave none was one; but one that came, and was let pass for want of a third,
 * may lead to it by any of its columns.
 */
function arrivalOf(partner: Partner, value: string): RowsDependency {
  const { table, of, order } = partner
  const reads = pairingRules.follows(partner)
  return { ...rowsWith(table, [{ column: of, order, value }]), ...(reads ? { reads } : {}), old: 'ignored' }
}

/** All changes of a row that is let pass: the next one counts, whatever the entry reads of its table. What is not told does not name it. */
function itselfOf(change: RowChange, columns: readonly Pick<Partner, 'column' | 'order'>[]): RowsDependency {
  const parts = new Map<string, Part>()
  for (const { column, order } of columns) {
    const value = valueAfter(change, column)
    if (value === undefined || (value !== null && keyOf(order, value) === undefined)) continue
    parts.set(column, { column, order, value })
  }
  return rowsWith(change.table, [...parts.values()])
}

interface Part extends Pick<Partner, 'column' | 'order'> {
  readonly value: string | null
}

function rowsWith(table: string, parts: readonly Part[]): RowsDependency {
  const sorted = [...parts].sort((left, right) => (left.column < right.column ? -1 : 1))
  const orders = sorted.every(({ order }) => order === 'text') ? {} : { orders: sorted.map(({ order }) => order) }
  return {
    ...{ kind: 'rows', table, columns: sorted.map(({ column }) => column), values: sorted.map(({ value }) => value) },
    ...orders,
    old: 'passed',
  }
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
  /** So does the next change of the row itself. */
  followsItself(): boolean {
    return true
  },
  /** So does what rows that are there already would need to become its partner. */
  awaitsBeyond(): boolean {
    return true
  },
  /** The columns of a partner that is waited for whose changes touch the entry. */
  follows({ reads }: Partner): readonly string[] | undefined {
    return reads
  },
  /** A row that is like another. */
  isTwin: hasTwin,
  /** What a fill may not have seen may be a partner. */
  countsMissed(): boolean {
    return true
  },
}
