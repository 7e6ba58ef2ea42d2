import { crc32 } from 'node:zlib'
import type { Dependency, L2Entry } from 'tidemark'
import { type Packed, pack, unpack } from './values.js'

/** When an entry was stored, by both clocks of the machine: one stops while it sleeps, the other may be set. */
export interface Moment {
  /** Since the machine started, in whole µs: the same for all processes of one machine. */
  readonly upMicros: number
  /** In ms. */
  readonly wallMs: number
}

/** An entry without its value: what it takes to judge it. */
export interface EntryHead {
  readonly generation: string
  readonly lsn: number
  readonly storedAt: Moment
  readonly ageMs: number
  readonly remainingMs: number
  /** Keys of its stamps. */
  readonly stamps: readonly Buffer[]
  readonly packed: Packed
}

const FORMATS = { msgpack: 1, v8: 2 } as const
const CHECKED_AT = 5
const STAMPS_AT = 57

/** The value and the dependencies of an entry in bytes; undefined if the value would not come back as what it is. */
export function packEntry({ value, dependencies }: L2Entry): Packed | undefined {
  return pack([value, dependencies])
}

/** Bytes with format, checksum and all that an entry holds. The checksum is of the key too, so that no entry is taken for another's. */
export function encodeEntry(key: Buffer, head: EntryHead): Buffer {
  const { packed, stamps } = head
  const stampsBytes = stamps.reduce((bytes, stamp) => bytes + 2 + stamp.length, 0)
  const record = Buffer.allocUnsafe(STAMPS_AT + stampsBytes + packed.bytes.length)
  record[0] = FORMATS[packed.packing]
  record.write(head.generation, 5, 'latin1')
  record.writeDoubleBE(head.lsn, 13)
  record.writeDoubleBE(head.storedAt.upMicros, 21)
  record.writeDoubleBE(head.storedAt.wallMs, 29)
  record.writeDoubleBE(head.ageMs, 37)
  record.writeDoubleBE(head.remainingMs, 45)
  record.writeUInt32BE(stampsBytes, 53)
  let at = STAMPS_AT
  for (const stamp of stamps) {
    record.writeUInt16BE(stamp.length, at)
    stamp.copy(record, at + 2)
    at += 2 + stamp.length
  }
  record.set(packed.bytes, at)
  record.writeUInt32BE(checksum(key, record), 1)
  return record
}

/** undefined if the bytes are not what `encodeEntry` made for this key, or of a format that is not known here. */
export function decodeEntry(key: Buffer, record: Buffer): EntryHead | undefined {
  const packing = record[0] === FORMATS.msgpack ? 'msgpack' : record[0] === FORMATS.v8 ? 'v8' : undefined
  if (packing === undefined || record.length < STAMPS_AT) return undefined
  if (record.readUInt32BE(1) !== checksum(key, record)) return undefined
  const payloadAt = STAMPS_AT + record.readUInt32BE(53)
  const stamps: Buffer[] = []
  for (let at = STAMPS_AT; at < payloadAt; ) {
    const end = at + 2 + record.readUInt16BE(at)
    stamps.push(record.subarray(at + 2, end))
    at = end
  }
  return {
    generation: record.toString('latin1', 5, 13),
    lsn: record.readDoubleBE(13),
    storedAt: { upMicros: record.readDoubleBE(21), wallMs: record.readDoubleBE(29) },
    ageMs: record.readDoubleBE(37),
    remainingMs: record.readDoubleBE(45),
    stamps,
    packed: { packing, bytes: record.subarray(payloadAt) },
  }
}

/**
 * The entry as its readers get it; undefined if its time is over.
 *
 * @throws whatever the decoder throws, if the value can't be read
 */
export function entryAt({ lsn, ageMs, remainingMs, storedAt, packed }: EntryHead, now: Moment): L2Entry | undefined {
  const passedMs = Math.max((now.upMicros - storedAt.upMicros) / 1_000, now.wallMs - storedAt.wallMs, 0)
  if (remainingMs <= passedMs) return undefined
  const [value, dependencies] = unpack(packed) as [unknown, Dependency[]]
  return { value, lsn, dependencies, ageMs: ageMs + passedMs, remainingMs: remainingMs - passedMs }
}

function checksum(key: Buffer, record: Buffer): number {
  return crc32(record.subarray(CHECKED_AT), crc32(record.subarray(0, 1), crc32(key)))
}
