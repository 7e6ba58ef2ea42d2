import { createRequire } from 'node:module'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JSON_PATCH, JSON_TYPE, type Method, treeServer } from './tree-server.js'

/* Hostile paths and documents, and the public suite of JSON Patch, over HTTP: refused or stored as plain data; never another tenant's. */

let server: Awaited<ReturnType<typeof treeServer>>
let port: number
beforeAll(async () => {
  server = await treeServer()
  await server.app.listen({ port: 0, host: '127.0.0.1' })
  port = (server.app.server.address() as AddressInfo).port
  await server.trees.tree('T2', 'secret').put('', { value: { secret: 'not yours' } })
})
afterAll(() => server?.close())

const ask: (typeof server)['ask'] = (...asked) => server.ask(...asked)
const get = (url: string) => ask('GET', url)

/** As it is: clients, and `inject`, would take `..` out of a path. */
async function rawRequest(method: Method, path: string, body = ''): Promise<{ status: number; text: string }> {
  const socket = connect(port, '127.0.0.1')
  const type = body === '' ? '' : 'content-type: application/json\r\n'
  // Not ended: who has left is not answered.
  socket.write(
    `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n${type}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  let answer = ''
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk
  const [head = '', ...rest] = answer.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), text: rest.join('\r\n\r\n') }
}

describe('paths', () => {
  it('that lead elsewhere in other programs are names of members', async () => {
    await ask('PUT', '/api/trees/T1/plain', '{}', JSON_TYPE)
    const paths = [
      '/__proto__/x',
      '/constructor/prototype/x',
      '/../x',
      '/../../T2/secret',
      '/%2e%2e/%2e%2e/T2/secret',
      '/.',
      '/a//b/',
      '/%25%20%22%3F%23',
      '/%F0%9F%98%80/%C3%BC',
      '/tidemark-$1-";--',
    ]
    for (const path of paths) {
      const url = `/api/trees/T1/plain${path}`
      expect((await rawRequest('PUT', url, '"mine"')).status, path).toBe(200)
      expect((await rawRequest('GET', url)).text, path).toContain('"mine"')
    }
    expect(({} as Record<string, unknown>)['x']).toBe(undefined)
    expect((await get('/api/trees/T1/plain/__proto__/x')).text).toBe('"mine"')
    expect((await get('/api/trees/T2/secret')).text).toBe('{"secret":"not yours"}')
    expect((await get('/api/trees/T1/plain')).text).not.toContain('not yours')
  })

  it('that cannot be are refused', async () => {
    const deep = '/a'.repeat(10_000)
    const cases: [string, number][] = [
      ['/a%00b', 400],
      ['/~', 400],
      ['/~2', 400],
      ['/~secret', 400],
      ['/%ZZ', 400],
      ['/%ff', 400],
      ['/%ED%A0%80', 400],
      [deep.slice(0, 2_000), 400],
    ]
    for (const [path, status] of cases) {
      for (const method of ['GET', 'PUT'] as const) {
        const answer = await rawRequest(method, `/api/trees/T1/plain${path}`, method === 'PUT' ? '1' : '')
        expect(answer.status, `${method} ${path.slice(0, 50)} ${answer.text}`).toBe(status)
      }
    }
    // Longer than any path, and than all headers together.
    expect((await rawRequest('GET', `/api/trees/T1/plain${'/a'.repeat(3_000)}`)).status).toBeGreaterThanOrEqual(400)
    expect((await rawRequest('GET', `/api/trees/T1/plain${deep}`)).status).toBe(400)
    for (const name of ['..', '%2e%2e', 'a%2Fb', '%00', '__proto__', '-', 'x'.repeat(200)])
      for (const [tenant, config] of [
        [name, 'plain'],
        ['T1', name],
      ])
        expect((await rawRequest('GET', `/api/trees/${tenant}/${config}`)).status, name).toBeGreaterThanOrEqual(400)
    expect((await get('/api/trees/T1/plain?at=1e99')).status).toBe(400)
    expect((await get('/api/trees/T1/plain?depth=-1')).status).toBe(400)
  })
})

describe('documents', () => {
  const put = (text: string, headers = JSON_TYPE) => ask('PUT', '/api/trees/T1/documents', text, headers)

  it('that cannot be stored are refused, and change nothing', async () => {
    await put('{"kept":true}')
    const megabyte = 'k'.repeat(2 ** 20)
    const cases: [string, string][] = [
      ['{"a":1', 'TIDEMARK_TREE_VALUE'],
      [`${'['.repeat(10_000)}${']'.repeat(10_000)}`, 'TIDEMARK_TREE_VALUE'],
      [`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, 'TIDEMARK_TREE_VALUE'],
      [`{"${megabyte}":1}`, 'TIDEMARK_TREE_PATH'],
      ['{"a":1,"a":2}', 'TIDEMARK_TREE_VALUE'],
      ['{"a":"\\u0000"}', 'TIDEMARK_TREE_VALUE'],
      ['{"\\ud800":1}', 'TIDEMARK_TREE_VALUE'],
      ['1e999999999', 'TIDEMARK_TREE_VALUE'],
      [`[${'1,'.repeat(30_000)}1]`, 'TIDEMARK_TREE_LIMIT'],
      ['{"$ref":"#"}', 'TIDEMARK_TREE_CYCLE'],
    ]
    for (const [text, code] of cases) {
      const answer = await put(text)
      expect([answer.status >= 400 && answer.status < 500, answer.body?.code], text.slice(0, 40)).toEqual([true, code])
    }
    expect((await put(`"${'x'.repeat(9 * 2 ** 20)}"`)).status).toBe(413)
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefg'
      .split('')
      .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdef'[index]}`).join(',')}]`)
      .join('\n')}\n`
    for (const yaml of [bomb, 'a: &a [*a]', 'a: .nan', `${'['.repeat(5_000)}`])
      expect((await put(yaml, { 'content-type': 'application/yaml' })).status, yaml.slice(0, 20)).toBe(422)
    expect((await get('/api/trees/T1/documents')).text).toBe('{"kept":true}')
  })

  it('a large text is data like any other', async () => {
    const text = JSON.stringify({ text: 'ü'.repeat(2 ** 20) })
    expect((await put(text)).status).toBe(200)
    expect((await get('/api/trees/T1/documents')).text).toBe(text)
  })
})

interface Case {
  readonly comment?: string
  readonly doc: unknown
  readonly patch: unknown
  readonly expected?: unknown
  readonly error?: string
  readonly disabled?: boolean
}

it.each(['spec_tests.json', 'tests.json'])('JSON Patch: every case of %s', async (file) => {
  const cases = createRequire(import.meta.url)(`json-patch-test-suite/${file}`) as Case[]
  const enabled = cases.map((each, index) => ({ ...each, index })).filter(({ disabled }) => disabled !== true)
  expect(enabled.length).toBeGreaterThan(15)
  const run = async ({ index, doc, patch, expected, error, comment }: (typeof enabled)[number]) => {
    const what = `${index}: ${comment ?? error ?? JSON.stringify(patch)}`
    const url = `/api/trees/patched/${file.split('.')[0]}-${index}`
    await ask('PUT', url, JSON.stringify(doc), JSON_TYPE)
    const patched = await ask('PATCH', url, JSON.stringify(patch), JSON_PATCH)
    expect(patched.status, `${what} ${patched.text}`).toBe(error === undefined ? 200 : 422)
    if (error !== undefined) expect((await get(url)).body, what).toEqual(doc)
    else if (expected !== undefined) expect((await get(url)).body, what).toEqual(expected)
  }
  // Each has a config of its own.
  const left = [...enabled]
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let next = left.shift(); next; next = left.shift()) await run(next)
    }),
  )
})
