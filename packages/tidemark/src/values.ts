import { isAnyArrayBuffer, isDate, isMap, isSet, isSharedArrayBuffer, isTypedArray } from 'node:util/types'
import { listOf } from './arrays.js'
import { ValueError } from './errors.js'
import { FROZEN_DATE, FROZEN_MAP, FROZEN_SET } from './frozen.js'

/** What one walk through a value found. */
export interface Sealed {
  /** The approximate size in memory. */
  readonly bytes: number
  /** It holds what can't be frozen, such as binary data: each reader must get a copy (`copyOf`). */
  readonly copied: boolean
}

const DEPTH_MAX = 500

/**
 * Freezes a value deeply and in place, so that its readers can share it, and tells its size. Plain objects and arrays are
 * frozen; Date, Map and Set throw at their mutators from then on; binary data (Buffer, typed arrays, ArrayBuffer) can't be
 * frozen, and makes `copied` true. Cycles and shared parts are fine. Properties of an array beside its items are not seen.
 *
 * @throws ValueError (`TIDEMARK_VALUE`) if it holds anything else (a function, a symbol, an accessor, an instance of a
 *         class) or is deeper than 500 levels. The message names the place. What was walked before stays frozen.
 *
 * Cost: about half a microsecond per object, most of it V8's for freezing; once per fill, never at a hit.
 */
export function seal(value: unknown): Sealed {
  const walk = new Walk()
  walk.add(value)
  return walk
}

/** A mutable deep copy of a sealed value. Dates, maps, sets and binary data stay what they are, shared parts shared. */
export function copyOf<Value>(value: Value): Value {
  return copyPart(value, new Map()) as Value
}

/** The approximate size of a value that is no object, beside the 8 bytes in what holds it. */
export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return 16 + Buffer.byteLength(value)
    case 'number':
      return (value | 0) === value ? 0 : 16
    case 'bigint':
      return -0xffff_ffff_ffffn < value && value < 0xffff_ffff_ffffn ? 24 : 24 + value.toString(16).length / 2
    default:
      return 0
  }
}

class Walk implements Sealed {
  bytes = 0
  copied = false
  readonly #path = listOf<string | number>()
  /** Objects that were frozen when met: by this walk (so met again), by an earlier one, or by the user. */
  #met: Set<object> | undefined

  add(value: unknown): void {
    if (typeof value === 'object' && value !== null) this.#meet(value)
    else if (typeof value === 'function' || typeof value === 'symbol') this.#refuse(`a ${typeof value}`)
    else this.bytes += sizeOf(value)
  }

  #meet(object: object): void {
    // What is frozen may hold what is not, so it is walked too, but once.
    if (Object.isFrozen(object) || isTypedArray(object)) {
      this.#met ??= new Set()
      if (this.#met.has(object)) return
      this.#met.add(object)
    }
    if (this.#path.length > DEPTH_MAX) this.#refuse(`more than ${DEPTH_MAX} levels`)
    const prototype: object | null = Object.getPrototypeOf(object)
    if (Array.isArray(object)) this.#array(object)
    else if (isPlain(prototype)) this.#plain(object)
    else this.#other(object, prototype!)
  }

  #at(name: string | number, value: unknown): void {
    this.#path.push(name)
    this.add(value)
    this.#path.pop()
  }

