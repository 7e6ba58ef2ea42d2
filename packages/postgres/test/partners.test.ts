import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PostgresOptions, Sql } from '../src/index.js'
import { fillJoined, JOINED } from './joined.js'
import { until, World } from './opened.js'

/*
 * Of tables that are joined, and bounded each by itself, one is followed by the values of the other's rows: a row of it that has no
 * partner touches nothing.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`${JOINED}
    create table parts (id int, x int, b_id int, part int, primary key (id, part)) partition by list (part);
    create table part_1 partition of parts for values in (1);
    create table part_2 partition of parts for values in (2);
    alter table part_1 replica identity full;
    alter table part_2 replica identity full`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

async function opened(text: string, values: unknown[] = [], options: Partial<PostgresOptions> = {}) {
  await fillJoined(world)
  return world.keeping(text, values, options)
}

describe.each(['a', 'd'])('%s joined to b', (table) => {
  const text = `select t.id, b.id as other from ${table} t join b on b.id = t.b_id where t.x = $1 and b.x > 0 order by 1`

  it('a row without a partner touches nothing, one that has or gets one does', async () => {
    const drops = await opened(text, [1])
    expect(await drops('update b set x = 3 where id = 3')).toBe(false)
    expect(await drops('insert into b values (9, 1, 1)')).toBe(false)
    expect(await drops('delete from b where id = 4')).toBe(false)
    expect(await drops('update b set x = -1 where id = 1')).toBe(true)
    expect(await drops('update b set x = 1 where id = 1')).toBe(true)
    expect(await drops(`update ${table} set b_id = 9 where id = 2`)).toBe(true)
    expect(await drops('update b set x = -1 where id = 9')).toBe(true)
    expect(await drops('update b set id = 10 where id = 2')).toBe(false)
    expect(await drops('update b set id = 2 where id = 10')).toBe(false)
  })

  it('a pair that comes is seen, in one transaction or in two, in either order', async () => {
    const drops = await opened(text, [1])
    expect(
      await drops('begin', `insert into ${table} values (11, 1, 11)`, 'insert into b values (11, 1, 1)', 'commit'),
    ).toBe(true)
    expect(
      await drops('begin', 'insert into b values (12, 1, 1)', `insert into ${table} values (12, 1, 12)`, 'commit'),
    ).toBe(true)
    expect(await drops('insert into b values (13, 1, 1)')).toBe(false)
    expect(await drops(`insert into ${table} values (13, 1, 13)`)).toBe(true)
    expect(await drops(`insert into ${table} values (14, 1, 14)`)).toBe(false)
    expect(await drops('insert into b values (14, 1, 1)')).toBe(true)
    expect(await drops('insert into b values (15, 1, 1)', `insert into ${table} values (15, 1, 15)`)).toBe(true)
    expect(await drops(`insert into ${table} values (16, 1, 16)`, 'insert into b values (16, 1, 1)')).toBe(true)
  })
})

it('tables that are joined in a circle: three rows that come together are seen, in any order', async () => {
  const drops = await opened(
    'select a.id, b.id as b, c.id as c from a join b on b.id = a.b_id join c on c.id = b.c_id and c.a_id = a.id where a.x > 0 and b.x > 0 and c.x > 0 order by 1',
  )
  const rows = (id: number) => ({
    a: `insert into a values (${id}, 1, ${id})`,
    b: `insert into b values (${id}, 1, ${id})`,
    c: `insert into c values (${id}, 1, ${id})`,
  })
  let id = 20
  for (const order of ['abc', 'acb', 'bac', 'bca', 'cab', 'cba']) {
    const { a, b, c } = rows(id++)
    const all = [...order].map((name) => ({ a, b, c })[name]!)
    expect(await drops('begin', ...all, 'commit')).toBe(true)
    const again = rows(id++)
    const each: boolean[] = []
    for (const name of order) each.push(await drops(again[name as 'a']))
    expect(each).toContain(true)
  }
})

it('a partner that came, and was let pass for want of a third row, is seen when it leads to one', async () => {
  const drops = await opened(
    'select a.id, b.id as b, c.id as c from a join b on b.id = a.b_id join c on c.id = b.c_id where a.x > 0 and b.x > 0 and c.x > 0 order by 1',
  )
  expect(await drops('insert into a values (30, 1, 30)')).toBe(false)
  expect(await drops('insert into b values (30, 1, 99)')).toBe(false)
  expect(await drops('update b set c_id = 1 where id = 30')).toBe(true)
})

it('of more partners than partnersMax only its own bounds are gone by', async () => {
  const text = 'select a.id, b.id as other from a join b on b.id = a.b_id where a.x = 1 and b.x > 0 order by 1'
  const drops = await opened(text, [], { partnersMax: 2 })
  expect(await drops('update b set x = 5 where id = 3')).toBe(false)
  expect(await drops('insert into a values (4, 1, 4)')).toBe(true)
  expect(await drops('insert into b values (8, 1, 1)')).toBe(true)
  // Nothing but the condition names x, and it holds before and after.
  expect(await drops('update b set x = 6 where id = 8')).toBe(false)
  expect(await drops('update b set x = 0 where id = 3')).toBe(true)
  expect(await drops('update b set x = -1 where id = 3')).toBe(false)
})

it('with partnersMax 0 nothing is asked', async () => {
  const text = 'select a.id, b.id as other from a join b on b.id = a.b_id where a.x = 1 and b.x > 0 order by 1'
  const drops = await opened(text, [], { partnersMax: 0 })
  expect(await drops('insert into b values (8, 1, 1)')).toBe(true)
})

/*
 * Of tables that must have a row each, one that has none makes those beside it nobody's concern: until it has one.
 */
