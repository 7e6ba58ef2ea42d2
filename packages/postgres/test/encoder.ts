import type { PgoutputMessage, TupleValue } from '../src/wal/protocol.js'

const POSTGRES_EPOCH_MS = 946_684_800_000
const LETTERS = { default: 'd', nothing: 'n', full: 'f', index: 'i' } as const

export type Sent = Exclude<PgoutputMessage, { readonly kind: 'type' | 'origin' }>

/** Writes pgoutput messages as a server does: the other half of a round trip. One with a `xid` is of a streamed segment. */
export function encode(message: Sent): Buffer {
  const body = encodePlain(message)
  const isStreamed = 'xid' in message && message.xid !== undefined && 'RIUDTM'.includes(String.fromCharCode(body[0]!))
  return isStreamed ? Buffer.concat([body.subarray(0, 1), int32(message.xid!), body.subarray(1)]) : body
}

function encodePlain(message: Sent): Buffer {
  switch (message.kind) {
    case 'begin':
      return Buffer.concat([tag('B'), int64(message.finalLsn), time(message.committedAt), int32(message.xid)])
    case 'commit':
      return Buffer.concat([tag('C'), int8(0), int64(message.lsn), int64(message.endLsn), time(message.committedAt)])
    case 'stream-start':
      return Buffer.concat([tag('S'), int32(message.xid), int8(message.isFirst ? 1 : 0)])
    case 'stream-stop':
      return tag('E')
    case 'stream-abort':
      return Buffer.concat([tag('A'), int32(message.xid), int32(message.sub)])
    case 'stream-commit': {
      const { xid, lsn, endLsn, committedAt } = message
      return Buffer.concat([tag('c'), int32(xid), int8(0), int64(lsn), int64(endLsn), time(committedAt)])
    }
    case 'relation':
      return Buffer.concat([
        tag('R'),
        int32(message.oid),
        text(message.schema === 'pg_catalog' ? '' : message.schema),
        text(message.name),
        tag(LETTERS[message.identity]),
        int16(message.columns.length),
        ...message.columns.flatMap(({ name, isIdentity, type }) => [
          int8(isIdentity ? 1 : 0),
          text(name),
          int32(type),
          int32(-1 >>> 0),
        ]),
      ])
    case 'insert':
      return Buffer.concat([tag('I'), int32(message.oid), tag('N'), tuple(message.new)])
    case 'update': {
      const old = message.sent === 'none' ? [] : [tag(message.sent === 'key' ? 'K' : 'O'), tuple(message.old)]
      return Buffer.concat([tag('U'), int32(message.oid), ...old, tag('N'), tuple(message.new)])
    }
    case 'delete':
      return Buffer.concat([tag('D'), int32(message.oid), tag(message.sent === 'key' ? 'K' : 'O'), tuple(message.old)])
    case 'truncate':
      return Buffer.concat([tag('T'), int32(message.oids.length), int8(0), ...message.oids.map(int32)])
    case 'message':
      return Buffer.concat([
        tag('M'),
        int8(message.isTransactional ? 1 : 0),
        int64(message.lsn),
        text(message.prefix),
        int32(message.content.length),
        message.content,
      ])
  }
}

/** A pgoutput message as it travels: what the server sends in CopyData. */
export function walData(data: Buffer): Buffer {
  return Buffer.concat([tag('w'), int64(1), int64(2), int64(3), data])
}

export function keepalive(walEnd: number, wantsReply: boolean): Buffer {
  return Buffer.concat([tag('k'), int64(walEnd), int64(0), int8(wantsReply ? 1 : 0)])
}

function tuple(values: readonly TupleValue[]): Buffer {
  return Buffer.concat([
    int16(values.length),
    ...values.flatMap((value) => {
      if (value === null) return [tag('n')]
      if (value === undefined) return [tag('u')]
      const bytes = Buffer.from(value, 'utf8')
      return [tag('t'), int32(bytes.length), bytes]
    }),
  ])
}

function tag(letter: string): Buffer {
  return Buffer.from(letter, 'latin1')
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, 'utf8')
}

function int8(value: number): Buffer {
  return Buffer.from([value])
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16BE(value)
  return buffer
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

function int64(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64BE(BigInt(value))
  return buffer
}

function time(ms: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(BigInt(ms - POSTGRES_EPOCH_MS) * 1000n)
  return buffer
}
