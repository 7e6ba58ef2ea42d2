import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TreeLimitError, TreePathError } from './errors.js'
import { limitsOf } from './limits.js'
import { childOf } from './pointer.js'
import { type Wildcard, wildcardOf } from './wildcard.js'

const LIMITS = limitsOf()
const name = fc.constantFrom('a', 'b', '*', '**', '', '0', '~', '/', '__proto__')
const tree = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(1, 'x', null, true, [], {}),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('json')), { maxLength: 4 }).map((members) => Object.fromEntries(members)),
  ),
})).json

/** All nodes of a value, by the steps to each. */
function* nodes(value: unknown, steps: readonly string[] = []): Generator<readonly [readonly string[], unknown]> {
  yield [steps, value]
  if (typeof value !== 'object' || value === null) return
  for (const [step, child] of Object.entries(value)) yield* nodes(child, [...steps, step])
}

const isLeaf = (value: unknown) => typeof value !== 'object' || value === null || Object.keys(value).length === 0

function isNamed(pattern: readonly string[], steps: readonly string[], value: unknown): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return steps.length === 0
  if (first === '**') return isLeaf(value)
  return steps.length > 0 && (first === '*' || first === steps[0]) && isNamed(rest, steps.slice(1), value)
}

/** It might be wrong by naming a node too many or too few, at odd names, or by taking another one for the top. */
it('a path with wildcards names the nodes that its steps match, one by one, and no others', () => {
  const step = fc.oneof(name, fc.constant('*')).filter((each) => each !== '**')
  const pattern = fc
    .tuple(fc.array(step, { maxLength: 3 }), fc.constantFrom([], ['*'], ['**']))
    .map(([before, last]) => [...before, ...last])
    .filter((steps) => steps.some((each) => each.startsWith('*')))
  fc.assert(
    fc.property(tree, pattern, (value, steps) => {
      const wildcard = wildcardOf(steps.reduce(childOf, ''), LIMITS) as Wildcard
      const first = steps.findIndex((each) => each === '*' || each === '**')
      const top = [...nodes(value)].find(([at]) => JSON.stringify(at) === JSON.stringify(steps.slice(0, first)))
      const expected = [...nodes(value)]
        .filter(([at, node]) => isNamed(steps, at, node))
        .map(([at, node]) => [at.reduce(childOf, ''), JSON.stringify(node)])
        .sort(([one], [other]) => (one! < other! ? -1 : 1))
      expect(wildcard.top).toBe(steps.slice(0, first).reduce(childOf, ''))
      expect([...wildcard.nodesIn(top ? { json: JSON.stringify(top[1]) } : null, 1_000)]).toEqual(expected)
    }),
    { numRuns: Number(process.env['FC_RUNS'] ?? 1_000), ...seed() },
  )
})

it('a path without one is the path of a node; "**" in its middle is refused, and so is what names too much', () => {
  expect(wildcardOf('/a/b*/c', LIMITS)).toBe(undefined)
  expect(() => wildcardOf('/a/**/b', LIMITS)).toThrow(TreePathError)
  expect(() => wildcardOf('*', LIMITS)).toThrow(TreePathError)
  expect(() => wildcardOf('/*', LIMITS)!.nodesIn({ json: '[1,2,3]' }, 2)).toThrow(TreeLimitError)
  expect([...wildcardOf('/**', LIMITS)!.nodesIn({ json: '12345678901234567890' }, 2)]).toEqual([
    ['', '12345678901234567890'],
  ])
})

function seed() {
  return process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}
}

it('a tree is read once for all paths that are asked of it in a row', () => {
  let reads = 0
  const view = {
    get json() {
      reads++
      return '{"a":{"x":1},"b":{"x":2}}'
    },
  }
  for (const path of ['/*', '/*/x', '/**']) expect(wildcardOf(path, LIMITS)!.nodesIn(view, 10).size).toBe(2)
  expect(reads).toBe(1)
})
