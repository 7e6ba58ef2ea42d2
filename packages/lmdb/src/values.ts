import { isAnyArrayBuffer, isDate, isMap, isSet } from 'node:util/types'
import { deserialize, serialize } from 'node:v8'
import { Packr } from 'msgpackr'

/** How a value is written: by msgpack; or by V8's own format, where msgpack would bring back another value. */
export type Packing = 'msgpack' | 'v8'

export interface Packed {
  readonly packing: Packing
  readonly bytes: Uint8Array
}

// Without `structuredClone`, which costs a third more: values that need it (cycles) are V8's.
const packr = new Packr({ moreTypes: true, useBigIntExtension: true, copyBuffers: true })
const DEPTH_MAX = 500
const PARTS_MAX = 100_000
const VIEWS = new Set([
  'Buffer',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
])

/**
 * A value in bytes, so that `unpack` brings back the same: plain objects, arrays, Date, Map, Set, binary data, bigint, undefined, NaN,
 * -0, any text, cycles. undefined if that can't be done (an object without a prototype comes back with one).
 */
export function pack(value: unknown): Packed | undefined {
  const look = looked(value)
  if (look.isLost) return undefined
  try {
    if (!look.isOdd) return { packing: 'msgpack', bytes: packr.pack(value) }
    return { packing: 'v8', bytes: serialize(value) }
  } catch {
    return undefined
  }
}

/** @throws whatever the decoder throws, if the bytes are not what `pack` made */
export function unpack({ packing, bytes }: Packed): unknown {
  return packing === 'msgpack' ? packr.unpack(bytes) : deserialize(bytes)
}

function looked(value: unknown): Look {
  const look = new Look(undefined)
  look.at(value, 0)
  if (!look.isDeep) return look
  // A cycle, or parts that are shared many times over: each is looked at once, and V8 writes it once.
  const again = new Look(new Set())
  again.isOdd = true
  again.at(value, 0)
  return again
}

/** What a walk through a value finds that msgpack would not bring back as it was. */
class Look {
  readonly #met: Set<object> | undefined
  #parts = 0
  /** msgpack loses it, V8's format does not. */
  isOdd = false
  /** Both lose it. */
  isLost = false
  isDeep = false

  constructor(met: Set<object> | undefined) {
    this.#met = met
  }

  at(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'number':
        if (Object.is(value, -0)) this.isOdd = true
        return
      case 'string':
        if (!value.isWellFormed()) this.isOdd = true
        return
      case 'object':
        if (value !== null) this.#object(value, depth)
        return
      case 'function':
      case 'symbol':
        this.isLost = true
    }
  }

  #object(object: object, depth: number): void {
    if (this.#met?.has(object)) return
    if (this.#met) this.#met.add(object)
    else if (depth > DEPTH_MAX || ++this.#parts > PARTS_MAX) this.isDeep = true
    if (this.isDeep || this.isLost) return
    if (Array.isArray(object)) this.#array(object, depth)
    else if (Object.getPrototypeOf(object) === Object.prototype) this.#plain(object, depth)
    else this.#other(object, depth)
  }

  #array(array: unknown[], depth: number): void {
    for (let i = 0; i < array.length; i++) {
      const item: unknown = array[i]
      if (item === undefined) this.isOdd ||= !(i in array)
      else this.at(item, depth + 1)
    }
  }

  #plain(object: object, depth: number): void {
    for (const name of Object.keys(object)) {
      // msgpackr renames the one, and calls the other.
      if (name === '__proto__' || name === 'toJSON' || !name.isWellFormed()) this.isOdd = true
      this.at((object as Record<string, unknown>)[name], depth + 1)
    }
  }

  #other(object: object, depth: number): void {
    if (Object.getPrototypeOf(object) === null) this.isLost = true
    else if (isMap(object)) {
      for (const [key, value] of object) {
        this.at(key, depth + 1)
        this.at(value, depth + 1)
      }
    } else if (isSet(object)) for (const item of object) this.at(item, depth + 1)
    else if (ArrayBuffer.isView(object)) this.isOdd ||= !VIEWS.has(object.constructor.name)
    else if (!isDate(object) && !isAnyArrayBuffer(object)) this.#plain(object, depth)
  }
}
