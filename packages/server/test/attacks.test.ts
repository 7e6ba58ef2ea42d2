import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACTIONS, hasRole, ROLES } from '../src/access/action.js'
import { Browser } from './browser.js'
import { fullServer } from './full-server.js'
import type { Answered, Operation, Sent } from './openapi-fuzz.js'
import { examplesOf, Judge, operationsOf, requestOf, spoiltOf } from './openapi-fuzz.js'
import { until } from './until.js'

/**
 * What the OWASP API Security Top 10 (2023) names, for every route that the server has: the routes are those of its OpenAPI
 * document, and a test says that there are no others.
 */
let server: Awaited<ReturnType<typeof fullServer>>
let operations: readonly Operation[]

beforeAll(async () => {
  server = await fullServer('limits: { requests: 100000000, patterns: 1000000 }\n')
  const headers = await server.bearer('admin', ['*'])
  operations = operationsOf((await server.app.inject({ url: '/api/openapi.json', headers })).json())
}, 60_000)

afterAll(() => server?.close())

const bearer = (role: string, tenants: readonly string[]) => server.bearer(role, tenants)

const ask = async (options: InjectOptions) => {
  const response = await server.app.inject(options)
  const text = response.body.replace(/"requestId":"[^"]*"/, '')
  return { status: response.statusCode, code: /"code":"(\w+)"/.exec(text)?.[1], text, headers: response.headers }
}

/** In a tenant, where the path names one. */
const pathOf = ({ path }: Operation, tenant = 'default') => path.replace('{tenant}', tenant).replace(/\{[\w*]+\}/g, 'x')

const to = (operation: Operation, headers: Record<string, string> = {}, query = '', tenant?: string) =>
  ({ method: operation.method, url: `${pathOf(operation, tenant)}${query}`, headers }) satisfies InjectOptions

const nameOf = ({ method, path }: Operation) => `${method} ${path}`
/** As the server has it. */
const routeOf = (operation: Operation) =>
  nameOf(operation)
    .replace(/\{(\w+)\}/g, ':$1')
    .replace('{*}', '*')
const hasBody = ({ body }: Operation) => Object.keys(body).length > 0
const isOfTree = ({ path }: Operation) => path.includes('{tenant}')
const reachOf = ({ action }: Operation) => ACTIONS[action].reach

