import * as fs from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startBlog } from './blog-process.js'

let dataDir: string
let database: TestDatabase | undefined

beforeEach(() => {
  dataDir = join(fs.mkdtempSync(join(tmpdir(), 'tidemark-start-')), 'data')
})

afterEach(async () => {
  await database?.drop()
  database = undefined
  fs.rmSync(join(dataDir, '..'), { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
})

async function query(text: string) {
  const client = new pg.Client({ connectionString: database!.url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test('with DATABASE_URL the blog lives there, and no PostgreSQL of its own is started', async () => {
  database = await testDatabase()
  const blog = await startBlog({ dataDir, env: { DATABASE_URL: database.url } })
  try {
    expect(blog.psql).toMatch(/^psql "\$DATABASE_URL" -c "update posts set title = .* where id = 1"$/)
    expect(blog.printed.out).not.toContain(database.url)
    const front = (await (await fetch(`${blog.url}/api/resources/front`)).json()) as unknown[]
    expect(front).toHaveLength(30)
    expect(await query('select count(*)::int as posts from posts')).toEqual([{ posts: 45 }])
    expect(fs.existsSync(dataDir)).toBe(false)
  } finally {
    expect(await blog.stop()).toBe(0)
  }
})

test("a database with somebody else's tables is refused and left as it is", async () => {
  database = await testDatabase()
  await query('create table comments (theirs int)')
  await expect(startBlog({ dataDir, env: { DATABASE_URL: database.url } })).rejects.toThrow(
    /ended with 1:\s+This database already has tables/,
  )
  expect(await query(`select relname from pg_class where relnamespace = 'public'::regnamespace`)).toEqual([
    { relname: 'comments' },
  ])
})

test('a database that is not there, a port that is taken, and a port that is none are said in a line', async () => {
  database = await testDatabase()
  const nowhere = 'postgresql://somebody:verysecret@127.0.0.1:1/none'
  const refused = await startBlog({ dataDir, env: { DATABASE_URL: nowhere } }).catch(String)
  expect(refused).toMatch(/ended with 1:\s+.*ECONNREFUSED/)
  expect(refused).not.toMatch(/verysecret|\n {4}at .*start\.js/)

  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const env = { DATABASE_URL: database.url }
  await expect(startBlog({ dataDir, port, env })).rejects.toThrow(/ended with 1:\s+TIDEMARK_PORT_TAKEN: Port \d+/)
  server.close()
  await expect(startBlog({ dataDir, port: 70_000, env })).rejects.toThrow(/ended with 1:\s+TIDEMARK_\w+: .*port/i)
})
