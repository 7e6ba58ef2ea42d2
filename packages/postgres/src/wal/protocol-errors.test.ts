import type { Client } from 'pg'
import { LimitError } from 'tidemark'
import { expect, test } from 'vitest'
import { encode, keepalive, type Sent } from '../../test/encoder.js'
import type { SqlConnection } from './connection.js'
import { ProtocolError } from './errors.js'
import { parsePgoutput, parseWal, type Relation } from './protocol.js'
import { createSlot } from './slot.js'
import { TransactionReader } from './transaction.js'
import { parseSnapshot } from './visibility.js'

/** Whatever a server may send that is not understood: the error says what it was, then what happens and what to do. */

const POSTS: Relation = {
  kind: 'relation',
  oid: 7,
  schema: 'public',
  name: 'posts',
  identity: 'full',
  columns: [{ name: 'id', isIdentity: true, type: 23 }],
}
const BEGIN: Sent = { kind: 'begin', finalLsn: 90, committedAt: 1_700_000_000_000, xid: 731 }
const INSERT: Sent = { kind: 'insert', oid: 7, new: ['1'] }
const COMMIT: Sent = { kind: 'commit', lsn: 90, endLsn: 100, committedAt: 1_700_000_000_000 }

function read(...messages: readonly Sent[]): void {
  const reader = new TransactionReader({
    hasMessageTable: false,
    rowsMax: 3,
    bytesMax: 1_000,
    namesOf: () => ['public.posts'],
    readMessage: () => [
      { kind: 'target', mode: 'drop', nonce: 'n', targets: Array.from({ length: 100_000 }, () => TARGET) },
    ],
    redescribed: () => {},
  })
  for (const message of messages) reader.read(encode(message))
}

const TARGET = { kind: 'tag', tenant: undefined, tag: 't' } as never
const MESSAGE: Sent = {
  kind: 'message',
  isTransactional: true,
  lsn: 1,
  prefix: 'tidemark/target',
  content: Buffer.from('{}'),
}

const CASES: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
  'a message of an unknown kind': [() => parseWal(Buffer.from('x')), /replication message of unknown kind 0x78/],
  'a pgoutput message of an unknown kind': [
    () => parsePgoutput(Buffer.from('z')),
    /pgoutput message of unknown kind 0x7a/,
  ],
  'a message that ends early': [() => parseWal(Buffer.from('k0')), /ended before its content did/],
  'a name that does not end': [() => parsePgoutput(encode(POSTS).subarray(0, 8)), /ended before its content did/],
  'a text that is cut': [() => parsePgoutput(encode(INSERT).subarray(0, -1)), /ended before its content did/],
  'a message that is too long': [
    () => parsePgoutput(Buffer.concat([encode(COMMIT), Buffer.from('x')])),
    /longer than its content/,
  ],
  'a position that no number holds': [() => parseWal(keepalive(2 ** 53, false)), /position above 2\^53/],
  'a part in the place of another': [() => parsePgoutput(Buffer.from('490000000758', 'hex')), /holds 0x58 where/],
  'a row outside of a transaction': [() => read(POSTS, INSERT), /insert where it can't be/],
  'a commit without a begin': [() => read(COMMIT), /commit where it can't be/],
  'a row of a table that was not described': [() => read(BEGIN, INSERT), /a row of a table that it did not describe/],
  'a row of other columns': [
    () => read(POSTS, BEGIN, { kind: 'insert', oid: 7, new: ['1', '2'] }),
    /another number of columns/,
  ],
  'an update under FULL without its old row': [
    () => read(POSTS, BEGIN, { kind: 'update', oid: 7, sent: 'none', old: [], new: ['1'] }),
    /REPLICA IDENTITY FULL came without its old row/,
  ],
  'a snapshot that is none': [() => parseSnapshot('1'), /a snapshot in a form that is not known/],
}

test.for(Object.entries(CASES))('%s: TIDEMARK_PROTOCOL', ([, [provoke, says]]) => {
  expectPlain(failure(provoke), says)
})

test('a snapshot that was exported under a name that is none: TIDEMARK_PROTOCOL', async () => {
  const rows = [{ consistent_point: '0/1', snapshot_name: "'; drop table posts; --" }]
  const replication = { query: async () => ({ rows }) } as unknown as Client
  const error = await createSlot(replication, {} as SqlConnection).catch((reason: unknown) => reason)
  expectPlain(error, /exported a snapshot under a name that is none/)
})

test('a transaction that invalidates more than can be kept: TIDEMARK_LIMIT', () => {
  const error = failure(() => read(BEGIN, MESSAGE, MESSAGE, MESSAGE, MESSAGE, MESSAGE, MESSAGE))
  expect(error).toBeInstanceOf(LimitError)
  expect((error as Error).message).toMatch(/^One transaction invalidates more than 500000 keys and tags\. Split it/)
})

function failure(provoke: () => unknown): unknown {
  try {
    provoke()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

function expectPlain(error: unknown, says: RegExp): void {
  expect(error).toBeInstanceOf(ProtocolError)
  const { code, message } = error as ProtocolError
  expect(code).toBe('TIDEMARK_PROTOCOL')
  expect(message.slice(0, message.indexOf('. '))).toMatch(says)
  expect(message).toMatch(/taken up anew by itself.*look for a newer version of Tidemark, or report it/)
}
