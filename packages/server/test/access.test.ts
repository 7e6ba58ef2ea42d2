import { get } from 'node:http'
import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createToken, type NewToken, type Running, revokeToken, serve } from '../src/index.js'
import { EventStream } from './event-stream.js'
import { BOUND, CONFIG, SCHEMA, sql, temporaryFolder } from './serving.js'

let database: TestDatabase
let client: pg.Client
let folder: ReturnType<typeof temporaryFolder>
let running: Running | undefined
const streams: EventStream[] = []

beforeAll(async () => {
  folder = temporaryFolder()
  database = await testDatabase()
  await sql(database.url, SCHEMA)
  client = new pg.Client({ connectionString: database.url })
  client.on('error', () => {})
  await client.connect()
})

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close()
  await running?.close()
  running = undefined
})

afterAll(async () => {
  await client?.end()
  await database?.drop()
  folder?.remove()
})

async function start(access = 'tokens: true', server = 'port: 0', logLevel: 'silent' | 'debug' = 'silent') {
  const config = folder.write('tidemark.yaml', `${CONFIG}access: { ${access} }\nserver: { ${server} }\n`)
  running = await serve({ config, env: { DATABASE_URL: database.url }, signals: false, logLevel })
  return running
}

const tokenOf = (wanted: Partial<NewToken> = {}) =>
  createToken(client, { name: 'test', roles: ['viewer'], tenants: 'all', expiresInMs: 3_600_000, ...wanted })

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function ask(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(running!.url + path, { headers })
  const text = await response.text()
  const code = /"code":"(\w+)"/.exec(text)?.[1]
  return { status: response.status, code, text, headers: response.headers }
}

function open(path: string, headers: Record<string, string>): EventStream {
  const stream = new EventStream(running!.url + path, headers)
  streams.push(stream)
  return stream
}

