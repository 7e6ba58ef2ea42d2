import type { Target } from 'tidemark'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { redisLog, type StreamOptions } from '../src/index.js'
import { appendRaw } from './raw-record.js'
import { Recorder, request } from './recorder.js'
import { RedisServer, until } from './redis-server.js'
import { TcpLine } from './tcp-line.js'

const stream = 'tidemark:log'
const closers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  while (closers.length > 0) await closers.pop()!()
})

function open(options: Partial<StreamOptions> & { readonly url: string }): Recorder {
  const log = redisLog({ commandTimeoutMs: 300, connectTimeoutMs: 1_000, ...options })
  closers.push(() => log.close())
  return new Recorder(log)
}

async function startServer(settings: readonly string[] = []): Promise<RedisServer> {
  const server = await RedisServer.start(settings)
  closers.push(() => server.drop())
  return server
}

async function lineTo(server: RedisServer): Promise<TcpLine> {
  const line = await TcpLine.to(server.port)
  closers.push(() => line.end())
  return line
}

const names = (count: number, prefix = 'n') => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

describe('a server that is killed', () => {
  test('and comes back empty is another history; the log goes on in it', async () => {
    const server = await startServer()
    const heard = open({ url: server.url })
    await heard.hasStarted()
    await heard.log.append(request('before'))
    await heard.hears('before')
    await server.kill()
    await until(() => heard.log.status().state === 'lost')
    await server.start()
    await heard.hasStarted(2)
    expect(heard.starts[1]!.epoch).not.toBe(heard.starts[0]!.epoch)
    expect(heard.losses[0]!.code).toBe('TIDEMARK_REDIS_DOWN')
    await heard.log.append(request('after'))
    await heard.hears('after')
    expect(heard.resumes).toBe(0)
  })

  test('with the append-only file may have lost what nobody can name: all start anew, and agree on the epoch', async () => {
    const server = await startServer(['--appendonly', 'yes', '--appendfsync', 'always'])
    const [one, other] = [open({ url: server.url }), open({ url: server.url })]
    await Promise.all([one.hasStarted(), other.hasStarted()])
    await one.log.append(request('before'))
    await other.hears('before')
    await server.kill()
    await server.start()
    await Promise.all([one.hasStarted(2), other.hasStarted(2)])
    expect(await server.admin.xlen(stream)).toBe(2)
    expect(one.starts[1]).toEqual(other.starts[1])
    expect(one.starts[1]!.epoch).not.toBe(one.starts[0]!.epoch)
    expect(one.starts[1]!.lsn).toBe(one.commits[0]!.lsn)
    await one.log.append(request('after'))
    await other.hears('after')
    expect(one.resumes + other.resumes).toBe(0)
  })

  test('and comes back as it was earlier is never resumed, though it has grown past the place since', async () => {
    const server = await startServer()
    const heard = open({ url: server.url })
    await heard.hasStarted()
    await heard.log.append(request('saved'))
    await server.admin.save()
    for (const name of names(5, 'lost')) await heard.log.append(request(name))
    await heard.hears('lost4')
    await server.kill()
    await server.start()
    const writer = open({ url: server.url })
    await writer.hasStarted()
    for (const name of names(8, 'grown')) await writer.log.append(request(name))
    await heard.hasStarted(2)
    await writer.log.append(request('after'))
    await heard.hears('after')
    expect(heard.resumes).toBe(0)
  })

  test('lets an append that began meanwhile through, once it is back', async () => {
    const server = await startServer()
    const heard = open({ url: server.url })
    await heard.hasStarted()
    await server.kill()
    const isAppended = heard.log.append(request('meanwhile'))
    await server.start()
    await isAppended
    expect(await server.admin.xlen(stream)).toBe(2)
  })
})

