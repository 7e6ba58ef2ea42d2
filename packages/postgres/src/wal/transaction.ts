import type { Change, Image, TableChange } from 'tidemark'
import { ProtocolError } from './errors.js'
import { type PgoutputMessage, parsePgoutput, type Relation, rowRelation, type TupleValue } from './protocol.js'

/** What one transaction changed, as it was committed. `xid` has 32 bits. */
export interface Transaction {
  readonly endLsn: number
  readonly xid: number
  readonly committedAt: number
  readonly changes: readonly Change[]
}

export interface TransactionOptions {
  /** A transaction of more rows, or more bytes, than this is kept as its tables. */
  readonly rowsMax: number
  readonly bytesMax: number
  /** The names under which a relation's rows are read: its own and its ancestors'; undefined if it is not known (yet). */
  namesOf(relation: Relation): readonly string[] | undefined
  /** What a message of the log says, or undefined if it is none of ours. */
  readMessage(prefix: string, content: Buffer): Change | undefined
  /** A relation was described again: its definition, or that of something near it, was changed. */
  redescribed(): void
}

/** Keys and tags that the messages of one transaction may name. */
const REQUESTS_MAX = 500_000

interface Open {
  readonly xid: number
  readonly committedAt: number
  changes: Change[]
  rows: number
  bytes: number
  requests: number
  /** Set once the transaction is too large to be kept by rows: the names of the tables that it changed. */
  large: Set<string> | undefined
  isUnbounded: boolean
}

/** Puts the messages of pgoutput together to whole transactions. Holds one transaction at most, and that bounded. */
export class TransactionReader {
  readonly #options: TransactionOptions
  readonly #relations = new Map<number, { readonly relation: Relation; names: readonly string[] | undefined }>()
  #open: Open | undefined

  constructor(options: TransactionOptions) {
    this.#options = options
  }

  /** Whether a transaction has begun and not yet ended. */
  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** The catalogue was read anew: names may differ. */
  forgetNames(): void {
    for (const known of this.#relations.values()) known.names = this.#options.namesOf(known.relation)
  }

  /**
   * Reads the next pgoutput message. Returns the transaction that it completes, if it does.
   *
   * @throws ProtocolError if the message can't be understood, or comes where it can't
   */
  read(data: Buffer): Transaction | undefined {
    const open = this.#open
    const oid = rowRelation(data)
    if (open && oid !== undefined) {
      open.rows++
      open.bytes += data.length
      if (open.rows > this.#options.rowsMax || open.bytes > this.#options.bytesMax) {
        this.#keepTables(open)
        this.#tableChanged(open, oid)
        return undefined
      }
    }
    return this.#message(parsePgoutput(data))
  }

  #message(message: PgoutputMessage): Transaction | undefined {
    switch (message.kind) {
      case 'begin':
        if (this.#open) throw outOfOrder('begin')
        this.#open = { ...message, changes: [], rows: 0, bytes: 0, requests: 0, large: undefined, isUnbounded: false }
        return undefined
      case 'commit':
        return this.#commit(message.endLsn)
      case 'relation':
        this.#described(message)
        return undefined
      case 'insert':
      case 'update':
      case 'delete':
        this.#row(message)
        return undefined
      case 'truncate':
        for (const oid of message.oids) this.#table(oid, 'truncate')
        return undefined
      case 'message': {
        // A non-transactional one is sent though its transaction may roll back: never a change.
        if (!message.isTransactional) return undefined
        const change = this.#options.readMessage(message.prefix, message.content)
        if (change) this.#request(this.#opened('message'), change)
        return undefined
      }
      case 'type':
      case 'origin':
        return undefined
    }
    message satisfies never
  }

  #request(open: Open, change: Change): void {
    open.requests += change.kind === 'target' ? change.targets.length + 1 : 1
    // They can't be put together to fewer, and must not be lost: the log is taken up anew, from empty.
    if (open.requests > REQUESTS_MAX)
      throw new ProtocolError('One transaction has more requests to invalidate than can be kept.')
    open.changes.push(change)
  }

