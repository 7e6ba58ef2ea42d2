import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Journal } from '../src/index.js'
import { headsFolder, recordsWhen, verified } from './journal-world.js'
import { type Opened, until, World } from './opened.js'

/** The journal on a server of its own: slots are seen by all of a server. */
let world: World
let heads: ReturnType<typeof headsFolder>
let opened: Opened
let journal: Journal
const slot = 'shared_by_all'

beforeEach(async () => {
  world = await World.create('create table posts (id int primary key, title text)', {})
  heads = headsFolder()
  opened = await world.open({ slot, journal: { heads: heads.path } })
  journal = opened.source.journal!
  await until(() => opened.cache.status().log.slot?.isHeld === true)
})
afterEach(async () => {
  await world?.drop()
  heads?.remove()
})

test('who asked for what, why, and what it did, is in the journal once', async () => {
  const { cache } = opened
  const acme = cache.tenant('acme')
  await acme.get('user:1', async () => 'secret value', { ttl: '1h' })
  await until(() => acme.peek('user:1') !== undefined)
  const by = { actor: 'anna', requestId: 'req-1', cause: 'a price was wrong' }
  const position = await acme.invalidate({ keys: ['user:1', 'user:2'], tags: ['t'], by })
  await acme.invalidate({ pattern: 'user:*' })
  const records = await recordsWhen(journal, (all) => all.filter(({ origin }) => origin === 'effect').length === 2)
  const [asked, pattern] = records.filter(({ origin }) => origin === 'request')
  expect(asked).toMatchObject({
    tenant: 'acme',
    keys: ['user:1', 'user:2'],
    tags: ['t'],
    actor: 'anna',
    requestId: 'req-1',
    cause: 'a price was wrong',
    mode: 'drop',
    seq: 1,
  })
  expect(pattern).toMatchObject({ pattern: 'user:*', actor: null, tenant: 'acme' })
  const [effect] = records.filter(({ origin }) => origin === 'effect')
  expect(effect).toMatchObject({ tenant: 'acme', lsn: asked!.lsn, epoch: asked!.epoch, detail: '{"touched":{"l1":1}}' })
  expect(JSON.stringify(position)).toContain(asked!.epoch)
  expect((await journal.read({ requestId: 'req-1' }, 10))[0]!.effectMs).toBe(effect!.latencyMs)
  expect(JSON.stringify(records)).not.toContain('secret value')
  expect(await verified(journal)).toMatchObject({ intact: true, signed: true, chains: 2, problems: [] })
})

test('rows are in it once for each transaction, as counts by table, and DDL once', async () => {
  await world.admin.query("begin; insert into posts select n, 'secret value' from generate_series(1, 5) n")
  await world.admin.query(
    "update posts set title = 'another secret' where id < 3; delete from posts where id = 5; commit",
  )
  await world.admin.query('alter table posts add column note text')
  await world.admin.query("insert into posts values (9, 'secret value')")
  const records = await recordsWhen(
    journal,
    (all) =>
      all.filter(({ origin }) => origin === 'rows').length === 2 &&
      all.some(({ origin, tables }) => origin === 'ddl' && tables.includes('public.posts')),
  )
  const [first, second] = records.filter(({ origin }) => origin === 'rows')
  expect(JSON.parse(first!.detail)).toEqual({
    tables: { 'public.posts': { insert: 5, update: 2, delete: 1 } },
    rows: 8,
  })
  expect(first).toMatchObject({ tenant: null, tables: ['public.posts'] })
  expect(JSON.parse(second!.detail)).toMatchObject({ tables: { 'public.posts': { insert: 1 } }, rows: 1 })
  expect(records.filter(({ origin, tables }) => origin === 'ddl' && tables.includes('public.posts'))).toHaveLength(1)
  expect(JSON.stringify(records)).not.toContain('secret')
})

test('of a transaction that is too large to be kept by rows the counts are told, without what was rolled back in it', async () => {
  await world.admin.query('begin; insert into posts select n from generate_series(1, 30000) n; savepoint s')
  await world.admin.query(
    'delete from posts where id <= 20000; rollback to s; update posts set title = $$t$$ where id <= 7',
  )
  await world.admin.query('commit')
  const records = await recordsWhen(journal, (all) => all.some(({ origin }) => origin === 'rows'))
  const [large, ...others] = records.filter(({ origin }) => origin === 'rows')
  expect(others).toEqual([])
  expect(JSON.parse(large!.detail)).toEqual({
    tables: { 'public.posts': { insert: 30_000, update: 7 } },
    rows: 30_007,
    large: true,
  })
  const { epoch, lsn } = large!
  expect(await journal.read({ position: { epoch, lsn } }, 10)).toEqual([large])
  expect(await journal.read({ position: { epoch, lsn: lsn + 8 } }, 10)).toEqual([])
})