describe('a stream that is not what it was', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.drop())
  afterEach(() => server.admin.flushall())

  async function follow(options: Partial<StreamOptions> = {}): Promise<Recorder> {
    const heard = open({ url: server.url, ...options })
    await heard.hasStarted()
    for (const name of names(3, 'before')) await heard.log.append(request(name))
    await heard.hears('before2')
    return heard
  }

  async function goesOnInAnother(heard: Recorder, isOtherEpoch = true): Promise<void> {
    await heard.hasStarted(2)
    expect(heard.starts[1]!.epoch === heard.starts[0]!.epoch).toBe(!isOtherEpoch)
    expect(heard.losses.map(({ code }) => code)).toEqual(['TIDEMARK_LOG_GAP'])
    await heard.log.append(request('after'))
    await heard.hears('after')
    expect(heard.resumes).toBe(0)
  }

  test('FLUSHALL is noticed though nobody appends', async () => {
    const heard = await follow()
    await server.admin.flushall()
    await goesOnInAnother(heard)
  })

  test('FLUSHALL is noticed at once by the next append of anybody', async () => {
    const heard = await follow()
    const writer = open({ url: server.url })
    await writer.hasStarted()
    await server.admin.flushall()
    await writer.log.append(request('by another'))
    await goesOnInAnother(heard)
  })

  test('after FLUSHALL no probe says that the history which is followed is current', async () => {
    const heard = await follow()
    await server.admin.flushall()
    const { flushed } = await heard.log.probe().catch(() => ({ flushed: undefined }))
    // Either it was refused, or the log was lost before it answered.
    if (flushed !== undefined) expect(heard.losses.length).toBe(1)
    await goesOnInAnother(heard)
  })

  test('trimmed to nothing by hand, it begins another history above the old one', async () => {
    const heard = await follow()
    await server.admin.xtrim(stream, 'MAXLEN', 0)
    await goesOnInAnother(heard)
    expect(heard.starts[1]!.lsn).toBeGreaterThan(heard.commits[2]!.lsn)
  })

  test('put back from a dump while the server runs, it is noticed', async () => {
    const heard = await follow()
    const dump = await server.admin.dumpBuffer(stream)
    await heard.log.append(request('lost'))
    await heard.hears('lost')
    await server.admin.restore(stream, 0, dump!, 'REPLACE')
    await goesOnInAnother(heard, false)
  })

  test('put back from a dump and grown past the place, it is noticed by the predecessor that the next record names', async () => {
    const heard = await follow()
    const dump = await server.admin.dumpBuffer(stream)
    await heard.log.append(request('lost'))
    await heard.hears('lost')
    const writer = redisLog({ url: server.url })
    closers.push(() => writer.close())
    await server.admin.multi().restore(stream, 0, dump!, 'REPLACE').exec()
    for (const name of names(3, 'grown')) await writer.append(request(name))
    await goesOnInAnother(heard, false)
  })

  test('a record that was deleted before it was read is a gap', async () => {
    const line = await lineTo(server)
    const heard = await follow({ url: line.url })
    line.silence()
    const writer = open({ url: server.url })
    await writer.hasStarted()
    await writer.log.append(request('deleted'))
    await writer.log.append(request('after it'))
    await writer.hears('deleted')
    await server.admin.xdel(stream, `${writer.commits[0]!.lsn}-0`)
    line.heal()
    await heard.hasStarted(2)
    expect(heard.nonces).not.toContain('after it')
    await writer.log.append(request('later'))
    await heard.hears('later')
  })

  test('trimmed past a reader that was cut off, it is a gap', async () => {
    const line = await lineTo(server)
    const heard = await follow({ url: line.url })
    line.silence()
    const writer = redisLog({ url: server.url, retain: 100 })
    closers.push(() => writer.close())
    await Promise.all(names(400).map((name) => writer.append(request(name))))
    expect(await server.admin.xlen(stream)).toBeLessThan(300)
    line.heal()
    await heard.hasStarted(2)
    expect(heard.starts[1]!.epoch).toBe(heard.starts[0]!.epoch)
    expect(heard.resumes).toBe(0)
    await writer.append(request('after'))
    await heard.hears('after')
  })

  test.each([
    ['of a stranger', ['*', 'who', 'knows']],
    ['of a stranger who mimics the fields', ['*', 'e', 'x', 'p', 'y', 'q', 'z', 't', 't', 'b', '{}']],
  ])('a record %s counts for everything', async (_, fields) => {
    const heard = await follow()
    await server.admin.xadd(stream, ...(fields as [string, ...string[]]))
    await goesOnInAnother(heard)
  })

  test.each([
    ['of a newer version', '{"v":2,"a":1,"c":[]}'],
    ['that is no JSON', 'poison'],
    ['that is no object', '[]'],
    ['with a change of a kind that is not known', '{"v":1,"a":1,"c":[{"kind":"moon"}]}'],
    [
      'with a target of a kind that is not known',
      '{"v":1,"a":1,"c":[{"kind":"target","mode":"drop","targets":[{"kind":"moon","tenant":"a"}]}]}',
    ],
    ['without a time', '{"v":1,"c":[]}'],
    [
      'with a row that is none',
      '{"v":1,"a":1,"c":[{"kind":"row","op":"insert","table":"t","old":null,"new":{"a":1}}]}',
    ],
  ])('a record %s counts for everything', async (_, body) => {
    const heard = await follow()
    await appendRaw(server.admin, stream, body)
    await goesOnInAnother(heard, false)
  })

  test('targets of every kind arrive as they were asked', async () => {
    const heard = await follow()
    const targets: readonly Target[] = [
      { kind: 'key', tenant: 'a', key: 'post(1)' },
      { kind: 'tag', tenant: 'a', tag: '"' },
      { kind: 'pattern', tenant: 'a', syntax: 'glob', pattern: 'post(*' },
      { kind: 'tenant', tenant: 'a' },
      { kind: 'everything' },
    ]
    await heard.log.append({ kind: 'target', targets, mode: 'expire', nonce: 'all' })
    await heard.hears('all')
    expect(heard.requests.at(-1)).toEqual({ kind: 'target', targets, mode: 'expire', nonce: 'all' })
  })

  test('what carries no valid HMAC only drops', async () => {
    const heard = await follow({ secret: 'ours' })
    await heard.log.append(request('ours', 'expire'))
    const stranger = redisLog({ url: server.url, secret: 'another' })
    closers.push(() => stranger.close())
    await stranger.append(request('forged', 'expire'))
    await heard.hears('forged')
    expect(heard.requests.slice(-2).map(({ nonce, mode }) => [nonce, mode])).toEqual([
      ['ours', 'expire'],
      ['forged', 'drop'],
    ])
    // The seal of one record is none of another.
    const [, fields] = (await server.admin.xrevrange(stream, '+', '-', 'COUNT', 2))[1]!
    await appendRaw(
      server.admin,
      stream,
      fields[fields.indexOf('b') + 1]!.replaceAll('"ours"', '"copied"'),
      fields[fields.indexOf('h') + 1],
    )
    await heard.hears('copied')
    expect(heard.requests.at(-1)!.mode).toBe('drop')
  })

  test('a key of another type is refused with what to do', async () => {
    await server.admin.set('other', 'text')
    const heard = open({ url: server.url, stream: 'other' })
    await until(() => heard.losses.length > 0)
    expect(heard.losses[0]).toMatchObject({
      code: 'TIDEMARK_REDIS_REFUSED',
      message: expect.stringContaining('another one'),
    })
    await expect(heard.log.append(request('a'))).rejects.toMatchObject({ code: 'TIDEMARK_REDIS_REFUSED' })
  })
})

