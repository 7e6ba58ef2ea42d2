import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { io } from 'socket.io-client'
import ts from 'typescript'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { listen } from '../src/listen.js'
import { startIssuer } from './issuer.js'
import { BOUND } from './serving.js'
import { SocketClient } from './socket-client.js'
import { JSON_PATCH, type Method, treeServer } from './tree-server.js'
import { until } from './until.js'

/* Socket.IO: nodes of config trees, followed over one connection. */

let server: Awaited<ReturnType<typeof treeServer>>
let issuer: Awaited<ReturnType<typeof startIssuer>>
let url: string
/** The same, where it is asked who comes. */
let guarded: string
const clients: SocketClient[] = []

beforeAll(async () => {
  server = await treeServer()
  issuer = await startIssuer()
  url = `http://127.0.0.1:${await listen(server.app, '127.0.0.1', 0)}`
  const config = `${issuer.config}limits: { streams: 3 }\nsocketio: { subscriptions: 4, messages: 60, nodes: 5 }\nserver: { origins: [https://app.example] }\n`
  guarded = `http://127.0.0.1:${await listen(await server.serve(config), '127.0.0.1', 0)}`
}, 60_000)
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})
afterAll(async () => {
  await server?.close()
  issuer?.close()
})

function open(at = url, options: ConstructorParameters<typeof SocketClient>[1] = {}): SocketClient {
  const client = new SocketClient(at, options)
  clients.push(client)
  return client
}

async function put(path: string, value: unknown, method: Method = 'PUT', headers = {}): Promise<void> {
  const payload = method === 'DELETE' ? undefined : JSON.stringify(value)
  const type = { 'content-type': 'application/json' }
  const answer = await server.ask(method, `/api/trees/${path}`, payload, payload ? { ...type, ...headers } : {})
  expect(answer.status, answer.text).toBe(200)
}

const token = (claims: object = {}) => issuer.sign({ tenants: ['T1'], ...claims })

describe('a node that a socket follows', () => {
  it(
    'is told as it is, and whenever it changes; others are left alone; nothing comes after unsubscribe',
    BOUND,
    async () => {
      await put('T1/s1', { a: { b: 1 }, c: [1, 2] })
      const client = await open().connected()
      const [a, c, none] = [
        await client.subscribe('T1', 's1', '/a'),
        await client.subscribe('T1', 's1', '/c'),
        await client.subscribe('T1', 's1', '/x'),
      ]
      expect([a.value, c.value, none.absent]).toEqual([{ b: 1 }, [1, 2], true])
      await put('T1/s1/a/b', 2)
      await until(() => client.of(a.subscription).length === 1)
      await put('T1/s1/x', null)
      await until(() => client.of(none.subscription).length === 1)
      await put('T1/s1/x', null, 'DELETE')
      await until(() => client.of(none.subscription).length === 2)
      expect(client.told).toMatchObject([
        { event: 'value', subscription: a.subscription, value: { b: 2 } },
        { event: 'value', subscription: none.subscription, value: null },
        { event: 'absent', subscription: none.subscription, absent: true },
      ])
      expect(await client.ask('unsubscribe', { subscription: a.subscription })).toMatchObject({ unsubscribed: true })
      expect(await client.ask('unsubscribe', { subscription: a.subscription })).toMatchObject({ unsubscribed: false })
      await put('T1/s1', { a: 3, c: [1, 2, 3] })
      await until(() => client.of(c.subscription).length === 1)
      expect(client.of(a.subscription)).toHaveLength(1)
    },
  )

  it('is told by patches, or as text with every digit, to who wants that', BOUND, async () => {
    const list = Array.from({ length: 50 }, (_, n) => ({ n, text: 'x'.repeat(20) }))
    await put('T1/s2', list)
    const client = await open(url, { transports: ['polling'] }).connected()
    const patched = await client.subscribe('T1', 's2', '', { as: 'patch' })
    expect(patched.value).toEqual(list)
    await put('T1/s2', [{ op: 'add', path: '/0', value: 'first' }], 'PATCH', JSON_PATCH)
    await until(() => client.told.length === 1)
    expect(client.told[0]).toMatchObject({ event: 'patch', patch: [{ op: 'add', path: '/0', value: 'first' }] })
    await server.trees.tree('T1', 's2').put('/0', { json: '12345678901234567890.1' })
    expect(await client.subscribe('T1', 's2', '/0', { as: 'text' })).toMatchObject({ text: '12345678901234567890.1' })
  })

  it('is taken up where a client left off: nothing if it has the value, else the newest', BOUND, async () => {
    await put('T1/s3', { a: 1 })
    const first = await open().connected()
    const { id } = await first.subscribe('T1', 's3')
    first.close()
    const second = await open().connected()
    expect(await second.subscribe('T1', 's3', '', { from: id })).toMatchObject({ unchanged: true, id })
    await put('T1/s3/a', 2)
    await until(() => second.told.length === 1)
    const third = await open().connected()
    expect(await third.subscribe('T1', 's3', '', { from: id })).toMatchObject({ value: { a: 2 } })
    expect(await third.subscribe('T1', 's3', '', { from: 'nonsense' })).toMatchObject({ value: { a: 2 } })
  })
})

