import { beforeAll, expect, it } from 'vitest'
import type { RangeVar } from './ast.js'
import { walk } from './ast.js'
import type { Column, Facts, Relation } from './catalogue.js'
import { columnsRead } from './columns-read.js'
import { loadParser, parseSql } from './parse.js'

beforeAll(loadParser)

function relation(oid: number, table: string, names: readonly string[], over: Partial<Relation> = {}): Relation {
  const columns = names.map((name) => ({ name, isGenerated: name === 'made' }) as Column)
  return {
    oid,
    table,
    columns,
    via: ['query'],
    isRowSecured: false,
    hasPolicies: false,
    policyColumns: [],
    definitions: [],
    ...over,
  } as Relation
}

const POSTS = relation(1, 'public.posts', ['id', 'author_id', 'title', 'body', 'views', 'made'])
const AUTHORS = relation(2, 'public.authors', ['id', 'name', 'email'])
const SECRETS = relation(3, 'public.secrets', ['id', 'owner'], { hasPolicies: true, policyColumns: null })
const WALLED = relation(5, 'public.walled', ['id', 'owner', 'note'], {
  hasPolicies: true,
  isRowSecured: true,
  policyColumns: ['owner'],
})
const WHOLLY = relation(6, 'public.wholly', ['id', 'owner'], {
  hasPolicies: true,
  isRowSecured: true,
  policyColumns: ['id'],
  definitions: ['select allows(id, wholly.*)'],
})
const SEEN = relation(4, 'public.seen', ['id', 'at'], { via: ['query', 'view'] })

const relations = [POSTS, AUTHORS, SECRETS, SEEN, WALLED, WHOLLY]
const named = new Map(
  relations.flatMap((each) => {
    const [schema, name] = each.table.split('.')
    return [
      [`"${name}"`, each],
      [`"${schema}"."${name}"`, each],
    ] as const
  }),
)
const facts = { relations, named, functions: [] } as unknown as Facts

/** `posts: id title; authors: *` for the tables that the text names. */
function read(text: string): string {
  const parsed = parseSql(text)
  if ('tooDeep' in parsed) throw new Error('too deep')
  const columns = columnsRead(parsed.statements[0]!, [], new Set(), facts, () => false)
  return relations
    .filter((each) => text.includes(each.table.split('.')[1]!))
    .map((each) => `${each.table.split('.')[1]}: ${columns.of(each)?.join(' ') ?? '*'}`)
    .join('; ')
}

