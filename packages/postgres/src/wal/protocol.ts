import { code, misplaced, POSTGRES_EPOCH_MS, Reader } from './bytes.js'
import { ProtocolError } from './errors.js'

/**
 * pgoutput, protocol versions 1 and 2, and the messages that carry it. Pure: a buffer in, plain data out.
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

/** In a streamed segment each row, and what else belongs to one, names the (sub)transaction that wrote it. */
interface Streamed {
  readonly xid?: number
}

export type PgoutputMessage =
  | (Relation & Streamed)
  | { readonly kind: 'begin'; readonly finalLsn: number; readonly committedAt: number; readonly xid: number }
  | { readonly kind: 'commit'; readonly lsn: number; readonly endLsn: number; readonly committedAt: number }
  | ({ readonly kind: 'insert'; readonly oid: number; readonly new: readonly TupleValue[] } & Streamed)
  | ({
      readonly kind: 'update'
      readonly oid: number
      /** Which part of the old row was sent: its identity columns (`key`), all of it (`full`), or none. */
      readonly sent: 'key' | 'full' | 'none'
      readonly old: readonly TupleValue[]
      readonly new: readonly TupleValue[]
    } & Streamed)
  | ({
      readonly kind: 'delete'
      readonly oid: number
      readonly sent: 'key' | 'full'
      readonly old: readonly TupleValue[]
    } & Streamed)
  | ({ readonly kind: 'truncate'; readonly oids: readonly number[] } & Streamed)
  | ({
      readonly kind: 'message'
      readonly isTransactional: boolean
      readonly lsn: number
      readonly prefix: string
      readonly content: Buffer
    } & Streamed)
  | { readonly kind: 'type' | 'origin' }
  /** A segment of a transaction that is not yet committed begins; its first or a later one. Segments don't overlap. */
  | { readonly kind: 'stream-start'; readonly xid: number; readonly isFirst: boolean }
  | { readonly kind: 'stream-stop' }
  | {
      readonly kind: 'stream-commit'
      readonly xid: number
      readonly lsn: number
      readonly endLsn: number
      readonly committedAt: number
    }
  /** The streamed transaction `xid` is rolled back; or, if `sub` is another, only that part of it. */
  | { readonly kind: 'stream-abort'; readonly xid: number; readonly sub: number }

export type WalMessage =
  | { readonly kind: 'data'; readonly data: Buffer }
  | { readonly kind: 'keepalive'; readonly walEnd: number; readonly wantsReply: boolean }

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
      throw new ProtocolError(`The server sent a replication message of unknown kind ${code(tag)}.`)
  }
}

/**
 * Reads one pgoutput message.
 *
 * @param isStreamed whether it lies in a streamed segment, between stream-start and stream-stop
 */
export function parsePgoutput(buffer: Buffer, isStreamed = false): PgoutputMessage {
  const reader = new Reader(buffer)
  const tag = reader.char()
  if (!isStreamed || !OF_TRANSACTIONS.has(tag)) {
    const message = parse(reader, tag)
    reader.end()
    return message
  }
  const xid = reader.uint32()
  const message = { ...parse(reader, tag), xid }
  reader.end()
  return message
}

/** The relation of a row message (insert, update, delete) without reading the row, or undefined for any other message. */
export function rowRelation(buffer: Buffer, isStreamed = false): number | undefined {
  const tag = buffer[0]
  const at = isStreamed ? 5 : 1
  return buffer.length >= at + 4 && (tag === 0x49 || tag === 0x55 || tag === 0x44) ? buffer.readUInt32BE(at) : undefined
}

/** What a row message says was done to its row. */
export function rowOp(buffer: Buffer): 'insert' | 'update' | 'delete' {
  return buffer[0] === 0x49 ? 'insert' : buffer[0] === 0x55 ? 'update' : 'delete'
}

/** The (sub)transaction of a row message in a streamed segment. */
export function rowXid(buffer: Buffer): number {
  return buffer.readUInt32BE(1)
}

/**
 * A standby status update.
 *
 * @param applied  everything up to here was
 * @param acknowledged  up to here nothing needs to be sent ever again; 0 says nothing about that
 * @param wantsReply  asks for a keepalive at once
 */
export function statusUpdate(applied: number, acknowledged: number, wallMs: number, wantsReply: boolean): Buffer {
  const buffer = Buffer.allocUnsafe(34)
  buffer.write('r', 0, 'latin1')
  buffer.writeBigUInt64BE(BigInt(applied), 1)
  buffer.writeBigUInt64BE(BigInt(acknowledged), 9)
  buffer.writeBigUInt64BE(BigInt(applied), 17)
  buffer.writeBigInt64BE(BigInt(Math.round(wallMs) - POSTGRES_EPOCH_MS) * 1000n, 25)
  buffer.writeUInt8(wantsReply ? 1 : 0, 33)
  return buffer
}

/** The messages that name their (sub)transaction in a streamed segment. */
const OF_TRANSACTIONS: ReadonlySet<string> = new Set('RIUDTMY')

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
    case 'S':
      return { kind: 'stream-start', xid: reader.uint32(), isFirst: reader.int8() === 1 }
    case 'E':
      return { kind: 'stream-stop' }
    case 'c': {
      const xid = reader.uint32()
      reader.skip(1)
      const lsn = reader.int64()
      return { kind: 'stream-commit', xid, lsn, endLsn: reader.int64(), committedAt: reader.timestamp() }
    }
    case 'A':
      return { kind: 'stream-abort', xid: reader.uint32(), sub: reader.uint32() }
    case 'Y':
      reader.rest()
      return { kind: 'type' }
    case 'O':
      reader.rest()
      return { kind: 'origin' }
    default:
      throw new ProtocolError(`The server sent a pgoutput message of unknown kind ${code(tag)}.`)
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
