import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until, World } from './opened.js'

/*
 * What a comparison says of rows by the values that it has: where it is with NULL, or with an empty list. Of each query a write that can't
 * change the answer leaves it, and one that changes it does not.
 */

let world: World

beforeAll(async () => {
  world = await World.create(`
    create table things (id int primary key, n int, title text);
    alter table things replica identity full`)
})
afterEach(() => world.closeCaches())
afterAll(() => world?.drop())

interface Case {
  readonly values?: readonly unknown[]
  readonly drops?: readonly string[]
  readonly leaves?: readonly string[]
}

const row = (columns: Record<string, string | number | null>) => {
  const all = { id: 100, ...columns }
  const values = Object.values(all).map((each) => (typeof each === 'string' ? `'${each}'` : (each ?? 'null')))
  return `insert into things (${Object.keys(all).join()}) values (${values.join()})`
}

const cases: Record<string, Record<string, Case>> = {
  'with NULL, or with no value': {
    'n < $1': { values: [null], leaves: [row({ n: 1 }), row({ n: null })] },
    'n between $1 and 5': { values: [null], leaves: [row({ n: 1 })] },
    'title like $1': { values: [null], leaves: [row({ title: 'a' })] },
    'n <> $1': { values: [null], leaves: [row({ n: 1 }), row({ n: null })] },
    'n not in (1, $1)': { values: [null], leaves: [row({ n: 2 })] },
    'n <> all($1)': { values: [[1, null]], leaves: [row({ n: 2 })] },
    'n <> all ($1::int[])': { values: [[]], drops: [row({ n: 2 }), row({ n: null })] },
    'n <> all ($1::bigint[])': { values: [null], leaves: [row({ n: 2 })] },
    'n = 1 or n < $1': { values: [null], drops: [row({ n: 1 })], leaves: [row({ n: 0 })] },
    'not (n < $1)': { values: [null], leaves: [row({ n: 1 })] },
    'n is distinct from $1': { values: [null], drops: [row({ n: 1 })] },
    'n <> all ($1::int[]) and id > 0': { values: ['{}'], drops: [row({ n: null })] },
  },
}

describe.each(Object.entries(cases))('%s', (_, queries) => {
  it.each(Object.entries(queries))('%s', async (where, { values = [], drops = [], leaves = [] }) => {
    await world.admin.query(`truncate things; ${row({ id: 1, n: 7 })}`)
    const { cache } = await world.open()
    const text = `select id from things where ${where} order by id`
    const read = () => cache.get('answer', ({ sql }) => sql.query(text, [...values]).then(({ rows }) => rows))
    const isKept = () => cache.peek('answer') !== undefined
    /** Whether the write drops it; in any case it is right then. */
    async function isDropped(write: string): Promise<boolean> {
      await until(async () => (await read()) && isKept())
      await world.admin.query(write)
      // It comes through the log after the write.
      await cache.invalidate({ tags: ['nothing'] })
      const kept = isKept()
      expect(await read()).toEqual((await world.admin.query(text, [...values])).rows)
      await world.admin.query('delete from things where id = 100')
      await cache.invalidate({ tags: ['nothing'] })
      return !kept
    }
    for (const write of drops) expect(`${write} ${await isDropped(write)}`).toBe(`${write} true`)
    for (const write of leaves) expect(`${write} ${await isDropped(write)}`).toBe(`${write} false`)
  })
})
