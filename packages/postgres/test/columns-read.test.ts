import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { until, World } from './opened.js'

/*
 * An update that changes no column that a query reads leaves its answer where it is, and is counted; any other drops it. What can be
 * known of old values depends on the replica identity.
 */

let world: World

beforeAll(async () => {
  const columns = 'id bigint primary key, author_id bigint, title text, views int not null default 0, body text'
  world = await World.create(`
    create table fully (${columns});
    alter table fully replica identity full;
    create table plain (${columns});
    alter table plain alter body set storage external;
    insert into fully select n, 1 + n % 2, 'post ' || n from generate_series(1, 4) n;
    insert into plain select n, 1 + n % 2, 'post ' || n, 0, repeat('x', 5000) from generate_series(1, 4) n;
  `)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

/** Which of the answers a change drops, and how many dependencies it left alone. */
async function dropped(queries: Readonly<Record<string, string>>, change: string) {
  const { cache } = await world.open()
  const answers = cache.define('answer', ({ sql }, name: string) =>
    sql.many(Object.assign([queries[name]!], { raw: [] })),
  )
  for (const name of Object.keys(queries)) await until(async () => (await answers.ask(name)).from === 'l1', name)
  const { changes, unchanged } = cache.counters
  await world.admin.query(change)
  await until(() => cache.counters.changes > changes)
  const gone = Object.keys(queries).filter((name) => answers.peek(name) === undefined)
  return { gone, unchanged: cache.counters.unchanged - unchanged }
}

it('under FULL, only answers that read the column go', async () => {
  const queries = {
    feed: 'select id, title from fully where author_id = 2',
    filtered: 'select title from fully where author_id = 2 and views < 100',
    counted: 'select count(*) from fully',
    every: 'select * from fully where id = 1',
    rows: 'select f from fully f where id = 1',
    summed: 'select sum(views) from fully',
    other: 'select views from fully where id = 2',
  }
  const { gone, unchanged } = await dropped(queries, 'update fully set views = views + 1 where id = 1')
  expect(gone).toEqual(['every', 'rows', 'summed'])
  expect(unchanged).toBeGreaterThanOrEqual(2)
  // It fits no longer.
  expect((await dropped(queries, 'update fully set views = 100 where id = 2')).gone).toEqual(['summed', 'other'])
  expect((await dropped(queries, 'update fully set views = 100 where id = 1')).gone).toContain('filtered')
})

it('under FULL, a row that leaves, enters or goes counts whatever is read', async () => {
  const queries = { feed: 'select 1 from fully where author_id = 2', counted: 'select count(*) from fully' }
  expect(await dropped(queries, 'update fully set author_id = 1 where id = 3')).toMatchObject({ gone: ['feed'] })
  expect(await dropped(queries, 'delete from fully where id = 1')).toMatchObject({ gone: ['feed', 'counted'] })
})

it('under the default identity, what is known of old values is the key, and what the log leaves out', async () => {
  const queries = {
    counted: 'select count(*) from plain',
    identity: 'select id from plain where id = 1',
    large: 'select id, length(body) from plain where id = 1',
    titled: 'select title from plain where id = 1',
  }
  // The title is unchanged, but nobody says so.
  const { gone, unchanged } = await dropped(queries, 'update plain set views = views + 1 where id = 1')
  expect(gone).toEqual(['titled'])
  expect(unchanged).toBeGreaterThanOrEqual(3)
  expect(await dropped(queries, "update plain set body = repeat('y', 5000) where id = 1")).toMatchObject({
    gone: ['large', 'titled'],
  })
  expect(await dropped(queries, 'update plain set id = 9 where id = 1')).toMatchObject({
    gone: ['identity', 'large', 'titled'],
  })
})

it('of a table that is read at several places, each goes by the columns that are read there', async () => {
  const queries = {
    named: 'select a.title from fully a join fully b on b.author_id = a.author_id where a.id = 2',
    counted:
      'select a.id from fully a where exists (select 1 from fully b where b.author_id = a.id and b.id = 4) and a.id = 1',
    every: 'select a.id, b.* from fully a join fully b on b.id = a.author_id where a.id = 2',
    values: 'select a.id, b.views from fully a, fully b where a.id = 2 and b.id = 4',
  }
  expect(await dropped(queries, "update fully set title = 'other' where id = 4")).toMatchObject({ gone: [] })
  expect(await dropped(queries, 'update fully set views = views + 1 where id = 2')).toMatchObject({ gone: [] })
  expect(await dropped(queries, 'update fully set views = views + 1 where id = 4')).toMatchObject({ gone: ['values'] })
  expect(await dropped(queries, "update fully set title = 'another' where id = 2")).toMatchObject({
    gone: ['named'],
  })
})
