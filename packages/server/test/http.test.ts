import { connect } from 'node:net'
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PortTakenError } from '../src/errors.js'
import { DEFAULT_PORT, listen } from '../src/listen.js'
import { expositionFaults } from './exposition.js'
import { fakeServer } from './fake-database.js'

let server: Awaited<ReturnType<typeof fakeServer>>
let port = 0

beforeEach(async () => {
  server = await fakeServer({
    routes: (app) => {
      app.post('/posts', async () => ({ done: true }))
      app.get('/broken', async () => {
        throw new Error('secret')
      })
      app.get('/teapot', async () => {
        throw Object.assign(new Error('secret'), { statusCode: 418 })
      })
    },
  })
  port = await listen(server.app, '127.0.0.1', 0)
})

afterEach(() => server.close())

/** Sends text over a socket, as no HTTP client would, a byte for each character, and returns all that comes back. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(text.replaceAll('\n', '\r\n'), 'latin1'))
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part
    })
    socket.on('error', reject).on('close', () => resolve(answer))
  })
}

const request = (host: string, headers = '', line = 'GET /api/resources/posts HTTP/1.1', body = '') =>
  raw(`${line}\nHost: ${host}\n${headers}Connection: close\n\n${body}`)

const outcome = (answer: string) => [Number(answer.split(' ')[1]), /"code":"(\w+)"/.exec(answer)?.[1]]

it('answers CONNECT, and serves on', async () => {
  const answer = await raw('CONNECT attacker.example:443 HTTP/1.1\nHost: attacker.example:443\n\n')
  expect(outcome(answer)).toEqual([405, 'TIDEMARK_METHOD'])
  expect(answer).toMatch(/^HTTP\/1.1 405 Method Not Allowed\r\ncontent-type: application\/problem\+json\r\nallow:\r\n/)
  expect(outcome(await request(`localhost:${port}`))).toEqual([200, undefined])
})

describe('who may ask', () => {
  it('names this server: by its loopback names, and with its port', async () => {
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
      expect(outcome(await request(host)), host).toEqual([200, undefined])
    }
  })

  it('is refused with any other host, as DNS rebinding has it', async () => {
    const hosts = [
      'attacker.example',
      `attacker.example:${port}`,
      `127.0.0.1.attacker.example:${port}`,
      `localhost.attacker.example:${port}`,
      '127.0.0.1',
      'localhost:1',
      `localhost:${port}@attacker.example`,
      `127.0.0.2:${port}`,
      `0.0.0.0:${port}`,
      `localhost.:${port}`,
      `[::ffff:127.0.0.1]:${port}`,
      `attacker.example, localhost:${port}`,
      '',
    ]
    for (const host of hosts) expect(outcome(await request(host)), host).toEqual([421, 'TIDEMARK_FOREIGN_HOST'])
    expect(outcome(await raw('GET /api/resources/posts HTTP/1.0\n\n'))).toEqual([421, 'TIDEMARK_FOREIGN_HOST'])
  })

  it('is refused with another host on every path', async () => {
    for (const path of [
      '/',
      '/health',
      '/metrics',
      '/api/openapi.json',
      '/api/streams/posts',
      '/api/activity',
      '/nothing',
    ]) {
      expect(outcome(await request('attacker.example', '', `GET ${path} HTTP/1.1`)), path).toEqual([
        421,
        'TIDEMARK_FOREIGN_HOST',
      ])
    }
  })

  it('is a page of this server, or no page', async () => {
    const host = `127.0.0.1:${port}`
    expect(outcome(await request(host, `Origin: http://${host}\n`))).toEqual([200, undefined])
    expect(outcome(await request(host, 'Sec-Fetch-Site: same-origin\n'))).toEqual([200, undefined])
    expect(outcome(await request(host, 'Sec-Fetch-Site: none\n'))).toEqual([200, undefined])
    const link = 'Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\n'
    expect(outcome(await request(host, link))).toEqual([200, undefined])
  })

  it('is refused from pages of others, for reading and for writing', async () => {
    const host = `127.0.0.1:${port}`
    const headers = [
      'Origin: null\n',
      'Origin: http://attacker.example\n',
      `Origin: https://${host}\n`,
      `Origin: http://localhost:${port}\n`,
      `Origin: http://127.0.0.1:${port + 1}\n`,
      'Sec-Fetch-Site: cross-site\n',
      'Sec-Fetch-Site: same-site\n',
      'Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe\n',
    ]
    for (const header of headers) {
      expect(outcome(await request(host, header)), header).toEqual([403, 'TIDEMARK_FOREIGN_ORIGIN'])
      expect(outcome(await request(host, `${header}Content-Length: 0\n`, 'POST /posts HTTP/1.1')), header).toEqual([
        403,
        'TIDEMARK_FOREIGN_ORIGIN',
      ])
    }
    const form = 'Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\nContent-Length: 0\n'
    expect(outcome(await request(host, form, 'POST /posts HTTP/1.1'))).toEqual([403, 'TIDEMARK_FOREIGN_ORIGIN'])
  })

  it('is given no header that lets pages of others read', async () => {
    const answer = await request(`127.0.0.1:${port}`, '', 'OPTIONS /api/resources/posts HTTP/1.1')
    expect(outcome(answer)).toEqual([405, 'TIDEMARK_METHOD'])
    expect(answer).not.toMatch(/access-control/i)
    expect(answer).toMatch(/^cross-origin-resource-policy: same-origin/m)
  })
})

describe('a request that can be read in two ways', () => {
  const asked = (headers: string, body = '{"keys":["a"]}', line = 'POST /api/invalidate HTTP/1.1') =>
    request(
      `127.0.0.1:${port}`,
      `Content-Length: ${body.length}\nContent-Type: application/json\n${headers}`,
      line,
      body,
    ).then(outcome)
  const refused = [400, 'TIDEMARK_REQUEST']

  it('is refused: headers that come twice or are not ASCII, or an address of another server', async () => {
    for (const header of ['Host: attacker.example', `Host: 127.0.0.1:${port}`, 'Content-Type: text/plain'])
      expect(await asked(`${header}\n`), header).toEqual(refused)
    for (const header of ['Idempotency-Key', 'idempotency-key', 'Tidemark-Tenant', 'Tidemark-Csrf', 'Authorization'])
      expect(await asked(`${header}: a\n${header}: b\n`), header).toEqual(refused)
    for (const address of ['http://attacker.example/health', `https://127.0.0.1:${port}/health`, 'health'])
      expect(await asked('', '', `GET ${address} HTTP/1.1`), address).toEqual(refused)
    expect(await asked('', '', `GET http://127.0.0.1:${port}/health/live HTTP/1.1`)).toEqual([200, undefined])
    // Some read bytes beyond ASCII as Latin-1, others as UTF-8.
    for (const header of ['Idempotency-Key: \xc3\xa9', 'Tidemark-Tenant: \xe9', 'Tidemark-Tenant: \x7f'])
      expect(await asked(`${header}\n`), header).toEqual(refused)
    const lists = 'If-None-Match: "a"\nIf-None-Match: "b"\nX: 1\nX: \xc3\xa9\n'
    expect(await asked(lists, '', 'GET /health/live HTTP/1.1')).toEqual([200, undefined])
  })

  it('is refused: lengths that differ, or that are hidden', async () => {
    for (const header of [
      'Content-Length: 3',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: xchunked',
      'Transfer-Encoding : chunked',
      'X: a\u0000b',
      'X: a\n Transfer-Encoding: chunked',
    ])
      expect(await asked(`${header}\n`), header).toEqual(refused)
    // What follows a request that is refused is no request of its own.
    const two = await request('attacker.example', 'Content-Length: 200\n', undefined, 'GET /health/live HTTP/1.1\n\n')
    expect(two.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  })

  it('is refused: what is not UTF-8, by which a key would become another one', async () => {
    for (const key of ['\xff', '\xc0\xaf', '\xed\xa0\x80', '\xe4'])
      expect(await asked('', `{"keys":["${key}"]}`), key).toEqual(refused)
    expect(await asked('', '{"keys":["\xc3\xa4"]}')).toEqual([200, undefined])
    for (const query of ['keys=%ff', 'keys=%', 'keys=%c0%af', '%zz=a'])
      expect(await asked('', '', `GET /api/invalidate/preview?${query} HTTP/1.1`), query).toEqual(refused)
    expect(await asked('', '', 'GET /api/invalidate/preview?keys=%C3%A4+%25 HTTP/1.1')).toEqual([200, undefined])
  })

  it('is refused: a body in an encoding that is not read here', async () => {
    const unread = [415, 'TIDEMARK_MEDIA_TYPE']
    for (const encoding of ['gzip', 'br', 'identity, gzip'])
      expect(await asked(`Content-Encoding: ${encoding}\n`), encoding).toEqual(unread)
    expect(await asked('Content-Encoding: identity\n')).toEqual([200, undefined])
    const headers = (charset: string) => ({ 'content-type': `application/json; charset=${charset}` })
    const ask = async (charset: string) =>
      (
        await server.app.inject({
          method: 'POST',
          url: '/api/invalidate',
          headers: headers(charset),
          payload: '{"keys":["a"]}',
        })
      ).statusCode
    for (const charset of ['utf-16', '"iso-8859-1"']) expect(await ask(charset), charset).toBe(415)
    for (const charset of ['utf-8', 'UTF8', '"utf-8"']) expect(await ask(charset), charset).toBe(200)
  })
})

describe('every error', () => {
  it('is a problem', async () => {
    const asked = [
      [{ url: '/nothing' }, 404, 'TIDEMARK_NOT_FOUND'],
      [{ url: '/api/resources' }, 404, 'TIDEMARK_NOT_FOUND'],
      [{ method: 'POST', url: '/api/resources/posts' }, 405, 'TIDEMARK_METHOD'],
      [{ method: 'DELETE', url: '/health' }, 405, 'TIDEMARK_METHOD'],
      [{ method: 'HEAD', url: '/api/streams/posts' }, 405, 'TIDEMARK_METHOD'],
      [
        { method: 'POST', url: '/posts', payload: 'x'.repeat(2 ** 20 + 1), headers: { 'content-type': 'text/plain' } },
        413,
        'TIDEMARK_BODY_TOO_LARGE',
      ],
      [
        { method: 'POST', url: '/posts', payload: '{', headers: { 'content-type': 'application/json' } },
        400,
        'TIDEMARK_REQUEST',
      ],
      [{ method: 'POST', url: '/posts', payload: 'x', headers: { 'content-type': 'a/b' } }, 415, 'TIDEMARK_MEDIA_TYPE'],
      [{ url: '/api/resources/%' }, 400, 'TIDEMARK_REQUEST'],
      [{ url: '/health?deep=1' }, 400, 'TIDEMARK_PARAMETER'],
      [{ url: '/broken' }, 500, 'TIDEMARK_INTERNAL'],
      [{ url: '/teapot' }, 418, 'TIDEMARK_REQUEST'],
    ] as const
    for (const [options, status, code] of asked) {
      const response = await server.app.inject(options as never)
      const where = JSON.stringify(options).slice(0, 100)
      expect(response.statusCode, where).toBe(status)
      expect(response.headers['content-type'], where).toBe('application/problem+json; charset=utf-8')
      if ((options as { method?: string }).method === 'HEAD') continue
      expect(response.json(), where).toMatchObject({ status, code, type: `/docs/errors.md#${code.toLowerCase()}` })
      expect(response.json().title, where).not.toBe('')
      expect(response.body, where).not.toMatch(/secret/)
    }
  })

  it('of a method says which the path has', async () => {
    const response = await server.app.inject({ method: 'PUT', url: '/api/resources/posts' })
    expect(response.headers['allow']).toBe('GET, HEAD')
  })

  it('is not waited for: the load of a client that has gone is given up', async () => {
    let release = () => {}
    server.database.fake.gate = new Promise((resolve) => {
      release = resolve
    })
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET /api/resources/posts HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`),
    )
    await expect.poll(() => server.cache.status().filling, { timeout: 45_000 }).toBe(1)
    socket.destroy()
    await expect.poll(() => server.cache.status().filling, { timeout: 45_000 }).toBe(0)
    release()
  })

  it('is one for what is no HTTP at all', async () => {
    for (const text of ['nonsense\n\n', `GET / HTTP/1.1\nHost: 127.0.0.1:${port}\nX: ${'x'.repeat(100_000)}\n\n`]) {
      expect(outcome(await raw(text))).toEqual([400, 'TIDEMARK_REQUEST'])
    }
  })
})

describe('what Node would answer by itself', () => {
  it('is answered as everything else: a request without a Host, or with an expectation', async () => {
    const noHost = await raw('GET /health/live HTTP/1.1\nConnection: close\n\n')
    expect(outcome(noHost)).toEqual([421, 'TIDEMARK_FOREIGN_HOST'])
    expect(noHost).toMatch(/content-type: application\/problem\+json/i)
    expect(outcome(await request(`127.0.0.1:${port}`, 'Expect: more\n'))).toEqual([200, undefined])
  })
})

describe('GET /api/openapi.json', () => {
  it('is a valid OpenAPI 3.1 document of every resource, with its parameters', async () => {
    const document = (await server.app.inject('/api/openapi.json')).json()
    const result = await new Validator().validate(document)
    expect(result.errors ?? []).toEqual([])
    expect(document.openapi).toBe('3.1.0')
    const operation = document.paths['/api/resources/post'].get
    expect(operation.parameters).toContainEqual({
      name: 'id',
      in: 'query',
      required: true,
      schema: { type: 'string', format: 'int64', pattern: '^[+-]?\\d{1,40}$' },
    })
    expect(operation.parameters.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['id', 'min-position', 'if-none-match']),
    )
    expect(
      document.paths['/api/resources/top'].get.parameters.find(({ name }: { name: string }) => name === 'author')
        .required,
    ).toBe(false)
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/api/streams/post', '/api/activity', '/health', '/metrics']),
    )
  })
})

describe('GET /metrics', () => {
  it('is text that Prometheus reads: names, help, types, few labels', async () => {
    await server.app.inject('/api/resources/posts')
    await server.app.inject('/api/resources/posts')
    await server.app.inject('/api/resources/unheard-of?x=1')
    const { body, headers } = await server.app.inject('/metrics')
    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(expositionFaults(body)).toEqual([])
    expect(body).toMatch(/^tidemark_hits_total 1$/m)
    expect(body).toMatch(/^tidemark_loads_total 1$/m)
    expect(body).toMatch(/^tidemark_entries 1$/m)
    expect(body).toMatch(
      /tidemark_http_request_duration_seconds_count\{route="\/api\/resources\/posts",status="2xx"\} 2/,
    )
    expect(body).not.toMatch(/unheard-of/)
  })
})

describe('a port', () => {
  it('that is taken is an error with what to do; the default gives way to the next', async () => {
    const other = await fakeServer()
    try {
      const refused = await listen(other.app, '127.0.0.1', port).catch((error) => error)
      expect(refused).toBeInstanceOf(PortTakenError)
      expect(refused.message).toMatch(/--port or TIDEMARK_PORT/)
      const third = await fakeServer()
      const ports = [await listen(other.app, '127.0.0.1', undefined), await listen(third.app, '127.0.0.1', undefined)]
      await third.close()
      expect(ports[0]).toBeGreaterThanOrEqual(DEFAULT_PORT)
      expect(ports[1]).toBeGreaterThan(ports[0]!)
    } finally {
      await other.close()
    }
  })
})
