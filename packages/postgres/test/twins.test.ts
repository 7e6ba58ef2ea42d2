import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { World } from './opened.js'

/* Where it does not matter how many rows are alike, a row that has a twin may come and go. */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id int primary key, author int, kind text, price numeric, body text);
    create table authors (id int primary key, name text);
    create table likes (id int primary key, post int, author int);
    alter table posts replica identity full;
    alter table authors replica identity full;
    alter table likes replica identity full`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

async function opened(text: string, values: unknown[] = [], partnersMax = 100) {
  await world.admin.query(`
    truncate posts, authors, likes;
    insert into authors values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
    insert into posts values (1, 1, 'x', 1.0, 'one'), (2, 1, 'x', 1.0, 'two'), (3, 2, 'y', 2.0, 'three'), (4, 2, 'z', 1.00, 'four');
    insert into likes values (1, 1, 1), (2, 2, 2)`)
  return world.keeping(text, values, { partnersMax })
}

describe.each([
  ['EXISTS', 'select name from authors a where exists (select from posts p where p.author = a.id) order by 1'],
  ['IN', 'select a.name from authors a where a.id in (select p.author from posts p) order by 1'],
  ['NOT IN', 'select a.name from authors a where a.id not in (select p.author from posts p) order by 1'],
  ['ANY', 'select a.name from authors a where a.id > any (select p.author from posts p) order by 1'],
  ['ALL', 'select a.name from authors a where a.id >= all (select p.author from posts p) order by 1'],
  ['DISTINCT', 'select distinct author from posts order by 1'],
  ['DISTINCT with LIMIT', 'select distinct author from posts order by 1 limit 10'],
  ['GROUP BY without counting', 'select author from posts group by author order by 1'],
  ['UNION', 'select author from posts union select 7 order by 1'],
  ['EXCEPT', 'select a.id from authors a except select p.author from posts p order by 1'],
  ['INTERSECT', 'select p.author from posts p intersect select a.id from authors a order by 1'],
  ['max', 'select max(author) from (select author + 0 as author from posts) p'],
  ['count(distinct …)', 'select count(distinct author) from posts where author > 0'],
  ['DISTINCT of a join', 'select distinct a.name from authors a join posts p on p.author = a.id order by 1'],
  [
    'DISTINCT of a left join',
    'select distinct a.name, p.author from authors a left join posts p on p.author = a.id order by 1',
  ],
])('%s', (_, text) => {
  it('a row that has a twin comes and goes without touching the entry, the last of them does not', async () => {
    const drops = await opened(text)
    expect(await drops("insert into posts values (10, 1, 'new', 5, 'new')")).toBe(false)
    expect(await drops('delete from posts where id = 1')).toBe(false)
    expect(await drops('delete from posts where id = 2')).toBe(false)
    expect(await drops('update posts set author = 2 where id = 3', 'update posts set body = body || author')).toBe(
      false,
    )
    await drops('delete from posts where id = 10')
    // What it is now is loaded anew, unless nothing was to be said of that row.
    expect(await drops("insert into posts values (11, 2, 'new', 5, 'new')")).toBe(false)
    expect(await drops('update posts set author = 3 where id = 3')).toBe(true)
    expect(await drops('update posts set author = 3 where author = 2')).toBe(true)
  })

  it('two twins that leave in one transaction are seen', async () => {
    const drops = await opened(text)
    await drops("insert into posts values (10, 3, 'new', 5, 'new')")
    expect(await drops("insert into posts values (12, 3, 'new', 5, 'new')")).toBe(false)
    expect(await drops('delete from posts where author = 3')).toBe(true)
  })

  it('a row that gets another key is still the one that it was', async () => {
    const drops = await opened(text)
    await drops("insert into posts values (10, 3, 'new', 5, 'new')")
    await drops('update posts set id = 13 where id = 10')
    expect(await drops('delete from posts where id = 13')).toBe(true)
  })
})

it.each([
  ['rows that are counted', 'select author, count(*) from posts group by author order by 1'],
  ['a set operation that keeps all', 'select author from posts union all select 7 order by 1'],
  [
    'EXISTS with OFFSET',
    'select name from authors a where exists (select from posts p where p.author = a.id offset 2) order by 1',
  ],
  ['a window', 'select distinct author, count(*) over () from posts order by 1'],
  ['an aggregate that counts beside one that does not', 'select max(author), count(author) from posts'],
  [
    'a subquery that counts',
    'select distinct (select count(*) from posts p where p.author = a.id) from authors a order by 1',
  ],
  [
    'IN of a LIMIT',
    'select name from authors where id in (select author from posts order by id desc limit 2) order by 1',
  ],
])('%s: each of them matters', async (_, text) => {
  const drops = await opened(text)
  expect(await drops("insert into posts values (10, 1, 'x', 1.0, 'new')")).toBe(true)
})

it('values that are equal, and are not written alike, are no twins', async () => {
  const drops = await opened(
    'select name from authors where exists (select from posts where price::text = $1) order by 1',
    ['1.00'],
  )
  expect(await drops('delete from posts where id = 4')).toBe(true)
})

it('twins that are not joined to the same do not hide each other', async () => {
  const text =
    'select distinct a.name from authors a join posts p on p.author = a.id join likes l on l.post = p.id order by 1'
  const drops = await opened(text)
  await drops('delete from likes where id = 2')
  expect(await drops('insert into likes values (5, 1, 3)')).toBe(false)
  expect(await drops('delete from likes where id = 1')).toBe(false)
  expect(await drops('delete from likes where id = 5')).toBe(true)
})

it('with partnersMax 0 nothing is asked', async () => {
  const drops = await opened('select distinct author from posts order by 1', [], 0)
  expect(await drops("insert into posts values (10, 1, 'new', 5, 'new')")).toBe(true)
})
