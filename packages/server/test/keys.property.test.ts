import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeServer } from './fake-database.js'

// How it might be wrong: a key comes back as another one, or two pairs of tenant and key are one entry, as `a:b` with `c` and `a` with `b:c`.

let server: Awaited<ReturnType<typeof fakeServer>>

beforeAll(async () => {
  server = await fakeServer({ config: 'invalidation: { appliedMax: 20s }\nresources: {}' })
  await server.cache.settled()
})

afterAll(() => server.close())

const special = fc.constantFrom(
  'a',
  'b',
  ':',
  '{',
  '}',
  '/',
  '%',
  '?',
  '#',
  '(',
  ')',
  '"',
  '\\',
  '\0',
  ' ',
  'é',
  '😀',
  '..',
  '\r\n',
)
const text = fc.array(fc.oneof(special, fc.string({ unit: 'binary', maxLength: 3 })), { minLength: 1, maxLength: 8 })
const key = fc
  .oneof(
    text.map((parts) => parts.join('')),
    fc.constantFrom('x'.repeat(1_024), '😀'.repeat(256)),
  )
  .filter((each) => each !== '' && each !== '.' && each !== '..' && !['keys', 'batch'].includes(each))
const tenant = fc
  .array(fc.constantFrom('a', 'b', ':', '{', '}', 'é', '/'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join(''))

test('each pair of tenant and key is an entry of its own, and keys come back byte for byte', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(tenant, key), { minLength: 1, maxLength: 4, selector: JSON.stringify }),
      async (pairs) => {
        const url = ([owner, name]: readonly [string, string]) =>
          `/api/cache/${encodeURIComponent(name)}?tenant=${encodeURIComponent(owner)}`
        for (const [n, pair] of pairs.entries()) {
          const put = await server.app.inject({ method: 'PUT', url: url(pair), payload: { value: n } })
          expect([put.statusCode, put.json().key], JSON.stringify(pair)).toEqual([200, pair[1]])
        }
        for (const [n, pair] of pairs.entries()) {
          expect((await server.app.inject(url(pair))).body, JSON.stringify(pair)).toBe(String(n))
          const list = await server.app.inject(`/api/cache/keys?limit=1000&tenant=${encodeURIComponent(pair[0])}`)
          expect(list.json().keys.map((each: { key: string }) => each.key)).toContain(pair[1])
        }
        for (const pair of pairs) {
          await server.app.inject({ method: 'DELETE', url: url(pair) })
          expect((await server.app.inject(url(pair))).statusCode, JSON.stringify(pair)).toBe(404)
        }
      },
    ),
    { numRuns: Number(process.env['FC_RUNS'] ?? 60) },
  )
})
