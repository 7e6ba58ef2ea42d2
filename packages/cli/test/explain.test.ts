import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './run.js'

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query('create table posts (id int primary key, author_id int, title text)')
  await client.end()
})
afterAll(() => database?.drop())

/** Runs `npx tidemark explain …`. */
const explain = (args: readonly string[], input?: string) => run(['explain', ...args, '--url', database.url], { input })

test('a query is explained table by table, with what would be better', async () => {
  const ran = await explain(['select title from posts where author_id = $1'])
  expect(ran).toMatchObject({ exitCode: 0, err: '' })
  expect(ran.out).toMatch(
    /^public\.posts \(replica identity default\)\n {2}rows of public\.posts where author_id = \$1/,
  )
  expect(ran.out).toMatch(
    /^ {4}columns read: author_id, title\n {4}An update of other columns touches nothing only under/m,
  )
  expect(ran.out).toContain('alter table public.posts replica identity full')
  expect(ran.out).toMatch(/kept until a change touches/)
})

test('it is read from the standard input too, and printed as JSON', async () => {
  const ran = await explain(['--json'], 'select * from posts where id = 1')
  expect(JSON.parse(ran.out)).toMatchObject({ tables: [{ table: 'public.posts', follows: 'rows' }], notKept: [] })
  expect(JSON.parse(ran.out).tables[0].places[0]).not.toHaveProperty('reads')
  expect((await explain([], undefined)).exitCode).toBe(2)
})

test('of a table that is joined to itself, each place has its own columns', async () => {
  const ran = await explain(['select a.title from posts a join posts b on b.id = a.author_id where a.id = $1'])
  expect(ran.out).toMatch(/^ {2}rows of public\.posts where id = \$1.*\n {4}columns read: author_id, id, title$/m)
  expect(ran.out).toMatch(
    /^ {2}rows of public\.posts where id in .*\n {4}columns read: id\n {4}An update of other columns touches nothing\.$/m,
  )
})

test('conditions that are tested on each row are shown', async () => {
  const ran = await explain(['select title from posts where author_id + 1 = $1'])
  expect(ran.out).toMatch(/^ {2}all of public\.posts \(condition\)\n {4}tested on each row: author_id \+ 1 = \$1$/m)
})

test('what is not kept is said, and what depends on nothing', async () => {
  expect((await explain(['select now() from posts'])).out).toContain('needs an expiry: time')
  expect((await explain(['select 1'])).out).toContain('depends on nothing')
})

test('an error in the SQL is shown with its line and a caret', async () => {
  const ran = await explain(['select id,\n  titel\nfrom posts'])
  expect(ran).toMatchObject({ exitCode: 1, out: '' })
  expect(ran.err).toMatch(
    /^tidemark: TIDEMARK_SQL: .*42703.*line 2, column 3\. Perhaps .*"posts\.title"\.\n {4}titel\n {4}\^\n$/,
  )
  const writes = await explain(['delete from posts'])
  expect(writes).toMatchObject({ exitCode: 1, out: '' })
  expect(writes.err).toContain('TIDEMARK_SQL_WRITES')
})
