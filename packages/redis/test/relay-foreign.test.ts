import type { Log } from 'tidemark'
import { beforeEach, expect, test } from 'vitest'
import { redisRelay } from '../src/index.js'
import { oneRedis } from './one-redis.js'
import { appendRaw } from './raw-record.js'
import { Recorder } from './recorder.js'
import { until } from './redis-server.js'
import { connectionTo, ScriptedLog, ScriptedSource } from './relay-world.js'

// Records that are not this process's, or that it cannot read: of another log, of another version.

const stream = 'tidemark:relay'
const server = oneRedis()
const { closers } = server
let source: ScriptedSource

beforeEach(() => {
  source = new ScriptedSource()
})

function lead(name = 'scripted'): { log: Log; heard: Recorder } {
  const scripted = new ScriptedLog(source)
  scripted.name = name
  const log = redisRelay({ url: server.url }).lead(scripted, () => true)
  closers.push(() => log.close())
  return { log, heard: new Recorder(log) }
}

function follow(): Recorder {
  const log = redisRelay({ url: server.url }).follow(connectionTo(source))
  closers.push(() => log.close())
  return new Recorder(log)
}

const relayed = (count: number) =>
  until(async () => (await server.admin.xlen(stream)) >= count, `${count} records are relayed`)
const reaches = (heard: Recorder, lsn: number) =>
  until(() => Math.max(heard.commits.at(-1)?.lsn ?? 0, heard.progressed.at(-1) ?? 0) >= lsn, `reaches ${lsn}`)
const tablesOf = (heard: Recorder) =>
  heard.commits.flatMap(({ changes }) => changes.flatMap((change) => (change.kind === 'row' ? [change.table] : [])))

/** What a leader of this version would relay next, changed. */
const record = (from: number, change: object) =>
  JSON.stringify({
    v: 1,
    x: 5_000,
    a: 1,
    c: [],
    e: 'e1',
    n: 'scripted',
    f: from,
    t: from + 10,
    p: from,
    k: true,
    ...change,
  })

test('a follower of other tables of the same server says whose log is relayed, and whose it wants', async () => {
  lead('another')
  await relayed(2)
  const heard = follow()
  await until(() => heard.losses.length > 0)
  expect(heard.log.status().reason).toContain('it is of another, and this process follows scripted')
  expect(heard.starts).toEqual([])
  // Its own leader comes: what the other one says is passed over from now on.
  lead()
  await heard.hasStarted()
})

test('two leaders of different tables on one stream: each is heard by its own followers only', async () => {
  lead()
  await relayed(2)
  const heard = follow()
  await heard.hasStarted()
  const foreign = lead('another')
  source.commit('a')
  await reaches(heard, source.end)
  source.commit('b')
  await reaches(heard, source.end)
  await reaches(foreign.heard, source.end)
  // Each of them relayed both commits; the follower was told each once, by its own leader.
  expect(tablesOf(heard)).toEqual(['a', 'b'])
  expect(heard.starts.length).toBe(1)
})

test('a record of another log tells nothing about ours, wherever it says that it stands', async () => {
  lead()
  await relayed(2)
  const heard = follow()
  await heard.hasStarted()
  await appendRaw(server.admin, stream, record(source.end, { n: 'another', t: source.end + 1_000 }))
  source.commit('a')
  source.commit('b')
  await reaches(heard, source.end)
  expect(tablesOf(heard)).toEqual(['a', 'b'])
})

test.each([
  { what: 'a version to come', change: { v: 2, c: { new: 'form' } } },
  { what: 'a kind of change to come', change: { c: [{ kind: 'column', column: 'a' }] } },
  { what: 'a kind of target to come', change: { c: [{ kind: 'target', targets: [{ kind: 'hash' }], mode: 'drop' }] } },
])('a record of $what empties what it might concern, and is followed past', async ({ change }) => {
  lead()
  await relayed(2)
  const heard = follow()
  await heard.hasStarted()
  const at = source.end
  await appendRaw(server.admin, stream, record(at, change))
  await until(() => heard.commits.length === 1, 'it is delivered')
  expect(heard.commits[0]).toEqual({
    lsn: at + 10,
    xid: 5_000,
    committedAt: 1,
    changes: [{ kind: 'everything', reason: 'unknown-version' }],
  })
  expect(heard.starts.length).toBe(1)
})

test('a record of a version that does not even say where it stands: the follower begins anew', async () => {
  lead()
  await relayed(2)
  const heard = follow()
  await heard.hasStarted()
  await appendRaw(server.admin, stream, JSON.stringify({ v: 9, where: 'elsewhere' }))
  await heard.hasStarted(2)
  expect(heard.losses[0]!.code).toBe('TIDEMARK_LOG_GAP')
  source.commit('after')
  await reaches(heard, source.end)
  expect(tablesOf(heard)).toEqual(['after'])
})
