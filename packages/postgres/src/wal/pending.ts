import { type Change, LimitError } from 'tidemark'
import { addRows, type Counted, noRows, type RowCounts, type TableCounts } from './row-counts.js'

/** A transaction of more rows, or more bytes, than this is kept as its tables. */
export interface PendingLimits {
  readonly rowsMax: number
  readonly bytesMax: number
}

/** Keys and tags that the messages of one transaction may name. */
const REQUESTS_MAX = 500_000
/** Stands for a table whose names are not known (yet): no name is empty. */
const UNKNOWN = ''

/** What one subtransaction changed. Its changes have places in the transaction, as others' lie between them. */
interface Part {
  changes: Change[]
  places: number[]
  rows: number
  bytes: number
  requests: number
}

/** A table that a large transaction changed. */
interface Marked {
  /** Rows of the transaction itself; of subtransactions too, once these are not told apart any more. */
  readonly own: RowCounts
  /** It counts as changed, whatever is rolled back. */
  isCertain: boolean
  /** Rows of subtransactions, each of which may yet be rolled back. */
  subs: Map<number, RowCounts> | undefined
  isExact: boolean
}

/**
 * What a transaction that is not yet committed has changed, by subtransaction, so that a savepoint that is rolled back leaves nothing.
 *
 * Bounded: above the limits it keeps no rows, only how many of a table each subtransaction changed; and of too many of those, only how
 * many at most.
 */
export class Pending {
  readonly xid: number
  readonly #limits: PendingLimits
  readonly #parts = new Map<number, Part>()
  #last: Part | undefined
  #lastSub = 0
  #place = 0
  #rows = 0
  #bytes = 0
  #requests = 0
  /** Once it is large. */
  #tables: Map<string, Marked> | undefined
  /** What the last row is counted in. */
  #counted: readonly RowCounts[] = []
  #marks = 0

  constructor(xid: number, limits: PendingLimits) {
    this.xid = xid
    this.#limits = limits
  }

  /** Bytes of rows that are kept. */
  get bytes(): number {
    return this.isLarge ? 0 : this.#bytes
  }

  get rows(): number {
    return this.isLarge ? 0 : this.#rows
  }

  /** How many pairs of a table and a subtransaction are kept. */
  get marks(): number {
    return this.#marks
  }

  /** No rows are kept any more. */
  get isLarge(): boolean {
    return this.#tables !== undefined
  }

