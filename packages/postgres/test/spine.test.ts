import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { World } from './opened.js'

/*
 * Which rows a sum, a group or a window is made of is asked for, by their keys, where conditions do not tell it of a row. A row that is none of
 * them may leave, and change where it does not begin to be one.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create extension citext;
    create table posts (id int primary key, author int, title citext, likes int, note text);
    create table comments (post int, n int, body text, stars int, primary key (post, n));
    create table tags (name text, post int);
    alter table posts replica identity full;
    alter table comments replica identity full;
    alter table tags replica identity full;
    insert into posts select i, i % 3, case when i < 6 then 'a' else 'b' end || i, i, 'x' from generate_series(1, 12) i;
    insert into comments select p, n, 'c', n from generate_series(1, 12) p, generate_series(1, 2) n;
    insert into tags values ('new', 1), ('new', 8)`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

// The order of citext is nobody's to tell: every post may be one of these.
const EARLY = "title < 'b'"

interface Case {
  readonly values?: unknown[]
  /** Of a row that is none of those. */
  readonly leaves: readonly string[]
  readonly drops: readonly string[]
}

const cases: Record<string, Case> = {
  [`select count(*) from posts where ${EARLY}`]: {
    leaves: ["update posts set likes = 100, note = 'y' where id = 9", 'delete from posts where id = 12'],
    drops: ["update posts set title = 'a9' where id = 9", 'delete from posts where id = 9'],
  },
  [`select author, sum(likes) from posts where ${EARLY} group by author having sum(likes) > 1 order by 1 limit 2`]: {
    leaves: ['update posts set likes = 101 where id = 9', 'delete from posts where id = 12'],
    drops: ['update posts set likes = 50 where id = 3', 'delete from posts where id = 4'],
  },
  [`select distinct author from posts where ${EARLY}`]: {
    leaves: ['update posts set author = 9 where id = 9', 'delete from posts where id = 12'],
    drops: ['delete from posts where id in (1, 4)', 'update posts set author = 7 where id = 2'],
  },
  [`select title, row_number() over (order by id) from posts where ${EARLY}`]: {
    leaves: ['delete from posts where id = 12'],
    drops: ['delete from posts where id = 1'],
  },
  // The key is not shown.
  [`select likes from posts where ${EARLY} order by likes`]: {
    leaves: ['update posts set likes = 102 where id = 9', 'delete from posts where id = 12'],
    drops: ['update posts set likes = 60 where id = 3', 'delete from posts where id = 1'],
  },
  [`select count(*), max(c.stars) from posts p join comments c on c.post = p.id where p.title < $1 and c.body = 'c'`]: {
    values: ['b'],
    leaves: ['update comments set stars = 200 where post = 9', 'delete from comments where post = 12'],
    drops: ['update comments set stars = 201 where post = 3 and n = 1', 'delete from comments where post = 3'],
  },
  [`select p.likes from posts p where ${EARLY} union select stars from comments where post = 9 and body like 'c%' order by 1`]:
    {
      leaves: ['update posts set likes = 103 where id = 9', 'delete from posts where id = 12'],
      drops: ['update posts set likes = 61 where id = 3', 'delete from comments where post = 9 and n = 1'],
    },
  [`select name from tags where post in (select max(id) from posts where ${EARLY} and likes < $1)`]: {
    values: [90],
    leaves: ['update posts set note = null where id = 9', 'delete from posts where id = 12'],
    drops: ['delete from posts where id in (4, 5)', "insert into posts values (13, 1, 'a', 1, '')"],
  },
  [`with p as (select likes from posts where ${EARLY}) select count(*), max(p.likes) from p`]: {
    leaves: ["update posts set note = 'z' where id = 9", 'delete from posts where id = 12'],
    drops: ['update posts set likes = 62 where id = 3', 'delete from posts where id = 1'],
  },
}

describe('a row that an answer is not made of', () => {
  for (const [text, { values = [], leaves, drops }] of Object.entries(cases))
    test(text, async () => {
      const isDropped = await world.keeping(text, values)
      for (const write of leaves) expect(`${write} ${await isDropped(write)}`).toBe(`${write} false`)
      for (const write of drops) expect(`${write} ${await isDropped(write)}`).toBe(`${write} true`)
      await world.admin.query(`delete from posts; delete from comments;
        insert into posts select i, i % 3, case when i < 6 then 'a' else 'b' end || i, i, 'x' from generate_series(1, 12) i;
        insert into comments select p, n, 'c', n from generate_series(1, 12) p, generate_series(1, 2) n`)
    })
})

describe('is not asked for where rows that are not there decide', () => {
  test('on the side of an outer join that NULLs fill', async () => {
    const isDropped = await world.keeping(
      "select count(*) from posts p left join comments c on c.post = p.id where p.title < 'b' and c.post is null",
    )
    expect(await isDropped('delete from comments where post = 3')).toBe(true)
  })

  test('behind NOT EXISTS', async () => {
    const isDropped = await world.keeping(
      "select count(*) from posts p where p.title < 'b' and not exists (select from comments c where c.post = p.id and c.stars + 0 > 0)",
    )
    expect(await isDropped('delete from comments where post = 5')).toBe(true)
  })

  test('where it depends on rows around it', async () => {
    const inner = await world.keeping(
      'select author, (select count(*) from comments c where c.stars < p.likes and c.body < p.title::text collate "de-x-icu") from posts p where id = 2',
    )
    expect(await inner('delete from comments where post = 2 and n = 1')).toBe(true)
  })
})

test('rows that begin to be among them count from then on', async () => {
  const isDropped = await world.keeping(`select count(*) from posts where ${EARLY}`)
  expect(await isDropped("update posts set title = 'a8' where id = 8")).toBe(true)
  expect(await isDropped('update posts set likes = 0 where id = 8')).toBe(false)
  expect(await isDropped("update posts set title = 'b8' where id = 8")).toBe(true)
})
