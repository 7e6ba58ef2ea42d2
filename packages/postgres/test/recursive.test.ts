import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { World } from './opened.js'

/*
 * A statement that shows all that a recursive query finds depends on the rows that lead on from what it shows. A row that hangs on none of
 * it leaves it; one that comes to hang on it, or hung on it, does not.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table nodes (id int primary key, parent int, label int, name text);
    create table labels (id int primary key, text text);
    alter table nodes replica identity full;
    alter table labels replica identity full;
    insert into labels values (1, 'one'), (2, 'two');
    insert into nodes values (1, null, 1, 'root'), (2, 1, 2, 'a'), (3, 2, 1, 'b'), (10, null, 1, 'other'), (11, 10, 2, 'c')`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

const TREE = 'with recursive t as (select id, parent from nodes where id = $1 union'
const BELOW = `${TREE} select n.id, n.parent from nodes n join t on n.parent = t.id) select * from t order by id`
const ABOVE = `${TREE} select n.id, n.parent from nodes n join t on t.parent = n.id) select * from t order by id`

describe('a recursive query all of whose rows are shown', () => {
  test('is left by rows that hang on none of them', async () => {
    const drops = await world.keeping(BELOW, [1])
    expect(await drops('insert into nodes values (20, 11), (21, 20), (22, null)')).toBe(false)
    expect(await drops('update nodes set parent = 10 where id = 21')).toBe(false)
    expect(await drops("update nodes set name = 'new' where id = 2")).toBe(false)
    expect(await drops('delete from nodes where id in (20, 21, 22)')).toBe(false)
  })

  test('is dropped by one that comes to hang on one of them, or did', async () => {
    const drops = await world.keeping(BELOW, [1])
    expect(await drops('insert into nodes values (30, 3)')).toBe(true)
    expect(await drops('insert into nodes values (31, 30)')).toBe(true)
    expect(await drops('update nodes set parent = 31 where id = 10')).toBe(true)
    // What hangs on it hangs on the root by now.
    expect(await drops('update nodes set parent = 1 where id = 11')).toBe(true)
    expect(await drops('update nodes set parent = null where id = 10')).toBe(true)
    expect(await drops('update nodes set parent = 10 where id = 11')).toBe(true)
    expect(await drops('delete from nodes where id = 31', 'delete from nodes where id = 30')).toBe(true)
  })

  test('is dropped where several changes lead to one of them together', async () => {
    const drops = await world.keeping(BELOW, [1])
    expect(
      await drops('begin', 'insert into nodes values (40, 41)', 'insert into nodes values (41, 42)', 'commit'),
    ).toBe(false)
    expect(await drops('insert into nodes values (42, 3)')).toBe(true)
    expect(await drops('delete from nodes where id = 42')).toBe(true)
    expect(await drops('delete from nodes where id in (40, 41)')).toBe(false)
  })

  test('may lead the other way', async () => {
    const drops = await world.keeping(ABOVE, [3])
    expect(await drops('insert into nodes values (50, 3), (51, 11)')).toBe(false)
    expect(await drops('update nodes set parent = 50 where id = 1')).toBe(true)
    expect(await drops('update nodes set parent = null where id = 1')).toBe(true)
    expect(await drops('delete from nodes where id in (50, 51)')).toBe(false)
  })

  test('may join other tables', async () => {
    const text = `with recursive t (n, text) as (select 1, 'one'::text union select n.id, l.text from nodes n join labels l on l.id = n.label join t on t.n = n.parent) select n from t order by n`
    const drops = await world.keeping(text)
    expect(await drops('insert into nodes values (60, 2, 3)')).toBe(false)
    expect(await drops("insert into labels values (3, 'three')")).toBe(true)
    expect(await drops('delete from labels where id = 3', 'delete from nodes where id = 60')).toBe(true)
  })

  test('takes values that are NULL, and names that it gives itself', async () => {
    const text = `with recursive t (up, n) as (select parent, id from nodes where id = $1 union select n.parent, n.id from nodes n join t on n.parent = t.n) select x.n, x.up from t x order by n`
    const drops = await world.keeping(text, [1])
    expect(await drops('insert into nodes values (70, 11)')).toBe(false)
    expect(await drops('insert into nodes values (71, 3)')).toBe(true)
    expect(await drops('delete from nodes where id in (70, 71)')).toBe(true)
  })
})

describe('one of which not all is shown is followed as a whole', () => {
  const recursive = `${TREE} select n.id, n.parent from nodes n join t on n.parent = t.id)`
  const ways: Record<string, string> = {
    'a condition': `${recursive} select * from t where parent <> 2 order by id`,
    'a limit': `${recursive} select * from t order by id limit 2`,
    'another column': `${recursive} select parent from t order by parent`,
    'a table beside it': `${recursive} select t.id, t.parent from t join labels l on l.id = t.id order by 1`,
    'an aggregate': `${recursive} select count(*) from t`,
    'a call that may answer no row': `${recursive} select id, generate_series(1, 3 - id) from t`,
  }
  for (const [what, text] of Object.entries(ways))
    test(what, async () => {
      const drops = await world.keeping(text, [1])
      expect(await drops('insert into nodes values (80, 3)')).toBe(true)
      expect(await drops('insert into nodes values (81, 80)')).toBe(true)
      expect(await drops('delete from nodes where id in (80, 81)')).toBe(true)
    })
})