it('is followed as the docs say', BOUND, async () => {
  await put('T1/settings', { theme: { color: 'red' } })
  const page = readFileSync(new URL('../../../docs/trees.md', import.meta.url), 'utf8')
  const [, code] = /```ts\nimport \{ io \} from 'socket.io-client'\n(.*?)```/s.exec(page)!
  const { outputText } = ts.transpileModule(code!.replace('http://127.0.0.1:9400', url), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
  })
  const shown: unknown[] = []
  const sockets: ReturnType<typeof io>[] = []
  const opened: typeof io = ((...all: Parameters<typeof io>) => {
    sockets.push(io(...all))
    return sockets[0]
  }) as never
  const log = (value: unknown) => shown.push(value)
  new Function('io', 'console', outputText)(opened, { log, error: log })
  try {
    await until(() => shown.length === 1)
    await put('T1/settings/theme/color', 'blue')
    await until(() => shown.length === 2)
    // Cut off, it goes on where it was.
    sockets[0]!.io.engine.close()
    await put('T1/settings/theme', null, 'DELETE')
    await until(() => shown.length === 3)
    expect(shown).toEqual([{ color: 'red' }, { color: 'blue' }, undefined])
  } finally {
    sockets[0]?.disconnect()
  }
})

describe('a path with wildcards', () => {
  it('follows the nodes that match, those of later too, and is told of no others', BOUND, async () => {
    await put('T1/w1', { settings: { theme: { color: 'red' }, size: 1 }, beside: 1 })
    const client = await open().connected()
    const each = await client.subscribe('T1', 'w1', '/settings/*')
    const colors = await client.subscribe('T1', 'w1', '/settings/*/color')
    const leaves = await client.subscribe('T1', 'w1', '/**')
    expect(each).toMatchObject({
      whole: true,
      changed: { '/settings/theme': { color: 'red' }, '/settings/size': 1 },
      removed: [],
    })
    expect(colors.changed).toEqual({ '/settings/theme/color': 'red' })
    expect(leaves.changed).toEqual({ '/settings/theme/color': 'red', '/settings/size': 1, '/beside': 1 })
    await put('T1/w1/beside', 2)
    await until(() => client.of(leaves.subscription).length === 1)
    await put('T1/w1/settings/page', { color: 'blue' })
    await until(() => client.of(colors.subscription).length === 1)
    await until(() => client.of(leaves.subscription).length === 2)
    await put('T1/w1/settings/theme', 'none')
    await until(() => client.of(each.subscription).length === 2)
    await until(() => client.of(leaves.subscription).length === 3)
    const changes = ({ subscription }: typeof each) =>
      client.of(subscription).map(({ whole, changed, removed }) => [whole, changed, removed])
    expect(changes(each)).toEqual([
      [false, { '/settings/page': { color: 'blue' } }, []],
      [false, { '/settings/theme': 'none' }, []],
    ])
    await until(() => client.of(colors.subscription).length === 2)
    expect(changes(colors)).toEqual([
      [false, { '/settings/page/color': 'blue' }, []],
      [false, {}, ['/settings/theme/color']],
    ])
    expect(changes(leaves)).toEqual([
      [false, { '/beside': 2 }, []],
      [false, { '/settings/page/color': 'blue' }, []],
      [false, { '/settings/theme': 'none' }, ['/settings/theme/color']],
    ])
    const last = client.of(colors.subscription).at(-1)!
    const again = await open().connected()
    expect(await again.subscribe('T1', 'w1', '/settings/*/color', { from: last.id })).toMatchObject({ unchanged: true })
    expect(await again.subscribe('T1', 'w1', '/settings/*/color', { from: colors.id })).toMatchObject({ whole: true })
    expect(await again.subscribe('T1', 'w1', '/settings/*', { exact: true })).toMatchObject({ absent: true })
    expect((await again.subscribe('T1', 'w1', '/**/a')).problem?.code).toBe('TIDEMARK_TREE_PATH')
    expect((await again.subscribe('T1', 'w1', '/**', { as: 'patch' })).problem?.code).toBe('TIDEMARK_PARAMETER')
  })
})

