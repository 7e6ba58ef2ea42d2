import { createHash } from 'node:crypto'

/** LMDB takes keys of up to 1,978 bytes; short ones are found faster. */
const TEXT_MAX = 400
const NUMBER_BYTES = 4
/** Of the byte that says whether a name is a hash. */
const EXPIRY_BIT = 2

/** A text as a key: itself; or its hash, if it is long, or has no UTF-8 of its own (half a surrogate pair). */
export function textKey(text: string): Buffer {
  return keyOf(0, text)
}

/** A name within a shape, which goes by its number. */
export function stampKey(shape: number, name: string): Buffer {
  const key = keyOf(NUMBER_BYTES, name)
  key.writeUInt32BE(shape)
  return key
}

/** Of the same name, what lets it expire. */
export function expiryKey(stamp: Buffer): Buffer {
  const key = Buffer.from(stamp)
  key[NUMBER_BYTES]! |= EXPIRY_BIT
  return key
}

export function shapeKey(shape: number): Buffer {
  const key = Buffer.allocUnsafe(NUMBER_BYTES)
  key.writeUInt32BE(shape)
  return key
}

/** The key of the shape that a stamp belongs to. */
export function shapeKeyOf(stamp: Buffer): Buffer {
  return stamp.subarray(0, NUMBER_BYTES)
}

export function shapeOf(key: Buffer): number {
  return key.readUInt32BE(0)
}

/** Sorts by the number, which is not negative, then by what tells its equals apart. */
export function orderKey(number: number, among: number): Buffer {
  const key = Buffer.allocUnsafe(12)
  key.writeDoubleBE(number, 0)
  key.writeUInt32BE(among, 8)
  return key
}

function keyOf(offset: number, text: string): Buffer {
  if (text.length <= TEXT_MAX && text.isWellFormed()) {
    const key = Buffer.allocUnsafe(offset + 1 + Buffer.byteLength(text))
    key[offset] = 0
    key.write(text, offset + 1, 'utf8')
    return key
  }
  const key = Buffer.allocUnsafe(offset + 33)
  key[offset] = 1
  createHash('sha256')
    .update(Buffer.from(text, 'utf16le'))
    .digest()
    .copy(key, offset + 1)
  return key
}
