import { ProtocolError } from './errors.js'

/**
 * pgoutput, protocol version 1, and the messages that carry it. Pure: a buffer in, plain data out.
 * Reads no byte past the buffer: what is short, of an unknown kind, or holds more than it should is a ProtocolError.
 */

/** A column's value: text, null, or undefined for "not sent" (an unchanged TOAST value). */
export type TupleValue = string | null | undefined

export interface Relation {
  readonly kind: 'relation'
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly identity: 'default' | 'nothing' | 'full' | 'index'
  readonly columns: readonly { readonly name: string; readonly isIdentity: boolean; readonly type: number }[]
}

export type PgoutputMessage =
  | Relation
  | { readonly kind: 'begin'; readonly finalLsn: number; readonly committedAt: number; readonly xid: number }
  | { readonly kind: 'commit'; readonly lsn: number; readonly endLsn: number; readonly committedAt: number }
  | { readonly kind: 'insert'; readonly oid: number; readonly new: readonly TupleValue[] }
  | {
      readonly kind: 'update'
      readonly oid: number
      /** Which part of the old row was sent: its identity columns (`key`), all of it (`full`), or none. */
      readonly sent: 'key' | 'full' | 'none'
      readonly old: readonly TupleValue[]
      readonly new: readonly TupleValue[]
    }
  | {
      readonly kind: 'delete'
      readonly oid: number
      readonly sent: 'key' | 'full'
      readonly old: readonly TupleValue[]
    }
  | { readonly kind: 'truncate'; readonly oids: readonly number[] }
  | {
      readonly kind: 'message'
      readonly isTransactional: boolean
      readonly lsn: number
      readonly prefix: string
      readonly content: Buffer
    }
  | { readonly kind: 'type' | 'origin' }

export type WalMessage =
  | { readonly kind: 'data'; readonly data: Buffer }
  | { readonly kind: 'keepalive'; readonly walEnd: number; readonly wantsReply: boolean }

/** Microseconds between 1970 and 2000, where PostgreSQL's clock begins. */
const POSTGRES_EPOCH_MS = 946_684_800_000
const IDENTITIES: Record<string, Relation['identity']> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }

/** Reads one CopyData payload of the replication stream. */
export function parseWal(buffer: Buffer): WalMessage {
  const reader = new Reader(buffer)
  const tag = reader.char()
  switch (tag) {
    case 'w':
      reader.skip(24) // Where this message lies and when it was sent: the commit says what counts.
      return { kind: 'data', data: reader.rest() }
    case 'k': {
      const walEnd = reader.int64()
      reader.skip(8)
      const wantsReply = reader.int8() === 1
      reader.end()
      return { kind: 'keepalive', walEnd, wantsReply }
    }
    default:
      throw new ProtocolError(`The server sent a replication message of unknown kind ${code(tag)}. ${NEWER}`)
  }
}

/** Reads one pgoutput message. */
export function parsePgoutput(buffer: Buffer): PgoutputMessage {
  const reader = new Reader(buffer)
  const message = parse(reader, reader.char())
  reader.end()
  return message
}

/** The relation of a row message (insert, update, delete) without reading the row, or undefined for any other message. */
export function rowRelation(buffer: Buffer): number | undefined {
  const tag = buffer[0]
  return buffer.length >= 5 && (tag === 0x49 || tag === 0x55 || tag === 0x44) ? buffer.readUInt32BE(1) : undefined
}

/** A standby status update: everything up to `lsn` was applied. `wantsReply` asks for a keepalive at once. */
export function statusUpdate(lsn: number, wallMs: number, wantsReply: boolean): Buffer {
  const buffer = Buffer.allocUnsafe(34)
  buffer.write('r', 0, 'latin1')
  for (const at of [1, 9, 17]) buffer.writeBigUInt64BE(BigInt(lsn), at)
  buffer.writeBigInt64BE(BigInt(Math.round(wallMs) - POSTGRES_EPOCH_MS) * 1000n, 25)
  buffer.writeUInt8(wantsReply ? 1 : 0, 33)
  return buffer
}

const NEWER = 'This version of Tidemark does not know it: is there a newer one?'

function code(tag: string): string {
  return `0x${tag.charCodeAt(0).toString(16).padStart(2, '0')}`
}

