import { isAnyArrayBuffer, isDate, isMap, isSet, isTypedArray } from 'node:util/types'
import { BINARY, DEPTH_MAX, Extension } from './format.js'

/** What a value cannot be packed for: it holds something that would not come back, a cycle, or too much. */
export class UnpackableError extends Error {
  constructor(readonly reason: 'type' | 'depth' | 'size') {
    super(`A value cannot be packed: ${reason}`)
  }
}

const START_BYTES = 4_096
/** Below this a loop beats the call into the runtime. */
const LOOP_CHARS = 48

/**
 * Values as msgpack, so that they come back as what they were: `undefined`, bigint, Date, Map, Set, binary data, -0, holes, lone
 * surrogates, objects without a prototype. Shared parts come back as copies. One instance packs one value after the other, in one buffer.
 */
export class Packer {
  #buffer = Buffer.allocUnsafe(START_BYTES)
  #at = 0
  readonly #bytesMax: number

  /** @param bytesMax what is larger is refused; it also ends what is shared so often that it would never end */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /**
   * The bytes, which the next call writes over.
   *
   * @throws UnpackableError if it would not come back as what it is
   */
  pack(value: unknown): Buffer {
    this.#at = 0
    this.#value(value, 0)
    if (this.#at > this.#bytesMax) throw new UnpackableError('size')
    return this.#buffer.subarray(0, this.#at)
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        return this.#string(value)
      case 'number':
        return this.#number(value)
      case 'boolean':
        return this.#byte(value ? 0xc3 : 0xc2)
      case 'object':
        if (value === null) return this.#byte(0xc0)
        return this.#object(value, depth)
      case 'undefined':
        return this.#mark(Extension.undefined)
      case 'bigint':
        return this.#extension(Extension.bigint, Buffer.from(value.toString(16), 'latin1'))
      default:
        throw new UnpackableError('type')
    }
  }

