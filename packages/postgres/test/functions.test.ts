import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { Explained } from './explained.js'

/*
 * Functions of one's own: what a statement depends on through them, and what is not looked into.
 */

const SCHEMA = `
  create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  create type mood as enum ('live', 'draft');
  create domain key as bigint;
  create domain narrow_key as key;
  create domain rounded as numeric(5, 1);
  create type slugged as (slug text collate blind, id bigint);
  create table authors (id bigint primary key, name text not null, boss_id bigint);
  create table posts (id bigint primary key, author_id bigint, title text, status mood, at timestamptz, code text collate "C",
    price numeric, slug text collate blind, ip inet, tags text[]);
  create table comments (id bigint primary key, post_id bigint, body text);
  create view live_posts as select * from posts where status = 'live';

  create function posts_of(author bigint) returns setof posts language sql stable as 'select * from posts where author_id = $1';
  create function posts_named(author bigint) returns setof posts language sql stable as 'select * from posts where author_id = author';
  create function posts_here(author_id bigint) returns setof posts language sql stable as 'select * from posts where author_id = author_id';
  create function posts_there(author_id bigint) returns setof posts language sql stable
    as 'select * from posts where author_id = posts_there.author_id';
  create function ids_of(bigint) returns setof bigint language sql stable as 'select id from posts where author_id = $1';
  create function listed(author bigint, max int default 20) returns table (post bigint, name text) language sql stable
    as 'select p.id, a.name from posts p join authors a on a.id = p.author_id where p.author_id = author limit max';
  create function paired(author bigint) returns table (post bigint, name text) language sql immutable
    as 'select p.id, a.name from posts p join authors a on a.id = p.author_id where p.author_id = author';
  create function first_of(bigint) returns posts language sql stable as 'select * from posts where author_id = $1 order by id';
  create function author_of(bigint) returns bigint language sql stable as 'select author_id from posts where id = $1';
  create function how_many(bigint) returns bigint language sql stable as 'select count(*) from comments where post_id = $1';
  create function widened(int) returns table (author numeric) language sql stable as 'select author_id from posts where author_id = $1';
  create function cast_to_int() returns table (n int) language sql stable as 'select at::date - date ''2020-01-01'' from posts';
  create function titled(text) returns setof posts language sql stable as 'select * from posts where title = $1';
  create function above(text) returns setof posts language sql stable as 'select * from posts where code > $1';
  create function codes() returns table (code text) language sql stable as 'select code from posts';
  create function prices() returns table (price rounded) language sql stable as 'select price from posts';
  create function slugs() returns setof slugged language sql stable as 'select title, id from posts';
  create function keys() returns setof key language sql stable as 'select id from posts';
  create function narrow_keys() returns setof narrow_key language sql stable as 'select id from posts';
  create function in_mood(mood) returns setof posts language sql stable as 'select * from posts where status = $1';
  create function from_ip(inet) returns setof posts language sql stable as 'select * from posts where ip = $1';
  create function any_of(bigint[]) returns setof posts language sql stable as 'select * from posts where id = any($1)';
  create function by_key(key) returns setof posts language sql stable as 'select * from posts where id = $1';
  create function since(text) returns setof posts language sql stable as 'select * from posts where at > $1::timestamptz';
  create function recent() returns setof posts language sql stable as 'select * from posts where at > now()';
  create function mine() returns setof posts language sql stable as 'select * from posts where title = current_user';
  create function live_of(bigint) returns setof live_posts language sql stable as 'select * from live_posts where author_id = $1';
  create function twice(bigint) returns setof posts language sql stable as 'select * from posts_of($1)';
  create function looped(bigint) returns setof bigint language sql stable as 'select id from posts where author_id = $1';
  create or replace function looped(bigint) returns setof bigint language sql stable
    as 'select id from posts where author_id = $1 union select looped($1 - 1)';
  create function shadowed(p bigint) returns setof comments language sql stable as 'select c.* from comments c, posts p where p.id = c.post_id';
  create function strict_of(bigint) returns setof posts language sql stable strict as 'select * from posts where author_id = $1';

  create function in_plpgsql() returns int language plpgsql stable as 'begin return 1; end';
  create function volatile_of(bigint) returns setof posts language sql as 'select * from posts where author_id = $1';
  create function as_owner() returns setof posts language sql stable security definer as 'select * from posts';
  create function safe_of(author bigint) returns setof posts language sql stable set search_path = '' as
    'select * from public.posts where author_id = author and lower(title) <> ''''';
  create function catalogued(author bigint) returns bigint language sql stable set search_path = pg_catalog, pg_temp as
    'select count(*) from public.posts where author_id = author';
  create function unsafe() returns bigint language sql stable set search_path = '' as 'select count(*) from pg_class';
  create function two_settings() returns setof posts language sql stable set search_path = '' set work_mem = '1MB' as 'select * from public.posts';
  create function with_path() returns setof posts language sql stable set search_path = public as 'select * from posts';
  create function of_any(anyelement) returns anyelement language sql stable as 'select $1';
  create function of_all(variadic bigint[]) returns setof posts language sql stable as 'select * from posts where id = any($1)';
  create function overloaded(bigint) returns bigint language sql stable as 'select $1';
  create function overloaded(text) returns bigint language sql stable as 'select 1::bigint';
  create function two() returns int language sql stable as 'select 1; select 2';
  create function mood(int) returns int language sql stable as 'select $1';
  create function title(bigint) returns text language sql stable as 'select title from posts where id = $1';
  create function pure(text) returns text language sql immutable as 'select in_plpgsql()::text || lower($1)';
  create function pure_name(bigint) returns text language sql immutable as 'select name from authors where id = $1';
  create view authored as select a.id, author_of(a.id) as other, (select count(*) from ids_of(a.id)) as n from authors a;
  create table walls (id bigint primary key);
  alter table walls enable row level security;
  create role functions_reader;
  grant select on walls, posts to functions_reader;
  create policy own on walls using (id in (select ids_of(1)));
`
/** From PostgreSQL 14: bodies that are parsed when they are created. */
const ATOMIC = `
  create function atomic_of(author_id bigint) returns setof posts language sql stable
    begin atomic; select * from posts p where p.author_id = atomic_of.author_id; end;
  create function atomic_author(post bigint) returns bigint language sql stable return (select p.author_id from posts p where p.id = post);
`