  /** Counts a row, or what is like one. Returns whether it may be kept; else only its table counts. */
  count(sub: number, bytes: number): boolean {
    if (this.#tables) return false
    const part = this.#part(sub)
    part.rows++
    part.bytes += bytes
    this.#rows++
    this.#bytes += bytes
    if (this.#rows <= this.#limits.rowsMax && this.#bytes <= this.#limits.bytesMax) return true
    this.keepTables()
    return false
  }

  add(sub: number, change: Change): void {
    const part = this.#part(sub)
    part.changes.push(change)
    part.places.push(this.#place++)
  }

  /** What a message asks for: it can't be put together to less, and must not be lost. */
  addRequest(sub: number, change: Change): void {
    const requests = change.kind === 'target' ? change.targets.length + 1 : 1
    this.#part(sub).requests += requests
    this.#requests += requests
    // The log is taken up anew, from empty.
    if (this.#requests > REQUESTS_MAX)
      throw new LimitError(
        `One transaction invalidates more than ${REQUESTS_MAX} keys and tags. Split it, or name a tag that they share; the log is taken up ` +
          'anew, from empty.',
      )
    this.add(sub, change)
  }

  /** A table was changed, by its names; undefined where they are not known. Returns whether that is new. */
  mark(sub: number, names: readonly string[] | undefined): boolean {
    this.#tables ??= new Map()
    let isNew = false
    const counted: RowCounts[] = []
    for (const name of names ?? [UNKNOWN]) {
      let marked = this.#tables.get(name)
      if (!marked) {
        isNew = true
        marked = { own: noRows(), isCertain: false, subs: undefined, isExact: true }
        this.#tables.set(name, marked)
      }
      counted.push(this.#countsOf(marked, sub))
    }
    this.#counted = counted
    return isNew
  }

  /** Of the tables that were marked last one more row was changed. */
  tally(what: Counted): void {
    for (const counts of this.#counted) counts[what]++
  }

  #countsOf(marked: Marked, sub: number): RowCounts {
    if (sub === this.xid) marked.isCertain = true
    // Which part it was of is not told apart any more.
    if (sub === this.xid || !marked.isExact) return marked.own
    marked.subs ??= new Map()
    let counts = marked.subs.get(sub)
    if (!counts) {
      counts = noRows()
      marked.subs.set(sub, counts)
      this.#marks++
    }
    return counts
  }

  /** From here on only the tables count. */
  keepTables(): void {
    if (this.#tables) return
    this.#tables = new Map()
    for (const [sub, part] of this.#parts) {
      const { changes, places } = part
      part.changes = []
      part.places = []
      for (const [i, change] of changes.entries()) {
        if (change.kind === 'row' || change.kind === 'table') {
          this.mark(sub, [change.table])
          if (change.kind === 'row') this.tally(change.op)
          else if (change.reason === 'truncate') this.tally('truncate')
          continue
        }
        part.changes.push(change)
        part.places.push(places[i]!)
      }
      if (part.changes.length === 0) this.#parts.delete(sub)
    }
    this.#last = undefined
  }

  /** Which subtransactions changed a table is forgotten: it counts as changed, whatever is rolled back. */
  forgetSubtransactions(): void {
    for (const marked of this.#tables?.values() ?? []) {
      for (const counts of marked.subs?.values() ?? []) addRows(marked.own, counts)
      marked.isCertain = true
      marked.isExact &&= marked.subs === undefined
      marked.subs = undefined
    }
    this.#marks = 0
  }

  /** A part was rolled back. */
  abort(sub: number): void {
    const part = this.#parts.get(sub)
    if (part) {
      this.#rows -= part.rows
      this.#bytes -= part.bytes
      this.#requests -= part.requests
      this.#parts.delete(sub)
      this.#last = undefined
    }
    if (this.#marks === 0) return
    for (const [name, marked] of this.#tables ?? []) {
      if (!marked.subs?.delete(sub)) continue
      this.#marks--
      if (!marked.isCertain && marked.subs.size === 0) this.#tables!.delete(name)
    }
  }

  /** Of a large one, how many rows of which tables; undefined where the changes say so themselves. */
  counts(): ReadonlyMap<string, TableCounts> | undefined {
    if (!this.#tables) return undefined
    const counts = new Map<string, TableCounts>()
    for (const [name, { own, subs, isExact }] of this.#tables) {
      if (name === UNKNOWN) continue
      const all = { ...own, isExact }
      for (const each of subs?.values() ?? []) addRows(all, each)
      counts.set(name, all)
    }
    return counts
  }

  /** All that it changed, in order. */
  changes(): Change[] {
    const changes = inOrder([...this.#parts.values()])
    for (const table of this.#tables?.keys() ?? []) {
      if (table !== UNKNOWN) changes.push({ kind: 'table', table, reason: 'large' })
      else changes.push(UNKNOWN_TABLE)
    }
    return changes
  }

  #part(sub: number): Part {
    if (this.#last && this.#lastSub === sub) return this.#last
    let part = this.#parts.get(sub)
    if (!part) {
      part = { changes: [], places: [], rows: 0, bytes: 0, requests: 0 }
      this.#parts.set(sub, part)
    }
    this.#last = part
    this.#lastSub = sub
    return part
  }
}

/** A table changed whose names are not known yet: a new partition, or a table renamed since the catalogue was read. */
const UNKNOWN_TABLE: Change = {
  kind: 'everything',
  reason: 'a change of a table that was created or renamed a moment ago',
}

function inOrder(parts: readonly Part[]): Change[] {
  if (parts.length <= 1) return parts[0]?.changes ?? []
  const placed = parts.flatMap(({ changes, places }) => changes.map((change, i) => ({ change, place: places[i]! })))
  return placed.sort((a, b) => a.place - b.place).map(({ change }) => change)
}
