import { afterEach, describe, expect, it } from 'vitest'
import { listen } from '../src/listen.js'
import { EventStream } from './event-stream.js'
import { CONFIG, FakeDatabase, fakeServer } from './fake-database.js'
import { SocketClient } from './socket-client.js'

const BOUND = { timeout: 45_000 }

let server: Awaited<ReturnType<typeof fakeServer>> | undefined
let url = ''
const streams: EventStream[] = []

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close()
  await server?.close()
  server = undefined
})

async function start(options: Parameters<typeof fakeServer>[0] = {}) {
  server = await fakeServer(options)
  url = `http://127.0.0.1:${await listen(server.app, '127.0.0.1', 0)}`
  put(1, 'a')
  await server.cache.settled()
  return server
}

function put(id: number, title: string) {
  server!.database.fake.put('posts', { id, author: 7, title })
}

function open(path: string, headers: Record<string, string> = {}): EventStream {
  const stream = new EventStream(url + path, headers)
  streams.push(stream)
  return stream
}

const titles = (stream: EventStream) => stream.events.map(({ data }) => JSON.parse(data)?.title)

describe('GET /api/streams/:name', () => {
  it('sends the value now, and then every new one', async () => {
    await start()
    const stream = open('/api/streams/post?id=1')
    await expect.poll(() => titles(stream), BOUND).toEqual(['a'])
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    })
    put(2, 'other')
    put(1, 'b')
    await expect.poll(() => titles(stream), BOUND).toEqual(['a', 'b'])
    expect(stream.retries).toHaveLength(1)
    for (const { id } of stream.events) expect(id).toMatch(/^[\w.-]+:[0-9A-F]+\/[0-9A-F]+-[0-9a-f]{32}$/)
  })

  it('sends nothing where a change leaves the value as it is', async () => {
    await start()
    const stream = open('/api/streams/post?id=1')
    await expect.poll(() => titles(stream), BOUND).toEqual(['a'])
    put(1, 'a')
    await server!.cache.settled()
    put(1, 'b')
    await expect.poll(() => titles(stream), BOUND).toEqual(['a', 'b'])
  })

  it('begins with what is fresh for a client that comes while others watch', async () => {
    await start()
    const first = open('/api/streams/post?id=1')
    await expect.poll(() => titles(first), BOUND).toEqual(['a'])
    let release = () => {}
    server!.database.fake.gate = new Promise((resolve) => {
      release = resolve
    })
    put(1, 'b')
    await expect.poll(() => server!.cache.status().filling, BOUND).toBe(1)
    const second = open('/api/streams/post?id=1')
    await expect.poll(() => second.retries.length, BOUND).toBe(1)
    release()
    await expect.poll(() => titles(second), BOUND).toEqual(['b'])
    await expect.poll(() => titles(first), BOUND).toEqual(['a', 'b'])
  })

  it('sends a client that comes back only what it has not', async () => {
    await start()
    const first = open('/api/streams/post?id=1')
    await expect.poll(() => titles(first), BOUND).toEqual(['a'])
    first.close()
    const same = open('/api/streams/post?id=1', { 'last-event-id': first.lastEventId })
    await expect.poll(() => same.retries.length, BOUND).toBe(1)
    put(1, 'b')
    await expect.poll(() => titles(same), BOUND).toEqual(['b'])
    same.close()
    put(1, 'c')
    const later = open('/api/streams/post?id=1', { 'last-event-id': same.lastEventId })
    await expect.poll(() => titles(later), BOUND).toEqual(['c'])
  })

  it('sends the value to a client with the id of another epoch, or with one that cannot be read', async () => {
    await start()
    const known = open('/api/streams/post?id=1')
    await expect.poll(() => titles(known), BOUND).toEqual(['a'])
    const hash = known.lastEventId.split('-').at(-1)
    for (const id of [`another:FFF/0-${hash}`, 'x', `0/1-${hash}`, '-', `%00-${hash}`, `${'9'.repeat(300)}-${hash}`]) {
      const stream = open('/api/streams/post?id=1', { 'last-event-id': id })
      await expect.poll(() => titles(stream), BOUND).toEqual(['a'])
    }
  })

  it('waits for the position that a client has seen, and sends it elsewhere if that does not come', async () => {
    await start({ config: `cache: { waitMax: 300ms }\n${CONFIG}` })
    const known = open('/api/streams/post?id=1')
    await expect.poll(() => titles(known), BOUND).toEqual(['a'])
    const [epoch] = known.lastEventId.split(':')
    const ahead = open('/api/streams/post?id=1', { 'last-event-id': `${epoch}:FFFFF/0-${'0'.repeat(32)}` })
    await expect.poll(() => ahead.isEnded, BOUND).toBe(true)
    expect([ahead.events, ahead.retries.length]).toEqual([[], 2])
  })

  it('loads once for a change, however many clients there are', async () => {
    await start()
    const clients = Array.from({ length: 50 }, () => open('/api/streams/post?id=1'))
    await expect.poll(() => clients.every((client) => client.events.length === 1), BOUND).toBe(true)
    const { loads } = server!.cache.counters
    put(1, 'b')
    await expect.poll(() => clients.every((client) => titles(client).at(-1) === 'b'), BOUND).toBe(true)
    expect(server!.cache.counters.loads).toBe(loads + 1)
    expect(server!.cache.status().watched).toBe(1)
  })

  it('stops watching when the last client has gone', async () => {
    await start()
    const clients = [open('/api/streams/post?id=1'), open('/api/streams/post?id=1')]
    await expect.poll(() => clients.every((client) => client.events.length === 1), BOUND).toBe(true)
    for (const client of clients) client.close()
    await expect.poll(() => server!.cache.status().watched, BOUND).toBe(0)
  })

  it('stays open while the database is down, says what it waits for, and goes on', async () => {
    const database = new FakeDatabase()
    database.isDown = true
    await start({ database })
    const stream = open('/api/streams/post?id=1')
    await expect.poll(() => stream.comments.includes('waiting TIDEMARK_SOURCE_DOWN'), BOUND).toBe(true)
    expect([stream.status, stream.events]).toEqual([200, []])
    database.isDown = false
    await expect.poll(() => titles(stream), BOUND).toEqual(['a'])
  })

  it('ends with a problem where the request can never be answered', async () => {
    await start()
    server!.database.failure = '22003'
    const stream = open('/api/streams/post?id=1')
    await expect.poll(() => stream.isEnded, BOUND).toBe(true)
    expect(stream.last).toMatchObject({ event: 'problem' })
    expect(JSON.parse(stream.last!.data)).toMatchObject({ status: 400, code: 'TIDEMARK_PARAMETER' })
    expect(stream.retries.at(-1)).toBeGreaterThanOrEqual(60_000)
  })

  it('refuses wrong parameters before it begins', async () => {
    await start()
    const stream = open('/api/streams/post?id=x')
    await expect.poll(() => stream.isEnded, BOUND).toBe(true)
    expect([stream.status, JSON.parse(stream.text).code]).toEqual([400, 'TIDEMARK_PARAMETER'])
  })

  it('beats on quiet streams', async () => {
    await start({ config: `server: { heartbeat: 100ms }\n${CONFIG}` })
    const streams = [1, 2, 1].map((id) => open(`/api/streams/post?id=${id}`))
    for (const stream of streams) await expect.poll(() => stream.comments.length, BOUND).toBeGreaterThan(2)
  })

  it('has a limit, in all and for one address', async () => {
    await start({ config: `server: { streams: 2 }\n${CONFIG}` })
    const clients = [open('/api/streams/post?id=1'), open('/api/activity')]
    await expect.poll(() => clients.every(({ status }) => status === 200), BOUND).toBe(true)
    const refused = open('/api/streams/post?id=1')
    await expect.poll(() => refused.isEnded, BOUND).toBe(true)
    expect([refused.status, JSON.parse(refused.text).code, refused.headers['retry-after']]).toEqual([
      429,
      'TIDEMARK_STREAM_LIMIT',
      '1',
    ])
    clients[0]!.close()
    await expect
      .poll(async () => {
        const stream = open('/api/streams/post?id=1')
        await expect.poll(() => stream.status, BOUND).toBeDefined()
        return stream.status
      }, BOUND)
      .toBe(200)
  })

  it('tells its clients to come back when the server stops', async () => {
    await start()
    const stream = open('/api/streams/post?id=1')
    await expect.poll(() => titles(stream), BOUND).toEqual(['a'])
    await server!.app.close()
    await expect.poll(() => stream.isEnded, BOUND).toBe(true)
    expect(stream.retries).toHaveLength(2)
    for (const retry of stream.retries) {
      expect(retry).toBeGreaterThanOrEqual(500)
      expect(retry).toBeLessThanOrEqual(3_000)
    }
  })

  it('gives a slow client the newest state when it takes again, and holds up nobody', async () => {
    await start({ config: `server: { streamBuffer: 1024 }\n${CONFIG}` })
    const filler = 'x'.repeat(1 << 20)
    const [slow, quick] = [open('/api/streams/post?id=1'), open('/api/streams/post?id=1')]
    await expect.poll(() => [titles(slow), titles(quick)], BOUND).toEqual([['a'], ['a']])
    slow.pause()
    const changes = 30
    for (let change = 1; change <= changes; change++) {
      put(1, `${change}${filler}`)
      await expect.poll(() => quick.last!.data.includes(`"${change}x`), BOUND).toBe(true)
    }
    slow.resume()
    await expect.poll(() => slow.last!.data.includes(`"${changes}x`), BOUND).toBe(true)
    expect(slow.events.length).toBeLessThan(changes)
    const order = slow.events.slice(1).map(({ data }) => Number.parseInt(JSON.parse(data).title, 10))
    expect(order).toEqual(order.toSorted((one, other) => one - other))
  })

  it('closes a client that takes nothing for too long', async () => {
    await start({ config: `server: { streamBuffer: 1024, heartbeat: 100ms, stuck: 500ms }\n${CONFIG}` })
    const [stuck, quick] = [open('/api/streams/post?id=1'), open('/api/streams/post?id=1')]
    await expect.poll(() => [titles(stuck), titles(quick)], BOUND).toEqual([['a'], ['a']])
    stuck.pause()
    for (let change = 1; change <= 30; change++) {
      put(1, `${change}${'x'.repeat(1 << 20)}`)
      await expect.poll(() => quick.last!.data.includes(`"${change}x`), BOUND).toBe(true)
    }
    await expect.poll(async () => (await server!.app.inject('/metrics')).body, BOUND).toMatch(/^tidemark_streams 1$/m)
    put(1, 'end')
    await expect.poll(() => titles(quick).at(-1), BOUND).toBe('end')
  })
})

