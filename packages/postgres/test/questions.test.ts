import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { until, World } from './opened.js'

/*
 * What is asked before a statement is made of its text. It must be SQL whatever the text ends with; and where it fails all the same, the statement
 * runs as if it had not been asked.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table posts (id int primary key, title text);
    alter table posts replica identity full`)
})
beforeEach(async () => {
  await world.admin.query("truncate posts; insert into posts select i, 'a' || i from generate_series(1, 9) i")
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

describe.each(['', ';', ' ; -- the end; ', ' -- the end', '\n/* the end */'])(
  'a statement that ends with %j',
  (end) => {
    test('has a LIMIT whose last row is asked for', async () => {
      const isDropped = await world.keeping(`select title from posts order by id limit 3${end}`)
      expect(await isDropped("update posts set title = 'x' where id = 8")).toBe(false)
      expect(await isDropped("update posts set title = 'y' where id = 3")).toBe(true)
    })

    test('is made of rows that are asked for', async () => {
      const isDropped = await world.keeping(`select count(*), max(title) from posts where title || '' < 'a5'${end}`)
      expect(await isDropped('delete from posts where id = 7')).toBe(false)
      expect(await isDropped("update posts set title = 'a0' where id = 1")).toBe(true)
    })
  },
)

test("a question that fails does not abort the loader's transaction", async () => {
  const { cache, source } = await world.open()
  let failed = 0
  class Client extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: what `pg` declares are twenty forms of one call
    override query(...args: any[]): any {
      const isAsked = JSON.stringify(args[0]).includes('tidemark_end')
      if (isAsked) failed++
      return (super.query as (...all: unknown[]) => unknown)(...(isAsked ? ['select 1 / 0'] : args))
    }
  }
  const pool = source.wrapPool(new pg.Pool({ connectionString: world.database.url, Client }))
  world.onClose(() => pool.end())
  const read = () =>
    cache.get('own', async () => {
      const client = await pool.connect()
      try {
        await client.query('begin')
        const { rows } = await client.query('select title from posts order by id limit 2')
        await client.query('commit')
        return rows
      } finally {
        client.release(true)
      }
    })
  await until(async () => (await read()) && cache.peek('own') !== undefined)
  expect(await read()).toHaveLength(2)
  expect(failed).toBeGreaterThan(0)
})
