import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { parseConfig, type Running, serve } from '@tidemark/server'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './run.js'
import { until } from './until.js'

const BOUND = { timeout: 60_000 }

let folder: string
let file: string
let one: { readonly database: TestDatabase; readonly server: Running }
let other: { readonly database: TestDatabase; readonly server: Running }
const closers: (() => unknown)[] = []

/** A server with tokens, config trees (one tenant has tables of its own) and a journal, on a database of its own. */
async function start(name: string, tenant: string) {
  const database = await testDatabase({ settings: {} })
  closers.push(() => database.drop())
  const config = parseConfig(
    `source: { url: "${database.url}", slot: tidemark_shared }\njournal: { enabled: true }\ntrees: { enabled: true, ownTables: [${tenant}] }\nresources: {}\n`,
    'tidemark.yaml',
    {},
  )
  const server = await serve({
    config,
    port: 0,
    env: {},
    dataDir: join(folder, name),
    signals: false,
    logLevel: 'silent',
  })
  closers.push(() => server.close())
  await until(async () => (await records(server, '?scope=source&origin=start')).length === 1)
  return { database, server }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-backup-'))
  file = join(folder, 'a.backup')
  one = await start('one', 'shared')
  other = await start('other', 'acme')
}, 120_000)
afterAll(async () => {
  while (closers.length > 0) await closers.pop()!()
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
})

