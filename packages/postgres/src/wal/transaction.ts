import type { Change, TableChange } from 'tidemark'
import { ProtocolError } from './errors.js'
import { isMessageTable, messageOf } from './message-table.js'
import { Pending } from './pending.js'
import { type PgoutputMessage, parsePgoutput, type Relation, rowOp, rowRelation, rowXid } from './protocol.js'
import type { TableCounts } from './row-counts.js'
import { rowImages } from './row-images.js'

/** What one transaction changed, as it was committed. `xid` has 32 bits. */
export interface Transaction {
  readonly endLsn: number
  readonly xid: number
  readonly committedAt: number
  readonly changes: readonly Change[]
  /** Of a transaction that is kept as its tables only: how many rows of each were changed. */
  readonly counts?: ReadonlyMap<string, TableCounts> | undefined
}

export interface TransactionOptions {
  /** A transaction of more rows, or more bytes, than this is kept as its tables. */
  readonly rowsMax: number
  readonly bytesMax: number
  /** The names under which a relation's rows are read: its own and its ancestors'; undefined if it is not known (yet). */
  namesOf(relation: Relation): readonly string[] | undefined
  /** The server sends messages as rows of a table of ours. */
  readonly hasMessageTable: boolean
  /** What a message of the log says; nothing if it is none of ours. */
  readMessage(prefix: string, content: Buffer): readonly Change[]
  /** A relation was described again: its definition, or that of something near it, was changed. */
  redescribed(): void
}

/** All streamed transactions that are open may hold so many times what one may. */
const STREAMS_SHARE = 4
/** So many pairs of a table and a subtransaction are kept for transactions that are open and large. */
const MARKS_MAX = 500_000

interface Known {
  readonly relation: Relation
  names: readonly string[] | undefined
}

/** A transaction that the server streams before it is committed; what it described holds for others only once it is. */
interface Streamed {
  readonly pending: Pending
  readonly relations: Map<number, Known>
}

/**
 * Puts the messages of pgoutput together to whole transactions: one that comes as a whole, and any number that are streamed in segments
 * between others. Holds them in bounded memory.
 */
export class TransactionReader {
  readonly #options: TransactionOptions
  readonly #relations = new Map<number, Known>()
  readonly #streams = new Map<number, Streamed>()
  #open: { readonly pending: Pending; readonly committedAt: number } | undefined
  /** The streamed transaction whose segment is read now. */
  #segment: Streamed | undefined
  /** The last row of a large transaction: most are of the same table as the one before. */
  #lastOid = 0
  #lastSub = 0

  constructor(options: TransactionOptions) {
    this.#options = options
  }

  /** Whether a transaction, or a segment of one, has begun and not yet ended. */
  get isOpen(): boolean {
    return this.#open !== undefined || this.#segment !== undefined
  }

  /** How many transactions are streamed that are not yet committed. */
  get streamed(): number {
    return this.#streams.size
  }

