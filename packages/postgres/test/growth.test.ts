import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { World } from './opened.js'

/*
 * Where an answer has no row, only those that come to its tables may bring one: as far as it grows, or stays as it is, by a row more.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table a (id int primary key, x int, y int);
    create table b (id int primary key, x int, y int);
    create table c (id int primary key, x int, y int);
    create table e (id int primary key, x int, y int);
    alter table a replica identity full;
    alter table b replica identity full;
    alter table c replica identity full;
    alter table e replica identity full`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

async function opened(text: string, values: unknown[] = []) {
  await world.admin.query('truncate a, b, c, e')
  for (const table of ['a', 'b', 'c'])
    await world.admin.query(`insert into ${table} select i, i, i from generate_series(1, 4) i`)
  return world.keeping(text, values)
}

describe('an answer that has no row gets none by rows that go', () => {
  it.each([
    ['groups', 'select a.x, count(*) from a join b on b.id = a.id where a.x + b.x = 9 group by a.x'],
    ['DISTINCT', 'select distinct a.x from a join b on b.id = a.id where a.x + b.x = 9'],
    ['a window', 'select row_number() over () as n from a join b on b.id = a.id where a.x + b.x = 9'],
    ['OFFSET', 'select a.x from a join b on b.id = a.id where a.x + b.x = 9 order by 1 offset 1'],
    ['EXISTS', 'select a.x from a where exists (select from b where b.id = a.id and a.x + b.x = 9)'],
    [
      'UNION',
      'select a.x from a join b on b.id = a.id where a.x + b.x = 9 union select a.x from a, b where a.id = b.id and a.y + b.y = 9',
    ],
    ['a subquery', 'select * from (select distinct a.x, b.x as y from a join b on b.id = a.id) s where x + y = 9'],
  ])('%s', async (_, text) => {
    const drops = await opened(text)
    expect(await drops('delete from a where id = 1', 'delete from b where id = 2')).toBe(false)
    expect(await drops('insert into a values (9, 4, 5)', 'insert into b values (9, 5, 4)')).toBe(true)
  })

  it.each([
    ['HAVING', 'select count(*) from a where x < 50 having count(*) < 4'],
    [
      'a count that is compared',
      'select * from (select y, count(*) as n from a where x < 9 group by y + 100, y) s where n < 1 or (n = 1 and y > (select count(*) from a))',
    ],
    ['LIMIT in a subquery', 'select * from (select x from a order by x limit 1) s where x > 1'],
    ['a window in a subquery', 'select * from (select x, row_number() over (order by x) as n from a) s where n < x'],
    ['NOT IN', 'select b.id from b where b.id not in (select id from a)'],
    ['EXCEPT', 'select id from b except select id from a where x < 50'],
    ['an outer join', 'select b.id from b left join a on a.id = b.id where a.id is null'],
    [
      'EXISTS beside an outer join',
      'select b.id from b left join (select c.id from c where exists (select from a where a.id = c.id)) s on s.id = b.id where s.id is null',
    ],
    ['a series to a sum', 'select generate_series(1, 4 - count(*)::int) as n from a where x < 50 group by y - y'],
  ])('but by %s', async (_, text) => {
    const drops = await opened(text)
    expect(await drops('delete from a where id = 1')).toBe(true)
  })
})

describe('an arm of a set operation', () => {
  it.each([
    ['the right side of EXCEPT', 'select id from b where x = 9 except select x from a where y + 0 > 0'],
    ['a side of INTERSECT', 'select x from a where y + 0 > 0 intersect select id from b where x = 9'],
  ])('%s matters while there are rows of the other', async (_, text) => {
    const drops = await opened(text)
    await drops('update a set x = 9 where id = 1')
    expect(await drops('update a set x = 5 where id = 1')).toBe(false)
    expect(await drops('update a set x = 6 where id = 1', 'update b set id = 7, x = 9 where id = 1')).toBe(true)
    expect(await drops('update a set x = 7 where id = 1')).toBe(true)
  })

  it.each([
    ['the left side of EXCEPT', 'select x from a where y + 0 > 0 except select id from b where x = 9 order by 1'],
    ['an arm of UNION', 'select x from a where y + 0 > 0 union select id from b where x = 9 order by 1'],
  ])('%s matters in any case', async (_, text) => {
    const drops = await opened(text)
    expect(await drops('update a set x = 9 where id = 1')).toBe(true)
  })
})

describe('of NULL in a subquery, where a comparison with it may be unknown', () => {
  it.each(['is unknown', 'is not unknown', 'is false', 'is not false', 'is not true', 'is true'])(
    'IN that %s is right',
    async (test) => {
      const drops = await opened(`select a.id from a where (a.x in (select e.x from e)) ${test} order by 1`)
      await drops('insert into e values (1, null, 1)')
      await drops('insert into e values (2, 2, 1)')
      await drops('delete from e where id = 1')
    },
  )
})
