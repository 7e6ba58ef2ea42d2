import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './run.js'

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database?.drop())

const tokens = (...args: string[]) => run(['tokens', ...args, '--url', database.url])

/** All that the database has of tokens, as text. */
async function stored(): Promise<string> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    // As a text that shows what is readable in it, whatever bytes it has.
    const { rows } = await client.query("select t::text as text, encode(hash, 'escape') as hash from tidemark.tokens t")
    return JSON.stringify(rows)
  } finally {
    await client.end()
  }
}

test('a token is shown once, kept as a hash, listed without it, and revoked', async () => {
  expect((await tokens('list', '--json')).out).toBe('[]\n')
  expect((await tokens('revoke', '0123456789abcdef')).exitCode).toBe(1)

  const made = await tokens('create', '--name', 'ci', '--role', 'viewer', '--tenant', 'a', 'b', '--json')
  expect(made.exitCode, made.err).toBe(0)
  const created = JSON.parse(made.out)
  expect(created.token).toMatch(/^tdm_[0-9a-f]{16}_[\w-]{43}$/)
  expect(created).toMatchObject({ name: 'ci', roles: ['viewer'], tenants: ['a', 'b'] })
  const days = (Date.parse(created.expiresAt) - Date.parse(created.createdAt)) / 86_400_000
  expect(days).toBeCloseTo(90, 3)

  const secret = created.token.slice(-43)
  expect(await stored()).not.toContain(secret)
  const listed = await tokens('list', '--json')
  expect(listed.out).not.toContain(secret)
  expect(JSON.parse(listed.out)).toMatchObject([{ id: created.id, name: 'ci' }])

  expect((await tokens('revoke', created.id)).out).toMatch(/^Revoked/)
  expect((await tokens('revoke', created.id)).exitCode).toBe(0)
  expect((await tokens('list')).out).toMatch(new RegExp(`${created.id} \\| ci .*a, b .*20\\d\\d-.*20\\d\\d-`))
})

test('a token alone is on the standard output, so that a script can take it', async () => {
  const made = await tokens('create', '--name', 'x', '--role', 'admin', '--all-tenants', '--expires', 'never')
  expect(made.out).toMatch(/^tdm_\S+\n$/)
  expect(made.err).toMatch(/only time/)
})

test('what makes no token is said, and makes none', async () => {
  const before = JSON.parse((await tokens('list', '--json')).out).length
  const refused = [
    [['--role', 'viewer'], 2],
    [['--role', 'viewer', '--tenant', 'a', '--all-tenants'], 2],
    [['--role', 'king', '--all-tenants'], 1],
    [['--role', 'viewer', '--tenant', ''], 1],
    [['--role', 'viewer', '--all-tenants', '--expires', 'soon'], 2],
    [['--role', 'viewer', '--all-tenants', '--expires', '0s'], 1],
    [['--role', 'viewer', '--all-tenants', '--name', 'two\nlines'], 1],
  ] as const
  for (const [args, exitCode] of refused) {
    const ran = await tokens('create', '--name', 'x', ...args)
    expect(ran.exitCode, args.join(' ')).toBe(exitCode)
    expect(ran.out).toBe('')
  }
  expect(JSON.parse((await tokens('list', '--json')).out)).toHaveLength(before)
})

test('many who make the first one at the same time make one table', async () => {
  const fresh = await testDatabase()
  try {
    const made = await Promise.all(
      Array.from({ length: 5 }, () =>
        run(['tokens', 'create', '--name', 'x', '--role', 'viewer', '--all-tenants', '--url', fresh.url]),
      ),
    )
    expect(made.map(({ exitCode, err }) => [exitCode, err])).toEqual(
      made.map(() => [0, 'This is the only time that it is shown.\n']),
    )
  } finally {
    await fresh.drop()
  }
})

test('the database may be named by a file that no environment shows', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-cli-'))
  const file = join(folder, 'address')
  try {
    writeFileSync(file, `${database.url}\n`)
    const made = await run(['tokens', 'list', '--json'], { env: { DATABASE_URL_FILE: file } })
    expect(made.err).toBe('')
    expect(made.exitCode).toBe(0)
    // Not another database, that of the folder.
    writeFileSync(file, '\n')
    const empty = await run(['tokens', 'list'], { env: { DATABASE_URL_FILE: file } })
    expect(empty).toMatchObject({
      out: '',
      exitCode: 2,
      err: expect.stringContaining('DATABASE_URL_FILE names is empty'),
    })
    rmSync(file)
    const none = await run(['tokens', 'list'], { env: { DATABASE_URL_FILE: file } })
    expect(none.err).toContain('The file that DATABASE_URL_FILE names cannot be read')
    expect(none.exitCode).toBe(2)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