  #object(object: object, depth: number): void {
    if (depth > DEPTH_MAX) throw new UnpackableError('depth')
    if (Array.isArray(object)) return this.#array(object, depth)
    const prototype: object | null = Object.getPrototypeOf(object)
    if (prototype === Object.prototype) return this.#plain(object, depth)
    if (prototype === null) return this.#nested(Extension.bare, () => this.#plain(object, depth))
    if (isDate(object)) return this.#date(object.getTime())
    if (isMap(object)) {
      return this.#nested(Extension.map, () => {
        for (const [key, value] of object) {
          this.#value(key, depth + 1)
          this.#value(value, depth + 1)
        }
      })
    }
    if (isSet(object)) {
      return this.#nested(Extension.set, () => {
        for (const item of object) this.#value(item, depth + 1)
      })
    }
    if (Buffer.isBuffer(object)) return this.#buffered(object)
    if (isTypedArray(object) || isAnyArrayBuffer(object)) return this.#binary(object)
    // Another realm's plain object: the root of its prototypes.
    if (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
      return this.#plain(object, depth)
    throw new UnpackableError('type')
  }

  #array(array: readonly unknown[], depth: number): void {
    this.#length(array.length, 0x90, 15, undefined, 0xdc)
    for (let i = 0; i < array.length; i++) {
      if (array[i] !== undefined || i in array) this.#value(array[i], depth + 1)
      else this.#mark(Extension.hole)
    }
  }

  #plain(object: object, depth: number): void {
    const names = Object.keys(object)
    this.#length(names.length, 0x80, 15, undefined, 0xde)
    for (const name of names) {
      this.#string(name)
      this.#value((object as Record<string, unknown>)[name], depth + 1)
    }
  }

  #number(value: number): void {
    const whole = value | 0
    if (whole !== value || (whole === 0 && Object.is(value, -0))) {
      this.#room(9)
      this.#buffer[this.#at] = 0xcb
      this.#buffer.writeDoubleBE(value, this.#at + 1)
      this.#at += 9
    } else if (whole >= 0 && whole < 128) this.#byte(whole)
    else if (whole < 0 && whole >= -32) this.#byte(whole & 0xff)
    else {
      this.#room(5)
      this.#buffer[this.#at] = 0xd2
      this.#buffer.writeInt32BE(whole, this.#at + 1)
      this.#at += 5
    }
  }

  #string(text: string): void {
    const chars = text.length
    this.#room(5 + chars * 3)
    if (chars <= LOOP_CHARS && this.#ascii(text)) return
    // The bytes of a lone surrogate would come back as another character.
    if (!text.isWellFormed()) return this.#extension(Extension.text, Buffer.from(text, 'utf16le'))
    const bytes = Buffer.byteLength(text)
    this.#length(bytes, 0xa0, 31, 0xd9, 0xda)
    this.#at += this.#buffer.write(text, this.#at)
  }

  /** Writes a short text if it is ASCII; says whether it did. */
  #ascii(text: string): boolean {
    const chars = text.length
    const start = this.#at + (chars < 32 ? 1 : 2)
    for (let i = 0; i < chars; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) return false
      this.#buffer[start + i] = code
    }
    this.#length(chars, 0xa0, 31, 0xd9, 0xda)
    this.#at = start + chars
    return true
  }

  #date(ms: number): void {
    this.#room(11)
    this.#buffer[this.#at] = 0xd7
    this.#buffer[this.#at + 1] = Extension.date
    this.#buffer.writeDoubleBE(ms, this.#at + 2)
    this.#at += 10
  }

  #buffered(bytes: Buffer): void {
    this.#room(5)
    this.#buffer[this.#at] = 0xc6
    this.#buffer.writeUInt32BE(bytes.length, this.#at + 1)
    this.#at += 5
    this.#bytes(bytes)
  }

  #binary(data: NodeJS.TypedArray | ArrayBufferLike): void {
    const kind = BINARY.findIndex((each) => Object.prototype.toString.call(data) === `[object ${each.name}]`)
    if (kind < 0) throw new UnpackableError('type')
    const bytes = isAnyArrayBuffer(data)
      ? Buffer.from(data)
      : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    this.#nested(Extension.binary, () => {
      this.#byte(kind)
      this.#bytes(bytes)
    })
  }

  #extension(type: number, bytes: Buffer): void {
    this.#nested(type, () => this.#bytes(bytes))
  }

  /** An extension whose length is known only when it is written. */
  #nested(type: number, write: () => void): void {
    this.#room(6)
    const start = this.#at
    this.#at += 6
    write()
    this.#buffer[start] = 0xc9
    this.#buffer.writeUInt32BE(this.#at - start - 6, start + 1)
    this.#buffer[start + 5] = type
  }

  /** An extension without content: one byte, which says nothing. */
  #mark(type: number): void {
    this.#room(3)
    this.#buffer[this.#at] = 0xd4
    this.#buffer[this.#at + 1] = type
    this.#buffer[this.#at + 2] = 0
    this.#at += 3
  }

  /** A length in its shortest form: in the byte itself, in one (where there is such a form), two or four bytes. */
  #length(length: number, fixed: number, fixedMax: number, one: number | undefined, two: number): void {
    this.#room(5)
    if (length <= fixedMax) {
      this.#buffer[this.#at++] = fixed | length
    } else if (one !== undefined && length < 0x100) {
      this.#buffer[this.#at] = one
      this.#buffer[this.#at + 1] = length
      this.#at += 2
    } else if (length < 0x10000) {
      this.#buffer[this.#at] = two
      this.#buffer.writeUInt16BE(length, this.#at + 1)
      this.#at += 3
    } else {
      this.#buffer[this.#at] = two + 1
      this.#buffer.writeUInt32BE(length, this.#at + 1)
      this.#at += 5
    }
  }

  #byte(byte: number): void {
    this.#room(1)
    this.#buffer[this.#at++] = byte
  }

  #bytes(bytes: Buffer): void {
    this.#room(bytes.length)
    bytes.copy(this.#buffer, this.#at)
    this.#at += bytes.length
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#buffer.length) return
    if (this.#at > this.#bytesMax) throw new UnpackableError('size')
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }
}
