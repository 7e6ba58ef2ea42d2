import { readFileSync } from 'node:fs'
import { L2BucketsError, redisL2 } from '@tidemark/redis'
import { Redis } from 'ioredis'
import { OptionError } from 'tidemark'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { fillOf, lsnOf, openL2, tell } from './opened.js'
import { RedisServer, until } from './redis-server.js'

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.drop())
beforeEach(async () => {
  await server.admin.flushall()
})

test('a damaged entry is a miss, deleted and counted, whichever byte it is', async () => {
  const l2 = await openL2(server)
  await tell(l2, 0, 1)
  await l2.fill('a', fillOf(1))
  const name = (await server.admin.keys('*:e:a'))[0]!
  const whole = (await server.admin.getBuffer(name))!
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole)
    damaged[at]! ^= 1 + (at % 255)
    await server.admin.set(name, damaged, 'PX', 100_000)
    expect(await lsnOf(l2, 'a'), `byte ${at}`).toBeUndefined()
    await until(async () => (await server.admin.exists(name)) === 0)
  }
  for (const other of ['', 'x', whole.subarray(0, 40)]) {
    await server.admin.set(name, other, 'PX', 100_000)
    expect(await lsnOf(l2, 'a')).toBeUndefined()
  }
  const { unreadable, stale } = l2.status().counters
  // That of another generation is no other than one of before.
  expect(unreadable + stale).toBe(whole.length + 3)
  expect(stale).toBeLessThanOrEqual(8 + 16 + 24)
  await l2.close()
})

test('an entry of another epoch is not believed, though its shape is known again and its position is higher', async () => {
  const l2 = await openL2(server)
  await tell(l2, 90, 100)
  await l2.fill('a', fillOf(100))
  await l2.invalidate({ epoch: 'other', prev: 5, end: 10, shapes: undefined, marks: [], mayReset: false })
  expect(await l2.fill('b', fillOf(10, { epoch: 'other' }))).toBe('stored')
  expect([await lsnOf(l2, 'a'), await lsnOf(l2, 'b')]).toEqual([undefined, 10])
  expect(await l2.fill('a', fillOf(10, { epoch: 'other' }))).toBe('stored')
  await l2.close()
})

test('an entry that is read lives on under any number of writes to other rows; one that is not read does not', async () => {
  const l2 = await openL2(server, { stampsMax: 64 })
  await tell(l2, 0, 1)
  const stamps = [{ shape: 'row', name: 'quiet' }]
  for (const key of ['read', 'left']) await l2.fill(key, fillOf(1, { stamps }))
  for (let lsn = 2; lsn < 1_000; lsn++) {
    await tell(l2, lsn - 1, lsn, [{ lsn, shape: 'row', name: `busy ${lsn}` }])
    if (lsn % 10 === 0) expect(await lsnOf(l2, 'read'), `at ${lsn}`).toBeGreaterThanOrEqual(1)
  }
  expect(await lsnOf(l2, 'left')).toBeUndefined()
  expect(await lsnOf(l2, 'read')).toBeGreaterThan(900)
  expect(await server.admin.zcard('{tidemark:0}:3:z')).toBeLessThanOrEqual(65)
  // It is renewed, and still stale when its own row changes.
  await tell(l2, 999, 1_000, [{ lsn: 1_000, shape: 'row', name: 'quiet' }])
  expect(await lsnOf(l2, 'read')).toBeUndefined()
  await l2.close()
})

test('a batch of many marks is applied in slices, as one', async () => {
  const l2 = await openL2(server)
  await tell(l2, 0, 1)
  for (const name of ['0', '11999', 'other']) await l2.fill(name, fillOf(1, { stamps: [{ shape: 'row', name }] }))
  const marks = Array.from({ length: 12_000 }, (_, i) => ({ lsn: 2, shape: 'row', name: `${i}` }))
  expect((await tell(l2, 1, 2, marks)).state).toBe('applied')
  expect([await lsnOf(l2, '0'), await lsnOf(l2, '11999'), await lsnOf(l2, 'other')]).toEqual([undefined, undefined, 1])
  await l2.close()
})

test('keys that differ only in lone surrogates, and very long ones, are different keys', async () => {
  const l2 = await openL2(server)
  await tell(l2, 0, 1)
  const keys = ['\ud800', '\ud801', '\ufffd', 'x'.repeat(60_000), `${'x'.repeat(60_000)}y`, '{tidemark:1}', '']
  for (const key of keys) await l2.fill(key, fillOf(1, { value: key }))
  for (const key of keys) expect((await l2.read(key)).entry?.value).toBe(key)
  await l2.close()
})

