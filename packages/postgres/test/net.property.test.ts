import fc from 'fast-check'
import type { Change, Image, RowsDependency, TableDependency } from 'tidemark'
import { expect, test } from 'vitest'
import { touches } from '../../tidemark/src/dependencies/match.js'
import { netOf } from '../src/wal/net.js'

// A row might be taken for another, so that a change is lost; or a change be touched that is none. The model is the rows that a query
// reads, before and after the transaction.

const row = fc.record({
  id: fc.constantFrom('1', '2', '3'),
  a: fc.constantFrom('1', '2', null),
  b: fc.constantFrom('x', 'y'),
})
const step = fc.record({
  op: fc.constantFrom('insert' as const, 'delete' as const, 'update' as const),
  at: fc.nat(),
  row,
})
const dependency = fc.record({
  value: fc.option(fc.constantFrom('1', '2')),
  reads: fc.option(fc.subarray(['id', 'a', 'b']), { nil: undefined }),
})

/** Runs steps on rows; which of them can't be done are left out. */
function transaction(
  before: readonly Image[],
  steps: readonly { op: 'insert' | 'delete' | 'update'; at: number; row: Image }[],
) {
  const rows = [...before]
  const changes: Change[] = []
  for (const { op, at, row } of steps) {
    if (op === 'insert') rows.push(row)
    else if (rows.length === 0) continue
    const place = op === 'insert' ? rows.length - 1 : at % rows.length
    const old = op === 'insert' ? null : rows[place]!
    if (op === 'update') rows[place] = row
    if (op === 'delete') rows.splice(place, 1)
    changes.push({ kind: 'row', op, table: 'public.t', old, new: op === 'delete' ? null : row })
  }
  return { rows, changes }
}

test('what a query reads is another one only if the net change touches it; and no more is touched than before', () => {
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 4 }),
      fc.array(step, { maxLength: 8 }),
      dependency,
      (before, steps, { value, reads }) => {
        const { rows, changes } = transaction(before, steps)
        const net = netOf(changes)
        const depends: RowsDependency | TableDependency = {
          ...(value === null
            ? { kind: 'table', table: 'public.t' }
            : { kind: 'rows', table: 'public.t', columns: ['a'], values: [value], old: 'coarse' }),
          ...(reads && { reads }),
        } as RowsDependency | TableDependency
        const isTouched = (all: readonly Change[]): boolean => all.some((change) => touches(depends, change))
        const read = (images: readonly Image[]): string =>
          images
            .filter((image) => value === null || image.a === value)
            .map((image) => JSON.stringify((reads ?? ['id', 'a', 'b']).map((name) => image[name])))
            .sort()
            .join()
        if (read(before) !== read(rows)) expect(isTouched(net)).toBe(true)
        if (!isTouched(changes)) expect(isTouched(net)).toBe(false)
      },
    ),
    { numRuns: 3_000 },
  )
})

test('a row that is written anew is an update of itself, and others stay as they are', () => {
  const [one, two] = [
    { id: '1', a: 'x' },
    { id: '2', a: 'y' },
  ]
  const change = (op: 'insert' | 'delete', image: Image): Change => ({
    ...{ kind: 'row', op, table: 'public.t' },
    ...(op === 'insert' ? { old: null, new: image } : { old: image, new: null }),
  })
  const written = [change('delete', one), change('delete', two), change('insert', two), change('insert', one)]
  expect(netOf(written)).toEqual([
    { kind: 'row', op: 'update', table: 'public.t', old: two, new: two },
    { kind: 'row', op: 'update', table: 'public.t', old: one, new: one },
  ])
  // Without the whole old row nothing is known of it.
  const byKey = [change('delete', { id: '1' }), change('insert', one)]
  expect(netOf(byKey)).toEqual(byKey)
  const alone = [change('insert', one)]
  expect(netOf(alone)).toBe(alone)
})
