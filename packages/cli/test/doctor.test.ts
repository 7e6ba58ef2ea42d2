import * as fs from 'node:fs'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { run } from './run.js'

const databases: TestDatabase[] = []

afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop()
})

async function start(settings?: Record<string, string>): Promise<TestDatabase> {
  const database = await testDatabase(settings === undefined ? {} : { settings })
  databases.push(database)
  return database
}

/** Runs `npx tidemark doctor …`. */
const doctor = (...args: string[]) => run(['doctor', ...args])

test('a database that can be followed is said to be, and the exit code is 0', async () => {
  const { url } = await start()
  const ran = await doctor('--url', url)
  expect(ran).toMatchObject({ exitCode: 0, err: '' })
  expect(ran.out).toMatch(/^ok follow: /m)
  expect(ran.out).toMatch(/This database can be followed\.\n$/)
  // The event triggers are a long script.
  expect(ran.out).toMatch(/^ {2}\(SQL of \d+ lines: tidemark doctor --sql prints it\)$/m)
  expect((await doctor('--url', url, '--sql')).out).toContain('create event trigger')
})

test('the private PostgreSQL of a data folder is found', async () => {
  const { server } = await start({})
  expect(fs.existsSync(server.dataDir)).toBe(true)
  expect(await doctor('--data', server.dataDir)).toMatchObject({ exitCode: 0, err: '' })
})

test('what keeps it from being followed comes first, with its cost and its cure, and the exit code is 1', async () => {
  const { url } = await start({ wal_level: 'replica' })
  const ran = await doctor('--url', url)
  expect(ran.exitCode).toBe(1)
  expect(ran.out).toMatch(/^ERROR TIDEMARK_WAL_LEVEL: /)
  expect(ran.out).toContain('This database cannot be followed as it is.')

  const script = await doctor('--url', url, '--sql')
  expect(script.exitCode).toBe(1)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (const finding of script.out.split(/^(?=-- \w+, )/m)) {
    // alter system can't run in the implicit transaction of several statements.
    for (const part of finding.includes('alter system') ? finding.split(/;\s*$/m) : [finding]) await client.query(part)
  }
  const { rows } = await client.query(
    "select setting from pg_file_settings where name = 'wal_level' and sourcefile like '%postgresql.auto.conf'",
  )
  await client.end()
  expect(rows).toEqual([{ setting: 'logical' }])
})

test('what keeps a role from following comes before what it only costs', async () => {
  const { url } = await start()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('create role only_replicates login replication; create table theirs (id int primary key)')
  const address = new URL(url)
  address.username = 'only_replicates'
  const ran = await doctor('--url', address.href)
  await client.query('drop role only_replicates')
  await client.end()
  expect(ran.exitCode).toBe(1)
  expect(ran.out).toMatch(/^ERROR TIDEMARK_RIGHTS: the publication "tidemark" does not exist/)
  expect([...ran.out.matchAll(/^(ERROR|WARNING|ADVICE)/gm)].map(([word]) => word)).toEqual([
    'ERROR',
    'WARNING',
    'WARNING',
    'ADVICE',
    'ADVICE',
  ])
})

test('as JSON, each finding has its severity, code, cost and cure', async () => {
  const { url } = await start()
  const ran = await doctor('--url', url, '--json')
  const findings = JSON.parse(ran.out) as Record<string, unknown>[]
  expect(findings.length).toBeGreaterThan(0)
  for (const finding of findings) {
    expect(Object.keys(finding).sort()).toEqual(['code', 'cost', 'fix', 'isSql', 'severity', 'title'])
  }
})

test('a database that is not there is a finding, without the password of its address', async () => {
  const ran = await doctor('--url', 'postgresql://somebody:verysecret@127.0.0.1:1/none')
  expect(ran.exitCode).toBe(1)
  expect(ran.out).toContain('TIDEMARK_SOURCE_DOWN')
  expect(ran.out + ran.err).not.toContain('verysecret')
})