let explained: Explained

beforeAll(async () => {
  explained = await Explained.create(SCHEMA + (isBefore(14) ? '' : ATOMIC))
})

afterAll(async () => {
  await explained?.client.query('reset role; drop owned by functions_reader; drop role functions_reader')
  await explained?.drop()
})

const POSTS_OF = 'rows of public.posts where author_id = $1 (old values: subquery)'

const cases: Record<string, Record<string, string[]>> = {
  'a function in FROM is bounded by its arguments': {
    'select * from posts_of($1)': [POSTS_OF],
    'select * from public.posts_of($1)': [POSTS_OF],
    'select * from posts_of(7)': ['rows of public.posts where author_id = 7 (old values: subquery)'],
    'select * from posts_of(author => $1)': [POSTS_OF],
    'select * from posts_of($1::int)': [POSTS_OF],
    'select * from posts_named($1)': [POSTS_OF],
    'select * from safe_of($1)': [POSTS_OF],
    'select catalogued($1)': [POSTS_OF],
    'select * from posts_there($1)': [POSTS_OF],
    'select * from strict_of($1)': [POSTS_OF],
    'select * from posts_of($1) p where p.id = $2': [
      'rows of public.posts where id = $2 and author_id = $1 (old values: subquery)',
    ],
    'select * from posts_of($1) where id = $2': [
      'rows of public.posts where id = $2 and author_id = $1 (old values: subquery)',
    ],
    'select * from posts_of($1) as p(a, b, c) where p.a = $2': [
      'rows of public.posts where id = $2 and author_id = $1 (old values: subquery)',
    ],
    'select * from authors a, posts_of(a.id) p where a.id = $1': ['rows of public.authors where id = $1', POSTS_OF],
    'select * from authors a cross join lateral posts_of(a.id) p where p.id = $1': [
      'rows of public.authors where id in (author_id of public.posts where id = $1)',
      'rows of public.posts where id = $1 (old values: subquery)',
    ],
    'select * from authors a left join posts_of(a.id) p on true where a.id = $1': [
      'rows of public.authors where id = $1',
      POSTS_OF,
    ],
    'select * from posts where id in (select id from posts_of($1))': [
      'rows of public.posts where id in (id of public.posts where author_id = $1)',
      POSTS_OF,
    ],
    'select * from comments where post_id in (select * from ids_of($1))': [
      'rows of public.comments where post_id in (id of public.posts where author_id = $1)',
      POSTS_OF,
    ],
    'select * from comments c join ids_of($1) on ids_of = c.post_id': [
      'rows of public.comments where post_id in (id of public.posts where author_id = $1)',
      POSTS_OF,
    ],
    'select * from comments c join ids_of($1) i on i = c.post_id': [
      'rows of public.comments where post_id in (id of public.posts where author_id = $1)',
      POSTS_OF,
    ],
    'select * from comments c join paired($1) l on l.post = c.post_id': [
      'rows of public.comments where post_id in (id of public.posts where author_id = $1)',
      POSTS_OF,
      'rows of public.authors where id = $1 (old values: subquery)',
    ],
    'select * from twice($1)': [POSTS_OF],
    'select * from live_of($1)': [
      "rows of public.posts where author_id = $1 and status = 'live' (old values: subquery)",
    ],
    'select * from posts_of($1) with ordinality': [POSTS_OF],
    'select * from rows from (posts_of($1), ids_of($1)) x': [POSTS_OF, POSTS_OF],
    'with posts as (select 1 as author_id) select * from posts, posts_of($1)': [POSTS_OF],
  },
  'what stands around a LIMIT does not go in': {
    'select * from listed($1)': [
      'rows of public.posts where author_id = $1 (old values: subquery)',
      'rows of public.authors where id = $1 (old values: subquery)',
    ],
    'select * from listed($1, 3) where post = $2': [
      'rows of public.posts where author_id = $1 (old values: subquery)',
      'rows of public.authors where id = $1 (old values: subquery)',
    ],
  },
  'a function that answers no set answers its first row, or NULLs': {
    'select * from first_of($1) p': [POSTS_OF],
    'select * from first_of($1) p where p.id = $2': [POSTS_OF],
    'select * from comments c, first_of($1) p where c.post_id = p.id': [
      'rows of public.comments where post_id in (id of public.posts where author_id = $1)',
      POSTS_OF,
    ],
    'select * from comments c, first_of($1) p where c.post_id is not distinct from p.id': [
      'all of public.comments (condition)',
      POSTS_OF,
    ],
    'select * from comments c left join first_of(c.post_id) p on true where c.id = $1': [
      'rows of public.comments where id = $1',
      'rows of public.posts where author_id in (post_id of public.comments where id = $1) (old values: subquery)',
    ],
    'select * from authors where id = author_of($1)': [
      'rows of public.authors where id in (author_id of public.posts where id = $1)',
      'rows of public.posts where id = $1 (old values: subquery)',
    ],
    'select * from authors where author_of($1) = id': [
      'rows of public.authors where id in (author_id of public.posts where id = $1)',
      'rows of public.posts where id = $1 (old values: subquery)',
    ],
    'select * from authors a, author_of($1) x where a.id = x': [
      'rows of public.authors where id in (author_id of public.posts where id = $1)',
      'rows of public.posts where id = $1 (old values: subquery)',
    ],
  },
  'calls anywhere are looked into': {
    'select p.*, how_many(p.id) from posts p where p.id = $1': [
      'rows of public.posts where id = $1',
      'rows of public.comments where post_id = $1 (old values: subquery)',
    ],
    'select author_of(author_of($1))': [
      'rows of public.posts where id = $1 (old values: subquery)',
      'all of public.posts (condition)',
    ],
    'select ids_of($1)': [POSTS_OF],
    'select * from comments where post_id in (select ids_of($1))': [
      'rows of public.comments where post_id in (id of public.posts where author_id = $1)',
      POSTS_OF,
    ],
    'select * from authors where id = (select author_of($1))': [
      'rows of public.authors where id in (author_id of public.posts where id = $1)',
      'rows of public.posts where id = $1 (old values: subquery)',
    ],
    'select * from comments c where c.post_id = $1 order by how_many(c.post_id)': [
      'rows of public.comments where post_id = $1',
      'rows of public.comments where post_id = $1 (old values: subquery)',
    ],
    'select 1 union select 2 order by 1 limit how_many(3)': ['all of public.comments (not-understood)'],
    'select 1 limit how_many(3)': ['rows of public.comments where post_id = 3 (old values: subquery)'],
    'select * from authored where id = $1': [
      'rows of public.authors where id = $1',
      'rows of public.posts where author_id in (id of public.authors) (old values: subquery)',
      'rows of public.posts where id in (id of public.authors) (old values: subquery)',
    ],
  },
  'columns go before arguments of their name': {
    'select * from posts_here($1)': ['rows of public.posts where author_id is not null (old values: subquery)'],
    'select * from shadowed($1)': [
      'all of public.comments, while there are rows of public.posts where id in (post_id of public.comments) (condition)',
      'rows of public.posts where id in (post_id of public.comments) (old values: subquery)',
    ],
  },
  'values keep their type': {
    'select * from titled($1)': ['rows of public.posts where title = $1 (old values: subquery)'],
    "select * from titled('a')": ["rows of public.posts where title = 'a' (old values: subquery)"],
    'select * from in_mood($1)': ['rows of public.posts where status = $1 (old values: subquery)'],
    'select * from from_ip($1)': ['rows of public.posts where ip = $1 (old values: subquery)'],
    'select * from any_of($1)': ['rows of public.posts where id = any($1) (old values: subquery)'],
    'select * from any_of(array[1, $1])': ['rows of public.posts where id in (1, $1) (old values: subquery)'],
    'select * from by_key($1)': ['all of public.posts (condition)'],
    'select * from widened($1) w where w.author = 3': [
      'rows of public.posts where author_id = $1 and author_id = 3 (old values: subquery)',
    ],
    'select * from cast_to_int() where n = 3': ['all of public.posts (condition)'],
    'select * from prices() where price = 3': ['all of public.posts (condition)'],
    'select * from keys() k where k = 3': ['rows of public.posts where id = 3 (old values: subquery)'],
    'select * from posts_of($1 + 1)': ['all of public.posts (condition)'],
    'select * from posts_of((select id from authors where id = $1))': [
      'all of public.posts (condition)',
      'rows of public.authors where id = $1 (old values: subquery)',
    ],
  },
  'texts are compared as the call says': {
    'select * from titled($1 collate "C")': ['all of public.posts (condition)'],
    'select * from titled($1 collate blind)': ['all of public.posts (condition)'],
    'select * from posts p, titled(p.slug) t where p.id = $1': [
      'rows of public.posts where id = $1',
      'all of public.posts, while there are rows of public.posts where id = $1 (condition)',
    ],
    'select * from above($1)': ['rows of public.posts where code > $1 (old values: subquery)'],
    "select * from slugs() where slug = 'a'": ['all of public.posts (condition)'],
    'select * from slugs() where id = 3': ['rows of public.posts where id = 3 (old values: subquery)'],
    "select * from codes() where code > 'a'": ['all of public.posts (condition)'],
  },
  'what a body reads besides rows counts': {
    'select * from recent()': ['all of public.posts (condition)', 'needs an expiry: time (now())'],
    'select * from mine()': ['all of public.posts (condition)', 'not kept: session (current_user)'],
  },
  'the word of an IMMUTABLE function is taken for all but what it reads': {
    'select pure($1)': [],
    'select pure_name($1)': ['rows of public.authors where id = $1 (old values: subquery)'],
  },
  'recursion comes to an end': {
    'select * from looped($1)': ['all of public.posts (not-understood)', POSTS_OF],
  },
  'what is not looked into says why': {
    'select in_plpgsql()': ['not kept: function (public.in_plpgsql(), which is written in plpgsql)'],
    'select * from volatile_of(1)': ['not kept: function (public.volatile_of(), which is VOLATILE)'],
    'select * from as_owner()': ['not kept: function (public.as_owner(), which is SECURITY DEFINER)'],
    'select * from two_settings()': ['not kept: function (public.two_settings(), which has settings of its own)'],
    'select unsafe()': [
      'not kept: function (public.unsafe(), which has settings of its own, and names a table without its schema)',
    ],
    'select * from with_path()': ['not kept: function (public.with_path(), which has settings of its own)'],
    'select of_any(1)': ['not kept: function (public.of_any(), which has types that its calls decide)'],
    'select * from of_all(1, 2)': ['not kept: function (public.of_all(), which is VARIADIC)'],
    'select overloaded(1::bigint)': ['not kept: function (public.overloaded(), which may be one of several)'],
    'select * from narrow_keys()': ['not kept: function (public.narrow_keys(), which answers a domain over a domain)'],
    'select two()': ['not kept: function (public.two(), which is more than one SELECT)'],
    'select mood(1)': ['not kept: function (public.mood(), which is called like a type)'],
  },
  'a name with one argument may be a column of it': {
    'select * from comments c, posts p where c.body = title(p) and p.id = $1': [
      'all of public.comments, while there are rows of public.posts where id = $1 (condition)',
      'rows of public.posts where id = $1',
      'all of public.posts, while there are rows of public.posts where id = $1 (condition)',
    ],
  },
}

if (!isBefore(14))
  cases['bodies of BEGIN ATOMIC and RETURN'] = {
    'select * from atomic_of($1)': [POSTS_OF],
    'select * from authors where id = atomic_author($1)': [
      'rows of public.authors where id in (author_id of public.posts where id = $1)',
      'rows of public.posts where id = $1 (old values: subquery)',
    ],
  }

for (const [what, queries] of Object.entries(cases)) {
  describe(what, () => {
    it.each(Object.entries(queries))('%s', async (query, expected) => {
      expect((await explained.reads(query)).sort()).toEqual([...expected].sort())
    })
  })
}

it('what a policy calls is not looked into', async () => {
  await explained.client.query('set role functions_reader')
  expect(await explained.reads('select * from walls')).toEqual([
    'all of public.walls',
    'not kept: row-security (public.walls)',
    'not kept: function (public.ids_of(), which a policy calls)',
  ])
  await explained.client.query('reset role')
})
