import { type ColumnType, type Expression, type ExpressionBuilder, type Generated, type SqlBool, sql } from 'kysely'

export interface Blog {
  authors: { id: Generated<number>; name: string; email: string; country: string | null }
  posts: {
    id: Generated<number>
    title: string
    slug: string
    status: string
    views: number
    is_pinned: boolean
    rating: string | null
    published_at: Date | null
    created_at: ColumnType<Date, Date | undefined, Date>
    meta: unknown
    author_id: number
  }
  comments: {
    id: Generated<number>
    body: string
    is_approved: boolean
    created_at: Date
    post_id: number
    author_id: number | null
    parent_id: number | null
  }
  tags: { id: Generated<number>; name: string }
  post_tags: { post_id: number; tag_id: number }
}

type Where = (eb: ExpressionBuilder<Blog, 'posts'>) => Expression<SqlBool>

const moment = new Date('2026-01-02T03:04:05.678Z')

export const FILTERS: Record<string, Where> = {
  'eq id': (eb) => eb('posts.id', '=', 7),
  'eq text': (eb) => eb('posts.slug', '=', 'post-7'),
  'eq two': (eb) => eb.and({ author_id: 3, status: 'live' }),
  'eq boolean': (eb) => eb.and([eb('is_pinned', '=', true), eb('author_id', '=', 3)]),
  'boolean column': (eb) => eb.and([eb.ref('is_pinned'), eb('author_id', '=', 3)]),
  'not boolean column': (eb) => eb.and([eb.not(eb.ref('is_pinned')), eb('author_id', '=', 3)]),
  'is true': (eb) => eb.and([eb('is_pinned', 'is', true), eb('author_id', '=', 3)]),
  'eq literal': (eb) => eb('posts.id', '=', eb.lit(7)),
  'eq value expression': (eb) => eb('posts.id', '=', eb.val(7)),
  'eq numeric': (eb) => eb('rating', '=', '2.50'),
  'eq timestamp': (eb) => eb('created_at', '=', moment),
  in: (eb) => eb('posts.id', 'in', [1, 2, 3]),
  'in texts': (eb) => eb('status', 'in', ['live', 'draft']),
  'in and range': (eb) => eb.and([eb('author_id', 'in', [1, 2]), eb('views', '>', 50)]),
  'in tuples': (eb) => eb(eb.refTuple('author_id', 'status'), 'in', [eb.tuple(1, 'live'), eb.tuple(2, 'draft')]),
  'any array': (eb) => eb('posts.id', '=', eb.fn.any(eb.val([1, 2, 3]))),
  'not in': (eb) => eb('status', 'not in', ['gone']),
  gt: (eb) => eb('views', '>', 300),
  gte: (eb) => eb('views', '>=', 300),
  'lt date': (eb) => eb('created_at', '<', moment),
  between: (eb) => eb.between('views', 100, 200),
  'between symmetric': (eb) => eb.betweenSymmetric('views', 200, 100),
  'not equal': (eb) => eb('status', '!=', 'gone'),
  'not equal angle': (eb) => eb('status', '<>', 'gone'),
  'is null': (eb) => eb('published_at', 'is', null),
  'is not null': (eb) => eb('published_at', 'is not', null),
  'is distinct from': (eb) => eb('status', 'is distinct from', 'gone'),
  'is not distinct from': (eb) => eb('slug', 'is not distinct from', 'post-7'),
  or: (eb) => eb.or([eb('posts.id', '=', 1), eb('slug', '=', 'post-2')]),
  'or of and': (eb) =>
    eb.or([eb.and({ author_id: 1, status: 'live' }), eb.and([eb('author_id', '=', 2), eb('views', '>', 10)])]),
  'or open': (eb) => eb.or([eb('author_id', '=', 1), eb('views', '>', 390)]),
  not: (eb) => eb.not(eb('status', '=', 'gone')),
  'not or': (eb) => eb.not(eb.or([eb('status', '=', 'gone'), eb('status', '=', 'draft')])),
  'like prefix': (eb) => eb('title', 'like', 'Post 1%'),
  'like infix': (eb) => eb('title', 'like', '%1%'),
  ilike: (eb) => eb('title', 'ilike', 'post 1%'),
  'not like': (eb) => eb('title', 'not like', 'Post 1%'),
  'starts with': (eb) => eb(sql`starts_with(title, ${'Post 1'})`, '=', true),
  'regular expression': (eb) => eb('title', '~', '^Post 1'),
  'lower equals': (eb) => eb(eb.fn('lower', ['title']), '=', 'post 1'),
  'coalesce equals': (eb) => eb(eb.fn.coalesce('rating', sql<string>`0`), '=', '2.50'),
  'json path': (eb) => eb(sql`meta->>'lang'`, '=', 'en'),
  'json contains': (eb) => eb('meta', '@>', sql`${JSON.stringify({ lang: 'en' })}::jsonb`),
  'keyset one': (eb) => eb.and([eb('author_id', '=', 3), eb('posts.id', '<', 30)]),
  'keyset or': (eb) =>
    eb.or([eb('created_at', '<', moment), eb.and([eb('created_at', '=', moment), eb('posts.id', '<', 30)])]),
  'keyset tuple': (eb) => eb(eb.refTuple('created_at', 'posts.id'), '<', eb.tuple(moment, 30)),
  'column and column': (eb) => eb.and([eb('author_id', '=', 3), eb('posts.id', '>', eb.ref('author_id'))]),
  'arithmetic of a parameter': (eb) => eb('views', '=', sql<number>`${300}::int + 10`),
  'cast column': (eb) => eb(eb.cast<string>('posts.id', 'text'), '=', '7'),
  'since an interval ago': (eb) => eb('created_at', '>', sql<Date>`now() - interval '7 days'`),
}
