import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PostgresOptions, Sql } from '../src/index.js'
import { notKept, World } from './opened.js'

/*
 * Where bounds name more rows than an answer shows: rows that it does not show matter only if they come into it.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table full_a (id int primary key, x int, b_id int, note text, tags int[], data jsonb);
    create table full_b (id int primary key, x int, note text);
    alter table full_a replica identity full;
    alter table full_b replica identity full;
    create view seen as select id, x, note from full_a where x > 0;
    create view versions as select id, xmin::text as version from full_a;
    create view places as select id, ctid::text as place from full_a;
    create function rows_of(int) returns setof full_a language sql stable as 'select * from full_a where id = $1'`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

async function opened(text: string, options: Partial<PostgresOptions> = {}) {
  await world.admin.query('truncate full_a, full_b')
  await world.admin.query("insert into full_a select i, 1, i, 'note ' || i, array[i] from generate_series(1, 6) i")
  await world.admin.query("insert into full_b select i, 1, 'note ' || i from generate_series(1, 3) i")
  return world.keeping(text, [], options)
}

describe('of joined tables', () => {
  const text =
    'select a.id, a.note, b.id as other, b.note as of from full_a a join full_b b on b.id = a.b_id where a.x = 1 order by a.id'

  it('a row that is not in the answer matters once it may come into it', async () => {
    const drops = await opened(text)
    // 5 has no partner.
    expect(await drops("update full_a set note = 'other' where id = 5")).toBe(false)
    expect(await drops('delete from full_a where id = 5')).toBe(false)
    expect(await drops('update full_a set x = 2 where id = 6')).toBe(false)
    expect(await drops("update full_a set note = 'other' where id = 1")).toBe(true)
    expect(await drops('update full_a set b_id = 3 where id = 4')).toBe(true)
    expect(await drops('update full_a set x = 2 where id = 4')).toBe(true)
    expect(await drops("update full_a set note = 'far' where id = 4")).toBe(false)
    expect(await drops('update full_a set x = 1 where id = 4')).toBe(true)
    expect(await drops('update full_a set id = 14 where id = 4')).toBe(true)
    expect(await drops('delete from full_a where id = 14')).toBe(true)
    expect(await drops('delete from full_b where id = 1')).toBe(true)
    expect(await drops("insert into full_b values (1, 1, 'again')")).toBe(true)
  })

  it('without the keys in the answer only the partners tell; of more than partnersMax each row that its condition names matters', async () => {
    const drops = await opened(text.replace('a.id, ', ''))
    expect(await drops("update full_a set note = 'other' where id = 5")).toBe(false)
    await world.closeCaches()
    const dropsAgain = await opened(text, { partnersMax: 2 })
    expect(await dropsAgain("update full_a set note = 'other' where id = 5")).toBe(true)
  })
})

describe('ORDER BY', () => {
  it('alone decides nothing of a row that is not in the answer, nor of one that is alone in it', async () => {
    const drops = await opened('select a.id, a.note from full_a a where a.x + 0 = 1 and a.id > 4 order by a.b_id')
    expect(await drops('update full_a set b_id = 9 where id = 5')).toBe(true)
    expect(await drops('update full_a set b_id = 9 where id = 1')).toBe(false)
    expect(await drops('delete from full_a where id = 5')).toBe(true)
    expect(await drops('update full_a set b_id = 10 where id = 6')).toBe(false)
    expect(await drops("update full_a set note = 'other' where id = 6")).toBe(true)
    expect(await drops("insert into full_a values (7, 1, 11, 'more')")).toBe(true)
    expect(await drops('update full_a set b_id = 12 where id = 6')).toBe(true)
  })

  it.each([
    'select a.note from full_a a where a.id = 1 order by a.b_id',
    'select distinct a.note from full_a a where a.id = 1 and a.b_id is not null order by a.note',
  ])('of one row it shows nothing: %s', async (text) => {
    const drops = await opened(text)
    expect(await drops('update full_a set b_id = 9 where id = 1')).toBe(false)
  })

  it('with LIMIT it decides, also which one row is shown', async () => {
    const drops = await opened('select a.note from full_a a where a.x = 1 order by a.b_id limit 1')
    expect(await drops('update full_a set b_id = 9 where id = 1')).toBe(true)
    expect(await drops('update full_a set b_id = 0 where id = 3')).toBe(true)
  })
})

describe('a comparison of a type that the log does not tell', () => {
  it.each(["a.data = '{}'", "a.data <= '{}'", "'{}' = a.data", "a.data in ('{}', '[]')"])(
    '%s is true of no NULL',
    async (condition) => {
      const drops = await opened(`select a.id, a.x from full_a a where ${condition} order by 1`)
      expect(await drops("insert into full_a values (9, 1, 1, 'a', null, null)")).toBe(false)
      expect(await drops('delete from full_a where id = 9')).toBe(false)
      expect(await drops("insert into full_a values (9, 1, 1, 'a', null, '{}')")).toBe(true)
      expect(await drops('update full_a set data = null where id = 9')).toBe(true)
    },
  )

  it('with NULL is true of no row', async () => {
    const drops = await opened('select a.id, a.x from full_a a where a.data >= null::jsonb')
    expect(await drops("update full_a set data = '{}' where id = 1")).toBe(false)
  })
})

describe('an empty answer', () => {
  it.each([
    ['a filter', 'select note from full_a a where a.x = 5'],
    ['a range without the key', 'select note from full_a a where a.x between 5 and 8 order by a.b_id'],
    ['a condition that is not compared', "select note from full_a a where a.x > 4 and a.note ~ 'z'"],
    ['a join', 'select a.note from full_a a join full_b b on b.id = a.b_id where a.x = 5 and b.x > 0'],
    ['a self-join', 'select a.note from full_a a join full_a b on b.id = a.b_id where a.x = 5 and b.x > 0'],
  ])('of %s shows no row that TRUNCATE could take; one that comes is seen', async (_, text) => {
    const drops = await opened(text)
    expect(await drops('delete from full_a where id = 2')).toBe(false)
    expect(await drops('truncate full_a')).toBe(false)
    expect(await drops("insert into full_a values (1, 5, 1, 'z')")).toBe(true)
    expect(await drops('truncate full_a')).toBe(true)
  })

  it('of an outer join may get rows by those that go', async () => {
    const text = 'select a.id from full_a a left join full_b b on b.id = a.b_id where a.id = 1 and b.id is null'
    const drops = await opened(text)
    expect(await drops('truncate full_b')).toBe(true)
  })

  it('of groups may get rows by those that go', async () => {
    const drops = await opened('select x from full_a group by x having count(*) < 6')
    expect(await drops('delete from full_a where id = 1')).toBe(true)
  })
})

describe('of an outer join', () => {
  const text = `select a.id, a.note, b.id as other, b.note as of from full_a a left join full_b b on b.id = a.b_id
    where b.note < 'note 9' order by a.id`

  it('whose NULLs a condition refuses, a row that is not in the answer matters once it may come into it', async () => {
    const drops = await opened(text)
    await drops("insert into full_b values (9, 1, 'note 1')")
    expect(await drops("update full_b set x = 2, note = 'note 2' where id = 2")).toBe(false)
    expect(await drops('delete from full_b where id = 9')).toBe(false)
    expect(await drops('delete from full_a where id = 5')).toBe(false)
    expect(await drops("update full_b set note = 'other' where id = 2")).toBe(true)
    expect(await drops('delete from full_b where id = 1')).toBe(true)
  })

  it('else a row that no condition lets in may be why no NULLs stand in its place', async () => {
    const drops = await opened(text.replace('order', "or b.note is null or b.note = 'x' order"))
    expect(await drops("update full_b set note = 'other' where id = 2")).toBe(true)
    expect(await drops('delete from full_b where id = 2')).toBe(true)
  })
})

describe('of a table that is joined to itself', () => {
  const text =
    'select a.id, a.note, b.id as other from full_a a join full_a b on b.id = a.b_id where a.x = 1 order by a.id'

  it('a row that is not in the answer matters, at each place, once it may come into it', async () => {
    const drops = await opened(text)
    await drops('update full_a set b_id = 1 where id > 1')
    expect(await drops("update full_a set note = 'other' where id = 1")).toBe(true)
    await drops("insert into full_a values (7, 2, 9, 'far'), (8, 1, 99, 'alone')")
    expect(await drops("update full_a set note = 'near' where id = 7")).toBe(false)
    expect(await drops("update full_a set note = 'still alone' where id = 8")).toBe(false)
    expect(await drops('delete from full_a where id = 8')).toBe(false)
    // It comes to both places at once.
    expect(await drops('update full_a set b_id = 7, x = 1 where id = 7')).toBe(true)
    expect(await drops("update full_a set note = 'shown' where id = 7")).toBe(true)
    expect(await drops('delete from full_a where id = 7')).toBe(true)
  })

  it('without its key at a place, and without partners, each row that this place names matters', async () => {
    const drops = await opened(text.replace('a.id, a.note', 'a.note'), { partnersMax: 0 })
    await drops("insert into full_a values (8, 1, 99, 'alone')")
    expect(await drops("update full_a set note = 'still alone' where id = 8")).toBe(true)
  })
})

describe('TRUNCATE', () => {
  it('matters where it takes a row that is shown, or that may decide', async () => {
    const drops = await opened('select a.id, b.id as other from full_a a join full_b b on b.id = a.b_id where a.x = 9')
    expect(await drops('truncate full_b')).toBe(false)
    await drops('update full_a set x = 9')
    expect(await drops("insert into full_b values (1, 1, 'a')")).toBe(true)
    expect(await drops('truncate full_b')).toBe(true)
    await world.closeCaches()
    const counts = await opened('select count(*) from full_a where x = 9')
    expect(await counts('truncate full_a')).toBe(true)
  })
})

describe('of a condition that is not understood', () => {
  it('beside one that is, a row that is not in the answer matters once it may come into it', async () => {
    const drops = await opened("select id, x, note from full_a where x = 1 and note < 'note 3' order by id")
    expect(await drops('update full_a set b_id = 9 where id = 1')).toBe(false)
    expect(await drops('delete from full_a where id = 5')).toBe(false)
    expect(await drops("update full_a set note = 'note' where id = 4")).toBe(true)
    expect(await drops('delete from full_a where id = 4')).toBe(true)
  })

  it('what decides it counts for all rows, what is shown for those that are shown', async () => {
    const drops = await opened('select id, note from full_a where x + 0 = 2 order by id')
    expect(await drops("update full_a set note = 'other' where id = 5")).toBe(false)
    expect(await drops('delete from full_a where id = 5')).toBe(false)
    expect(await drops('update full_a set x = 2 where id = 4')).toBe(true)
    expect(await drops("update full_a set note = 'other' where id = 4")).toBe(true)
    expect(await drops('update full_a set b_id = 9 where id = 4')).toBe(false)
    expect(await drops("insert into full_a values (7, 2, 7, 'new')")).toBe(true)
    expect(await drops('delete from full_a where id = 7')).toBe(true)
  })

  it('a function of the list may decide how many rows there are', async () => {
    const drops = await opened('select id, unnest(tags) as tag from full_a where x + 0 = 1 order by id, tag')
    expect(await drops("update full_a set tags = '{}' where id = 5")).toBe(true)
    expect(await drops("update full_a set tags = '{1,2}' where id = 5")).toBe(true)
  })

  it('a column that is ordered by under another name decides which rows a LIMIT shows', async () => {
    const drops = await opened('select id, b_id as place from full_a where x + 0 = 1 order by place, id limit 2')
    expect(await drops('update full_a set b_id = 0 where id = 5')).toBe(true)
    expect(await drops('update full_a set b_id = 9 where id = 5')).toBe(true)
  })
})

describe('of conditions that the row alone decides', () => {
  it('a row that meets them neither before nor after matters to nobody, nor does what only they name', async () => {
    const drops = await opened(
      "select count(note) from full_a where b_id + 1 = 4 and coalesce(x, 0) < 5 and note not like '%far'",
    )
    expect(await drops('update full_a set x = 9, note = null where id = 1')).toBe(false)
    expect(await drops('insert into full_a values (7, 1, 7)')).toBe(false)
    expect(await drops('delete from full_a where id = 6')).toBe(false)
    expect(await drops('update full_a set x = null where id = 3')).toBe(false)
    expect(await drops('update full_a set tags = null where id = 3')).toBe(false)
    // It is only counted.
    expect(await drops("update full_a set note = 'near' where id = 3")).toBe(false)
    expect(await drops('update full_a set x = 5 where id = 3')).toBe(true)
    expect(await drops("insert into full_a values (8, null, 3, 'far')")).toBe(false)
    expect(await drops("insert into full_a values (9, null, 3, 'Far')")).toBe(true)
    expect(await drops('update full_a set id = 10 where id = 9')).toBe(false)
    expect(await drops('delete from full_a where id = 10')).toBe(true)
  })

  it('it may come to meet another of several', async () => {
    const drops = await opened('select id from full_a where b_id = 2 or x > 5 or id in (4, 5) order by id')
    expect(await drops('update full_a set x = 6 where id = 2')).toBe(false)
    expect(await drops('update full_a set b_id = null where id = 2')).toBe(false)
    expect(await drops('update full_a set b_id = 2, x = 7 where id = 4')).toBe(false)
    expect(await drops('update full_a set x = null where id = 2')).toBe(true)
    expect(await drops('update full_a set x = 6 where id = 1')).toBe(true)
    expect(await drops('update full_a set id = 5 where id = 5')).toBe(false)
  })

  it('a column that is named elsewhere too counts as read', async () => {
    const drops = await opened('select id from full_a where x > 0 order by x, id')
    expect(await drops('update full_a set x = 2 where id = 1')).toBe(true)
    await world.closeCaches()
    const counts = await opened(
      'select count(*) from full_a a where x > 0 and exists (select from full_b where x = a.x)',
    )
    expect(await counts('update full_a set x = 2 where id = 1')).toBe(true)
  })

  it('what NULLs of an outer join meet bounds nothing', async () => {
    const text = (condition: string) =>
      `select a.id from full_a a left join full_b b on b.id = a.b_id where ${condition} order by 1`
    const drops = await opened(text('coalesce(b.x, 9) > 5'))
    expect(await drops('delete from full_b where id = 1')).toBe(true)
    expect(await drops('insert into full_b values (1, 1)')).toBe(true)
    await world.closeCaches()
    const leaves = await opened(text('coalesce(b.x, 0) > 5'))
    expect(await leaves('delete from full_b where id = 1')).toBe(false)
    expect(await leaves('update full_b set x = 6 where id = 2')).toBe(true)
    expect(await leaves('update full_b set x = 7 where id = 2')).toBe(false)
  })

  it('where the log does not tell the values before, each row matters as without', async () => {
    await world.admin.query('alter table full_a replica identity default')
    try {
      const drops = await opened('select count(*) from full_a where x + 1 = 3')
      expect(await drops('update full_a set x = 2 where id = 1')).toBe(true)
      expect(await drops('update full_a set x = 1 where id = 1')).toBe(true)
      await world.closeCaches()
      const byKey = await opened('select count(*) from full_a where id + 1 = 3')
      expect(await byKey('update full_a set x = 9 where id = 2')).toBe(false)
      expect(await byKey('delete from full_a where id = 3')).toBe(false)
      expect(await byKey('delete from full_a where id = 2')).toBe(true)
    } finally {
      await world.admin.query('alter table full_a replica identity full')
    }
  })
})

describe('an update that changes nothing that is read', () => {
  const nothing = 'update full_a set x = x where id = 1'

  it.each([
    'select * from full_a where id = 1',
    'select * from seen where id = 1',
    'select to_jsonb(a) as a from full_a a where id = 1',
  ])('touches nothing: %s', async (text) => {
    const drops = await opened(text)
    expect(await drops(nothing)).toBe(false)
    expect(await drops("update full_a set note = 'other' where id = 1")).toBe(true)
  })

  it.each([
    'select id, xmin::text from full_a where id = 1',
    'select a.*, a.tableoid::text as place from full_a a where id = 1',
    'select * from versions where id = 1',
  ])('touches what reads versions: %s', async (text) => {
    const drops = await opened(text)
    expect(await drops(nothing)).toBe(true)
  })

  it.each([
    'select id, x from seen where id = 1',
    'select t.id, t.x from (select * from seen) t where t.id = 1',
    'select id, x from rows_of(1)',
    'with t as (select * from full_a) select id, x from t where id = 1',
  ])('of what a view, a subquery or a function lists only what is used counts: %s', async (text) => {
    const drops = await opened(text)
    expect(await drops('update full_a set b_id = 9 where id = 1')).toBe(false)
    expect(await drops("update full_a set note = 'other' where id = 1")).toBe(false)
    expect(await drops('update full_a set x = 0 where id = 1')).toBe(true)
  })

  it.each([
    'select distinct * from seen where id = 1',
    'select count(*) from (select distinct id, note from seen) t',
    'select t.id from (select id, note from seen order by 2, 1 limit 1) t',
    'select rows_of(1)',
  ])('all of it counts where its rows are compared, or shown as they are: %s', async (text) => {
    const drops = await opened(text)
    expect(await drops("update full_a set note = 'other' where id = 1")).toBe(true)
  })
})

describe('what changes without a change of the row', () => {
  it.each([
    'select ctid::text from full_a where id = 1',
    'select id from full_a a where a.xmax::text = $$0$$',
    'select (a).cmin::text from full_a a',
    'select place from places where id = 1',
    'select id from full_b where exists (select from full_a a where a.ctid = $$(0,1)$$)',
  ])('is kept with an expiry only: %s', async (text) => {
    const { cache } = await world.open()
    const read = ({ sql }: { sql: Sql }) => sql.query(text).then(({ rows }) => JSON.stringify(rows))
    expect(await notKept(cache, read)).toBe('time')
    expect(await notKept(cache, read, { ttl: '1m' })).toBe(undefined)
  })
})
