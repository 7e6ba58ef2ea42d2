import { type Cache, createCache } from 'tidemark'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { redisLog } from '../src/index.js'
import { RedisServer, until } from './redis-server.js'
import { TcpLine } from './tcp-line.js'

// Two processes without PostgreSQL: what one invalidates is gone in the other.

let server: RedisServer
let line: TcpLine
let [one, other]: Cache[] = []
let source = 0

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server?.drop())

beforeEach(async () => {
  await server.admin.flushall()
  source = 0
  line = await TcpLine.to(server.port)
  const open = (url: string) =>
    createCache({ log: redisLog({ url, commandTimeoutMs: 300 }), maxSilence: 1_000, waitMax: 5_000 })
  one = open(server.url)
  other = open(line.url)
  for (const cache of [one, other]) await until(() => cache!.status().keeping && cache!.status().current)
})
afterEach(async () => {
  await Promise.all([one, other].map((cache) => cache!.close()))
  await line.end()
})

const ask = (cache: Cache | undefined, minPosition?: string) =>
  cache!.ask('price', async () => source, { tags: ['prices'], ...(minPosition === undefined ? {} : { minPosition }) })

test('what one process invalidates is gone in the other, and a position of the one holds in the other', async () => {
  for (source = 1; source <= 20; ) {
    expect((await ask(other)).value).toBe(source)
    expect((await ask(other)).from).toBe('l1')
    source++
    const position = await one!.invalidate({ tags: ['prices'] })
    expect(await ask(other, position)).toMatchObject({ value: source, state: 'fresh' })
  }
})

test('cut off, a process stops saying fresh; back again, it goes on with what it kept, but for what was invalidated', async () => {
  source = 1
  await ask(other)
  await other!.get('kept', () => 'kept', { tags: ['else'] })
  line.silence()
  source = 2
  await one!.invalidate({ tags: ['prices'] })
  await until(() => !other!.status().current)
  // Load after load from the source, none of which can be known to be the latest.
  expect(await ask(other)).toMatchObject({ value: 2, state: 'fenced' })
  line.heal()
  await until(() => other!.status().current)
  expect(await ask(other)).toMatchObject({ value: 2 })
  expect(other!.peek('kept')).toBe('kept')
  expect(other!.counters).toMatchObject({ gaps: 0, resumes: 1 })
})

test('emptied, the log empties every cache, and all go on', async () => {
  source = 1
  await ask(other)
  await server.admin.flushall()
  source = 2
  await until(() => other!.counters.gaps === 1 && one!.counters.gaps === 1)
  await until(() => other!.status().keeping && other!.status().current)
  expect((await ask(other)).value).toBe(2)
  source = 3
  const position = await one!.invalidate({ tags: ['prices'] })
  expect(await ask(other, position)).toMatchObject({ value: 3, state: 'fresh' })
})