  #array(array: unknown[]): void {
    this.bytes += 48 + 8 * array.length
    Object.freeze(array)
    for (let i = 0; i < array.length; i++) this.#at(i, array[i])
  }

  #plain(object: object): void {
    this.bytes += 24
    Object.freeze(object)
    if (Object.getOwnPropertySymbols(object).length > 0) this.#refuse('a property named by a symbol')
    for (const name of Object.keys(object)) {
      const property = Object.getOwnPropertyDescriptor(object, name)!
      if (property.get ?? property.set) this.#refuse(`an accessor, "${name}"`)
      this.bytes += 8
      this.#at(name, property.value)
    }
  }

  #other(object: object, prototype: object): void {
    const base = prototype === FROZEN_DATE || prototype === FROZEN_MAP || prototype === FROZEN_SET
    // A subclass would not come back from another tier as what it is.
    const direct = base || isPlain(Object.getPrototypeOf(prototype))
    if (isDate(object) && direct) {
      this.bytes += 96
      this.#shadow(object, prototype, FROZEN_DATE)
    } else if (isMap(object) && direct) {
      this.bytes += 200 + 28 * object.size
      this.#shadow(object, prototype, FROZEN_MAP)
      let i = 0
      for (const [key, value] of object) {
        this.#at(i, key)
        this.#at(i++, value)
      }
    } else if (isSet(object) && direct) {
      this.bytes += 200 + 20 * object.size
      this.#shadow(object, prototype, FROZEN_SET)
      let i = 0
      for (const item of object) this.#at(i++, item)
    } else if (isBinary(object, prototype)) {
      this.bytes += 200 + object.byteLength
      this.copied = true
    } else {
      this.#refuse(describe(prototype))
    }
  }

  #shadow(object: object, prototype: object, shadow: object): void {
    if (prototype === shadow) return
    if (Object.keys(object).length > 0) this.#refuse('a Date, Map or Set with properties of its own')
    if (Object.isExtensible(object)) Object.freeze(Object.setPrototypeOf(object, shadow))
    // The user froze it, which does not keep its inside from changing.
    else this.copied = true
  }

  #refuse(what: string): never {
    const place = this.#path.length === 0 ? 'The value itself' : `The value's ${placeOf(this.#path)}`
    throw new ValueError(
      `${place} is or holds ${what}, which a cache cannot share or keep as it is. Return plain objects, arrays, ` +
        'strings, numbers, bigints, booleans, null, undefined, Date, Map, Set or binary data from the loader.',
    )
  }
}

function isPlain(prototype: object | null): boolean {
  if (prototype === Object.prototype || prototype === null) return true
  // Another realm's (a vm context, a test runner's): the root of its prototypes.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

function isBinary(object: object, prototype: object): object is Uint8Array | ArrayBuffer {
  if (isAnyArrayBuffer(object)) return !isSharedArrayBuffer(object)
  if (!isTypedArray(object)) return false
  // %TypedArray%, then Object: Buffer is the one subclass that is let in.
  return prototype === Buffer.prototype || isPlain(Object.getPrototypeOf(Object.getPrototypeOf(prototype)))
}

function describe(prototype: object): string {
  const name: unknown = prototype.constructor?.name
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object with a prototype of its own'
}

/** As in code, shortened in the middle: `.author.posts[3].url`. */
function placeOf(path: readonly (string | number)[]): string {
  const names = path.map((name) => (typeof name === 'number' ? `[${name}]` : `.${name}`))
  if (names.length > 12) names.splice(6, names.length - 11, '…')
  return names.join('')
}

function copyPart(value: unknown, copies: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null) return value
  return copies.get(value) ?? copyObject(value, copies)
}

function copyObject(object: object, copies: Map<object, object>): object {
  const keep = <Copy extends object>(copy: Copy): Copy => {
    copies.set(object, copy)
    return copy
  }
  if (Array.isArray(object)) {
    const copy = keep(new Array<unknown>(object.length))
    for (let i = 0; i < object.length; i++) if (i in object) copy[i] = copyPart(object[i], copies)
    return copy
  }
  if (isDate(object)) return keep(new Date(object.getTime()))
  if (isMap(object)) {
    const copy = keep(new Map<unknown, unknown>())
    for (const [key, value] of object) copy.set(copyPart(key, copies), copyPart(value, copies))
    return copy
  }
  if (isSet(object)) {
    const copy = keep(new Set<unknown>())
    for (const item of object) copy.add(copyPart(item, copies))
    return copy
  }
  if (Buffer.isBuffer(object)) return keep(Buffer.from(object))
  if (isTypedArray(object)) return keep(object.slice())
  if (isAnyArrayBuffer(object)) return keep(object.slice(0))
  const copy = keep(Object.create(Object.getPrototypeOf(object)) as Record<string, unknown>)
  for (const [name, value] of Object.entries(object)) {
    // Not an assignment: `__proto__` is a name like any other.
    Object.defineProperty(copy, name, {
      value: copyPart(value, copies),
      writable: true,
      enumerable: true,
      configurable: true,
    })
  }
  return copy
}
