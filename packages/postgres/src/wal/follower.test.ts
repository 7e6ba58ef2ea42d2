import { EventEmitter } from 'node:events'
import type { Client } from 'pg'
import { ManualClock } from 'tidemark/testing'
import { beforeEach, expect, test } from 'vitest'
import { encode, keepalive, walData } from '../../test/encoder.js'
import { Stream } from './follower.js'
import { type Transaction, TransactionReader } from './transaction.js'

/** A replication connection whose other end is the test. */
class FakeWire extends EventEmitter {
  readonly sent: { readonly applied: number; readonly acknowledged: number; readonly wantsReply: boolean }[] = []
  isDestroyed = false
  readonly stream = {
    destroy: () => {
      this.isDestroyed = true
    },
  }
  sendCopyFromChunk(chunk: Buffer): void {
    const [applied, acknowledged] = [1, 9].map((at) => Number(chunk.readBigUInt64BE(at)))
    this.sent.push({ applied: applied!, acknowledged: acknowledged!, wantsReply: chunk[33] === 1 })
  }
  receive(chunk: Buffer): void {
    this.emit('copyData', { chunk })
  }
}

let clock: ManualClock
let wire: FakeWire
let client: EventEmitter & { connection: FakeWire; query(text: string): Promise<never> }
let stream: Stream
let told: (number | string)[]
let apply: (transaction: Transaction) => void
let command: string
let failQuery: (error: unknown) => void
/** What may be acknowledged where that has to be proven, and what was told of it. */
let place: { lsn: number; readonly committed: number[]; passed: number; asked: number }

beforeEach(() => {
  clock = new ManualClock()
  wire = new FakeWire()
  told = []
  apply = () => {}
  client = Object.assign(new EventEmitter(), {
    connection: wire,
    query: (text: string) => {
      command = text
      return new Promise<never>((_, reject) => {
        failQuery = reject
      })
    },
  })
  place = { lsn: 0, committed: [], passed: 0, asked: 0 }
  open()
})

/** @param isProven  only what `place` names may be acknowledged */
function open({ isProven = false, version = 150_000, statusIntervalMs = 100 } = {}): void {
  const reader = new TransactionReader({
    hasMessageTable: false,
    rowsMax: 10,
    bytesMax: 1_000,
    namesOf: () => ['public.t'],
    readMessage: () => [],
    redescribed: () => {},
  })
  const proven = {
    get lsn() {
      return place.lsn
    },
    committed: ({ endLsn }: { readonly endLsn: number }) => void place.committed.push(endLsn),
    passed: (lsn: number) => {
      place.passed = lsn
    },
    ask: () => void place.asked++,
  }
  const options = {
    slot: 's',
    publication: 'a "quoted" one',
    version,
    statusIntervalMs,
    silenceMaxMs: 1_000,
    clock,
    ...(isProven ? { proven } : {}),
  }
  stream = new Stream(client as unknown as Client, 50, options, reader, {
    started: () => told.push('started'),
    transaction: (transaction) => {
      apply(transaction)
      told.push(transaction.endLsn)
    },
    again: (transaction) => told.push(`again ${transaction.endLsn}`),
    progress: (lsn) => told.push(lsn),
  })
  stream.start()
  wire.emit('replicationStart')
}

/** The furthest place that was acknowledged. */
function acknowledged(): number {
  return Math.max(...wire.sent.map((status) => status.acknowledged))
}

function begin(): void {
  wire.receive(walData(encode({ kind: 'begin', finalLsn: 1, committedAt: 946_684_800_000, xid: 7 })))
}

function commit(endLsn: number): void {
  wire.receive(walData(encode({ kind: 'commit', lsn: 1, endLsn, committedAt: 946_684_800_000 })))
}

test('it starts where the slot begins, and names the publication as one', () => {
  expect(command).toContain('START_REPLICATION SLOT s LOGICAL 0/0')
  expect(command).toContain(`publication_names '"a ""quoted"" one"'`)
  expect(told).toEqual(['started'])
})

test('the end of a commit is acknowledged once it is applied, at the next interval', async () => {
  begin()
  commit(100)
  expect(told).toEqual(['started', 100])
  await clock.advance(100)
  expect(acknowledged()).toBe(100)
})

test('the last word is never an acknowledgement: the server must neither count on us for a commit, nor wait for us to stop', async () => {
  begin()
  commit(100)
  await clock.advance(100)
  expect(wire.sent.at(-1)).toEqual({ applied: 100, acknowledged: 0, wantsReply: false })
})

