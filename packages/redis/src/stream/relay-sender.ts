import type { Clock, RelayRecord, RelaySink, TidemarkError } from 'tidemark'
import type { Asks } from './asks.js'
import { RedisDownError, streamError } from './errors.js'
import type { Line } from './line.js'
import { pause } from './pause.js'
import { encodeRelayRecord } from './relay-record.js'
import type { Sealed, Seals } from './seal.js'

const BATCH_RECORDS = 500
const BATCH_BYTES = 4 * 2 ** 20
/** So many batches, and no more than about these bytes, are on their way at once. */
const FLIGHT_BATCHES = 8
const FLIGHT_BYTES = BATCH_BYTES
const QUEUE_RECORDS = 20_000
const QUEUE_BYTES = 64 * 2 ** 20
const TRY_MS = 5_000
const RETRY_MS = 500

interface Waiting {
  readonly text: string
  readonly to: number
  readonly generation: number
}

interface Batch {
  readonly records: readonly Sealed[]
  readonly bytes: number
  readonly last: Waiting
  /** It was sent, and its answer was lost. */
  mayBeThere: boolean
  settled: Promise<void>
}

/**
 * Writes records into the stream, in order. What waits for a Redis that does not answer is bounded: beyond, it is forgotten, and followers
 * find the gap by the positions of what comes later.
 *
 * No batch waits for the answer to the one before, which would cost a round trip under load. Each names the record that it has to follow, so that
 * none is written whose predecessor was not: after a refusal or a lost answer all that is not known to be there is sent again, in order, one by one.
 */
export class RelaySender implements RelaySink {
  readonly #asks: Asks
  readonly #seals: Seals
  readonly #retain: number
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #queue: Waiting[] = []
  #bytes = 0
  /** What is on its way, oldest first. */
  #flight: Batch[] = []
  /** What is not known to be there is being sent again, or nothing is connected yet: nothing else sets out. */
  #mending: Promise<void> | undefined
  #isAwaitingMore = false
  /** Positions of another history are not compared with those of now. */
  #generation = 0
  /** All that was handed over up to here is in the stream. */
  writtenTo = 0
  /** Why nothing can be written now; undefined while it can. */
  problem: TidemarkError | undefined

  constructor(asks: Asks, seals: Seals, retain: number, clock: Clock) {
    this.#asks = asks
    this.#seals = seals
    this.#retain = retain
    this.#clock = clock
  }

  send(records: readonly RelayRecord[]): void {
    for (const record of records) {
      const text = encodeRelayRecord(record)
      this.#queue.push({ text, to: record.to, generation: this.#generation })
      this.#bytes += text.length
    }
    if (this.#queue.length > QUEUE_RECORDS || this.#bytes > QUEUE_BYTES) this.#forget()
    // The first of what arrives together sets out at once, before this process applies it; the rest as one batch.
    if (this.#flight.length === 0) this.#launch()
    else if (!this.#isAwaitingMore) {
      this.#isAwaitingMore = true
      queueMicrotask(() => {
        this.#isAwaitingMore = false
        this.#launch()
      })
    }
  }

  /** The log was taken up anew. */
  restarted(): void {
    this.#generation++
    this.writtenTo = 0
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#asks.close()
    await this.#mending
  }

  #forget(): void {
    this.#queue = []
    this.#bytes = 0
  }

  // ── on their way ───────────────────────────────────────────────────────────────────────────────────────

  #launch(): void {
    while (this.#queue.length > 0 && !this.#mending && !this.#closing.signal.aborted) {
      const line = this.#asks.open
      if (!line) this.#mend()
      else if (this.#hasRoom) this.#sendOver(line)
      else return
    }
  }

  get #hasRoom(): boolean {
    const bytes = this.#flight.reduce((sum, batch) => sum + batch.bytes, 0)
    return this.#flight.length < FLIGHT_BATCHES && bytes < FLIGHT_BYTES
  }

  #sendOver(line: Line): void {
    // The first may follow anything: what others wrote meanwhile does no harm.
    const after = this.#flight.at(-1)?.records.at(-1)?.token
    const batch = this.#take()
    batch.settled = line.append(batch.records, this.#retain, 0, after).then(
      (id) => (id === undefined ? this.#mend() : this.#written(batch)),
      (error) => {
        this.#failed(batch, error)
        this.#mend()
      },
    )
  }

  /** It is there, and so is all that set out before it. */
  #written(batch: Batch): void {
    const { to, generation } = batch.last
    this.#flight.splice(0, this.#flight.indexOf(batch) + 1)
    if (generation === this.#generation) this.writtenTo = Math.max(this.writtenTo, to)
    this.problem = undefined
    this.#launch()
  }

  #failed(batch: Batch, error: unknown): void {
    this.problem = streamError(error)
    batch.mayBeThere ||= this.problem instanceof RedisDownError
  }

  #mend(): void {
    if (this.#closing.signal.aborted) return
    this.#mending ??= this.#sendAgain().finally(() => {
      this.#mending = undefined
      this.#launch()
    })
  }

  /** One after the other, whatever is the newest record, until all is there. */
  async #sendAgain(): Promise<void> {
    // None of these is written any more once the answers are there, or the connection is gone.
    await Promise.all(this.#flight.map(({ settled }) => settled))
    if (this.#flight.length === 0 && this.#queue.length > 0) this.#take()
    for (let batch = this.#flight[0]; batch && !this.#closing.signal.aborted; batch = this.#flight[0]) {
      try {
        await this.#asks.append(batch.records, this.#retain, TRY_MS, batch.mayBeThere)
        this.#written(batch)
      } catch (error) {
        this.#failed(batch, error)
        await pause(this.#clock, RETRY_MS, this.#closing.signal)
      }
    }
  }

  #take(): Batch {
    let bytes = 0
    let count = 0
    for (const { text } of this.#queue) {
      if (count > 0 && (count >= BATCH_RECORDS || bytes + text.length > BATCH_BYTES)) break
      bytes += text.length
      count++
    }
    this.#bytes -= bytes
    const taken = this.#queue.splice(0, count)
    const records = taken.map(({ text }) => this.#seals.seal(text))
    const batch = { records, bytes, last: taken.at(-1)!, mayBeThere: false, settled: Promise.resolve() }
    this.#flight.push(batch)
    return batch
  }
}
