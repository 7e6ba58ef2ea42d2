import { ProtocolError } from './errors.js'
import type { TupleValue } from './protocol.js'

/** Microseconds between 1970 and 2000, where PostgreSQL's clock begins. */
export const POSTGRES_EPOCH_MS = 946_684_800_000

export function code(tag: string): string {
  return `0x${tag.charCodeAt(0).toString(16).padStart(2, '0')}`
}

export function misplaced(tag: string): ProtocolError {
  return new ProtocolError(`A pgoutput message holds ${code(tag)} where another part was due.`)
}

/** Reads a message of the replication protocol from its beginning to its end, and no byte past it. */
export class Reader {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  #take(count: number): number {
    const from = this.#at
    if (count < 0 || from + count > this.#buffer.length) {
      throw new ProtocolError('A replication message ended before its content did.')
    }
    this.#at = from + count
    return from
  }

  skip(count: number): void {
    this.#take(count)
  }

  char(): string {
    return String.fromCharCode(this.#buffer[this.#take(1)]!)
  }

  expect(tag: string): void {
    const found = this.char()
    if (found !== tag) throw misplaced(found)
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#buffer.readUInt16BE(this.#take(2))
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  /** An LSN: exact up to 2^53 bytes of WAL, which is more than a server can write in its life. */
  int64(): number {
    const value = this.uint32() * 2 ** 32 + this.uint32()
    if (!Number.isSafeInteger(value)) throw new ProtocolError('A replication message holds a position above 2^53.')
    return value
  }

  /** Microseconds since 2000 → milliseconds since 1970, with their fraction. */
  timestamp(): number {
    return Number(this.#buffer.readBigInt64BE(this.#take(8))) / 1000 + POSTGRES_EPOCH_MS
  }

  text(): string {
    const end = this.#buffer.indexOf(0, this.#at)
    if (end < 0) throw new ProtocolError('A replication message ended before its content did.')
    const from = this.#take(end + 1 - this.#at)
    return this.#buffer.toString('utf8', from, end)
  }

  /** A copy: the buffer under it is the socket's. */
  bytes(count: number): Buffer {
    const from = this.#take(count)
    return Buffer.from(this.#buffer.subarray(from, from + count))
  }

  /** Refuses a count that the buffer can't hold before it makes room for it. */
  list<Item>(count: number, itemBytesMin: number, read: () => Item): Item[] {
    if (count * itemBytesMin > this.#buffer.length - this.#at) {
      throw new ProtocolError('A replication message ended before its content did.')
    }
    const items = new Array<Item>(count)
    for (let i = 0; i < count; i++) items[i] = read()
    return items
  }

  tuple(): TupleValue[] {
    return this.list(this.int16(), 1, () => this.#value())
  }

  #value(): TupleValue {
    const tag = this.char()
    switch (tag) {
      case 'n':
        return null
      case 'u':
        return undefined
      case 't': {
        const count = this.uint32()
        const from = this.#take(count)
        return this.#buffer.toString('utf8', from, from + count)
      }
      default:
        throw misplaced(tag)
    }
  }

  /** What remains, not copied. */
  rest(): Buffer {
    const from = this.#at
    this.#at = this.#buffer.length
    return this.#buffer.subarray(from)
  }

  end(): void {
    if (this.#at !== this.#buffer.length) throw new ProtocolError('A replication message is longer than its content.')
  }
}
