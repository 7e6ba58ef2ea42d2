import { getHeapStatistics } from 'node:v8'
import pg from 'pg'
import type { Cache } from 'tidemark'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import type { Sql } from '../src/index.js'
import { notKept, until, World } from './opened.js'

/*
 * Rows that no statement names: foreign keys that cascade, partitions that are detached while others read, foreign tables, transactions of
 * very many rows or savepoints (in full: ROWS=1000000 SAVEPOINTS=100000 npx vitest run packages/postgres/test/indirect-writes).
 */

const ROWS = Number(process.env.ROWS ?? 20_000)
const SAVEPOINTS = Number(process.env.SAVEPOINTS ?? 2_000)
/** What a large transaction may cost this process, whatever its size. */
const HEAP_MAX = 150e6

let world: World
let cache: Cache<{ sql: Sql }>

beforeAll(async () => {
  const children = (name: string, action: string) =>
    `create table ${name} (id int primary key, author int references authors ${action}, title text);`
  world = await World.create(`
    create table authors (id int primary key, name text);
    ${children('deleted', 'on delete cascade on update cascade')}
    ${children('cleared', 'on delete set null on update set null')}
    ${children('full_deleted', 'on delete cascade on update cascade')}
    ${children('full_cleared', 'on delete set null on update set null')}
    alter table full_deleted replica identity full;
    alter table full_cleared replica identity full;
    create table parted (id int primary key, v int) partition by range (id);
    create table parted_1 partition of parted for values from (0) to (100);
    create table parted_2 partition of parted for values from (100) to (200);
    create table many (id int primary key, v int);
    insert into many values (0, 0)`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

const rowsOf = (text: string) => world.admin.query(text).then(({ rows }) => rows)

/** Reads `text` through the cache. */
function reader(text: string) {
  const load = ({ sql }: { sql: Sql }) => sql.query(text).then(({ rows }) => rows)
  return { read: () => cache.get(text, load), isKept: () => cache.explain(text).state === 'fresh' }
}

describe.each(['deleted', 'cleared', 'full_deleted', 'full_cleared'])('of the foreign key of %s', (table) => {
  it('what it does to rows is seen as if they were written', async () => {
    await world.admin.query(`truncate authors cascade; insert into authors select i, 'a' from generate_series(1, 4) i;
      insert into ${table} select i, 1 + i % 4, 't' from generate_series(1, 12) i`)
    ;({ cache } = await world.open())
    const answers = [1, 2, 3, 4, 20].map((author) =>
      reader(`select id, author, title from ${table} where author = ${author} order by id`),
    )
    const orphans = reader(`select id from ${table} where author is null order by id`)
    const touched: boolean[][] = []
    for (const write of [
      'delete from authors where id = 1',
      'update authors set id = 20 where id = 2',
      "update authors set name = 'b' where id = 3",
    ]) {
      for (const each of [...answers, orphans]) await until(async () => (await each.read()) && each.isKept())
      await world.admin.query(write)
      // It comes through the log after the write.
      await cache.invalidate({ tags: ['nothing'] })
      touched.push(answers.map((each) => !each.isKept()))
      for (const [index, author] of [1, 2, 3, 4, 20].entries())
        expect(await answers[index]!.read(), write).toEqual(
          await rowsOf(`select id, author, title from ${table} where author = ${author} order by id`),
        )
      expect(await orphans.read()).toEqual(await rowsOf(`select id from ${table} where author is null order by id`))
    }
    expect(touched[0]![0]).toBe(true)
    expect(touched[1]![1]).toBe(true)
    expect(touched[1]![4]).toBe(table.endsWith('deleted'))
    // The authors' rows are nobody's concern here, nor are others' posts.
    expect(touched[2]).toEqual([false, false, false, false, false])
    if (table.startsWith('full')) expect(touched[0]).toEqual([true, false, false, false, false])
  })
})

it.skipIf(isBefore(14))(
  'a partition that is detached concurrently is gone from answers while it still waits',
  async () => {
    await world.admin.query('truncate parted; insert into parted values (1, 1), (101, 1)')
    ;({ cache } = await world.open())
    const all = reader('select id, v from parted order by id')
    await until(async () => (await all.read()).length === 2 && all.isKept())
    const [other, detaching] = [1, 2].map(() => new pg.Client({ connectionString: world.database.url }))
    try {
      await Promise.all([other!.connect(), detaching!.connect()])
      await other!.query('begin; select count(*) from parted')
      const detached = detaching!.query('alter table parted detach partition parted_2 concurrently')
      // What was open sees it, what begins now does not.
      await until(async () => (await rowsOf('select from parted')).length === 1)
      await until(async () => (await all.read()).length === 1)
      await other!.query('commit')
      await detached
      await until(async () => (await all.read()) && all.isKept())
      await world.admin.query('insert into parted_2 values (102, 1)')
      await world.admin.query('insert into parted values (2, 1)')
      await until(async () => (await all.read()).length === 2)
      expect(await all.read()).toEqual(await rowsOf('select id, v from parted order by id'))
    } finally {
      await Promise.all([other!.end(), detaching!.end()])
    }
  },
)

it('a foreign table sends no changes: what reads it needs an expiry', async () => {
  await world.admin.query(`create extension file_fdw; create server files foreign data wrapper file_fdw;
    create foreign table outside (id int, name text) server files options (program 'echo 1,one', format 'csv')`)
  const opened = await world.open()
  cache = opened.cache
  const load = ({ sql }: { sql: Sql }) => sql.many`select many.id, name from outside left join many using (id)`
  expect(await cache.get('outside', load)).toEqual([{ id: null, name: 'one' }])
  expect(await notKept(cache, load)).toBe('unfollowed-table')
  expect(await opened.source.explain('select name from outside')).toMatchObject({
    tables: [{ table: 'public.outside', follows: 'nothing', advice: [expect.stringContaining('ttl')] }],
  })
})

/** The most that the heap held beyond what it holds now, until `stop`. */
function heapWatch(): { stop(): number } {
  const before = getHeapStatistics().used_heap_size
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, getHeapStatistics().used_heap_size)
  }, 20)
  return {
    stop() {
      clearInterval(timer)
      return most - before
    },
  }
}

it(`a transaction of ${SAVEPOINTS} savepoints leaves what was not rolled back, and one of ${ROWS} rows is seen, in bounded memory`, async () => {
  ;({ cache } = await world.open())
  const counted = reader('select count(*)::int as n, sum(v)::int as v from many')
  const first = reader('select v from many where id = 0')
  const watch = heapWatch()
  for (const write of [
    `do $$ begin for i in 1..${SAVEPOINTS} loop
       begin
         insert into many values (i, i % 7);
         if i % 2 = 0 then raise exception 'rolled back'; end if;
       exception when others then null;
       end;
     end loop; end $$`,
    `insert into many select 1000000 + i, 1 from generate_series(1, ${ROWS}) i`,
  ]) {
    await until(async () => (await counted.read()) && counted.isKept())
    await until(async () => (await first.read()) && first.isKept())
    await world.admin.query(write)
    const fresh = await rowsOf('select count(*)::int as n, sum(v)::int as v from many')
    await until(
      async () => JSON.stringify(await counted.read()) === JSON.stringify(fresh),
      () => JSON.stringify(cache.status()),
      120_000,
    )
    expect(await first.read()).toEqual([{ v: 0 }])
  }
  expect(watch.stop()).toBeLessThan(HEAP_MAX)
}, 300_000)
