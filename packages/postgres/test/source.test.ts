import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { type Cache, createCache } from 'tidemark'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type PostgresOptions, type PostgresSource, postgres, type Sql } from '../src/index.js'

let database: TestDatabase
let admin: pg.Client

beforeAll(async () => {
  database = await testDatabase()
  admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
  await admin.query(`
    create table posts (id bigint primary key, author_id bigint, title text);
    create table authors (id bigint primary key, name text);
    insert into authors values (1, 'Ada'), (2, 'Bob');
    insert into posts select n, 1 + n % 2, 'post ' || n from generate_series(1, 20) n;
  `)
})

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  while (closers.length > 0) await closers.pop()!()
})
afterAll(async () => {
  await admin?.end()
  await database?.drop()
})

async function open(
  options: Partial<PostgresOptions> = {},
): Promise<{ cache: Cache<{ sql: Sql }>; source: PostgresSource }> {
  const source = postgres({ url: database.url, ...options })
  const cache = createCache({ source })
  closers.push(() => cache.close())
  if (options.follow !== 'off') await until(() => cache.status().keeping && cache.status().current)
  return { cache, source }
}

/** Waits for a condition; fails after 20 s. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const bound = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > bound) throw new Error(`never came true: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

interface Post {
  id: string
  author_id: string
  title: string
}

it('keeps what a query answered until a row that it depends on changes', async () => {
  const { cache } = await open()
  const post = cache.define('post', ({ sql }, id: number) => sql.one<Post>`select * from posts where id = ${id}`)
  await until(async () => (await post.ask(1)).from === 'l1')
  await post(2)
  expect(post.peek(1)?.title).toBe('post 1')
  expect(post.peek(2)?.title).toBe('post 2')
  await admin.query("update posts set title = 'changed' where id = 1")
  await until(() => post.peek(1) === undefined)
  expect(post.peek(2)?.title).toBe('post 2')
  expect((await post(1))?.title).toBe('changed')
})

it('drops an answer when a row leaves or enters it', async () => {
  const { cache } = await open()
  const feed = cache.define('feed', async ({ sql }, author: number) => {
    const rows = await sql.many<Post>`select id, title from posts where author_id = ${author} order by id limit 5`
    return rows.map(({ id }) => id)
  })
  await until(async () => (await feed.ask(1)).from === 'l1')
  await until(async () => (await feed.ask(2)).from === 'l1')
  expect(cache.explain('feed(1)').dependencies).toHaveLength(6)
  const [first] = await feed(1)
  await admin.query('update posts set author_id = 3 where id = $1', [first])
  await until(() => feed.peek(1) === undefined)
  expect(feed.peek(2)).toBeDefined()
  expect(await feed(1)).not.toContain(first)
  await admin.query('update posts set author_id = 1 where id = $1', [first])
  await until(() => feed.peek(1) === undefined)
  expect(await feed(1)).toContain(first)
  expect(feed.peek(2)).toBeDefined()
})
