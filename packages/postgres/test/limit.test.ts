import pg from 'pg'
import type { Cache } from 'tidemark'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../src/index.js'
import { until, World } from './opened.js'

/*
 * ORDER BY with LIMIT: what lies behind the last row that is shown matters only once one of those before it goes.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table full_posts (id int primary key, author_id int, at timestamptz, title text);
    create table key_posts (id int primary key, author_id int, at timestamptz, title text);
    alter table full_posts replica identity full`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

const TABLES = ['full_posts', 'key_posts'] as const

async function filled(table: string): Promise<void> {
  await world.admin.query(`truncate ${table}; insert into ${table}
    select i, 1, '2026-01-01'::timestamptz + i * interval '1 hour', 'title ' || i from generate_series(1, 10) i`)
}

describe.each(TABLES)('of %s', (table) => {
  const feed = `select id, at, title from ${table} where author_id = $1 order by at desc limit 3`
  const all = `select id, at from ${table} order by at limit 3`
  const nullsLast = `select id, at from ${table} where author_id = $1 order by at desc nulls last limit 3`

  /** Reads by `sql` and, as an ORM would, by a wrapped pool that makes Dates. */
  async function opened(text: string, values: unknown[]) {
    await filled(table)
    const { cache, source } = await world.open()
    const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url }))
    world.onClose(() => pool.end())
    const load = ({ sql }: { sql: Sql }) => sql.query(text, values).then(({ rows }) => rows)
    const own = () => cache.get('own', load)
    const byPool = () => cache.get('pool', () => pool.query(text, values).then(({ rows }) => rows))
    const truth = async () => (await world.admin.query(text, values)).rows
    /** Whether a write drops both; in any case they are right then. */
    async function drops(write: string): Promise<boolean[]> {
      for (const read of [own, byPool]) await until(async () => (await read()) && isKept(cache))
      await until(async () => isKept(cache, 'own') && isKept(cache, 'pool'))
      await world.admin.query(write)
      // It comes through the log after the write.
      await cache.invalidate({ tags: ['nothing'] })
      const kept = ['own', 'pool'].map((key) => !isKept(cache, key))
      expect(await own()).toEqual(await truth())
      expect(await byPool()).toEqual(await truth())
      return kept
    }
    return drops
  }

  it('a feed stays while what it does not show is written', async () => {
    const drops = await opened(feed, [1])
    expect(await drops(`update ${table} set title = 'old' where id = 5`)).toEqual([false, false])
    expect(await drops(`delete from ${table} where id = 1`)).toEqual([false, false])
    expect(await drops(`insert into ${table} values (11, 1, '2025-01-01', 'older')`)).toEqual([false, false])
    expect(await drops(`insert into ${table} values (12, 1, '2026-02-01', 'newest')`)).toEqual([true, true])
    expect(await drops(`update ${table} set title = 'shown' where id = 10`)).toEqual([true, true])
    expect(await drops(`update ${table} set at = '2024-01-01' where id = 12`)).toEqual([true, true])
    expect(await drops(`update ${table} set at = '2027-01-01' where id = 3`)).toEqual([true, true])
    expect(await drops(`delete from ${table} where id = 3`)).toEqual([true, true])
    expect(await drops(`insert into ${table} values (13, 1, null, 'no time comes first')`)).toEqual([true, true])
  })

  it('an answer that is shorter than its limit depends on all', async () => {
    const drops = await opened(feed, [1])
    expect(await drops(`delete from ${table} where id > 2`)).toEqual([true, true])
    expect(await drops(`insert into ${table} values (3, 1, '2020-01-01', 'oldest')`)).toEqual([true, true])
  })

  it('of all rows of a table those behind do not count either', async () => {
    const drops = await opened(all, [])
    expect(await drops(`insert into ${table} values (11, 7, '2030-01-01', 'last')`)).toEqual([false, false])
    expect(await drops(`insert into ${table} values (12, 7, null, 'no time comes last')`)).toEqual([false, false])
    expect(await drops(`insert into ${table} values (13, 7, '2020-01-01', 'first')`)).toEqual([true, true])
  })

  it('NULL counts where it comes', async () => {
    const drops = await opened(nullsLast, [1])
    expect(await drops(`insert into ${table} values (11, 1, null, 'no time comes last')`)).toEqual([false, false])
    expect(await drops(`update ${table} set at = null where id = 10`)).toEqual([true, true])
  })
})

