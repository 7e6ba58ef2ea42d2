import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster, Redis } from 'ioredis'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort } from '../../../test/free-port.js'
import { redisLog, type StreamOptions } from '../src/index.js'
import { Recorder, request } from './recorder.js'
import { RedisServer, until } from './redis-server.js'

const closers: (() => Promise<unknown> | unknown)[] = []

afterEach(async () => {
  while (closers.length > 0) await closers.pop()!()
})

async function startServer(settings: readonly string[] = []): Promise<RedisServer> {
  const server = await RedisServer.start(settings)
  closers.push(() => server.drop())
  return server
}

function open(options: StreamOptions): Recorder {
  const log = redisLog({ commandTimeoutMs: 1_000, ...options })
  closers.push(() => log.close())
  return new Recorder(log)
}

async function works(heard: Recorder): Promise<void> {
  await heard.hasStarted()
  await heard.log.append(request('a'))
  await heard.hears('a')
}

test('a client of the application is asked for its settings, and stays as it was', async () => {
  const server = await startServer(['--requirepass', 'of the server'])
  const client = new Redis({ port: server.port, password: 'of the server', keyPrefix: 'app:', db: 3 })
  closers.push(() => client.disconnect())
  const heard = open({ client })
  await works(heard)
  expect(await client.exists('tidemark:log')).toBe(1)
  await heard.log.close()
  expect(await client.ping()).toBe('PONG')
})

test('a client that speaks RESP2, or maps RESP3 plainly, does too', async () => {
  const server = await startServer()
  for (const settings of [{ protocol: 2 }, { protocol: 3, replyMapping: 'resp3' }] as const) {
    const client = new Redis({ port: server.port, lazyConnect: true, ...settings })
    await works(open({ client: client as Redis, stream: `log ${settings.protocol}` }))
  }
})

