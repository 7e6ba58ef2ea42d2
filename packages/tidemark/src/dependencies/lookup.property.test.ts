import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Change, Image, Target } from '../log/change.js'
import { type Condition, type Dependency, type Range, VERSION } from './dependency.js'
import { DependencyIndex } from './lookup.js'
import { type Reach, reach, touches } from './match.js'
import { keyOf, type Order } from './order.js'
import type { Predicate, Term } from './predicate.js'

// The index might be wrong in what it finds (tuples that look alike, unknown taken for null, a shape forgotten) or in what
// it keeps (links of entries that left, groups without entries), in ranges (ends, order, what is left of a tree), and in what it
// spares (columns that are read), in what it hands out (another's dependency under the same object). The model is a Map of slots to plain dependencies.

const TABLES = ['public.posts', 'public."constructor"']
const COLUMNS = ['a', 'b', 'constructor']
const text = fc.constantFrom(
  ...[
    '',
    '0',
    '1',
    '-0',
    '01',
    '10',
    '2147483647',
    '2147483648',
    '1:1',
    '~',
    'x',
    'x ',
    'X',
    '\uffff',
    '\u{10000}',
    null,
  ],
  ...[
    '1.0',
    '1.5',
    '-1.5',
    '9007199254740992',
    '9007199254740993',
    '0.12345678',
    'NaN',
    'Infinity',
    '-Infinity',
    '1e2',
  ],
  ...['2020-01-31', '2020-02-01 00:00:00.5', '12020-01-01', '0044-03-15 BC', 'infinity', '-infinity'],
)
const tenant = fc.constantFrom('t', 'u')
const name = fc.constantFrom('1', 'x', 'y')

const order = fc.constantFrom<Order>('text', 'number', 'float', 'moment', 'padded', 'folded')
const column = fc.constantFrom(...COLUMNS)
const bound = fc.record({ value: text.filter((value) => value !== null), isIncluded: fc.boolean() })
const range: fc.Arbitrary<Range> = fc.record(
  { column, order, from: bound, to: bound },
  { requiredKeys: ['column', 'order'] },
)
const condition: fc.Arbitrary<Condition> = fc.oneof(
  range.map((each) => ({ is: 'range' as const, ...each })),
  fc.record({
    is: fc.constantFrom('in' as const, 'not-in' as const),
    column,
    order,
    values: fc.array(
      text.filter((value) => value !== null),
      { maxLength: 4 },
    ),
  }),
  fc.record({ is: fc.constantFrom('null' as const, 'not-null' as const), column }),
)
const term: fc.Arbitrary<Term> = fc.oneof(
  column.map((name) => ({ of: 'column' as const, column: name })),
  text.map((value) => ({ of: 'constant' as const, value })),
)
const { predicate } = fc.letrec<{ predicate: Predicate }>((tie) => ({
  predicate: fc.oneof(
    { maxDepth: 2 },
    fc.record({
      is: fc.constant('compared' as const),
      operator: fc.constantFrom('=' as const, '<>' as const, '<' as const, '>=' as const),
      order,
      left: term,
      right: term,
    }),
    fc.record({ is: fc.constant('absent' as const), term }),
    fc.record({ is: fc.constant('not' as const), part: tie('predicate') }),
    fc.record({
      is: fc.constantFrom('and' as const, 'or' as const),
      parts: fc.array(tie('predicate'), { maxLength: 3 }),
    }),
  ),
}))
const rowTest = predicate.map((holds) => ({ columns: COLUMNS, holds }))
const reads = fc.subarray([...COLUMNS, 'd', VERSION])

const rows: fc.Arbitrary<Dependency> = fc
  .record(
    {
      table: fc.constantFrom(...TABLES),
      columns: fc.subarray(COLUMNS, { minLength: 0 }),
      values: fc.tuple(text, text, text),
      orders: fc.tuple(order, order, order),
      range,
      also: fc.array(condition, { minLength: 1, maxLength: 3 }),
      test: rowTest,
      reads,
      old: fc.constantFrom('members' as const, 'coarse' as const, 'ignored' as const),
    },
    { requiredKeys: ['table', 'columns', 'values', 'old'] },
  )
  .map(({ columns, values, orders, ...rest }) => ({
    kind: 'rows',
    ...rest,
    columns,
    values: values.slice(0, columns.length),
    ...(orders && { orders: orders.slice(0, columns.length) }),
  }))