test('where only what is proven may be acknowledged, what is applied waits for that', async () => {
  wire.removeAllListeners()
  wire.sent.length = 0
  open({ isProven: true })
  begin()
  commit(100)
  wire.receive(keepalive(120, true))
  await clock.advance(100)
  expect(place).toMatchObject({ committed: [100], passed: 120 })
  expect(place.asked).toBeGreaterThan(0)
  expect(acknowledged()).toBe(0)
  expect(wire.sent.at(-1)).toMatchObject({ applied: 120 })
  place.lsn = 100
  await clock.advance(100)
  expect(acknowledged()).toBe(100)
})

test('what was applied from another stream is not applied again, and still has to be proven', () => {
  wire.removeAllListeners()
  open({ isProven: true })
  stream.skipTo(200)
  begin()
  commit(100)
  expect(told).toEqual(['started', 'started', 'again 100'])
  expect(place.committed).toEqual([100])
})

test('a keepalive moves the log when nothing is open, and nothing between a begin and its commit', () => {
  wire.receive(keepalive(80, false))
  expect(told.at(-1)).toBe(80)
  begin()
  wire.receive(keepalive(200, true))
  expect(told.at(-1)).toBe(80)
  expect(acknowledged()).toBe(80)
  commit(150)
  expect(told.at(-1)).toBe(150)
})

test('the log never goes back', async () => {
  wire.receive(keepalive(200, false))
  wire.receive(keepalive(90, false))
  expect(told).toEqual(['started', 200])
  begin()
  commit(150)
  expect(told).toEqual(['started', 200])
  expect(await stream.ended).toMatchObject({ code: 'TIDEMARK_PROTOCOL' })
})

test('what could not be applied is not acknowledged, and ends the start', async () => {
  apply = () => {
    throw new Error('no')
  }
  begin()
  commit(100)
  expect(wire.isDestroyed).toBe(true)
  expect(await stream.ended).toMatchObject({ code: 'TIDEMARK_LOG_GAP' })
  await clock.advance(5_000)
  expect(acknowledged()).toBeLessThanOrEqual(50)
})

test('what can not be understood ends the start', async () => {
  wire.receive(walData(Buffer.from('?')))
  expect(await stream.ended).toMatchObject({ code: 'TIDEMARK_PROTOCOL' })
})

test('a line that leaves a question unanswered is given up', async () => {
  await clock.advance(600)
  expect(wire.sent.at(-1)).toEqual({ applied: 50, acknowledged: 0, wantsReply: true })
  wire.receive(keepalive(50, false))
  await clock.advance(900)
  expect(wire.isDestroyed).toBe(false)
  await clock.advance(2_000)
  expect(wire.isDestroyed).toBe(true)
  expect(await stream.ended).toMatchObject({ code: 'TIDEMARK_LOG_GAP' })
})

test('a server of 16 and later, which may sleep over a commit, is woken soon after the last one, then more rarely', async () => {
  stream.cut(new Error('another begins'))
  wire.removeAllListeners()
  open({ version: 160_000, statusIntervalMs: 60_000 })
  wire.sent.length = 0
  const woken = async (ms: number): Promise<number> => {
    const before = wire.sent.length
    await clock.advance(ms)
    return wire.sent.length - before
  }
  begin()
  for (let lsn = 100; lsn < 110; lsn++) {
    // While commits come, each wakes it.
    commit(lsn)
    expect(await woken(9)).toBe(0)
    begin()
  }
  commit(110)
  expect(await woken(19)).toBe(0)
  expect(await woken(1)).toBe(1)
  expect(wire.sent.at(-1)).toEqual({ applied: 110, acknowledged: 0, wantsReply: false })
  expect(await woken(39)).toBe(0)
  expect(await woken(1)).toBe(1)
  expect(await woken(80)).toBe(1)
  expect(await woken(160)).toBe(1)
  // At rest, and what tells of no commit changes nothing.
  wire.receive(keepalive(120, false))
  expect(await woken(249)).toBe(0)
  expect(await woken(1)).toBe(1)
  expect(await woken(500)).toBe(2)
  begin()
  commit(130)
  expect(await woken(20)).toBe(1)
  stream.cut(new Error('over'))
  expect(await woken(1_000)).toBe(0)
})

test('one before 16 is told no more often than it has to be', async () => {
  begin()
  commit(100)
  await clock.advance(100)
  const { length } = wire.sent
  await clock.advance(300)
  expect(wire.sent.length).toBe(length)
})

test("the server's end of the stream, and of the connection, are told as losses", async () => {
  failQuery(new Error('terminating connection'))
  expect(await stream.ended).toMatchObject({ code: 'TIDEMARK_LOG_GAP' })
  client.emit('end')
  stream.tell(true)
  expect(wire.sent.filter(({ wantsReply }) => wantsReply)).toEqual([])
})
