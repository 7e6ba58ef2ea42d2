import { readFileSync } from 'node:fs'
import { testDatabase } from '@tidemark/embedded/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { serve } from '../src/index.js'
import { EventStream } from './event-stream.js'
import { BOUND, CONFIG, SCHEMA, type ServerProcess, sql, startProcess, temporaryFolder } from './serving.js'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function folderWith(config: string) {
  const folder = temporaryFolder()
  cleanups.push(() => folder.remove())
  return { folder, config: folder.write('tidemark.yaml', config) }
}

/** A PostgreSQL of the test's own, which it may kill. */
async function ownDatabase() {
  const database = await testDatabase({ settings: { wal_level: 'logical' } })
  cleanups.push(() => database.drop())
  await sql(database.url, SCHEMA)
  return database
}

async function processOf(options: object, env: Record<string, string> = {}): Promise<ServerProcess> {
  const server = await startProcess(options, env)
  cleanups.push(async () => {
    server.process.kill('SIGKILL')
    await server.ended
  })
  return server
}

function open(url: string, headers: Record<string, string> = {}): EventStream {
  const stream = new EventStream(url, headers)
  cleanups.push(() => stream.close())
  return stream
}

const titles = (stream: EventStream) => stream.events.map(({ data }) => JSON.parse(data).title)

describe('when the server is killed', () => {
  it('clients that come back get the last state, none older and none twice', async () => {
    const database = await ownDatabase()
    const { config } = folderWith(CONFIG)
    const env = { DATABASE_URL: database.url }
    const first = await processOf({ config, port: 0 }, env)
    const clients = [1, 2].map((id) => open(`${first.said.url}/api/streams/post?id=${id}`))
    await expect.poll(() => clients.map(titles), BOUND).toEqual([['post 1'], ['post 2']])

    first.process.kill('SIGKILL')
    await expect.poll(() => clients.every(({ isEnded }) => isEnded), BOUND).toBe(true)
    await sql(database.url, `update posts set title = 'while away' where id = 2`)

    const second = await processOf({ config, port: 0 }, env)
    const again = clients.map((client, index) =>
      open(`${second.said.url}/api/streams/post?id=${index + 1}`, { 'last-event-id': client.lastEventId }),
    )
    await expect.poll(() => titles(again[1]!), BOUND).toEqual(['while away'])
    await sql(database.url, `update posts set title = 'after' where id = 1`)
    await expect.poll(() => titles(again[0]!), BOUND).toEqual(['after'])
    // The killed process's slot went with its connection.
    await expect
      .poll(() => sql(database.url, 'select active from pg_replication_slots'), BOUND)
      .toEqual([{ active: true }])
  })
})

