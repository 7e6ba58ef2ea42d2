import { beforeAll, expect, it } from 'vitest'
import { loadParser } from '../sql/parse.js'
import { kindOf } from './statement-kind.js'

beforeAll(() => loadParser())

it.each([
  ['begin isolation level repeatable read', 'transaction'],
  ['set transaction isolation level serializable', 'transaction'],
  ['savepoint a', 'transaction'],
  ['commit; begin', 'transaction'],
  ["set transaction snapshot '1'", 'other'],
  ['select * from t', 'harmless'],
  ['insert into t values (1)', 'harmless'],
  ['begin; update t set a = 1; commit', 'harmless'],
  ['with d as (delete from t returning *) select * from d', 'harmless'],
  ["select set_config('a', 'b', true)", 'other'],
  ["update t set a = pg_catalog.set_config('a', 'b', false)", 'other'],
  ['set search_path to x', 'other'],
  ['set local role x', 'other'],
  ['select 1; set a.b = 1', 'other'],
  ['create temp table t (a int)', 'other'],
  ['do $$ begin end $$', 'other'],
  ['reset a.b', 'other'],
  ['reset all', 'reset'],
  ['discard all', 'reset'],
  ['discard temp', 'other'],
  ['reset all; set a.b = 1', 'other'],
  ['selec', 'other'],
  ['', 'other'],
  [`select ${'1+'.repeat(2_500)}1`, 'other'],
  [`select ${'1+'.repeat(20_000)}1`, 'other'],
])('%s', (text, kind) => {
  // How deep the walk goes depends on the stack that is left: such a text is harmless, or not known to be.
  if (text.length > 1_000) expect(['harmless', 'other']).toContain(kindOf(text))
  else expect(kindOf(text)).toBe(kind)
})
