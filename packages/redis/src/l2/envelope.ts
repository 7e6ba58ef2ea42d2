import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { crc32, deflateRaw, inflateRaw } from 'node:zlib'
import type { Dependency, L2Entry, L2Fill } from 'tidemark'
import { shapeId, writeDependencyId } from './ids.js'
import {
  CHECKSUM_AT,
  DEPENDENCY_BYTES,
  FILL_BYTES,
  HEAD_BYTES,
  POSITION_AT,
  SHAPE_BYTES,
  STORED_AT,
} from './scripts/layout.js'
import type { Serializer } from './serializer.js'
import { Packer, UnpackableError } from './values/pack.js'
import { unpack } from './values/unpack.js'

/**
 * What the bytes behind an entry's head are: the shapes, the dependencies; then flags, the serializer, its age and what remained of its time
 * when it was stored (ms), the length of the packed dependencies, they, the value.
 */
const FLAGS_AT = 0
const SERIALIZER_AT = 1
const AGE_AT = 5
const REMAINING_AT = 13
const LENGTH_AT = 21
const BODY_BYTES = 25
/** What a client writes of the head: checksum and counts. Before it stands what `fillScript` is told of the entry. */
const OWN_BYTES = FILL_BYTES + HEAD_BYTES - CHECKSUM_AT

const DEFLATED = 1
/** More shapes or dependencies than a script should look up for one entry. */
const STAMPS_MAX = 4_096

export interface EnvelopeOptions {
  readonly serializer: Serializer
  /** Values with more bytes than this are compressed. */
  readonly compressAbove: number
  /** Entries with more bytes than this are not stored. */
  readonly bytesMax: number
  /** No entry is kept for longer. */
  readonly keepMaxMs: number
}

/** An entry ready for `fillScript`. */
export interface Sealed {
  /** As `fillScript` takes it, but for the flags at its begin. */
  readonly bytes: Buffer
  /** Its shapes, in the order in which the bytes have them. */
  readonly shapes: readonly string[]
}

/** Why an entry is not stored, if Redis was not asked. */
export type Unsealable = 'expired' | 'too-large' | 'too-many-dependencies' | 'not-serializable'

const deflate = promisify(deflateRaw)
const inflate = promisify(inflateRaw)

/** Entries as bytes. */
export class Envelope {
  readonly #options: EnvelopeOptions
  readonly #serializer: number
  readonly #packer: Packer

  constructor(options: EnvelopeOptions) {
    this.#options = options
    this.#serializer = hash('sha1', options.serializer.name, 'buffer').readUInt32BE(0)
    this.#packer = new Packer(options.bytesMax)
  }