function parse(reader: Reader, tag: string): PgoutputMessage {
  switch (tag) {
    case 'B':
      return { kind: 'begin', finalLsn: reader.int64(), committedAt: reader.timestamp(), xid: reader.uint32() }
    case 'C':
      reader.skip(1)
      return { kind: 'commit', lsn: reader.int64(), endLsn: reader.int64(), committedAt: reader.timestamp() }
    case 'R':
      return relation(reader)
    case 'I': {
      const oid = reader.uint32()
      reader.expect('N')
      return { kind: 'insert', oid, new: reader.tuple() }
    }
    case 'U':
      return update(reader)
    case 'D': {
      const oid = reader.uint32()
      const part = reader.char()
      if (part !== 'K' && part !== 'O') throw misplaced(part)
      return { kind: 'delete', oid, sent: part === 'K' ? 'key' : 'full', old: reader.tuple() }
    }
    case 'T': {
      const count = reader.uint32()
      reader.skip(1)
      return { kind: 'truncate', oids: reader.list(count, 4, () => reader.uint32()) }
    }
    case 'M': {
      const isTransactional = (reader.int8() & 1) === 1
      const lsn = reader.int64()
      const prefix = reader.text()
      return { kind: 'message', isTransactional, lsn, prefix, content: reader.bytes(reader.uint32()) }
    }
    case 'Y':
      reader.rest()
      return { kind: 'type' }
    case 'O':
      reader.rest()
      return { kind: 'origin' }
    default:
      throw new ProtocolError(`The server sent a pgoutput message of unknown kind ${code(tag)}. ${NEWER}`)
  }
}

function relation(reader: Reader): Relation {
  const oid = reader.uint32()
  const schema = reader.text() || 'pg_catalog'
  const name = reader.text()
  const letter = reader.char()
  const identity = IDENTITIES[letter]
  if (!identity) throw misplaced(letter)
  const columns = reader.list(reader.int16(), 10, () => {
    const isIdentity = (reader.int8() & 1) === 1
    const column = reader.text()
    const type = reader.uint32()
    reader.skip(4)
    return { name: column, isIdentity, type }
  })
  return { kind: 'relation', oid, schema, name, identity, columns }
}

function update(reader: Reader): PgoutputMessage {
  const oid = reader.uint32()
  const part = reader.char()
  if (part === 'N') return { kind: 'update', oid, sent: 'none', old: [], new: reader.tuple() }
  if (part !== 'K' && part !== 'O') throw misplaced(part)
  const old = reader.tuple()
  reader.expect('N')
  return { kind: 'update', oid, sent: part === 'K' ? 'key' : 'full', old, new: reader.tuple() }
}

function misplaced(tag: string): ProtocolError {
  return new ProtocolError(`A pgoutput message holds ${code(tag)} where another part was due. ${NEWER}`)
}

class Reader {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  #take(count: number): number {
    const from = this.#at
    if (count < 0 || from + count > this.#buffer.length) {
      throw new ProtocolError('A replication message ended before its content did.')
    }
    this.#at = from + count
    return from
  }

  skip(count: number): void {
    this.#take(count)
  }

  char(): string {
    return String.fromCharCode(this.#buffer[this.#take(1)]!)
  }

  expect(tag: string): void {
    const found = this.char()
    if (found !== tag) throw misplaced(found)
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#buffer.readUInt16BE(this.#take(2))
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  /** An LSN: exact up to 2^53 bytes of WAL, which is more than a server can write in its life. */
  int64(): number {
    const value = this.uint32() * 2 ** 32 + this.uint32()
    if (!Number.isSafeInteger(value)) throw new ProtocolError('A replication message holds a position above 2^53.')
    return value
  }

  /** Microseconds since 2000 → milliseconds since 1970. */
  timestamp(): number {
    return Number(this.#buffer.readBigInt64BE(this.#take(8)) / 1000n) + POSTGRES_EPOCH_MS
  }

  text(): string {
    const end = this.#buffer.indexOf(0, this.#at)
    if (end < 0) throw new ProtocolError('A replication message ended before its content did.')
    const from = this.#take(end + 1 - this.#at)
    return this.#buffer.toString('utf8', from, end)
  }

  /** A copy: the buffer under it is the socket's. */
  bytes(count: number): Buffer {
    const from = this.#take(count)
    return Buffer.from(this.#buffer.subarray(from, from + count))
  }

  /** Refuses a count that the buffer can't hold before it makes room for it. */
  list<Item>(count: number, itemBytesMin: number, read: () => Item): Item[] {
    if (count * itemBytesMin > this.#buffer.length - this.#at) {
      throw new ProtocolError('A replication message ended before its content did.')
    }
    const items = new Array<Item>(count)
    for (let i = 0; i < count; i++) items[i] = read()
    return items
  }

  tuple(): TupleValue[] {
    return this.list(this.int16(), 1, () => this.#value())
  }

  #value(): TupleValue {
    const tag = this.char()
    switch (tag) {
      case 'n':
        return null
      case 'u':
        return undefined
      case 't': {
        const count = this.uint32()
        const from = this.#take(count)
        return this.#buffer.toString('utf8', from, from + count)
      }
      default:
        throw misplaced(tag)
    }
  }

  /** What remains, not copied. */
  rest(): Buffer {
    const from = this.#at
    this.#at = this.#buffer.length
    return this.#buffer.subarray(from)
  }

  end(): void {
    if (this.#at !== this.#buffer.length) throw new ProtocolError('A replication message is longer than its content.')
  }
}
