import { beforeAll, expect, it } from 'vitest'
import { mentionsOf } from './mentions.js'
import { loadParser, parseSql } from './parse.js'

beforeAll(loadParser)

const relations = (text: string): string[] => {
  const parsed = parseSql(text)
  if ('tooDeep' in parsed) throw new RangeError(text)
  return mentionsOf(parsed.statements)
    .relations.map(({ schema, name }) => (schema ? `${schema}.${name}` : name))
    .sort()
}

it.each([
  ['with v as (select * from a) select * from v, b', 'a b'],
  ['with v as (select * from v) select * from v', 'v'],
  ['with v as (select * from a), w as (select * from v) select * from w', 'a'],
  ['with w as (select * from v), v as (select * from a) select * from w, v', 'a v'],
  ['with recursive w as (select * from v), v as (select * from a) select * from w, v', 'a'],
  ['with recursive v as (select 1 as n union all select n + 1 from v) select * from v', ''],
  ['with v as (select * from a) select * from public.v', 'a public.v'],
  ['select * from v where id in (with v as (select * from a) select id from v)', 'a v'],
  ['with v as (select * from a) select * from b where id in (select id from v)', 'a b'],
  ['with v as (select * from a) select * from v union select * from v, c', 'a c'],
  ['select * from v union (with v as (select * from a) select * from v)', 'a v'],
  ['with v as (with v as (select * from a) select * from v) select * from v', 'a'],
  ['with w as (with v as (select * from a) select * from v) select * from v', 'a v'],
  ['with v as (select * from a) select (select count(*) from v) from lateral (select * from v) s', 'a'],
])('a name of WITH is no table: %s', (text, expected) => {
  expect(relations(text).join(' ')).toBe(expected)
})