describe('who connects', () => {
  it('says who it is by auth.token or the header, as over HTTP, and may do what they may there', BOUND, async () => {
    await put('T1/p', { a: 1 })
    for (const auth of [{}, { token: 'x' }, { token: 7 }, { token: await token({ exp: 1 }) }, { token: { $ne: 1 } }]) {
      const client = open(guarded, { auth })
      await until(() => client.refused !== undefined)
      expect([client.refused?.code, client.refused?.status]).toEqual(['TIDEMARK_UNAUTHENTICATED', 401])
    }
    const byToken = await open(guarded, { auth: { token: await token() } }).connected()
    expect((await byToken.subscribe('T1', 'p')).value).toEqual({ a: 1 })
    // A tenant of others is answered as one that there is not, whatever is in it.
    await put('T2/p', { secret: 1 })
    const answers = [await byToken.subscribe('T2', 'p'), await byToken.subscribe('T3', 'p')]
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]?.problem?.code).toBe('TIDEMARK_TENANT_UNKNOWN')
    const headers = { authorization: `Bearer ${await token({ sub: 'bob' })}` }
    const byHeader = await open(guarded, { extraHeaders: headers, transports: ['polling', 'websocket'] }).connected()
    expect((await byHeader.subscribe('T1', 'p')).value).toEqual({ a: 1 })
    const wrong = open(guarded, { extraHeaders: { authorization: 'Bearer wrong' } })
    await until(() => wrong.refused !== undefined)
  })

  it('is closed when the token has expired', BOUND, async () => {
    const exp = Math.floor(Date.now() / 1_000) + 4
    const client = await open(guarded, { auth: { token: await token({ exp }) } }).connected()
    await client.subscribe('T1', 'p')
    await until(() => client.isEnded)
    expect(client.told.at(-1)).toMatchObject({ event: 'problem', problem: { code: 'TIDEMARK_UNAUTHENTICATED' } })
  })

  it('comes from this server or from an origin that may ask, over WebSocket too', BOUND, async () => {
    const upgrade = (headers: Record<string, string>) =>
      new Promise<number | undefined>((resolve) => {
        const asked = request(`${guarded}/socket.io/?EIO=4&transport=websocket`, {
          headers: {
            connection: 'Upgrade',
            upgrade: 'websocket',
            'sec-websocket-version': '13',
            'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
            ...headers,
          },
        })
        asked.on('upgrade', (response, socket) => {
          socket.destroy()
          resolve(response.statusCode)
        })
        asked.on('response', (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        asked.on('error', () => resolve(0))
        asked.end()
      })
    expect(await upgrade({ origin: 'https://app.example' })).toBe(101)
    expect(await upgrade({ origin: guarded })).toBe(101)
    expect(await upgrade({ origin: 'https://evil.example' })).toBe(403)
    expect(await upgrade({ host: 'evil.example' })).toBe(421)
  })

  it(
    'has limits: what a socket follows, sockets of a principal, nodes of a wildcard, messages in a second',
    BOUND,
    async () => {
      await put('T1/many', [1, 2, 3, 4, 5, 6])
      const auth = { token: await token({ sub: 'cid', tenants: ['T1', 'T4'] }) }
      const client = await open(guarded, { auth }).connected()
      expect((await client.subscribe('T1', 'many', '/*')).problem?.code).toBe('TIDEMARK_TREE_LIMIT')
      for (const path of ['/0', '/1', '/2'])
        expect((await client.subscribe('T1', 'many', path)).problem).toBe(undefined)
      expect((await client.subscribe('T1', 'many', '/3')).problem).toMatchObject({
        code: 'TIDEMARK_STREAM_LIMIT',
        status: 429,
      })
      expect((await client.subscribe('T4', 'x')).absent).toBe(true)
      expect((await client.subscribe('T4', 'x')).problem?.code).toBe('TIDEMARK_STREAM_LIMIT')
      await open(guarded, { auth }).connected()
      await open(guarded, { auth }).connected()
      const fourth = open(guarded, { auth })
      await until(() => fourth.refused !== undefined)
      expect(fourth.refused?.code).toBe('TIDEMARK_STREAM_LIMIT')
      for (let n = 0; n < 200; n++) client.socket.emit('subscribe', {})
      await until(() => client.isEnded)
      expect(client.told.some(({ problem }) => problem?.code === 'TIDEMARK_RATE')).toBe(true)
      // What it followed is free again.
      const other = await open(guarded, { auth: { token: await token({ sub: 'dan' }) } }).connected()
      await until(async () => (await other.subscribe('T1', 'many', '/0')).problem === undefined)
    },
  )
})