  #commit(endLsn: number): Transaction {
    const { xid, committedAt, changes, large } = this.#opened('commit')
    this.#open = undefined
    for (const table of large ?? []) changes.push({ kind: 'table', table, reason: 'large' })
    return { endLsn, xid, committedAt, changes }
  }

  #described(relation: Relation): void {
    const before = this.#relations.get(relation.oid)
    const names = this.#options.namesOf(relation)
    this.#relations.set(relation.oid, { relation, names })
    if (!before) return
    this.#options.redescribed()
    if (this.#open && !isSame(before.relation, relation)) {
      for (const table of new Set([...(before.names ?? []), ...(names ?? [])])) {
        this.#open.changes.push({ kind: 'table', table, reason: 'ddl' })
      }
    }
  }

  #row(message: PgoutputMessage & { readonly kind: 'insert' | 'update' | 'delete' }): void {
    const open = this.#opened(message.kind)
    const { relation, names } = this.#known(message.oid)
    if (!names) return this.#unbounded(open)
    const images = rowImages(relation, message)
    for (const table of names) open.changes.push({ kind: 'row', op: message.kind, table, ...images })
  }

  #table(oid: number, reason: TableChange['reason']): void {
    const open = this.#opened(reason)
    const { names } = this.#known(oid)
    if (!names) return this.#unbounded(open)
    for (const table of names) open.changes.push({ kind: 'table', table, reason })
  }

  /** From here on the transaction is kept as the tables that it changed. */
  #keepTables(open: Open): void {
    if (open.large) return
    open.large = new Set()
    const others: Change[] = []
    for (const change of open.changes) {
      if (change.kind === 'row') open.large.add(change.table)
      else others.push(change)
    }
    open.changes = others
  }

  #tableChanged(open: Open, oid: number): void {
    const { names } = this.#known(oid)
    if (!names) return this.#unbounded(open)
    for (const name of names) open.large?.add(name)
  }

  /** A table changed whose names are not known yet: a new partition, or a table renamed since the catalogue was read. */
  #unbounded(open: Open): void {
    if (open.isUnbounded) return
    open.isUnbounded = true
    open.changes.push({ kind: 'everything', reason: 'a change of a table that was created or renamed a moment ago' })
    this.#options.redescribed()
  }

  #opened(part: string): Open {
    if (!this.#open) throw outOfOrder(part)
    return this.#open
  }

  #known(oid: number): { readonly relation: Relation; readonly names: readonly string[] | undefined } {
    const known = this.#relations.get(oid)
    if (!known) throw new ProtocolError('The server sent a row of a table that it did not describe before.')
    return known
  }
}

/**
 * The row before and after, as far as the log has it.
 *
 * The old values that were not sent are those of the identity columns, unchanged (else they would have been sent). A value of
 * the new row that was not sent is an unchanged TOAST value: it is filled from the old row where that has it, else unknown.
 */
function rowImages(
  relation: Relation,
  message: PgoutputMessage & { readonly kind: 'insert' | 'update' | 'delete' },
): { readonly old: Image | null; readonly new: Image | null } {
  if (message.kind === 'insert') return { old: null, new: image(relation, message.new, false) }
  if (message.kind === 'delete') return { old: image(relation, message.old, message.sent === 'key'), new: null }
  if (message.sent === 'none') {
    if (relation.identity === 'full')
      throw new ProtocolError('An update under REPLICA IDENTITY FULL came without its old row.')
    return { old: image(relation, message.new, true), new: image(relation, message.new, false) }
  }
  const old = image(relation, message.old, message.sent === 'key')
  return { old, new: image(relation, message.new, false, old) }
}

/**
 * The prototype of rows: a column named "__proto__" is a column like any other. An object without any prototype would do too, but
 * V8 keeps those as dictionaries, which takes twice as long.
 */
const NOTHING: object = Object.freeze(Object.create(null))

function image(relation: Relation, tuple: readonly TupleValue[], isIdentityOnly: boolean, unchanged?: Image): Image {
  const { columns } = relation
  if (tuple.length !== columns.length) throw new ProtocolError('A row has another number of columns than its table.')
  const result: Record<string, string | null> = Object.create(NOTHING)
  for (let i = 0; i < columns.length; i++) {
    const { name, isIdentity } = columns[i]!
    // In a key tuple the other columns are null placeholders, not values.
    if (isIdentityOnly && !isIdentity) continue
    const value = tuple[i] === undefined ? unchanged?.[name] : tuple[i]
    if (value !== undefined) result[name] = value
  }
  return result
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
