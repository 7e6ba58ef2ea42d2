import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig, type Running, serve } from '../src/index.js'
import { EventStream } from './event-stream.js'
import { startIssuer } from './issuer.js'
import { BOUND, CONFIG, SCHEMA, sql, temporaryFolder } from './serving.js'
import { SocketClient } from './socket-client.js'
import { until } from './until.js'

/* `/api/tokens`, with the first admins out of an issuer's JWT. */

let database: TestDatabase
let issuer: Awaited<ReturnType<typeof startIssuer>>
let server: Running
let folder: ReturnType<typeof temporaryFolder>

beforeAll(async () => {
  database = await testDatabase({ settings: {} })
  await sql(database.url, SCHEMA)
  issuer = await startIssuer()
  folder = temporaryFolder()
  const access = issuer.config
    .replace('access: {', 'access: { tokens: true,')
    .replace('access:\n', 'access:\n  tokens: true\n')
  const config = parseConfig(`source: { url: "${database.url}" }\n${access}${CONFIG}`, 'tidemark.yaml', {})
  expect(config.access.tokens).toBe(true)
  server = await serve({ config, port: 0, env: {}, dataDir: folder.path, signals: false, logLevel: 'silent' })
})
afterAll(async () => {
  await server?.close()
  await database?.drop()
  issuer?.close()
  folder?.remove()
})

async function admin(...tenants: string[]): Promise<string> {
  return issuer.sign({ roles: ['admin'], tenants })
}

async function ask(token: string, method: string, path: string, body?: unknown) {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, text, body: JSON.parse(text) }
}

describe('an admin of all tenants', () => {
  it('makes a token that counts at once, lists it without it, and revokes it', BOUND, async () => {
    const all = await admin('*')
    const made = await ask(all, 'POST', '/api/tokens', {
      name: 'ci',
      roles: ['admin'],
      tenants: 'all',
      expires: 'never',
    })
    expect(made).toMatchObject({
      status: 201,
      body: { name: 'ci', roles: ['admin'], tenants: 'all', expires_at: null },
    })
    const { token, id } = made.body
    expect(token).toMatch(/^tdm_/)
    const listed = await ask(token, 'GET', '/api/tokens')
    expect(listed.body.tokens).toMatchObject([{ id, name: 'ci', revoked_at: null }])
    expect(listed.text).not.toContain(token.slice(-43))

    const stream = new EventStream(`${server.url}/api/streams/post?id=1`, { authorization: `Bearer ${token}` })
    await until(() => stream.events.length === 1)
    const socket = await new SocketClient(server.url, { auth: { token } }).connected()
    const revoked = await ask(all, 'DELETE', `/api/tokens/${id}`)
    expect(revoked).toMatchObject({ status: 200, body: { id, revoked_at: expect.any(String) } })
    // Within 5 s, streams too; slow machines get more, to end at all.
    await until(() => stream.isEnded && socket.isEnded)
    expect(stream.last).toMatchObject({ event: 'problem' })
    expect(socket.told).toMatchObject([{ event: 'problem', problem: { code: 'TIDEMARK_UNAUTHENTICATED' } }])
    stream.close()
    expect((await ask(token, 'GET', '/api/tokens')).status).toBe(401)
    expect((await ask(all, 'DELETE', '/api/tokens/0000000000000000')).body.code).toBe('TIDEMARK_TOKEN_UNKNOWN')
  })
})

describe('an admin of one tenant', () => {
  it('decides about tokens of that tenant only, and does not see that there are others', BOUND, async () => {
    const [all, mine] = [await admin('*'), await admin('mine')]
    const theirs = (
      await ask(all, 'POST', '/api/tokens', { name: 'theirs', roles: ['viewer'], tenants: ['mine', 'theirs'] })
    ).body
    const own = await ask(mine, 'POST', '/api/tokens?tenant=mine', { name: 'own', roles: ['editor'] })
    expect(own).toMatchObject({ status: 201, body: { tenants: ['mine'] } })
    expect(
      (await ask(mine, 'GET', '/api/tokens?tenant=mine')).body.tokens.map(({ name }: { name: string }) => name),
    ).toEqual(['own'])

    for (const [tenants, code] of [
      ['all', 'TIDEMARK_FORBIDDEN'],
      [['mine', 'theirs'], 'TIDEMARK_TENANT_UNKNOWN'],
    ] as const)
      expect(
        (await ask(mine, 'POST', '/api/tokens?tenant=mine', { name: 'x', roles: ['viewer'], tenants })).body.code,
      ).toBe(code)
    const foreign = await ask(mine, 'DELETE', `/api/tokens/${theirs.id}?tenant=mine`)
    const none = await ask(mine, 'DELETE', '/api/tokens/0000000000000000?tenant=mine')
    const alike = ({ status, body: { requestId: _, ...body } }: typeof none) => ({ status, body })
    expect(alike(foreign)).toEqual(alike(none))
    expect((await ask(mine, 'DELETE', `/api/tokens/${own.body.id}?tenant=mine`)).status).toBe(200)
    // A token's own role does not reach.
    expect((await ask(own.body.token, 'GET', '/api/tokens?tenant=mine')).status).not.toBe(200)
  })
})

it('the example of the OpenAPI document is answered', BOUND, async () => {
  const all = await admin('*')
  const { paths } = (await ask(all, 'GET', '/api/openapi.json')).body
  const { example, examples = {} } = paths['/api/tokens'].post.requestBody.content['application/json']
  const bodies =
    example === undefined ? Object.values(examples).map((each) => (each as { value: unknown }).value) : [example]
  expect(bodies.length).toBeGreaterThan(0)
  for (const body of bodies) expect((await ask(all, 'POST', '/api/tokens', body)).status).toBe(201)
})

it('what makes no token is said, and makes none', BOUND, async () => {
  const all = await admin('*')
  const before = (await ask(all, 'GET', '/api/tokens')).body.tokens.length
  for (const body of [
    {},
    { name: 'x', roles: [] },
    { name: 'x', roles: ['king'] },
    { name: 'two\nlines', roles: ['viewer'] },
    { name: 'x', roles: ['viewer'], tenants: [] },
    { name: 'x', roles: ['viewer'], expires: '0s' },
    { name: 'x', roles: ['viewer'], expires: '99999999d' },
    { name: 'x', roles: ['viewer'], more: 1 },
  ]) {
    const answer = await ask(all, 'POST', '/api/tokens', body)
    expect(answer, JSON.stringify(body)).toMatchObject({ status: 400 })
  }
  expect((await ask(all, 'GET', '/api/tokens')).body.tokens).toHaveLength(before)
})