describe('hostile input', () => {
  it('is refused in words, or closes the socket that sent it; the server goes on', BOUND, async () => {
    const client = await open().connected()
    const none = [undefined, null, 7, 'x', [], [[]], { tenant: 'T1' }, { tenant: ['T1'], config: 'c' }]
    for (const message of none)
      expect((await client.ask('subscribe', message)).problem?.code, JSON.stringify(message)).toBe('TIDEMARK_PARAMETER')
    const pollution = JSON.parse('{"tenant":"T1","config":"c","__proto__":{"polluted":1},"constructor":{}}')
    expect((await client.ask('subscribe', pollution)).problem?.code).toBe('TIDEMARK_PARAMETER')
    for (const path of ['\0', '/\0', 'x', '/~2', `/${'x'.repeat(7_000)}`, '/a'.repeat(500), '/\ud800'])
      expect((await client.subscribe('T1', 'c', path)).problem?.code, path.slice(0, 9)).toBe('TIDEMARK_TREE_PATH')
    for (const [tenant, config] of [
      ['T1', '..'],
      ['\0', 'c'],
      ['__proto__', 'c'],
      ['T1', '*'],
    ] as const)
      expect((await client.subscribe(tenant, config)).problem?.code).toBe('TIDEMARK_TREE_NAME')
    for (const path of ['/__proto__', '/constructor/prototype', '/..'])
      expect(await client.subscribe('T1', 'c', path)).toMatchObject({ absent: true })
    for (const event of ['unknown', '__proto__', 'disconnecting', 'toString'].filter(
      (each) => each !== 'disconnecting',
    ))
      expect((await client.ask(event)).problem?.code).toBe('TIDEMARK_REQUEST')
    client.socket.emit('unknown', Buffer.alloc(10))
    await until(() => client.told.some(({ event }) => event === 'problem'))

    const big = await open().connected()
    big.socket.emit('subscribe', { tenant: 'T1', config: 'c', path: `/${'x'.repeat(2 ** 20)}` })
    await until(() => big.isEnded)
    for (const text of [
      'garbage',
      '40{',
      '42["subscribe"',
      '451000000-["x"]',
      '42[1]',
      '49',
      '\0',
      `42${'['.repeat(50_000)}`,
    ]) {
      const one = await open().connected()
      ;(one.socket.io.engine as unknown as { write(text: string): void }).write(text.replace(/^4/, ''))
      await until(() => one.isEnded || one.socket.connected)
    }
    const fresh = await open().connected()
    expect(await fresh.subscribe('T1', 'none')).toMatchObject({ absent: true })
    expect(({} as Record<string, unknown>)['polluted']).toBe(undefined)
    expect(
      (await fetch(`${url}/metrics`).then((answer) => answer.text())).match(/^tidemark_sockets (\d+)$/m)?.[1],
    ).not.toBe('0')
  })

  it('at the level of HTTP is answered: unknown sessions, other protocols, wrong methods', BOUND, async () => {
    expect((await fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=none`)).status).toBe(400)
    expect((await fetch(`${url}/socket.io/?EIO=3&transport=polling`)).status).toBe(400)
    expect((await fetch(`${url}/socket.io/?EIO=4&transport=none`)).status).toBe(400)
    expect((await fetch(`${url}/socket.io/`, { method: 'DELETE' })).status).toBe(405)
    expect((await fetch(`${url}/socket.io/socket.io.js`)).status).toBe(404)
  })

  it('an offer of another protocol is passed over, and the request is answered, with its body', BOUND, async () => {
    const { port } = new URL(url)
    const lines = (body: string) =>
      `PUT /api/trees/T1/h2c HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
    const text = await new Promise<string>((resolve, reject) => {
      let got = ''
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write(`${lines('{"a":1}')}{"a"`)
        setImmediate(() => socket.write(':1}'))
      })
      socket.setTimeout(20_000, () => socket.destroy())
      socket.on('error', reject).on('close', () => resolve(got))
      socket.on('data', (bytes) => {
        got += bytes
        if (got.includes('"version"')) socket.destroy()
      })
    })
    expect(text).toMatch(/^HTTP\/1.1 200/)
    expect((await server.ask('GET', '/api/trees/T1/h2c')).body).toEqual({ a: 1 })
  })
})

it('a server that stops sends its sockets elsewhere: they come back by themselves', BOUND, async () => {
  const app = await server.serve()
  const port = await listen(app, '127.0.0.1', 0)
  const client = await open(`http://127.0.0.1:${port}`, { reconnection: true }).connected()
  await client.subscribe('T1', 's1')
  await app.close()
  await until(() => client.isEnded)
  // It would be false had the server told it to stay away.
  expect(client.socket.active).toBe(true)
})
