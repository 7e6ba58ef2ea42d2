import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { testDatabase } from '@tidemark/embedded/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lacks } from '../../../test/machine.js'
import { RedisServer } from '../../redis/test/redis-server.js'
import { EventStream } from './event-stream.js'
import { type ServerProcess, startProcess, temporaryFolder } from './serving.js'
import { SocketClient, type Told } from './socket-client.js'

/* Socket.IO and server-sent events of two processes, which a Redis relays to; one of them is killed. */

const BOUND = { timeout: 60_000 }

let database: Awaited<ReturnType<typeof testDatabase>>
let redis: RedisServer
let folder: ReturnType<typeof temporaryFolder>
let front: Awaited<ReturnType<typeof startFront>>
const servers: ServerProcess[] = []
const closing: { close(): void }[] = []

/** What stands before the processes: each connection goes to the one that is named. */
async function startFront() {
  let target = 0
  const open = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo({ said }: ServerProcess) {
      target = Number(new URL(said.url).port)
    },
    close() {
      server.close()
      for (const each of open) each.destroy()
    },
  }
}

async function put({ said }: ServerProcess, path: string, value: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify(value)
  const answer = await fetch(`${said.url}/api/trees/T1/${path}`, { method: 'PUT', headers, body })
  expect(answer.status, await answer.text()).toBe(200)
}

async function roleOf({ said }: ServerProcess): Promise<string | undefined> {
  const { parts } = (await (await fetch(`${said.url}/health`)).json()) as { parts: { name: string; state: string }[] }
  return parts.find(({ name }) => name === 'relay')?.state
}

/** A client as docs/trees.md has it: subscribes whenever it is connected, from where it left off. */
function follow(url: string, path: string, onTold: (told: Told) => void): SocketClient {
  const client = new SocketClient(url, { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 })
  closing.push(client)
  let last: string | undefined
  const tell = (told: Told) => {
    if (told.id !== undefined) last = told.id
    onTold(told)
  }
  const subscribe = () => client.socket.emit('subscribe', { tenant: 'T1', config: 'c', path, from: last }, tell)
  client.socket.on('connect', subscribe)
  for (const event of ['value', 'nodes', 'absent']) client.socket.on(event, tell)
  client.socket.on('end', ({ retryMs }: { retryMs: number }) => setTimeout(subscribe, retryMs))
  return client
}

describe.skipIf(lacks('redis-server'))('two processes (needs redis-server)', () => {
  beforeAll(async () => {
    folder = temporaryFolder()
    ;[database, redis, front] = await Promise.all([testDatabase(), RedisServer.start(), startFront()])
    const config = folder.write(
      'tidemark.yaml',
      `source: { url: "${database.url}", slot: sockets }
relay: { redis: "${redis.url}", secret: 0123456789abcdef }
l2: { redis: "${redis.url}" }
trees: { enabled: true }
server: { address: "${front.url}" }
resources: {}
`,
    )
    servers.push(await startProcess({ config, port: 0, logLevel: 'silent' }))
    servers.push(await startProcess({ config, port: 0, logLevel: 'silent' }))
  }, 360_000)
  afterAll(async () => {
    for (const each of closing) each.close()
    front?.close()
    for (const server of servers) {
      server.process.kill('SIGKILL')
      await server.ended
    }
    await redis?.drop()
    await database?.drop()
    folder?.remove()
  })

  it('tell the clients of both what is edited through either; whoever loses one goes on at the other', {
    timeout: 360_000,
  }, async () => {
    const [first, second] = servers as [ServerProcess, ServerProcess]
    await expect.poll(() => roleOf(first), BOUND).toBe('leader')
    await expect.poll(() => roleOf(second), BOUND).toBe('follower')
    front.leadTo(first)
    await put(first, 'c', { n: 0, list: { a: 1 } })

    const counts: unknown[] = []
    const list: Record<string, unknown> = {}
    const moving = follow(front.url, '/n', ({ value }) => {
      if (value !== undefined) counts.push(value)
    })
    follow(front.url, '/list/*', ({ whole, changed = {}, removed = [] }) => {
      if (whole) for (const path of Object.keys(list)) delete list[path]
      for (const path of removed) delete list[path]
      Object.assign(list, changed)
    })
    const there: unknown[] = []
    follow(second.said.url, '/n', ({ value }) => there.push(value))
    const stream = new EventStream(`${second.said.url}/api/trees/T1/c/~live?path=/n`)
    closing.push(stream)
    await expect.poll(() => [counts, there, stream.events.length], BOUND).toEqual([[0], [0], 1])

    await put(first, 'c/n', 1)
    await expect.poll(() => [counts.at(-1), there.at(-1), stream.last?.data], BOUND).toEqual([1, 1, '1'])
    await put(second, 'c/n', 2)
    await expect.poll(() => [counts.at(-1), there.at(-1), stream.last?.data], BOUND).toEqual([2, 2, '2'])
    await expect.poll(() => list, BOUND).toEqual({ '/list/a': 1 })

    // The one that reads the log for both, and that the client is on.
    front.leadTo(second)
    first.process.kill('SIGKILL')
    await put(second, 'c/n', 3)
    await put(second, 'c/list', { b: 2, c: 3 })
    await put(second, 'c/n', 4)
    await expect.poll(() => [counts.at(-1), there.at(-1), stream.last?.data], BOUND).toEqual([4, 4, '4'])
    await expect.poll(() => list, BOUND).toEqual({ '/list/b': 2, '/list/c': 3 })
    expect(moving.isEnded).toBe(true)
    // States, in the log's order: none twice, none older.
    for (const told of [counts, there, stream.events.map(({ data }) => Number(data))])
      expect(told).toEqual([...new Set(told as number[])].sort())
  })
})
