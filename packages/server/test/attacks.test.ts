import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACTIONS, type Action, hasRole, ROLES } from '../src/access/action.js'
import { CONFIG, fakeServer } from './fake-database.js'
import { startIssuer } from './issuer.js'

/**
 * What the OWASP API Security Top 10 (2023) names, for every route that the server has: the routes are those of its OpenAPI
 * document, and a test says that there are no others.
 */
let issuer: Awaited<ReturnType<typeof startIssuer>>
let server: Awaited<ReturnType<typeof fakeServer>>

interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly action: Action
  readonly hasBody: boolean
  readonly isStream: boolean
}
let operations: readonly Operation[]

beforeAll(async () => {
  issuer = await startIssuer()
  server = await fakeServer({ config: `${CONFIG}${issuer.config}limits: { requests: 100000000, patterns: 1000000 }\n` })
  await server.cache.settled()
  const document = (await server.app.inject({ url: '/api/openapi.json', headers: await bearer('admin', ['*']) })).json()
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Record<string, unknown>>).map(([method, operation]) => ({
      method: method.toUpperCase() as Operation['method'],
      path: path.replaceAll(/\{\w+\}/g, 'x'),
      action: operation['x-tidemark-action'] as Action,
      hasBody: operation['requestBody'] !== undefined,
      isStream: JSON.stringify(operation['responses']).includes('text/event-stream'),
    })),
  )
})

afterAll(async () => {
  await server?.close()
  issuer?.close()
})

