import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig, type Running, serve } from '../src/index.js'
import { BOUND, CONFIG, SCHEMA, sql, temporaryFolder } from './serving.js'

let database: TestDatabase
let server: Running
let folder: ReturnType<typeof temporaryFolder>

beforeAll(async () => {
  database = await testDatabase({ settings: {} })
  await sql(database.url, SCHEMA)
  folder = temporaryFolder()
  const config = parseConfig(
    `source: { url: "${database.url}", slot: tidemark_shared }\n${CONFIG}`,
    'tidemark.yaml',
    {},
  )
  server = await serve({ config, port: 0, env: {}, dataDir: folder.path, signals: false, logLevel: 'silent' })
  await until(async () => (await json('/api/journal?scope=source&origin=start')).records.length === 1)
})
afterAll(async () => {
  await server?.close()
  await database?.drop()
  folder?.remove()
})

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into
async function json(path: string): Promise<any> {
  return (await fetch(`${server.url}${path}`)).json()
}

async function invalidate(body: object, path = '/invalidate/key'): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(response.status).toBe(200)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`never: ${JSON.stringify(await json('/health'))}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('a request is in the journal with who asked, its id, and what it took', BOUND, async () => {
  await invalidate({ keys: ['user:123', '=cmd|calc'], triggered_by: 'admin', request_id: 'req-001' })
  await until(async () => (await json('/api/journal?request_id=req-001')).records[0]?.latency_ms > 0)
  const { records } = await json('/api/journal?request_id=req-001')
  expect(records).toMatchObject([
    { tenant: 'default', origin: 'request', keys: ['user:123', '=cmd|calc'], request_id: 'req-001', mode: 'drop' },
  ])
  expect(records[0].triggered_by).toContain('admin')
  const logs = await json('/audit/logs?limit=1&offset=0')
  expect(logs).toMatchObject({
    total_count: 1,
    has_more: false,
    logs: [{ keys: ['user:123', '=cmd|calc'], request_id: 'req-001' }],
  })
  expect(logs.logs[0].latency).toBeGreaterThan(0)
})

test(
  'a pattern that was looked for among given keys is recorded, and so are the keys that it matched',
  BOUND,
  async () => {
    const asked = { pattern: 'user:5:*', cache_keys: ['user:5:a', 'user:6:a', 'user:5:b'], request_id: 'among' }
    await invalidate(asked, '/invalidate/pattern')
    const regex = { pattern: '^order:\\d$', syntax: 'regex', cache_keys: ['order:1', 'order:x'], request_id: 'among-2' }
    await invalidate(regex, '/api/invalidate/pattern')
    await invalidate({ pattern: 'none:*', cache_keys: ['order:1'] }, '/invalidate/pattern')
    await until(async () => (await json('/api/journal?target=none:*')).records.length === 1)
    expect((await json('/api/journal?target=none:*')).records).toMatchObject([
      { pattern: 'none:*', keys: [], tags: [], origin: 'request' },
    ])
    await until(async () => (await json('/api/journal?target=^order:\\d$')).records.length === 1)
    expect((await json('/api/journal?target=user:5:*')).records).toMatchObject([
      { pattern: 'user:5:*', keys: ['user:5:a', 'user:5:b'], detail: { keys: 2 } },
    ])
    expect((await json('/audit/logs?limit=3')).logs.slice(1)).toMatchObject([
      { pattern: '^order:\\d$', keys: ['order:1'], request_id: 'among-2' },
      { pattern: 'user:5:*', keys: ['user:5:a', 'user:5:b'], request_id: 'among' },
    ])
  },
)

test(
  'an id whose claim came too late is answered for, and one that was given up can be claimed again',
  BOUND,
  async () => {
    const table = 'tidemark_journal.requests'
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      const answers = async (id: string) =>
        (await client.query(`select answer from ${table} where id = $1 and answer is not null`, [id])).rows
      // On a slow machine the claim may not only be late, but be cut off: then it is tried again.
      let told = 0
      for (let i = 0; told === 0; i++) {
        expect(i).toBeLessThan(20)
        await client.query(`begin; lock table ${table} in access exclusive mode`)
        // The request does not wait for the claim, which waits for the lock.
        await invalidate({ keys: ['late'], request_id: `late-${i}` })
        await client.query('commit')
        for (const end = Date.now() + 1_000; told === 0 && Date.now() < end; )
          told = (await answers(`late-${i}`)).length
      }
      // As a claim that reached the database after its process had given it up.
      await client.query(
        `insert into ${table} select tenant, 'left', fingerprint, process, now() from ${table} where answer is not null limit 1`,
      )
      await invalidate({ keys: ['other'], request_id: 'left' })
    } finally {
      await client.end()
    }
    await until(async () => (await json('/api/journal?request_id=left&origin=request')).records.length === 1)
  },
)

test('filters narrow it, and a cursor leads through all of it', BOUND, async () => {
  for (let i = 0; i < 7; i++) await invalidate({ keys: [`page:${i}`], request_id: `page-${i}` })
  await until(async () => (await json('/api/journal?target=page:6')).records.length === 1)
  const seen: string[] = []
  let cursor = ''
  do {
    const page = await json(`/api/journal?origin=request&limit=3${cursor && `&cursor=${cursor}`}`)
    seen.push(...page.records.map(({ request_id }: { request_id: string }) => request_id))
    cursor = page.cursor
  } while (cursor)
  expect(seen.filter((id) => id.startsWith('page-'))).toEqual([6, 5, 4, 3, 2, 1, 0].map((i) => `page-${i}`))
  expect((await json('/api/journal?tenant=another')).records).toEqual([])
  expect((await json('/api/journal?to=2001-01-01T00:00:00Z')).records).toEqual([])
  expect((await fetch(`${server.url}/api/journal?origin=nothing`)).status).toBe(400)
})

test(
  'what an invalidation takes is filled again at the pace that was asked for, and its answer says how far that is',
  BOUND,
  async () => {
    const read = async (id: number) =>
      (await fetch(`${server.url}/api/resources/post?id=${id}`)).headers.get('cache-status') ?? ''
    for (const id of [1, 2, 3]) await until(async () => (await read(id)).includes('from=l1'))
    const headers = { 'content-type': 'application/json' }
    const pattern = { pattern: 'post(*', refill: { perSecond: 100, concurrency: 2 }, request_id: 'again' }
    const response = await fetch(`${server.url}/api/invalidate/pattern`, {
      method: 'POST',
      headers,
      body: JSON.stringify(pattern),
    })
    expect(await response.json()).toMatchObject({ removed: { l1: 3 }, refill: { loads: 3, unmeasured: 0, unknown: 0 } })
    await until(async () => !(await json('/api/invalidations/again')).refill.running)
    expect((await json('/api/invalidations/again')).refill).toMatchObject({ filled: 3, failed: 0 })
    for (const id of [1, 2, 3]) expect(await read(id)).toContain('from=l1')
    // Asked again it is the same request, and was filled again once.
    await invalidate(pattern, '/api/invalidate/pattern')
    const refills = '/api/journal?request_id=again&origin=refill'
    await until(async () => (await json(refills)).records.length > 0)
    const { records } = await json(refills)
    const [asked] = (await json('/api/journal?request_id=again&origin=request')).records
    expect(records).toMatchObject([
      {
        tenant: 'default',
        position: asked.position,
        triggered_by: asked.triggered_by,
        detail: { loads: 3, filled: 3, failed: 0 },
      },
    ])
    expect(records[0].latency_ms).toBeGreaterThan(0)
    // How long the invalidation itself took is not how long the refill did.
    const [effect] = (await json(`/api/journal?origin=effect&position=${encodeURIComponent(asked.position)}`)).records
    expect(asked.latency_ms).toBe(effect.latency_ms)
  },
)

test('rows are among the records of the source', BOUND, async () => {
  await sql(database.url, "update posts set title = 'secret' where id = 1")
  await until(async () => (await json('/api/journal?scope=source&target=public.posts&origin=rows')).records.length > 0)
  const { records } = await json('/api/journal?scope=source&target=public.posts&origin=rows')
  expect(records[0].detail).toEqual({ tables: { 'public.posts': { update: 1 } }, rows: 1 })
  expect(JSON.stringify(records)).not.toContain('secret')
})

test('exports have every record, and a spreadsheet runs none of them', BOUND, async () => {
  const csv = await fetch(`${server.url}/api/journal?scope=all&format=csv`)
  expect(csv.headers.get('content-type')).toContain('text/csv')
  const lines = (await csv.text()).trimEnd().split('\r\n')
  expect(lines[0]).toMatch(/^id,seq,tenant,origin,/)
  expect(lines.length).toBeGreaterThan(8)
  const ndjson = await (await fetch(`${server.url}/api/journal?scope=all&format=ndjson`)).text()
  const records = ndjson
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(records.at(-1)).toMatchObject({ id: 1, origin: 'start' })
})

test('it is intact, and shows when somebody changed it', BOUND, async () => {
  expect(await json('/api/journal/verify?scope=all')).toMatchObject({ intact: true, signed: true, problems: [] })
  await sql(
    database.url,
    `begin; alter table tidemark_journal.invalidation_audit disable trigger refuse_change;
     update tidemark_journal.invalidation_audit set triggered_by = 'nobody' where request_id = 'page-3'; commit`,
  )
  const found = await json('/api/journal/verify')
  expect(found.intact).toBe(false)
  expect(found.problems).toMatchObject([{ chain: 'tenant default', kind: 'changed' }])
})

test('health tells how it fares', BOUND, async () => {
  const { parts } = await json('/health')
  expect(parts.find(({ name }: { name: string }) => name === 'journal')).toMatchObject({ state: 'writing', reason: '' })
})

test(
  'where rights lack, the server starts without, and says what to run; unless the journal is required',
  BOUND,
  async () => {
    await sql(
      database.url,
      `create role limited login replication; create schema theirs authorization limited;
     create table theirs.things (id int primary key); alter table theirs.things owner to limited;
     alter role limited replication; create publication theirs for table theirs.things`,
    )
    const url = new URL(database.url)
    url.username = 'limited'
    const start = (journal: string) =>
      serve({
        config: parseConfig(
          `source: { url: "${url.href}", slot: theirs, publication: theirs }\n${journal}\nresources: {}\n`,
          'tidemark.yaml',
          {},
        ),
        port: 0,
        env: {},
        dataDir: folder.path,
        signals: false,
        logLevel: 'silent',
      })
    await expect(start('journal: { required: true }')).rejects.toMatchObject({ code: 'TIDEMARK_RIGHTS' })
    const without = await start('')
    try {
      const { parts } = (await (await fetch(`${without.url}/health`)).json()) as { parts: { name: string }[] }
      const told = parts.find(({ name }) => name === 'journal')
      expect(told).toMatchObject({ state: 'off', ready: true })
      expect(JSON.stringify(told)).toMatch(/No journal is kept\. .*grant .* to /)
      expect((await fetch(`${without.url}/api/journal`)).status).toBe(404)
    } finally {
      await without.close()
    }
    expect(() => parseConfig('journal: { required: true, enabled: false }', 'tidemark.yaml', {})).toThrow(
      'journal.enabled',
    )
  },
)

test('a database of your own without a slot has none, and health says how to have one', BOUND, async () => {
  const config = parseConfig(`source: { url: "${database.url}" }\n${CONFIG}`, 'tidemark.yaml', {})
  const without = await serve({ config, port: 0, env: {}, dataDir: folder.path, signals: false, logLevel: 'silent' })
  try {
    const health = await (await fetch(`${without.url}/health`)).text()
    expect(health).toContain('set source.slot, or journal.enabled: false')
  } finally {
    await without.close()
  }
})

test('a refill that a closing server gives up is in the journal with what it had filled', BOUND, async () => {
  const posts = [4, 5, 6].map((id) => `${server.url}/api/resources/post?id=${id}`)
  for (const post of posts)
    await until(async () => ((await fetch(post)).headers.get('cache-status') ?? '').includes('from=l1'))
  const refill = { perSecond: 0.01, concurrency: 1 }
  await invalidate({ keys: ['post(4)', 'post(5)', 'post(6)'], refill, request_id: 'slow' }, '/api/invalidate')
  await until(async () => (await json('/api/invalidations/slow')).refill.filled === 1)
  await server.close()
  const records = await sql(
    database.url,
    "select origin, detail from tidemark_journal.invalidation_audit where request_id = 'slow' order by id",
  )
  expect(records).toMatchObject([
    { origin: 'request' },
    { origin: 'refill', detail: { loads: 3, filled: 1, failed: 0, givenUp: true } },
  ])
})