/** Of a query each write that drops its answer, and each that leaves it. */
const forms: Record<string, { drops: string[]; leaves: string[] }> = {
  'select p.id, p.at, q.title from full_posts p join full_posts q on q.id = p.author_id where p.author_id = 1 order by p.at limit 3':
    {
      drops: [
        "insert into full_posts values (11, 1, '2020-01-01', 'first')",
        "update full_posts set title = 'x' where id = 1",
      ],
      leaves: ["insert into full_posts values (11, 1, '2030-01-01', 'last')", 'delete from full_posts where id = 10'],
    },
  'select q.title, p.id, p.at as moment from full_posts q join full_posts p on p.at = q.at order by p.at limit 3': {
    drops: ["insert into full_posts values (11, 1, '2020-01-01', 'first')", 'delete from full_posts where id = 3'],
    leaves: ["insert into full_posts values (11, 1, '2030-01-01', 'last')", 'delete from full_posts where id = 10'],
  },
  'select id, at from full_posts order by at offset 2 limit 3': {
    drops: ["insert into full_posts values (11, 1, '2020-01-01', 'first')", 'delete from full_posts where id = 5'],
    leaves: ["insert into full_posts values (11, 1, '2030-01-01', 'last')", 'delete from full_posts where id = 6'],
  },
  'select distinct author_id from full_posts order by author_id limit 1': {
    drops: ["insert into full_posts values (11, 0, '2030-01-01', 'first')", 'delete from full_posts'],
    leaves: ["insert into full_posts values (11, 2, '2020-01-01', 'behind')"],
  },
  'select author_id, count(*) as n from full_posts group by author_id order by 1 limit 1': {
    drops: ["insert into full_posts values (11, 1, '2030-01-01', 'one more')"],
    leaves: ["insert into full_posts values (11, 2, '2020-01-01', 'behind')"],
  },
  'with mine as (select id, at as moment from full_posts where author_id = 1) select * from mine order by moment limit 3':
    {
      drops: ["insert into full_posts values (11, 1, '2020-01-01', 'first')"],
      leaves: [
        "insert into full_posts values (11, 1, '2030-01-01', 'last')",
        "insert into full_posts values (11, 1, null, 'last')",
      ],
    },
  'select k.id, f.at from key_posts k left join full_posts f on f.id = k.id order by f.at, k.id limit 3': {
    drops: ["insert into full_posts values (11, 1, '2020-01-01', 'first'); insert into key_posts values (11)"],
    leaves: ["insert into full_posts values (11, 1, '2030-01-01', 'last')", 'delete from full_posts where id = 10'],
  },
  'select k.id, f.at from key_posts k left join full_posts f on f.id = k.id order by f.at desc, k.id limit 3': {
    drops: ['delete from full_posts where id = 1'],
    leaves: [],
  },
  'select id, at from full_posts where at is not null order by at nulls first limit 3': {
    drops: ["insert into full_posts values (11, 1, '2020-01-01', 'first')"],
    leaves: [
      "insert into full_posts values (11, 1, '2030-01-01', 'last')",
      "insert into full_posts values (11, 1, null, 'none')",
    ],
  },
  // The answer does not show what it is ordered by.
  'select id, title from full_posts where author_id = 1 order by at desc limit 3': {
    drops: [
      "insert into full_posts values (11, 1, '2030-01-01', 'newest')",
      "update full_posts set title = 'x' where id = 9",
      'delete from full_posts where id = 8',
    ],
    leaves: [
      "update full_posts set title = 'old' where id = 5",
      'delete from full_posts where id = 1',
      "insert into full_posts values (11, 1, '2020-01-01', 'oldest')",
    ],
  },
  'with mine as (select * from full_posts) select title from mine where author_id = 1 order by at limit 3': {
    drops: ["insert into full_posts values (11, 1, '2020-01-01', 'first')"],
    leaves: ["insert into full_posts values (11, 1, '2030-01-01', 'last')", 'delete from full_posts where id = 4'],
  },
  // Rows of each of its parts.
  'select id, at from full_posts where author_id = 1 union all select id, at from key_posts where id < 3 order by at desc limit 3':
    {
      drops: ["insert into full_posts values (11, 1, '2030-01-01', 'newest')", 'delete from full_posts where id = 9'],
      leaves: ["insert into full_posts values (11, 1, '2020-01-01', 'oldest')", 'delete from full_posts where id = 5'],
    },
  'select id from full_posts union select id from full_posts where author_id = 7 order by 1 limit 3': {
    drops: ['insert into full_posts values (0, 1)', 'delete from full_posts where id = 2'],
    leaves: ['insert into full_posts values (11, 7)', 'delete from full_posts where id = 4'],
  },
  'select id from key_posts except select author_id * 2 from full_posts where id < 3 order by id limit 2': {
    drops: ["insert into key_posts values (-1, 1, null, 'first')", 'update full_posts set author_id = 0'],
    leaves: ['insert into full_posts values (11, 1)'],
  },
  'select id from key_posts except select id from full_posts where author_id <> 1 order by id limit 2': {
    drops: ['update full_posts set author_id = 2 where id = 2'],
    leaves: ['update full_posts set author_id = 2 where id = 3'],
  },
  'select id from full_posts union (select id from key_posts order by id desc limit 1) order by id limit 2': {
    drops: ['delete from full_posts where id = 1'],
    leaves: ['delete from full_posts where id = 3'],
  },
  // In a subquery, whose answer does not show the rows.
  'select count(*) as n, max(title) as t from (select title from full_posts where author_id = 1 order by at desc limit 3) p':
    {
      drops: [
        "insert into full_posts values (11, 1, '2030-01-01', 'newest')",
        "update full_posts set at = '2020-01-01' where id = 9",
      ],
      leaves: ["update full_posts set title = 'old' where id = 5", 'delete from full_posts where id = 1'],
    },
  'with recent as (select distinct id, at from full_posts order by at desc limit 3) select k.id, k.title from key_posts k join recent r using (id) order by 1':
    {
      drops: ["insert into full_posts values (11, 1, '2030-01-01', 'newest')", 'delete from full_posts where id = 8'],
      leaves: ["insert into full_posts values (11, 1, '2020-01-01', 'oldest')", 'delete from full_posts where id = 7'],
    },
  'select id from key_posts where id in (select id from full_posts p where p.author_id = 1 order by p.at, p.id limit 3)':
    {
      drops: ['delete from full_posts where id = 3'],
      leaves: ['delete from full_posts where id = 4', "insert into full_posts values (11, 1, null, 'none')"],
    },
  // Of 8, 9 and 10 the last is not that of their texts.
  "select string_agg(title, ',' order by id) as t from (select id, title from full_posts where id > 7 order by id limit 3) p":
    {
      drops: ["update full_posts set title = 'x' where id = 10", 'delete from full_posts where id = 9'],
      leaves: ["insert into full_posts values (11, 1, '2020-01-01', 'behind')"],
    },
  'select title from full_posts where id > 7 order by id limit 3': {
    drops: ["update full_posts set title = 'x' where id = 10"],
    leaves: ["insert into full_posts values (11, 1, '2020-01-01', 'behind')"],
  },
  'select (select title from full_posts order by id limit 1) as t, title from key_posts where id = 1': {
    drops: ["update full_posts set title = 'x' where id = 1", "insert into full_posts values (0, 1, null, 'first')"],
    leaves: ["update full_posts set title = 'x' where id = 2", 'delete from full_posts where id = 2'],
  },
  'select id from (select id from full_posts order by at desc offset 2 limit 20) p order by id': {
    drops: ['delete from full_posts where id = 1'],
    leaves: [],
  },
  'select id, (select count(*) from (select \'(\' as "a)", at /* ) */ from full_posts order by at limit 2) f where f.at < k.at) as n from key_posts k where id = 3':
    {
      drops: ["insert into full_posts values (11, 1, '2020-01-01', 'oldest')"],
      leaves: ["insert into full_posts values (11, 1, '2029-01-01', 'newest')"],
    },
}

