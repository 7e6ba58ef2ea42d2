import { Packer } from './values/pack.js'
import { unpack } from './values/unpack.js'

/** How values become bytes, and come back as what they were. */
export interface Serializer {
  /** Stands with each value, so that what another one wrote is a miss. Change it with the format. */
  readonly name: string
  /** The bytes are copied at once. Throwing means that the value can't be brought back as what it was: it is not stored. */
  encode(value: unknown): Uint8Array
  /** May keep the bytes. Throwing means that they can't be read: the entry is deleted. */
  decode(bytes: Buffer): unknown
}

/** The default: msgpack, with what JavaScript has beside it. */
export function msgpack(bytesMax: number): Serializer {
  const packer = new Packer(bytesMax)
  return { name: 'msgpack', encode: (value) => packer.pack(value), decode: (bytes) => unpack(bytes) }
}
