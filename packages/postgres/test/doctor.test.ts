import { afterAll, beforeAll, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { doctor, doctorSql, type Finding } from '../src/doctor.js'
import { UNINSTALL_SQL } from '../src/wal/ddl-triggers.js'
import { type World, world } from './recorder.js'

let db: World

beforeAll(async () => {
  db = await world({ max_slot_wal_keep_size: '-1', max_prepared_transactions: '5' })
})

afterAll(async () => {
  await db?.end()
})

function of(findings: readonly Finding[], code: string): readonly Finding[] {
  return findings.filter((finding) => finding.code === code)
}

test('a server that can be followed has no error, and the doctor leaves nothing behind', async () => {
  await db.sql('create table fine (id int primary key)')
  const findings = await doctor(db.url)
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
  expect(of(findings, 'follow')).toMatchObject([{ severity: 'ok' }])
  expect(of(findings, 'publication')).toMatchObject([{ severity: 'ok' }])
  expect(await db.sql('select * from pg_publication')).toEqual([])
  expect(await db.sql('select * from pg_replication_slots')).toEqual([])
})

test('each finding of tables names the SQL that mends it, and that SQL does', async () => {
  await db.sql(
    'create table keyless (v int)',
    'create table indexed (v int not null, w int, unique (v))',
    'create table counted (id int primary key, v int)',
    'create unlogged table loose (id int primary key)',
    'insert into counted values (1, 1)',
    'update counted set v = 2',
    ...(isBefore(15) ? [] : ['select pg_stat_force_next_flush()']),
  )
  await expect.poll(async () => of(await doctor(db.url), 'identity-narrow'), { timeout: 45_000 }).toHaveLength(1)
  const findings = await doctor(db.url)
  expect(of(findings, 'identity-missing').map(({ title }) => title)).toEqual(
    expect.arrayContaining([expect.stringContaining('public.keyless'), expect.stringContaining('public.indexed')]),
  )
  expect(of(findings, 'not-in-wal')).toMatchObject([
    { fix: expect.stringContaining('alter table public.loose set logged') },
  ])
  expect(of(findings, 'identity-narrow')[0]!.title).toContain('public.counted (rows changed so far: 1)')
  expect(of(findings, 'slot-wal')).toMatchObject([{ severity: 'warning' }])

  const script = doctorSql(findings)
  expect(script).toContain('alter table public.indexed replica identity using index indexed_v_key;')
  expect(script).toContain('alter table public.keyless replica identity full;')
  expect(script).toContain('alter table public.counted replica identity full;')
  const client = await db.connect()
  for (const { fix } of findings.filter(({ severity, isSql }) => severity !== 'ok' && isSql)) {
    // alter system can't run in the implicit transaction of several statements.
    const statements = fix.startsWith('alter system') ? fix.split(/;[^\n]*\n?/) : [fix]
    for (const statement of statements.filter((text) => text.trim() !== '')) await client.query(statement)
  }
  // The test server has this one on its command line, which wins.
  const after = (await doctor(db.url)).filter(({ code }) => code !== 'slot-wal')
  expect(after.filter(({ severity, isSql }) => severity !== 'ok' && isSql)).toEqual([])
  expect(doctorSql(after)).toBe('')
})

test('what Tidemark keeps for itself, and nobody follows, is no finding', async () => {
  await db.sql(
    'create schema if not exists tidemark',
    'create schema tidemark_journal',
    'create unlogged table tidemark.beats (id int primary key)',
    'create table tidemark_journal.kept (id int primary key, v int)',
    'create table beside (id int primary key, v int)',
    'insert into tidemark_journal.kept values (1, 1)',
    'insert into beside values (1, 1)',
    'update tidemark_journal.kept set v = 2',
    'update beside set v = 2',
    ...(isBefore(15) ? [] : ['select pg_stat_force_next_flush()']),
  )
  const narrow = async () => of(await doctor(db.url), 'identity-narrow')
  await expect
    .poll(narrow, { timeout: 45_000 })
    .toMatchObject([{ title: expect.stringContaining('public.beside (rows changed so far: 1)') }])
  const told = (await doctor(db.url)).map(({ title, fix }) => `${title}: ${fix}`).join('\n')
  expect(told).not.toMatch(/tidemark\.beats|tidemark_journal\.kept/)
  await db.sql('drop schema tidemark_journal cascade', 'drop table tidemark.beats, beside')
})

test('event triggers for DDL are offered, and seen when they are there, switched off, or of another version', async () => {
  await db.sql(UNINSTALL_SQL)
  const missing = of(await doctor(db.url), 'ddl-triggers')
  expect(missing).toMatchObject([{ severity: 'advice', isSql: true }])
  expect(doctorSql(missing)).toMatch(/^-- advice, ddl-triggers: .*create event trigger/s)
  await db.sql(missing[0]!.fix)
  expect(of(await doctor(db.url), 'ddl-triggers')).toMatchObject([{ severity: 'ok' }])
  await db.sql('alter event trigger tidemark_drop disable')
  const [disabled] = of(await doctor(db.url), 'ddl-triggers')
  expect(disabled).toMatchObject({ severity: 'warning' })
  await db.sql(disabled!.fix)
  expect(of(await doctor(db.url), 'ddl-triggers')).toMatchObject([{ severity: 'ok' }])
  await db.sql("create or replace function tidemark.tell_ddl() returns event_trigger language plpgsql as 'begin end'")
  expect(of(await doctor(db.url), 'ddl-triggers')).toMatchObject([{ severity: 'warning' }])
  await db.sql(UNINSTALL_SQL)
})

test('slots that nobody reads and transactions that are open for long are named', async () => {
  await db.sql(`select pg_create_logical_replication_slot('left_over', 'pgoutput')`)
  await db.sql('begin', 'insert into fine values (1)', "prepare transaction 'stuck'")
  const findings = await doctor(db.url)
  expect(of(findings, 'slot-idle')).toMatchObject([{ fix: `select pg_drop_replication_slot('left_over');` }])
  expect(of(findings, 'long-transaction')).toMatchObject([
    { title: expect.stringContaining('prepared transaction stuck') },
  ])
  await db.sql(`select pg_drop_replication_slot('left_over')`, "rollback prepared 'stuck'")
})

test('a table that the publication does not list yet is named', async () => {
  await db.sql('create publication later', 'create table late (id int primary key)')
  expect(of(await doctor(db.url, { publication: 'later' }), 'publication')).toMatchObject([
    { severity: 'ok', title: expect.stringMatching(/will list .*public\.late.* too/) },
  ])
  await db.sql('drop publication later')
})

test('missing rights are named with the SQL for somebody who has them', async () => {
  await db.sql('create role plain login')
  const url = new URL(db.url)
  url.username = 'plain'
  const findings = await doctor(url.href)
  expect(of(findings, 'TIDEMARK_RIGHTS').map(({ title }) => title)).toEqual([
    'role plain may not replicate',
    'the publication "tidemark" does not exist, and the role may not make it',
  ])
  expect(doctorSql(findings)).toContain('alter role plain replication;')
  expect(doctorSql(findings)).toMatch(/create publication "tidemark" for table .*public\.fine/)
})

test('an address that leads elsewhere than directUrl is an error', async () => {
  const url = new URL(db.url)
  url.pathname = '/postgres'
  const findings = await doctor(url.href, { directUrl: db.url })
  expect(of(findings, 'TIDEMARK_POOLER')).toMatchObject([{ severity: 'error' }])
  expect(
    of(await doctor(db.url, { directUrl: `${db.url}${db.url.includes('?') ? '&' : '?'}application_name=x` }), 'pooler'),
  ).toMatchObject([{ severity: 'ok' }])
})

test('a server that is down is a finding, not an exception', async () => {
  expect(await doctor('postgres://u:secret@127.0.0.1:1/db')).toMatchObject([
    { severity: 'error', code: 'TIDEMARK_SOURCE_DOWN' },
  ])
})

test('wal_level is named once, with the setting', async () => {
  const replica = await world({ wal_level: 'replica' })
  try {
    const findings = await doctor(replica.url)
    expect(of(findings, 'TIDEMARK_WAL_LEVEL')).toHaveLength(1)
    expect(doctorSql(findings)).toContain('alter system set wal_level = logical')
  } finally {
    await replica.end()
  }
})