describe('while there is no row of a for which x = 9', () => {
  const other = 'update b set x = x + 1 where id = 1'
  const own = 'insert into a values (9, 9, 1)'

  it.each([
    ['a cross join', 'select b.* from a, b where a.x = 9 and b.x > a.id - 100'],
    ['rows that are counted', 'select count(*), sum(b.x) from a, b where a.x = 9 and b.x > a.id - 100'],
    ['groups', 'select b.x, count(*) from a, b where a.x = 9 and b.x <> a.id + 0 group by b.x order by 1'],
    ['a subquery with LIMIT', 'select s.* from a, (select id, x from b order by x desc limit 2) s where a.x = 9'],
    ['a subquery that counts', 'select s.* from (select count(*), sum(x) from b) s, a where a.x = 9'],
    ['WITH', 'with s as (select sum(x) from b) select * from s cross join a where a.x = 9'],
    ['LATERAL', 'select s.* from a cross join lateral (select x from b order by x + a.id limit 1) s where a.x = 9'],
    ['a subquery of its list', 'select a.id, (select sum(x) from b) from a where a.x = 9'],
    ['a condition', 'select a.id from a where a.x = 9 and (select sum(x) from b) > 0'],
    ['NOT EXISTS', 'select a.id from a where a.x = 9 and not exists (select from b where b.x > 100 + a.id)'],
    ['a condition that counts', 'select count(*) from a where a.x = 9 and (select sum(x) from b) > 0'],
    ['an outer join', 'select b.* from a left join b on b.x > a.id - 100 where a.x = 9'],
    ['a set operation', 'select s.* from a, (select x from b union all select x + 1 from b) s where a.x = 9'],
    ['EXISTS', 'select b.* from b where exists (select from a where a.x = 9 and a.id < b.x + 100)'],
  ])('%s: other tables are nobody’s concern', async (_, text) => {
    const drops = await opened(text)
    expect(await drops(other)).toBe(false)
    expect(await drops(own)).toBe(true)
    expect(await drops(other)).toBe(true)
    expect(await drops('update a set x = 8 where id = 9')).toBe(true)
    expect(await drops(other)).toBe(false)
    expect(await drops('begin', other, 'update a set x = 9 where id = 9', 'commit')).toBe(true)
    expect(await drops('delete from a where x = 9')).toBe(true)
    expect(await drops(other, own)).toBe(true)
  })

  it.each([
    ['an aggregate answers without rows', 'select (select sum(x) from b) as b, count(*) from a where a.x = 9'],
    ['HAVING', 'select count(*) from a where a.x = 9 having (select sum(x) from b) > 0'],
    ['the other side of an outer join', 'select b.* from b left join a on a.x = 9 order by b.id'],
    ['a full join', 'select b.id, b.x from (select * from a where x = 9) a full join b on a.id = b.id order by 1'],
    ['NOT EXISTS', 'select b.* from b where not exists (select from a where a.x = 9) order by b.id'],
    ['OR', 'select b.* from a, b where (a.x = 9 or b.x > 0) and a.id = 1 order by b.id'],
    ['OR of EXISTS', 'select b.* from b where b.x > 0 or exists (select from a where a.x = 9) order by b.id'],
    ['an arm of UNION', 'select x from a where x = 9 union all select x from b order by 1'],
    ['the right side of EXCEPT', 'select x from b except select x from a where x = 9'],
    ['CASE', 'select case when exists (select from a where a.x = 9) then 0 else b.x end as n from b order by b.id'],
  ])('%s: b counts all the same', async (_, text) => {
    const drops = await opened(text)
    expect(await drops('update b set x = x + 50 where id in (1, 2)')).toBe(true)
  })
})