test('an entry that is too large, or that would not come back, is not stored, and counted with the reason', async () => {
  const l2 = await openL2(server, { entryBytesMax: 2_000, shapesMax: 2 })
  await tell(l2, 0, 1)
  expect(await l2.fill('a', fillOf(1, { value: 'x'.repeat(2_000) }))).toBe('refused')
  expect(await l2.fill('a', fillOf(1, { value: () => 1 }))).toBe('refused')
  for (const shape of ['one', 'two', 'three', 'four', 'five'])
    await l2.fill('a', fillOf(1, { stamps: [{ shape, name: '' }] }))
  expect(l2.status().counters.refused).toEqual({ 'too-large': 1, 'not-serializable': 1, 'too-many-shapes': 1 })
  await l2.close()
})

test('a serializer of the user, and compression', async () => {
  const json = {
    name: 'json',
    encode: (value: unknown) => Buffer.from(JSON.stringify(value)),
    decode: (bytes: Buffer): unknown => JSON.parse(bytes.toString()),
  }
  const l2 = await openL2(server, { serializer: json, compressAbove: 1_000 })
  const other = await openL2(server)
  await tell(l2, 0, 1)
  await l2.fill('a', fillOf(1, { value: { text: 'x'.repeat(10_000) } }))
  const name = (await server.admin.keys('*:e:a'))[0]!
  expect(await server.admin.strlen(name)).toBeLessThan(1_000)
  expect((await l2.read('a')).entry?.value).toEqual({ text: 'x'.repeat(10_000) })
  expect((await other.read('a')).entry).toBeUndefined()
  await l2.close()
  await other.close()
})

test('another number of buckets is refused, loudly', async () => {
  const l2 = await openL2(server, { buckets: 4 })
  await tell(l2, 0, 1)
  const other = await openL2(server, { buckets: 8 })
  await expect(tell(other, 0, 1)).rejects.toBeInstanceOf(L2BucketsError)
  await expect(tell(other, 0, 1)).rejects.toThrow('made with 4 buckets, and this process has 8')
  await l2.close()
  await other.close()
})

test("a client of the user's is used as it is, and left open", async () => {
  const client = new Redis(server.port, '127.0.0.1', { lazyConnect: true, keyPrefix: 'app:' })
  const l2 = await openL2(server, { client, name: 'shop' })
  await tell(l2, 0, 1)
  await l2.fill('a', fillOf(1))
  expect(await lsnOf(l2, 'a')).toBe(1)
  expect((await server.admin.keys('*')).sort()).toEqual(['app:{shop:0}:3:e:a', 'app:{shop:0}:3:s', 'app:{shop:0}:3:z'])
  await l2.close()
  expect(await client.ping()).toBe('PONG')
  client.disconnect()
})

test('the rights that the docs name are enough', async () => {
  const docs = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8')
  const command = /^ACL SETUSER tidemark-l2 (.*)$/m.exec(docs)![1]!
  await server.admin.call('ACL', 'SETUSER', 'tidemark-l2', ...command.split(' '))
  const url = `redis://tidemark-l2:password@127.0.0.1:${server.port}`
  const l2 = await openL2(server, { url, name: 'blog', stampsMax: 2 })
  await tell(l2, 0, 1)
  for (let lsn = 1; lsn < 6; lsn++) {
    expect(await l2.fill('a', fillOf(lsn))).toBe('stored')
    expect(await lsnOf(l2, 'a')).toBe(lsn)
    const marks = [
      { lsn: lsn + 1, shape: 'tag', name: `${lsn}` },
      { lsn: lsn + 1, shape: 'tag', name: lsn === 3 ? undefined : 'b' },
    ]
    expect((await tell(l2, lsn, lsn + 1, marks)).state).toBe('applied')
  }
  expect(await l2.lease!('a', 'one', 1_000)).toBe(true)
  await l2.release!('a', 'one')
  expect(l2.status().counters.failures).toEqual({})
  await l2.close()
})

test('options are checked when it is made', () => {
  const url = 'redis://127.0.0.1:1'
  const wrong = [
    {},
    { url: 'http://x' },
    { url, client: {} },
    { client: {} },
    { url, name: 'a{b}' },
    { url, buckets: 0 },
    { url, deadline: '50' },
    { url, deadline: 0 },
    { url, entryBytesMax: 1 },
    { url, stampMax: 1 },
  ]
  for (const options of wrong) expect(() => redisL2(options as never), JSON.stringify(options)).toThrow(OptionError)
})
