import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until, World } from './opened.js'

/*
 * What a comparison says of rows by the values that it has: where it is with NULL, or with an empty list; in the order of an enum; and where
 * a cast names a type of the schema's own. Of each query a write that can't change the answer leaves it, and one that changes it does not.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create extension citext;
    create type mood as enum ('live', 'draft', 'gone');
    create domain label as text check (value <> 'never');
    create domain positive as int check (value >= 0);
    create domain short as varchar(2);
    create table things (id int primary key, n int, big bigint, title text, code varchar(20), name citext, status mood, data bytea);
    alter table things replica identity full;
    create function id_of(int) returns setof int language sql stable as 'select id from things where n = $1'`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

interface Case {
  readonly values?: readonly unknown[]
  readonly drops?: readonly string[]
  readonly leaves?: readonly string[]
}

const row = (columns: Record<string, string | number | null>) => {
  const all = { id: 100, ...columns }
  const values = Object.values(all).map((each) => (typeof each === 'string' ? `'${each}'` : (each ?? 'null')))
  return `insert into things (${Object.keys(all).join()}) values (${values.join()})`
}

const cases: Record<string, Record<string, Case>> = {
  'with NULL, or with no value': {
    'n < $1': { values: [null], leaves: [row({ n: 1 }), row({ n: null })] },
    'n between $1 and 5': { values: [null], leaves: [row({ n: 1 })] },
    'title like $1': { values: [null], leaves: [row({ title: 'a' })] },
    'n <> $1': { values: [null], leaves: [row({ n: 1 }), row({ n: null })] },
    'n not in (1, $1)': { values: [null], leaves: [row({ n: 2 })] },
    'n <> all($1)': { values: [[1, null]], leaves: [row({ n: 2 })] },
    'n <> all ($1::int[])': { values: [[]], drops: [row({ n: 2 }), row({ n: null })] },
    'n <> all ($1::bigint[])': { values: [null], leaves: [row({ n: 2 })] },
    'n = 1 or n < $1': { values: [null], drops: [row({ n: 1 })], leaves: [row({ n: 0 })] },
    'not (n < $1)': { values: [null], leaves: [row({ n: 1 })] },
    'n is distinct from $1': { values: [null], drops: [row({ n: 1 })] },
    'n <> all ($1::int[]) and id > 0': { values: ['{}'], drops: [row({ n: null })] },
  },
  'with the first of several that is not NULL': {
    'n = coalesce($1, 5)': { values: [null], drops: [row({ n: 5 })], leaves: [row({ n: 1 }), row({ n: null })] },
    'n <= coalesce($1, 5)': { values: [1], drops: [row({ n: 1 })], leaves: [row({ n: 5 })] },
    'n = coalesce($1, null)::int': { values: ['1'], drops: [row({ n: 1 })], leaves: [row({ n: 5 })] },
    "title = coalesce($1, 'b')": { values: [null], drops: [row({ title: 'b' })], leaves: [row({ title: 'a' })] },
    'n > coalesce($1::int, null)': { values: [null], leaves: [row({ n: 1 })] },
    'n >= coalesce($1::int, 2.5)': { values: [null], drops: [row({ n: 3 })] },
    "big = coalesce($1, '7')::bigint": { values: [null], drops: [row({ big: 7 })], leaves: [row({ big: 1 })] },
    'id in (select id_of(coalesce($1, 3)))': { values: [null], drops: [row({ n: 3 })], leaves: [row({ n: 4 })] },
  },
  'in the order of an enum': {
    'status > $1': { values: ['live'], drops: [row({ status: 'gone' })], leaves: [row({ status: 'live' }), row({})] },
    "status <= 'draft'": { drops: [row({ status: 'draft' })], leaves: [row({ status: 'gone' })] },
    "status between 'draft' and $1": {
      values: ['draft'],
      drops: [row({ status: 'draft' })],
      leaves: [row({ status: 'live' }), row({ status: 'gone' })],
    },
    "status < 'live'::mood": { leaves: [row({ status: 'live' }), row({ status: 'gone' })] },
    'status >= $1': { values: ['gone'], drops: [row({ status: 'gone' })], leaves: [row({ status: 'draft' })] },
    'status > $1::mood and n = 1': { values: [null], leaves: [row({ n: 1, status: 'gone' })] },
  },
  'with a cast to a type of its own': {
    "title = 'a'::label": { drops: [row({ title: 'a' })], leaves: [row({ title: 'b' })] },
    'title = $1::label': { values: ['a'], drops: [row({ title: 'a' })], leaves: [row({ title: 'b' })] },
    'title::label = $1': { values: ['a'], drops: [row({ title: 'a' })], leaves: [row({ title: 'b' })] },
    'code = any($1::label[])': { values: [['a', 'b']], drops: [row({ code: 'a' })], leaves: [row({ code: 'c' })] },
    "n in ('1'::positive, $1)": { values: [2], drops: [row({ n: 1 }), row({ n: 2 })], leaves: [row({ n: 3 })] },
    'n >= $1::positive': { values: [2], drops: [row({ n: 2 })], leaves: [row({ n: 1 })] },
    'big = any($1::positive[])': { values: [[1, 2]], drops: [row({ big: 2 })], leaves: [row({ big: 3 })] },
    'status = any($1::mood[])': {
      values: [['gone']],
      drops: [row({ status: 'gone' })],
      leaves: [row({ status: 'live' })],
    },
    "status = any(array['gone', $1]::mood[])": {
      values: ['draft'],
      drops: [row({ status: 'draft' })],
      leaves: [row({ status: 'live' })],
    },
    'n = any(array[1, 2]::bigint[])': { drops: [row({ n: 1 })], leaves: [row({ n: 3 })] },
    "data = '\\x01'::bytea": { drops: [row({ data: '\\x01' })], leaves: [row({ data: '\\x02' })] },
    'data = $1::bytea': { values: [Buffer.of(1)], drops: [row({ data: '\\x01' })], leaves: [row({ data: '\\x02' })] },
    "name = 'A'::citext": { drops: [row({ name: 'a' })], leaves: [row({ name: 'b' })] },
    "name = any(array['A']::citext[])": { drops: [row({ name: 'a' })], leaves: [row({ name: 'b' })] },
    // Its length cuts the value.
    "code = 'abc'::short": { drops: [row({ code: 'ab' })] },
  },
}

const LABELS = ['live', 'draft', 'gone']
const OPERATORS: Record<string, (left: number, right: number) => boolean> = {
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
}
for (const [operator, holds] of Object.entries(OPERATORS)) {
  for (const [index, value] of LABELS.entries()) {
    const writes = (isIn: boolean) =>
      LABELS.filter((_, place) => holds(place, index) === isIn).map((status) => row({ status }))
    cases['in the order of an enum']![`status ${operator} cast($1::text as mood) /* ${value} */`] = {
      values: [value],
      drops: writes(true),
      leaves: [...writes(false), row({ status: null })],
    }
  }
}

describe.each(Object.entries(cases))('%s', (_, queries) => {
  it.each(Object.entries(queries))('%s', async (where, { values = [], drops = [], leaves = [] }) => {
    await world.admin.query(`truncate things; ${row({ id: 1, n: 7 })}`)
    const { cache } = await world.open()
    const text = `select id from things where ${where} order by id`
    const read = () => cache.get('answer', ({ sql }) => sql.query(text, [...values]).then(({ rows }) => rows))
    const isKept = () => cache.peek('answer') !== undefined
    /** Whether the write drops it; in any case it is right then. */
    async function isDropped(write: string): Promise<boolean> {
      await until(async () => (await read()) && isKept())
      await world.admin.query(write)
      // It comes through the log after the write.
      await cache.invalidate({ tags: ['nothing'] })
      const kept = isKept()
      expect(await read()).toEqual((await world.admin.query(text, [...values])).rows)
      await world.admin.query('delete from things where id = 100')
      await cache.invalidate({ tags: ['nothing'] })
      return !kept
    }
    for (const write of drops) expect(`${write} ${await isDropped(write)}`).toBe(`${write} true`)
    for (const write of leaves) expect(`${write} ${await isDropped(write)}`).toBe(`${write} false`)
  })
})

it('a label that an enum gets later counts where it stands', async () => {
  await world.admin.query("truncate things; create type size as enum ('s', 'l'); alter table things add size size")
  const { cache } = await world.open()
  const read = () => cache.get('large', ({ sql }) => sql.many<{ id: number }>`select id from things where size > 's'`)
  await until(async () => (await read()) && cache.peek('large') !== undefined)
  await world.admin.query("alter type size add value 'm' before 'l'")
  await world.admin.query("insert into things (id, size) values (1, 'm')")
  await cache.invalidate({ tags: ['nothing'] })
  expect(await read()).toEqual([{ id: 1 }])
})
