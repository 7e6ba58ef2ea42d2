import {
  aliasedTable,
  and,
  asc,
  avg,
  count,
  countDistinct,
  desc,
  eq,
  exists,
  gt,
  inArray,
  isNull,
  max,
  min,
  notExists,
  notInArray,
  sql,
  sum,
} from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { except, intersect, union, unionAll } from 'drizzle-orm/pg-core'
import type { Pool } from 'pg'
import { FILTERS } from './drizzle-filters.js'
import { authors, comments, posts, postTags, schema, tags } from './drizzle-schema.js'
import type { CorpusQuery } from './schema.js'

export function openDrizzle(pool: Pool) {
  return drizzle(pool, { schema })
}
type Database = ReturnType<typeof openDrizzle>

/** What Drizzle writes: its builder, its relational queries, set operations and common table expressions. */
export function drizzleQueries(db: Database): CorpusQuery[] {
  const found: CorpusQuery[] = []
  const add = (name: string, query: () => PromiseLike<unknown>): void => {
    found.push({ name, run: async () => await query() })
  }
  for (const [name, where] of Object.entries(FILTERS)) {
    add(`select, ${name}`, () => db.select().from(posts).where(where).orderBy(desc(posts.createdAt)).limit(10))
    add(`findMany, ${name}`, () => db.query.posts.findMany({ where, limit: 5 }))
    add(`count, ${name}`, () => db.$count(posts, where))
    add(`with author, ${name}`, () => db.query.posts.findMany({ where, with: { author: true } }))
  }
  addJoins(db, add)
  addRelational(db, add)
  addSets(db, add)
  return found
}

type Add = (name: string, query: () => PromiseLike<unknown>) => void

function addJoins(db: Database, add: Add): void {
  const other = aliasedTable(comments, 'parent')
  const onAuthor = eq(authors.id, posts.authorId)
  const onPost = eq(comments.postId, posts.id)
  add('inner join, eq', () => db.select().from(posts).innerJoin(authors, onAuthor).where(eq(posts.id, 3)))
  add('inner join, by author', () => db.select().from(posts).innerJoin(authors, onAuthor).where(eq(authors.id, 3)))
  add('inner join, by email', () =>
    db.select().from(posts).innerJoin(authors, onAuthor).where(eq(authors.email, 'a3@example.org')),
  )
  add('left join, eq', () => db.select().from(posts).leftJoin(comments, onPost).where(eq(posts.id, 3)))
  add('left join, null side filtered', () =>
    db
      .select()
      .from(posts)
      .leftJoin(comments, onPost)
      .where(and(eq(posts.id, 3), eq(comments.isApproved, true))),
  )
  add('left join, anti', () =>
    db
      .select()
      .from(posts)
      .leftJoin(comments, onPost)
      .where(and(eq(posts.authorId, 3), isNull(comments.id))),
  )
  add('right join', () => db.select().from(comments).rightJoin(posts, onPost).where(eq(posts.id, 3)))
  add('full join', () => db.select().from(posts).fullJoin(comments, onPost).where(eq(posts.id, 3)))
  add('three tables', () =>
    db
      .select({ id: comments.id, title: posts.title, name: authors.name })
      .from(comments)
      .innerJoin(posts, onPost)
      .innerJoin(authors, eq(authors.id, comments.authorId))
      .where(eq(posts.slug, 'post-3')),
  )
  add('many to many', () =>
    db
      .select({ id: posts.id, title: posts.title })
      .from(posts)
      .innerJoin(postTags, eq(postTags.postId, posts.id))
      .innerJoin(tags, eq(tags.id, postTags.tagId))
      .where(eq(tags.name, 'tag2')),
  )
  add('many to many by id', () =>
    db.select().from(postTags).innerJoin(tags, eq(tags.id, postTags.tagId)).where(eq(postTags.postId, 5)),
  )
  add('self join', () =>
    db.select().from(comments).leftJoin(other, eq(other.id, comments.parentId)).where(eq(comments.postId, 5)),
  )
  add('group by', () =>
    db.select({ status: posts.status, n: count() }).from(posts).where(eq(posts.authorId, 3)).groupBy(posts.status),
  )
  add('group by having', () =>
    db
      .select({ authorId: posts.authorId, n: count() })
      .from(posts)
      .groupBy(posts.authorId)
      .having(({ n }) => gt(n, 3)),
  )
  add('group by join', () =>
    db
      .select({ name: authors.name, n: count(posts.id) })
      .from(authors)
      .leftJoin(posts, onAuthor)
      .groupBy(authors.id),
  )
  add('group by join, one', () =>
    db
      .select({ name: authors.name, n: count(posts.id) })
      .from(authors)
      .leftJoin(posts, onAuthor)
      .where(eq(authors.id, 2))
      .groupBy(authors.id),
  )
  add('aggregates', () =>
    db
      .select({
        n: countDistinct(posts.status),
        a: avg(posts.views),
        s: sum(posts.views),
        l: min(posts.views),
        h: max(posts.views),
      })
      .from(posts)
      .where(eq(posts.authorId, 3)),
  )
  add('count filter', () =>
    db
      .select({ n: sql<number>`count(*) filter (where ${posts.status} = 'live')` })
      .from(posts)
      .where(eq(posts.authorId, 3)),
  )
  add('distinct', () => db.selectDistinct({ status: posts.status }).from(posts).where(eq(posts.authorId, 3)))
  add('distinct on', () =>
    db
      .selectDistinctOn([posts.authorId], { id: posts.id, authorId: posts.authorId })
      .from(posts)
      .where(inArray(posts.authorId, [1, 2]))
      .orderBy(posts.authorId, desc(posts.createdAt)),
  )
  add('offset', () => db.select().from(posts).where(eq(posts.authorId, 3)).orderBy(asc(posts.id)).limit(5).offset(5))
  add('window', () =>
    db
      .select({ id: posts.id, r: sql`row_number() over (partition by ${posts.status} order by ${posts.views})` })
      .from(posts)
      .where(eq(posts.authorId, 3)),
  )
  add('lateral', () => {
    const latest = db.select().from(comments).where(onPost).orderBy(desc(comments.id)).limit(2).as('latest')
    return db.select().from(posts).leftJoinLateral(latest, sql`true`).where(eq(posts.authorId, 3))
  })
  add('subquery in from', () => {
    const counts = db
      .select({ postId: comments.postId, n: count().as('n') })
      .from(comments)
      .groupBy(comments.postId)
      .as('counts')
    return db
      .select({ id: posts.id, n: counts.n })
      .from(posts)
      .leftJoin(counts, eq(counts.postId, posts.id))
      .where(eq(posts.id, 3))
  })
  add('scalar subquery', () =>
    db
      .select({ id: posts.id, n: sql`(select count(*) from ${comments} where ${comments.postId} = ${posts.id})` })
      .from(posts)
      .where(eq(posts.authorId, 3)),
  )
  add('count subquery', () =>
    db
      .select({ id: posts.id, n: db.$count(comments, onPost) })
      .from(posts)
      .where(eq(posts.id, 3)),
  )
}

