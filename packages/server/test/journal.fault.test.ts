import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { SCHEMA, type ServerProcess, sql, startProcess, temporaryFolder } from './serving.js'
import { smallDisk } from './small-disk.js'
import { until } from './until.js'

/*
 * Servers are killed between the log and the journal, and lose their rights in it. Whatever was answered must be in the journal once, in its
 * order, with who asked.
 */

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 3)
const CLIENTS = 4
const EACH = 8

let database: TestDatabase
let folder: ReturnType<typeof temporaryFolder>
let admin: pg.Client
const processes: ServerProcess[] = []
const disks: Awaited<ReturnType<typeof smallDisk>>[] = []

beforeAll(async () => {
  folder = temporaryFolder()
  database = await testDatabase({ settings: {} })
  await sql(database.url, `${SCHEMA} create role app login replication; alter table posts owner to app`)
  await sql(database.url, `create database kept owner app`)
  await sql(database.url, `grant create on database "${new URL(database.url).pathname.slice(1)}" to app`)
  admin = new pg.Client({ connectionString: database.url })
  await admin.connect()
})
afterAll(async () => {
  for (const each of processes) await kill(each)
  await admin?.end()
  await database?.drop()
  for (const disk of disks) await disk.close()
  folder?.remove()
})

function urlOf(name?: string, role = 'app'): string {
  const url = new URL(database.url)
  if (role !== '') url.username = role
  if (name !== undefined) url.pathname = `/${name}`
  return url.href
}

async function start(slot: string, journal = '', heads = `${folder.path}/${slot}`): Promise<ServerProcess> {
  const config = folder.write(
    `${slot}.yaml`,
    `source: { url: "${urlOf()}", slot: ${slot} }\njournal: { heads: "${heads}", ${journal} }\nresources: {}\n`,
  )
  const started = await startProcess({ config, port: 0, logLevel: 'silent' })
  processes.push(started)
  return started
}

async function kill({ process }: ServerProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return
  const gone = once(process, 'exit')
  process.kill('SIGKILL')
  await gone
}

const BODIES = [
  (id: string) => ['/api/invalidate', { keys: [id], request_id: id, cause: 'a test' }],
  (id: string) => ['/invalidate/key', { keys: [id], triggered_by: 'admin', request_id: id }],
  (id: string) => ['/api/invalidate/pattern', { pattern: `${id}:*`, request_id: id }],
] as const

/** Whether it was answered. */
async function invalidate({ said }: ServerProcess, id: string, which: number): Promise<boolean> {
  const [path, body] = BODIES[which % BODIES.length]!(id)
  const headers = { 'content-type': 'application/json' }
  try {
    return (await fetch(said.url + path, { method: 'POST', headers, body: JSON.stringify(body) })).ok
  } catch {
    return false
  }
}

/** Several clients, each of which asks for one thing after the other. @returns what was answered, in each client's order */
async function load(
  server: ServerProcess,
  name: string,
  onAnswered: (id: string) => void = () => {},
): Promise<string[][]> {
  const client = async (number: number) => {
    const answered: string[] = []
    for (let i = 0; i < EACH; i++) {
      const id = `${name} ${number}-${i}`
      if (!(await invalidate(server, id, i))) continue
      answered.push(id)
      onAnswered(id)
    }
    return answered
  }
  return Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)))
}

interface Found {
  readonly id: number
  readonly origin: string
  readonly request_id: string | null
  readonly triggered_by: string | null
}

async function recordsOf({ said }: ServerProcess): Promise<Found[]> {
  const text = await (await fetch(`${said.url}/api/journal?scope=all&format=ndjson`)).text()
  const lines = text.split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as Found).sort((a, b) => a.id - b.id)
}

async function journalPart({ said }: ServerProcess): Promise<{ state: string; reason: string; ready: boolean }> {
  const { parts } = (await (await fetch(`${said.url}/health`)).json()) as { parts: { name: string }[] }
  return parts.find(({ name }) => name === 'journal') as never
}

/** Everything that was answered is there once, in the order in which each client was answered, and nothing was changed. */
async function expectComplete(server: ServerProcess, answered: readonly (readonly string[])[]): Promise<void> {
  const asked = async () => (await recordsOf(server)).filter(({ origin }) => origin === 'request')
  await until(async () => {
    const known = new Set((await asked()).map(({ request_id }) => request_id))
    return answered.flat().every((id) => known.has(id))
  })
  const records = await asked()
  const ids = records.map(({ request_id }) => request_id!)
  expect(ids.length).toBe(new Set(ids).size)
  for (const ofClient of answered) {
    const own = new Set(ofClient)
    expect(ids.filter((id) => own.has(id))).toEqual(ofClient)
  }
  expect(records.filter(({ triggered_by }) => triggered_by !== 'admin' && triggered_by !== 'local')).toEqual([])
  expect((await recordsOf(server)).filter(({ origin }) => origin === 'gap')).toEqual([])
  const verified = await (await fetch(`${server.said.url}/api/journal/verify?scope=all`)).json()
  expect(verified).toMatchObject({ intact: true, signed: true, problems: [] })
}

