import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeServer } from './fake-database.js'

// The document might promise what the server does not do: a path that is not there, an example that is refused.

interface Operation {
  readonly parameters?: readonly { name: string; in: string; example?: unknown }[]
  readonly requestBody?: { readonly content: Record<string, Content> }
}

interface Content {
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}

let server: Awaited<ReturnType<typeof fakeServer>>
let paths: Record<string, Record<string, Operation>>

beforeAll(async () => {
  server = await fakeServer()
  await server.cache.settled()
  await server.cache.set('user:7', 1)
  await server.app.inject({
    method: 'POST',
    url: '/api/invalidate',
    payload: { keys: ['user:123', 'user:456'], request_id: 'req-100' },
  })
  const document = (await server.app.inject('/api/openapi.json')).json()
  expect((await new Validator().validate(document)).errors ?? []).toEqual([])
  paths = document.paths
})

afterAll(() => server.close())

const operations = () =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )

test('every body has examples, and each is answered as it should be', async () => {
  let count = 0
  for (const { path, method, operation } of operations()) {
    // Those of tokens need a database: tokens.test.ts sends them.
    if (!operation.requestBody || path === '/api/tokens') continue
    const examples = examplesOf(operation.requestBody.content['application/json']!)
    expect(examples.length, `${method} ${path}`).toBeGreaterThan(0)
    for (const payload of examples) {
      const url = withExamples(path, operation)
      const response = await server.app.inject({ method: method as 'POST', url, payload: payload as object })
      expect(response.statusCode, `${method} ${url} ${JSON.stringify(payload)}: ${response.body}`).toBe(200)
      count++
    }
  }
  expect(count).toBeGreaterThan(10)
})

test('what needs no body is answered with the examples of its parameters', async () => {
  for (const { path, method, operation } of operations()) {
    if (operation.requestBody || !path.startsWith('/api/') || method === 'HEAD') continue
    if (!/^\/api\/(cache|invalidat|metrics)/.test(path)) continue
    await server.cache.set('user:7', 1)
    const url = withExamples(path, operation)
    const response = await server.app.inject({ method: method as 'GET', url })
    expect(response.statusCode, `${method} ${url}: ${response.body}`).toBe(200)
  }
})

function examplesOf({ example, examples = {} }: Content): unknown[] {
  return example === undefined ? Object.values(examples).map(({ value }) => value) : [example]
}

function withExamples(path: string, { parameters = [] }: Operation): string {
  const example = (name: string) => String(parameters.find((each) => each.name === name)?.example)
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(example(name)))
  const query = parameters
    .filter((each) => each.in === 'query' && each.example !== undefined)
    .map(({ name }) => `${name}=${encodeURIComponent(example(name))}`)
  return query.length > 0 ? `${filled}?${query.join('&')}` : filled
}
