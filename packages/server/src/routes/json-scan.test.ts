import fc from 'fast-check'
import { expect, test } from 'vitest'
import { scanJson } from './json-scan.js'

// It might take what is in a text for JSON, miss one of a hundred ways to write a body that is refused, or refuse one that is fine.

const LIMITS = { depthMax: 5, listMax: 3, free: 'value' }
const scan = (text: string, limits = LIMITS) => scanJson(Buffer.from(text), limits)

test.each([
  ['{"value":[[[[1]]]]}', {}],
  ['{"value":[[[[[1]]]]]}', { isTooDeep: true }],
  ['{"value":"[[[[[[[[[["}', {}],
  ['{"value":"\\"[[[[[[[[[["}', {}],
  ['{"value":"\\\\",', {}],
  ['{"value":"\\\\","a":[[[[[', { isTooDeep: true }],
  ['{"tags":["a","b","c"]}', {}],
  ['{"tags":["a","b","c","d"]}', { tooLong: 'tags' }],
  ['{"tags":["a,b","c,d"],"value":[1,2,3,4,5]}', {}],
  ['{"val\\u0075e":[1,2,3,4,5]}', {}],
  ['{"value":[1,2,3,4],"tags":[1,2,3,4]}', { tooLong: 'tags' }],
  ['{"tags":[[1,2,3,4],[5,6,7,8]],"a":{"b":1,"c":2,"d":3,"e":4}}', {}],
  ['[1,2,3,4,5]', {}],
  ['[[1,2,3,4,5]]', {}],
  ['{"value":1e999}', { mayBeInfinite: true }],
  ['{"value":1E+5}', { mayBeInfinite: true }],
  ['{"value":1e-5,"a":"1e999","b":true}', {}],
  [`{"value":${'1'.repeat(309)}}`, { mayBeInfinite: true }],
  [`{"value":${'1'.repeat(308)}}`, {}],
  ['"', {}],
  ['', {}],
  [']]]]', {}],
])('%s', (text, told) => {
  expect(scan(text)).toEqual({ isTooDeep: false, tooLong: undefined, mayBeInfinite: false, ...told })
})

test('any JSON is as deep and as long as the parsed value', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6, depthSize: 'small' }), (text) => {
      const value: unknown = JSON.parse(text)
      const members = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
      const isLong = members.some(([name, each]) => name !== 'value' && Array.isArray(each) && each.length > 3)
      const told = scan(text)
      if (told.tooLong === undefined) expect(told.isTooDeep).toBe(depthOf(value) > LIMITS.depthMax)
      if (!told.isTooDeep && !text.includes('\\')) expect(told.tooLong !== undefined).toBe(isLong)
    }),
  )
})

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}