describe('a line', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.drop())
  afterEach(() => server.admin.flushall())

  test('that is cut again and again loses nothing, doubles nothing, and keeps the order', async () => {
    const line = await lineTo(server)
    const [reader, writer] = [open({ url: line.url }), open({ url: line.url })]
    await Promise.all([reader.hasStarted(), writer.hasStarted()])
    const all = names(300)
    for (const [i, name] of all.entries()) {
      if (i % 30 === 15) line.cut()
      await writer.log.append(request(name))
    }
    await reader.hears(all.at(-1)!)
    expect(reader.nonces).toEqual(all)
    expect(reader.starts.length).toBe(1)
    expect(reader.resumes).toBeGreaterThan(0)
  })

  test('whose connections the server ends is taken up again where it was', async () => {
    const heard = open({ url: server.url })
    await heard.hasStarted()
    const all = names(100)
    for (const [i, name] of all.entries()) {
      if (i % 20 === 10) await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await heard.log.append(request(name))
    }
    await heard.hears(all.at(-1)!)
    expect(heard.nonces).toEqual(all)
    expect(heard.starts.length).toBe(1)
  })

  test('that falls silent is noticed, answers no probe, and nothing that was appended meanwhile is missed', async () => {
    const line = await lineTo(server)
    const heard = open({ url: line.url })
    await heard.hasStarted()
    const writer = redisLog({ url: server.url })
    closers.push(() => writer.close())
    line.silence()
    await expect(heard.log.probe()).rejects.toMatchObject({ code: 'TIDEMARK_REDIS_DOWN' })
    const all = names(500)
    await Promise.all(all.map((name) => writer.append(request(name))))
    await until(() => heard.losses.length > 0)
    expect(heard.log.status().state).toBe('lost')
    line.heal()
    await until(() => heard.nonces.length === all.length)
    expect([...heard.nonces].sort()).toEqual([...all].sort())
    expect([heard.starts.length, heard.resumes]).toEqual([1, 1])
  })

  test('that is slow is behind, never wrong', async () => {
    const line = await lineTo(server)
    const heard = open({ url: line.url, commandTimeoutMs: 5_000 })
    await heard.hasStarted()
    line.bytesPerSecond = 100_000
    const writer = redisLog({ url: server.url })
    closers.push(() => writer.close())
    const all = names(1_000)
    await Promise.all(all.map((name) => writer.append(request(name))))
    const { flushed } = await writer.probe()
    expect(heard.commits.length).toBeLessThan(all.length)
    await until(() => heard.commits.at(-1)?.lsn === flushed)
    expect(heard.commits.length).toBe(all.length)
    expect(heard.losses).toEqual([])
  })

  test('that loses answers appends once', async () => {
    const line = await lineTo(server)
    const heard = open({ url: line.url })
    await heard.hasStarted()
    await heard.log.append(request('first'))
    line.loseAnswers()
    const isAppended = heard.log.append(request('once'))
    await until(async () => (await server.admin.xlen(stream)) === 3)
    line.heal()
    await isAppended
    await heard.hears('once')
    await heard.log.append(request('last'))
    await heard.hears('last')
    expect(heard.nonces).toEqual(['first', 'once', 'last'])
    expect(await server.admin.xlen(stream)).toBe(4)
  })
})
