import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Where the file stands: one record, read and compared by each call. */
export interface Tide {
  readonly epoch: string
  readonly m: number
  /** The last position that let something expire. */
  readonly expiry: number
  /** Drawn whenever the file starts with nothing: entries of another one are none. */
  readonly generation: string
  /** Drawn whenever a shape is added. */
  readonly shapesId: string
  /** Shapes have the numbers below it. */
  readonly shapes: number
}

const HEAD_BYTES = 40
const EXPIRY_AT = 32
const GENERATION_AT = 12
const SHAPES_ID_AT = 20
const ID_BYTES = 8

export function newId(): string {
  return randomBytes(ID_BYTES).toString('latin1')
}

export function encodeTide({ epoch, m, expiry, generation, shapesId, shapes }: Tide): Buffer {
  const record = Buffer.alloc(HEAD_BYTES + Buffer.byteLength(epoch))
  record.writeDoubleBE(m, 4)
  record.write(generation, GENERATION_AT, 'latin1')
  record.write(shapesId, SHAPES_ID_AT, 'latin1')
  record.writeUInt32BE(shapes, SHAPES_ID_AT + ID_BYTES)
  record.writeDoubleBE(expiry, EXPIRY_AT)
  record.write(epoch, HEAD_BYTES, 'utf8')
  record.writeUInt32BE(crc32(record.subarray(4)))
  return record
}

/** undefined if the bytes are no such record. */
export function decodeTide(record: Buffer): Tide | undefined {
  if (record.length < HEAD_BYTES || record.readUInt32BE() !== crc32(record.subarray(4))) return undefined
  return {
    epoch: record.toString('utf8', HEAD_BYTES),
    m: record.readDoubleBE(4),
    expiry: record.readDoubleBE(EXPIRY_AT),
    generation: record.toString('latin1', GENERATION_AT, SHAPES_ID_AT),
    shapesId: record.toString('latin1', SHAPES_ID_AT, SHAPES_ID_AT + ID_BYTES),
    shapes: record.readUInt32BE(SHAPES_ID_AT + ID_BYTES),
  }
}
