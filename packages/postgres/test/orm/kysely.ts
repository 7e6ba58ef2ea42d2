import { Kysely, PostgresDialect, sql } from 'kysely'
import { jsonArrayFrom, jsonBuildObject, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Pool } from 'pg'
import { type Blog, FILTERS } from './kysely-filters.js'
import type { CorpusQuery } from './schema.js'

export function openKysely(pool: Pool): Kysely<Blog> {
  return new Kysely<Blog>({ dialect: new PostgresDialect({ pool }) })
}
type Database = Kysely<Blog>
/** What Kysely writes. */
export function kyselyQueries(db: Database): CorpusQuery[] {
  const found: CorpusQuery[] = []
  const add: Add = (name, query) => {
    found.push({ name, run: () => query().execute() })
  }
  for (const [name, where] of Object.entries(FILTERS)) {
    add(`select, ${name}`, () =>
      db.selectFrom('posts').selectAll().where(where).orderBy('created_at', 'desc').limit(10),
    )
    add(`count, ${name}`, () =>
      db
        .selectFrom('posts')
        .select((eb) => eb.fn.countAll().as('n'))
        .where(where),
    )
    add(`json author, ${name}`, () =>
      db
        .selectFrom('posts')
        .select((eb) => [
          'posts.id',
          'title',
          jsonObjectFrom(
            eb.selectFrom('authors').select(['authors.id', 'name']).whereRef('authors.id', '=', 'posts.author_id'),
          ).as('author'),
        ])
        .where(where),
    )
  }
  addJoins(db, add)
  addSubqueries(db, add)
  addJson(db, add)
  addSets(db, add)
  return found
}

type Add = (name: string, query: () => { execute(): Promise<unknown> }) => void

function addJoins(db: Database, add: Add): void {
  const withAuthor = db.selectFrom('posts').innerJoin('authors', 'authors.id', 'posts.author_id')
  const withComments = db.selectFrom('posts').leftJoin('comments', 'comments.post_id', 'posts.id')
  add('inner join', () => withAuthor.select(['posts.id', 'title', 'name']).where('posts.id', '=', 3))
  add('inner join, by author', () => withAuthor.selectAll('posts').select('name').where('authors.id', '=', 3))
  add('inner join, by email', () => withAuthor.selectAll('posts').where('email', '=', 'a3@example.org'))
  add('left join', () => withComments.select(['posts.id', 'comments.id as comment', 'body']).where('posts.id', '=', 3))
  add('left join, more on', () =>
    db
      .selectFrom('posts')
      .leftJoin('comments', (join) => join.onRef('comments.post_id', '=', 'posts.id').on('is_approved', '=', true))
      .select(['posts.id', 'body'])
      .where('posts.author_id', '=', 3),
  )
  add('left join, anti', () =>
    withComments.select('posts.id').where('posts.author_id', '=', 3).where('comments.id', 'is', null),
  )
  add('right join', () =>
    db
      .selectFrom('comments')
      .rightJoin('posts', 'posts.id', 'comments.post_id')
      .select(['posts.id', 'body'])
      .where('posts.id', '=', 3),
  )
  add('full join', () =>
    db
      .selectFrom('comments')
      .fullJoin('posts', 'posts.id', 'comments.post_id')
      .select(['posts.id', 'body'])
      .where('posts.id', '=', 3),
  )
  add('many to many', () =>
    db
      .selectFrom('posts')
      .innerJoin('post_tags', 'post_tags.post_id', 'posts.id')
      .innerJoin('tags', 'tags.id', 'post_tags.tag_id')
      .select(['posts.id', 'title', 'tags.name'])
      .where('tags.name', 'in', ['tag1', 'tag2']),
  )
  add('four tables', () =>
    db
      .selectFrom('comments')
      .innerJoin('posts', 'posts.id', 'comments.post_id')
      .innerJoin('authors as writer', 'writer.id', 'posts.author_id')
      .leftJoin('authors as reader', 'reader.id', 'comments.author_id')
      .select(['comments.id', 'writer.name as writer', 'reader.name as reader'])
      .where('comments.post_id', '=', 5),
  )
  add('self join', () =>
    db
      .selectFrom('comments as c')
      .leftJoin('comments as p', 'p.id', 'c.parent_id')
      .select(['c.id', 'c.body', 'p.body as parent'])
      .where('c.post_id', '=', 5),
  )
  add('lateral', () =>
    db
      .selectFrom('posts')
      .innerJoinLateral(
        (eb) =>
          eb
            .selectFrom('comments')
            .select(['comments.id as comment', 'body'])
            .whereRef('post_id', '=', 'posts.id')
            .orderBy('comments.id', 'desc')
            .limit(1)
            .as('latest'),
        (join) => join.onTrue(),
      )
      .select(['posts.id', 'latest.body'])
      .where('posts.author_id', '=', 3),
  )
  add('group by', () =>
    db
      .selectFrom('posts')
      .select((eb) => ['status', eb.fn.count('id').as('n')])
      .where('author_id', '=', 3)
      .groupBy('status'),
  )
  add('group by having', () =>
    db
      .selectFrom('posts')
      .select((eb) => ['author_id', eb.fn.sum('views').as('views')])
      .groupBy('author_id')
      .having((eb) => eb.fn.count('id'), '>', 3),
  )
  add('count filter', () =>
    db
      .selectFrom('posts')
      .select((eb) => eb.fn.count('id').filterWhere('status', '=', 'live').as('live'))
      .where('author_id', '=', 3),
  )
  add('distinct', () => db.selectFrom('posts').select('status').distinct().where('author_id', '=', 3))
  add('distinct on', () =>
    db
      .selectFrom('posts')
      .distinctOn('author_id')
      .selectAll()
      .where('author_id', 'in', [1, 2])
      .orderBy('author_id')
      .orderBy('id', 'desc'),
  )
  add('window', () =>
    db
      .selectFrom('posts')
      .select((eb) => [
        'id',
        eb.fn
          .agg<number>('rank')
          .over((ob) => ob.partitionBy('status').orderBy('views', 'desc'))
          .as('rank'),
      ])
      .where('author_id', '=', 3),
  )
  add('offset', () => db.selectFrom('posts').selectAll().where('author_id', '=', 3).orderBy('id').limit(5).offset(5))
  add('case', () =>
    db
      .selectFrom('posts')
      .select((eb) => ['id', eb.case().when('views', '>', 100).then('hot').else('cold').end().as('heat')])
      .where('author_id', '=', 3),
  )
}

