import type { Cache } from 'tidemark'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Sql } from '../src/index.js'
import { until, World } from './opened.js'

/*
 * Aggregates without GROUP BY: a row matters only if it counts for one of them. They skip NULLs, and what FILTER refuses; `max` and `min`
 * answer the same without the rows before the one that they show. And a row that is written anew in one transaction was only updated.
 */

let world: World
let cache: Cache<{ sql: Sql }>

beforeAll(async () => {
  world = await World.create(`
    create table sales (id int primary key, shop int, paid numeric, at timestamp, note text);
    alter table sales replica identity full;
    create table tags (post int, tag text, primary key (post, tag));
    alter table tags replica identity full;
    create table parted (id int, shop int, part int, primary key (id, part)) partition by list (part);
    create table parted_1 partition of parted for values in (1);
    create table parted_2 partition of parted for values in (2);
    alter table parted_1 replica identity full;
    alter table parted_2 replica identity full;`)
  ;({ cache } = await world.open())
})
beforeEach(() =>
  world.admin.query(`truncate sales, tags, parted;
    insert into sales select i, 1, case when i > 2 then i * 10 end, timestamp '2026-01-01' + i * interval '1 day', 'n' from generate_series(1, 5) i;
    insert into tags values (1, 'a'), (1, 'b'), (2, 'a');
    insert into parted values (1, 1, 1), (2, 1, 1)`),
)
afterAll(() => world?.drop())

let keys = 0

/** Whether writes drop the answer; it is right in any case. */
async function drops(text: string, ...writes: readonly string[]): Promise<boolean[]> {
  const key = `key${keys++}`
  const read = () => cache.get(key, ({ sql }) => sql.query(text).then(({ rows }) => rows))
  const isKept = () => cache.explain(key).state === 'fresh'
  const found: boolean[] = []
  for (const write of writes) {
    await until(async () => (await read()) && isKept())
    await world.admin.query(write)
    // It comes through the log after the write.
    await cache.invalidate({ tags: ['nothing'] })
    found.push(!isKept())
    expect(await read(), write).toEqual((await world.admin.query(text)).rows)
  }
  return found
}

it('NULLs of what is summed or counted do not matter, nor what else a column says that is only counted', async () => {
  const writes = [
    'insert into sales values (6, 1, null)',
    'delete from sales where id = 6',
    'update sales set paid = paid + 1 where id = 3',
    'update sales set paid = 5 where id = 1',
    'update sales set paid = null where id = 1',
    'delete from sales where id = 4',
  ]
  expect(await drops('select count(paid) from sales where shop = 1', ...writes)).toEqual([
    ...[false, false, false, true, true, true],
  ])
  await world.admin.query('insert into sales values (4, 1, 40)')
  expect(await drops('select sum(paid) from sales where shop = 1', ...writes)).toEqual([
    ...[false, false, true, true, true, true],
  ])
})

it('of several aggregates a row counts for any, and each by its own columns', async () => {
  const text = 'select count(paid) as paid, count(note) as noted, sum(id) filter (where shop = 2) as ids from sales'
  expect(
    await drops(
      text,
      'insert into sales values (6, 1, null)',
      'update sales set paid = null, note = $$x$$ where id = 6',
      'update sales set note = null, paid = 1 where id = 6',
      'update sales set shop = 2 where id = 6',
      'update sales set shop = 3, paid = null where id = 6',
      'update sales set at = now() where id = 6',
    ),
  ).toEqual([false, true, true, true, true, false])
})

it('what FILTER refuses does not matter', async () => {
  const text = 'select count(*) filter (where paid > 35) as many from sales'
  expect(
    await drops(
      text,
      'insert into sales values (6, 1, 10)',
      'update sales set paid = 20 where id = 6',
      'update sales set paid = 45 where id = 4',
      'update sales set paid = 36 where id = 6',
      'delete from sales where id = 1',
      'delete from sales where id = 6',
    ),
  ).toEqual([false, false, false, true, false, true])
  expect(await drops('select array_agg(id) filter (where false) as ids from sales', 'delete from sales')).toEqual([
    false,
  ])
})

it('max and min stay while rows come and go that are no further out', async () => {
  for (const [text, out, far] of [
    ['select max(paid) from sales where shop = 1', '45', '60'],
    ['select min(paid) from sales where shop = 1', '31', '20'],
  ])
    expect(
      await drops(
        text!,
        `insert into sales values (6, 1, ${out})`,
        `update sales set paid = ${Number(out) + 1} where id = 6`,
        'update sales set paid = null where id = 6',
        `update sales set paid = ${far} where id = 6`,
        'delete from sales where id = 6',
        'insert into sales values (7, 2, 1000)',
        'delete from sales where id = 7',
      ),
    ).toEqual([false, false, false, true, true, false, false])
  expect(await drops('select max(at) as last, min(at) as first from sales', 'delete from sales where id = 3')).toEqual([
    false,
  ])
  expect(await drops('select max(paid) from sales where shop = 9', 'insert into sales values (8, 9, 1)')).toEqual([
    true,
  ])
  // Each row counts here.
  for (const text of ['select max(paid), count(*) from sales', 'select shop, max(paid) from sales group by shop'])
    expect(await drops(text, 'insert into sales values (20, 3, 1)', 'delete from sales where id = 20')).toEqual([
      true,
      true,
    ])
})

it('where ORDER BY with LIMIT goes by a column whose values are listed, those behind the last row do not matter', async () => {
  const text = 'select id, shop from sales where shop in (1, 2, 3) order by shop limit 2'
  expect(
    await drops(
      text,
      'insert into sales values (6, 3, 1)',
      'update sales set shop = 2 where id = 6',
      'update sales set shop = 1 where id = 6',
    ),
  ).toEqual([false, false, true])
})

it('rows that are deleted and inserted again are updated at most', async () => {
  const anew = "begin; delete from tags where post = 1; insert into tags values (1, 'a'), (1, 'b'); commit"
  const others = "begin; delete from tags where post = 1; insert into tags values (1, 'a'), (1, 'c'); commit"
  expect(await drops('select tag from tags where post = 1', anew, others)).toEqual([false, true])
  expect(await drops("select post from tags where tag = 'a'", anew, others)).toEqual([false, false])
  expect(await drops('select xmin from tags where post = 1', anew)).toEqual([true])
  const move = 'update parted set part = 3 - part where id = 1'
  expect(await drops('select id from parted where shop = 1 order by id', move)).toEqual([false])
  expect(await drops('select id, part from parted where shop = 1 order by id', move)).toEqual([true])
})
