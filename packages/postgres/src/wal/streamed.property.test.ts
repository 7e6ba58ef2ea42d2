import fc from 'fast-check'
import type { Change } from 'tidemark'
import { expect, test } from 'vitest'
import { encode, type Sent } from '../../test/encoder.js'
import type { Relation } from './protocol.js'
import { type Transaction, TransactionReader } from './transaction.js'

/** One thing that a transaction does: write a row of a table under a subtransaction, or roll one back. */
type Step =
  | { readonly do: 'row'; readonly sub: number; readonly table: number }
  | { readonly do: 'truncate'; readonly sub: number; readonly table: number }
  | { readonly do: 'abort'; readonly sub: number }

interface Plan {
  readonly steps: readonly Step[]
  readonly isStreamed: boolean
  readonly end: 'commit' | 'abort' | 'none'
}

const TABLES = 3
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('row' as const), sub: fc.nat(4), table: fc.nat(TABLES - 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('truncate' as const), sub: fc.nat(4), table: fc.nat(TABLES - 1) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), sub: fc.integer({ min: 1, max: 4 }) }) },
)
const plan: fc.Arbitrary<Plan> = fc.record({
  steps: fc.array(step, { maxLength: 25 }),
  isStreamed: fc.boolean(),
  end: fc.constantFrom('commit' as const, 'commit' as const, 'abort' as const, 'none' as const),
})
const plans = fc.array(plan, { minLength: 1, maxLength: 5 })
/** Which transaction goes on next, and by how many steps. */
const turns = fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 8 })), { maxLength: 60 })

const xidOf = (transaction: number, sub = 0): number => 1_000 * (transaction + 1) + sub
const nameOf = (table: number): string => `public.t${table}`

function relation(table: number, xid?: number): Sent {
  const described: Relation = {
    kind: 'relation',
    oid: 10 + table,
    schema: 'public',
    name: `t${table}`,
    identity: 'default',
    columns: [{ name: 'id', isIdentity: true, type: 23 }],
  }
  return xid === undefined ? described : { ...described, xid }
}

/** Writes what a server would send: whole transactions when they commit, streamed ones in segments as they go. */
function sent(all: readonly Plan[], turnsTaken: readonly (readonly [number, number])[]): Sent[] {
  const messages: Sent[] = []
  const at = all.map(() => 0)
  const isBegun = all.map(() => false)
  const isEnded = all.map(() => false)
  let lsn = 100
  let row = 0
  const encodeStep = (transaction: number, taken: Step, isStreamed: boolean): Sent[] => {
    const xid = isStreamed && taken.do !== 'abort' ? { xid: xidOf(transaction, taken.sub) } : {}
    if (taken.do === 'row') return [{ kind: 'insert', oid: 10 + taken.table, new: [String(row++)], ...xid }]
    if (taken.do === 'truncate') return [{ kind: 'truncate', oids: [10 + taken.table], ...xid }]
    return [{ kind: 'stream-abort', xid: xidOf(transaction), sub: xidOf(transaction, taken.sub) }]
  }
  const go = (transaction: number, count: number): void => {
    const { steps, isStreamed } = all[transaction]!
    if (!isStreamed) {
      at[transaction] = Math.min(steps.length, at[transaction]! + count)
      return
    }
    let isOpen = false
    const open = (): void => {
      if (isOpen) return
      messages.push({ kind: 'stream-start', xid: xidOf(transaction), isFirst: !isBegun[transaction] })
      if (!isBegun[transaction])
        for (let table = 0; table < TABLES; table++) messages.push(relation(table, xidOf(transaction)))
      isBegun[transaction] = true
      isOpen = true
    }
    const close = (): void => {
      if (isOpen) messages.push({ kind: 'stream-stop' })
      isOpen = false
    }
    for (const taken of steps.slice(at[transaction], at[transaction]! + count)) {
      if (taken.do === 'abort') close()
      else open()
      messages.push(...encodeStep(transaction, taken, true))
      at[transaction]!++
    }
    close()
  }
  const finish = (transaction: number): void => {
    const { steps, isStreamed, end } = all[transaction]!
    isEnded[transaction] = true
    go(transaction, steps.length)
    if (end === 'none') return
    const xid = xidOf(transaction)
    lsn += 10
    if (isStreamed) {
      if (!isBegun[transaction]) messages.push({ kind: 'stream-start', xid, isFirst: true }, { kind: 'stream-stop' })
      messages.push(
        end === 'abort'
          ? { kind: 'stream-abort', xid, sub: xid }
          : { kind: 'stream-commit', xid, lsn, endLsn: lsn, committedAt: 946_684_800_000 },
      )
      return
    }
    if (end === 'abort') return
    messages.push({ kind: 'begin', finalLsn: lsn, committedAt: 946_684_800_000, xid })
    for (let table = 0; table < TABLES; table++) messages.push(relation(table))
    for (const taken of surviving(steps)) messages.push(...encodeStep(transaction, taken, false))
    messages.push({ kind: 'commit', lsn, endLsn: lsn, committedAt: 946_684_800_000 })
  }
  for (const [index, count] of turnsTaken) {
    const transaction = index % all.length
    if (isEnded[transaction]) continue
    if (at[transaction]! + count > all[transaction]!.steps.length) finish(transaction)
    else go(transaction, count)
  }
  all.forEach((_, transaction) => {
    if (!isEnded[transaction]) finish(transaction)
  })
  return messages
}