  /** The entry without its head, or why it can't be stored; a promise where it is compressed. */
  seal(fill: L2Fill): Sealed | Unsealable | Promise<Sealed | Unsealable> {
    const keepMs = Math.floor(Math.min(fill.remainingMs, this.#options.keepMaxMs))
    if (keepMs < 1) return 'expired'
    if (fill.stamps.length > STAMPS_MAX) return 'too-many-dependencies'
    const shapes: string[] = []
    for (const { shape } of fill.stamps) if (!shapes.includes(shape)) shapes.push(shape)
    const value = this.#encode(fill.value)
    if (typeof value === 'string') return value
    if (value.length <= this.#options.compressAbove) return this.#put(fill, value, 0, keepMs, shapes)
    // The serializer may write over what it returned.
    return deflate(Buffer.from(value)).then((packed) => this.#put(fill, packed, DEFLATED, keepMs, shapes))
  }

  /**
   * The entry that Redis has, at `now` by Redis's clock: time passes by that one.
   *
   * @returns undefined if it cannot be read, or its time is over; a promise where it is compressed
   */
  open(bytes: Buffer, now: number): L2Entry | undefined | Promise<L2Entry | undefined> {
    try {
      const lsn = bytes.readDoubleBE(POSITION_AT)
      const storedAt = bytes.readDoubleBE(STORED_AT)
      if (lsn + bytes.readDoubleBE(POSITION_AT + 8) !== -1) return undefined
      if (storedAt + bytes.readDoubleBE(STORED_AT + 8) !== -1) return undefined
      if (bytes.readUInt32BE(CHECKSUM_AT) !== crc32(bytes.subarray(CHECKSUM_AT + 4))) return undefined
      const body =
        HEAD_BYTES +
        SHAPE_BYTES * bytes.readUInt16BE(HEAD_BYTES - 4) +
        DEPENDENCY_BYTES * bytes.readUInt16BE(HEAD_BYTES - 2)
      if (bytes.readUInt32BE(body + SERIALIZER_AT) !== this.#serializer) return undefined
      // After a fail-over it may be another machine's clock.
      const passedMs = Math.max(0, now - storedAt)
      const remainingMs = bytes.readDoubleBE(body + REMAINING_AT) - passedMs
      if (remainingMs <= 0) return undefined
      const ageMs = bytes.readDoubleBE(body + AGE_AT) + passedMs
      const packed = body + BODY_BYTES
      const from = packed + bytes.readUInt32BE(body + LENGTH_AT)
      const dependencies = unpack(bytes, packed, from) as Dependency[]
      const value = bytes.subarray(from)
      const { serializer, bytesMax } = this.#options
      if ((bytes[body + FLAGS_AT]! & DEFLATED) === 0)
        return { value: serializer.decode(value), lsn, dependencies, ageMs, remainingMs }
      return inflate(value, { maxOutputLength: bytesMax })
        .then((raw) => ({ value: serializer.decode(raw), lsn, dependencies, ageMs, remainingMs }))
        .catch(() => undefined)
    } catch {
      // Too short, or what it holds is no value: the reason does not matter, and there is nothing to be done but to delete it.
      return undefined
    }
  }

  #put(fill: L2Fill, value: Uint8Array, flags: number, keepMs: number, shapes: readonly string[]): Sealed | Unsealable {
    const dependencies = this.#packer.pack(fill.dependencies)
    const body = OWN_BYTES + SHAPE_BYTES * shapes.length + DEPENDENCY_BYTES * fill.stamps.length
    const size = body + BODY_BYTES + dependencies.length + value.length
    if (size - FILL_BYTES > this.#options.bytesMax) return 'too-large'
    const bytes = Buffer.allocUnsafe(size)
    bytes[0] = 0
    bytes.writeDoubleBE(fill.lsn, 1)
    bytes.writeDoubleBE(keepMs, 9)
    writeStamps(bytes, shapes, fill)
    bytes[body + FLAGS_AT] = flags
    bytes.writeUInt32BE(this.#serializer, body + SERIALIZER_AT)
    bytes.writeDoubleBE(fill.ageMs, body + AGE_AT)
    bytes.writeDoubleBE(fill.remainingMs, body + REMAINING_AT)
    bytes.writeUInt32BE(dependencies.length, body + LENGTH_AT)
    dependencies.copy(bytes, body + BODY_BYTES)
    bytes.set(value, body + BODY_BYTES + dependencies.length)
    bytes.writeUInt32BE(crc32(bytes.subarray(FILL_BYTES + 4)), FILL_BYTES)
    return { bytes, shapes }
  }

  #encode(value: unknown): Uint8Array | Unsealable {
    try {
      const encoded = this.#options.serializer.encode(value)
      return encoded.length > this.#options.bytesMax ? 'too-large' : encoded
    } catch (error) {
      return error instanceof UnpackableError && error.reason === 'size' ? 'too-large' : 'not-serializable'
    }
  }
}

function writeStamps(bytes: Buffer, shapes: readonly string[], { stamps }: L2Fill): void {
  bytes.writeUInt16BE(shapes.length, OWN_BYTES - 4)
  bytes.writeUInt16BE(stamps.length, OWN_BYTES - 2)
  let at = OWN_BYTES
  for (const shape of shapes) {
    shapeId(shape).copy(bytes, at)
    at += SHAPE_BYTES
  }
  for (const { shape, name } of stamps) {
    writeDependencyId(bytes, at, shape, name)
    at += DEPENDENCY_BYTES
  }
}
