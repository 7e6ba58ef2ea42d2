import fc from 'fast-check'
import { expect, test } from 'vitest'
import { patchBetween } from './difference.js'

/** Does a patch as RFC 6902 says, with no word of ours: add, replace and remove are all that there can be. */
function applied(from: unknown, patch: string | undefined): unknown {
  const root = { '': structuredClone(from) } as Record<string, unknown>
  for (const { op, path, value } of JSON.parse(patch ?? '[]') as { op: string; path: string; value: unknown }[]) {
    const steps = path.split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    let at = root as unknown
    for (const step of steps.slice(0, -1)) at = (at as Record<string, unknown>)[step]
    const last = steps.at(-1)!
    if (Array.isArray(at) && op !== 'replace')
      at.splice(Number(last), op === 'remove' ? 1 : 0, ...(op === 'add' ? [value] : []))
    else if (op === 'remove') delete (at as Record<string, unknown>)[last]
    else Object.defineProperty(at, last, { value, writable: true, enumerable: true, configurable: true })
  }
  return root['']
}

const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown)

test('a patch makes the one of the other, whatever they are', () => {
  fc.assert(
    fc.property(json, json, (from, to) => {
      const patch = patchBetween(JSON.stringify(from), JSON.stringify(to))
      expect(applied(from, patch)).toEqual(to)
      if (patch === undefined) expect(from).toEqual(to)
    }),
    { numRuns: Number(process.env['FC_RUNS'] ?? 2_000) },
  )
})

test('small edits of arrays and objects make small patches', () => {
  const items = fc.array(fc.oneof(fc.integer(), fc.record({ a: fc.integer() })), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(items, fc.nat(), fc.integer(), (from, at, item) => {
      const place = at % from.length
      for (const to of [from.toSpliced(place, 0, item), from.toSpliced(place, 1), from.with(place, item)]) {
        const patch = patchBetween(JSON.stringify({ from }), JSON.stringify({ from: to }))
        expect(applied({ from }, patch)).toEqual({ from: to })
        expect(JSON.parse(patch ?? '[]').length).toBeLessThanOrEqual(1)
      }
    }),
  )
})

test('digits that JavaScript cannot hold are told', () => {
  expect(patchBetween('{"n":12345678901234567890.1}', '{"n":12345678901234567890.2}')).toBe(
    '[{"op":"replace","path":"/n","value":12345678901234567890.2}]',
  )
  expect(patchBetween('{"a~/b":1}', '{"a~/b":1}')).toBeUndefined()
  expect(patchBetween('{"a~/b":1}', '{}')).toBe('[{"op":"remove","path":"/a~0~1b"}]')
  expect(patchBetween('1', '{"a":null}')).toBe('[{"op":"replace","path":"","value":{"a":null}}]')
})
