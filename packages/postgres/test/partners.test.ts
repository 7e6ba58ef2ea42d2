import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PostgresOptions, Sql } from '../src/index.js'
import { until, World } from './opened.js'

/*
 * Of tables that are joined, and bounded each by itself, one is followed by the values of the other's rows: a row of it that has no
 * partner touches nothing.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table a (id int primary key, x int, b_id int);
    create table b (id int primary key, x int, c_id int);
    create table c (id int primary key, x int, a_id int);
    create table d (id int primary key, x int, b_id int);
    alter table a replica identity full;
    alter table b replica identity full;
    alter table c replica identity full`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

async function opened(text: string, values: unknown[] = [], options: Partial<PostgresOptions> = {}) {
  await world.admin.query('truncate a, b, c, d')
  await world.admin.query('insert into a values (1, 1, 1), (2, 1, 2), (3, 2, 3)')
  await world.admin.query('insert into b values (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4)')
  await world.admin.query('insert into c values (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4)')
  await world.admin.query('insert into d values (1, 1, 1), (2, 1, 2), (3, 2, 3)')
  const { cache } = await world.open(options)
  const read = () =>
    cache.get('q', ({ sql }: { sql: Sql }) => sql.query(text, values).then(({ rows }) => JSON.stringify(rows)))
  const isKept = () => cache.peek('q') !== undefined
  /** Whether a transaction drops the answer; in any case it is right then. */
  return async (...writes: string[]): Promise<boolean> => {
    await until(async () => (await read()) !== undefined && isKept())
    for (const write of writes) await world.admin.query(write)
    // It comes through the log after the writes.
    await cache.invalidate({ tags: ['nothing'] })
    const isDropped = !isKept()
    expect(await read()).toBe(JSON.stringify((await world.admin.query(text, values)).rows))
    return isDropped
  }
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
    expect(await drops(`insert into ${table} values (14, 1, 14)`)).toBe(true)
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

it('of more partners than partnersMax only its own bounds are gone by', async () => {
  const text = 'select a.id, b.id as other from a join b on b.id = a.b_id where a.x = 1 and b.x > 0 order by 1'
  const drops = await opened(text, [], { partnersMax: 2 })
  expect(await drops('update b set x = 5 where id = 3')).toBe(false)
  expect(await drops('insert into a values (4, 1, 4)')).toBe(true)
  expect(await drops('update b set x = 6 where id = 3')).toBe(true)
  expect(await drops('update b set x = 0 where id = 3')).toBe(true)
  expect(await drops('update b set x = -1 where id = 3')).toBe(false)
})

it('with partnersMax 0 nothing is asked', async () => {
  const text = 'select a.id, b.id as other from a join b on b.id = a.b_id where a.x = 1 and b.x > 0 order by 1'
  const drops = await opened(text, [], { partnersMax: 0 })
  expect(await drops('update b set x = 5 where id = 3')).toBe(true)
})
