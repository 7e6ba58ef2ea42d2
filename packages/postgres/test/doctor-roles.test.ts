import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isBefore } from '../../../test/machine.js'
import { checkRights } from '../src/doctor/rights.js'
import { doctor, doctorSql, type Finding } from '../src/doctor.js'
import { SqlConnection } from '../src/wal/connection.js'
import { connectSql } from '../src/wal/server.js'
import { type World, world } from './recorder.js'

/** The doctor as roles that may little, and on servers as managed services give them. */
let db: World
let bare: World

beforeAll(async () => {
  db = await world({ max_slot_wal_keep_size: '-1' })
  bare = await world({ wal_level: 'replica', max_slot_wal_keep_size: '-1', max_wal_senders: '3' })
  await db.sql(
    'create table theirs (id int primary key, v int)',
    'insert into theirs values (1, 1)',
    'create role app login replication',
    'create role plain login',
  )
  await bare.sql('create role plain login')
})

afterAll(async () => {
  await db?.end()
  await bare?.end()
})

function as(role: string, { url }: World): string {
  const address = new URL(url)
  address.username = role
  return address.href
}

function of(findings: readonly Finding[], code: string): readonly Finding[] {
  return findings.filter((finding) => finding.code === code)
}

test('a role that owns nothing and may only replicate gets every finding, and SQL for somebody who has the rights', async () => {
  const findings = await doctor(as('app', db))
  expect(of(findings, 'replication')).toMatchObject([{ severity: 'ok' }])
  expect(of(findings, 'wal-level')).toMatchObject([{ severity: 'ok' }])
  expect(doctorSql(of(findings, 'create'))).toMatch(/grant create on database \w+ to app;/)
  // Without the publication nothing can be followed.
  const errors = findings.filter(({ severity }) => severity === 'error')
  expect(errors).toMatchObject([
    { code: 'TIDEMARK_RIGHTS', fix: 'create publication "tidemark" for table only public.theirs;', isSql: true },
  ])
  expect(of(findings, 'select')).toMatchObject([
    { severity: 'warning', title: 'role app may read none of 1 table(s) and view(s)', isSql: true },
  ])
  // What an administrator runs: all of it, as one script; then the role follows, and reads.
  const script = doctorSql(findings.filter(({ code }) => code !== 'unseen' && code !== 'slot-wal'))
  const admin = await db.connect()
  await admin.query(script)
  const mended = await doctor(as('app', db))
  expect(doctorSql(mended.filter(({ code }) => code !== 'unseen' && code !== 'slot-wal'))).toBe('')
  expect(of(mended, 'select')).toMatchObject([{ severity: 'ok', title: expect.stringContaining('1 of 1') }])
  const log = await db.log({ url: as('app', db) })
  expect(log.log.followed('public.theirs')).toBeDefined()
  await log.log.close()
})

test('what the role is not shown is said, with the grant that shows it; and is not passed off as well', async () => {
  const writer = await db.connect()
  await writer.query('begin; update theirs set v = 2')
  const { rows } = await writer.query('select pg_backend_pid() as pid')
  const [unseen] = of(await doctor(as('app', db)), 'unseen')
  expect(unseen).toMatchObject({
    severity: 'advice',
    title: expect.stringMatching(new RegExp(`write transactions are open in process ${rows[0].pid} in test_`)),
    fix: 'grant pg_read_all_stats to app;',
  })
  await writer.query('rollback')
  expect(of(await doctor(as('app', db)), 'unseen')[0]!.title).not.toContain('process')
  await db.sql(unseen!.fix)
  expect(of(await doctor(as('app', db)), 'unseen')).toEqual([])
})

const LIMITS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
if (!isBefore(14)) LIMITS.push('idle_session_timeout')
if (!isBefore(17)) LIMITS.push('transaction_timeout')

test('a role whose statements may not take long is looked at all the same', async () => {
  // Between its first two questions the doctor may have to wait for the processor.
  for (const limit of LIMITS) await db.sql(`alter role app set ${limit} = '${limit.startsWith('idle') ? 500 : 20}ms'`)
  const findings = await doctor(as('app', db))
  for (const limit of LIMITS) await db.sql(`alter role app reset ${limit}`)
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
  expect(of(findings, 'activity')).toHaveLength(1)
})

test('time limits that bound only what may be bounded are no warning, and are named', async () => {
  expect(of(await doctor(as('app', db)), 'time-limits')).toMatchObject([
    { severity: 'ok', title: expect.stringContaining('it has none') },
  ])
  await db.sql("alter role app set statement_timeout = '15s'")
  expect(of(await doctor(as('app', db)), 'time-limits')).toMatchObject([
    { severity: 'ok', title: expect.stringContaining('statement_timeout 15 s') },
  ])
  await db.sql('alter role app reset statement_timeout')
})

