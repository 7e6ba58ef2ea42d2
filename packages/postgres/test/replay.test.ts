import type { Client } from 'pg'
import type { Change, Image } from 'tidemark'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type World, world } from './recorder.js'

/*
 * The log against the tables themselves: what it delivered since its start, replayed over a copy that was taken then, must give the
 * tables as they are. A change that is lost, doubled, out of order, or of a transaction that was rolled back would leave a difference.
 */

const SEED = Number(process.env.TIDEMARK_SEED ?? 11)
const WRITERS = 4
const TRANSACTIONS = Number(process.env.TIDEMARK_ROUNDS ?? 150)
const TABLES = ['narrow', 'whole', 'split'] as const

let db: World

beforeAll(async () => {
  db = await world()
  await db.sql(
    'create table narrow (id int primary key, v int, body text)',
    'alter table narrow alter body set storage external',
    'create table whole (id int primary key, v int, body text)',
    'alter table whole alter body set storage external, replica identity full',
    'create table split (id int primary key, v int, body text) partition by hash (id)',
    'create table split0 partition of split for values with (modulus 2, remainder 0)',
    'create table split1 partition of split for values with (modulus 2, remainder 1)',
    ...TABLES.map(
      (table) => `insert into ${table} select i, i, repeat(md5(i::text), 100) from generate_series(0, 20) as i`,
    ),
  )
})

afterAll(async () => {
  await db?.end()
})

test(`replayed, the log gives the tables (TIDEMARK_SEED=${SEED})`, { timeout: 120_000 }, async () => {
  const log = await db.log({ rowsMax: 1_000_000 })
  const copies = new Map<string, Rows>()
  for (const table of TABLES) copies.set(table, await copy(table))
  const writers = Array.from({ length: WRITERS }, async (_, i) => write(await db.connect(), randoms(SEED * 100 + i)))
  await Promise.all(writers)
  await log.caughtUp()
  expect(log.losses).toEqual([])
  expect(log.commits.length).toBeGreaterThan(TRANSACTIONS)
  for (const table of TABLES) {
    const rows = copies.get(table)!
    for (const change of log.changes) replay(rows, change, `public.${table}`)
    expect(sorted(rows), table).toEqual(sorted(await copy(table)))
  }
})

type Rows = Map<string, Image>

async function copy(table: string): Promise<Rows> {
  const rows = await db.sql(`select id::text, v::text, body from ${table}`)
  return new Map(rows.map((row) => [row.id as string, row as Image]))
}

function replay(rows: Rows, change: Change, table: string): void {
  if (change.kind === 'table' && change.table === table) {
    expect(change.reason).toBe('truncate')
    rows.clear()
  }
  if (change.kind !== 'row' || change.table !== table) return
  const before = change.old ? rows.get(change.old.id!) : undefined
  if (change.old) rows.delete(change.old.id!)
  // A value that is absent was not changed.
  if (change.new) rows.set(change.new.id!, { ...before, ...change.new })
}

function sorted(rows: Rows): unknown {
  return [...rows].sort(([a], [b]) => Number(a) - Number(b)).map(([, row]) => ({ ...row }))
}

async function write(client: Client, random: (below: number) => number): Promise<void> {
  for (let i = 0; i < TRANSACTIONS; i++) {
    await client.query('begin')
    for (let n = 1 + random(4); n > 0; n--) {
      await client.query('savepoint s')
      try {
        await client.query(statement(random))
        if (random(6) === 0) await client.query('rollback to s')
      } catch {
        // A key that exists, or a deadlock between writers: only this part is undone.
        await client.query('rollback to s')
      }
    }
    await client.query(random(8) === 0 ? 'rollback' : 'commit')
  }
}

function statement(random: (below: number) => number): string {
  const table = TABLES[random(TABLES.length)]!
  const id = random(40)
  switch (random(12)) {
    case 0:
    case 1:
    case 2:
      return `insert into ${table} values (${id}, ${random(9)}, repeat(md5('${random(1_000)}'), ${random(150)}))`
    case 3:
    case 4:
    case 5:
      return `update ${table} set v = ${random(9)} where id = ${id}`
    case 6:
      return `update ${table} set body = ${random(3) === 0 ? 'null' : `repeat(md5('${random(1_000)}'), 100)`} where id = ${id}`
    case 7:
      return `update ${table} set id = ${random(40)} where id = ${id}`
    case 8:
      return `update ${table} set v = coalesce(v, 0) + 1 where id between ${id} and ${id + 4}`
    case 9:
      return `insert into ${table} values (${id}, 1, 'upserted') on conflict (id) do update set v = excluded.v`
    case 10:
      return random(10) === 0 ? `truncate ${table}` : `delete from ${table} where id = ${id}`
    default:
      return `delete from ${table} where id = ${id}`
  }
}

/** A repeatable sequence of whole numbers. */
function randoms(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}