/** The index may tell another text of the same value. */
function normal(dependency: Dependency): string {
  if (dependency.kind !== 'rows') return sortedText(dependency)
  const { orders, values, range } = dependency
  const keyed = (value: string | null, order: Order) => (value === null ? null : String(keyOf(order, value) ?? value))
  const end = (each: Range['from']) => {
    const key = each && keyOf(range!.order, each.value)
    return key === undefined ? undefined : { key, isIncluded: each!.isIncluded }
  }
  return sortedText({
    ...dependency,
    values: values.map((value, i) => (orders ? keyed(value, orders[i]!) : value)),
    range: range && { ...range, from: end(range.from), to: end(range.to) },
  })
}

function sortedText(value: object): string {
  return JSON.stringify(value, (_, each) =>
    each && typeof each === 'object' && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  )
}

/** What makes dependencies one shape, whose entries are found together. */
function shapeOf(dependency: Dependency): string {
  if (dependency.kind !== 'rows') return ''
  const { columns, orders, range, also, reads, old } = dependency
  const indexed = range ? [range.column, range.order] : also ? 'also' : ''
  return JSON.stringify([columns, orders, indexed, reads, old])
}

const dependency: fc.Arbitrary<Dependency> = fc.oneof(
  { weight: 4, arbitrary: rows },
  {
    weight: 1,
    arbitrary: fc.record(
      { kind: fc.constant('table' as const), table: fc.constantFrom(...TABLES), reads },
      { requiredKeys: ['kind', 'table'] },
    ),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tag' as const), tenant, tag: name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('key' as const), tenant, key: name }) },
)

const image: fc.Arbitrary<Image> = fc
  .tuple(fc.subarray([...COLUMNS, 'd']), text, text, text, text)
  .map(([columns, ...values]) => Object.fromEntries(columns.map((column, i) => [column, values[i]!])))

const target: fc.Arbitrary<Target> = fc.oneof(
  fc.record({ kind: fc.constant('tag' as const), tenant, tag: name }),
  fc.record({ kind: fc.constant('key' as const), tenant, key: name }),
)

const table = fc.constantFrom(...TABLES)
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant('row' as const),
    op: fc.constant('insert' as const),
    table,
    old: fc.constant(null),
    new: image,
  }),
  fc.record({ kind: fc.constant('row' as const), op: fc.constant('update' as const), table, old: image, new: image }),
  fc.record({
    kind: fc.constant('row' as const),
    op: fc.constant('delete' as const),
    table,
    old: image,
    new: fc.constant(null),
  }),
  fc.record({
    kind: fc.constant('table' as const),
    table,
    reason: fc.constantFrom('truncate' as const, 'columns-added' as const),
  }),
  fc.record({
    kind: fc.constant('target' as const),
    targets: fc.array(target, { maxLength: 3 }),
    mode: fc.constant('drop' as const),
  }),
  fc.record({ kind: fc.constant('everything' as const), reason: fc.constant('test') }),
)

type Step =
  | { readonly do: 'set'; readonly slot: number; readonly dependencies: readonly Dependency[] }
  | {
      readonly do: 'take over'
      readonly slot: number
      readonly from: number
      readonly dependencies: readonly Dependency[]
    }
  | { readonly do: 'remove'; readonly slot: number }
  | { readonly do: 'resolve' | 'drop'; readonly change: Change }

const slot = fc.nat(15)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('set' as const), slot, dependencies: fc.array(dependency, { maxLength: 6 }) }),
  fc.record({
    do: fc.constant('take over' as const),
    slot,
    from: slot,
    dependencies: fc.array(dependency, { maxLength: 2 }),
  }),
  fc.record({ do: fc.constant('remove' as const), slot }),
  fc.record({ do: fc.constantFrom('resolve' as const, 'drop' as const), change }),
)

