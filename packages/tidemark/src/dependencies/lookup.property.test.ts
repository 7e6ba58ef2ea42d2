import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Change, Image, Target } from '../log/change.js'
import type { Dependency } from './dependency.js'
import { DependencyIndex } from './lookup.js'
import { reach, touches } from './match.js'

// The index might be wrong in what it finds (tuples that look alike, unknown taken for null, a shape forgotten) or in what
// it keeps (links of entries that left, groups without entries). The model is a Map of slots to plain dependencies.

const TABLES = ['public.posts', 'public."constructor"']
const COLUMNS = ['a', 'b', 'constructor']
const text = fc.constantFrom('', '0', '1', '-0', '01', '10', '2147483647', '2147483648', '1:1', '~', 'x', null)
const tenant = fc.constantFrom('t', 'u')
const name = fc.constantFrom('1', 'x', 'y')

const rows: fc.Arbitrary<Dependency> = fc
  .record({
    table: fc.constantFrom(...TABLES),
    columns: fc.subarray(COLUMNS, { minLength: 0 }),
    values: fc.tuple(text, text, text),
    old: fc.constantFrom('members' as const, 'coarse' as const),
  })
  .map(({ columns, values, ...rest }) => ({ kind: 'rows', ...rest, columns, values: values.slice(0, columns.length) }))

const dependency: fc.Arbitrary<Dependency> = fc.oneof(
  { weight: 4, arbitrary: rows },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('table' as const), table: fc.constantFrom(...TABLES) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tag' as const), tenant, tag: name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('key' as const), tenant, key: name }) },
)

const image: fc.Arbitrary<Image> = fc
  .tuple(fc.subarray(COLUMNS), text, text, text)
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
  fc.record({ kind: fc.constant('table' as const), table, reason: fc.constant('truncate' as const) }),
  fc.record({
    kind: fc.constant('target' as const),
    targets: fc.array(target, { maxLength: 3 }),
    mode: fc.constant('drop' as const),
  }),
  fc.record({ kind: fc.constant('everything' as const), reason: fc.constant('test') }),
)

type Step =
  | { readonly do: 'set'; readonly slot: number; readonly dependencies: readonly Dependency[] }
  | { readonly do: 'remove'; readonly slot: number }
  | { readonly do: 'resolve' | 'drop'; readonly change: Change }

const slot = fc.nat(15)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('set' as const), slot, dependencies: fc.array(dependency, { maxLength: 6 }) }),
  fc.record({ do: fc.constant('remove' as const), slot }),
  fc.record({ do: fc.constantFrom('resolve' as const, 'drop' as const), change }),
)

function sorted(slots: Iterable<number>): number[] {
  return [...new Set(slots)].sort((a, b) => a - b)
}

test('a change touches exactly the entries of which a dependency matches it, and nothing is left of those that went', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const index = new DependencyIndex()
      index.resize(16)
      const model = new Map<number, readonly Dependency[]>()
      const remove = (slot: number) => {
        index.remove(slot)
        model.delete(slot)
      }
      for (const step of steps) {
        if (step.do === 'set') {
          index.remove(step.slot)
          if (step.dependencies.length > 0) index.add(step.slot, step.dependencies)
          model.set(step.slot, step.dependencies)
        } else if (step.do === 'remove') {
          remove(step.slot)
        } else {
          const expected = [...model].filter(([, own]) => own.some((one) => touches(one, step.change)))
          const coarse = expected.flatMap(([, own]) => own).filter((one) => reach(one, step.change) === 'coarse')
          const shapes = new Set(coarse.map((one) => one.kind === 'rows' && `${one.old} ${one.columns}`))
          const touched: number[] = []
          const count = index.resolve(step.change, (slot) => {
            touched.push(slot)
            if (step.do === 'drop' && model.has(slot)) remove(slot)
          })
          expect(sorted(touched)).toEqual(sorted(expected.map(([slot]) => slot)))
          // A drop may empty a coarse shape before its turn.
          if (step.do === 'resolve') expect(count).toBe(shapes.size)
        }
        for (const [slot, own] of model) {
          const kept = new Set(index.of(slot).map((one) => JSON.stringify(one, Object.keys(one).sort())))
          expect(kept).toEqual(new Set(own.map((one) => JSON.stringify(one, Object.keys(one).sort()))))
        }
      }
      for (const slot of [...model.keys()]) remove(slot)
      expect(index.dependencies).toBe(0)
      expect(index.remains).toEqual({ groups: 0, links: 0 })
    }),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 2000) },
  )
})
