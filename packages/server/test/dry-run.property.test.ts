import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeServer } from './fake-database.js'

// A dry run that says something else than the request would be believed by whoever then makes the request.

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 60)
let server: Awaited<ReturnType<typeof fakeServer>>

beforeAll(async () => {
  server = await fakeServer()
  await server.cache.settled()
})
afterAll(() => server?.close())

const key = fc.constantFrom('a:1', 'a:2', 'b:1', 'b:2', 'ab', 'page(1)')
const keys = fc.array(key, { maxLength: 4 })
const tag = fc.constantFrom('red', 'blue')
const entry = fc.record({ key, tags: fc.uniqueArray(tag), reads: fc.uniqueArray(key, { maxLength: 2 }) })
const patterns = [
  ['*', 'glob'],
  ['a*', 'glob'],
  ['*:1', 'glob'],
  ['[ab]:?', 'glob'],
  ['a', 'prefix'],
  ['b:1', 'exact'],
  [':[12]$', 'regex'],
  ['^nothing', 'regex'],
] as const

const byName = fc
  .record({ keys, tags: fc.array(tag, { maxLength: 2 }), dependencies: keys })
  .filter(({ keys, tags, dependencies }) => keys.length + tags.length + dependencies.length > 0)
  .map(({ keys, ...rest }) => ({ path: '', body: { ...(keys.length > 0 ? { keys } : {}), ...rest } }))
const byPattern = fc
  .record({ by: fc.constantFrom(...patterns), among: fc.option(keys) })
  .map(({ by: [pattern, syntax], among }) => ({
    path: '/pattern',
    body: { pattern, syntax, ...(among === null ? {} : { cache_keys: among }) },
  }))

/** What both say, in an order that means nothing. */
function told({ status, mode, local, invalidated_count, keys, matched_keys, removed }: Record<string, unknown>) {
  return {
    status,
    mode,
    local,
    invalidated_count,
    keys,
    matched: (matched_keys as string[] | undefined)?.toSorted(),
    removed,
  }
}

test('a dry run says what the request then says', async () => {
  const { cache } = server
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 8 }),
      fc.oneof(byName, byPattern),
      fc.constantFrom('hard', 'soft'),
      fc.boolean(),
      async (entries, { path, body }, mode, isLocal) => {
        await cache.invalidate({ pattern: '*' })
        for (const { key, tags, reads } of entries) {
          const load = async () =>
            Promise.all(
              reads.filter((other) => other < key).map((other) => cache.get(other, () => other, { tags: ['read'] })),
            )
          await cache.get(key, load, { tags: [...tags, 'all'], grace: '1h' })
        }
        const url = `/api/invalidate${path}${isLocal ? '?local=true' : ''}`
        const dry = await server.post(url, { ...body, mode, dryRun: true })
        const done = await server.post(url, { ...body, mode })
        expect(dry.dry_run).toBe(true)
        expect(told(dry)).toEqual(told(done))
      },
    ),
    { numRuns: RUNS },
  )
}, 120_000)