function addSubqueries(db: Database, add: Add): void {
  const ofAuthor = db.selectFrom('posts').select('posts.id').where('posts.author_id', '=', 3)
  add('exists', () =>
    ofAuthor.where((eb) =>
      eb.exists(eb.selectFrom('comments').select('comments.id').whereRef('post_id', '=', 'posts.id')),
    ),
  )
  add('exists alone', () =>
    db
      .selectFrom('posts')
      .selectAll()
      .where((eb) =>
        eb.exists(
          eb
            .selectFrom('comments')
            .select('comments.id')
            .whereRef('post_id', '=', 'posts.id')
            .where('comments.author_id', '=', 2),
        ),
      ),
  )
  add('not exists', () =>
    ofAuthor.where((eb) =>
      eb.not(eb.exists(eb.selectFrom('comments').select('comments.id').whereRef('post_id', '=', 'posts.id'))),
    ),
  )
  add('in subquery', () =>
    db
      .selectFrom('posts')
      .selectAll()
      .where('id', 'in', (eb) => eb.selectFrom('comments').select('post_id').where('author_id', '=', 2)),
  )
  add('equals subquery', () =>
    db
      .selectFrom('posts')
      .selectAll()
      .where('author_id', '=', (eb) => eb.selectFrom('authors').select('id').where('email', '=', 'a2@example.org')),
  )
  add('scalar subquery', () =>
    ofAuthor.select((eb) =>
      eb
        .selectFrom('comments')
        .select((inner) => inner.fn.countAll().as('n'))
        .whereRef('post_id', '=', 'posts.id')
        .as('n'),
    ),
  )
  add('subquery in from', () =>
    db
      .selectFrom((eb) => eb.selectFrom('posts').selectAll().where('author_id', '=', 3).as('own'))
      .selectAll()
      .where('views', '>', 10),
  )
  add('subquery in from, filtered outside', () =>
    db
      .selectFrom((eb) => eb.selectFrom('posts').select(['id', 'author_id']).as('every'))
      .selectAll()
      .where('author_id', '=', 3),
  )
  add('join of a group', () =>
    db
      .selectFrom('posts')
      .leftJoin(
        (eb) =>
          eb
            .selectFrom('comments')
            .select((inner) => ['post_id', inner.fn.countAll().as('n')])
            .groupBy('post_id')
            .as('counts'),
        (join) => join.onRef('counts.post_id', '=', 'posts.id'),
      )
      .select(['posts.id', 'counts.n'])
      .where('posts.id', '=', 3),
  )
}

