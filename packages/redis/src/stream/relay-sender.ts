import type { Clock, RelayRecord, RelaySink, TidemarkError } from 'tidemark'
import type { Asks } from './asks.js'
import { streamError } from './errors.js'
import { pause } from './pause.js'
import { encodeRelayRecord } from './relay-record.js'
import type { Seals } from './seal.js'

const BATCH_RECORDS = 500
const BATCH_BYTES = 4 * 2 ** 20
const QUEUE_RECORDS = 20_000
const QUEUE_BYTES = 64 * 2 ** 20
const TRY_MS = 5_000
const RETRY_MS = 500

interface Waiting {
  readonly text: string
  readonly to: number
  readonly generation: number
}

/**
 * Writes records into the stream, in order, one batch after the other. What waits for a Redis that does not answer is bounded: beyond,
 * it is forgotten, and followers find the gap by the positions of what comes later.
 */
export class RelaySender implements RelaySink {
  readonly #asks: Asks
  readonly #seals: Seals
  readonly #retain: number
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #queue: Waiting[] = []
  #bytes = 0
  #sending: Promise<void> | undefined
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

  /** Whether all that was handed over is in the stream. */
  get isIdle(): boolean {
    return this.#sending === undefined
  }

  send(records: readonly RelayRecord[]): void {
    for (const record of records) {
      const text = encodeRelayRecord(record)
      this.#queue.push({ text, to: record.to, generation: this.#generation })
      this.#bytes += text.length
    }
    if (this.#queue.length > QUEUE_RECORDS || this.#bytes > QUEUE_BYTES) this.#forget()
    if (this.#queue.length > 0) this.#sending ??= this.#send()
  }

  /** The log was taken up anew. */
  restarted(): void {
    this.#generation++
    this.writtenTo = 0
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#asks.close()
    await this.#sending
  }

  #forget(): void {
    this.#queue = []
    this.#bytes = 0
  }

  async #send(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closing.signal.aborted) {
      const taken = this.#take()
      const batch = taken.map(({ text }) => this.#seals.seal(text))
      let isWritten = false
      while (!isWritten && !this.#closing.signal.aborted) {
        try {
          await this.#asks.append(batch, this.#retain, TRY_MS)
          isWritten = true
          this.#written(taken.at(-1)!)
          this.problem = undefined
        } catch (error) {
          this.problem = streamError(error)
          await pause(this.#clock, RETRY_MS, this.#closing.signal)
        }
      }
    }
    this.#sending = undefined
  }

  #written({ to, generation }: Waiting): void {
    if (generation === this.#generation) this.writtenTo = Math.max(this.writtenTo, to)
  }

  #take(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { text } of this.#queue) {
      if (count > 0 && (count >= BATCH_RECORDS || bytes + text.length > BATCH_BYTES)) break
      bytes += text.length
      count++
    }
    this.#bytes -= bytes
    return this.#queue.splice(0, count)
  }
}
