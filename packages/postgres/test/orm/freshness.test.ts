import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { until, World } from '../opened.js'
import { openDrizzle } from './drizzle.js'
import { openKysely } from './kysely.js'
import { openPrisma } from './prisma.js'
import { SCHEMA } from './schema.js'

let world: World

beforeAll(async () => {
  world = await World.create(SCHEMA)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

/** A page with its author and comments, as each ORM reads it, in one shape. */
interface Page {
  readonly title: string
  readonly author: string
  readonly comments: readonly string[]
}
type LoadPage = (id: number) => Promise<Page>
type Row = { title: string; author: { name: string } | null; comments: { body: string }[] }

const pageOf = ({ title, author, comments }: Row): Page => ({
  title,
  author: author!.name,
  comments: comments.map(({ body }) => body),
})

const LOADERS: Record<
  string,
  (pool: pg.Pool) => { readonly page: LoadPage; readonly live: (author: number) => Promise<number> }
> = {
  Drizzle(pool) {
    const db = openDrizzle(pool)
    return {
      page: async (id) =>
        pageOf(
          (await db.query.posts.findFirst({
            where: (posts, { eq }) => eq(posts.id, id),
            with: { author: true, comments: { orderBy: (comments, { asc }) => asc(comments.id) } },
          })) as Row,
        ),
      live: async (author) =>
        (
          await db.query.posts.findMany({
            where: (posts, { and, eq }) => and(eq(posts.authorId, author), eq(posts.status, 'live')),
          })
        ).length,
    }
  },
  Kysely(pool) {
    const db = openKysely(pool)
    return {
      async page(id) {
        const post = await db
          .selectFrom('posts')
          .innerJoin('authors', 'authors.id', 'posts.author_id')
          .select(['title', 'name'])
          .where('posts.id', '=', id)
          .executeTakeFirstOrThrow()
        const comments = await db
          .selectFrom('comments')
          .select(['id', 'body'])
          .where('post_id', '=', id)
          .orderBy('id')
          .execute()
        return pageOf({ title: post.title, author: post, comments })
      },
      live: async (author) =>
        (
          await db
            .selectFrom('posts')
            .selectAll()
            .where('author_id', '=', author)
            .where('status', '=', 'live')
            .execute()
        ).length,
    }
  },
  Prisma(pool) {
    const db = openPrisma(pool)
    return {
      page: async (id) =>
        pageOf(
          (await db.post.findUnique({
            where: { id },
            include: { author: true, comments: { orderBy: { id: 'asc' } } },
          })) as Row,
        ),
      live: (author) => db.post.count({ where: { authorId: author, status: 'live' } }),
    }
  },
}

async function changed<Value>(
  read: () => Promise<Value>,
  statement: string,
  is: (value: Value) => boolean,
): Promise<void> {
  expect(is(await read()), statement).toBe(false)
  await world.admin.query(statement)
  await until(async () => is(await read()), statement)
}

it.each(Object.keys(LOADERS))('what a loader reads through %s is kept, and changes with the database', async (orm) => {
  const { cache, source } = await world.open()
  const notices: string[] = []
  cache.on('notice', ({ message }) => notices.push(message))
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url, max: 2 }))
  pool.on('error', () => {})
  world.onClose(() => pool.end())
  const { page, live } = LOADERS[orm]!(pool)
  const cachedPage = cache.define('page', (_, id: number) => page(id))
  const cachedLive = cache.define('live', (_, author: number) => live(author))
  await until(async () => (await cachedPage.ask(3)).from === 'l1')
  await until(async () => (await cachedLive.ask(5)).from === 'l1')
  const mark = `${orm} was here`
  await changed(
    () => cachedPage(3),
    `update posts set title = '${mark}' where id = 3`,
    ({ title }) => title === mark,
  )
  await changed(
    () => cachedPage(3),
    `insert into comments (body, post_id) values ('${mark}', 3)`,
    ({ comments }) => comments.includes(mark),
  )
  await changed(
    () => cachedPage(3),
    `delete from comments where body = '${mark}'`,
    ({ comments }) => !comments.includes(mark),
  )
  await changed(
    () => cachedPage(3),
    `update authors set name = '${mark}' where id = (select author_id from posts where id = 3)`,
    ({ author }) => author === mark,
  )
  const before = await cachedLive(5)
  await changed(
    () => cachedLive(5),
    `insert into posts (title, slug, status, author_id) values ('x', '${mark}', 'live', 5)`,
    (count) => count === before + 1,
  )
  await changed(
    () => cachedLive(5),
    `update posts set author_id = 6 where slug = '${mark}'`,
    (count) => count === before,
  )
  expect(notices).toEqual([])
  expect(cache.counters.selfCheckMismatches).toBe(0)
  await leavesOthers(cachedPage)
})

/** A page of which nothing changed stays where it is. */
async function leavesOthers(page: {
  ask(id: number): Promise<{ readonly from: string }>
  peek(id: number): unknown
}): Promise<void> {
  await until(async () => (await page.ask(3)).from === 'l1' && (await page.ask(7)).from === 'l1')
  await world.admin.query("update posts set title = title || '!' where id = 3")
  await until(() => page.peek(3) === undefined)
  expect(page.peek(7)).toBeDefined()
}