function addJson(db: Database, add: Add): void {
  add('json array', () =>
    db
      .selectFrom('posts')
      .select((eb) => [
        'id',
        'title',
        jsonArrayFrom(
          eb
            .selectFrom('comments')
            .select(['comments.id', 'body'])
            .whereRef('post_id', '=', 'posts.id')
            .orderBy('comments.id'),
        ).as('comments'),
      ])
      .where('id', '=', 3),
  )
  add('json array, filtered and limited', () =>
    db
      .selectFrom('posts')
      .select((eb) => [
        'id',
        jsonArrayFrom(
          eb
            .selectFrom('comments')
            .select('body')
            .whereRef('post_id', '=', 'posts.id')
            .where('is_approved', '=', true)
            .orderBy('comments.id', 'desc')
            .limit(3),
        ).as('comments'),
      ])
      .where('author_id', '=', 3),
  )
  add('json nested', () =>
    db
      .selectFrom('authors')
      .select((eb) => [
        'id',
        jsonArrayFrom(
          eb
            .selectFrom('posts')
            .select((inner) => [
              'posts.id',
              'title',
              jsonArrayFrom(
                inner.selectFrom('comments').select('body').whereRef('comments.post_id', '=', 'posts.id'),
              ).as('comments'),
            ])
            .whereRef('posts.author_id', '=', 'authors.id'),
        ).as('posts'),
      ])
      .where('id', '=', 3),
  )
  add('json through a join table', () =>
    db
      .selectFrom('posts')
      .select((eb) => [
        'id',
        jsonArrayFrom(
          eb
            .selectFrom('tags')
            .innerJoin('post_tags', 'post_tags.tag_id', 'tags.id')
            .select(['tags.id', 'name'])
            .whereRef('post_tags.post_id', '=', 'posts.id'),
        ).as('tags'),
      ])
      .where('slug', '=', 'post-3'),
  )
  add('json built', () =>
    db
      .selectFrom('posts')
      .innerJoin('authors', 'authors.id', 'posts.author_id')
      .select((eb) => ['posts.id', jsonBuildObject({ name: eb.ref('authors.name') }).as('author')])
      .where('posts.id', '=', 3),
  )
  add('json aggregated', () =>
    db
      .selectFrom('posts')
      .leftJoin('comments', 'comments.post_id', 'posts.id')
      .select((eb) => ['posts.id', eb.fn.jsonAgg('comments').as('comments')])
      .where('posts.id', '=', 3)
      .groupBy('posts.id'),
  )
}

function addSets(db: Database, add: Add): void {
  const live = db.selectFrom('posts').select(['id', 'title']).where('status', '=', 'live')
  const ofAuthor = db.selectFrom('posts').select(['id', 'title']).where('author_id', '=', 3)
  add('union', () => live.union(ofAuthor))
  add('union all, ordered', () => live.unionAll(ofAuthor).orderBy('id').limit(5))
  add('intersect', () => live.intersect(ofAuthor))
  add('except', () => ofAuthor.except(live))
  add('cte', () =>
    db
      .with('own', (qb) => qb.selectFrom('posts').selectAll().where('author_id', '=', 3))
      .selectFrom('own')
      .selectAll(),
  )
  add('cte, filtered outside', () =>
    db
      .with('every', (qb) => qb.selectFrom('posts').selectAll())
      .selectFrom('every')
      .selectAll()
      .where('author_id', '=', 3),
  )
  add('cte twice', () =>
    db
      .with('own', (qb) => qb.selectFrom('posts').selectAll().where('author_id', '=', 3))
      .selectFrom('own as a')
      .innerJoin('own as b', 'b.id', 'a.id')
      .select(['a.id', 'b.title']),
  )
  add('cte materialized', () =>
    db
      .with(
        (wb) => wb('own').materialized(),
        (qb) => qb.selectFrom('posts').selectAll().where('author_id', '=', 3),
      )
      .selectFrom('own')
      .selectAll(),
  )
  add('recursive cte', () =>
    db
      .withRecursive('thread', (qb) =>
        qb
          .selectFrom('comments')
          .select(['id', 'parent_id'])
          .where('id', '=', 100)
          .unionAll((eb) =>
            eb
              .selectFrom('comments as c')
              .innerJoin('thread', 'thread.parent_id', 'c.id')
              .select(['c.id', 'c.parent_id']),
          ),
      )
      .selectFrom('thread')
      .selectAll(),
  )
  add('values', () =>
    db
      .selectFrom('posts')
      .innerJoin(sql<{ id: number }>`(values (1), (2))`.as<'v'>(sql`v(id)`), 'v.id', 'posts.id')
      .select(['posts.id', 'title']),
  )
}