it('of two tables that have no row either may get one', async () => {
  const drops = await opened(
    'select a.id, b.id as b, c.id as c from a, b, c where a.x = 9 and b.x = 9 and c.x + 0 > 0 order by 3',
  )
  expect(await drops('update c set x = 9 where id = 1')).toBe(false)
  expect(await drops('insert into b values (8, 9, 1)')).toBe(false)
  expect(await drops('insert into a values (8, 9, 1)')).toBe(true)
  expect(await drops('delete from a where id = 8', 'delete from b where id = 8')).toBe(true)
  expect(await drops('begin', 'insert into a values (8, 9, 1)', 'insert into b values (8, 9, 1)', 'commit')).toBe(true)
  expect(await drops('delete from b where id = 8', 'delete from a where id = 8')).toBe(true)
  expect(await drops('insert into b values (8, 9, 1)', 'insert into a values (8, 9, 1)')).toBe(true)
})

it.each(['select b.id', 'select count(*)'])(
  '%s: that rows lead to none of a table says nothing of it where they are too many to be followed',
  async (list) => {
    const text = `${list} from c join b on b.id = c.a_id where c.x = 1 and b.x = 1`
    const drops = await opened(text, [], { partnersMax: 3 })
    await world.admin.query('update c set a_id = id + 100')
    expect(await drops('insert into c values (50, 1, 1)')).toBe(true)
    expect(await drops('insert into c values (51, 1, 1)')).toBe(true)
  },
)

it('of a small table without conditions the partners are known too', async () => {
  const drops = await opened('select a.id, count(*)::int as n from a join b on b.id = a.b_id group by a.id order by 1')
  expect(await drops('update b set id = 40 where id = 4')).toBe(false)
  expect(await drops('insert into b values (41, 1, 1)')).toBe(false)
  expect(await drops('insert into a values (41, 1, 41)')).toBe(true)
  expect(await drops('delete from b where id = 41')).toBe(true)
  expect(await drops('begin', 'insert into b values (42, 1, 1)', 'insert into a values (42, 1, 42)', 'commit')).toBe(
    true,
  )
  expect(await drops('insert into b values (43, 1, 1)', 'update a set b_id = 43 where id = 1')).toBe(true)
})

it('a partitioned table is small if all of its partitions are', async () => {
  await world.admin.query('truncate parts')
  await world.admin.query('insert into parts values (1, 1, 1, 1), (2, 1, 2, 2)')
  const drops = await opened('select p.id, b.x from parts p join b on b.id = p.b_id where b.x > 0 order by 1')
  expect(await drops('insert into b values (50, 1, 1)')).toBe(false)
  expect(await drops('insert into parts values (3, 1, 50, 2)')).toBe(true)
})