async function ask(server: Running, path: string, init: RequestInit & { json?: unknown } = {}) {
  const { json, ...rest } = init
  const body = json === undefined ? {} : { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }
  const response = await fetch(`${server.url}${path}`, { ...body, ...rest })
  const text = await response.text()
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`)
  return text
}

async function records(server: Running, query: string): Promise<{ request_id: string; hash: string }[]> {
  return JSON.parse(await ask(server, `/api/journal${query}`)).records
}

async function tokensOf({ url }: TestDatabase): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('select * from tidemark.tokens order by id')
  await client.end()
  return JSON.stringify(rows)
}

const CONFIG = '{"z":{"änd/er~":[1,null,12345678901234567890.123]},"":{"\\u2028":"\\\\n\\n"}}'

test(
  'what a server keeps goes into a file while it runs, and into another server that runs, as it was',
  BOUND,
  async () => {
    await ask(one.server, '/api/trees/acme/shop', {
      method: 'PUT',
      body: CONFIG,
      headers: { 'content-type': 'application/json' },
    })
    await ask(one.server, '/api/trees/shared/base', { method: 'PUT', json: { a: 1 } })
    await ask(one.server, '/api/trees/shared/base/a', { method: 'PUT', json: 2 })
    const made = await run([
      'tokens',
      'create',
      '--name',
      'ci',
      '--role',
      'viewer',
      '--tenant',
      'a',
      '--url',
      one.database.url,
    ])
    for (const n of [1, 2, 3])
      await ask(one.server, '/api/invalidate', {
        method: 'POST',
        json: { keys: ['=k', `b:${n}`], request_id: `r-${n}`, cause: 'ü' },
      })
    await until(async () => (await records(one.server, '?request_id=r-3')).length === 1)

    const backed = await run(['backup', file, '--url', one.database.url])
    expect(backed).toMatchObject({ exitCode: 0, err: '' })
    expect(backed.out).toMatch(/^Backed up, as of \d+\/[0-9A-F]+\/[0-9A-F]+:\n/)
    expect(backed.out).toMatch(/ 1 {2}tidemark\.tokens\n/)

    const refused = await run(['restore', file, '--url', other.database.url])
    expect(refused).toMatchObject({
      exitCode: 1,
      err: expect.stringMatching(/TIDEMARK_BACKUP: The database has its own journal already/),
    })
    expect(await records(other.server, '?request_id=r-3')).toEqual([])

    // A config that is read there before is another one afterwards: its cache follows.
    await ask(other.server, '/api/trees/acme/shop', { method: 'PUT', json: { old: true } })
    await ask(other.server, '/api/trees/acme/shop')
    const restored = await run(['restore', file, '--replace', '--url', other.database.url, '--json'])
    expect(restored, restored.err).toMatchObject({ exitCode: 0 })
    expect(JSON.parse(restored.out)).toMatchObject({ tables: { 'tidemark.tokens': 1 } })
    await until(
      async () => (await ask(other.server, '/api/trees/acme/shop')) === (await ask(one.server, '/api/trees/acme/shop')),
    )
    expect(await ask(other.server, '/api/trees/shared/base')).toBe('{"a":2}')
    expect(await tokensOf(other.database)).toBe(await tokensOf(one.database))
    expect(made.out).toMatch(/^tdm_/)
    const moved = await records(other.server, '?request_id=r-2')
    expect(moved[0]!.hash).toBe((await records(one.server, '?request_id=r-2'))[0]!.hash)

    // The journal goes on where it was, and its chains hold.
    await ask(other.server, '/api/invalidate', { method: 'POST', json: { keys: ['b:4'], request_id: 'r-4' } })
    await until(async () => (await records(other.server, '?request_id=r-4')).length === 1)
    const verified = await run(['journal', 'verify', '--server', other.server.url, '--json'])
    expect(JSON.parse(verified.out)).toMatchObject({ intact: true, problems: [] })
  },
)

test('a backup that cannot be written says so, and leaves nothing', BOUND, async () => {
  const path = join(folder, 'nowhere', 'b')
  expect(await run(['backup', path, '--url', other.database.url])).toMatchObject({
    exitCode: 1,
    out: '',
    err: expect.stringMatching(/^tidemark: TIDEMARK_BACKUP: .*nowhere.b cannot be written \(ENOENT\)/),
  })
})

test('a file that was cut, changed, or is of a later version is refused before anything changes', BOUND, async () => {
  const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split('\n')
  const [head, ...rest] = lines as [string, ...string[]]
  const header = JSON.parse(head)
  const changed = (edit: (header: { formatVersion: number; parts: { version: number }[] }) => void) => {
    const copy = JSON.parse(head)
    edit(copy)
    return [JSON.stringify(copy), ...rest]
  }
  const hostile: Record<string, Buffer | readonly string[]> = {
    cut: readFileSync(file).subarray(0, -20),
    'without an end': lines.slice(0, -1),
    'a row less': [head, ...rest.slice(1)],
    'a row changed': lines.map((line) =>
      line.replace('"b:2"', '"b:9"').replace('b:2,', 'b:9,').replace('b:2}', 'b:9}'),
    ),
    'no JSON': [head, 'x', ...rest],
    'a row too short': [head, '[0,0,["a"]]', ...rest],
    'a table that is not': [head, '[7,0,[]]', ...rest],
    'more behind its end': [...lines, '[0,0,[]]'],
    empty: Buffer.alloc(0),
    'no gzip': Buffer.from('hello'),
    'another format': ['{"format":"x"}'],
    'a later form': changed((copy) => (copy.formatVersion += 1)),
    'a later part': changed((copy) => (copy.parts[0]!.version += 1)),
  }
  const before = await tokensOf(other.database)
  for (const [name, content] of Object.entries(hostile)) {
    const path = join(folder, 'hostile')
    writeFileSync(path, Buffer.isBuffer(content) ? content : gzipSync(`${content.join('\n')}\n`))
    const ran = await run(['restore', path, '--replace', '--url', other.database.url])
    expect(ran, name).toMatchObject({ exitCode: 1, out: '', err: expect.stringContaining('TIDEMARK_BACKUP') })
  }
  expect(header.parts.map(({ name }: { name: string }) => name)).toEqual(['tokens', 'trees', 'journal'])
  expect(await tokensOf(other.database)).toBe(before)
  expect((await records(other.server, '?request_id=r-4')).length).toBe(1)
  expect((await run(['restore', file, '--dry-run'])).out).toMatch(/^It can be read/)
  expect((await run(['restore', join(folder, 'none'), '--dry-run'])).exitCode).toBe(1)
})

test('a journal that was changed in the file is found by its chains, and nothing is restored', BOUND, async () => {
  const { createHash } = await import('node:crypto')
  const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split('\n').slice(0, -1)
  const forged = lines.map((line) => line.replaceAll('b:2', 'b:9'))
  const sha256 = createHash('sha256')
    .update(`${forged.join('\n')}\n`)
    .digest('hex')
  const path = join(folder, 'forged')
  writeFileSync(
    path,
    gzipSync(`${forged.join('\n')}\n${JSON.stringify({ end: true, rows: forged.length - 1, sha256 })}\n`),
  )
  const ran = await run(['restore', path, '--replace', '--url', other.database.url])
  expect(ran).toMatchObject({
    exitCode: 1,
    err: expect.stringMatching(/TIDEMARK_JOURNAL: The journal in the backup is not intact/),
  })
  expect((await records(other.server, '?request_id=r-4')).length).toBe(1)
})

test('a role that does not see all tenants makes no backup that lacks some', BOUND, async () => {
  const client = new pg.Client({ connectionString: one.database.url })
  await client.connect()
  await client.query(`create role backup_reader login password 'x-reader-1'; grant usage on schema tidemark, tidemark_trees, tidemark_journal to backup_reader;
    grant select on all tables in schema tidemark, tidemark_trees, tidemark_journal to backup_reader`)
  try {
    const url = new URL(one.database.url)
    url.username = 'backup_reader'
    url.password = 'x-reader-1'
    const path = join(folder, 'partial')
    const ran = await run(['backup', path, '--url', url.href])
    expect(ran).toMatchObject({ exitCode: 1, err: expect.stringMatching(/TIDEMARK_BACKUP: The role does not see all/) })
    expect(() => readFileSync(path)).toThrow()
  } finally {
    await client.query('drop owned by backup_reader; drop role backup_reader')
    await client.end()
  }
})

test('what was revoked since the backup stays revoked', BOUND, async () => {
  const database = await testDatabase()
  closers.push(() => database.drop())
  const at = ['--url', database.url]
  const path = join(folder, 'tokens.backup')
  const create = async (name: string) =>
    JSON.parse(
      (await run(['tokens', 'create', '--name', name, '--role', 'viewer', '--all-tenants', '--json', ...at])).out,
    )
  const [lost, kept] = [await create('lost'), await create('kept')]
  expect((await run(['backup', path, ...at])).exitCode).toBe(0)
  await run(['tokens', 'revoke', lost.id, ...at])
  const restored = await run(['restore', path, '--replace', ...at])
  expect(restored.exitCode, restored.err).toBe(0)
  const listed: { id: string; revokedAt?: string }[] = JSON.parse((await run(['tokens', 'list', '--json', ...at])).out)
  expect(listed.filter(({ revokedAt }) => revokedAt === undefined).map(({ id }) => id)).toEqual([kept.id])
})
