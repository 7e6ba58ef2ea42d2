import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeServer } from './fake-database.js'

// Somebody sends what no client of ours would: parts missing, of other types, huge, nested, hostile. Every answer must be one that the
// document knows: JSON, below 500, and problems as problems; and the server must go on.

const RUNS = Number(process.env.TIDEMARK_RUNS ?? 400)

let server: Awaited<ReturnType<typeof fakeServer>>

beforeAll(async () => {
  server = await fakeServer({
    config: 'invalidation: { appliedMax: 20s }\nresources: { posts: { sql: select * from posts } }',
  })
  await server.cache.settled()
})

afterAll(() => server.close())

const nasty = fc.constantFrom(
  '',
  '*',
  '**********a',
  '[',
  '(a+)+$',
  '(?=a)',
  '\\',
  '..',
  '../../etc/passwd',
  '%00',
  'a\u0000b',
  'a\r\nset-cookie: x=1',
  '\ud800',
  '__proto__',
  'constructor',
  "'; drop table posts; --",
  '<script>alert(1)</script>',
  '=cmd|calc',
  '😀'.repeat(300),
  'x'.repeat(1_024),
  'x'.repeat(20_000),
  '1e400',
  '-1',
  '9007199254740993',
  '0/1',
  'fake-1:FFFFFFFF/FFFFFFFF',
  'fake-1:0/0~1',
)
const text = fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 50 }))
const scalar = fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null))
const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 5 }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 5 }) },
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 10_001 }, String)) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3_000 }).map(nest) },
)
const FIELDS = [
  'keys',
  'tags',
  'dependencies',
  'pattern',
  'syntax',
  'cache_keys',
  'mode',
  'dryRun',
  'request_id',
  'cause',
  'triggered_by',
  'value',
  'ttl',
  'as_of',
  'entries',
  'surplus',
] as const
const right: Record<string, fc.Arbitrary<unknown>> = {
  keys: fc.array(text, { minLength: 1, maxLength: 5 }),
  pattern: text,
  value: value,
  entries: fc.array(fc.record({ key: text, value }), { minLength: 1, maxLength: 3 }),
  syntax: fc.constantFrom('glob', 'regex', 'exact', 'prefix', 'suffix'),
  cache_keys: fc.array(text, { maxLength: 5 }),
}
const field = (name: string) => fc.oneof(right[name] ?? value, value)
const body = fc.oneof(
  fc.record(Object.fromEntries(FIELDS.map((name) => [name, field(name)])), { requiredKeys: [] }).chain(some),
  value,
)
const query = fc.dictionary(
  fc.constantFrom(
    'tenant',
    'local',
    'dryRun',
    'keys',
    'tags',
    'pattern',
    'syntax',
    'cursor',
    'limit',
    'sort',
    'search',
    'x',
  ),
  text,
  { maxKeys: 3 },
)
const headers = fc.dictionary(
  fc.constantFrom('tidemark-tenant', 'idempotency-key', 'if-match', 'if-none-match', 'content-type', 'accept'),
  fc.oneof(
    fc.constantFrom('application/json', 'text/plain', '"a"', '*', '""', 'x'.repeat(300)),
    fc.string({ maxLength: 20 }),
  ),
  { maxKeys: 2 },
)
const routes = [
  'POST /api/invalidate',
  'POST /api/invalidate/pattern',
  'GET /api/invalidate/preview',
  'GET /api/invalidations/:key',
  'POST /invalidate/key',
  'POST /invalidate/pattern',
  'GET /invalidate/metrics',
  'GET /api/cache/:key',
  'PUT /api/cache/:key',
  'DELETE /api/cache/:key',
  'GET /api/cache/keys',
  'POST /api/cache/batch/get',
  'POST /api/cache/batch/put',
  'POST /api/cache/batch/delete',
  'GET /api/metrics',
]

test('whatever is sent, no answer says that the server failed', async () => {
  const statuses: Record<string, number> = {}
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      text,
      query,
      headers,
      body,
      async (route, key, asked, sent, payload) => {
        const [method, path = ''] = route.split(' ')
        const search = Object.entries(asked).map(([name, item]) => `${name}=${escaped(item)}`)
        const response = await server.app.inject({
          method: method as 'GET',
          url: `${path.replace(':key', escaped(key))}?${search.join('&')}`,
          headers: { ...(method === 'GET' ? {} : { 'content-type': 'application/json' }), ...clean(sent) },
          ...(method === 'GET' ? {} : { payload: JSON.stringify(payload) ?? 'null' }),
        })
        const where = `${response.statusCode} ${response.body.slice(0, 300)}`
        expect(response.statusCode, where).toBeLessThan(500)
        statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1
        if (response.statusCode === 304) return
        expect(response.headers['content-type'], where).toMatch(/^application\/(problem\+)?json/)
        if (response.statusCode >= 400) {
          const problem = response.json()
          expect(problem, where).toMatchObject({
            status: response.statusCode,
            code: expect.stringMatching(/^TIDEMARK_/),
          })
          expect(response.headers['content-type']).toMatch(/problem/)
          expect(problem.detail).not.toMatch(/\/src\/|node_modules| at .*\.[jt]s:/)
        }
        expect(Object.keys(response.headers)).not.toContain('set-cookie')
      },
    ),
    { numRuns: RUNS },
  )
  // Some of it must have been let in, or nothing was tried.
  expect(statuses['200']).toBeGreaterThan(RUNS / 50)
  expect((await server.app.inject('/health')).statusCode).toBe(200)
  expect(({} as { x?: unknown }).x).toBe(undefined)
})

function nest(depth: number): unknown {
  let nested: unknown = 1
  for (let i = 0; i < depth; i++) nested = [nested]
  return nested
}

/** A few of the fields: all at once are refused for the first that is surplus. */
function some(fields: Record<string, unknown>): fc.Arbitrary<unknown> {
  const names = Object.keys(fields)
  const sets = [
    ['keys'],
    ['pattern'],
    ['pattern', 'syntax'],
    ['pattern', 'cache_keys'],
    ['value'],
    ['entries'],
    ['keys', 'mode'],
    names,
  ]
  return fc
    .constantFrom(...sets)
    .map((chosen) => Object.fromEntries(chosen.filter((name) => name in fields).map((name) => [name, fields[name]])))
}

function escaped(item: string): string {
  return item.isWellFormed() ? encodeURIComponent(item) : '%ff%zz'
}

/** What no HTTP client can send. */
function clean(sent: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(sent).filter(([, item]) => /^[\t\x20-\x7e]*$/.test(item)))
}
