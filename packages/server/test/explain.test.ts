import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { postgres } from '@tidemark/postgres'
import type { FastifyInstance } from 'fastify'
import { type Cache, createCache } from 'tidemark'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../src/app.js'
import { loadConfig } from '../src/config/load.js'
import { CONFIG, SCHEMA, sql, temporaryFolder } from './serving.js'

const folder = temporaryFolder()
let database: TestDatabase
let cache: Cache
let app: FastifyInstance

beforeAll(async () => {
  database = await testDatabase()
  await sql(database.url, `${SCHEMA}; create unlogged table visits (id int primary key)`)
  const config = loadConfig(folder.write('tidemark.yaml', CONFIG), {})
  const source = postgres({ url: database.url })
  const opened = createCache({ source })
  cache = opened
  app = await buildApp({ config, cache: opened, source, logLevel: 'silent' })
})
afterAll(async () => {
  await app?.close()
  await cache?.close()
  await database?.drop()
  folder.remove()
})

const HOST = { host: 'localhost' }
const ask = (text: string) => app.inject({ url: `/api/explain?sql=${encodeURIComponent(text)}`, headers: HOST })

test('GET and POST say what a statement depends on, why, and what would be better', async () => {
  const text = 'select title from posts where author_id = $1'
  const answer = await ask(text)
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toMatchObject({
    tables: [
      {
        table: 'public.posts',
        follows: 'rows',
        identity: 'default',
        places: [
          {
            line: expect.stringContaining('rows of public.posts where author_id = $1'),
            reads: ['author_id', 'title'],
            updates: expect.stringContaining('only under replica identity full'),
          },
        ],
        advice: [expect.stringContaining('alter table public.posts replica identity full')],
      },
    ],
    notKept: [],
  })
  const posted = await app.inject({ method: 'POST', url: '/api/explain', headers: HOST, payload: { sql: text } })
  expect(posted.json()).toEqual(answer.json())
  const documented = '/api/explain?sql=select+title+from+posts+where+author_id=$1'
  expect((await app.inject({ url: documented, headers: HOST })).json()).toEqual(answer.json())
})

test('what is read as a whole, sends no changes or is not kept has its reason', async () => {
  expect((await ask('select * from posts where id = $1')).json()).toMatchObject({
    tables: [{ advice: [] }],
    notKept: [],
  })
  expect((await ask('select count(*) from posts where length(title) = 3')).json()).toMatchObject({
    tables: [{ follows: 'table', places: [{ line: expect.stringContaining('(condition)') }] }],
  })
  expect((await ask('select * from visits')).json()).toMatchObject({ tables: [{ follows: 'nothing' }] })
  expect((await ask('select now(), current_user from posts')).json()).toMatchObject({
    notKept: [expect.stringContaining('time'), expect.stringContaining('session')],
  })
})

test('SQL over whose operators PostgreSQL would bend for seconds is refused unread', async () => {
  const post = async (text: string) =>
    (await app.inject({ method: 'POST', url: '/api/explain', headers: HOST, payload: { sql: text } })).json()
  const nested = await post(`select 1 ${'/*'.repeat(10_000)}${'*/'.repeat(10_000)}`)
  expect(nested).toMatchObject({ code: 'TIDEMARK_PARAMETER', errors: [{ parameter: 'sql' }] })
  expect(nested.detail).toContain('1000 operator characters')
  expect(await post(`select 1 /*${'*'.repeat(800)}*/ -- ${'='.repeat(900)}`)).toMatchObject({ notKept: [] })
})

test('SQL that is wrong is answered with a problem that names the place', async () => {
  const wrong = await ask('select id,\n  titel from posts')
  expect(wrong.statusCode).toBe(400)
  expect(wrong.headers['content-type']).toContain('application/problem+json')
  expect(wrong.json()).toMatchObject({
    code: 'TIDEMARK_REQUESTED_SQL',
    sqlState: '42703',
    detail: expect.stringContaining('line 2, column 3'),
    place: { line: 2, column: 3, excerpt: '  titel from posts\n  ^' },
  })
  expect((await ask('selec 1')).json()).toMatchObject({ sqlState: '42601', place: { line: 1, column: 1 } })
  expect((await ask('select * from nowhere')).json()).toMatchObject({ sqlState: '42P01', place: { column: 15 } })
  const writes = await ask('delete from posts')
  expect(writes.json()).toMatchObject({ status: 400, code: 'TIDEMARK_REQUESTED_SQL' })
  expect((await ask('select 1; select 2')).statusCode).toBe(400)
  const post = (text: string) =>
    app.inject({ method: 'POST', url: '/api/explain', headers: HOST, payload: { sql: text } })
  // More columns than PostgreSQL has.
  expect((await post(`select ${'id,'.repeat(2_000)}id from posts`)).json()).toMatchObject({
    code: 'TIDEMARK_REQUESTED_SQL',
    sqlState: '54011',
  })
  expect((await app.inject({ url: '/api/explain', headers: HOST })).json()).toMatchObject({
    code: 'TIDEMARK_PARAMETER',
  })
  expect((await app.inject({ method: 'DELETE', url: '/api/explain', headers: HOST })).statusCode).toBe(405)
  expect(await sql(database.url, 'select count(*)::int as n from posts')).toEqual([{ n: 100 }])
})