describe('when PostgreSQL is killed', () => {
  const DOWN = [503, 'TIDEMARK_SOURCE_DOWN']
  async function ofTree(url: string, method: string): Promise<[status: number, code: string | undefined]> {
    const body = method === 'PUT' ? '{"a":1}' : null
    const answer = await fetch(`${url}/api/trees/T1/app`, {
      method,
      body,
      headers: { 'content-type': 'application/json' },
    })
    return [answer.status, ((await answer.json()) as { code?: string }).code]
  }

  it('streams stay, say what they wait for, and go on; ids of before are of another epoch', async () => {
    const database = await ownDatabase()
    const { config } = folderWith(`trees: { enabled: true }\n${CONFIG}`)
    const running = await serve({
      config,
      port: 0,
      env: { DATABASE_URL: database.url },
      signals: false,
      logLevel: 'silent',
    })
    cleanups.push(() => running.close())
    const stream = open(`${running.url}/api/streams/post?id=1`)
    await expect.poll(() => titles(stream), BOUND).toEqual(['post 1'])
    const before = stream.lastEventId

    database.server.kill()
    await expect.poll(async () => (await fetch(`${running.url}/health`)).status, BOUND).toBe(503)
    const down = await fetch(`${running.url}/api/resources/post?id=50`)
    expect([down.status, ((await down.json()) as { code: string }).code]).toEqual([503, 'TIDEMARK_SOURCE_DOWN'])
    expect(down.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    for (const method of ['GET', 'PUT']) expect(await ofTree(running.url, method), method).toEqual(DOWN)

    await database.server.restart()
    await sql(database.url, `update posts set title = 'after' where id = 1`)
    await expect.poll(() => titles(stream).at(-1), BOUND).toBe('after')
    expect(stream.isEnded).toBe(false)
    await expect.poll(async () => (await fetch(`${running.url}/health`)).status, BOUND).toBe(200)
    const again = open(`${running.url}/api/streams/post?id=1`, { 'last-event-id': before })
    await expect.poll(() => titles(again), BOUND).toEqual(['after'])
  })

  it('a server that starts meanwhile says so, and serves once it is there', async () => {
    const database = await ownDatabase()
    database.server.kill()
    const { config } = folderWith(`trees: { enabled: true }\n${CONFIG}`)
    const running = await serve({
      config,
      port: 0,
      env: { DATABASE_URL: database.url },
      signals: false,
      logLevel: 'silent',
    })
    cleanups.push(() => running.close())
    const stream = open(`${running.url}/api/streams/post?id=1`)
    await expect.poll(() => stream.comments.includes('waiting TIDEMARK_SOURCE_DOWN'), BOUND).toBe(true)
    expect((await fetch(`${running.url}/api/resources/post?id=1`)).status).toBe(503)
    const health = (await (await fetch(`${running.url}/health`)).json()) as { live: boolean; ready: boolean }
    expect([health.live, health.ready]).toEqual([true, false])
    for (const method of ['GET', 'PUT']) expect(await ofTree(running.url, method), method).toEqual(DOWN)
    await database.server.restart()
    await expect.poll(() => ofTree(running.url, 'PUT'), BOUND).toEqual([200, undefined])
    await expect.poll(() => titles(stream), BOUND).toEqual(['post 1'])
    await expect.poll(async () => (await fetch(`${running.url}/health`)).status, BOUND).toBe(200)
  })
})

describe('a server with its own PostgreSQL', () => {
  const SEED = `create table if not exists posts (id int primary key, title text); insert into posts values (1, 'a') on conflict do nothing`
  const CONFIG_OWN = 'resources:\n  post: { params: { id: int }, sql: select * from posts where id = :id, one: true }\n'

  it('keeps its data, stops cleanly, and survives a kill', async () => {
    const { folder, config } = folderWith(CONFIG_OWN)
    const dataDir = `${folder.path}/data`
    const running = await serve({
      config,
      port: 0,
      dataDir,
      env: {},
      signals: false,
      logLevel: 'silent',
      seed: ({ url }) => sql(url, SEED).then(() => {}),
    })
    expect(running.database.embedded).toBe(true)
    await sql(running.database.url, `update posts set title = 'kept' where id = 1`)
    await running.close()
    await expect(sql(running.database.url, 'select 1')).rejects.toThrow()

    const killed = await processOf({ config, port: 0, dataDir }, { DATABASE_URL: '' })
    expect(await (await fetch(`${killed.said.url}/api/resources/post?id=1`)).json()).toEqual({ id: 1, title: 'kept' })
    killed.process.kill('SIGKILL')
    await killed.ended

    const last = await processOf({ config, port: 0, dataDir }, { DATABASE_URL: '' })
    expect(await (await fetch(`${last.said.url}/api/resources/post?id=1`)).json()).toEqual({ id: 1, title: 'kept' })
  })

  it('starts it again if it is killed, and goes on with the streams', async () => {
    const { folder, config } = folderWith(CONFIG_OWN)
    const dataDir = `${folder.path}/data`
    const running = await serve({
      config,
      port: 0,
      dataDir,
      env: {},
      signals: false,
      logLevel: 'silent',
      seed: ({ url }) => sql(url, SEED).then(() => {}),
    })
    cleanups.push(() => running.close())
    const stream = open(`${running.url}/api/streams/post?id=1`)
    await expect.poll(() => titles(stream), BOUND).toEqual(['a'])
    const pid = Number(readFileSync(`${dataDir}/postgres/postmaster.pid`, 'utf8').split('\n')[0])
    process.kill(pid, 'SIGKILL')
    await expect
      .poll(
        () => sql(running.database.url, `update posts set title = 'again' where id = 1 returning id`).catch(() => []),
        BOUND,
      )
      .toHaveLength(1)
    await expect.poll(() => titles(stream).at(-1), BOUND).toBe('again')
    expect(stream.isEnded).toBe(false)
  })

  it('says that its data folder is in use', async () => {
    const { folder, config } = folderWith('resources: {}\n')
    const options = { config, port: 0, dataDir: `${folder.path}/data` }
    await processOf(options, { DATABASE_URL: '' })
    const second = await processOf(options, { DATABASE_URL: '' })
    expect(second.said.code).toBe('TIDEMARK_DATA_IN_USE')
    expect(await second.ended).toBe(1)
  })
})

describe('SIGTERM', () => {
  it('answers what is in flight, tells streams to come back, gives up the slot, and exits with 0', async () => {
    const database = await ownDatabase()
    const { config } = folderWith(
      `${CONFIG}  slow: { sql: "select id, pg_sleep(2)::text as slept from posts where id = 1" }\n`,
    )
    const server = await processOf({ config, port: 0 }, { DATABASE_URL: database.url })
    const stream = open(`${server.said.url}/api/streams/post?id=1`)
    await expect.poll(() => titles(stream), BOUND).toEqual(['post 1'])
    const slow = fetch(`${server.said.url}/api/resources/slow`)
    await expect
      .poll(
        () =>
          sql(
            database.url,
            `select 1 as n from pg_stat_activity where state = 'active' and query like '%pg_sleep(2)%' and pid <> pg_backend_pid()`,
          ),
        BOUND,
      )
      .toHaveLength(1)
    server.process.kill('SIGTERM')
    expect((await slow).status).toBe(200)
    expect(await server.ended).toBe(0)
    expect(stream.retries).toHaveLength(2)
    expect(await sql(database.url, 'select slot_name from pg_replication_slots')).toEqual([])
  })

  it('stops its own PostgreSQL too', async () => {
    const { folder, config } = folderWith('resources: {}\n')
    const server = await processOf({ config, port: 0, dataDir: `${folder.path}/data` }, { DATABASE_URL: '' })
    server.process.kill('SIGTERM')
    expect(await server.ended).toBe(0)
    await expect(sql(server.said.database, 'select 1')).rejects.toThrow()
  })

  it('sent twice ends the process at once', async () => {
    const database = await ownDatabase()
    const { config } = folderWith('resources:\n  slow: { sql: "select 1 as one, pg_sleep(30)::text as slept" }\n')
    const server = await processOf({ config, port: 0 }, { DATABASE_URL: database.url })
    const slow = fetch(`${server.said.url}/api/resources/slow`).catch(() => 'cut')
    await expect
      .poll(
        () =>
          sql(
            database.url,
            `select 1 as n from pg_stat_activity where state = 'active' and query like '%pg_sleep(30)%' and pid <> pg_backend_pid()`,
          ),
        BOUND,
      )
      .toHaveLength(1)
    server.process.kill('SIGTERM')
    await expect
      .poll(
        async () =>
          fetch(`${server.said.url}/health`).then(
            ({ status }) => status,
            () => 'refused',
          ),
        BOUND,
      )
      .not.toBe(200)
    server.process.kill('SIGTERM')
    expect(await server.ended).toBe(130)
    expect(await slow).toBe('cut')
  })
})