test('servers are killed between the log and the journal: what was answered is in the journal once', {
  timeout: 300_000,
}, async () => {
  let running = await start('killed')
  await until(async () => (await journalPart(running)).state === 'writing')
  const answered: string[][] = []
  for (let round = 1; round <= ROUNDS; round++) {
    // The other one takes the slot over.
    const next = await start('killed')
    if (round % 2 === 1) {
      // All of it is in the log, and nothing in the journal.
      await admin.query('begin; select from tidemark_journal.state for update')
      answered.push(...(await load(running, `held ${round}`)))
      const written = await sql(
        database.url,
        `select request_id from tidemark_journal.invalidation_audit where request_id like 'held ${round} %'`,
      )
      expect(written).toEqual([])
      await kill(running)
      await admin.query('rollback')
    } else {
      let count = 0
      const killed: Promise<void>[] = []
      const loaded = await load(running, `cut ${round}`, () => {
        if (++count === (CLIENTS * EACH) / 2) killed.push(kill(running))
      })
      await Promise.all(killed)
      expect(loaded.flat().length).toBeLessThan(CLIENTS * EACH)
      answered.push(...loaded)
    }
    running = next
  }
  answered.push(...(await load(running, 'last')))
  expect(answered.flat().length).toBeGreaterThan((CLIENTS * EACH * ROUNDS) / 2)
  await expectComplete(running, answered)
  await kill(running)
})

test('while its rights or its database are taken away, records wait, health says so, and nothing is lost', {
  timeout: 300_000,
}, async () => {
  const own = (text: string) => sql(urlOf('kept', ''), text)
  const letIn = async (anybody: boolean) => {
    await sql(database.url, `alter database kept with allow_connections ${anybody}`)
    const theirs = "datname = 'kept' and usename = 'app'"
    await sql(database.url, `select pg_terminate_backend(pid) from pg_stat_activity where ${theirs}`)
  }
  let running = await start('waiting', `url: "${urlOf('kept')}"`)
  await until(async () => (await journalPart(running)).state === 'writing')
  const answered = await load(running, 'before')

  await own('revoke insert on tidemark_journal.invalidation_audit from app')
  answered.push(...(await load(running, 'refused')))
  expect(answered.flat().length).toBe(2 * CLIENTS * EACH)
  await until(async () => (await journalPart(running)).state === 'waiting')
  const told = await journalPart(running)
  expect(told.ready).toBe(true)
  expect(told.reason).toMatch(/grant select, insert on tidemark_journal\.invalidation_audit.* records wait/)
  // Who comes anew finds the same, and what the one before had not written.
  await kill(running)
  running = await start('waiting', `url: "${urlOf('kept')}"`)
  answered.push(...(await load(running, 'anew')))
  await until(async () => (await journalPart(running)).state === 'waiting')
  await own('grant insert on tidemark_journal.invalidation_audit to app')
  await expectComplete(running, answered)

  await letIn(false)
  answered.push(...(await load(running, 'shut out')))
  expect(answered.flat().length).toBe(4 * CLIENTS * EACH)
  await until(async () => (await journalPart(running)).state === 'waiting')
  expect((await journalPart(running)).reason).toMatch(/records wait/)
  await letIn(true)
  await expectComplete(running, answered)
  expect(await journalPart(running)).toMatchObject({ state: 'writing', reason: '' })
})

test.skipIf(lacks('mount'))(
  'while the disk of its tables, or of its signed heads, is full, records wait, health says so, and nothing is lost (needs mount)',
  { timeout: 300_000 },
  async () => {
    const disk = async (size: string, owner: { uid: number; gid: number }) => {
      const made = await smallDisk(size, owner)
      disks.push(made)
      return made
    }
    const tables = await disk('24m', statSync(join(database.server.dataDir, 'postgres')))
    const heads = await disk('64k', { uid: process.getuid!(), gid: process.getgid!() })
    await sql(database.url, `create tablespace small location '${tables.path}'`)
    await sql(database.url, 'create database crowded owner app tablespace small')
    const running = await start('crowded', `url: "${urlOf('crowded')}"`, heads.path)
    await until(async () => (await journalPart(running)).state === 'writing')
    const answered = await load(running, 'before')
    await expectComplete(running, answered)

    let rounds = 1
    for (const [which, said] of [
      [tables, /waits, at last in the log. The disk of its database is full \(53100\)/],
      [heads, /waits, at last in the log. The disk of .*journal.heads.* is full/],
    ] as const) {
      which.fill()
      // Until nothing more goes into what had been made larger before.
      await until(async () => {
        answered.push(...(await load(running, `full ${rounds++}`)))
        return (await journalPart(running)).state === 'waiting'
      })
      answered.push(...(await load(running, `full ${rounds++}`)))
      expect(answered.flat().length).toBe(rounds * CLIENTS * EACH)
      expect(await journalPart(running)).toMatchObject({ ready: true, reason: expect.stringMatching(said) })
      which.makeRoom()
      await expectComplete(running, answered)
      expect(await journalPart(running)).toMatchObject({ state: 'writing', reason: '' })
    }
  },
)