it.each(Object.entries(forms))('%s', async (text, { drops, leaves }) => {
  const { cache } = await world.open()
  const read = () => cache.get('own', ({ sql }) => sql.query(text).then(({ rows }) => rows))
  for (const write of [...drops, ...leaves]) {
    for (const table of TABLES) await filled(table)
    await cache.invalidate({ tags: ['nothing'] })
    await until(async () => (await read()) && isKept(cache))
    await world.admin.query(write)
    await cache.invalidate({ tags: ['nothing'] })
    expect(`${write}: ${isKept(cache) ? 'left' : 'dropped'}`).toBe(
      `${write}: ${leaves.includes(write) ? 'left' : 'dropped'}`,
    )
    expect(await read()).toEqual((await world.admin.query(text)).rows)
  }
})

it('a subquery with parameters of its own types is asked for its end', async () => {
  for (const table of TABLES) await filled(table)
  const { cache } = await world.open()
  const text = `select count(*)::int as n from (
    select 'é', id from full_posts where author_id = any($2) and at > $3 order by at limit $1) p`
  const values = [2, [1, 2], new Date('2026-01-01T02:30:00Z')]
  const read = () => cache.get('own', ({ sql }) => sql.query(text, values).then(({ rows }) => rows))
  await until(async () => (await read()) && isKept(cache))
  await world.admin.query("update full_posts set title = 'x' where id in (1, 5)")
  await cache.invalidate({ tags: ['nothing'] })
  expect(isKept(cache)).toBe(true)
  await world.admin.query('delete from full_posts where id = 4')
  await cache.invalidate({ tags: ['nothing'] })
  expect(isKept(cache)).toBe(false)
})

