import { type TestDatabase, testDatabase } from '@tidemark/embedded/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig, type Running, serve } from '../src/index.js'
import { EventStream } from './event-stream.js'
import { BOUND, sql, temporaryFolder } from './serving.js'
import { until } from './until.js'

/* Nodes of config trees, followed over HTTP. */

let database: TestDatabase
let server: Running
let folder: ReturnType<typeof temporaryFolder>
const streams: EventStream[] = []

beforeAll(async () => {
  database = await testDatabase({ settings: {} })
  folder = temporaryFolder()
  const config = parseConfig(
    `source: { url: "${database.url}" }\ntrees: { enabled: true }\nresources: {}\n`,
    'x.yaml',
    {},
  )
  server = await serve({ config, port: 0, env: {}, dataDir: folder.path, signals: false, logLevel: 'silent' })
  await until(() => server.cache.status().keeping && server.cache.status().current)
})
afterEach(() => {
  for (const stream of streams.splice(0)) stream.close()
})
afterAll(async () => {
  await server?.close()
  await database?.drop()
  folder?.remove()
})

async function put(path: string, json: string, method = 'PUT', type = 'application/json'): Promise<void> {
  const response = await fetch(`${server.url}/api/trees/${path}`, {
    method,
    body: json,
    headers: { 'content-type': type },
  })
  expect(response.status, await response.text()).toBe(200)
}

function follow(config: string, query = '', headers: Record<string, string> = {}): EventStream {
  const stream = new EventStream(`${server.url}/api/trees/${config}/~live${query}`, headers)
  streams.push(stream)
  return stream
}

const told = ({ events }: EventStream) => events.map(({ event, data }) => `${event ?? 'message'} ${data}`)

describe('a node that is followed', () => {
  it(
    'is told as it is, and whenever it or something below it changes, whoever does it; others are left alone',
    BOUND,
    async () => {
      await put('T1/flags', '{"a":{"b":12345678901234567890.1},"c":[1,2]}')
      const [a, c, none] = [
        follow('T1/flags', '?path=/a'),
        follow('T1/flags', '?path=/c'),
        follow('T1/flags', '?path=/x~1y'),
      ]
      await until(() => [a, c, none].every(({ events }) => events.length === 1))
      expect([a, c, none].map(told)).toEqual([
        ['message {"b":12345678901234567890.1}'],
        ['message [1,2]'],
        ['absent null'],
      ])

      await put('T1/flags/a/b', '2')
      await sql(database.url, `update tidemark_trees.configs set value = '3' where config = 'flags' and path = '/a/b'`)
      await until(() => a.last?.data === '{"b":3}')
      await put('T1/flags/x~1y', 'null')
      await until(() => none.events.length === 2)
      expect(told(none)).toEqual(['absent null', 'message null'])
      await put('T1/flags/a', '', 'DELETE')
      await until(() => a.last?.event === 'absent')
      expect(c.events).toHaveLength(1)
    },
  )

  it('is told by patches to who wants them: each leads from the value before to the next', BOUND, async () => {
    const list = JSON.stringify(Array.from({ length: 50 }, (_, n) => ({ n, text: 'x'.repeat(20) })))
    await put('T1/list', list)
    const stream = follow('T1/list', '?as=patch')
    await until(() => stream.events.length === 1)
    await put('T1/list', '[{"op":"add","path":"/0","value":"first"}]', 'PATCH', 'application/json-patch+json')
    await until(() => stream.events.length === 2)
    await put('T1/list/0', '"changed"')
    await until(() => stream.events.length === 3)
    await put('T1/list', '[]')
    await until(() => stream.events.length === 4)
    expect(told(stream)).toEqual([
      `message ${list}`,
      'patch [{"op":"add","path":"/0","value":"first"}]',
      'patch [{"op":"replace","path":"/0","value":"changed"}]',
      'message []', // shorter than a patch
    ])
  })

  it('is taken up where a client left off: nothing if it has the value, else the value as a whole', BOUND, async () => {
    await put('T1/again', '{"a":1}')
    const first = follow('T1/again')
    await until(() => first.events.length === 1)
    first.close()
    const headers = { 'last-event-id': first.lastEventId }
    const same = follow('T1/again', '?as=patch', headers)
    await until(() => same.status === 200)
    await put('T1/again/b', '2')
    await until(() => same.events.length === 1)
    const later = follow('T1/again', '?as=patch', headers)
    await until(() => later.events.length === 1)
    expect([told(same), told(later)]).toEqual([['message {"a":1,"b":2}'], ['message {"a":1,"b":2}']])
  })
})

it('what is no path, or asks for something else, is refused before a stream begins', BOUND, async () => {
  for (const query of ['?path=a', '?path=/~2', '?as=deltas', '?more=1']) {
    const response = await fetch(`${server.url}/api/trees/T1/flags/~live${query}`)
    expect(response.status, query).toBeGreaterThanOrEqual(400)
    expect(response.headers.get('content-type'), query).toMatch(/problem\+json/)
  }
})
