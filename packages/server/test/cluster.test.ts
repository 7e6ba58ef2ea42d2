import { testDatabase } from '@tidemark/embedded/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { RedisServer } from '../../redis/test/redis-server.js'
import { fakeServer } from './fake-database.js'
import { CONFIG, SCHEMA, type ServerProcess, sql, startProcess, temporaryFolder } from './serving.js'

const BOUND = { timeout: 30_000 }

// Several processes out of one configuration, or of two that do not agree.

let database: Awaited<ReturnType<typeof testDatabase>>
let redis: RedisServer
let folder: ReturnType<typeof temporaryFolder>
let written = 0
const servers: ServerProcess[] = []

interface Listed {
  readonly self: boolean
  readonly pid: number
  readonly address: string | null
  readonly role: string
  readonly tidemark: string | null
  readonly current: boolean
  readonly silenceMs: number | null
  readonly lagBytes: number | null
  readonly heardMs: number
}

interface Settings {
  readonly role?: string
  readonly publication?: string
  readonly secret?: string
  readonly cache?: string
  readonly redisUrl?: string
}

async function start({
  role,
  publication = 'tidemark',
  secret = '0123456789abcdef',
  cache = '',
  redisUrl = redis.url,
}: Settings = {}): Promise<ServerProcess> {
  const config = folder.write(
    `tidemark-${++written}.yaml`,
    `source: { url: "${database.url}", slot: clustered, publication: ${publication} }
relay: { redis: "${redisUrl}", secret: "${secret}" }
l2: { redis: "${redisUrl}" }
cluster: { heartbeat: 200ms }
${cache}
${CONFIG}`,
  )
  const server = await startProcess({ config, role, port: 0, logLevel: 'silent' })
  servers.push(server)
  return server
}

async function clusterOf({ said }: ServerProcess): Promise<{ shared: boolean; problem: string; processes: Listed[] }> {
  return (await (await fetch(`${said.url}/api/cluster`)).json()) as Awaited<ReturnType<typeof clusterOf>>
}

const pidsOf = async (server: ServerProcess) => (await clusterOf(server)).processes.map(({ pid }) => pid).sort()

async function end(server: ServerProcess, signal: NodeJS.Signals): Promise<void> {
  server.process.kill(signal)
  await server.ended
}

