import { testDatabase } from '@tidemark/embedded/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { RedisServer } from '../../redis/test/redis-server.js'
import { parseConfig } from '../src/config/load.js'
import { ConfigError } from '../src/errors.js'
import { serve } from '../src/main.js'
import { CONFIG, SCHEMA, type ServerProcess, sql, startProcess, temporaryFolder } from './serving.js'

const BOUND = { timeout: 30_000 }

type Server = ServerProcess['said']

// Two servers out of one configuration: one reads the log for both.

let database: Awaited<ReturnType<typeof testDatabase>>
let redis: RedisServer
let folder: ReturnType<typeof temporaryFolder>
const servers: ServerProcess[] = []

async function start(role?: 'auto' | 'leader' | 'follower'): Promise<Server> {
  const config = folder.write(
    'tidemark.yaml',
    `source: { url: "${database.url}", slot: relayed }
relay: { redis: "${redis.url}", secret: 0123456789abcdef }
${CONFIG}`,
  )
  const server = await startProcess({ config, role, port: 0, logLevel: 'silent' })
  servers.push(server)
  return server.said
}

async function relayOf({ url }: Server): Promise<{ state: string; reason: string } | undefined> {
  const { parts } = (await (await fetch(`${url}/health`)).json()) as {
    parts: { name: string; state: string; reason: string }[]
  }
  return parts.find(({ name }) => name === 'relay')
}

async function metricsOf({ url }: Server): Promise<string> {
  return (await fetch(`${url}/metrics`)).text()
}

async function kept({ url }: Server, path: string): Promise<boolean> {
  return (await fetch(url + path)).headers.get('cache-status')?.includes('hit') === true
}

describe.skipIf(lacks('redis-server'))('a relay in the configuration (needs redis-server)', () => {
  beforeEach(async () => {
    folder = temporaryFolder()
    database = await testDatabase()
    await sql(database.url, SCHEMA)
    redis = await RedisServer.start()
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.process.kill()
      await server.ended
    }
    await redis?.drop()
    await database?.drop()
    folder?.remove()
  })

  it('relays what one process reads, and says which part each has', { timeout: 360_000 }, async () => {
    const leader = await start()
    await expect.poll(() => relayOf(leader), BOUND).toMatchObject({ state: 'leader', reason: '' })
    const follower = await start('follower')
    await expect.poll(() => relayOf(follower), BOUND).toMatchObject({ state: 'follower', reason: '' })
    for (const server of [leader, follower])
      await expect.poll(() => kept(server, '/api/resources/post?id=1'), BOUND).toBe(true)

    await sql(database.url, `update posts set title = 'changed' where id = 1`)
    for (const server of [leader, follower]) {
      const title = async () =>
        ((await (await fetch(`${server.url}/api/resources/post?id=1`)).json()) as { title: string }).title
      await expect.poll(title, BOUND).toBe('changed')
    }
    // The position of one is good in the other: it answers with nothing older.
    await sql(database.url, `update posts set title = 'moved' where id = 1`)
    const shown = async () => {
      const answer = await fetch(`${leader.url}/api/resources/post?id=1`)
      return ((await answer.json()) as { title: string }).title === 'moved' && answer.headers.get('tidemark-position')
    }
    await expect.poll(shown, BOUND).toBeTruthy()
    const position = (await shown()) as string
    const answer = await fetch(`${follower.url}/api/resources/post?id=1`, {
      headers: { 'tidemark-position': position },
    })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ title: 'moved' })

    // Without Redis the leader says what that means, and both answer.
    await redis.kill()
    const update = () => sql(database.url, `update posts set title = 'again' where id = 1`)
    await update()
    await expect
      .poll(async () => (await relayOf(leader))?.reason, BOUND)
      .toMatch(/^The other processes are told nothing/)
    for (const server of [leader, follower])
      expect((await fetch(`${server.url}/api/resources/post?id=2`)).status).toBe(200)
  })

  it('has a second leader stand by, and take over what the first one led', { timeout: 360_000 }, async () => {
    const first = await start('leader')
    await expect.poll(() => relayOf(first), BOUND).toMatchObject({ state: 'leader' })
    const second = await start('leader')
    const follower = await start('follower')
    await expect.poll(() => relayOf(second), BOUND).toMatchObject({ state: 'standby' })
    await expect.poll(() => kept(second, '/api/resources/post?id=1'), BOUND).toBe(true)
    await expect.poll(() => kept(follower, '/api/resources/post?id=1'), BOUND).toBe(true)
    expect(await metricsOf(second)).toMatch(/^tidemark_role\{role="standby"\} 1$/m)
    expect(await metricsOf(follower)).toMatch(/^tidemark_role\{role="follower"\} 1$/m)
    expect(await metricsOf(first)).toMatch(/^tidemark_relay_failing 0$/m)

    servers[0]!.process.kill('SIGKILL')
    await expect.poll(() => relayOf(second), BOUND).toMatchObject({ state: 'leader' })
    await sql(database.url, `update posts set title = 'taken over' where id = 1`)
    for (const server of [second, follower]) {
      const title = async () =>
        ((await (await fetch(`${server.url}/api/resources/post?id=1`)).json()) as { title: string }).title
      await expect.poll(title, BOUND).toBe('taken over')
    }
    // Neither began anew: what they had kept is kept still.
    for (const server of [second, follower]) expect(await metricsOf(server)).toMatch(/^tidemark_log_gaps_total 0$/m)
  })

  it('refuses a short secret, and a role that it does not know', () => {
    expect(() => parseConfig('relay: { redis: "redis://x", secret: short }')).toThrow(ConfigError)
    expect(() => parseConfig('relay: { role: boss }')).toThrow(/auto, leader or follower/)
    expect(() => parseConfig('relay: { redis: "redis://x" }')).toThrow(/relay.redis: needs source.slot/)
  })

  it('refuses to follow where nobody relays', async () => {
    const config = parseConfig(`source: { url: "${database.url}" }\n${CONFIG}`)
    await expect(serve({ config, role: 'follower', port: 0, signals: false, logLevel: 'silent' })).rejects.toThrow(
      /set relay.redis/,
    )
  })
})
