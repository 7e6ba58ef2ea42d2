import { afterAll, beforeAll, expect, it } from 'vitest'
import { until, World } from './opened.js'

/*
 * The same through a cache, while rows are written: what DDL touches goes and is computed anew, what it does not touch stays.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id int primary key, title text);
    create table authors (id int primary key, name text);
    create table noise (id int primary key, n int);
    create view shown as select name as v from authors;
    insert into posts values (1, 'one');
    insert into authors values (1, 'Ada');
    insert into noise values (1, 0);
  `)
})
afterAll(() => world?.drop())

const statements: readonly (readonly [sql: string, gone: readonly string[]])[] = [
  ['create index on posts (title)', []],
  ['alter table posts add extra int', ['every']],
  ['alter table posts add plus int default 7', ['every', 'titles']],
  ['create or replace view shown as select title as v from posts', ['shown']],
  ['alter table authors rename column name to called; alter table authors rename column called to name', ['authors']],
  ['alter table posts drop column plus', ['every', 'titles', 'shown']],
]

it('drops what DDL touches, and nothing else', async () => {
  const { cache } = await world.open()
  const entries = {
    every: cache.define('every', ({ sql }) => sql.many`select * from posts order by id`),
    titles: cache.define('titles', ({ sql }) => sql.many`select title from posts order by title`),
    authors: cache.define('authors', ({ sql }) => sql.many`select name from authors order by name`),
    shown: cache.define('shown', ({ sql }) => sql.many`select v from shown order by v`),
  }
  const texts = {
    every: 'select * from posts order by id',
    titles: 'select title from posts order by title',
    authors: 'select name from authors order by name',
    shown: 'select v from shown order by v',
  }
  for (const [i, [statement, gone]] of statements.entries()) {
    for (const entry of Object.values(entries)) await until(async () => (await entry.ask()).from === 'l1')
    await world.admin.query(statement)
    await world.admin.query('update noise set n = n + 1')
    // What is told of the mark is told last.
    const mark = cache.define(`mark${i}`, ({ sql }) => sql.many`select * from noise`)
    await until(async () => (await mark.ask()).from === 'l1')
    await world.admin.query(`alter table noise add column m${i} int`)
    await until(() => mark.peek() === undefined)
    for (const [name, entry] of Object.entries(entries)) {
      expect([statement, name, entry.peek() === undefined]).toEqual([statement, name, gone.includes(name)])
      const { rows } = await world.admin.query(texts[name as keyof typeof texts])
      expect(await entry()).toEqual(rows)
    }
  }
})
