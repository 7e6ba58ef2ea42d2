import { testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresMembers, postgresMembers } from '../src/index.js'

let database: Awaited<ReturnType<typeof testDatabase>>
const opened: PostgresMembers[] = []

beforeAll(async () => {
  database = await testDatabase()
})
afterAll(async () => {
  for (const members of opened) members.close()
  await database?.drop()
})

function meet(application = 'tidemark', url = database.url): PostgresMembers {
  const members = postgresMembers({ url, application, connectTimeoutMs: 20_000, queryTimeoutMs: 20_000 })
  opened.push(members)
  return members
}

test('processes that come at once make the table once, and each is told of all of its application, in their order', async () => {
  const all = [meet(), meet(), meet('another')]
  await Promise.all(all.map((members, i) => members.say(`p${i}`, 'here')))
  const before = await all[0]!.say('p0', 'still here')
  expect(before.map(({ id }) => id).sort()).toEqual(['p0', 'p1'])
  const after = await all[1]!.say('p1', 'still here')
  const orderOf = (entries: typeof before) => new Map(entries.map(({ id, order }) => [id, order]))
  expect(orderOf(after)).toEqual(orderOf(before))
  expect(after.map(({ text }) => text)).toEqual(['still here', 'still here'])
  // What was said since stays.
  await all[1]!.forget(before.find(({ id }) => id === 'p1')!)
  await all[1]!.forget(after.find(({ id }) => id === 'p0')!)
  expect(await all[1]!.say('p1', 'alone')).toMatchObject([{ id: 'p1', text: 'alone' }])
})

test('however many come at once', async () => {
  const admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
  try {
    for (let round = 0; round < 20; round++) {
      await admin.query('drop table if exists tidemark.processes')
      if (round % 2 === 0) await admin.query('drop schema if exists tidemark cascade')
      const all = [...Array(8)].map(() => meet('many'))
      await Promise.all(all.map((members, i) => members.say(`p${i}`, 'here')))
      for (const members of all) members.close()
    }
    expect(await meet('many').say('p', 'here')).toHaveLength(9)
  } finally {
    await admin.end()
  }
})

test('a role that may not make the table is told what somebody else should run, which helps', async () => {
  const admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
  try {
    await admin.query('drop schema if exists tidemark cascade; create role reading login')
    const url = new URL(database.url)
    url.username = 'reading'
    const refused = await meet('tidemark', url.href)
      .say('p', 'here')
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'TIDEMARK_RIGHTS' })
    await admin.query((refused as { sql: string }).sql)
    expect(await meet('tidemark', url.href).say('p', 'here')).toMatchObject([{ id: 'p', text: 'here' }])
  } finally {
    await admin.query('drop schema if exists tidemark cascade; drop role reading')
    await admin.end()
  }
})
