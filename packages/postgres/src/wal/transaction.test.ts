import type { Change } from 'tidemark'
import { beforeEach, expect, test } from 'vitest'
import { encode, type Sent } from '../../test/encoder.js'
import { ProtocolError } from './errors.js'
import type { Relation } from './protocol.js'
import { type Transaction, TransactionReader } from './transaction.js'

const posts: Relation = {
  kind: 'relation',
  oid: 7,
  schema: 'public',
  name: 'posts',
  identity: 'default',
  columns: [
    { name: 'id', isIdentity: true, type: 23 },
    { name: 'body', isIdentity: false, type: 25 },
  ],
}

let names: Record<string, readonly string[]>
let redescribed: number
let reader: TransactionReader

beforeEach(() => {
  names = { posts: ['public.posts'] }
  redescribed = 0
  reader = new TransactionReader({
    hasMessageTable: false,
    rowsMax: 3,
    bytesMax: 1_000,
    namesOf: (relation) => names[relation.name],
    readMessage: (prefix, content): readonly Change[] =>
      prefix === 'tidemark/ddl' ? [{ kind: 'everything', reason: content.toString() }] : [],
    redescribed: () => redescribed++,
  })
})

function read(...messages: readonly Sent[]): Transaction[] {
  return messages.map((message) => reader.read(encode(message))).filter((transaction) => transaction !== undefined)
}

/** The changes of one transaction with these messages in it. */
function changes(...messages: readonly Sent[]): readonly Change[] {
  const [transaction] = read(begin, ...messages, commit)
  return JSON.parse(JSON.stringify(transaction!.changes))
}

const begin: Sent = { kind: 'begin', finalLsn: 90, committedAt: 1_700_000_000_000, xid: 731 }
const commit: Sent = { kind: 'commit', lsn: 90, endLsn: 100, committedAt: 1_700_000_000_000 }
const insert = (id: string, body: string | null = null): Sent => ({ kind: 'insert', oid: 7, new: [id, body] })

test('a transaction has the end of its commit, its id and its time', () => {
  expect(read(posts, begin, insert('1'), commit)).toMatchObject([
    { endLsn: 100, xid: 731, committedAt: 1_700_000_000_000 },
  ])
  expect(reader.isOpen).toBe(false)
})

test('without a K tuple the old row has the identity of the new one, unchanged', () => {
  expect(changes(posts, { kind: 'update', oid: 7, sent: 'none', old: [], new: ['1', 'b'] })).toEqual([
    { kind: 'row', op: 'update', table: 'public.posts', old: { id: '1' }, new: { id: '1', body: 'b' } },
  ])
})

test('of a K tuple only the identity columns are values', () => {
  expect(changes(posts, { kind: 'delete', oid: 7, sent: 'key', old: ['1', null] })).toEqual([
    { kind: 'row', op: 'delete', table: 'public.posts', old: { id: '1' }, new: null },
  ])
})

test('an identity value that was not sent again is filled from the K tuple', () => {
  expect(changes(posts, { kind: 'update', oid: 7, sent: 'key', old: ['k', null], new: [undefined, 'b'] })).toEqual([
    { kind: 'row', op: 'update', table: 'public.posts', old: { id: 'k' }, new: { id: 'k', body: 'b' } },
  ])
})

test('under FULL an update without its old row is an error, not a guess', () => {
  const full: Relation = {
    ...posts,
    identity: 'full',
    columns: posts.columns.map((column) => ({ ...column, isIdentity: true })),
  }
  expect(() => read(full, begin, { kind: 'update', oid: 7, sent: 'none', old: [], new: ['1', 'b'] })).toThrow(
    ProtocolError,
  )
})

test('at the limit of rows a transaction is kept by rows, above it by tables; other changes stay', () => {
  read(posts)
  const message: Sent = {
    kind: 'message',
    isTransactional: true,
    lsn: 1,
    prefix: 'tidemark/ddl',
    content: Buffer.from('x'),
  }
  expect(changes(insert('1'), insert('2'), insert('3'))).toHaveLength(3)
  expect(changes(insert('1'), message, insert('2'), insert('3'), insert('4'), insert('5'))).toEqual([
    { kind: 'everything', reason: 'x' },
    { kind: 'table', table: 'public.posts', reason: 'large' },
  ])
  expect(changes(insert('1'))).toHaveLength(1)
})

test('above the limit of bytes too', () => {
  read(posts)
  expect(changes(insert('1', 'x'.repeat(1_000)))).toEqual([{ kind: 'table', table: 'public.posts', reason: 'large' }])
})

test('a row of a table that is not known counts for everything, once, and asks for a look', () => {
  names = {}
  read(posts)
  expect(changes(insert('1'), insert('2'))).toEqual([{ kind: 'everything', reason: expect.any(String) }])
  expect(redescribed).toBe(1)
  names = { posts: ['public.posts'] }
  reader.forgetNames()
  expect(changes(insert('1'))).toMatchObject([{ kind: 'row' }])
})

test('a truncated or too large table that is not known counts for everything too', () => {
  names = {}
  read(posts)
  expect(changes({ kind: 'truncate', oids: [7] })).toMatchObject([{ kind: 'everything' }])
  expect(changes(insert('1'), insert('2'), insert('3'), insert('4'))).toMatchObject([{ kind: 'everything' }])
})

test('a table that is described anew as it was is no change; one that differs is', () => {
  read(posts)
  expect(changes(posts, insert('1'))).toHaveLength(1)
  const wider: Relation = { ...posts, columns: [...posts.columns, { name: 'c', isIdentity: false, type: 25 }] }
  expect(changes(wider, { kind: 'insert', oid: 7, new: ['1', null, null] })).toMatchObject([
    { kind: 'table', table: 'public.posts', reason: 'ddl' },
    { kind: 'row' },
  ])
  expect(redescribed).toBe(2)
})

test('what comes out of order is an error', () => {
  expect(() => read(commit)).toThrow(ProtocolError)
  expect(() => read(posts, insert('1'))).toThrow(ProtocolError)
  expect(() => read(begin, begin)).toThrow(ProtocolError)
})

test('a row of a table that was never described, or of another width, is an error', () => {
  expect(() => read(begin, insert('1'))).toThrow(ProtocolError)
  expect(() => read(posts, { kind: 'insert', oid: 7, new: ['1'] })).toThrow(ProtocolError)
})
