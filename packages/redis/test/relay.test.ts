import type { Log, Relay } from 'tidemark'
import { beforeEach, describe, expect, test } from 'vitest'
import { redisRelay, type StreamOptions } from '../src/index.js'
import { oneRedis } from './one-redis.js'
import { Recorder } from './recorder.js'
import { RedisServer, until } from './redis-server.js'
import { connectionTo, ScriptedLog, ScriptedSource } from './relay-world.js'
import { TcpLine } from './tcp-line.js'

const stream = 'tidemark:relay'
const server = oneRedis()
const { closers } = server
let source: ScriptedSource

beforeEach(() => {
  source = new ScriptedSource()
})

const relay = (options: Partial<StreamOptions> = {}): Relay =>
  redisRelay({ url: server.url, commandTimeoutMs: 500, ...options })

/** A leader, which looks what can be seen as its own follower would. */
function lead(
  from = source.end,
  options: Partial<StreamOptions> = {},
): { log: Log; scripted: ScriptedLog; heard: Recorder } {
  const scripted = new ScriptedLog(source, from)
  const log = relay(options).lead(scripted, () => true)
  closers.push(() => log.close())
  return { log, scripted, heard: new Recorder(log) }
}

function follow(options: Partial<StreamOptions> = {}, of = source): Recorder {
  const log = relay(options).follow(connectionTo(of))
  closers.push(() => log.close())
  return new Recorder(log)
}

const tablesOf = (heard: Recorder) =>
  heard.commits.flatMap(({ changes }) => changes.flatMap((change) => (change.kind === 'row' ? [change.table] : [])))
const reaches = (heard: Recorder, lsn: number) =>
  until(() => Math.max(heard.commits.at(-1)?.lsn ?? 0, heard.progressed.at(-1) ?? 0) >= lsn, `reaches ${lsn}`)
const names = (count: number, prefix = 't') => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

/** The records in the stream that are relayed by now: what the leader has handed over is there. */
async function relayed(count: number): Promise<void> {
  await until(async () => (await server.admin.xlen(stream)) >= count, `${count} records`)
}

test('a follower is delivered what the leader is, with transaction ids, in order, and the ends between', async () => {
  lead()
  await relayed(2)
  const heard = follow()
  await heard.hasStarted()
  for (const table of names(50)) source.commit(table)
  source.advance()
  await reaches(heard, source.end)
  expect(heard.commits).toEqual(source.commits)
  expect(heard.starts).toEqual([{ epoch: 'e1', lsn: 100, proof: { kind: 'visible' } }])
})

describe('the start', () => {
  test('is where the leader has proven all, not at the end', async () => {
    const { log } = lead()
    source.commit('seen')
    await log.probe()
    const xid = source.commit('hidden', true)
    source.commit('after')
    await log.probe()
    await relayed(5)
    const heard = follow()
    await reaches(heard, source.end)
    // A commit that new snapshots do not show yet must be among those that the follower proves for itself.
    expect(heard.starts[0]).toEqual({ epoch: 'e1', lsn: 110, proof: { kind: 'visible' } })
    expect(tablesOf(heard)).toEqual(['hidden', 'after'])
    expect(heard.commits[0]!.xid).toBe(xid)
  })

  test('waits for older transactions where the stream no longer reaches back there', async () => {
    const { log } = lead()
    const xid = source.commit('hidden', true)
    await log.probe()
    for (const table of names(10)) source.commit(table)
    await log.probe()
    await relayed(12)
    await server.admin.xtrim(stream, 'MAXLEN', 3)
    const heard = follow()
    await heard.hasStarted()
    const { lsn, proof } = heard.starts[0]!
    expect(lsn).toBe(source.end)
    expect(proof).toMatchObject({ kind: 'xmin' })
    expect(proof.kind === 'xmin' && proof.xid > xid).toBe(true)
  })

  test('waits for a leader, and says so', async () => {
    const heard = follow()
    await until(() => heard.losses.length > 0)
    expect(heard.log.status().reason).toContain('leader')
    lead()
    await heard.hasStarted()
  })

  test('takes no leader of another server for its own', async () => {
    const elsewhere = new ScriptedSource()
    elsewhere.epoch = 'e2'
    lead()
    await relayed(2)
    const heard = follow({}, elsewhere)
    await until(() => heard.losses.length > 0)
    expect(heard.starts).toEqual([])
  })
})