describe('the routes', () => {
  it('are those of the OpenAPI document, each with what it does (API9)', () => {
    expect(operations.length).toBeGreaterThan(50)
    expect(operations.filter(({ action }) => !(action in ACTIONS))).toEqual([])
    const others = ['GET /socket.io/', 'POST /socket.io/'] // a protocol of its own
    const hidden = ['GET /api/openapi.json', 'GET /api/resources/:name', 'GET /api/streams/:name', ...others]
    expect([...server.routes].sort()).toEqual([...operations.map(routeOf), ...hidden].sort())
  })

  it('say how much they take at most (API4)', () => {
    for (const operation of operations) {
      for (const { name, schema } of operation.parameters)
        if (/^(?:limit|offset|depth)$/.test(name))
          expect(Object.keys(schema), `${nameOf(operation)} ${name}`).toEqual(
            expect.arrayContaining([schema.type === 'string' ? 'pattern' : 'maximum']),
          )
      const schemas = Object.values(operation.body).map(({ schema }) => JSON.stringify(schema))
      const unbounded = schemas.flatMap(
        (text) => text.match(/\{(?!"maxItems")(?:"minItems":\d+,)?"type":"array"/g) ?? [],
      )
      expect(unbounded, nameOf(operation)).toEqual([])
    }
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
      { authorization: `Bearer ${await server.issuer.sign({ exp: now - 60 })}` },
      { authorization: `Bearer tdm_0123456789abcdef_${'A'.repeat(43)}` },
      { cookie: 'token=1; session=admin', 'x-forwarded-user': 'admin', 'x-original-url': '/health' },
    ]
    for (const operation of operations) {
      if (reachOf(operation) === 'open') continue
      for (const headers of none) {
        const answer = await ask(to(operation, headers as Record<string, string>))
        expect([answer.status, answer.code], nameOf(operation)).toEqual([401, 'TIDEMARK_UNAUTHENTICATED'])
      }
    }
  })

  it('is closed to roles that do not reach (API5)', async () => {
    for (const role of ROLES) {
      const headers = await bearer(role, ['*'])
      for (const operation of operations) {
        const { role: needed, reach } = ACTIONS[operation.action]
        if (hasRole([role], needed) || reach === 'open' || reach === 'known') continue
        expect((await ask(to(operation, headers))).code, `${role} ${nameOf(operation)}`).toBe('TIDEMARK_FORBIDDEN')
      }
    }
    const nothing = await bearer('king', ['*'])
    for (const operation of operations)
      if (!['open', 'known'].includes(reachOf(operation)))
        expect((await ask(to(operation, nothing))).code, nameOf(operation)).toBe('TIDEMARK_FORBIDDEN')
  })

  it('answers of a tenant of others as of one that nobody ever used (API1)', async () => {
    await server.cache.tenant('theirs').get('x', () => 1, { tags: ['t'] })
    const all = await bearer('admin', ['*'])
    const document = { 'content-type': 'application/json' }
    await ask({
      method: 'PUT',
      url: '/api/trees/theirs/x',
      headers: { ...all, ...document },
      payload: '{"x":"theirs"}',
    })
    const headers = await bearer('admin', ['mine'])
    const inTenants = operations.filter((each) => reachOf(each) === 'tenant')
    expect(inTenants.length).toBeGreaterThan(40)
    for (const operation of inTenants) {
      const asked = isOfTree(operation)
        ? [to(operation, headers, '', 'theirs'), to(operation, headers, '', 'nobodys')]
        : [
            to(operation, headers, '?tenant=theirs'),
            to(operation, headers, '?tenant=nobodys'),
            to(operation, { ...headers, 'tidemark-tenant': 'theirs' }),
          ]
      const answers = await Promise.all([...asked, to(operation, headers)].map(ask))
      for (const answer of answers) {
        expect([answer.status, answer.code], nameOf(operation)).toEqual([404, 'TIDEMARK_TENANT_UNKNOWN'])
        expect(answer.text).toBe(answers[0]!.text)
        expect(Object.keys(answer.headers).sort()).toEqual(Object.keys(answers[0]!.headers).sort())
      }
      const mixed = [
        to(operation, { ...headers, 'tidemark-tenant': 'mine' }, '?tenant=theirs', 'mine'),
        to(operation, { ...headers, 'tidemark-tenant': 'theirs' }, '?tenant=mine', 'mine'),
        to(operation, headers, '?tenant=mine&tenant=theirs', 'mine'),
      ]
      for (const each of mixed) expect((await ask(each)).status, `${nameOf(operation)} ${each.url}`).toBe(400)
    }
    expect(server.cache.tenant('theirs').explain('x').stored).toBe(true)
  })

  it('of all tenants, or of `default`, is not there for who has another one (API1)', async () => {
    const headers = await bearer('admin', ['mine'])
    for (const operation of operations) {
      const reach = reachOf(operation)
      if (reach !== 'server' && reach !== 'default') continue
      for (const query of ['', '?tenant=mine'])
        expect((await ask(to(operation, headers, query))).status, nameOf(operation)).toBe(
          reach === 'server' ? 403 : 404,
        )
    }
  })

  it('finds nothing of others by the id that it has there, nor by what refers to it (API1)', async () => {
    const all = { ...(await bearer('admin', ['*'])), 'content-type': 'application/json' }
    const mine = { ...(await bearer('admin', ['mine'])), 'tidemark-tenant': 'mine', 'content-type': 'application/json' }
    const token = { name: 'theirs', roles: ['viewer'], tenants: ['theirs'] }
    const made = await ask({ method: 'POST', url: '/api/tokens', headers: all, payload: token })
    const { id } = JSON.parse(made.text)
    const theirs = { keys: ['x'], request_id: 'of-theirs' }
    await ask({ method: 'POST', url: '/api/invalidate?tenant=theirs', headers: all, payload: theirs })
    const same = async (...asked: readonly InjectOptions[]) => {
      const [there, absent] = await Promise.all(asked.map((each) => ask({ headers: mine, ...each })))
      expect(there!.status).toBeGreaterThanOrEqual(400)
      expect([there!.status, there!.text.replaceAll('theirs', 'nobody')]).toEqual([absent!.status, absent!.text])
    }
    await same(
      { method: 'DELETE', url: `/api/tokens/${id}` },
      { method: 'DELETE', url: '/api/tokens/0123456789abcdef' },
    )
    await same({ url: '/api/invalidations/of-theirs' }, { url: '/api/invalidations/of-nobody' })
    const base = (tenant: string) =>
      ({ method: 'PUT', url: '/api/trees/mine/x/~base', payload: { tenant, config: 'x' } }) as const
    await ask({ method: 'PUT', url: '/api/trees/mine/x', headers: mine, payload: '{}' })
    await same(base('theirs'), base('nobody'))
    const lists = [
      '/api/tokens',
      '/api/cache/keys',
      '/api/journal',
      '/audit/logs',
      '/api/trees/mine',
      '/api/trees/mine/~nodes',
    ]
    for (const url of lists) expect((await ask({ url, headers: mine })).text, url).not.toContain('theirs')
    for (const scope of ['source', 'all'])
      for (const url of ['/api/journal', '/api/journal/verify'])
        expect((await ask({ url: `${url}?scope=${scope}`, headers: mine })).code).toBe('TIDEMARK_FORBIDDEN')
  })

  it('takes no property that it does not know (API3)', async () => {
    const headers = await bearer('admin', ['*'])
    for (const operation of operations.filter(({ isStream }) => !isStream)) {
      const surplus = await ask(to(operation, headers, '?is_admin=true'))
      expect(surplus.status, nameOf(operation)).toBe(operation.path === '/metrics' ? 200 : 400)
      // A document may hold anything.
      if (!hasBody(operation) || isOfTree(operation)) continue
      const bodies = [
        { roles: ['admin'] },
        { keys: ['x'], tenant: 'theirs' },
        { keys: ['x'], actor: 'root', by: { actor: 'root' } },
        { name: 'x', roles: ['viewer'], tenants: ['mine'], id: '0123456789abcdef', token: 'tdm_x' },
      ]
      for (const body of bodies) {
        const answer = await ask({ ...to(operation, headers), payload: body })
        const isShort = operation.path === '/invalidate/key' && 'keys' in body
        expect(answer.status, nameOf(operation)).toBe(isShort ? 200 : 400)
        // The short forms pass over what they do not know, as the clients that they are for may send it.
        if (isShort) {
          const { request_id } = JSON.parse(answer.text)
          const record = async () =>
            JSON.parse((await ask({ url: `/api/journal?request_id=${request_id}&origin=request`, headers })).text)
              .records[0]
          await until(async () => (await record()) !== undefined)
          expect(await record()).toMatchObject({ tenant: 'default', keys: ['x'], triggered_by: 'ann' })
        }
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
    // Documents of trees: tree-attacks.test.ts.
    for (const operation of operations.filter((each) => hasBody(each) && !isOfTree(each))) {
      for (const [payload, status] of bodies) {
        const answer = await ask({ ...to(operation, headers), payload })
        expect(answer.status, `${nameOf(operation)} ${payload.slice(0, 40)}`).toBe(status)
      }
    }
    expect(({} as { isAdmin?: boolean }).isAdmin).toBe(undefined)
  })

  it('asks no address that a request names (API7)', async () => {
    let asked = 0
    const canary = createServer((_, response) => {
      asked++
      response.end('{"keys":[],"type":"object"}')
    })
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(canary.address() as AddressInfo).port}/x.json`
    const headers = { ...(await bearer('admin', ['*'])), 'content-type': 'application/json' }
    try {
      for (const header of ['jku', 'x5u']) {
        const token = await server.issuer.sign({ roles: ['admin'] }, undefined, { [header]: address, kid: 'another' })
        const answer = await ask({ url: '/api/cluster', headers: { authorization: `Bearer ${token}` } })
        expect(answer.status, header).toBe(401)
      }
      for (const operation of operations.filter(({ isStream }) => !isStream)) {
        const names = operation.parameters.filter((each) => each.in === 'query').map(({ name }) => name)
        const query = names.map((name) => `${name}=${encodeURIComponent(address)}`).join('&')
        await ask({ ...to(operation, { ...headers, 'x-forwarded-host': address, referer: address }, `?${query}`) })
        if (!hasBody(operation)) continue
        for (const payload of [{ $ref: address }, { $schema: address, $id: address }, { value: { $ref: address } }])
          await ask({ ...to(operation, headers), payload })
      }
      expect(asked).toBe(0)
    } finally {
      canary.close()
    }
  })

  it('says nothing of what it runs on, and lets no browser run or frame what it answers (API8)', async () => {
    const headers = await bearer('admin', ['*'])
    for (const operation of operations.filter(({ isStream }) => !isStream)) {
      for (const each of [headers, {}]) {
        const answer = await ask(to(operation, each))
        expect(answer.headers, nameOf(operation)).toMatchObject({
          'x-content-type-options': 'nosniff',
          'x-frame-options': 'DENY',
          'content-security-policy': expect.stringContaining("default-src 'none'"),
        })
        const isSignIn = operation.path === '/auth/sign-in'
        for (const name of [
          'server',
          'x-powered-by',
          'access-control-allow-origin',
          ...(isSignIn ? [] : ['set-cookie']),
        ])
          expect(answer.headers[name], nameOf(operation)).toBe(undefined)
        expect(answer.text).not.toMatch(/node_modules|at \w+ \(|\.ts:\d+/)
      }
    }
  })
})

describe('every answer is one that the document has', () => {
  const judge = new Judge()
  /** What was answered well at least once. */
  const good = new Set<string>()
  let admin: Record<string, string>

  const send = async (operation: Operation, sent: Sent): Promise<Answered> => {
    const headers = { ...admin, ...sent.headers }
    if (!operation.isStream) {
      const answer = await server.app.inject({ ...sent, headers })
      return { status: answer.statusCode, headers: answer.headers, text: answer.body }
    }
    const left = new AbortController()
    const answer = await fetch(server.url + sent.url, { headers, signal: left.signal })
    const text = answer.ok ? '' : await answer.text()
    left.abort()
    return { status: answer.status, headers: Object.fromEntries(answer.headers), text }
  }

  const check = async (operation: Operation, sent: Sent): Promise<void> => {
    const answer = await send(operation, sent)
    const route = answer.headers['x-route']
    const isIts = (each: Operation) => routeOf(each) === `${sent.method} ${route}`
    const answered = route === undefined ? operation : operations.find(isIts)
    if (answered && answer.status < 400) good.add(nameOf(answered))
    const what = `${sent.method} ${sent.url.slice(0, 200)} ${sent.payload?.slice(0, 200)}: ${answer.text.slice(0, 300)}`
    expect(judge.faultsOf(answered, answer), what).toEqual([])
  }

  beforeAll(async () => {
    admin = await bearer('admin', ['*'])
  })

  it('where its examples are sent', async () => {
    const order = ['POST', 'PUT', 'PATCH', 'GET', 'DELETE']
    // A node is deleted before its config.
    const sorted = [...operations].sort(
      (a, b) => order.indexOf(a.method) - order.indexOf(b.method) || b.path.length - a.path.length,
    )
    // What the first time makes is there the second time.
    for (const _ of [1, 2])
      for (const operation of sorted) for (const sent of examplesOf(operation)) await check(operation, sent)
    // What is put just after a change of its key may not be kept.
    const put = { method: 'PUT', url: '/api/cache/kept', headers: admin, payload: { value: 1 } } as const
    await expect.poll(async () => (await server.app.inject(put)).json().kept, { timeout: 45_000 }).toBe(true)
    const got = operations.find(({ method, path }) => method === 'GET' && path === '/api/cache/{key}')!
    await check(got, { method: 'GET', url: put.url, headers: {} })
    const payload = { name: 'x', roles: ['viewer'], tenants: 'all' }
    const made = await server.app.inject({ method: 'POST', url: '/api/tokens', headers: admin, payload })
    const revoked = operations.find(({ path }) => path === '/api/tokens/{id}')!
    await check(revoked, { method: 'DELETE', url: `/api/tokens/${made.json().id}`, headers: {} })
    const browser = new Browser()
    const isBack = (next: string) => next.startsWith(`${server.url}/auth/callback`)
    const stopped = await browser.signIn(`${server.url}/auth/sign-in`, 'ann', isBack)
    const back = new URL(stopped.headers.get('location')!, stopped.url)
    await check(operations.find(({ path }) => path === '/auth/callback')!, {
      method: 'GET',
      url: back.pathname + back.search,
      headers: { cookie: browser.cookieFor(back.href), host: back.host },
    })
    const { sessions } = (await server.app.inject({ url: '/api/sessions', headers: admin })).json()
    const ended = operations.find(({ path }) => path === '/api/sessions/{id}')!
    await check(ended, { method: 'DELETE', url: `/api/sessions/${sessions[0].id}`, headers: {} })
    for (const name of ['resources', 'streams']) {
      const read = operations.find(({ path }) => path === `/api/${name}/post`)!
      const feed = operations.find(({ path }) => path === `/api/${name}/feed`)!
      await check(read, { method: 'GET', url: `/api/${name}/post?id=1`, headers: {} })
      await check(feed, { method: 'GET', url: `/api/${name}/feed?author=1`, headers: {} })
    }
    for (const format of ['csv', 'ndjson'])
      await check(operations.find(({ path }) => path === '/api/journal')!, {
        method: 'GET',
        url: `/api/journal?scope=all&format=${format}`,
        headers: {},
      })
    expect(operations.map(nameOf).filter((name) => !good.has(name))).toEqual([])
    // PostgreSQL has no text with NUL.
    for (const operation of sorted) for (const sent of spoiltOf(operation, 'a\0b')) await check(operation, sent)
  }, 60_000)

  it('whatever is sent: missing, wrong, huge, hostile', async () => {
    const asked = fc
      .constantFrom(...operations)
      .chain((operation) => requestOf(operation).map((sent) => ({ operation, sent })))
    await fc.assert(
      fc.asyncProperty(asked, ({ operation, sent }) => check(operation, sent)),
      {
        numRuns: Number(process.env['FC_RUNS'] ?? 1_000),
        ...(process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}),
      },
    )
    expect((await server.app.inject('/health')).statusCode).toBe(200)
    expect(({} as { x?: unknown }).x).toBe(undefined)
  }, 120_000)
})