const cases: Record<string, string> = {
  'select id from wholly where id = 1': 'wholly: *',
  'select id from walled where id = 1': 'walled: id owner',
  'select id, title from posts where author_id = $1 order by views': 'posts: author_id id title views',
  'select count(*) from posts': 'posts: ',
  'select count(*) from posts where author_id = 1': 'posts: author_id',
  'select * from posts where id = 1': 'posts: *',
  'select posts.* from posts': 'posts: *',
  'select public.posts.* from posts': 'posts: *',
  'select p.*, a.name from posts p join authors a on a.id = p.author_id': 'posts: *; authors: id name',
  'select p.id, a.name from posts p, authors a where a.id = author_id': 'posts: author_id id; authors: id name',
  'select p.id from posts p join authors using (id)': 'posts: id; authors: id',
  'select name from posts natural join authors': 'posts: *; authors: *',
  // Whole rows, and functions that are written like columns.
  'select p from posts p': 'posts: *',
  'select to_jsonb(p) from posts p': 'posts: *',
  'select row_to_json(posts) from posts': 'posts: *',
  'select p.full_name from posts p': 'posts: *',
  'select (p).title from posts p': 'posts: *',
  'select row(p.*) from posts p': 'posts: *',
  'select count(p) from posts p, authors': 'posts: *; authors: ',
  // System columns, generated ones.
  'select ctid, id from posts': 'posts: *',
  'select p.xmin from posts p, authors a where a.id = 1': 'posts: *; authors: id',
  'select made from posts': 'posts: *',
  // Of what a subquery in FROM lists only what is used.
  'select s.title from (select * from posts) s': 'posts: title',
  'select s.t from (select title as t from posts) s': 'posts: title',
  'select * from (select title from posts) s': 'posts: title',
  'select s.t from (select title as t, body, id as views from posts) s': 'posts: title',
  'select t from (select title as t, body from posts where views > 1) s': 'posts: title views',
  'select s.id from (select *, body as text from posts) s where s.title is null': 'posts: id title',
  'select s.id from (select p.*, a.name from posts p, authors a where a.id = p.author_id) s':
    'posts: author_id id; authors: id',
  'select s.id from (select * from (select * from posts) t) s': 'posts: id',
  'select s.id from (select t.* from (select id, title from posts) t) s': 'posts: id',
  'select count(*) from (select id, title from posts order by views limit 3) s': 'posts: views',
  'select s.id from (select id, title as t from posts order by t limit 3) s': 'posts: id title',
  'select s.id from (select id, title from posts order by 2 limit 3) s': 'posts: id title',
  'select s.id from (select id, title from posts group by 1, 2) s': 'posts: id title',
  'select s.id from (select id, title as t from posts group by id, t) s': 'posts: id title',
  'select s.id from (select id, max(views) as most from posts group by id) s': 'posts: id views',
  'select s.id from (select distinct id, title from posts) s': 'posts: id title',
  'select s.id from (select id, title from posts union all select id, name from authors) s': 'posts: id; authors: id',
  'select s.id from (select id, title from posts union select id, name from authors) s':
    'posts: id title; authors: id name',
  'select s.id from (select id, title from posts union all (select id, name from authors union select 1, email from authors)) s':
    'posts: id title; authors: email id name',
  'select s.id from (select id, title from posts) as s(id, other)': 'posts: id title',
  'select s from (select id, title from posts) s': 'posts: id title',
  'select s.* from (select id, title from posts) s': 'posts: id title',
  'select to_jsonb(s) from (select id, title from posts) s': 'posts: id title',
  'select s.whole from (select id, title from posts) s': 'posts: id title',
  'select a.name from authors a join (select id, title, body from posts) s using (id)': 'posts: id; authors: id name',
  'select a.name from authors a natural join (select id, title from posts) s': 'posts: id title; authors: *',
  'select j.id from ((select id, title from posts) s cross join authors) as j': 'posts: id; authors: id',
  'select j from ((select id, title from posts) s cross join authors) as j': 'posts: *; authors: *',
  'select a.name, t.title from authors a, lateral (select title, body from posts p where p.author_id = a.id) t':
    'posts: author_id title; authors: id name',
  'with p as (select id, title from posts) select p.id from p': 'posts: id',
  'with p as (select id, title from posts), q as (select * from p) select q.id from q': 'posts: id',
  'with p (id, t) as (select id, title from posts) select p.id from p': 'posts: id title',
  'with p as (select id, title from posts) select p.id from p join p q on q.title = p.id::text': 'posts: id title',
  'with p as (select id, title, body from posts) select p.id from p where exists (select from p q where q.title = p.id::text)':
    'posts: id title',
  'with recursive p as (select id, title from posts) select p.id from p': 'posts: id title',
  'select name from authors a where exists (select * from posts p where p.author_id = a.id)':
    'posts: author_id; authors: id name',
  'select name from authors a where exists (select 1 from posts p where p.author_id = a.id)':
    'posts: author_id; authors: id name',
  'select name, array(select p.title from posts p where p.author_id = a.id) from authors a':
    'posts: author_id title; authors: id name',
  'with p as (select id, author_id from posts) select p.* from p': 'posts: author_id id',
  'with posts as (select * from authors) select id from posts': 'posts: id; authors: id',
  'select title from posts union select name from authors': 'posts: title; authors: name',
  'select j.id from (posts join authors on true) as j': 'posts: id; authors: id',
  'select j.* from (posts join authors on true) as j': 'posts: *; authors: *',
  'select a from posts as p(a, b)': 'posts: *',
  'select id from posts tablesample system (10)': 'posts: *',
  'table posts': 'posts: *',
  'select id from posts p where p.views > (select avg(q.views) from posts q)': 'posts: id views',
  'select title from posts group by title having count(body) > 1 order by max(views)': 'posts: body title views',
  'select first_value(title) over w from posts window w as (partition by author_id)': 'posts: author_id title',
  // What nobody knows all readers of.
  'select id from secrets': 'secrets: *',
  'select id from seen': 'seen: *',
}

for (const [text, expected] of Object.entries(cases)) {
  it(text, () => expect(read(text)).toBe(expected))
}

/** By place, as they stand in the text: `a(id name) b(*)`. */
function readAt(text: string): string {
  const parsed = parseSql(text)
  if ('tooDeep' in parsed) throw new Error('too deep')
  const columns = columnsRead(parsed.statements[0]!, [], new Set(), facts, () => false)
  const places: RangeVar[] = []
  for (const statement of parsed.statements)
    walk(statement, (tag, content) => {
      if (tag === 'RangeVar' && named.has(`"${(content as RangeVar).relname}"`)) places.push(content as RangeVar)
    })
  places.sort((left, right) => (left as Located).location - (right as Located).location)
  const at = (place: RangeVar) => columns.at(named.get(`"${place.relname}"`)!, place)?.join(' ') ?? '*'
  return places.map((place) => `${place.alias?.aliasname ?? place.relname}(${at(place)})`).join(' ')
}