function addRelational(db: Database, add: Add): void {
  const onPost = eq(comments.postId, posts.id)
  add('findFirst', () => db.query.posts.findFirst({ where: eq(posts.id, 3) }))
  add('findFirst, columns', () =>
    db.query.posts.findFirst({ where: eq(posts.id, 3), columns: { id: true, title: true } }),
  )
  add('with comments', () => db.query.posts.findFirst({ where: eq(posts.id, 3), with: { comments: true } }))
  add('with comments, columns', () =>
    db.query.posts.findMany({
      where: eq(posts.authorId, 3),
      columns: { id: true, title: true },
      with: { comments: { columns: { body: true } } },
    }),
  )
  add('with comments filtered', () =>
    db.query.posts.findFirst({
      where: eq(posts.id, 3),
      with: { comments: { where: eq(comments.isApproved, true), orderBy: desc(comments.id), limit: 3 } },
    }),
  )
  add('with comments and authors', () =>
    db.query.posts.findMany({
      where: eq(posts.authorId, 3),
      with: { author: true, comments: { with: { author: true } } },
    }),
  )
  add('with tags', () =>
    db.query.posts.findFirst({ where: eq(posts.slug, 'post-3'), with: { tags: { with: { tag: true } } } }),
  )
  add('with all', () =>
    db.query.posts.findFirst({
      where: eq(posts.id, 3),
      with: { author: true, comments: true, tags: { with: { tag: true } } },
    }),
  )
  add('author with posts', () => db.query.authors.findFirst({ where: eq(authors.id, 3), with: { posts: true } }))
  add('author with posts and comments', () =>
    db.query.authors.findMany({
      where: inArray(authors.id, [1, 2]),
      with: { posts: { with: { comments: true } }, comments: true },
    }),
  )
  add('author with latest posts', () =>
    db.query.authors.findFirst({
      where: eq(authors.id, 3),
      with: { posts: { orderBy: desc(posts.createdAt), limit: 3, offset: 1 } },
    }),
  )
  add('replies', () =>
    db.query.comments.findMany({ where: eq(comments.postId, 3), with: { replies: true, parent: true } }),
  )
  add('extras', () =>
    db.query.posts.findMany({
      where: eq(posts.authorId, 3),
      extras: { upper: sql<string>`upper(${posts.title})`.as('upper') },
    }),
  )
  add('tag with posts', () =>
    db.query.tags.findFirst({ where: eq(tags.name, 'tag1'), with: { posts: { with: { post: true } } } }),
  )
  add('exists', () =>
    db
      .select()
      .from(posts)
      .where(and(eq(posts.authorId, 3), exists(db.select().from(comments).where(onPost)))),
  )
  add('exists, filtered', () =>
    db
      .select()
      .from(posts)
      .where(
        exists(
          db
            .select({ one: sql`1` })
            .from(comments)
            .where(and(onPost, eq(comments.authorId, 2))),
        ),
      ),
  )
  add('not exists', () =>
    db
      .select()
      .from(posts)
      .where(and(eq(posts.authorId, 3), notExists(db.select().from(comments).where(onPost)))),
  )
  add('in subquery', () =>
    db
      .select()
      .from(posts)
      .where(inArray(posts.id, db.select({ id: comments.postId }).from(comments).where(eq(comments.authorId, 2)))),
  )
  add('not in subquery', () =>
    db
      .select()
      .from(posts)
      .where(and(eq(posts.authorId, 3), notInArray(posts.id, db.select({ id: postTags.postId }).from(postTags)))),
  )
  add('equals subquery', () =>
    db
      .select()
      .from(posts)
      .where(eq(posts.authorId, sql`(select id from authors where email = ${'a2@example.org'})`)),
  )
}

