import { afterAll, beforeAll, expect, it } from 'vitest'
import { notKept, until, World } from './opened.js'

/*
 * Answers that come through functions of one's own: kept, dropped by the rows that the functions read and by no others, and dropped when
 * a function becomes another.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id int primary key, author int, title text);
    create table authors (id int primary key, name text);
    create table shown (id int, title text);
    create table drafts (id int primary key, title text);
    create function as_shown() returns setof shown language sql stable as 'select * from drafts';
    create table noise (id int primary key);
    alter table posts replica identity full;
    create function posts_of(author_asked int) returns setof posts language sql stable as 'select * from posts where author = author_asked';
    create function name_of(int) returns text language sql stable as 'select name from authors where id = $1';
    create function at(text) returns setof posts language sql stable as 'select p.* from posts p where p.title = $1::timestamptz::text';
    insert into posts values (1, 1, 'one'), (2, 2, 'two');
    insert into authors values (1, 'Ada'), (2, 'Bo');
  `)
})
afterAll(() => world?.drop())

const TEXT = 'select p.id, p.title, name_of(p.author) as name from posts_of($1) p order by p.id'

it('drops what rows and definitions touch, and nothing else', async () => {
  const { cache } = await world.open()
  const feed = cache.define('feed', async ({ sql }, author: number) => (await sql.query(TEXT, [author])).rows)
  const both = async (): Promise<void> => {
    for (const author of [1, 2]) await until(async () => (await feed.with({}).ask(author)).from === 'l1')
  }
  const areRight = async (): Promise<void> => {
    for (const author of [1, 2])
      await until(async () => {
        const { rows } = await world.admin.query(TEXT, [author])
        return JSON.stringify(await feed(author)) === JSON.stringify(rows)
      })
  }
  let marks = 0
  /** Whose feeds rows touched. */
  const touchedBy = async (statement: string): Promise<readonly number[]> => {
    await both()
    const mark = cache.define(`mark${marks}`, ({ sql }) => sql.many`select * from noise`)
    await until(async () => (await mark.ask()).from === 'l1')
    await world.admin.query(statement)
    await world.admin.query(`insert into noise values (${marks++})`)
    await until(() => mark.peek() === undefined)
    const touched = [1, 2].filter((author) => feed.peek(author) === undefined)
    await areRight()
    return touched
  }
  expect(await touchedBy("insert into posts values (3, 1, 'three')")).toEqual([1])
  expect(await touchedBy('update posts set author = 2 where id = 3')).toEqual([1, 2])
  expect(await touchedBy("update authors set name = 'Ben' where id = 2")).toEqual([2])
  const definitions = [
    "create or replace function name_of(int) returns text language sql stable as 'select upper(name) from authors where id = $1'",
    // From here on the column is meant, not the argument.
    'alter table posts add author_asked int',
  ]
  for (const statement of definitions) {
    await both()
    await world.admin.query(statement)
    await until(() => [1, 2].every((author) => feed.peek(author) === undefined))
    await areRight()
  }
})

it('drops what a table names that gives a function its columns', async () => {
  const { cache } = await world.open()
  await world.admin.query("insert into drafts values (1, 'one')")
  const drafts = cache.define('drafts', ({ sql }) => sql.many`select * from as_shown()`)
  await until(async () => (await drafts.ask()).from === 'l1')
  await world.admin.query('alter table shown rename column title to headline')
  await until(() => drafts.peek() === undefined)
  expect(await drafts()).toEqual([{ id: 1, headline: 'one' }])
})

it('asks for an expiry where a parameter may mean a moment in a body', async () => {
  const { cache } = await world.open()
  const reason = (value: string) => notKept(cache, ({ sql }) => sql.many`select * from at(${value})`)
  expect(await reason('now')).toBe('time')
  expect(await reason('2020-01-01 00:00:00Z')).toBeUndefined()
})