test('a name is found by an index, whether it is a key, a tag, a pattern or a table, and however long', async () => {
  const { cache } = opened
  const long = 'k'.repeat(60_000)
  await cache.invalidate({ keys: ['user:1', long], tags: ['red'] })
  await cache.invalidate({ pattern: 'user:*' })
  await world.admin.query('insert into posts values (1)')
  await recordsWhen(journal, (all) => all.some(({ origin }) => origin === 'rows'))
  const found = async (target: string) => (await journal.read({ target }, 10)).map(({ origin }) => origin)
  for (const target of ['user:1', long, 'red', 'user:*']) expect(await found(target)).toEqual(['request'])
  expect(await found('public.posts')).toEqual(['rows'])
  expect(await found('user')).toEqual([])
  await world.admin.query('set enable_seqscan = off; analyze tidemark_journal.invalidation_audit')
  const { rows } = await world.admin.query(
    "explain select from tidemark_journal.invalidation_audit a where tidemark_journal.names(a.keys, a.tags, a.tables) @> array[hashtextextended('red', 0)]",
  )
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/names_idx/)
})

test('the tables of the journal are published by nobody, and it records nothing of itself', async () => {
  await opened.cache.invalidate({ keys: ['a'] })
  await recordsWhen(journal, (all) => all.some(({ origin }) => origin === 'request'))
  await world.admin.query('create publication everything for all tables')
  const { rows } = await world.admin.query(
    "select * from pg_publication_tables where schemaname = 'tidemark_journal' and pubname = 'tidemark'",
  )
  expect(rows).toEqual([])
  await world.admin.query('drop publication everything')
  await opened.cache.invalidate({ keys: ['b'] })
  const records = await recordsWhen(journal, (all) => all.some(({ keys }) => keys.includes('b')))
  expect(records.filter(({ tables }) => tables.some((table) => table.includes('tidemark_journal')))).toEqual([])
})

test('nobody may change or remove records, whatever his rights', async () => {
  await opened.cache.invalidate({ keys: ['a'] })
  const [record] = await recordsWhen(journal, (all) => all.length > 2)
  const partition = `tidemark_journal.invalidation_audit_${record!.month}`
  for (const table of ['tidemark_journal.invalidation_audit', partition])
    for (const statement of [
      `update ${table} set triggered_by = 'nobody'`,
      `update ${table} set triggered_by = 'nobody' where false`,
      `delete from ${table} where id = 1`,
      `truncate ${table}`,
    ])
      await expect(world.admin.query(statement), statement).rejects.toThrow('append-only')
  expect((await verified(journal)).intact).toBe(true)
})

test('what a superuser changes, removes or cuts off shows', async () => {
  const { cache } = opened
  for (let i = 0; i < 10; i++) await cache.tenant('acme').invalidate({ keys: [`k${i}`] })
  const records = await recordsWhen(journal, (all) => all.filter(({ origin }) => origin === 'effect').length === 10)
  const ofAcme = records.filter(({ tenant }) => tenant === 'acme')
  const whole = await verified(journal)
  expect(whole).toMatchObject({ intact: true, records: records.length })
  const table = 'tidemark_journal.invalidation_audit'
  const tamper = async (...statements: string[]) => {
    await world.admin.query('begin')
    await world.admin.query(`set local session_replication_role = replica`)
    for (const each of ['refuse_change', 'refuse_truncate'])
      await world.admin.query(`alter table ${table} disable trigger ${each}`)
    for (const statement of statements) await world.admin.query(statement)
    await world.admin.query('commit')
    return verified(journal)
  }
  const victim = ofAcme[4]!
  const changed = await tamper(`update ${table} set triggered_by = 'somebody else' where id = ${victim.id}`)
  expect(changed.problems).toMatchObject([{ chain: 'tenant acme', seq: victim.seq, kind: 'changed' }])
  await tamper(`update ${table} set triggered_by = null where id = ${victim.id}`)
  const { hash } = ofAcme.at(-2)!
  const cut = await tamper(
    `delete from ${table} where id = ${ofAcme.at(-1)!.id}`,
    `update tidemark_journal.heads set seq = seq - 1, hash = '${hash}' where chain = 'tenant acme'`,
  )
  expect(cut.problems).toMatchObject([{ chain: 'tenant acme', kind: 'cut' }])
  const removed = await tamper(`delete from ${table} where id = ${victim.id}`)
  expect(removed.problems.map(({ kind }) => kind)).toContain('missing')
  const all = await tamper(
    `delete from ${table} where tenant = 'acme'`,
    "delete from tidemark_journal.heads where chain = 'tenant acme'",
  )
  expect(all.problems).toMatchObject([{ chain: 'tenant acme', kind: 'cut' }])
  expect(all.intact).toBe(false)
})

test('many requests and transactions at once leave chains without a hole', async () => {
  const { cache } = opened
  const asked = Array.from({ length: 300 }, (_, i) =>
    cache.tenant(`t${i % 3}`).invalidate({ keys: [`k${i}`], by: { requestId: `r${i}` } }),
  )
  for (let i = 0; i < 50; i++) await world.admin.query(`insert into posts values (${i}, 't')`)
  await Promise.all(asked)
  const records = await recordsWhen(
    journal,
    (all) =>
      all.filter(({ origin }) => origin === 'request').length >= 300 &&
      all.filter(({ origin }) => origin === 'rows').length >= 50,
  )
  expect(new Set(records.flatMap(({ requestId }) => requestId ?? [])).size).toBe(300)
  expect(records.filter(({ origin }) => origin === 'request')).toHaveLength(300)
  expect(records.filter(({ origin }) => origin === 'rows')).toHaveLength(50)
  await journal.flush(AbortSignal.timeout(20_000))
  expect(await verified(journal)).toMatchObject({ intact: true, chains: 4 })
})
