import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { systemClock } from 'tidemark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Journal } from '../src/index.js'
import { headsFolder, recordsOf, verified } from './journal-world.js'

let database: TestDatabase
let heads: ReturnType<typeof headsFolder>

beforeEach(async () => {
  database = await testDatabase()
  heads = headsFolder()
})
afterEach(async () => {
  await database?.drop()
  heads?.remove()
})

/** Writes requests of one tenant as a process whose clock lags by so many days. */
async function write(days: number, from: number): Promise<Journal> {
  const wall = () => Date.now() - days * 86_400_000
  const clock = { ...systemClock, now: () => systemClock.now(), wall, after: systemClock.after.bind(systemClock) }
  const journal = new Journal({ heads: heads.path }, { url: database.url, slot: 's' }, clock)
  const stretch = journal.begin({ slot: 's', epoch: 'e', from, again: () => {} })
  for (let i = 1; i <= 5; i++) {
    const targets = [{ kind: 'key', tenant: 'acme', key: `${days} days ago ${i}` }] as const
    const changes = [{ kind: 'target', mode: 'drop', targets }] as const
    stretch.committed({ endLsn: from + i, xid: i, committedAt: wall(), changes })
  }
  expect(await journal.flush(AbortSignal.timeout(20_000))).toBe(true)
  return journal
}

test('months that are too old go, and what stays can still be checked from where it begins', async () => {
  await (await write(500, 10)).close()
  const journal = await write(0, 15)
  expect(await recordsOf(journal)).toHaveLength(11)
  expect(await journal.retain()).toBe(6)
  const records = await recordsOf(journal)
  expect(records.filter(({ origin }) => origin === 'request').map(({ seq }) => seq)).toEqual([6, 7, 8, 9, 10])
  expect(records.filter(({ origin }) => origin === 'retention')).toHaveLength(1)
  expect(await verified(journal)).toMatchObject({ intact: true, problems: [] })
  expect(await journal.retain()).toBe(0)
  await journal.close()
})
