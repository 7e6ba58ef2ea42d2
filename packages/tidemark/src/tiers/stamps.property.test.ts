import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Dependency, RowsDependency } from '../dependencies/dependency.js'
import { isUnchanged, touches } from '../dependencies/match.js'
import type { Change, Image, RowChange } from '../log/change.js'
import type { L2Mark } from './l2.js'
import { Marks, meantBy, Shapes, stampsOf } from './stamps.js'

const TABLES = ['public.posts', 'public.comments']
const COLUMNS = ['a', 'b', 'c']
const ORDERS = ['text', 'number', 'padded', 'folded'] as const

const table = fc.constantFrom(...TABLES)
const value = fc.constantFrom(null, '1', '2', '1.0', 'x', 'X', 'x ', 'ü')
const reads = fc.option(fc.subarray(COLUMNS), { nil: undefined })
const image: fc.Arbitrary<Image> = fc.dictionary(fc.constantFrom(...COLUMNS), value)

const rows: fc.Arbitrary<RowsDependency> = fc
  .record({
    table,
    columns: fc.subarray(COLUMNS),
    values: fc.array(value, { minLength: 3, maxLength: 3 }),
    orders: fc.option(fc.array(fc.constantFrom(...ORDERS), { minLength: 3, maxLength: 3 }), { nil: undefined }),
    reads,
    old: fc.constantFrom('members' as const, 'coarse' as const, 'ignored' as const),
    range: fc.option(fc.record({ column: fc.constantFrom(...COLUMNS), value: fc.constantFrom('1', '2') }), {
      nil: undefined,
    }),
    also: fc.option(fc.record({ column: fc.constantFrom(...COLUMNS), values: fc.subarray(['1', 'x', 'X']) }), {
      nil: undefined,
    }),
  })
  .map(({ table, columns, values, orders, reads, old, range, also }) => ({
    kind: 'rows',
    table,
    columns,
    values: values.slice(0, columns.length),
    old,
    ...(orders && { orders: orders.slice(0, columns.length) }),
    ...(reads && { reads }),
    ...(range && { range: { column: range.column, order: 'number', from: { value: range.value, isIncluded: true } } }),
    ...(also && { also: [{ is: 'in', order: 'text', ...also }] }),
  }))

const tenant = fc.constantFrom('a', 'b')
const name = fc.constantFrom('x', 'y', '')
const dependency: fc.Arbitrary<Dependency> = fc.oneof(
  rows,
  fc.record({ kind: fc.constant('tag' as const), tenant, tag: name }),
  fc.record({ kind: fc.constant('key' as const), tenant, key: name }),
  fc.record({ table, reads }).map(({ table, reads }) => ({ kind: 'table' as const, table, ...(reads && { reads }) })),
)

const row: fc.Arbitrary<RowChange> = fc
  .record({
    op: fc.constantFrom('insert' as const, 'update' as const, 'delete' as const),
    table,
    before: image,
    after: image,
  })
  .map(({ op, table, before, after }) => ({
    kind: 'row',
    op,
    table,
    old: op === 'insert' ? null : before,
    new: op === 'delete' ? null : after,
  }))
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: row },
  fc.record({
    kind: fc.constant('table' as const),
    table,
    reason: fc.constantFrom('truncate' as const, 'columns-added' as const),
  }),
  fc.constant({ kind: 'everything' as const, reason: 'a test' }),
  fc.record({ kind: fc.constantFrom('tag' as const, 'key' as const), tenant, name }).map(({ kind, tenant, name }) => ({
    kind: 'target' as const,
    targets: [kind === 'tag' ? { kind, tenant, tag: name } : { kind, tenant, key: name }],
    mode: 'drop' as const,
  })),
  fc
    .oneof(
      fc.record({
        kind: fc.constant('pattern' as const),
        tenant,
        syntax: fc.constant('glob' as const),
        pattern: fc.constantFrom('x*', '*', '?'),
      }),
      fc.record({ kind: fc.constant('tenant' as const), tenant }),
      fc.constant({ kind: 'everything' as const }),
    )
    .map((target) => ({ kind: 'target' as const, targets: [target], mode: 'drop' as const })),
)

/** An update that left alone all that it is about touches nothing, though L1 may not know in time that it did. */
function isTouched(dependency: Dependency, change: Change): boolean {
  if (dependency.kind === 'rows' && dependency.reads && change.kind === 'row') {
    const { columns, range, also = [] } = dependency
    const named = [
      ...dependency.reads,
      ...columns,
      ...also.map(({ column }) => column),
      ...(range ? [range.column] : []),
    ]
    if (isUnchanged(change, named)) return false
  }
  return touches(dependency, change)
}

function isOf({ name, pattern }: L2Mark, stamped: string, own: readonly Dependency[]): boolean {
  return pattern === undefined ? name === undefined || name === stamped : meantBy(pattern, own) !== undefined
}

test('a pattern means in L2 what it means in L1, and no other key of its tenant', () => {
  let left = 0
  fc.assert(
    fc.property(dependency, change, (own, drawn) => {
      if (own.kind !== 'key' || drawn.kind !== 'target' || drawn.targets[0]!.kind !== 'pattern') return
      const [stamp] = stampsOf([own])
      const marks = new Marks()
      new Shapes([stamp!.shape]).mark([drawn], 7, marks)
      const isMarked = marks.all.some((mark) => isOf(mark, stamp!.name, [own]))
      if (marks.all.length > 0 && !isMarked) left++
      expect(isMarked).toBe(touches(own, drawn))
    }),
    { numRuns: 20_000 },
  )
  expect(left).toBeGreaterThan(0)
})

test('what touches a dependency in L1 marks one of its stamps', () => {
  fc.assert(
    fc.property(
      fc.array(dependency, { minLength: 1, maxLength: 4 }),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      (own, changes, isWide) => {
        // Where L2 has no room for a shape, it uses the wide stamp.
        const stamps = stampsOf(own).map((stamp, i) => (isWide[i] ? (stamp.wide ?? stamp) : stamp))
        const marks = new Marks()
        new Shapes(stamps.map(({ shape }) => shape)).mark(changes, 7, marks)
        const isMarked = marks.all.some((mark) =>
          stamps.some(({ shape, name }) => mark.shape === shape && isOf(mark, name, own)),
        )
        const isAnyTouched = changes.some((change) => own.some((dependency) => isTouched(dependency, change)))
        expect(isMarked || !isAnyTouched).toBe(true)
        for (const { lsn } of marks.all) expect(lsn).toBe(7)
      },
    ),
    { numRuns: 20_000 },
  )
})

test('of equalities alone L2 marks no more than L1 touches, where old values are known', () => {
  let narrow = 0
  fc.assert(
    fc.property(rows, row, (drawn, change) => {
      const { range: _, also: __, reads: ___, orders: ____, ...plain } = drawn
      const full = (side: Image | null): Image | null => side && { a: '1', b: '1', c: '1', ...side }
      const known = { ...change, old: full(change.old), new: full(change.new) }
      const [stamp] = stampsOf([plain])
      const marks = new Marks()
      new Shapes([stamp!.shape]).mark([known], 7, marks)
      const isMarked = marks.all.some(({ name }) => name === undefined || name === stamp!.name)
      if (!isMarked) narrow++
      // Of all rows of a table L2 knows no more than the table.
      if (plain.columns.length === 0 && plain.old === 'ignored') expect(isMarked || !touches(plain, known)).toBe(true)
      else expect(isMarked).toBe(touches(plain, known))
    }),
    { numRuns: 5_000 },
  )
  expect(narrow).toBeGreaterThan(100)
})