test.for(LIMITS)(
  'a %s so short that it ends what is healthy is told with its cost, and the SQL mends it',
  async (limit) => {
    const found = async (url = as('app', db)) => of(await doctor(url), 'time-limits')
    const database = new URL(db.url).pathname.slice(1)
    const address = new URL(as('app', db))
    address.searchParams.set('options', `-c ${limit}=300`)
    expect(await found(address.href)).toMatchObject([
      { severity: 'warning', isSql: false, title: `${limit} is 300 ms, by the address` },
    ])
    for (const [set, whose] of [
      ['alter role app', 'for role app'],
      [`alter database ${database}`, `for database ${database}`],
      [`alter role app in database ${database}`, `for role app in database ${database}`],
    ] as const) {
      await db.sql(`${set} set ${limit} = '300ms'`)
      const [finding] = await found()
      expect(finding).toMatchObject({ severity: 'warning', title: `${limit} is 300 ms ${whose}`, isSql: true })
      // The role itself may run it.
      const client = new Client({ connectionString: as('app', db) })
      await client.connect()
      await client.query(finding!.fix)
      await client.end()
      expect(await found()).toMatchObject([{ severity: 'ok' }])
      await db.sql(`alter role app in database ${database} reset ${limit}`, `${set} reset ${limit}`)
    }
  },
)

test('what the server refuses to tell of is said, and leaves the other findings', async () => {
  await db.sql('revoke select on pg_catalog.pg_replication_slots from public')
  const findings = await doctor(as('app', db))
  await db.sql('grant select on pg_catalog.pg_replication_slots to public')
  expect(of(findings, 'not-looked-at').map(({ title }) => title)).toEqual([
    expect.stringContaining('its settings (42501)'),
    expect.stringContaining('its slots and transactions (42501)'),
    expect.stringContaining('its followers (42501)'),
  ])
  expect(of(findings, 'replication')).toMatchObject([{ severity: 'ok' }])
})

test('that a role may replicate is told by the attempt, not by the attribute', async () => {
  const options = { url: as('plain', db), applicationName: 'test', connectTimeoutMs: 5_000 }
  const sql = new SqlConnection(() => connectSql(options, {}, undefined), 5_000)
  expect(of(await checkRights(sql, undefined, true), 'replication')).toMatchObject([{ severity: 'ok' }])
  expect(of(await checkRights(sql, undefined, undefined), 'TIDEMARK_RIGHTS')).toMatchObject([{ severity: 'error' }])
  await sql.close()
  expect(of(await doctor(as('plain', db)), 'TIDEMARK_RIGHTS')).toMatchObject([
    { severity: 'error', fix: 'alter role plain replication;', isSql: true },
  ])
})

test.for([
  { role: 'rdsadmin', walLevel: 'rds.logical_replication = 1', setting: 'parameter group' },
  { role: 'cloudsqladmin', walLevel: 'cloudsql.logical_decoding = on', setting: 'flags' },
  { role: 'azure_pg_admin', walLevel: 'wal_level = logical', setting: 'server parameters' },
  { role: 'supabase_admin', walLevel: 'wal_level = logical', setting: 'CLI' },
  { role: 'neon_superuser', walLevel: 'enable logical replication', setting: 'support' },
])(
  'a service that has the role $role is told its own way, as ALTER SYSTEM is refused there',
  async ({ role, walLevel, setting }) => {
    await bare.sql(`create role ${role}`)
    const findings = await doctor(bare.url)
    await bare.sql(`drop role ${role}`)
    expect(of(findings, 'TIDEMARK_WAL_LEVEL')).toMatchObject([
      { severity: 'error', isSql: false, fix: expect.stringContaining(walLevel) },
    ])
    expect(of(findings, 'slot-wal')).toMatchObject([
      { isSql: false, fix: expect.stringMatching(new RegExp(`${setting}.*max_slot_wal_keep_size = 10GB`)) },
    ])
    expect(doctorSql(findings)).not.toContain('alter system')
  },
)

test('on Amazon RDS, which its setting tells too, a role may replicate by membership', async () => {
  await db.sql(
    `do $$ begin execute format('alter database %I set rds.logical_replication = off', current_database()); end $$`,
  )
  const findings = await doctor(as('plain', db))
  await db.sql(
    `do $$ begin execute format('alter database %I reset rds.logical_replication', current_database()); end $$`,
  )
  expect(of(findings, 'TIDEMARK_RIGHTS')).toMatchObject([{ fix: 'grant "rds_replication" to plain;' }])
})

test('the shared slot is told apart from others: missing, held by nobody, held, or of another program', async () => {
  const shared = async () => (await doctor(db.url, { slot: 'shared' })).filter(({ code }) => /slot$/i.test(code))
  expect(await shared()).toMatchObject([
    { code: 'shared-slot', severity: 'ok', title: expect.stringContaining('first start') },
  ])
  const log = await db.log({ slot: 'shared' })
  expect(await shared()).toMatchObject([
    { severity: 'ok', title: expect.stringMatching(/holds \d+ MB of WAL, read by process \d+/) },
  ])
  await log.log.close()
  const [idle] = await shared()
  expect(idle).toMatchObject({ severity: 'warning', title: expect.stringContaining('held by no process') })
  expect(of(await doctor(db.url, { slot: 'shared' }), 'slot-idle')).toEqual([])
  await db.sql(idle!.fix, "select pg_create_logical_replication_slot('shared', 'test_decoding')")
  expect(await shared()).toMatchObject([{ code: 'TIDEMARK_SLOT', severity: 'error' }])
  await db.sql("select pg_drop_replication_slot('shared')")
})