async function bearer(role: string, tenants: readonly string[]): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await issuer.sign({ roles: [role], tenants })}` }
}

const ask = async (options: InjectOptions) => {
  const response = await server.app.inject(options)
  const text = response.body.replace(/"requestId":"[^"]*"/, '')
  return { status: response.statusCode, code: /"code":"(\w+)"/.exec(text)?.[1], text, headers: response.headers }
}

const to = ({ method, path }: Operation, headers: Record<string, string> = {}, query = ''): InjectOptions => ({
  method,
  url: `${path}${query}`,
  headers,
})

const inTenants = () => operations.filter(({ action }) => ACTIONS[action].reach === 'tenant')

describe('the routes', () => {
  it('are those of the OpenAPI document, each with what it does (API9)', () => {
    expect(operations.length).toBeGreaterThan(15)
    expect(operations.filter(({ action }) => !(action in ACTIONS))).toEqual([])
    const hidden = ['/api/openapi.json', '/api/resources/x', '/api/streams/x']
    const there = new Set([...operations.map(({ path }) => path), ...hidden])
    const found = pathsOf(server.app.printRoutes({ commonPrefix: false }))
    expect(found.filter((path) => !there.has(path))).toEqual([])
    expect([...there].filter((path) => !found.includes(path))).toEqual([])
  })
})

describe('every route', () => {
  it('asks who it is, unless it is open to anybody (API2)', async () => {
    const now = Math.floor(Date.now() / 1_000)
    const none = [
      {},
      { authorization: '' },
      { authorization: 'Bearer ' },
      { authorization: 'Basic YWRtaW46YWRtaW4=' },
      { authorization: `Bearer ${await issuer.sign({ exp: now - 60 })}` },
      { authorization: `Bearer tdm_0123456789abcdef_${'A'.repeat(43)}` },
      { cookie: 'token=1; session=admin', 'x-forwarded-user': 'admin', 'x-original-url': '/health' },
    ]
    for (const operation of operations) {
      if (ACTIONS[operation.action].reach === 'open') continue
      for (const headers of none) {
        const answer = await ask(to(operation, headers as Record<string, string>))
        expect([answer.status, answer.code], `${operation.method} ${operation.path}`).toEqual([
          401,
          'TIDEMARK_UNAUTHENTICATED',
        ])
      }
    }
  })

  it('is closed to roles that do not reach (API5)', async () => {
    for (const role of ROLES) {
      const headers = await bearer(role, ['*'])
      for (const operation of operations) {
        const { role: needed, reach } = ACTIONS[operation.action]
        if (hasRole([role], needed) || reach === 'open' || reach === 'known') continue
        expect((await ask(to(operation, headers))).code, `${role} ${operation.path}`).toBe('TIDEMARK_FORBIDDEN')
      }
    }
    const nothing = { authorization: `Bearer ${await issuer.sign({ roles: ['king'], tenants: ['*'] })}` }
    for (const operation of operations)
      if (!['open', 'known'].includes(ACTIONS[operation.action].reach))
        expect((await ask(to(operation, nothing))).code, operation.path).toBe('TIDEMARK_FORBIDDEN')
  })

  it('answers of a tenant of others as of one that nobody ever used (API1)', async () => {
    await server.cache.tenant('theirs').get('x', () => 1, { tags: ['t'] })
    const headers = await bearer('admin', ['mine'])
    expect(inTenants().length).toBeGreaterThan(3)
    for (const operation of inTenants()) {
      const answers = [
        await ask(to(operation, headers, '?tenant=theirs')),
        await ask(to(operation, headers, '?tenant=nobodys')),
        await ask(to(operation, { ...headers, 'tidemark-tenant': 'theirs' })),
        await ask(to(operation, headers)),
      ]
      for (const answer of answers) {
        expect([answer.status, answer.code], operation.path).toEqual([404, 'TIDEMARK_TENANT_UNKNOWN'])
        expect(answer.text).toBe(answers[0]!.text)
        const names = Object.keys(answer.headers).sort()
        expect(names).toEqual(Object.keys(answers[0]!.headers).sort())
      }
      const both = await ask(to(operation, { ...headers, 'tidemark-tenant': 'mine' }, '?tenant=theirs'))
      expect(both.status, operation.path).toBe(400)
      const twice = await ask(to(operation, headers, '?tenant=mine&tenant=theirs'))
      expect(twice.status, operation.path).toBe(400)
    }
    expect(server.cache.tenant('theirs').explain('x').stored).toBe(true)
  })

  it('of all tenants, or of `default`, is not there for who has another one (API1)', async () => {
    const headers = await bearer('admin', ['mine'])
    for (const operation of operations) {
      const { reach } = ACTIONS[operation.action]
      if (reach !== 'server' && reach !== 'default') continue
      for (const query of ['', '?tenant=mine'])
        expect((await ask(to(operation, headers, query))).status, operation.path).toBe(reach === 'server' ? 403 : 404)
    }
  })

  it('takes no property that it does not know (API3)', async () => {
    const headers = await bearer('admin', ['*'])
    for (const operation of operations.filter(({ isStream }) => !isStream)) {
      const surplus = await ask(to(operation, headers, '?is_admin=true'))
      expect(surplus.status, operation.path).toBe(operation.path === '/metrics' ? 200 : 400)
      if (!operation.hasBody) continue
      for (const body of [
        { roles: ['admin'] },
        { keys: ['x'], tenant: 'theirs' },
        { keys: ['x'], actor: 'root', by: { actor: 'root' } },
      ]) {
        const answer = await ask({ ...to(operation, headers), payload: body })
        // The short forms pass over what they do not know, as the clients that they are for may send it.
        if (answer.status === 200) {
          const { changes } = server.database.fake.log.commits.at(-1)!
          expect(changes).toMatchObject([{ targets: [{ tenant: 'default', key: 'x' }], by: { actor: 'ann' } }])
        }
        const isShort = operation.path.startsWith('/invalidate/') && 'keys' in body
        expect(answer.status, operation.path).toBe(isShort && operation.path.endsWith('key') ? 200 : 400)
      }
    }
  })

  it('refuses bodies that are too large, too deep, or reach for prototypes (API4)', async () => {
    const headers = { ...(await bearer('admin', ['*'])), 'content-type': 'application/json' }
    const deep = (depth: number) => `{"keys":${'['.repeat(depth)}${']'.repeat(depth)}}`
    const bodies = [
      ['x'.repeat(2 ** 20 + 1), 413],
      [deep(200), 400],
      [deep(300_000), 400],
      [`{"keys":["x"],"__proto__":{"isAdmin":true}}`, 400],
      [`{"keys":["x"],"constructor":{"prototype":{"isAdmin":true}}}`, 400],
      [`{"keys":["x"],"\\u005f_proto__":{"isAdmin":true}}`, 400],
      ['{"keys":', 400],
      ['\u0000', 400],
      ['null', 400],
    ] as const
    for (const operation of operations.filter(({ hasBody }) => hasBody)) {
      for (const [payload, status] of bodies)
        expect(
          (await ask({ ...to(operation, headers), payload })).status,
          `${operation.path} ${payload.slice(0, 40)}`,
        ).toBe(status)
    }
    expect(({} as { isAdmin?: boolean }).isAdmin).toBe(undefined)
  })

  it('says nothing of what it runs on, and lets no browser run or frame what it answers (API8)', async () => {
    const headers = await bearer('admin', ['*'])
    for (const operation of operations.filter(({ isStream }) => !isStream)) {
      for (const each of [headers, {}]) {
        const answer = await ask(to(operation, each))
        expect(answer.headers, operation.path).toMatchObject({
          'x-content-type-options': 'nosniff',
          'x-frame-options': 'DENY',
          'content-security-policy': expect.stringContaining("default-src 'none'"),
        })
        for (const name of ['server', 'x-powered-by', 'access-control-allow-origin', 'set-cookie'])
          expect(answer.headers[name], operation.path).toBe(undefined)
        expect(answer.text).not.toMatch(/node_modules|at \w+ \(|\.ts:\d+/)
      }
    }
  })

  it('answers nothing with 500, whatever is thrown at it', async () => {
    const headers = await bearer('admin', ['*'])
    const nasty = fc.oneof(
      fc.constantFrom(
        "' or 1=1 --",
        '../../etc/passwd',
        '\0',
        '{{7*7}}',
        '%',
        '%00',
        '<script>',
        '-1',
        '1e999',
        'NaN',
        '\r\nx: y',
        '*',
        '__proto__',
        '\ud800',
      ),
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ minLength: 2_000, maxLength: 4_000 }),
    )
    const value = fc.jsonValue({ maxDepth: 3 })
    const names = [
      'keys',
      'tags',
      'dependencies',
      'pattern',
      'syntax',
      'cache_keys',
      'mode',
      'request_id',
      'sql',
      'tenant',
      'id',
      'author',
      'cursor',
      'local',
      'min-position',
      'value',
      'ttl',
      'limit',
    ]
    const plain = operations.filter(({ isStream }) => !isStream)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...plain),
        fc.dictionary(fc.constantFrom(...names), nasty, { maxKeys: 4 }),
        fc.oneof(
          value,
          fc.dictionary(fc.constantFrom(...names), fc.oneof(value, nasty, fc.array(nasty)), { maxKeys: 4 }),
        ),
        nasty,
        async (operation, query, body, part) => {
          const search = new URLSearchParams(query)
          const url = `${operation.path.replace(/\/x$/, () => `/${encodeURIComponent(part.toWellFormed())}`)}?${search}`
          const answer = await ask({
            method: operation.method,
            url,
            headers: { ...headers, ...(operation.hasBody ? { 'content-type': 'application/json' } : {}) },
            ...(operation.hasBody ? { payload: JSON.stringify(body) } : {}),
          })
          expect(answer.status, `${operation.method} ${url} ${answer.text.slice(0, 200)}`).toBeLessThan(500)
        },
      ),
      {
        numRuns: Number(process.env['FC_RUNS'] ?? 400),
        ...(process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}),
      },
    )
  }, 120_000)
})

/** The paths of a tree of routes as it is printed; parameters are `x`. */
function pathsOf(tree: string): string[] {
  const above: string[] = []
  return tree.split('\n').flatMap((line) => {
    const [, indent, part] = /^([│ ]*)[├└]── (\S+)/.exec(line) ?? []
    if (indent === undefined || part === undefined) return []
    above.length = indent.length / 4
    const path = above.join('') + part
    above.push(part)
    return /\(/.test(line) ? [path.replaceAll(/:\w+/g, 'x')] : []
  })
}
