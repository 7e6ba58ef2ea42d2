import { testDatabase } from '@tidemark/embedded/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { RedisServer } from '../../redis/test/redis-server.js'
import { SCHEMA, type ServerProcess, sql, startProcess, temporaryFolder } from './serving.js'

const BOUND = { timeout: 30_000 }
const ROUNDS = 8

// A rolling deploy: two versions of a configuration side by side, on one PostgreSQL, one relay and one L2.

let database: Awaited<ReturnType<typeof testDatabase>>
let redis: RedisServer
let folder: ReturnType<typeof temporaryFolder>
const servers: ServerProcess[] = []

async function start(name: string, resource: string): Promise<string> {
  const config = folder.write(
    name,
    `source: { url: "${database.url}", slot: deployed }
relay: { redis: "${redis.url}", secret: 0123456789abcdef }
l2: { redis: "${redis.url}" }
resources:
  post: ${resource}
`,
  )
  const server = await startProcess({ config, port: 0, logLevel: 'silent' })
  servers.push(server)
  await expect.poll(() => isKept(server.said.url), BOUND).toBe(true)
  return server.said.url
}

async function isKept(url: string): Promise<boolean> {
  return (await fetch(`${url}/api/resources/post?id=2`)).headers.get('cache-status')?.includes('hit') === true
}

async function ask(url: string, position: string): Promise<{ body: unknown; position: string | null }> {
  const answer = await fetch(`${url}/api/resources/post?id=1`, { headers: { 'tidemark-position': position } })
  expect(answer.status).toBe(200)
  return { body: await answer.json(), position: answer.headers.get('tidemark-position') }
}

async function l2Of(url: string, what: 'hits' | 'stored'): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^tidemark_l2_${what}_total (\\d+)$`, 'm').exec(metrics)![1])
}

describe.skipIf(lacks('redis-server'))('two versions of a configuration (needs redis-server)', () => {
  beforeEach(async () => {
    folder = temporaryFolder()
    database = await testDatabase()
    await sql(database.url, SCHEMA)
    redis = await RedisServer.start()
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.process.kill('SIGKILL')
      await server.ended
    }
    await redis?.drop()
    await database?.drop()
    folder?.remove()
  })

  it('never answer with what the other one computed, and each is answered as of the positions of the other', {
    timeout: 360_000,
  }, async () => {
    const before = '{ params: { id: bigint }, sql: "select title from posts where id = :id", one: true }'
    const after = '{ params: { id: bigint }, sql: "select upper(title) as title from posts where id = :id", one: true }'
    const old = await start('before.yaml', before)
    const next = await start('after.yaml', after)
    const alike = await start('alike.yaml', after)
    for (let round = 1; round <= ROUNDS; round++) {
      await sql(database.url, `update posts set title = 'round ${round}' where id = 1`)
      const [row] = await sql(database.url, 'select pg_current_wal_insert_lsn()::text as lsn')
      // The one that answers first stores it; the others are asked with the position of its answer.
      let position = row!['lsn'] as string
      for (const url of round % 2 === 0 ? [old, next, alike] : [next, old, alike]) {
        const stored = await l2Of(url, 'stored')
        const answer = await ask(url, position)
        expect(answer.body).toEqual({ title: url === old ? `round ${round}` : `ROUND ${round}` })
        position = answer.position ?? position
        // What it stored is there before the next one asks.
        if (url !== alike) await expect.poll(() => l2Of(url, 'stored'), BOUND).toBeGreaterThanOrEqual(stored)
      }
    }
    // Those of one version do share.
    await expect.poll(() => l2Of(alike, 'hits'), BOUND).toBeGreaterThan(0)
  })

  it('that differ in the form of the answer only do not share either', { timeout: 360_000 }, async () => {
    const text = 'params: { id: bigint }, sql: "select title from posts where id = :id"'
    const list = await start('list.yaml', `{ ${text} }`)
    const one = await start('one.yaml', `{ ${text}, one: true }`)
    const title = 'post 1'
    for (let i = 0; i < 3; i++) {
      expect((await ask(list, '0/1')).body).toEqual([{ title }])
      expect((await ask(one, '0/1')).body).toEqual({ title })
    }
  })
})
