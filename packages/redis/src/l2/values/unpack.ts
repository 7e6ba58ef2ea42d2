import { BINARY, DEPTH_MAX, Extension } from './format.js'
import { Names } from './names.js'

/**
 * The value that `Packer` packed.
 *
 * @throws Error if the bytes are no such value, or go on behind it
 */
export function unpack(bytes: Buffer, from = 0, to = bytes.length): unknown {
  const reader = new Reader(bytes, from, to)
  const value = reader.value(0)
  reader.end(to)
  return value
}

const names = new Names()
const HOLE = Symbol('hole')

class Reader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, from: number, to: number) {
    if (to > bytes.length) throw new Error('A packed value ends too early')
    this.#bytes = bytes
    this.#at = from
    this.#end = to
  }

  end(at: number): void {
    if (this.#at !== at) throw new Error('A packed value does not end where it should')
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX + 1) throw new Error('A packed value is too deep')
    const byte = this.#uint8()
    if (byte < 0x80) return byte
    if (byte < 0x90) return this.#plain({}, byte & 0x0f, depth)
    if (byte < 0xa0) return this.#array(byte & 0x0f, depth)
    if (byte < 0xc0) return this.#string(byte & 0x1f)
    if (byte >= 0xe0) return byte - 0x100
    switch (byte) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc6:
        return Buffer.from(this.#take(this.#uint32()))
      case 0xc9: {
        const length = this.#uint32()
        return this.#extension(this.#uint8(), length, depth)
      }
      case 0xcb:
        return this.#take(8).readDoubleBE(0)
      case 0xd2:
        return this.#take(4).readInt32BE(0)
      case 0xd4: {
        const type = this.#uint8()
        this.#uint8()
        return this.#marked(type)
      }
      case 0xd7:
        return this.#date()
      case 0xd9:
        return this.#string(this.#uint8())
      case 0xda:
        return this.#string(this.#uint16())
      case 0xdb:
        return this.#string(this.#uint32())
      case 0xdc:
        return this.#array(this.#uint16(), depth)
      case 0xdd:
        return this.#array(this.#uint32(), depth)
      case 0xde:
        return this.#plain({}, this.#uint16(), depth)
      case 0xdf:
        return this.#plain({}, this.#uint32(), depth)
      default:
        throw new Error('A packed value has a byte that none begins with')
    }
  }

  #array(length: number, depth: number): unknown[] {
    // Each item takes a byte at the least: a length that cannot be true takes no memory.
    this.#need(length)
    const array: unknown[] = new Array(length)
    for (let i = 0; i < length; i++) {
      const item = this.value(depth + 1)
      if (item !== HOLE) array[i] = item
    }
    return array
  }

  #plain<Of extends object>(object: Of, length: number, depth: number): Of {
    for (let i = 0; i < length; i++) {
      const name = this.#name()
      const value = this.value(depth + 1)
      if (name === '__proto__') {
        Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
      } else {
        ;(object as Record<string, unknown>)[name] = value
      }
    }
    return object
  }

  #name(): string {
    const byte = this.#bytes[this.#at]
    if (byte !== undefined && byte >= 0xa0 && byte < 0xc0) {
      const length = byte & 0x1f
      this.#at++
      this.#need(length)
      const name = names.read(this.#bytes, this.#at, length)
      this.#at += length
      return name
    }
    const name = this.value(0)
    if (typeof name !== 'string') throw new Error('A packed object has a name that is no text')
    return name
  }

  #marked(type: number): unknown {
    if (type === Extension.undefined) return undefined
    if (type === Extension.hole) return HOLE
    throw new Error('A packed value has an unknown mark')
  }

  #date(): Date {
    if (this.#uint8() !== Extension.date) throw new Error('A packed value has an unknown extension')
    return new Date(this.#take(8).readDoubleBE(0))
  }

  #extension(type: number, length: number, depth: number): unknown {
    this.#need(length)
    const end = this.#at + length
    const value = this.#content(type, end, depth)
    this.end(end)
    return value
  }

  #content(type: number, end: number, depth: number): unknown {
    switch (type) {
      case Extension.bigint: {
        const text = this.#take(end - this.#at).toString('latin1')
        return text.startsWith('-') ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`)
      }
      case Extension.map: {
        const map = new Map<unknown, unknown>()
        while (this.#at < end) map.set(this.value(depth + 1), this.value(depth + 1))
        return map
      }
      case Extension.set: {
        const set = new Set<unknown>()
        while (this.#at < end) set.add(this.value(depth + 1))
        return set
      }
      case Extension.binary:
        return this.#binary(this.#uint8(), this.#take(end - this.#at))
      case Extension.text:
        return this.#take(end - this.#at).toString('utf16le')
      case Extension.bare: {
        const object = this.value(depth)
        if (typeof object !== 'object' || object === null) throw new Error('A packed object is none')
        return Object.setPrototypeOf(object, null) as object
      }
      default:
        throw new Error('A packed value has an unknown extension')
    }
  }

  #binary(kind: number, bytes: Buffer): unknown {
    const Kind = BINARY[kind]
    if (!Kind) throw new Error('A packed value has an unknown kind of binary data')
    // A copy of its own: aligned, and no window on the whole answer of Redis.
    const own = new Uint8Array(bytes).buffer
    return Kind === ArrayBuffer ? own : new (Kind as Uint8ArrayConstructor)(own)
  }

  #string(length: number): string {
    this.#need(length)
    const start = this.#at
    this.#at += length
    return this.#bytes.toString('utf8', start, this.#at)
  }

  #take(length: number): Buffer {
    this.#need(length)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  #uint8(): number {
    this.#need(1)
    return this.#bytes[this.#at++]!
  }

  #uint16(): number {
    this.#need(2)
    this.#at += 2
    return this.#bytes.readUInt16BE(this.#at - 2)
  }

  #uint32(): number {
    this.#need(4)
    this.#at += 4
    return this.#bytes.readUInt32BE(this.#at - 4)
  }

  #need(length: number): void {
    if (this.#at + length > this.#end) throw new Error('A packed value ends too early')
  }
}