/** `title -> views`: what an answer only shows is left out of what decides which rows it has. */
const deciding: Record<string, string> = {
  'select p.id, p.title from posts p where p.views > 1': 'views',
  'select * from posts where views > 1': 'views',
  'select p.* from posts p where id = 1 order by views': 'id',
  'select p.* from posts p where id = 1 order by views limit 3': 'id views',
  'select p.* from posts p where id = 1 order by views offset 1': 'id views',
  'select p.* from posts p where id = 1 order by views fetch first row with ties': 'id views',
  'select distinct on (p.author_id) p.* from posts p order by author_id, views': 'author_id views',
  'select p.* from posts p where id = 1 order by lower(body)': 'body id',
  'select title, lower(body) from posts where id = 1': 'body id',
  'select title from posts where id = 1 order by title': 'id',
  'select title from posts where id = 1 order by title limit 3': 'id title',
  'select title as t from posts where id = 1 order by t': 'id',
  'select title as t from posts where id = 1 order by t limit 3': 'id title',
  'select title, body from posts where id = 1 order by 1': 'id',
  'select title, body from posts where id = 1 order by 1 limit 3': 'body id title',
  'select s.title from (select * from posts) s': '',
  'select s.title from (select title, views from posts) s where s.views > 1': 'views',
  'select * from (select * from posts) s where s.views > 1': 'views',
  'select s.title from (select distinct title, views from posts) s where s.views > 1': 'title views',
  'select posts from posts where id = 1': 'id',
  'select p.title, (select max(q.body) from posts q) from posts p': 'body',
}

for (const [text, expected] of Object.entries(deciding)) {
  it(`decides: ${text}`, () => expect(readAtFirst(text, 'deciding')).toBe(expected))
}

/** What an answer of one row reads: it has no order. */
const unordered: Record<string, string> = {
  'select p.title from posts p where p.id = 1 order by p.views, title': 'id title',
  'select p.title from posts p where p.id = 1 order by p.views limit 1': 'id title views',
  'select author_id, count(*) from posts group by author_id order by author_id, max(views)': 'author_id views',
  'select title from posts order by (select max(views) from posts)': 'title views',
  'select title, rank() over (order by views) from posts order by views': 'title views',
  'select * from posts order by views': '*',
}

for (const [text, expected] of Object.entries(unordered)) {
  it(`unordered: ${text}`, () => expect(readAtFirst(text, 'unordered')).toBe(expected))
}

function readAtFirst(text: string, which: 'deciding' | 'unordered'): string {
  const parsed = parseSql(text)
  if ('tooDeep' in parsed) throw new Error('too deep')
  const [statement] = parsed.statements
  let place: RangeVar | undefined
  walk(statement, (tag, content) => {
    if (tag === 'RangeVar') place ??= content as RangeVar
  })
  return (
    columnsRead(statement!, [], new Set(), facts, () => false)
      [which](POSTS, place!)
      ?.join(' ') ?? '*'
  )
}

it('knows what reads more than the columns of the log', () => {
  const isVersionRead = (text: string): boolean => {
    const parsed = parseSql(text)
    if ('tooDeep' in parsed) throw new Error('too deep')
    const plain = { ...facts, relations: [AUTHORS] }
    return columnsRead(parsed.statements[0]!, [], new Set(), plain, () => false).isVersionRead
  }
  expect(isVersionRead('select id from authors')).toBe(false)
  expect(isVersionRead('select * from authors where xmin = 1')).toBe(true)
  expect(isVersionRead('select a.ctid from authors a')).toBe(true)
  expect(isVersionRead('select a from authors a where exists (select from authors b where b.xmax = 1)')).toBe(true)
})

type Located = RangeVar & { readonly location: number }

const places: Record<string, string> = {
  'select a.title from posts a join posts b on b.id = a.author_id': 'a(author_id title) b(id)',
  'select a.title from posts a join posts b on b.id = a.author_id where b.views > 1': 'a(author_id title) b(id views)',
  'select count(*) from posts p where exists (select 1 from posts q where q.author_id = p.id)': 'p(id) q(author_id)',
  'select * from posts a where a.id in (select b.author_id from posts b)': 'a(*) b(author_id)',
  'select a.*, b.id from posts a, posts b': 'a(*) b(id)',
  'select a, b.id from posts a, posts b': 'a(*) b(id)',
  'select title from posts a where exists (select from posts b where b.id = a.author_id)':
    'a(author_id title) b(id title)',
  'select posts.title from posts union all select id::text from posts': 'posts(id title) posts(id title)',
  'select p.title from posts p union all select p.body from posts p': 'p(body title) p(body title)',
  'select a.id from posts a join posts b using (id)': 'a(id) b(id)',
  'select a.id from posts a natural join posts b': 'a(*) b(*)',
  'select j.title from (posts a join posts b on a.id = b.author_id) as j(title)': 'a(*) b(*)',
  'select j.title from (posts a join posts b on a.id = b.author_id) as j': 'a(id title) b(author_id title)',
  'select a.ctid, b.title from posts a, posts b': 'a(*) b(title)',
  'select a.id from posts a, posts b tablesample system (10)': 'a(id) b(*)',
  'select a.made, b.id from posts a, posts b': 'a(*) b(id)',
  'with p as (select author_id from posts q) select p.author_id, r.title from p, posts r':
    'q(author_id) r(author_id title)',
}

for (const [text, expected] of Object.entries(places)) {
  it(`by place: ${text}`, () => expect(readAt(text)).toBe(expected))
}