function addSets(db: Database, add: Add): void {
  // The builders change their left side: a new one for each.
  const live = () => db.select({ id: posts.id }).from(posts).where(eq(posts.status, 'live'))
  const ofAuthor = () => db.select({ id: posts.id }).from(posts).where(eq(posts.authorId, 3))
  add('union', () => union(live(), ofAuthor()))
  add('union all', () => unionAll(live(), ofAuthor()).orderBy(asc(posts.id)).limit(5))
  add('intersect', () => intersect(live(), ofAuthor()))
  add('except', () => except(ofAuthor(), live()))
  add('cte', () => {
    const recent = db.$with('recent').as(db.select().from(posts).where(eq(posts.authorId, 3)))
    return db.with(recent).select().from(recent)
  })
  add('cte with a filter outside', () => {
    const recent = db.$with('recent').as(db.select().from(posts))
    return db.with(recent).select().from(recent).where(eq(recent.authorId, 3))
  })
  add('cte of a group', () => {
    const counts = db.$with('counts').as(
      db
        .select({ postId: comments.postId, n: count().as('n') })
        .from(comments)
        .groupBy(comments.postId),
    )
    return db
      .with(counts)
      .select({ id: posts.id, n: counts.n })
      .from(posts)
      .innerJoin(counts, eq(counts.postId, posts.id))
      .where(eq(posts.authorId, 3))
  })
  add('two ctes', () => {
    const one = db.$with('one').as(db.select().from(posts).where(eq(posts.id, 3)))
    const two = db.$with('two').as(db.select().from(comments).where(eq(comments.postId, 3)))
    return db.with(one, two).select().from(one).leftJoin(two, eq(two.postId, one.id))
  })
  add('recursive cte', () =>
    db.execute(sql`with recursive thread as (
      select id, parent_id, body from comments where id = ${100}
      union all select c.id, c.parent_id, c.body from comments c join thread t on c.id = t.parent_id
    ) select * from thread`),
  )
  add('raw sql', () => db.execute(sql`select * from ${posts} where ${posts.id} = ${3}`))
  add('prepared', () =>
    db
      .select()
      .from(posts)
      .where(eq(posts.id, sql.placeholder('id')))
      .prepare('post_by_id')
      .execute({ id: 3 }),
  )
  add('prepared relational', () =>
    db.query.posts
      .findFirst({ where: eq(posts.id, sql.placeholder('id')), with: { comments: true } })
      .prepare('post_with_comments')
      .execute({ id: 3 }),
  )
}