// Few columns and values, so that ranges and rows meet.
const digit = fc.constantFrom('1', '2', '2.0', '3', '4', null)
const digitBound = fc.record({ value: fc.constantFrom('1', '2', '3', '4'), isIncluded: fc.boolean() })
const denseRows: fc.Arbitrary<Dependency> = fc
  .record(
    {
      equal: digit,
      range: fc.record({ from: digitBound, to: digitBound }, { requiredKeys: [] }),
      also: fc.constantFrom<readonly Condition[]>(
        [{ is: 'not-in', column: 'c', order: 'number', values: ['2'] }],
        [{ is: 'range', column: 'c', order: 'number', from: { value: '2', isIncluded: false } }],
        [{ is: 'not-null', column: 'c' }],
      ),
      reads: fc.constantFrom<readonly string[]>([], ['b'], ['c', 'd']),
      old: fc.constantFrom('members' as const, 'coarse' as const, 'ignored' as const),
    },
    { requiredKeys: ['old'] },
  )
  .map(({ equal, range: ends, ...rest }) => ({
    kind: 'rows',
    table: 't',
    ...(equal === undefined ? { columns: [], values: [] } : { columns: ['a'], values: [equal], orders: ['number'] }),
    ...(ends && { range: { column: 'b', order: 'number', ...ends } }),
    ...rest,
  }))
const denseImage: fc.Arbitrary<Image> = fc.record({ a: digit, b: digit, c: digit, d: digit }, { requiredKeys: [] })
const denseChange: fc.Arbitrary<Change> = fc
  .record({ old: fc.option(denseImage), new: fc.option(denseImage) })
  .map((images) => ({
    kind: 'row' as const,
    table: 't',
    op: images.old && images.new ? 'update' : images.old ? 'delete' : 'insert',
    ...images,
  }))
const denseStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('set' as const), slot, dependencies: fc.array(denseRows, { maxLength: 4 }) }),
  fc.record({ do: fc.constant('remove' as const), slot }),
  fc.record({ do: fc.constantFrom('resolve' as const, 'drop' as const), change: denseChange }),
)

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 2000)

function sorted(slots: Iterable<number>): number[] {
  return [...new Set(slots)].sort((a, b) => a - b)
}

test('a change touches exactly the entries of which a dependency matches it, and nothing is left of those that went', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), check), { numRuns: RUNS })
})

test('ranges and what is read are judged as exactly where many meet in one shape', () => {
  fc.assert(fc.property(fc.array(denseStep, { maxLength: 60 }), check), { numRuns: RUNS })
})

function check(steps: readonly Step[]): void {
  const index = new DependencyIndex()
  index.resize(16)
  const model = new Map<number, readonly Dependency[]>()
  const remove = (slot: number) => {
    index.remove(slot)
    model.delete(slot)
  }
  for (const step of steps) {
    if (step.do === 'set' || step.do === 'take over') {
      const dependencies = [...step.dependencies, ...(step.do === 'take over' ? index.handedOf(step.from) : [])]
      // Some are handed out of what goes now, and are nobody's until they are added.
      index.remove(step.slot)
      if (dependencies.length > 0) index.add(step.slot, dependencies)
      model.set(step.slot, dependencies)
    } else if (step.do === 'remove') {
      remove(step.slot)
    } else {
      const expected = [...model].filter(([, own]) => own.some((one) => touches(one, step.change)))
      const all = new Map([...model].flatMap(([, own]) => own.map((one) => [normal(one), one])))
      const reached = (how: Reach) => [...all.values()].filter((one) => reach(one, step.change) === how)
      const shapes = new Set(reached('coarse').map(shapeOf))
      const tally = { coarseOldValues: 0, unchanged: 0, alone: 0 }
      const touched: number[] = []
      const touch = (slot: number) => {
        touched.push(slot)
        if (step.do === 'drop' && model.has(slot)) remove(slot)
      }
      index.resolve(step.change, touch, tally)
      expect(sorted(touched)).toEqual(sorted(expected.map(([slot]) => slot)))
      // A drop may empty a shape before its turn.
      if (step.do === 'resolve')
        expect(tally).toEqual({ coarseOldValues: shapes.size, unchanged: reached('unchanged').length, alone: 0 })
    }
    for (const [slot, own] of model) {
      const kept = new Set(index.of(slot).map(normal))
      expect(kept).toEqual(new Set(own.map(normal)))
    }
  }
  for (const slot of [...model.keys()]) remove(slot)
  expect(index.dependencies).toBe(0)
  expect(index.remains).toEqual({ groups: 0, links: 0 })
}
