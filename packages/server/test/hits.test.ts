import { Agent, request } from 'node:http'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { listen } from '../src/listen.js'
import { CONFIG, fakeServer } from './fake-database.js'
import { startIssuer } from './issuer.js'

// A hit that is asked for again takes a short way past Fastify: nobody may see a difference but by the clock.

let issuer: Awaited<ReturnType<typeof startIssuer>>
let server: Awaited<ReturnType<typeof fakeServer>>
let port: number
let long = 0
const agents: Agent[] = []

beforeAll(async () => {
  issuer = await startIssuer()
  server = await fakeServer({
    config: `${CONFIG}${issuer.config}limits: { requests: 30, window: 1h }\n`,
    routes: (app) => void app.addHook('onRequest', async () => void long++),
  })
  await server.cache.settled()
  port = await listen(server.app, '127.0.0.1', 0)
})

afterEach(() => {
  for (const agent of agents.splice(0)) agent.destroy()
})

afterAll(async () => {
  await server?.close()
  issuer?.close()
})

/** A client with one connection. */
function client() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  agents.push(agent)
  return (path: string, headers: Record<string, string>, method = 'GET') =>
    new Promise<{ status: number; headers: Record<string, unknown>; body: string; wasLong: boolean }>(
      (resolve, reject) => {
        const before = long
        request({ agent, port, host: '127.0.0.1', method, path, headers }, (response) => {
          let body = ''
          response
            .setEncoding('utf8')
            .on('data', (text) => {
              body += text
            })
            .on('end', () => {
              const { date: _, ...rest } = response.headers
              resolve({ status: response.statusCode!, headers: rest, body, wasLong: long > before })
            })
        })
          .on('error', reject)
          .end()
      },
    )
}

async function as(sub: string, claims: object = {}) {
  return { authorization: `Bearer ${await issuer.sign({ sub, roles: ['viewer'], tenants: ['default'], ...claims })}` }
}

it('answers by the short way what it answers by the long one', async () => {
  for (const [key, value] of [
    ['user:7', { name: 'Zoë', list: [1, null] }],
    ['text', 'ü'],
    ['nothing', null],
    ['post(42)', { id: 42n, bytes: new Uint8Array([1, 2]) }],
  ] as const) {
    await server.cache.set(key, value)
    const ask = client()
    const headers = await as(`of ${key}`)
    const first = await ask(`/api/cache/${key}`, headers)
    const again = await ask(`/api/cache/${key}`, headers)
    expect([first.wasLong, again.wasLong], key).toEqual([true, false])
    const left = (answer: typeof first) => Number(/r=(\d+)/.exec(String(answer.headers['ratelimit']))?.[1])
    expect(left(again)).toBe(left(first) - 1)
    for (const { headers: each } of [first, again]) delete each['ratelimit']
    expect(again).toEqual({ ...first, wasLong: false })

    const known = { ...headers, 'if-none-match': String(first.headers['etag']) }
    const unchanged = await ask(`/api/cache/${key}`, known)
    const unchangedAgain = await ask(`/api/cache/${key}`, known)
    expect([unchanged.status, unchangedAgain.status, unchangedAgain.body]).toEqual([304, 304, ''])
    expect(unchangedAgain.wasLong).toBe(false)
    await server.cache.set(key, { changed: key })
    const changed = await ask(`/api/cache/${key}`, known)
    expect([changed.status, changed.body]).toEqual([200, JSON.stringify({ changed: key })])
  }
})

it('takes the long way with other headers, another method, what is not stored, and other paths', async () => {
  await server.cache.set('user:8', 8)
  const ask = client()
  const headers = await as('careful')
  const asked = () => ask('/api/cache/user:8', headers)
  await asked()
  expect((await asked()).wasLong).toBe(false)
  const others = [
    ask('/api/cache/user:8', { ...headers, 'tidemark-tenant': 'theirs' }),
    ask('/api/cache/user:8', {}),
    ask('/api/cache/user:8', { ...headers, origin: 'http://evil.example' }),
    ask('/api/cache/user:8', { ...headers, host: 'evil.example' }),
    ask('/api/cache/user:8', headers, 'PUT'),
    ask('/api/cache/user:8?tenant=theirs', headers),
    ask('/api/cache/user:9', headers),
    ask('/api/cache/%75ser:8', headers),
    ask('/api/cache/keys', headers),
  ]
  const answers = await Promise.all(others)
  expect(answers.map(({ status }) => status)).toEqual([404, 401, 403, 421, 403, 404, 404, 200, 200])
  await asked()
  expect((await ask('/api/cache/user:8', { ...headers, traceparent: 'x' })).wasLong).toBe(true)
  expect((await ask('/api/cache/user:8', { ...headers, traceparent: 'y' })).wasLong).toBe(false)
})

it('lets nobody go on by the short way whose rate is used up, or whose token has ended', async () => {
  await server.cache.set('user:9', 9)
  const ask = client()
  const headers = await as('eager')
  const answers = []
  for (let time = 0; time < 32; time++) answers.push(await ask('/api/cache/user:9', headers))
  expect(answers.map(({ status }) => status)).toEqual([...Array(30).fill(200), 429, 429])
  expect(answers[31]!.headers['retry-after']).toBeDefined()
  const exp = Math.floor(Date.now() / 1_000) + 1
  const brief = await as('brief', { exp })
  const asked = client()
  await expect.poll(async () => (await asked('/api/cache/user:9', brief)).status, { timeout: 45_000 }).toBe(401)
})
