import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createToken } from '../src/index.js'
import { SCHEMA, sql, startProcess, temporaryFolder } from './serving.js'

const CONFIG = `access: { tokens: true }
resources:
  post: { params: { id: bigint }, sql: select * from posts where id = :id, one: true }
  broken: { params: { title: text }, sql: "select pg_read_file(:title) as text" }
`
const VALUE = 'hunter2-value'

let database: TestDatabase
let folder: ReturnType<typeof temporaryFolder>

beforeAll(async () => {
  folder = temporaryFolder()
  database = await testDatabase()
  await sql(database.url, SCHEMA)
})

afterAll(async () => {
  await database?.drop()
  folder?.remove()
})

it('no token, password or value is in the log, the metrics or an error, at the most talkative level', async () => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const { token } = await createToken(client, { name: 'x', roles: ['admin'], tenants: 'all', expiresInMs: 60_000 })
  await client.end()
  const options = { config: folder.write('tidemark.yaml', CONFIG), port: 0, logLevel: 'debug' }
  const { process, said, ended } = await startProcess(options, { DATABASE_URL: database.url })
  let printed = ''
  process.stdout!.on('data', (text: Buffer) => {
    printed += text
  })
  const headers = { authorization: `Bearer ${token}` }
  const answers: string[] = []
  for (const [path, init] of [
    [`/api/resources/broken?title=${VALUE}`, { headers }],
    [`/api/resources/post?id=${VALUE}`, { headers }],
    [`/api/resources/post?id=1&access_token=${token}`, {}],
    [`/api/resources/post?id=1`, { headers: { authorization: `Bearer ${token}x` } }],
    [`/api/explain?sql=select '${VALUE}'::int`, { headers }],
    [
      '/api/invalidate',
      { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: `{"keys":["${VALUE}"` },
    ],
    ['/metrics', { headers }],
  ] as const) {
    const response = await fetch(said.url + path, init)
    answers.push(`${response.status} ${await response.text()}`)
  }
  process.kill('SIGTERM')
  await ended
  expect(answers[0]).toMatch(/^500 .*TIDEMARK_QUERY/)
  expect(printed).toMatch(/TIDEMARK_QUERY/)
  expect(printed).toMatch(/"route":"\/api\/resources\/post"/)
  // Who asks to have their SQL explained is shown where in it the error lies.
  const others = answers.filter((answer) => !answer.includes('TIDEMARK_REQUESTED_SQL'))
  expect(others).toHaveLength(answers.length - 1)
  const told = [printed, ...others].join('\n').split('\n')
  for (const secret of [token, token.slice(-43), VALUE, new URL(database.url).password].filter(Boolean))
    expect(told.filter((line) => line.includes(secret)).length, secret === VALUE ? 'values' : 'secrets').toBe(0)
})
