import pg from 'pg'
import type { Definition } from 'tidemark'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Sql } from '../src/index.js'
import { until, World } from './opened.js'

/*
 * The whole of it: writers change rows in every way while readers read through the cache. Whenever the cache says that an answer is
 * fresh, no commit that this process has applied may contradict it; so once all is applied, what is kept equals what the database says.
 */

const ROUNDS = Number(process.env.TIDEMARK_ROUNDS ?? 12)
const SEED = Number(process.env.TIDEMARK_SEED ?? 7)
const AUTHORS = 4
const POSTS = 24

let world: World

beforeAll(async () => {
  world = await World.create(`
    create type mood as enum ('live', 'draft');
    create table authors (id int primary key, name text not null);
    create table posts (id bigint primary key, author_id int, status mood not null, topic char(6), title text, votes int not null default 0);
    create table comments (post_id bigint, n int, author_id int, body text, primary key (post_id, n));
    create table marks (id int primary key, post_id bigint, kind varchar(8));
    alter table marks replica identity full;
    create table events (id int, day date not null, kind text, primary key (id, day)) partition by range (day);
    create table events_a partition of events for values from ('2020-01-01') to ('2021-01-01');
    create table events_b partition of events for values from ('2021-01-01') to ('2022-01-01');
    create view live_posts as select * from posts where status = 'live';
    insert into authors select n, 'author ' || n from generate_series(1, ${AUTHORS}) n;
    insert into posts select n, 1 + n % ${AUTHORS}, 'live', 'topic' || n % 3, 'post ' || n from generate_series(1, ${POSTS}) n;
  `)
})
afterAll(() => world?.drop())

type Load = (sql: Sql, n: number) => Promise<unknown>
const SHAPES: Record<string, Load> = {
  row: (sql, n) => sql.one`select * from posts where id = ${n}`,
  feed: (sql, n) =>
    sql.many`select id, title, votes from posts where author_id = ${n % AUTHORS} and status = 'live' order by votes desc, id limit 3`,
  topic: (sql, n) => sql.many`select id, title from posts where topic = ${`topic${n % 3}`} order by id`,
  offset: (sql, n) =>
    sql.many`select id from posts where author_id = ${n % AUTHORS} order by votes, id offset 1 limit 2`,
  count: (sql, n) => sql.one`select count(*), max(votes) from posts where author_id = ${n % AUTHORS}`,
  list: (sql, n) => sql.many`select id, title from posts where id = any(${[n, n + 1, null]}) order by id`,
  either: (sql, n) => sql.many`select id, title from posts where id = ${n} or author_id is null order by id`,
  joined: (sql, n) =>
    sql.many`select p.id, a.id as a, name from posts p join authors a on a.id = p.author_id where p.author_id = ${n % AUTHORS} order by 1`,
  outer: (sql, n) =>
    sql.many`select p.id, c.n, c.body from posts p left join comments c on c.post_id = p.id and c.author_id = ${n % AUTHORS} where p.id = ${n} order by 1, 2`,
  lonely: (sql, n) =>
    sql.many`select p.id from posts p left join comments c on c.post_id = p.id where p.author_id = ${n % AUTHORS} and c.n is null order by 1`,
  counted: (sql, n) =>
    sql.one`select p.id, p.title, (select count(*) from comments c where c.post_id = p.id) as comments from posts p where p.id = ${n}`,
  exists: (sql, n) =>
    sql.many`select id from posts p where p.author_id = ${n % AUTHORS} and exists (select from marks m where m.post_id = p.id and m.kind = 'star') order by 1`,
  marks: (sql, n) => sql.many`select kind from marks where post_id = ${n} order by 1`,
  comments: (sql, n) => sql.many`select * from comments where post_id = ${n} order by n`,
  view: (sql, n) => sql.many`select id, votes from live_posts where author_id = ${n % AUTHORS} order by id`,
  events: (sql, n) => sql.many`select * from events where id = ${n % 5} order by day`,
  union: (sql, n) =>
    sql.many`select 'c' as k, n as id from comments where post_id = ${n} union all select kind, id from marks where post_id = ${n} order by 1, 2`,
  cte: (sql, n) =>
    sql.many`with mine as (select * from posts where author_id = ${n % AUTHORS}) select status, count(*) from mine group by 1 order by 1`,
  all: (sql) => sql.many`select id, name from authors order by id`,
}

