import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { systemClock } from 'tidemark'
import { describe, expect, it } from 'vitest'
import { Connection } from './connection.js'
import { EventSink } from './event-sink.js'
import { type Frame, frameOf, parseEventId } from './frame.js'
import { Subscriber } from './subscriber.js'

const BUFFER_MAX_BYTES = 400

/** A client's socket: holds what was written until the client takes it. */
class SlowResponse extends EventEmitter {
  readonly taken: string[] = []
  readonly #waiting: { text: string; done: () => void }[] = []
  writableEnded = false
  destroyed = false

  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
  }

  write(bytes: Buffer | string, done: () => void): boolean {
    this.#waiting.push({ text: String(bytes), done })
    return false
  }

  take(): void {
    const next = this.#waiting.shift()
    if (!next) return
    this.taken.push(next.text)
    next.done()
  }

  takeAll(): void {
    while (this.#waiting.length > 0) this.take()
  }
}

const hashOf = (value: number) => value.toString(16).padStart(32, '0')
const frame = (epoch: string, lsn: number, value: number): Frame =>
  frameOf(`${epoch}:0/${lsn.toString(16)}`, { body: String(value), hash: hashOf(value) })

type Step = { readonly kind: 'offer'; readonly lsn: number; readonly value: number } | { readonly kind: 'take' }

const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('offer' as const),
      lsn: fc.integer({ min: 0, max: 20 }),
      value: fc.integer({ min: 0, max: 3 }),
    }),
    fc.record({ kind: fc.constant('take' as const) }),
  ) as fc.Arbitrary<Step>,
  { maxLength: 60 },
)

function run(script: readonly Step[], seen: string | undefined) {
  const response = new SlowResponse()
  const connection = new Connection(
    response as unknown as ServerResponse,
    { bufferMaxBytes: BUFFER_MAX_BYTES, stuckMaxMs: 1_000 },
    systemClock,
  )
  const subscriber = new Subscriber(new EventSink(connection), parseEventId(seen))
  subscriber.admit()
  let most = 0
  for (const step of script) {
    if (step.kind === 'take') response.take()
    else subscriber.offer(frame('e', step.lsn, step.value))
    most = Math.max(most, response.waitingBytes)
  }
  response.takeAll()
  const sent = response.taken.map((text) => parseEventId(/^id: (.*)$/m.exec(text)?.[1])!)
  return { sent, most }
}

/**
 * It might be wrong by sending an older state after a newer one, a value twice, not the newest in the end, or by letting
 * more wait for a slow client than it may.
 */
describe('a subscriber', () => {
  it('gets states in order, none twice, the newest in the end, and bounded while it is slow', () => {
    fc.assert(
      fc.property(
        steps,
        fc.option(fc.record({ lsn: fc.integer({ min: 0, max: 20 }), value: fc.integer({ min: 0, max: 3 }) })),
        (script, seen) => {
          const { sent, most } = run(script, seen ? `e:0/${seen.lsn.toString(16)}-${hashOf(seen.value)}` : undefined)
          const had = seen ? [{ lsn: seen.lsn, hash: hashOf(seen.value) }, ...sent] : sent
          for (const [index, mark] of had.entries()) {
            const before = had[index - 1]
            if (!before) continue
            expect(mark.lsn).toBeGreaterThanOrEqual(before.lsn)
            expect(mark.hash).not.toBe(before.hash)
          }
          expect(had.at(-1)?.hash).toBe(newest(script, seen ?? undefined))
          expect(most).toBeLessThanOrEqual(BUFFER_MAX_BYTES)
        },
      ),
      {
        numRuns: Number(process.env['FC_RUNS'] ?? 2_000),
        ...(process.env['FC_SEED'] ? { seed: Number(process.env['FC_SEED']) } : {}),
      },
    )
  })

  it('gets a state of another epoch, whatever its place and its value', () => {
    const response = new SlowResponse()
    const connection = new Connection(
      response as unknown as ServerResponse,
      { bufferMaxBytes: BUFFER_MAX_BYTES, stuckMaxMs: 1_000 },
      systemClock,
    )
    const subscriber = new Subscriber(new EventSink(connection), parseEventId(`e:0/9-${hashOf(1)}`))
    subscriber.admit()
    subscriber.offer(frame('f', 2, 1))
    subscriber.offer(frame('f', 1, 2))
    response.takeAll()
    expect(response.taken.map((text) => /^id: f:0\/(.)/.exec(text)?.[1])).toEqual(['2'])
  })

  it('gets one event that is larger than the buffer, if nothing else waits', () => {
    const response = new SlowResponse()
    const connection = new Connection(
      response as unknown as ServerResponse,
      { bufferMaxBytes: BUFFER_MAX_BYTES, stuckMaxMs: 1_000 },
      systemClock,
    )
    expect(connection.send('x'.repeat(1_000))).toBe(true)
    expect(connection.send('x')).toBe(false)
    response.takeAll()
    expect(connection.send('x')).toBe(true)
  })
})

/** The hash of the last state that is not older than those before it. */
function newest(script: readonly Step[], seen: { lsn: number; value: number } | undefined): string | undefined {
  let last = seen
  for (const step of script) if (step.kind === 'offer' && (last === undefined || step.lsn >= last.lsn)) last = step
  return last && hashOf(last.value)
}
