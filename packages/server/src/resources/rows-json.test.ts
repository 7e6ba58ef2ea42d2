import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rowsToJson, rowToJson } from './rows-json.js'

const write = (oid: number, text: string | null) => rowToJson([{ name: 'v', oid }], [text]).slice('{"v":'.length, -1)

describe('the JSON of rows', () => {
  it.each<[string, number, string | null, string]>([
    ['int4', 23, '-7', '-7'],
    ['int8', 20, '9223372036854775807', '"9223372036854775807"'],
    ['numeric', 1700, '0.10', '"0.10"'],
    ['float8', 701, '1e-05', '1e-05'],
    ['float8 that JSON lacks', 701, 'NaN', '"NaN"'],
    ['float8 that JSON lacks', 701, '-Infinity', '"-Infinity"'],
    ['bool', 16, 't', 'true'],
    ['text', 25, 'a "b"\n\\ \u0001 😀', '"a \\"b\\"\\n\\\\ \\u0001 😀"'],
    ['json', 114, '{"a":\n 1.000000000000000000001}', '{"a":  1.000000000000000000001}'],
    ['jsonb', 3802, '[12345678901234567890]', '[12345678901234567890]'],
    ['bytea', 17, '\\x00ff', '"AP8="'],
    ['bytea in escapes', 17, '\\000\\377\\\\a', '"AP9cYQ=="'],
    ['timestamp', 1114, '2026-01-31 12:00:00.123456', '"2026-01-31T12:00:00.123456"'],
    ['timestamptz', 1184, '2026-01-31 12:00:00.123456+00', '"2026-01-31T12:00:00.123456+00:00"'],
    ['timestamptz', 1184, '2026-01-31 12:00:00+05:30', '"2026-01-31T12:00:00+05:30"'],
    ['timestamptz', 1184, '10000-01-31 12:00:00+00', '"10000-01-31T12:00:00+00:00"'],
    ['timestamptz', 1184, 'infinity', '"infinity"'],
    ['timestamp before Christ', 1114, '0044-03-15 12:00:00 BC', '"0044-03-15T12:00:00 BC"'],
    ['date', 1082, '2026-01-31', '"2026-01-31"'],
    ['uuid', 2950, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
    ['NULL', 23, null, 'null'],
    ['int4[]', 1007, '{{1,NULL},{-3,4}}', '[[1,null],[-3,4]]'],
    ['int8[]', 1016, '[0:1]={1,2}', '["1","2"]'],
    ['text[]', 1009, '{"a,\\"b\\\\",NULL,"NULL","",x y}', '["a,\\"b\\\\",null,"NULL","","x y"]'],
    ['jsonb[]', 3807, '{"{\\"a\\": 1}"}', '[{"a": 1}]'],
    ['an empty array', 1009, '{}', '[]'],
    ['a type that is not known', 869, '10.0.0.1', '"10.0.0.1"'],
  ])('writes %s (%i) %j', (_, oid, text, json) => {
    expect(write(oid, text)).toBe(json)
    expect(() => JSON.parse(json)).not.toThrow()
  })

  it('of no rows is an empty array, and of no row null', () => {
    expect(rowsToJson([{ name: 'v', oid: 25 }], [])).toBe('[]')
    expect(rowToJson([{ name: 'v', oid: 25 }], undefined)).toBe('null')
  })

  /** It might be wrong by breaking JSON, a line, or a character for some text, name or element. */
  it('reads back as the same text, on one line', () => {
    const text = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(text, fc.array(fc.option(text)), (name, elements) => {
        const array = `{${elements.map((each) => (each === null ? 'NULL' : `"${each.replaceAll(/["\\]/g, '\\$&')}"`)).join(',')}}`
        const json = rowsToJson(
          [
            { name, oid: 25 },
            { name: `${name}2`, oid: 1009 },
          ],
          [[name, array]],
        )
        expect(JSON.parse(json)).toEqual([
          Object.fromEntries([
            [name, name],
            [`${name}2`, elements],
          ]),
        ])
        expect(json).not.toMatch(/[\r\n]/)
      }),
    )
  })
})
