import { afterAll, beforeAll, expect, it } from 'vitest'
import { until, World } from './opened.js'

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id int primary key, title text, status text);
    alter table posts replica identity full;
    create view live as select id, title from posts where lower(status) = 'live';
    create function is_live(int) returns boolean language sql stable as $$ select status = 'live' from posts where id = $1 $$;
    insert into posts values (1, 'one', 'live'), (2, 'two', 'live');
  `)
})
afterAll(() => world?.drop())

// It was thinkable to be wrong where a statement names the table beside its view: the columns that it reads are not all.
it('the columns that a view reads count, also where the statement names the table itself', async () => {
  const { cache } = await world.open()
  const joined = cache.define(
    'joined',
    ({ sql }) => sql.many`select p.id, v.title from posts p join live v on v.id = p.id where p.id = 1`,
  )
  const nested = cache.define(
    'nested',
    ({ sql }) => sql.many`select id from posts where id in (select id from live) order by id`,
  )
  await until(async () => (await joined.ask()).from === 'l1' && (await nested.ask()).from === 'l1')
  await world.admin.query("update posts set status = 'draft' where id = 1")
  await until(() => joined.peek() === undefined, 'the join is touched')
  expect(await joined()).toEqual([])
  expect(await nested()).toEqual([{ id: 2 }])
})
