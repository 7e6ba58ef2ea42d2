import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, ClientError, createClient } from '../src/index.js'
import { type Served, served, until } from './serving.js'

const BOUND = { timeout: 60_000 }

let server: Served
let client: Client

beforeAll(async () => {
  server = await served()
  client = createClient({ url: `${server.running.url}/` })
}, 60_000)
afterAll(() => server?.close())

interface Theme {
  readonly color: string
  readonly size?: number
}

describe('a node', () => {
  test('is set, read, patched and deleted; what is not there is undefined', BOUND, async () => {
    const tree = client.tree('T1', 'settings')
    const theme = tree.node<Theme>('/theme/a~1b/ü?#')
    expect(tree.node('/theme/a~1b/ü?#')).toBe(theme)
    expect(await theme.get()).toBeUndefined()
    const { version, position, changes } = await theme.set({ color: 'red' }, { cause: 'a test' })
    expect(changes).toContainEqual({ path: '/theme/a~1b/ü?#/color', change: 'added' })
    expect(await theme.read({ position: position! })).toMatchObject({ value: { color: 'red' }, version })
    await theme.merge({ size: 12 })
    await tree.patch([{ op: 'replace', path: '/theme/a~1b/ü?#/color', value: 'blue' }])
    expect(await theme.get()).toEqual({ color: 'blue', size: 12 })
    expect(await tree.node().get({ depth: 1 })).toEqual({ theme: {} })
    expect((await theme.delete({ dryRun: true })).position).toBeUndefined()
    await theme.delete()
    expect(await theme.get()).toBeUndefined()
  })

  test('is only changed if it is what was read, where that is asked for', BOUND, async () => {
    const node = client.tree('T1', 'bound').node<number>('/n')
    await node.set(1)
    const { etag } = await node.read()
    await node.set(2, { ifMatch: etag! })
    const late = node.set(3, { ifMatch: etag! })
    await expect(late).rejects.toMatchObject({ code: 'TIDEMARK_TREE_VERSION', status: 412, isPassing: false })
    await expect(late).rejects.toBeInstanceOf(ClientError)
    expect(await node.get()).toBe(2)
  })

  test('is watched: its value, every new one, and that it is gone', BOUND, async () => {
    const node = client.tree('T1', 'watched').node<Theme>('/theme')
    await node.set({ color: 'red' })
    const ended = new AbortController()
    const seen: (Theme | undefined)[] = []
    const watching = (async () => {
      for await (const value of node.watch({ signal: ended.signal })) seen.push(value)
    })()
    await until(() => seen.length === 1)
    await node.set({ color: 'blue' })
    await until(() => seen.length === 2)
    await node.delete()
    await until(() => seen.length === 3)
    expect(seen).toEqual([{ color: 'red' }, { color: 'blue' }, undefined])
    ended.abort()
    await expect(watching).rejects.toThrow(/abort/i)
  })

  test('is followed by one stream for all, over a server that goes and comes back', BOUND, async () => {
    const node = client.tree('T1', 'followed').node<number>('/n')
    await node.set(1)
    let told = 0
    const leaves = [1, 2, 3].map(() => node.follow(() => told++))
    await until(() => node.current().value === 1)
    const streams = async () =>
      Number(/^tidemark_streams (\d+)$/m.exec(await (await fetch(`${server.running.url}/metrics`)).text())?.[1])
    await until(async () => (await streams()) === 1)
    expect(node.current()).toBe(node.current())

    await server.stop()
    await until(() => node.current().state === 'reconnecting')
    expect(node.current()).toEqual({ state: 'reconnecting', value: 1 })
    await server.start()
    await node.set(2)
    await until(() => node.current().state === 'live' && node.current().value === 2)
    for (const leave of leaves) leave()
    expect(node.current().state).toBe('loading')
    await until(async () => (await streams()) === 0)
    expect(told).toBeGreaterThan(3)
  })
})

test('a resource is read and watched, and entries are invalidated', BOUND, async () => {
  await server.sql(`insert into posts values (1, 7, 'one')`)
  const feed = client.resource<{ title: string }[]>('feed', { author: 7 })
  expect(client.resource('feed', { author: 7 })).toBe(feed)
  expect(await feed.get()).toMatchObject([{ title: 'one' }])
  const leave = feed.follow(() => {})
  await until(() => feed.current().state === 'live')
  await server.sql(`update posts set title = 'two'`)
  await until(() => feed.current().value?.[0]?.title === 'two')
  leave()
  const gone = await client.invalidate({ keys: ['a', 'b'], cause: 'a test', requestId: 'c-1' })
  expect(gone).toMatchObject({ request_id: 'c-1', invalidated_count: 2 })
  expect(await client.invalidate({ pattern: 'feed*', dryRun: true })).toMatchObject({ invalidated_count: 1 })
})

test('what will not come right is told once, and followed no more', BOUND, async () => {
  await expect(client.resource('none').get()).rejects.toMatchObject({ code: 'TIDEMARK_RESOURCE_UNKNOWN', status: 404 })
  const none = client.resource('none')
  const leave = none.follow(() => {})
  await until(() => none.current().state === 'failed')
  expect(none.current().error).toMatchObject({ code: 'TIDEMARK_RESOURCE_UNKNOWN' })
  leave()
  const bad = client.tree('T1', 'x').node('no-slash')
  await expect(bad.watch().next()).rejects.toMatchObject({ code: 'TIDEMARK_TREE_PATH' })
})

test('a server that is not there is told as unreachable, which passes', BOUND, async () => {
  const nobody = createClient({ url: 'http://127.0.0.1:9' })
  const failed = nobody.tree('a', 'b').node().get()
  await expect(failed).rejects.toMatchObject({ code: 'TIDEMARK_UNREACHABLE', status: 0, isPassing: true })
  const html = createClient({ url: 'http://x', fetch: async () => new Response('<html>', { status: 502 }) })
  await expect(html.resource('a').get()).rejects.toMatchObject({
    code: 'TIDEMARK_UNREACHABLE',
    status: 502,
    isPassing: true,
  })
})

test('a token goes with every request, asked for anew each time', BOUND, async () => {
  const seen: (string | null)[] = []
  let count = 0
  const asking = createClient({
    url: 'http://x',
    token: async () => `t${++count}`,
    fetch: async (_, init) => {
      seen.push(new Headers(init?.headers).get('authorization'))
      return Response.json({})
    },
  })
  await asking.resource('a').get()
  await asking.tree('a', 'b').node().set(1)
  expect(seen).toEqual(['Bearer t1', 'Bearer t2'])
})