describe('a resource that a socket follows', () => {
  it('is told as a stream tells it; what is not declared, or not so, is refused', async () => {
    await start()
    const client = await new SocketClient(url).connected()
    const subscribe = (resource: string, parameters: object) => client.ask('subscribe', { resource, parameters })
    expect((await subscribe('none', {})).problem?.code).toBe('TIDEMARK_RESOURCE_UNKNOWN')
    expect((await subscribe('post', { id: 'x' })).problem?.code).toBe('TIDEMARK_PARAMETER')
    expect((await subscribe('post', { id: 1, more: 2 })).problem?.code).toBe('TIDEMARK_PARAMETER')
    expect((await client.subscribe('T1', 'C1')).problem?.code).toBe('TIDEMARK_NOT_FOUND')
    expect((await subscribe('post', { id: 1 })).value).toMatchObject({ title: 'a' })
    put(1, 'b')
    await expect.poll(() => client.told.map(({ value }) => (value as { title: string }).title), BOUND).toEqual(['b'])
    client.close()
    await expect.poll(() => server!.cache.status().watched, BOUND).toBe(0)
    expect((await server!.app.inject('/metrics')).body).toMatch(/^tidemark_sockets 0$/m)
  })

  it('ends where the position that a client has seen does not come: it is told to come back, not only in the answer', async () => {
    await start({ config: `cache: { waitMax: 300ms }\n${CONFIG}` })
    const client = await new SocketClient(url).connected()
    const wanted = { resource: 'post', parameters: { id: 1 } }
    const [epoch] = (await client.ask('subscribe', wanted)).id!.split(':')
    const ahead = await client.ask('subscribe', { ...wanted, from: `${epoch}:FFFFF/0-${'0'.repeat(32)}` })
    expect(ahead).toEqual({ subscription: '2', ended: true })
    await expect.poll(() => client.told.length, BOUND).toBe(1)
    expect(client.told).toMatchObject([{ event: 'end', subscription: '2', retryMs: expect.any(Number) }])
    client.close()
  })

  it('is told to a slow one as it is when that takes again, by WebSocket and by polling', async () => {
    await start({ config: `server: { streamBuffer: 1024 }\n${CONFIG}` })
    const filler = 'x'.repeat(1 << 20)
    const slow = await new SocketClient(url).connected()
    const polling = await new SocketClient(url, { transports: ['polling'] }).connected()
    const quick = await new SocketClient(url).connected()
    for (const client of [slow, polling, quick])
      await client.ask('subscribe', { resource: 'post', parameters: { id: 1 } })
    const numbers = (client: SocketClient) =>
      client.told.map(({ value }) => Number.parseInt((value as { title: string }).title, 10))
    const { ws } = slow.socket.io.engine.transport as unknown as { ws: { pause(): void; resume(): void } }
    ws.pause()
    const changes = 30
    for (let change = 1; change <= changes; change++) {
      put(1, `${change}${filler}`)
      await expect.poll(() => numbers(quick).at(-1), BOUND).toBe(change)
    }
    ws.resume()
    for (const client of [slow, polling]) {
      await expect.poll(() => numbers(client).at(-1), BOUND).toBe(changes)
      expect(numbers(client)).toEqual([...new Set(numbers(client))].sort((one, other) => one - other))
    }
    expect(slow.told.length).toBeLessThan(changes)
    for (const client of [slow, polling, quick]) client.close()
  })
})