  /** The catalogue was read anew: names may differ. */
  forgetNames(): void {
    this.#lastOid = 0
    for (const relations of [this.#relations, ...[...this.#streams.values()].map((stream) => stream.relations)])
      for (const known of relations.values()) known.names = this.#options.namesOf(known.relation)
  }

  /**
   * Reads the next pgoutput message. Returns the transaction that it completes, if it does.
   *
   * @throws ProtocolError if the message can't be understood, or comes where it can't
   */
  read(data: Buffer): Transaction | undefined {
    const isStreamed = this.#segment !== undefined
    const pending = this.#segment?.pending ?? this.#open?.pending
    const oid = rowRelation(data, isStreamed)
    if (pending && oid !== undefined) {
      const sub = isStreamed ? rowXid(data) : pending.xid
      if (!pending.count(sub, data.length) && this.#isRowOfLarge(pending, sub, oid)) {
        pending.tally(rowOp(data))
        return undefined
      }
    }
    return this.#message(parsePgoutput(data, isStreamed))
  }

  #message(message: PgoutputMessage): Transaction | undefined {
    switch (message.kind) {
      case 'begin':
        if (this.isOpen) throw outOfOrder('begin')
        this.#open = { pending: new Pending(message.xid, this.#options), committedAt: message.committedAt }
        this.#lastOid = 0
        return undefined
      case 'commit': {
        const { pending, committedAt } = this.#open ?? outOfOrderNow('commit')
        this.#open = undefined
        return completed(pending, pending.xid, message.endLsn, committedAt)
      }
      case 'relation':
        this.#described(message, message.xid)
        return undefined
      case 'insert':
      case 'update':
      case 'delete':
        this.#row(message)
        return undefined
      case 'truncate':
        for (const oid of message.oids) this.#truncated(oid, message.xid)
        return undefined
      case 'message': {
        // A non-transactional one is sent though its transaction may roll back: never a change.
        if (!message.isTransactional) return undefined
        const pending = this.#opened('message')
        this.#read(pending, message.xid ?? pending.xid, message)
        return undefined
      }
      case 'type':
      case 'origin':
        return undefined
      case 'stream-start':
        this.#startSegment(message.xid, message.isFirst)
        return undefined
      case 'stream-stop':
        if (!this.#segment) throw outOfOrder('end of a segment')
        this.#segment = undefined
        this.#bound()
        return undefined
      case 'stream-abort':
        // What has another id is a savepoint of it.
        if (message.sub === message.xid) this.#streams.delete(message.xid)
        else this.#streams.get(message.xid)?.pending.abort(message.sub)
        return undefined
      case 'stream-commit':
        return this.#commitStream(message)
    }
    message satisfies never
  }

  #startSegment(xid: number, isFirst: boolean): void {
    if (this.isOpen) throw outOfOrder('segment')
    if (isFirst) this.#streams.set(xid, { pending: new Pending(xid, this.#options), relations: new Map() })
    this.#segment = this.#streams.get(xid)
    if (!this.#segment) throw outOfOrder('later segment')
    this.#lastOid = 0
  }

  #commitStream({ xid, endLsn, committedAt }: PgoutputMessage & { readonly kind: 'stream-commit' }): Transaction {
    const stream = this.#streams.get(xid)
    if (!stream || this.isOpen) throw outOfOrder('commit of a streamed transaction')
    this.#streams.delete(xid)
    for (const [oid, known] of stream.relations) this.#relations.set(oid, known)
    return completed(stream.pending, xid, endLsn, committedAt)
  }

  /** The largest of the open transactions are kept as their tables, until all together are small enough. */
  #bound(): void {
    const { rowsMax, bytesMax } = this.#options
    const streams = [...this.#streams.values()].map(({ pending }) => pending)
    const sum = (of: (pending: Pending) => number): number => streams.reduce((total, each) => total + of(each), 0)
    const largest = (of: (pending: Pending) => number): Pending => streams.reduce((a, b) => (of(b) > of(a) ? b : a))
    while (sum((each) => each.rows) > rowsMax * STREAMS_SHARE) largest((each) => each.rows).keepTables()
    while (sum((each) => each.bytes) > bytesMax * STREAMS_SHARE) largest((each) => each.bytes).keepTables()
    while (sum((each) => each.marks) > MARKS_MAX) largest((each) => each.marks).forgetSubtransactions()
  }

  #described(relation: Relation, xid: number | undefined): void {
    const before = this.#find(relation.oid)
    const names = this.#options.namesOf(relation)
    const relations = this.#segment?.relations ?? this.#relations
    relations.set(relation.oid, { relation, names })
    this.#lastOid = 0
    if (!before) return
    this.#options.redescribed()
    const pending = this.#segment?.pending ?? this.#open?.pending
    if (!pending || isSame(before.relation, relation)) return
    const sub = xid ?? pending.xid
    for (const table of new Set([...(before.names ?? []), ...(names ?? [])])) {
      this.#keep(pending, sub, { kind: 'table', table, reason: 'ddl' })
    }
  }