it('a row that is written without a change of what joins it is no partner that comes', async () => {
  const drops = await opened('select a.id, b.id as b from a join b on b.id = a.b_id where b.x > 1 order by 1', [])
  expect(await drops('insert into b values (60, 2, 1)')).toBe(false)
  expect(await drops('update b set c_id = 5 where id = 60', 'insert into a values (60, 1, 3)')).toBe(false)
  expect(await drops('insert into a values (61, 1, 60)')).toBe(true)
})

it('a row that leads to others, and goes from one value of a list to another, still leads there', async () => {
  const drops = await opened(
    'select a.id, b.id as other from b join a on a.b_id = b.id where a.x = any($1) and b.x > 0 order by 1',
    [[1, 2]],
  )
  expect(await drops('update a set x = 2 where id = 1')).toBe(false)
  expect(await drops('update a set x = 3 where id = 1')).toBe(true)
  expect(await drops('update a set x = 1 where id = 1')).toBe(true)
  expect(await drops('update a set x = 2, b_id = 4 where id = 1')).toBe(true)
})

describe('where one value joins both tables', () => {
  it('an answer without rows lets the next fill ask which of them has none', async () => {
    const drops = await opened(
      'select a.id, b.id as other from a join b on b.x = a.x where a.x = $1 order by 1, 2',
      [9],
    )
    // Neither has one. The first fill did not ask.
    expect(await drops('insert into b values (70, 9, 1)')).toBe(true)
    expect(await drops('insert into b values (71, 9, 1)')).toBe(false)
    expect(await drops('delete from b where id = 70')).toBe(false)
    expect(await drops('insert into a values (70, 9, 1)')).toBe(true)
    expect(await drops('insert into b values (72, 9, 1)')).toBe(true)
  })

  it('of several values each has its partners', async () => {
    const text = 'select a.id, b.id as other from a join b on b.id = a.b_id where b.id = any($1) order by 1, 2'
    const drops = await opened(text, [[1, 80, 81]])
    expect(await drops('insert into b values (80, 1, 1)')).toBe(true)
    expect(await drops('insert into b values (81, 1, 1)')).toBe(false)
    expect(await drops('insert into a values (80, 1, 80)')).toBe(true)
    expect(await drops('insert into a values (81, 1, 81)')).toBe(true)
  })
})

describe('conditions that contradict each other', () => {
  it.each([
    ['between two ends the wrong way round', 'x between $1 and $2', [5, 2]],
    ['of which one excludes what the other includes', 'x >= $1 and x < $1', [5]],
    ['NULL, and one of some values', 'x is null and x > $1', [1]],
    ['NULL, and not', 'x is null and x is not null', []],
  ])('%s: no row matters, nor what it is joined to', async (_, condition, values) => {
    const text = `select a.id, b.id as other from a, b where a.${condition.replaceAll(' and x', ' and a.x')} and b.id + 0 > 0`
    const drops = await opened(text, values)
    expect(await drops('update a set x = 5, b_id = 7 where id = 1', 'insert into a values (5, null, 1)')).toBe(false)
    expect(await drops('update b set id = 50 where id = 1')).toBe(false)
  })

  it('need not be asked for, also where the table that comes first has no row either', async () => {
    const text = 'select b.id from b join a on a.id = b.id where b.x < 0 and a.x between $1 and $2'
    const drops = await opened(text, [5, 2])
    expect(await drops('update b set x = -1 where id = 1', 'update a set x = 3 where id = 1')).toBe(false)
  })

  it('ends that include one value are no contradiction', async () => {
    const drops = await opened('select id from a where x between $1 and $2 order by id', [5, 5])
    expect(await drops('update a set x = 5 where id = 1')).toBe(true)
  })
})