describe('GET /api/activity', () => {
  it('tells each change, what it touched, and each fill', async () => {
    await start()
    const stream = open('/api/streams/post?id=1')
    const activity = open('/api/activity')
    await expect.poll(() => activity.retries.length + stream.events.length, BOUND).toBe(2)
    put(1, 'b')
    await expect.poll(() => activity.events.map(({ event }) => event), BOUND).toEqual(['applied', 'filled'])
    expect(JSON.parse(activity.events[0]!.data)).toMatchObject({
      changes: { 'posts update': 1 },
      touched: 1,
      left: 0,
      entries: [{ key: 'post(1)' }],
    })
    expect(JSON.parse(activity.events[1]!.data)).toMatchObject({ key: 'post(1)' })
  })

  it('says how much it left out when there is too much', async () => {
    await start()
    const activity = open('/api/activity')
    await expect.poll(() => activity.retries.length, BOUND).toBe(1)
    for (let change = 0; change < 500; change++) put(1, `${change}`)
    await expect.poll(() => activity.events.some(({ event }) => event === 'skipped'), BOUND).toBe(true)
    const told = activity.events.filter(({ event }) => event === 'applied').length
    const skipped = activity.events
      .filter(({ event }) => event === 'skipped')
      .map(({ data }) => JSON.parse(data).events)
    expect(told + skipped.reduce((sum, events) => sum + events, 0)).toBe(500)
  })

  it('makes the cache build no events while nobody listens', async () => {
    await start()
    const activity = open('/api/activity')
    await expect.poll(() => activity.retries.length, BOUND).toBe(1)
    activity.close()
    await expect
      .poll(async () => (await server!.app.inject('/metrics')).body, BOUND)
      .toMatch(/^tidemark_activity_clients 0$/m)
  })
})