  #row(message: PgoutputMessage & { readonly kind: 'insert' | 'update' | 'delete' }): void {
    const pending = this.#opened(message.kind)
    const sub = message.xid ?? pending.xid
    const { relation, names } = this.#known(message.oid)
    if (!names) return this.#unbounded(pending, sub)
    const { old, new: current } = rowImages(relation, message)
    if (this.#isMessages(relation)) return this.#read(pending, sub, messageOf(current))
    for (const table of names) pending.add(sub, { kind: 'row', op: message.kind, table, old, new: current })
  }

  #read(
    pending: Pending,
    sub: number,
    message: { readonly prefix: string; readonly content: Buffer } | undefined,
  ): void {
    if (!message) return
    for (const change of this.#options.readMessage(message.prefix, message.content)) pending.addRequest(sub, change)
  }

  #truncated(oid: number, xid: number | undefined): void {
    const pending = this.#opened('truncate')
    const sub = xid ?? pending.xid
    const { names } = this.#known(oid)
    if (!names) return this.#unbounded(pending, sub)
    for (const table of names) this.#keep(pending, sub, { kind: 'table', table, reason: 'truncate' })
  }

  /** Keeps a change of a table; of a large transaction only that the table was changed. */
  #keep(pending: Pending, sub: number, change: TableChange): void {
    if (pending.count(sub, 0)) pending.add(sub, change)
    else {
      pending.mark(sub, [change.table])
      if (change.reason === 'truncate') pending.tally('truncate')
      this.#lastOid = 0
    }
  }

  /** Of a large transaction only a row's table counts; false if it is a message, which counts for what it says. */
  #isRowOfLarge(pending: Pending, sub: number, oid: number): boolean {
    if (oid === this.#lastOid && sub === this.#lastSub) return true
    const { names, relation } = this.#known(oid)
    if (names && this.#isMessages(relation)) return false
    this.#mark(pending, sub, names)
    this.#lastOid = oid
    this.#lastSub = sub
    return true
  }

  #isMessages(relation: Relation): boolean {
    return this.#options.hasMessageTable && isMessageTable(relation)
  }

  /** Its names are not known: the whole transaction counts for everything, and the catalogue is looked at. */
  #unbounded(pending: Pending, sub: number): void {
    pending.keepTables()
    this.#mark(pending, sub, undefined)
  }

  #mark(pending: Pending, sub: number, names: readonly string[] | undefined): void {
    // The next row is counted where it belongs.
    this.#lastOid = 0
    if (pending.mark(sub, names) && !names) this.#options.redescribed()
  }

  #opened(part: string): Pending {
    return this.#segment?.pending ?? this.#open?.pending ?? outOfOrderNow(part)
  }

  #find(oid: number): Known | undefined {
    return this.#segment?.relations.get(oid) ?? this.#relations.get(oid)
  }

  #known(oid: number): Known {
    const known = this.#find(oid)
    if (!known) throw new ProtocolError('The server sent a row of a table that it did not describe before.')
    return known
  }
}

function completed(pending: Pending, xid: number, endLsn: number, committedAt: number): Transaction {
  return { endLsn, xid, committedAt, changes: pending.changes(), counts: pending.counts() }
}

function isSame(a: Relation, b: Relation): boolean {
  return (
    a.schema === b.schema &&
    a.name === b.name &&
    a.identity === b.identity &&
    a.columns.length === b.columns.length &&
    a.columns.every((column, i) => {
      const other = b.columns[i]!
      return column.name === other.name && column.isIdentity === other.isIdentity && column.type === other.type
    })
  )
}

function outOfOrder(part: string): ProtocolError {
  return new ProtocolError(`The replication stream has a ${part} where it can't be.`)
}

function outOfOrderNow(part: string): never {
  throw outOfOrder(part)
}