it('a row of the table that leads, too, touches nothing until it has a partner', async () => {
  const text = `select a.id, c.id as other from a join b on b.id = a.b_id join c on c.id = b.c_id
    where a.x = $1 and b.x > 0 order by 1, 2`
  const drops = await opened(text, [1])
  expect(await drops('insert into a values (20, 1, 20)')).toBe(false)
  expect(await drops('insert into a values (21, 1, null)')).toBe(false)
  expect(await drops('update a set b_id = 22 where id = 20')).toBe(false)
  expect(await drops('update a set b_id = 20 where id = 20')).toBe(false)
  expect(await drops('update a set b_id = 20 where id = 21')).toBe(false)
  expect(await drops('delete from a where id = 21')).toBe(false)
  // The partner comes, and has none itself; then that comes.
  expect(await drops('insert into b values (20, 1, 20)')).toBe(false)
  expect(await drops('update b set x = 2 where id = 20')).toBe(false)
  expect(await drops('insert into c values (20, 1, 1)')).toBe(true)
  // All in one transaction, in either order.
  const all = [
    'insert into a values (30, 1, 30)',
    'insert into b values (30, 1, 30)',
    'insert into c values (30, 1, 1)',
  ]
  expect(await drops('begin', ...all, 'commit')).toBe(true)
  const others = all.map((each) => each.replaceAll('30', '31')).reverse()
  expect(await drops('begin', ...others, 'commit')).toBe(true)
  expect(await drops('update c set id = 32 where id = 31', 'update c set id = 31 where id = 32')).toBe(true)
})

it('entries that are computed from one that let a row pass are dropped when its partner comes', async () => {
  await world.admin.query('truncate a, b')
  await world.admin.query('insert into a values (1, 1, 1)')
  await world.admin.query('insert into b values (1, 1, 1)')
  const { cache } = await world.open({})
  const text = 'select a.id from a join b on b.id = a.b_id where a.x = 1 and b.x > 0'
  const inner = cache.define('inner', async ({ sql }: { sql: Sql }) => (await sql.query(text)).rows.length)
  const outer = cache.define('outer', async () => (await inner()) * 10)
  await until(async () => (await inner()) === 1 && inner.peek() !== undefined)
  await world.admin.query('insert into a values (2, 1, 2)')
  await cache.invalidate({ tags: ['nothing'] })
  expect(inner.peek()).toBe(1)
  await until(async () => (await outer()) === 10 && outer.peek() !== undefined)
  expect(inner.peek()).toBe(1)
  await world.admin.query('insert into b values (2, 1, 1)')
  await cache.invalidate({ tags: ['nothing'] })
  expect([inner.peek(), outer.peek()]).toEqual([undefined, undefined])
  expect(await outer()).toBe(20)
})

it('one text means to each column what it means in the statement', async () => {
  await world.admin.query(`
    create extension citext;
    create table e (id int primary key, code text, name citext);
    create table f (id int primary key, e_id int, note text);
    alter table f replica identity full;
    insert into e values (1, 'x', 'b');
    insert into f values (1, 1, 'old')`)
  const text = "select f.note from e join f on f.e_id = e.id where e.code in ('B', 'x') and e.name = 'B'"
  const { cache } = await world.open({})
  const noted = cache.define('noted', async ({ sql }: { sql: Sql }) => (await sql.query(text)).rows[0]?.note)
  await until(async () => (await noted()) === 'old' && noted.peek() === 'old')
  await world.admin.query("update f set note = 'new'")
  await cache.settled()
  expect(await noted()).toBe('new')
})

it('two queries of one entry: what one of them lets pass the other does not', async () => {
  await world.admin.query('truncate a, b')
  await world.admin.query('insert into a values (1, 1, 1)')
  await world.admin.query('insert into b values (1, 1, 1)')
  const { cache } = await world.open({})
  const count = cache.define('count', async ({ sql }: { sql: Sql }) => {
    const joined = await sql.query('select a.id from a join b on b.id = a.b_id where a.x = 1 and b.x > 0')
    return joined.rows.length + (await sql.query('select id from a where x = 1')).rows.length
  })
  await until(async () => (await count()) === 2 && count.peek() !== undefined)
  await world.admin.query('insert into a values (2, 1, 2)')
  await cache.invalidate({ tags: ['nothing'] })
  expect(count.peek()).toBe(undefined)
  expect(await count()).toBe(3)
})
