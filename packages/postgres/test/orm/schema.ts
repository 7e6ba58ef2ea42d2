/** The tables that every ORM's queries read: a blog, with a tree of comments and a table between two others. */
export const SCHEMA = `
create table authors (id serial primary key, name text not null, email text not null unique, country text);
create table posts (
  id serial primary key, title text not null, slug text not null unique, status text not null default 'draft',
  views integer not null default 0, is_pinned boolean not null default false, rating numeric(4, 2), published_at timestamp(3),
  created_at timestamp(3) not null default now(), meta jsonb, author_id integer not null references authors
);
create table comments (
  id serial primary key, body text not null, is_approved boolean not null default false, created_at timestamp(3) not null default now(),
  post_id integer not null references posts, author_id integer references authors, parent_id integer references comments
);
create table tags (id serial primary key, name text not null unique);
create table post_tags (post_id integer references posts, tag_id integer references tags, primary key (post_id, tag_id));

insert into authors (name, email, country)
  select 'Author ' || n, 'a' || n || '@example.org', (array['NO', 'FR', null])[1 + n % 3] from generate_series(1, 8) n;
insert into posts (title, slug, status, views, is_pinned, rating, published_at, created_at, meta, author_id)
  select 'Post ' || n, 'post-' || n, (array['live', 'draft', 'gone'])[1 + n % 3], n * 10, n % 5 = 0, n % 4 + 0.5,
    case when n % 2 = 0 then timestamp '2026-01-01' + n * interval '1 day' end, timestamp '2026-01-01' + n * interval '1 hour',
    jsonb_build_object('lang', (array['en', 'no'])[1 + n % 2], 'n', n), 1 + n % 8
  from generate_series(1, 40) n;
insert into comments (body, is_approved, created_at, post_id, author_id, parent_id)
  select 'Comment ' || n, n % 2 = 0, timestamp '2026-02-01' + n * interval '1 minute', 1 + n % 40, case when n % 7 > 0 then 1 + n % 8 end,
    case when n > 40 then n - 40 end
  from generate_series(1, 120) n;
insert into tags (name) select 'tag' || n from generate_series(1, 6) n;
insert into post_tags select p, t from generate_series(1, 40) p, generate_series(1, 6) t where (p + t) % 3 = 0;
`

/** One query of a corpus: how it is called, and what runs it. */
export interface CorpusQuery {
  readonly name: string
  run(): Promise<unknown>
}