test('a Cluster', async () => {
  const server = await startServer(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'])
  await server.admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
  await until(async () => String(await server.admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  const client = new Cluster([{ host: '127.0.0.1', port: server.port }], { lazyConnect: true })
  const heard = open({ client })
  await works(heard)
  await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until(() => heard.resumes === 1)
  await heard.log.append(request('b'))
  await heard.hears('b')
})

describe('Sentinel', () => {
  test('leads to the primary, and to the replica that takes its place, in another epoch', async () => {
    const primary = await startServer()
    const replica = await startServer(['--replicaof', `127.0.0.1 ${primary.port}`])
    await until(async () => (await replica.admin.info('replication')).includes('master_link_status:up'))
    const port = await freePort()
    const sentinel = await startSentinel(port, primary.port)
    const client = new Redis({ sentinels: [{ host: '127.0.0.1', port }], name: 'mymaster', lazyConnect: true })
    const heard = open({ client })
    await works(heard)
    await until(async () => String(await sentinel.call('SENTINEL', 'REPLICAS', 'mymaster')).includes(`${replica.port}`))
    await primary.kill()
    await heard.hasStarted(2)
    expect(heard.starts[1]!.epoch).not.toBe(heard.starts[0]!.epoch)
    expect(heard.resumes).toBe(0)
    await until(() =>
      heard.log.append(request('b')).then(
        () => true,
        () => false,
      ),
    )
    await heard.hears('b')
  })
})

test('a replica is refused', async () => {
  const primary = await startServer()
  const replica = await startServer(['--replicaof', `127.0.0.1 ${primary.port}`])
  const heard = open({ url: replica.url })
  await until(() => heard.losses.length > 0)
  expect(heard.losses[0]).toMatchObject({ code: 'TIDEMARK_REDIS_REFUSED', message: expect.stringContaining('replica') })
  expect(heard.starts).toEqual([])
})

test('the rights that the docs name are enough, and what is missing is named', async () => {
  const docs = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8')
  const command = /^ACL SETUSER tidemark (.*)$/m.exec(docs)![1]!
  const server = await startServer()
  await server.admin.call('ACL', 'SETUSER', 'tidemark', ...command.split(' '))
  await works(open({ url: `redis://tidemark:password@127.0.0.1:${server.port}` }))
  await server.admin.call('ACL', 'SETUSER', 'tidemark', '-info')
  const refused = open({ url: `redis://tidemark:password@127.0.0.1:${server.port}` })
  await until(() => refused.losses.length > 0)
  expect(refused.losses[0]).toMatchObject({ code: 'TIDEMARK_REDIS_REFUSED', message: expect.stringContaining('+info') })
  const stranger = open({ url: `redis://tidemark:wrong@127.0.0.1:${server.port}` })
  await until(() => stranger.losses.length > 0)
  expect(stranger.losses[0]).toMatchObject({ message: expect.stringContaining('password') })
})

test('a full server refuses the append, and says so', async () => {
  const server = await startServer(['--maxmemory-policy', 'noeviction'])
  const heard = open({ url: server.url })
  await works(heard)
  await server.admin.config('SET', 'maxmemory', '1')
  await expect(heard.log.append(request('b'))).rejects.toMatchObject({
    code: 'TIDEMARK_REDIS_REFUSED',
    message: expect.stringContaining('maxmemory'),
  })
})

test('TLS: with the authority that signed the server, and with no other', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-tls-'))
  closers.push(() => rmSync(folder, { recursive: true }))
  const ca = certificates(folder)
  const port = await freePort()
  const file = (name: string) => join(folder, name)
  await startServer([
    ...['--tls-port', `${port}`, '--tls-cert-file', file('server.crt'), '--tls-key-file', file('server.key')],
    ...['--tls-ca-cert-file', file('ca.crt'), '--tls-auth-clients', 'no'],
  ])
  await works(open({ url: `rediss://127.0.0.1:${port}`, tls: { ca } }))
  await works(open({ url: `redis://127.0.0.1:${port}`, stream: 'other', tls: { ca } }))
  const distrustful = open({ url: `rediss://127.0.0.1:${port}` })
  await until(() => distrustful.losses.length > 0)
  expect(distrustful.losses[0]!.code).toBe('TIDEMARK_REDIS_DOWN')
  expect(distrustful.starts).toEqual([])
})

test('options that can be nothing are refused', () => {
  const url = 'redis://127.0.0.1:1'
  const client = new Redis({ lazyConnect: true })
  const wrong: unknown[] = [
    {},
    { url, client },
    { url: 'http://127.0.0.1' },
    { client: {} },
    { client, tls: {} },
    { url, stream: '' },
    { url, secret: '' },
    { url, retain: 0 },
    { url, commandTimeoutMs: 0.5 },
  ]
  for (const options of wrong)
    expect(() => redisLog(options as StreamOptions)).toThrow(expect.objectContaining({ code: 'TIDEMARK_OPTION' }))
})

async function startSentinel(port: number, primaryPort: number): Promise<Redis> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-sentinel-'))
  const file = join(folder, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    `dir ${folder}`,
    'sentinel resolve-hostnames no',
    `sentinel monitor mymaster 127.0.0.1 ${primaryPort} 1`,
    'sentinel down-after-milliseconds mymaster 500',
    'sentinel failover-timeout mymaster 5000',
  ]
  writeFileSync(file, lines.join('\n'))
  const sentinel = await RedisServer.sentinel(port, folder, file)
  closers.push(() => sentinel.drop())
  return sentinel.admin
}

/** An authority, and a server's certificate that it signed. Returns the authority's. */
function certificates(folder: string): string {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const fresh = ['req', '-newkey', 'rsa:2048', '-nodes']
  openssl(...fresh, '-x509', '-days', '2', '-subj', '/CN=ca', '-keyout', 'ca.key', '-out', 'ca.crt')
  openssl(...fresh, '-subj', '/CN=127.0.0.1', '-keyout', 'server.key', '-out', 'server.csr')
  writeFileSync(join(folder, 'ext'), 'subjectAltName=IP:127.0.0.1')
  openssl(
    ...['x509', '-req', '-days', '2', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key'],
    ...['-CAcreateserial', '-extfile', 'ext', '-out', 'server.crt'],
  )
  return readFileSync(join(folder, 'ca.crt'), 'utf8')
}