/** What is left of a transaction: all but what came under a subtransaction before that was rolled back. */
function surviving(steps: readonly Step[]): Step[] {
  return steps.filter(
    (taken, i) =>
      taken.do !== 'abort' && !steps.slice(i).some((later) => later.do === 'abort' && later.sub === taken.sub),
  )
}

function read(messages: readonly Sent[], rowsMax: number): { transactions: Transaction[]; reader: TransactionReader } {
  const reader = new TransactionReader({
    hasMessageTable: false,
    rowsMax,
    bytesMax: 1e9,
    namesOf: ({ schema, name }) => [`${schema}.${name}`],
    readMessage: () => [],
    redescribed: () => {},
  })
  const transactions = messages.map((message) => reader.read(encode(message))).filter((each) => each !== undefined)
  return { transactions, reader }
}

const word = (change: Change): string =>
  change.kind === 'row' || change.kind === 'table' ? `${change.kind} ${change.table}` : change.kind

test('whatever is streamed between what: each commit has just what was not rolled back, in its order', () => {
  fc.assert(
    fc.property(plans, turns, (all, taken) => {
      const { transactions, reader } = read(sent(all, taken), 1_000)
      const committed = all.flatMap(({ end }, i) => (end === 'commit' ? [xidOf(i)] : []))
      expect(transactions.map(({ xid }) => xid).sort()).toEqual(committed.sort())
      for (const { xid, changes } of transactions) {
        const { steps } = all[xid / 1_000 - 1]!
        expect(changes.map(word)).toEqual(
          surviving(steps).map((each) =>
            each.do === 'abort' ? '' : `${each.do === 'row' ? 'row' : 'table'} ${nameOf(each.table)}`,
          ),
        )
      }
      expect(reader.isOpen).toBe(false)
      expect(reader.streamed).toBe(
        all.filter(({ isStreamed, end }, i) => isStreamed && end === 'none' && wasBegun(all[i]!)).length,
      )
    }),
    { numRuns: 1_000 },
  )
})

test('of transactions that are too large the tables remain: of just those parts that were not rolled back', () => {
  fc.assert(
    fc.property(plans, turns, fc.integer({ min: 1, max: 8 }), (all, taken, rowsMax) => {
      for (const { xid, changes, counts } of read(sent(all, taken), rowsMax).transactions) {
        const tables = new Set(
          changes.map((change) => (change.kind === 'row' || change.kind === 'table' ? change.table : '')),
        )
        const left = surviving(all[xid / 1_000 - 1]!.steps)
        expect([...tables].sort()).toEqual(
          [...new Set(left.map((each) => (each.do === 'abort' ? '' : nameOf(each.table))))].sort(),
        )
        for (const [name, { insert, truncate, isExact }] of counts ?? []) {
          const count = (what: string) =>
            left.filter((each) => each.do === what && each.do !== 'abort' && nameOf(each.table) === name).length
          expect({ insert, truncate, isExact }).toEqual({
            insert: count('row'),
            truncate: count('truncate'),
            isExact: true,
          })
        }
        if (left.length > rowsMax) expect([...counts!.keys()].sort()).toEqual([...tables].sort())
      }
    }),
    { numRuns: 1_000 },
  )
})

function wasBegun({ steps }: Plan): boolean {
  return steps.some((each) => each.do !== 'abort')
}

test('a hundred thousand savepoints of a large transaction leave what they changed, and no more', () => {
  const { reader } = read([], 100)
  const feed = (message: Sent): Transaction | undefined => reader.read(encode(message))
  feed({ kind: 'stream-start', xid: 1, isFirst: true })
  for (let table = 0; table < 2; table++) feed(relation(table, 1))
  for (let sub = 2; sub < 100_002; sub++) feed({ kind: 'insert', oid: 10 + (sub % 2), new: ['1'], xid: sub })
  feed({ kind: 'stream-stop' })
  for (let sub = 2; sub < 100_002; sub += 2) feed({ kind: 'stream-abort', xid: 1, sub })
  const commit: Sent = { kind: 'stream-commit', xid: 1, lsn: 1, endLsn: 1, committedAt: 946_684_800_000 }
  const { changes, counts } = feed(commit)!
  expect(changes).toEqual([{ kind: 'table', table: 'public.t1', reason: 'large' }])
  expect([...counts!]).toEqual([['public.t1', { insert: 50_000, update: 0, delete: 0, truncate: 0, isExact: true }]])
})

test('what a transaction described before it was rolled back does not hold for others', () => {
  const { reader } = read([relation(0)], 100)
  const wide: Sent = {
    ...(relation(0) as Relation),
    columns: [
      { name: 'id', isIdentity: true, type: 23 },
      { name: 'more', isIdentity: false, type: 23 },
    ],
    xid: 5,
  }
  const feed = (...messages: Sent[]): Transaction | undefined =>
    messages.map((each) => reader.read(encode(each))).at(-1)
  feed({ kind: 'stream-start', xid: 5, isFirst: true }, wide, { kind: 'insert', oid: 10, new: ['1', '2'], xid: 5 })
  feed({ kind: 'stream-stop' }, { kind: 'stream-abort', xid: 5, sub: 5 })
  const whole = feed(
    { kind: 'begin', finalLsn: 1, committedAt: 946_684_800_000, xid: 6 },
    { kind: 'insert', oid: 10, new: ['1'] },
    { kind: 'commit', lsn: 1, endLsn: 2, committedAt: 946_684_800_000 },
  )
  expect(whole?.changes).toMatchObject([{ kind: 'row', new: { id: '1' } }])
})
