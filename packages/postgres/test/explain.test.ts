import { afterAll, beforeAll, expect, it } from 'vitest'
import type { PostgresSource, TableExplanation } from '../src/index.js'
import { World } from './opened.js'

/** What is said of a statement: each place where it reads a table, which updates count there, and what would be better. */

let world: World
let source: PostgresSource

beforeAll(async () => {
  const columns = 'id int primary key, boss int, name text, wage int'
  world = await World.create(`
    create table people (${columns});
    create table fully (${columns});
    alter table fully replica identity full;
    create table keyless (id int, name text);
    create unlogged table loose (id int primary key);
    create view names as select id, name from people;
    create table parted (id int primary key, name text) partition by range (id);
    create table parted_1 partition of parted for values from (0) to (100);
  `)
  source = (await world.open({ follow: 'off' })).source
})
afterAll(() => world?.drop())

async function tables(text: string): Promise<readonly TableExplanation[]> {
  return (await source.explain(text)).tables
}

it('each place of a table that is joined to itself has the columns that are read there', async () => {
  const [people] = await tables('select p.name from people p join people b on b.id = p.boss where p.id = $1')
  expect(people!.places).toEqual([
    {
      line: 'rows of public.people where id = $1 (old values: self-join)',
      tests: [],
      reads: ['boss', 'id', 'name'],
      updates: expect.stringContaining('did not'),
    },
    {
      line: expect.stringContaining('in (boss of public.people where id = $1)'),
      tests: [],
      reads: ['id'],
      updates: OTHERS,
    },
  ])
})

const OTHERS = 'An update of other columns touches nothing.'

it('which updates count depends on what the log tells of old values', async () => {
  const updates = async (text: string) => (await tables(text))[0]!.places[0]!.updates
  expect(await updates('select name from fully where id = 1')).toBe(OTHERS)
  expect(await updates('select id from people where id = 1')).toBe(OTHERS)
  expect(await updates('select name, wage from people where id = 1')).toBe(
    'An update of other columns touches nothing only under replica identity full: the log does not say whether it left name, wage as ' +
      'before, except large values that it did not write anew.',
  )
  expect(await updates('select * from people where id = 1')).toMatch(/^Every update counts/)
  expect(await updates('select name from names where id = 1')).toMatch(/^An update of other columns touches nothing/)
  expect(await updates('select count(*) from people')).toMatch(/^No update counts/)
})

it('conditions that are tested on each row are told as they are written', async () => {
  const tests = async (condition: string) =>
    (await tables(`select name from fully where ${condition}`))[0]!.places[0]!.tests
  for (const condition of [
    'wage + 1 = $1',
    'coalesce(wage, 0) in (1, $1)',
    'case when wage > 5 then boss = 1 else boss = 2 end',
    "(wage = $1) or ((boss <> id) and not (name like 'a''%'))",
    'wage not between boss - 1 and (boss + 1) * 2',
    '(wage, boss) < ($1, 2)',
    'wage is distinct from boss',
    '(wage > 5) is not true',
  ])
    expect(await tests(condition)).toEqual([condition])
  expect(await tests('id = $1')).toEqual([])
  expect((await tables('select count(wage) from fully where boss + 1 = $1'))[0]!.places[0]!.tests).toEqual([
    'boss + 1 = $1',
    'wage is not null',
  ])
})

it('what sends no changes, or cannot be followed, is told with what to do', async () => {
  expect(await tables('select id from loose')).toMatchObject([
    {
      follows: 'nothing',
      places: [{ line: 'all of public.loose' }, { line: 'sends no changes: public.loose', updates: undefined }],
      advice: ['Changes of public.loose are not in the log: give the entry a ttl.'],
    },
  ])
  expect(await tables('select name from keyless')).toMatchObject([
    { advice: [expect.stringMatching(/keyless has no usable replica identity.*give it a primary key/)] },
  ])
  expect(await tables('select name from parted where id = 1')).toMatchObject([{ follows: 'rows', advice: [] }])
  expect(await tables('select name from people where boss = 1')).toMatchObject([
    { advice: [expect.stringContaining('alter table public.people replica identity full')] },
  ])
})
