import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encode, keepalive, walData } from '../../test/encoder.js'
import { ProtocolError } from './errors.js'
import { parsePgoutput, parseWal, rowRelation, rowXid, statusUpdate } from './protocol.js'

const oid = fc.integer({ min: 1, max: 2 ** 32 - 1 })
const lsn = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
// Milliseconds from 2000 to 2200: the server sends microseconds, the sub-millisecond part is cut.
const time = fc.integer({ min: 946_684_800_000, max: 7_258_118_400_000 })
const name = fc
  .string({ unit: 'binary' })
  .filter((text) => !text.includes('\0') && Buffer.from(text).toString() === text)
const value = fc.oneof(
  fc.constant(null),
  fc.constant(undefined),
  fc.string({ unit: 'binary' }).filter((text) => Buffer.from(text).toString() === text),
)
const tuple = fc.array(value, { maxLength: 20 })

const message = fc.oneof(
  fc.record({ kind: fc.constant('begin' as const), finalLsn: lsn, committedAt: time, xid: oid }),
  fc.record({ kind: fc.constant('commit' as const), lsn, endLsn: lsn, committedAt: time }),
  fc.record({
    kind: fc.constant('relation' as const),
    oid,
    schema: name.filter((schema) => schema !== ''),
    name,
    identity: fc.constantFrom('default' as const, 'nothing' as const, 'full' as const, 'index' as const),
    columns: fc.array(fc.record({ name, isIdentity: fc.boolean(), type: oid }), { maxLength: 20 }),
  }),
  fc.record({ kind: fc.constant('insert' as const), oid, new: tuple }),
  fc.record({
    kind: fc.constant('update' as const),
    oid,
    sent: fc.constantFrom('key' as const, 'full' as const),
    old: tuple,
    new: tuple,
  }),
  fc.record({
    kind: fc.constant('update' as const),
    oid,
    sent: fc.constant('none' as const),
    old: fc.constant([]),
    new: tuple,
  }),
  fc.record({
    kind: fc.constant('delete' as const),
    oid,
    sent: fc.constantFrom('key' as const, 'full' as const),
    old: tuple,
  }),
  fc.record({ kind: fc.constant('truncate' as const), oids: fc.array(oid, { maxLength: 10 }) }),
  fc.record({
    kind: fc.constant('message' as const),
    isTransactional: fc.boolean(),
    lsn,
    prefix: name,
    content: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  }),
)

const xid = fc.integer({ min: 1, max: 2 ** 32 - 1 })
const streamed = fc.oneof(
  fc.record({ kind: fc.constant('stream-start' as const), xid, isFirst: fc.boolean() }),
  fc.record({ kind: fc.constant('stream-stop' as const) }),
  fc.record({ kind: fc.constant('stream-commit' as const), xid, lsn, endLsn: lsn, committedAt: time }),
  fc.record({ kind: fc.constant('stream-abort' as const), xid, sub: xid }),
  fc
    .tuple(message, xid)
    .map(([plain, of]) => (plain.kind === 'begin' || plain.kind === 'commit' ? plain : { ...plain, xid: of })),
)

test('the same in a streamed segment, where messages name their subtransaction', () => {
  fc.assert(
    fc.property(streamed, (sent) => {
      const data = encode(sent)
      expect(parsePgoutput(data, true)).toEqual(sent)
      const isRow = sent.kind === 'insert' || sent.kind === 'update' || sent.kind === 'delete'
      expect(rowRelation(data, true)).toBe(isRow ? sent.oid : undefined)
      if (isRow) expect(rowXid(data)).toBe(sent.xid)
    }),
  )
})

test('what a server writes is read back as it was: an offset, a length or a tag read wrongly would differ', () => {
  fc.assert(
    fc.property(message, (sent) => {
      const wire = parseWal(walData(encode(sent)))
      expect(wire.kind).toBe('data')
      expect(wire.kind === 'data' && parsePgoutput(wire.data)).toEqual(sent)
    }),
  )
})

test('a message that is cut short or has more than it should is an error, never a read past its end', () => {
  fc.assert(
    fc.property(message, fc.nat(), (sent, at) => {
      const whole = encode(sent)
      // The message lies inside a larger buffer, as it does in the socket's: what follows must not be taken for it.
      const around = Buffer.concat([whole, Buffer.alloc(64, 0x74)])
      expect(() => parsePgoutput(around.subarray(0, at % whole.length))).toThrow(ProtocolError)
      expect(() => parsePgoutput(around.subarray(0, whole.length + 1))).toThrow(ProtocolError)
    }),
  )
})

test('whatever bytes come, the parser answers or says that it does not understand', () => {
  const tagged = fc
    .tuple(fc.constantFrom(...'BCRIUDTMYOSEcAZ'), fc.uint8Array({ maxLength: 80 }))
    .map(([tag, bytes]) => Buffer.concat([Buffer.from(tag), Buffer.from(bytes)]))
  fc.assert(
    fc.property(tagged, (bytes) => {
      try {
        parsePgoutput(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('a count that the message cannot hold makes no room for it', () => {
  expect(() => parsePgoutput(Buffer.from('54ffffffff00', 'hex'))).toThrow(ProtocolError)
})

test('the relation of a row is known without reading the row', () => {
  fc.assert(
    fc.property(message, (sent) => {
      const isRow = sent.kind === 'insert' || sent.kind === 'update' || sent.kind === 'delete'
      expect(rowRelation(encode(sent))).toBe(isRow ? sent.oid : undefined)
    }),
  )
})

test('keepalives are read, and other messages of the stream are an error', () => {
  expect(parseWal(keepalive(0x16_b374_d848, true))).toEqual({
    kind: 'keepalive',
    walEnd: 0x16_b374_d848,
    wantsReply: true,
  })
  expect(parseWal(keepalive(5, false))).toEqual({ kind: 'keepalive', walEnd: 5, wantsReply: false })
  expect(() => parseWal(Buffer.from('x'))).toThrow(ProtocolError)
  expect(() => parseWal(Buffer.alloc(0))).toThrow(ProtocolError)
  expect(() => parseWal(keepalive(2 ** 53, false))).toThrow(ProtocolError)
})

test('a status update names what was applied and what is acknowledged, and asks for a reply or not', () => {
  const buffer = statusUpdate(0x16_b374_d848, 0x16_b374_d847, 946_684_801_000, true)
  expect(buffer.toString('hex')).toBe(
    `72${'00000016b374d848'}${'00000016b374d847'}${'00000016b374d848'}00000000000f424001`,
  )
  expect(statusUpdate(1, 0, 946_684_800_000, false).at(-1)).toBe(0)
})
