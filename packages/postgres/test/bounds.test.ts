import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Explained } from './explained.js'

const SCHEMA = `
  create type mood as enum ('live', 'draft');
  create table authors (id bigint primary key, name text not null, email varchar(50));
  create table posts (id bigint primary key, author_id bigint, title text, status mood, is_pinned boolean, at timestamptz, bits varbit);
  create table comments (id bigint primary key, post_id bigint, user_id int, body text);
  create schema other;
  create table other.posts (id bigint primary key, author_id bigint);
`

let explained: Explained

beforeAll(async () => {
  explained = await Explained.create(SCHEMA)
})

afterAll(() => explained?.drop())

const reads = (text: string): Promise<string[]> => explained.reads(text)

/** Query → what it depends on. */
const cases: Record<string, Record<string, string[]>> = {
  'ranges and other conditions bound rows': {
    'select * from posts where id > $1': ['rows of public.posts where id > $1'],
    'select * from posts where $1 > id and id >= 3': ['rows of public.posts where id < $1 and id >= 3'],
    'select * from posts where at between $1 and $2': ['rows of public.posts where at >= $1 and at <= $2'],
    'with recursive t as (select id, post_id from comments where id = $1 union all select c.id, c.post_id from comments c join t on c.post_id = t.id) select * from t':
      [
        'rows of public.comments where id = $1 (old values: cte)',
        'rows of public.comments where post_id in (column 1 of the answer) (old values: cte)',
      ],
    'with recursive t as (select id, post_id from comments where id = $1 union all select c.id, c.post_id from comments c join t on c.post_id = t.id) select * from t limit 5':
      ['rows of public.comments where id = $1 (old values: cte)', 'all of public.comments (condition)'],
    'select * from comments where user_id = coalesce($1, 5) and id < coalesce($2, null)::bigint': [
      'rows of public.comments where id < coalesce($2, null) and user_id = coalesce($1, 5)',
    ],
    'select p.* from posts p join (values (1), (2)) v (id) on v.id = p.author_id': [
      'rows of public.posts where author_id in (1, 2)',
    ],
    "select p.* from (values ($1::int, 'a'), (7, 'b')) v (id, name) join posts p on p.author_id = v.id and p.title = v.name":
      ["rows of public.posts where author_id in ($1, 7) and title in ('a', 'b')"],
    'select p.* from posts p where p.author_id in (values (1), (2))': [
      'rows of public.posts where author_id in (1, 2)',
    ],
    'with v (id) as (values (1), (2)) select p.* from posts p, v where p.author_id = v.id and v.id > 1': [
      'rows of public.posts where author_id in (1, 2) and author_id > 1',
    ],
    'select v.id, p.id from (values (1), (2)) v (id) left join posts p on p.author_id = v.id': [
      'rows of public.posts where author_id in (1, 2) (old values: outer-join)',
    ],
    'select p.* from posts p left join (values (1), (2)) v (id) on p.author_id = v.id': ['all of public.posts'],
    'select p.* from posts p join (values (1), (null)) v (id) on p.author_id = v.id': [
      'all of public.posts (condition)',
    ],
    'select p.* from posts p join (values (1), (2::bigint)) v (id) on p.author_id = v.id': [
      'all of public.posts (condition)',
    ],
    'select p.id, c.id from posts p cross join lateral (select * from comments c where c.post_id = p.id limit 1) c where c.user_id > null':
      ['rows of public.posts where id in ()', 'rows of public.comments where id in () (old values: subquery)'],
    'select * from posts where author_id <= author_id': ['rows of public.posts where author_id is not null'],
    'select count(*) from (select title, count(*) as n from posts group by title) p join comments c on c.id > p.n where p.title > p.title':
      [
        'rows of public.posts where id in () (old values: aggregate)',
        'rows of public.comments where id in () (old values: aggregate)',
      ],
    'select * from posts where id not between 1 and 5': ['rows of public.posts where id < 1 or id > 5'],
    'select * from posts where id between symmetric $1 and $2': [
      'rows of public.posts where id >= $1 and id <= $2 or id >= $2 and id <= $1',
    ],
    'select * from posts where (at, id) < ($1, $2) order by at desc, id desc limit 20': [
      'rows of public.posts where at <= $1, limit 20 by at desc',
    ],
    'select id, at as moment from posts order by moment limit $1': ['rows of public.posts, limit $1 by at'],
    'select id, author_id as at from posts where author_id = $1 order by at limit 5': [
      'rows of public.posts where author_id = $1, limit 5 by author_id',
    ],
    'select id, at from posts where author_id = $1 order by 2 desc nulls last limit 5': [
      'rows of public.posts where author_id = $1, limit 5 by at desc',
    ],
    'select p.id, a.id from posts p join authors a on a.id = p.author_id where a.id = $1 order by p.id limit 5': [
      'rows of public.posts where author_id = $1, limit 5 by id',
      'rows of public.authors where id = $1',
    ],
    'select a.id, p.id from authors a left join posts p on p.author_id = a.id where a.id = $1 order by p.id limit 5': [
      'rows of public.authors where id = $1',
      'rows of public.posts where author_id = $1, limit 5 by id (old values: outer-join)',
    ],
    'select a.id, p.id from authors a left join posts p on p.author_id = a.id where a.id = $1 order by p.id desc limit 5':
      ['rows of public.authors where id = $1', 'rows of public.posts where author_id = $1 (old values: outer-join)'],
    'select id from posts where author_id = $1 order by id limit 5 offset 5': [
      'rows of public.posts where author_id = $1, limit 5 by id (old values: offset)',
    ],
    'select distinct id from posts where author_id = $1 order by id limit 5': [
      'rows of public.posts where author_id = $1, limit 5 by id (old values: distinct)',
    ],
    'select author_id, count(*) from posts group by author_id order by author_id limit 5': [
      'rows of public.posts, limit 5 by author_id (old values: aggregate)',
    ],
    'select author_id, max(id) as top from posts group by author_id order by top limit 5': ['all of public.posts'],
    'select author_id, count(*) from posts group by rollup (author_id) order by author_id limit 5': [
      'all of public.posts',
    ],
    'select id, rank() over (order by at) from posts order by id limit 5': ['all of public.posts'],
    'select * from (select id, author_id as who from posts where id > 3) p order by who limit 5': [
      'rows of public.posts where id > 3, limit 5 by author_id',
    ],
    'with p as (select * from posts) select * from p join authors a on a.id = p.author_id order by a.id desc limit 5': [
      'rows of public.posts, limit 5 by author_id desc',
      'rows of public.authors where id in (author_id of public.posts), limit 5 by id desc',
    ],
    'select * from (select id from posts where author_id = $1 order by id limit 5) s order by id': [
      'rows of public.posts where author_id = $1, limit 5 by id (old values: subquery)',
    ],
    "with s as (select ')' as b, id from posts where author_id = $1 order by at desc limit $2) select * from s": [
      'rows of public.posts where author_id = $1, limit $2 by at desc (old values: subquery)',
    ],
    'select name from authors where id in (select author_id from posts p order by p.id limit 5)': [
      'all of public.authors, while there are rows of public.posts where author_id in (id of public.authors) (condition)',
      'rows of public.posts, limit 5 by id (old values: subquery)',
    ],
    'select (select id from posts order by at limit 1) as id': [
      'rows of public.posts, limit 1 by at (old values: subquery)',
    ],
    'select a.id, p.id from authors a join lateral (select id from posts where author_id = a.id order by id limit 5) p on true where a.id = $1':
      ['rows of public.authors where id = $1', 'rows of public.posts where author_id = $1 (old values: subquery)'],
    'with p as (select * from posts) select * from (select id from p order by id limit 5) s': ['all of public.posts'],
    'select * from (select id, author_id from posts where author_id = any($1::bigint[]) order by 1 limit 5) s': [
      'rows of public.posts where author_id = any($1) (old values: subquery)',
    ],
    '(select id from posts order by id limit 5) union (select id from comments order by id desc limit 5)': [
      'rows of public.posts, limit 5 by id (old values: set-operation)',
      'rows of public.comments, limit 5 by id desc (old values: set-operation)',
    ],
    'select id from posts where author_id = $1 order by lower(title) limit 5': [
      'rows of public.posts where author_id = $1',
    ],
    'select id from posts where author_id = $1 order by id using > limit 5': [
      'rows of public.posts where author_id = $1',
    ],
    'select count(*) from posts where author_id = $1 order by count(*) limit 5': [
      'rows of public.posts where author_id = $1 (old values: aggregate)',
    ],
    'select p.id from posts p join posts q on q.id = p.author_id where p.author_id = $1 order by p.id limit 5': [
      'rows of public.posts where author_id = $1, limit 5 by id',
      'rows of public.posts where id = $1 (old values: self-join)',
    ],
    'select count(*), (select count(*) from comments) as n from posts where false': [
      'rows of public.posts where id in () (old values: aggregate)',
      'all of public.comments',
    ],
    'select * from posts where id <> $1': ['rows of public.posts where id <> $1'],
    'select * from posts where not (id = $1)': ['rows of public.posts where id <> $1'],
    'select * from posts where not (id = $1 or author_id < 5)': [
      'rows of public.posts where id <> $1 and author_id >= 5',
    ],
    'select * from posts where id not in (1, $1)': ['rows of public.posts where id not in (1, $1)'],
    'select * from posts where id <> all($1)': ['rows of public.posts where id <> all($1)'],
    'select * from posts where author_id is not null': ['rows of public.posts where author_id is not null'],
    'select * from posts where author_id is distinct from $1': [
      'rows of public.posts where author_id is null or author_id is distinct from $1',
    ],
    'select * from posts where author_id is not distinct from $1': [
      'rows of public.posts where author_id is not distinct from $1',
    ],
    'select * from posts where is_pinned is not true': [
      'rows of public.posts where is_pinned = f or is_pinned is null',
    ],
    "select * from posts where title like 'a!%b%' escape '!'": ["rows of public.posts where title like 'a!%b%'"],
    'select * from posts where starts_with(title, $1)': ['rows of public.posts where title starts with $1'],
    'select * from posts where title ^@ $1': ['rows of public.posts where title starts with $1'],
    'select * from posts where title not like $1': ['all of public.posts (condition)'],
    'select * from authors where email::text = $1': ['rows of public.authors where email = $1'],
    'select * from posts where status = cast($1::text as mood)': ['rows of public.posts where status = $1'],
    'select * from posts where status > $1': ['rows of public.posts where status > $1'],
    'select * from posts where bits > $1': ['all of public.posts (type)'],
    'select * from posts as p(a, b) where p.a = 1': ['rows of public.posts where id = 1'],
    'select * from posts where 1 = 1': ['all of public.posts'],
    'select * from posts where 1 = 0': ['rows of public.posts where id in ()'],
  },
  'what is bounded leads to what is joined': {
    'select * from comments c join posts p on p.id = c.post_id join authors a on a.id = p.author_id where c.id = $1': [
      'rows of public.comments where id = $1',
      'rows of public.posts where id in (post_id of public.comments where id = $1)',
      'rows of public.authors where id in (author_id of public.posts where id in (post_id of public.comments where id = $1))',
    ],
    'select * from posts p where p.author_id = $1 and not exists (select from comments c where c.post_id = p.id)': [
      'rows of public.posts where author_id = $1',
      'rows of public.comments where post_id in (id of public.posts where author_id = $1) (old values: subquery)',
    ],
    'select * from posts p left join lateral (select json_agg(c.body) as all from comments c where c.post_id = p.id) c on true where p.author_id = $1':
      [
        'rows of public.posts where author_id = $1',
        'rows of public.comments where post_id in (id of public.posts where author_id = $1) (old values: subquery)',
      ],
    'select * from posts p left join (select post_id, count(*) from comments group by post_id) n on n.post_id = p.id where p.id = $1':
      ['rows of public.posts where id = $1', 'rows of public.comments where post_id = $1 (old values: subquery)'],
    // What a LIMIT leaves out decides what it shows.
    'select * from (select * from posts order by at limit 5) p where p.id = $1': [
      'rows of public.posts, limit 5 by at (old values: subquery)',
    ],
    'select * from authors a where a.id = 5 and a.id in (select author_id from posts order by at limit 1)': [
      'rows of public.authors where id = 5',
      'rows of public.posts, limit 1 by at (old values: subquery)',
    ],
    'select * from (select id, author_id from posts union all select id, author_id from other.posts) u where u.author_id = $1':
      [
        'rows of public.posts where author_id = $1 (old values: subquery)',
        'rows of other.posts where author_id = $1 (old values: subquery)',
      ],
    'with q as (select * from posts) select * from q where id = 1 union all select * from q where author_id = 2': [
      'rows of public.posts where id = 1 (old values: set-operation)',
      'rows of public.posts where author_id = 2 (old values: set-operation)',
    ],
  },
}

for (const [what, queries] of Object.entries(cases)) {
  describe(what, () => {
    for (const [query, expected] of Object.entries(queries)) {
      it(query, async () => {
        expect((await reads(query)).sort()).toEqual([...expected].sort())
      })
    }
  })
}