describe('two leaders', () => {
  test('at once tell everything once', async () => {
    lead()
    lead()
    await relayed(3)
    const heard = follow()
    await heard.hasStarted()
    for (const table of names(200)) source.commit(table)
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual(names(200))
    expect(heard.starts.length).toBe(1)
  })

  test('one of which wakes up late: what it says again changes nothing', async () => {
    const { scripted } = lead()
    await relayed(2)
    const heard = follow()
    await heard.hasStarted()
    scripted.isHeldUp = true
    lead()
    for (const table of names(20)) source.commit(table)
    await reaches(heard, source.end)
    scripted.isHeldUp = false
    scripted.deliver()
    source.commit('last')
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual([...names(20), 'last'])
    expect(heard.starts.length).toBe(1)
  })

  test('one after the other: the next begins where the first had got, and nothing is lost', async () => {
    const first = lead()
    await relayed(2)
    const heard = follow()
    await heard.hasStarted()
    for (const table of names(10)) source.commit(table)
    const acknowledged = source.commits[4]!.lsn
    await reaches(heard, source.end)
    await first.log.close()
    for (const table of names(10, 'between')) source.commit(table)
    lead(acknowledged)
    source.commit('last')
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual([...names(10), ...names(10, 'between'), 'last'])
    expect(heard.starts.length).toBe(1)
  })

  test('of which the next begins later than the first had relayed: a gap, and the follower begins anew', async () => {
    const first = lead()
    await relayed(2)
    const heard = follow()
    await heard.hasStarted()
    source.commit('a')
    await reaches(heard, source.end)
    await first.log.close()
    source.commit('lost')
    lead()
    source.commit('b')
    await heard.hasStarted(2)
    await reaches(heard, source.end)
    expect(heard.losses[0]!.code).toBe('TIDEMARK_LOG_GAP')
    expect(tablesOf(heard)).not.toContain('lost')
  })

  test('of which the next read along: it relays what the first had left unsaid', async () => {
    const first = lead()
    let isLeading = false
    const next = relay().lead(new ScriptedLog(source), () => isLeading)
    closers.push(() => next.close())
    new Recorder(next)
    await relayed(2)
    const heard = follow()
    await heard.hasStarted()
    source.commit('a')
    await reaches(heard, source.end)
    await first.log.close()
    source.commit('unsaid')
    isLeading = true
    source.commit('b')
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual(['a', 'unsaid', 'b'])
    expect(heard.starts.length).toBe(1)
  })
})

describe('a Redis', () => {
  test('that is emptied costs a follower nothing, as long as the leader goes on', async () => {
    lead()
    await relayed(2)
    const heard = follow()
    await heard.hasStarted()
    source.commit('a')
    await reaches(heard, source.end)
    await server.admin.flushall()
    source.commit('b')
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual(['a', 'b'])
    expect(heard.starts.length).toBe(1)
  })

  test('that is killed and comes back empty too: what was committed meanwhile waited at the leader', async () => {
    const own = await RedisServer.start()
    closers.push(() => own.drop())
    lead(source.end, { url: own.url })
    const heard = follow({ url: own.url })
    await heard.hasStarted()
    await own.kill()
    for (const table of names(300)) source.commit(table)
    await own.start()
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual(names(300))
    expect([heard.starts.length, heard.resumes]).toEqual([1, 1])
  })

  test('that is trimmed past a follower is a gap', async () => {
    const line = await TcpLine.to(server.port)
    closers.push(() => line.end())
    lead()
    await relayed(2)
    const heard = follow({ url: line.url })
    await heard.hasStarted()
    line.silence()
    for (const table of names(50)) source.commit(table)
    await relayed(52)
    await server.admin.xtrim(stream, 'MAXLEN', 2)
    line.heal()
    await heard.hasStarted(2)
    source.commit('after')
    await reaches(heard, source.end)
    expect(tablesOf(heard).at(-1)).toBe('after')
    expect(heard.losses.some(({ code }) => code === 'TIDEMARK_LOG_GAP')).toBe(true)
  })

  test('whose line is cut again and again loses nothing and doubles nothing', async () => {
    const line = await TcpLine.to(server.port)
    closers.push(() => line.end())
    lead(source.end, { url: line.url })
    const heard = follow({ url: line.url })
    await heard.hasStarted()
    for (let round = 0; round < 6; round++) {
      for (const table of names(40, `r${round}-`)) source.commit(table)
      line.cut()
      await reaches(heard, source.end)
    }
    expect(heard.commits).toEqual(source.commits)
    expect(heard.starts.length).toBe(1)
  })
})