describe('a server that asks for tokens', () => {
  it('lets nobody in without one, but to see whether it lives', async () => {
    await start()
    for (const path of [
      '/api/resources/post?id=1',
      '/api/resources/none',
      '/api/streams/post?id=1',
      '/api/activity',
      '/metrics',
      '/api/openapi.json',
      '/api/explain?sql=select+1',
    ]) {
      const answer = await ask(path)
      expect([answer.status, answer.code], path).toEqual([401, 'TIDEMARK_UNAUTHENTICATED'])
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="tidemark"')
    }
    for (const path of ['/health/live', '/health/ready', '/health'])
      expect(JSON.parse((await ask(path)).text), path).toMatchObject({ live: true, parts: [] })
  })

  it('lets in who has one, as far as it reaches', async () => {
    await start()
    const { token } = await tokenOf()
    expect((await ask('/api/resources/post?id=1', bearer(token))).text).toMatch(/"post 1"/)
    expect(JSON.parse((await ask('/health', bearer(token))).text).parts.length).toBeGreaterThan(2)
    expect((await ask('/metrics', bearer(token))).status).toBe(200)

    const { token: narrow } = await tokenOf({ tenants: ['default'] })
    expect((await ask('/api/resources/post?id=1', bearer(narrow))).status).toBe(200)
    expect((await ask('/metrics', bearer(narrow))).code).toBe('TIDEMARK_FORBIDDEN')
    const { token: foreign } = await tokenOf({ tenants: ['another'] })
    expect((await ask('/api/resources/post?id=1', bearer(foreign))).code).toBe('TIDEMARK_TENANT_UNKNOWN')
  })

  it('takes nothing else for one, and never says why', async () => {
    await start()
    const { token, id } = await tokenOf()
    const expired = await tokenOf({ expiresInMs: 1 })
    const revoked = await tokenOf()
    await revokeToken(client, revoked.id)
    await expect.poll(() => Date.now(), BOUND).toBeGreaterThan(expired.expiresAt!.getTime())
    const last = token.at(-1) === 'A' ? 'B' : 'A'
    const headers = [
      `Bearer ${token.slice(0, -1)}${last}`,
      `Bearer ${token}A`,
      `Bearer ${token.replace(id, '0123456789abcdef')}`,
      `Bearer ${expired.token}`,
      `Bearer ${revoked.token}`,
      `Bearer ${id}`,
      `Bearer ${token} ${token}`,
      `Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
      token,
      'Bearer',
      `Bearer ${'a'.repeat(9_000)}`,
      "Bearer tdm_' or true --",
    ]
    const answers = await Promise.all(
      headers.map((authorization) => ask('/api/resources/post?id=1', { authorization })),
    )
    const bodies = answers.map(({ text }) => text.replace(/"requestId":"[^"]*"/, ''))
    expect(answers.map(({ status }) => status)).toEqual(headers.map(() => 401))
    expect(new Set(bodies).size).toBe(1)
    // A token is read from its header alone: what stands in an address is logged by everybody.
    expect((await ask(`/api/resources/post?id=1&access_token=${token}`)).status).toBe(401)
  })

  it('takes a revoked token for none, and ends its streams', async () => {
    // A database that answers late on a busy machine ends no stream.
    await start('tokens: true, outage: 1m')
    const { token, id } = await tokenOf()
    const other = await tokenOf()
    const stream = open('/api/streams/post?id=1', bearer(token))
    const another = open('/api/streams/post?id=1', bearer(other.token))
    await expect.poll(() => stream.events.length + another.events.length, BOUND).toBe(2)
    await revokeToken(client, id)
    await expect.poll(async () => (await ask('/api/resources/post?id=1', bearer(token))).status, BOUND).toBe(401)
    await expect.poll(() => stream.isEnded, BOUND).toBe(true)
    expect(stream.last).toMatchObject({ event: 'problem' })
    expect(JSON.parse(stream.last!.data).code).toBe('TIDEMARK_UNAUTHENTICATED')
    expect(another.isEnded).toBe(false)
  })

  it('ends the streams of a token that expires', async () => {
    await start()
    const lasting = open('/api/streams/post?id=1', bearer((await tokenOf()).token))
    await expect.poll(() => lasting.events.length, BOUND).toBe(1)
    const { token } = await tokenOf({ expiresInMs: 4_000 })
    const stream = open('/api/streams/post?id=1', bearer(token))
    await expect.poll(() => stream.isEnded, BOUND).toBe(true)
    expect(stream.events.map(({ event }) => event)).toEqual([undefined, 'problem'])
  })

  it('follows no table of its own', async () => {
    await start()
    await tokenOf()
    await expect.poll(() => running!.cache.status().keeping, BOUND).toBe(true)
    await sql(database.url, 'create table later (id int primary key)')
    const published = () => sql(database.url, 'select schemaname, tablename from pg_publication_tables')
    await expect.poll(published, BOUND).toContainEqual({ schemaname: 'public', tablename: 'later' })
    expect((await published()).filter(({ schemaname }) => schemaname === 'tidemark')).toEqual([])
  })

  it('may be reached by others than this machine, by its address and the names that it is given', async () => {
    await start('tokens: true', 'port: 0, host: 0.0.0.0, hosts: [tidemark.internal, "named:81"]')
    const { token } = await tokenOf()
    const { port } = running!
    const asked = (host: string) =>
      new Promise<number>((resolve, reject) => {
        get(
          { host: '127.0.0.2', port, path: '/api/resources/post?id=1', headers: { host, ...bearer(token) } },
          (answer) => {
            answer.resume()
            resolve(answer.statusCode!)
          },
        ).on('error', reject)
      })
    for (const host of [
      `127.0.0.2:${port}`,
      `localhost:${port}`,
      'tidemark.internal',
      'TIDEMARK.internal:9',
      'named:81',
    ])
      expect(await asked(host), host).toBe(200)
    for (const host of [
      'attacker.example',
      `attacker.example:${port}`,
      'named',
      'named:82',
      `127.0.0.3:${port}`,
      '127.0.0.2:1',
    ])
      expect(await asked(host), host).toBe(421)
  })
})
