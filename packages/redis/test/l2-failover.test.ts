import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RedisL2, redisL2 } from '@tidemark/redis'
import { Cluster, Redis } from 'ioredis'
import { afterEach, expect, test } from 'vitest'
import { freePort } from '../../../test/free-port.js'
import { World } from './judge.js'
import { openL2 } from './opened.js'
import { RedisServer, until } from './redis-server.js'
import { TcpLine } from './tcp-line.js'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

test('a replica that missed the last writes takes over, and nothing stale is believed', async () => {
  const primary = await startServer()
  const replica = await startServer(['--replicaof', `127.0.0.1 ${primary.port}`])
  const line = await TcpLine.to(primary.port)
  closers.push(() => line.end())
  const l2 = await openL2(primary, { url: line.url, failuresMax: 1_000_000 })
  closers.push(() => l2.close())
  const world = new World(l2, 5)
  for (let i = 0; i < 20; i++) await world.step()
  await world.settle()
  await world.fillAll()
  await replicates(primary, replica)
  // From here on it is on its own.
  await replica.admin.replicaof('NO', 'ONE')
  await world.change(10)
  await world.fillAll()
  for (let i = 0; i < 10; i++) await world.step()
  line.leadTo(replica.port)
  await answers(l2)
  await world.readAll()
  expect(world.seen.disbelieved).toBeGreaterThan(0)
  for (let i = 0; i < 20; i++) await world.step()
  await world.settle()
  await world.fillAll()
  const { believed } = world.seen
  await world.readAll()
  expect(world.seen.believed).toBeGreaterThan(believed)
  expect(l2.status().counters.resets).toBeGreaterThan(1)
  expect(world.stale).toEqual([])
})

test('while the address leads to a replica, entries are read, nothing is written, and nothing stale is believed', async () => {
  const primary = await startServer()
  const replica = await startServer(['--replicaof', `127.0.0.1 ${primary.port}`])
  const line = await TcpLine.to(primary.port)
  closers.push(() => line.end())
  const l2 = await openL2(primary, { url: line.url, failuresMax: 1_000_000 })
  closers.push(() => l2.close())
  const world = new World(l2, 6)
  await world.settle()
  await world.fillAll()
  await replicates(primary, replica)
  line.leadTo(replica.port)
  await answers(l2)
  await world.readAll()
  const { believed, stored } = world.seen
  expect(believed).toBeGreaterThan(0)
  await world.fillAll()
  await world.change(3)
  await world.readAll()
  expect(world.seen.stored).toBe(stored)
  expect(l2.status().counters.refused.unwritable).toBeGreaterThan(0)
  expect(l2.status().counters.failures.error).toBeGreaterThan(0)
  expect(world.stale).toEqual([])
})

test('behind Sentinel a replica takes over from a primary that dies', async () => {
  const primary = await startServer()
  const replica = await startServer(['--replicaof', `127.0.0.1 ${primary.port}`])
  await replicates(primary, replica)
  const port = await freePort()
  const sentinel = await startSentinel(port, primary.port)
  await until(async () => String(await sentinel.call('SENTINEL', 'REPLICAS', 'mymaster')).includes(`${replica.port}`))
  const client = new Redis({ sentinels: [{ host: '127.0.0.1', port }], name: 'mymaster', maxRetriesPerRequest: 1 })
  client.on('error', () => {})
  closers.push(() => client.disconnect())
  const l2 = await openL2(primary, { client, deadline: 500, batchDeadline: 500, failuresMax: 1_000_000 })
  const world = new World(l2, 7)
  await world.settle()
  await world.fillAll()
  await primary.kill()
  await until(async () => {
    await world.step()
    await world.settle()
    const before = world.seen.believed
    await world.fillAll()
    await world.readAll()
    return world.seen.believed > before
  })
  expect(world.stale).toEqual([])
})

test('in a Cluster all goes by buckets, and a node that is emptied costs only misses', async () => {
  const nodes = await Promise.all([startNode(), startNode(), startNode()])
  const addresses = nodes.map((node) => `127.0.0.1:${node.port}`)
  execFileSync('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'], { stdio: 'pipe' })
  for (const node of nodes) await until(async () => (await node.admin.cluster('INFO')).includes('cluster_state:ok'))
  const client = new Cluster([{ host: '127.0.0.1', port: nodes[0]!.port }])
  client.on('error', () => {})
  closers.push(() => client.disconnect())
  const l2 = redisL2({ client, deadline: '10s', batchDeadline: '10s' })
  await until(() => l2.status().state === 'ready')
  const world = new World(l2, 8, { keys: 100, wholeOneIn: 100 })
  await world.settle()
  await world.fillAll()
  for (const node of nodes) expect(await node.admin.dbsize()).toBeGreaterThan(10)
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 5; i++) await world.step()
    await nodes[round % 3]!.admin.flushall()
    await world.readAll()
    await world.change(2)
    await world.fillAll()
    const before = world.seen.believed
    await world.readAll()
    expect(world.seen.believed).toBeGreaterThan(before)
  }
  expect(world.stale).toEqual([])
  expect(world.seen.failed).toBe(0)
  expect(l2.status().counters.resets).toBeGreaterThan(16)
})

async function startServer(settings: readonly string[] = []): Promise<RedisServer> {
  const server = await RedisServer.start(settings)
  closers.push(() => server.drop())
  return server
}

function startNode(): Promise<RedisServer> {
  return startServer(['--cluster-enabled', 'yes', '--cluster-node-timeout', '10000'])
}

async function answers(l2: RedisL2): Promise<void> {
  await until(() =>
    l2.read('probe').then(
      () => true,
      () => false,
    ),
  )
}

/** What was written to the primary is in the replica. */
async function replicates(primary: RedisServer, replica: RedisServer): Promise<void> {
  await until(async () => (await replica.admin.info('replication')).includes('master_link_status:up'))
  await primary.admin.set('probe', `${Math.random()}`)
  const wanted = await primary.admin.get('probe')
  await until(async () => (await replica.admin.get('probe')) === wanted)
}

async function startSentinel(port: number, primaryPort: number): Promise<Redis> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-sentinel-'))
  const file = join(folder, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    `dir ${folder}`,
    `sentinel monitor mymaster 127.0.0.1 ${primaryPort} 1`,
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 5000',
  ]
  writeFileSync(file, lines.join('\n'))
  const sentinel = await RedisServer.sentinel(port, folder, file)
  closers.push(() => sentinel.drop())
  return sentinel.admin
}