test('a follower that was cut off for long goes on where it was, however much was relayed meanwhile', async () => {
  const line = await TcpLine.to(server.port)
  closers.push(() => line.end())
  const { scripted } = lead()
  const heard = follow({ url: line.url })
  await heard.hasStarted()
  line.silence()
  // More than is searched for a place where one has to be found.
  for (let round = 1; round <= 2; round++) {
    scripted.isHeldUp = true
    for (const table of names(10_300)) source.commit(table)
    scripted.isHeldUp = false
    scripted.deliver()
    await relayed(round * 10_300)
  }
  line.heal()
  await reaches(heard, source.end)
  expect(heard.commits.length).toBe(20_600)
  expect(heard.starts.length).toBe(1)
})

describe('what others write into the stream', () => {
  test('is passed over without a valid HMAC, and holds nobody up', async () => {
    lead(source.end, { secret: 'ours' })
    await relayed(2)
    const heard = follow({ secret: 'ours' })
    await heard.hasStarted()
    const forger = new ScriptedSource()
    forger.end = 2 ** 40
    const forged = relay({ secret: 'another' }).lead(new ScriptedLog(forger), () => true)
    closers.push(() => forged.close())
    new Recorder(forged)
    forger.commit('forged')
    await until(async () => JSON.stringify(await server.admin.xrange(stream, '-', '+')).includes('forged'))
    source.commit('ours')
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual(['ours'])
    expect(heard.starts.length).toBe(1)
  })

  test('in a form that nobody knows costs nothing, if the leader left nothing out', async () => {
    lead()
    await relayed(2)
    const heard = follow()
    await heard.hasStarted()
    await server.admin.xadd(stream, '*', 'who', 'knows')
    source.commit('a')
    await reaches(heard, source.end)
    expect(tablesOf(heard)).toEqual(['a'])
    expect(heard.starts.length).toBe(1)
  })
})

test.each([
  { how: 'with a secret who asked is told to followers', secret: { secret: 'ours' }, isNamed: true },
  { how: 'without a secret nobody is named, as anybody may have relayed it', secret: {}, isNamed: false },
])('$how', async ({ secret, isNamed }) => {
  const { heard: leader } = lead(source.end, secret)
  await relayed(1)
  const heard = follow(secret)
  await heard.hasStarted()
  const by = { actor: 'admin', requestId: 'req-001' }
  const asked = { kind: 'target', targets: [{ kind: 'everything' }], mode: 'expire', nonce: 'n' } as const
  source.commitChanges([{ ...asked, by }], source.ownTransaction())
  await reaches(heard, source.end)
  expect(leader.requests).toEqual([{ ...asked, by }])
  expect(heard.requests).toEqual([isNamed ? { ...asked, by } : asked])
})

test('a commit that is too large for a record is relayed as its tables', async () => {
  const { log } = lead()
  const heard = follow()
  await heard.hasStarted()
  const text = 'x'.repeat(100_000)
  const changes = Array.from({ length: 60 }, (_, i) => ({
    kind: 'row' as const,
    op: 'insert' as const,
    table: `large${i % 2}`,
    old: null,
    new: { text },
  }))
  source.commitChanges(changes)
  source.commit('after')
  await reaches(heard, source.end)
  expect(heard.commits[0]!.changes).toEqual([
    { kind: 'table', table: 'large0', reason: 'large' },
    { kind: 'table', table: 'large1', reason: 'large' },
  ])
  expect(log.status().state).toBe('following')
})

test('another history of the source is another epoch for its followers', async () => {
  const { scripted } = lead()
  await relayed(2)
  const heard = follow()
  await heard.hasStarted()
  source.epoch = 'e2'
  scripted.start({ epoch: 'e2', lsn: source.end, proof: { kind: 'visible' } })
  await heard.hasStarted(2)
  expect(heard.starts[1]!.epoch).toBe('e2')
  source.commit('a')
  await reaches(heard, source.end)
  expect(tablesOf(heard)).toEqual(['a'])
})
