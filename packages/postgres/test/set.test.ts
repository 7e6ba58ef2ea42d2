import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { type Cache, createCache } from 'tidemark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { postgres } from '../src/index.js'

// A value that is set says what its reader saw by a position. PostgreSQL's commits are sent before they are shown, so that the log's place
// alone does not tell.

const BOUND = { timeout: 45_000 }

let database: TestDatabase
let cache: Cache
let writer: pg.Client

beforeEach(async () => {
  database = await testDatabase()
  writer = new pg.Client({ connectionString: database.url })
  writer.on('error', () => {})
  await writer.connect()
  await writer.query('create table posts (id int primary key, title text)')
  cache = createCache({ source: postgres({ url: database.url }) })
  await cache.settled()
  await expect.poll(() => cache.status().keeping, BOUND).toBe(true)
  await expect.poll(() => cache.position(), BOUND).toMatch(/~\d+$/)
})

afterEach(async () => {
  await cache?.close()
  await writer?.end()
  await database?.drop()
})

/** Sets what counts as read at the position; once more with a new one, while what came before cannot be known. */
async function setUntilKept(): Promise<void> {
  await expect
    .poll(async () => (await cache.set('rate', 1, { asOf: (await cache.position())!, tags: ['rates'] })).notKept, BOUND)
    .toBe(undefined)
}

test('a value that was read after a position is kept, whatever else is committed meanwhile', async () => {
  await setUntilKept()
  const asOf = (await cache.position())!
  await writer.query("insert into posts values (1, 'a')")
  await cache.invalidate({ keys: ['other'], tags: ['others'] })
  await writer.query("update posts set title = 'b'")
  expect(await cache.set('rate', 2, { asOf, tags: ['rates'] })).toMatchObject({ notKept: undefined })
  expect((await cache.find('rate'))?.value).toBe(2)
  expect(await cache.invalidate({ tags: ['rates'] })).not.toBe(undefined)
  expect(await cache.find('rate')).toBe(undefined)
})

test('it is not kept where something that it may lack touched it', async () => {
  await setUntilKept()
  const asOf = (await cache.position())!
  await cache.invalidate({ tags: ['rates'] })
  expect(await cache.set('rate', 3, { asOf, tags: ['rates'] })).toMatchObject({ notKept: 'overtaken' })
  // A position of the log alone does not say what could be seen by then.
  expect((await cache.set('rate', 3, { asOf: cache.status().tidemark!, tags: ['rates'] })).notKept).toMatch(
    /unproven|forgotten/,
  )
})

test('while an older transaction is open, what came after it may not have been seen, and counts', async () => {
  await setUntilKept()
  await writer.query('begin')
  await writer.query("insert into posts values (1, 'a')")
  const { rows } = await writer.query('select pg_current_xact_id()::text as xid')
  await cache.invalidate({ tags: ['rates'] })
  await cache.settled()
  await expect.poll(async () => (await cache.position())?.split('~')[1], BOUND).toBe(rows[0].xid)
  expect(await cache.set('rate', 4, { asOf: (await cache.position())!, tags: ['rates'] })).toMatchObject({
    notKept: 'unproven',
  })
  // What was not touched is kept all the same.
  expect(await cache.set('calm', 4, { asOf: (await cache.position())!, tags: ['calm'] })).toMatchObject({
    notKept: undefined,
  })
  await writer.query('commit')
  await setUntilKept()
})
