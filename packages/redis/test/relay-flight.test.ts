import fc from 'fast-check'
import { type RelayRecord, systemClock } from 'tidemark'
import { describe, expect, test } from 'vitest'
import { Asks } from '../src/stream/asks.js'
import { decodeRelayRecord } from '../src/stream/relay-record.js'
import { RelaySender } from '../src/stream/relay-sender.js'
import { settingsOf } from '../src/stream/stream-options.js'
import { oneRedis } from './one-redis.js'
import { until } from './redis-server.js'
import { TcpLine } from './tcp-line.js'

const stream = 'tidemark:relay'
const server = oneRedis()
const { closers } = server

/** Writes the records of one leader, numbered. */
class Leader {
  readonly name: string
  readonly #sender: RelaySender
  readonly #asks: Asks
  sent = 0

  constructor(name: string, url = server.url) {
    this.name = name
    const { line, seals, retain } = settingsOf('redisRelay', { url, secret: 'ours', commandTimeoutMs: 2_000 }, stream)
    this.#asks = new Asks(line)
    this.#sender = new RelaySender(this.#asks, seals, retain, systemClock)
    closers.push(() => this.#sender.close())
  }

  send(count = 1): void {
    const records = Array.from({ length: count }, (): RelayRecord => {
      const from = this.sent++
      return { epoch: 'e', name: this.name, from, to: from + 1, commit: undefined, proven: undefined }
    })
    this.#sender.send(records)
  }

  get isWritten(): boolean {
    return this.#sender.writtenTo === this.sent
  }
}

/** A leader whose first record is written, and to whom nothing is answered any more. */
async function withoutAnswers() {
  const line = await TcpLine.to(server.port)
  closers.push(() => line.end())
  const leader = new Leader('a', line.url)
  leader.send()
  await until(() => leader.isWritten)
  line.loseAnswers()
  return { line, leader }
}

/** Where the records of one leader end, in the order of the stream. */
async function written({ name }: Leader): Promise<number[]> {
  const entries = await server.admin.xrange(stream, '-', '+')
  return entries.flatMap(([, fields]) => {
    const body = fields[fields.indexOf('b') + 1]!
    const record = fields.includes('b') ? decodeRelayRecord(body) : undefined
    return record && record !== 'unreadable' && record.name === name ? [record.to] : []
  })
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('records on their way', () => {
  test('do not wait for the answers to those before, up to a bound; what was lost is written once', async () => {
    const { line, leader } = await withoutAnswers()
    for (let i = 0; i < 20; i++) {
      leader.send()
      await turn()
    }
    // The first, and eight more; the rest waits.
    await until(async () => (await written(leader)).length === 9)
    expect(leader.isWritten).toBe(false)
    line.heal()
    await until(() => leader.isWritten)
    expect(await written(leader)).toEqual(upTo(21))
  })

  test('are not written where those before them were refused', async () => {
    const { line, leader } = await withoutAnswers()
    const before = await appends()
    await server.admin.config('SET', 'maxmemory', '1')
    leader.send()
    await until(async () => (await appends()) === before + 1)
    await server.admin.config('SET', 'maxmemory', '0')
    leader.send()
    await until(async () => (await appends()) === before + 2)
    expect(await written(leader)).toEqual([1])
    line.heal()
    await until(() => leader.isWritten)
    expect(await written(leader)).toEqual([1, 2, 3])
  })

  test('that arrive together are one batch', async () => {
    const leader = new Leader('a')
    leader.send()
    await until(() => leader.isWritten)
    const before = await appends()
    for (let i = 0; i < 300; i++) leader.send()
    await until(() => leader.isWritten)
    // The first at once, the others behind it.
    expect((await appends()) - before).toBe(2)
    expect(await written(leader)).toEqual(upTo(301))
  })
})

async function appends(): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await server.admin.info('commandstats'))?.[1])
}

// How it might be wrong: one is written whose predecessor was not (its script was unknown, Redis was full for a moment, the line broke
// between them); or one is written twice, or never, or before the one that was sent first.
test('whatever happens on the way, all is there once, in order, for each of two leaders', async () => {
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        what: fc.constant('send' as const),
        who: fc.nat(1),
        count: fc.integer({ min: 1, max: 4 }),
      }),
    },
    { weight: 4, arbitrary: fc.constant({ what: 'turn' as const }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        { what: 'forget scripts' as const },
        { what: 'cut' as const },
        { what: 'full' as const },
      ),
    },
  )
  const full = async (): Promise<void> => {
    await server.admin.config('SET', 'maxmemory', '1')
    await server.admin.config('SET', 'maxmemory', '0')
  }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      await server.admin.flushall()
      const leaders = [new Leader('a'), new Leader('b')] as const
      for (const leader of leaders) leader.send()
      await until(() => leaders.every(({ isWritten }) => isWritten))
      const others: Promise<unknown>[] = []
      for (const each of steps) {
        if (each.what === 'send') leaders[each.who as 0 | 1].send(each.count)
        else if (each.what === 'turn') await turn()
        else if (each.what === 'full') others.push(full())
        else if (each.what === 'cut')
          others.push(server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
        else others.push(server.admin.script('FLUSH'))
      }
      await Promise.all(others)
      await until(() => leaders.every(({ isWritten }) => isWritten))
      for (const leader of leaders) expect(await written(leader)).toEqual(upTo(leader.sent))
      while (closers.length > 0) await closers.pop()!()
    }),
    { numRuns: 25, interruptAfterTimeLimit: 10_000, markInterruptAsFailure: false },
  )
})