function isKept(cache: Cache<{ sql: Sql }>, key = 'own'): boolean {
  return cache.peek(key) !== undefined
}

// The end of a LIMIT is asked for before the statement runs. Where a row that it was found by is gone when the statement runs, others lie before its
// end than were thought to; and the answer does not show that row.
describe('a row that leaves when an end is known, and the answer is not', () => {
  const texts = {
    'of a subquery, and the answer is empty':
      'select k.id from key_posts k where k.id > 10 and k.id in (select id from full_posts where author_id = 1 order by at limit 3)',
    'of a subquery, and its rows are asked for':
      "select count(*) from key_posts k where k.id in (select id from full_posts where title || '' > '' order by at limit 3)",
    'of the statement': "select id from full_posts where title || '' > '' order by at limit 3",
  }

  it.each(Object.entries(texts))('%s', async (_, text) => {
    for (const table of TABLES) await filled(table)
    await world.admin.query("insert into key_posts values (12, 1, null, 'none')")
    const { cache, source } = await world.open()
    let leave: string | undefined
    class Client extends pg.Client {
      // biome-ignore lint/suspicious/noExplicitAny: what `pg` declares are twenty forms of one call
      override query(...args: any[]): any {
        const answer = (super.query as (...all: unknown[]) => Promise<unknown>)(...args)
        if (!JSON.stringify(args[0]).includes('tidemark_end') || !leave) return answer
        const write = leave
        leave = undefined
        return answer.then(async (result) => {
          await world.admin.query(write)
          return result
        })
      }
    }
    const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url, Client }))
    world.onClose(() => pool.end())
    const read = () => cache.get('own', () => pool.query(text).then(({ rows }) => rows))
    await until(async () => (await read()) && isKept(cache))
    leave = 'delete from full_posts where id = 2'
    await cache.invalidate({ keys: ['own'] })
    await read()
    expect(leave).toBe(undefined)
    await cache.invalidate({ tags: ['nothing'] })
    await world.admin.query("insert into full_posts values (12, 1, '2026-01-01 03:30Z', 'between')")
    await cache.invalidate({ tags: ['nothing'] })
    expect(await read()).toEqual((await world.admin.query(text)).rows)
  })
})