describe.skipIf(lacks('redis-server'))('processes that share a relay and an L2 (needs redis-server)', () => {
  beforeEach(async () => {
    folder = temporaryFolder()
    database = await testDatabase()
    await sql(database.url, SCHEMA)
    redis = await RedisServer.start()
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await end(server, 'SIGKILL')
    await redis?.drop()
    await database?.drop()
    folder?.remove()
  })

  it('list each other: roles, tidemarks, currency; one that is killed, or leaves, is gone', {
    timeout: 360_000,
  }, async () => {
    const [one, other, third] = [await start(), await start(), await start()]
    const pids = [one, other, third].map(({ process }) => process.pid!)
    for (const server of [one, other, third]) await expect.poll(() => pidsOf(server), BOUND).toEqual(pids.toSorted())
    // The one that was asked is listed first.
    const states = async (server: ServerProcess) =>
      (await clusterOf(server)).processes.map(({ role, current }) => ({ role, current }))
    const [leader, follower] = ['leader', 'follower'].map((role) => ({ role, current: true }))
    await expect.poll(() => states(one), BOUND).toEqual([leader, follower, follower])
    await expect.poll(() => states(other), BOUND).toEqual([follower, leader, follower])
    // A process is a member before it listens: its address comes with what it says of itself next.
    const addresses = async () => (await clusterOf(other)).processes.map(({ address }) => address).sort()
    await expect.poll(addresses, BOUND).toEqual([one, other, third].map(({ said }) => said.url).sort())
    const { shared, problem, processes } = await clusterOf(other)
    expect({ shared, problem }).toEqual({ shared: true, problem: '' })
    expect(processes.find(({ self }) => self)).toMatchObject({
      pid: other.process.pid,
      address: other.said.url,
      heardMs: 0,
    })
    for (const { tidemark, lagBytes, silenceMs } of processes) {
      expect(tidemark).toMatch(/:[0-9A-F]+\/[0-9A-F]+$/)
      expect(lagBytes).toBeGreaterThanOrEqual(0)
      expect(silenceMs).toBeLessThan(5_000)
    }
    const metrics = await (await fetch(`${one.said.url}/metrics`)).text()
    expect(metrics).toMatch(/^tidemark_cluster_processes 3$/m)

    await end(one, 'SIGKILL')
    await expect.poll(() => pidsOf(other), BOUND).toEqual(pids.slice(1).toSorted())
    // Another one leads, and all know it.
    const rolesAt = async (server: ServerProcess) => (await clusterOf(server)).processes.map(({ role }) => role).sort()
    for (const server of [other, third]) await expect.poll(() => rolesAt(server), BOUND).toEqual(['follower', 'leader'])

    await end(third, 'SIGTERM')
    await expect.poll(() => pidsOf(other), BOUND).toEqual([other.process.pid])
    expect(Object.keys(await redis.admin.hgetall('{tidemark:members}'))).toHaveLength(1)
  })

  it('refuse one that is configured otherwise, and name what, both values and the process', {
    timeout: 360_000,
  }, async () => {
    const first = await start()
    await expect.poll(async () => (await clusterOf(first)).processes[0]?.role, BOUND).toBe('leader')
    const refused = await start({
      publication: 'another',
      secret: 'another secret 16',
      cache: 'cache: { maxSilence: 9s }',
    })
    expect(refused.said).toMatchObject({ code: 'TIDEMARK_DISAGREEMENT' })
    const { message } = refused.said as unknown as { message: string }
    expect(message).toContain('source.publication is "another" here and "tidemark" there')
    expect(message).toContain('cache.maxSilence is 9000 here and 5000 there')
    expect(message).toContain(`process ${first.process.pid} `)
    expect(message).toContain(first.said.url)
    expect(message).toMatch(/relay\.secret is "[\w-]{12}" here and "[\w-]{12}" there/)
    for (const secret of ['0123456789abcdef', 'another secret 16']) expect(message).not.toContain(secret)
    // Nothing of it is left, and the first goes on.
    await expect.poll(() => pidsOf(first), BOUND).toEqual([first.process.pid])
    expect((await clusterOf(first)).problem).toBe('')
  })

  it('let one join whose predecessors were all killed, and were configured otherwise', {
    timeout: 360_000,
  }, async () => {
    const first = await start({ cache: 'cache: { maxSilence: 9s }' })
    await end(first, 'SIGKILL')
    expect(Object.keys(await redis.admin.hgetall('{tidemark:members}'))).toHaveLength(1)
    const next = await start()
    expect(next.said.code).toBe(undefined)
    expect(await pidsOf(next)).toEqual([next.process.pid])
  })

  it('that could not reach each other when they started: the later one says so, and is not ready', {
    timeout: 360_000,
  }, async () => {
    await redis.kill()
    const first = await start()
    const second = await start({ cache: 'cache: { maxSilence: 9s }' })
    const healthOf = async ({ said }: ServerProcess) => {
      const answer = await fetch(`${said.url}/health`)
      const { parts } = (await answer.json()) as { parts: { name: string; state: string; reason: string }[] }
      return { status: answer.status, ...parts.find(({ name }) => name === 'cluster')! }
    }
    await expect.poll(() => healthOf(first), BOUND).toMatchObject({ status: 200, state: 'out-of-sight' })
    await redis.start()
    // Whichever was heard first came first.
    const states = async () => [(await healthOf(first)).state, (await healthOf(second)).state].sort()
    await expect.poll(states, BOUND).toEqual(['disagrees', 'joined'])
    const late = (await healthOf(first)).state === 'disagrees' ? first : second
    expect(await healthOf(late)).toMatchObject({ status: 503, reason: expect.stringContaining('cache.maxSilence is') })
    expect((await clusterOf(late)).problem).toContain('cache.maxSilence is')
  })
})

describe('processes that share no more than the database', () => {
  beforeEach(async () => {
    folder = temporaryFolder()
    database = await testDatabase()
    await sql(database.url, SCHEMA)
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await end(server, 'SIGKILL')
    await database?.drop()
    folder?.remove()
  })

  it('list each other, whatever their configurations; one that is killed is gone, those of other applications are never there', {
    timeout: 360_000,
  }, async () => {
    const follow = async (cache: string) => {
      const config = folder.write(
        `tidemark-${++written}.yaml`,
        `source: { url: "${database.url}" }\ncluster: { heartbeat: 200ms }\n${cache}\n${CONFIG}`,
      )
      const server = await startProcess({ config, port: 0, logLevel: 'silent' })
      servers.push(server)
      return server
    }
    const [one, other] = [await follow(''), await follow('cache: { maxSilence: 9s }')]
    const pids = [one, other].map(({ process }) => process.pid!)
    await sql(
      database.url,
      "insert into tidemark.processes (application, id, said) select 'strange', id, said from tidemark.processes",
    )
    for (const server of [one, other]) await expect.poll(() => pidsOf(server), BOUND).toEqual(pids.toSorted())
    const states = async () => (await clusterOf(one)).processes.map(({ role, current }) => ({ role, current }))
    await expect.poll(states, BOUND).toEqual(Array(2).fill({ role: 'single', current: true }))
    expect(await clusterOf(one)).toMatchObject({ shared: true, problem: '' })

    await end(one, 'SIGKILL')
    await expect.poll(() => pidsOf(other), BOUND).toEqual([other.process.pid])
  })
})

it('a process that shares nothing lists itself, and says that it can know of no others', async () => {
  const server = await fakeServer()
  try {
    const { shared, problem, processes } = (await server.app.inject('/api/cluster')).json()
    expect(shared).toBe(false)
    expect(problem).toMatch(/^Only this process is listed/)
    expect(processes).toMatchObject([{ self: true, pid: process.pid, role: 'single', current: true, heardMs: 0 }])
  } finally {
    await server.close()
  }
})
