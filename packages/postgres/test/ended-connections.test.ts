import { afterEach, beforeEach, expect, test } from 'vitest'
import { until, World } from './opened.js'

const ROUNDS = 60

let world: World

beforeEach(async () => {
  world = await World.create('create table posts (id int primary key); insert into posts select generate_series(1, 20)')
})

afterEach(async () => {
  await world?.drop()
})

// It was wrong between two queries of one read: the pool had stopped to listen, and the read had not begun to. An error event that
// nobody hears ends the process; Vitest reports it as an unhandled error.
test('connections that end at any moment fail reads at most, never the process', async () => {
  const { cache, source } = await world.open()
  let failed = 0
  const { pool } = source
  for (let round = 0; round < ROUNDS; round++) {
    const reads = Array.from({ length: 20 }, (_, id) =>
      id % 2 === 0
        ? cache.get(`${round} ${id}`, ({ sql }) => sql.one`select id from posts where id = ${id + 1}`)
        : pool.query('select id from posts where id = $1', [id + 1]),
    )
    const ending = world.admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidemark' and backend_type = 'client backend'`,
    )
    for (const outcome of await Promise.allSettled(reads)) if (outcome.status === 'rejected') failed++
    await ending
  }
  // Else nothing was ended in the middle of a read, and this tests nothing.
  expect(failed).toBeGreaterThan(0)
  await until(
    async () => (await cache.get('after', ({ sql }) => sql.one`select 1 as one`).catch(() => undefined)) !== undefined,
  )
})
