import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { RedisServer } from '../../redis/test/redis-server.js'
import { CONFIG, SCHEMA, type ServerProcess, sql, startProcess, temporaryFolder } from './serving.js'

const BOUND = { timeout: 120_000 }
const POLL = { timeout: 30_000 }

let database: TestDatabase
let redis: RedisServer
let folder: ReturnType<typeof temporaryFolder>
let servers: ServerProcess[] = []

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into
type Said = any

async function get(server: ServerProcess, path: string): Promise<Said> {
  return (await fetch(`${server.said.url}${path}`)).json()
}

async function invalidate(server: ServerProcess, body: object, query = ''): Promise<Said> {
  const response = await fetch(`${server.said.url}/api/invalidate${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, ...((await response.json()) as object) }
}

/** Reads a post until the process answers from its memory. */
async function keep(server: ServerProcess, id: number): Promise<void> {
  await expect
    .poll(
      async () => (await fetch(`${server.said.url}/api/resources/post?id=${id}`)).headers.get('cache-status') ?? '',
      POLL,
    )
    .toContain('from=l1')
}

/** How many processes it knows, and where they answer. */
async function listening(server: ServerProcess): Promise<number> {
  const { processes } = await get(server, '/api/cluster')
  return processes.filter(({ address }: Said) => address !== null).length
}

describe.skipIf(lacks('redis-server'))('several processes with one journal (needs redis-server)', () => {
  beforeAll(async () => {
    folder = temporaryFolder()
    ;[database, redis] = await Promise.all([testDatabase({ settings: {} }), RedisServer.start()])
    await sql(database.url, SCHEMA)
    const config = folder.write(
      'tidemark.yaml',
      `source: { url: "${database.url}", slot: told }
relay: { redis: "${redis.url}", secret: "0123456789abcdef" }
l2: { redis: "${redis.url}" }
journal: { enabled: true }
cluster: { heartbeat: 500ms }
invalidation: { acksMax: 3s }
${CONFIG}`,
    )
    const options = { config, port: 0, dataDir: folder.path, logLevel: 'silent' }
    servers = await Promise.all([1, 2].map(() => startProcess(options)))
    const end = Date.now() + 60_000
    for (const server of servers)
      while ((await listening(server)) < 2 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50))
  }, 360_000)
  afterAll(async () => {
    for (const server of servers) {
      server.process.kill('SIGKILL')
      await server.ended
    }
    await redis?.drop()
    await database?.drop()
    folder?.remove()
  })

  it('an answer says which processes have applied it, and what went from the memory of each', BOUND, async () => {
    const [one, other] = servers as [ServerProcess, ServerProcess]
    await keep(one, 2)
    await keep(other, 1)
    const told = await invalidate(one, { keys: ['post("1")', 'post(1)'] }, '?acks=all')
    expect(told).toMatchObject({ status: 200, silent: [], l2_applied: true })
    expect(told.acknowledged.map(({ address }: Said) => address).sort()).toEqual(
      servers.map(({ said }) => said.url).sort(),
    )
    expect(told.acknowledged[0]).toMatchObject({ address: one.said.url, removed: 0 })
    expect(told.acknowledged.slice(1).map(({ removed }: Said) => removed)).toEqual([1])
    const { processes } = await get(one, '/api/cluster')
    expect(told.acknowledged.map(({ process }: Said) => process).sort()).toEqual(
      processes.map(({ id }: Said) => id).sort(),
    )
    const alone = await invalidate(one, { keys: ['post(1)'] })
    expect(alone.acknowledged).toHaveLength(1)
    expect(alone.silent).toBeUndefined()
  })

  it(
    'L2 says how many entries of keys went from it, in the answer or a moment later, and in the journal',
    BOUND,
    async () => {
      const [one, other] = servers as [ServerProcess, ServerProcess]
      const set = async (key: string) => {
        const url = `${one.said.url}/api/cache/${encodeURIComponent(key)}`
        const headers = { 'content-type': 'application/json' }
        const put = () => fetch(url, { method: 'PUT', headers, body: JSON.stringify({ value: key, ttl: '1h' }) })
        const asked = async () => (await fetch(url.replace(one.said.url, other.said.url))).status
        // From L2, which the other asks. On a busy machine L2 is left out where it takes more than 50 ms.
        await expect.poll(() => put().then(asked), POLL).toBe(200)
      }
      let told: Said
      let times = 0
      const counted = async () => {
        for (const key of ['l2:a', 'l2:b', 'l2:c']) await set(key)
        await keep(one, 7)
        await keep(other, 7)
        const keys = ['l2:a', 'l2:b', 'post(7)', 'nothing']
        told = await invalidate(other, { keys, request_id: `counted ${++times}` }, '?acks=all')
        return told.removed
      }
      await expect.poll(counted, { timeout: 60_000 }).toEqual({ l1: 3, l2: 3 })
      const found = `/api/invalidations/${encodeURIComponent(told.request_id)}`
      await expect.poll(async () => (await get(one, found)).removed.l2, POLL).toBe(3)
      const effects = `/api/journal?origin=effect&position=${encodeURIComponent(told.position)}`
      await expect
        .poll(
          async () => (await get(one, effects)).records.filter(({ detail }: Said) => detail.touched.l2 === 3).length,
          POLL,
        )
        .toBe(1)
      await invalidate(one, { keys: ['l2:c'], request_id: 'later' })
      await expect
        .poll(async () => (await get(one, '/api/invalidations/later')).removed, POLL)
        .toEqual({ l1: 1, l2: 1 })
      expect((await invalidate(one, { tags: ['none'] }, '?acks=all')).removed.l2).toBe(null)
    },
  )

  it('a request is made once, whichever process it is repeated at', BOUND, async () => {
    const [one, other] = servers as [ServerProcess, ServerProcess]
    // What they know together can be asked: a first question connects.
    for (const [i, server] of servers.entries()) await invalidate(server, { keys: ['first'], request_id: `first-${i}` })
    const body = { keys: ['user:1', 'user:2'], request_id: 'once', cause: 'a retry' }
    const asked = await Promise.all([one, other, one, other].map((server) => invalidate(server, body)))
    const later = await invalidate(other, body)
    for (const answer of [...asked, later]) expect(answer).toEqual(later)
    expect(later.status).toBe(200)
    // One that looks for matches has the same answer, page by page.
    const pattern = { keys: ['user:1'], tags: ['nothing'], request_id: 'tagged' }
    expect(await invalidate(other, pattern)).toEqual(await invalidate(one, pattern))
    expect(await get(other, '/api/invalidations/tagged')).toMatchObject({ request_id: 'tagged' })
    for (const server of servers)
      expect(await invalidate(server, { ...body, keys: ['user:3'] })).toMatchObject({
        status: 422,
        code: 'TIDEMARK_REQUEST_ID',
      })
    // Another tenant's request of the same id is another one.
    expect((await invalidate(one, body, '?tenant=acme')).position).not.toBe(later.position)
    await invalidate(one, { keys: ['after'], request_id: 'after' })
    await expect.poll(async () => (await get(one, '/api/journal?request_id=after')).records.length, POLL).toBe(1)
    const { records } = await get(one, '/api/journal?request_id=once')
    expect(records).toHaveLength(1)
    const ofChange = await get(one, `/api/journal?position=${encodeURIComponent(later.position)}&scope=all`)
    const origins = ofChange.records.map(({ origin }: Said) => origin)
    expect(origins.filter((origin: string) => origin === 'request')).toHaveLength(1)
    // Each process tells what it did.
    await expect
      .poll(async () => {
        const { records } = await get(one, `/api/journal?position=${encodeURIComponent(later.position)}&origin=effect`)
        return new Set(records.map(({ process }: Said) => process)).size
      }, POLL)
      .toBe(2)
  })

  it('a request goes on at speed while what the processes know together cannot be asked', BOUND, async () => {
    const [one, other] = servers as [ServerProcess, ServerProcess]
    const holder = new pg.Client({ connectionString: database.url })
    await holder.connect()
    await holder.query('begin; lock table tidemark_journal.requests')
    // It is answered while the lock is held.
    const { status, latency_ms } = await invalidate(one, { keys: ['k'], request_id: 'locked' })
    expect(status).toBe(200)
    await holder.end()
    expect(await invalidate(one, { keys: ['k'], request_id: 'locked' })).toMatchObject({ status: 200, latency_ms })
    expect((await invalidate(other, { keys: ['k2'], request_id: 'free' })).status).toBe(200)
  })

  it('one that stands still is named as silent, until it counts as gone', BOUND, async () => {
    const { processes } = await get(servers[0]!, '/api/cluster')
    // What the leader reads the others are told; so the one that stands still is another.
    const { pid, id, address } = processes.find(({ role }: Said) => role === 'follower')
    const victim = servers.find(({ process }) => process.pid === pid)!
    const asked = servers.find((server) => server !== victim)!
    victim.process.kill('SIGSTOP')
    const told = await invalidate(asked, { keys: ['user:1'] }, '?acks=all')
    expect(told.silent).toEqual([{ process: id, address }])
    expect(told.acknowledged).toHaveLength(1)
    victim.process.kill('SIGKILL')
    await expect.poll(async () => (await get(asked, '/api/cluster')).processes.length, POLL).toBe(1)
    expect(await invalidate(asked, { keys: ['user:1'] }, '?acks=all')).toMatchObject({ silent: [] })
  })
})