it('what is kept equals what the database says', { timeout: 300_000 }, async () => {
  const { cache } = await world.open()
  const random = generator(SEED)
  const definitions = Object.entries(SHAPES).map(([name, load]): [string, Definition<[number], unknown>, Load] => [
    name,
    cache.define(name, ({ sql }, n: number) => load(sql, n)),
    load,
  ])
  const { sql } = await captured(cache)
  // Every table is followed.
  for (const [name, definition] of definitions) await until(async () => (await definition.ask(1)).from === 'l1', name)
  let compared = 0
  for (let round = 0; round < ROUNDS; round++) {
    const writing = Promise.all([1, 2, 3].map(() => write(random, 25)))
    let isWriting = true
    void writing.finally(() => {
      isWriting = false
    })
    const reading = Promise.all(
      [1, 2, 3, 4].map(async () => {
        while (isWriting) await definitions[random(definitions.length)]![1](1 + random(POSTS))
      }),
    )
    await writing
    await reading
    await cache.settled()
    for (const [name, definition, load] of definitions) {
      for (let n = 1; n <= POSTS; n++) {
        const kept = definition.peek(n)
        if (kept === undefined) continue
        compared++
        expect({ name, n, kept }).toEqual({ name, n, kept: await load(sql, n) })
      }
    }
  }
  // Else nothing was shown: entries that no change touches must have stayed.
  expect(compared).toBeGreaterThan(ROUNDS * 20)
  expect(cache.counters.invalidated).toBeGreaterThan(ROUNDS * 20)
})

/** Transactions of a few statements each; some are rolled back, in whole or to a savepoint. */
async function write(random: (below: number) => number, transactions: number): Promise<void> {
  const client = new pg.Client({ connectionString: world.database.url })
  await client.connect()
  try {
    for (let i = 0; i < transactions; i++) {
      await client.query('begin')
      try {
        for (let j = random(3); j >= 0; j--) await change(client, random)
        if (random(5) === 0) {
          await client.query('savepoint s')
          await change(client, random)
          await client.query('rollback to savepoint s')
        }
        await client.query(random(8) === 0 ? 'rollback' : 'commit')
      } catch (error) {
        // A key that is taken, or a deadlock of two writers.
        if (!(error instanceof pg.DatabaseError)) throw error
        await client.query('rollback')
      }
    }
  } finally {
    await client.end()
  }
}

function change(client: pg.Client, random: (below: number) => number): Promise<unknown> {
  const post = 1 + random(POSTS)
  const author = random(AUTHORS)
  const statements: [string, unknown[]][] = [
    ['update posts set votes = votes + 1 where id = $1', [post]],
    ['update posts set votes = $2 where id = $1', [post, random(5)]],
    ['update posts set author_id = $2 where id = $1', [post, random(4) === 0 ? null : author]],
    ["update posts set status = case status when 'live' then 'draft'::mood else 'live' end where id = $1", [post]],
    ['update posts set topic = $2 where id = $1', [post, `topic${random(3)}`]],
    ['update posts set id = $2 where id = $1', [post, 1 + random(POSTS)]],
    ['delete from posts where id = $1', [post]],
    ["insert into posts values ($1, $2, 'live', 'topic0', 'new') on conflict do nothing", [post, author]],
    ['update posts set votes = 0 where author_id = $1', [author]],
    ['update authors set name = name || $2 where id = $1', [1 + author, String.fromCharCode(97 + random(26))]],
    ['insert into comments values ($1, $2, $3, $4) on conflict do nothing', [post, random(3), author, 'body']],
    ['update comments set body = $2, author_id = $3 where post_id = $1', [post, `${random(9)}`, author]],
    ['update comments set post_id = $2 where post_id = $1 and n = 0', [post, 1 + random(POSTS)]],
    ['delete from comments where post_id = $1', [post]],
    ['insert into marks values ($1, $2, $3) on conflict do nothing', [random(40), post, random(2) ? 'star' : 'flag']],
    ['update marks set post_id = $2, kind = $3 where id = $1', [random(40), post, random(2) ? 'star' : 'flag']],
    ['delete from marks where id = $1', [random(40)]],
    [
      'insert into events values ($1, $2, $3) on conflict do nothing',
      [random(5), random(2) ? '2020-05-05' : '2021-05-05', 'x'],
    ],
    [
      "update events set day = day + interval '1 day', kind = kind || 'y' where id = $1 and length(kind) < 4",
      [random(5)],
    ],
    ["update events set day = '2021-06-06' where id = $1 and day < '2021-01-01'", [random(5)]],
    ['delete from events where id = $1', [random(5)]],
  ]
  if (random(120) === 0) return client.query('truncate comments')
  const [text, values] = statements[random(statements.length)]!
  return client.query(text, values)
}

async function captured(cache: Awaited<ReturnType<World['open']>>['cache']): Promise<{ sql: Sql }> {
  let context: { sql: Sql } | undefined
  await cache.get('captured', (own) => {
    context = own
    return null
  })
  return context!
}

/** A small generator of numbers from a seed. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
