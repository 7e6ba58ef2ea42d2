import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { seed } from '../seed.js'

const opened: { end(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.end()
})

async function connect(database?: TestDatabase): Promise<{ client: pg.Client; database: TestDatabase }> {
  if (!database) {
    const made = await testDatabase()
    opened.push({ end: () => made.drop() })
    database = made
  }
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  opened.push(client)
  return { client, database }
}

const COUNTS = `select (select count(*)::int from authors) as authors, (select count(*)::int from posts) as posts,
  (select count(*)::int from comments) as comments, (select count(*)::int from upvotes) as upvotes,
  (select count(*)::int from sessions) as sessions`

test('an empty database gets a few hundred rows, the same each time', async () => {
  const digest = `select md5(string_agg(t::text, '' order by t::text)) from (select id, author_id, topic, status, title, body, upvotes, comments, created_at from posts) t`
  const digests = []
  for (let run = 0; run < 2; run++) {
    const { client } = await connect()
    expect(await seed(client)).toBe(true)
    digests.push((await client.query(digest)).rows[0].md5)
    const counts = (await client.query(COUNTS)).rows[0]
    const all = Object.values(counts as Record<string, number>).reduce((sum, count) => sum + count)
    expect(all).toBeGreaterThan(300)
    expect(all).toBeLessThan(1000)
    expect(Math.min(...Object.values(counts as Record<string, number>))).toBeGreaterThan(0)
  }
  expect(digests[0]).toBe(digests[1])
})

test('a database that has the blog is left as it is, also by two starts at once', async () => {
  const { client, database } = await connect()
  const { client: other } = await connect(database)
  const made = await Promise.all([seed(client), seed(other)])
  expect(made.sort()).toEqual([false, true])
  await client.query(`update posts set title = 'Mine' where id = 1`)
  expect(await seed(other)).toBe(false)
  expect((await client.query('select title from posts where id = 1')).rows).toEqual([{ title: 'Mine' }])
})

test("somebody else's tables are not touched, and the message says what to do", async () => {
  const { client } = await connect()
  await client.query('create table posts (theirs int)')
  await expect(seed(client)).rejects.toThrow(/already has tables.*\(posts\).*DATABASE_URL/s)
  const tables = await client.query(`select relname from pg_class where relnamespace = 'public'::regnamespace`)
  expect(tables.rows).toEqual([{ relname: 'posts' }])
})

test('the counts on a post are right whoever writes', async () => {
  const { client } = await connect()
  await seed(client)
  const wrong = `select id from posts p where p.comments <> (select count(*) from comments c where c.post_id = p.id)
                    or p.upvotes <> (select count(*) from upvotes u where u.post_id = p.id)`
  expect((await client.query(wrong)).rows).toEqual([])
  await client.query(`insert into comments (post_id, author_id, body) select 1, 2, 'more' from generate_series(1, 5)`)
  await client.query('update comments set post_id = 2 where post_id = 1')
  await client.query('delete from comments where id % 3 = 0')
  await client.query('delete from sessions where author_id = 3')
  expect((await client.query(wrong)).rows).toEqual([])
})

test('every table has a primary key, so that its changes can be followed', async () => {
  const { client } = await connect()
  await seed(client)
  const bare = await client.query(
    `select relname from pg_class c where relkind = 'r' and relnamespace = 'public'::regnamespace
     and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)`,
  )
  expect(bare.rows).toEqual([])
})
