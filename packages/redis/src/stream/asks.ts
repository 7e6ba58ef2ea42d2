import { type Clock, ClosedError } from 'tidemark'
import { RedisDownError } from './errors.js'
import { Line, type LineOptions, type Look, type Place } from './line.js'
import { pause } from './pause.js'
import type { Sealed } from './seal.js'

/** So many of the newest records are searched for one whose answer was lost. Beyond, it is written twice, which is harmless. */
const SEARCHED = 2_000
const RETRY_MS = 50

/** A connection for questions and appends beside the one that reads; opened when it is first used, and anew after it broke. */
export class Asks {
  readonly #options: LineOptions
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #opening: Promise<Line> | undefined
  #opened: Line | undefined

  constructor(options: LineOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  async look(place?: Place): Promise<Look> {
    return (await this.#line()).look(place)
  }

  /** The connection, where it is open: for whoever has more than one append on its way, which keep their order on one connection only. */
  get open(): Line | undefined {
    return this.#opened?.isOpen ? this.#opened : undefined
  }

  /**
   * Appends records, all or none, and once, though the line breaks meanwhile.
   *
   * @param boundMs  how long it is tried
   * @param mayBeThere  they were sent before, and the answer was lost
   * @throws RedisDownError, RedisRefusedError; ClosedError
   */
  async append(records: readonly Sealed[], retain: number, boundMs: number, mayBeThere = false): Promise<string> {
    const end = this.#clock.now() + boundMs
    for (let searched = mayBeThere ? SEARCHED : 0; ; searched = SEARCHED) {
      try {
        return (await (await this.#line()).append(records, retain, searched, undefined))!
      } catch (error) {
        if (!(error instanceof RedisDownError) || this.#clock.now() >= end) throw error
        if (this.#closing.signal.aborted) throw error
        await pause(this.#clock, RETRY_MS, this.#closing.signal)
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const line = await this.#opening?.catch(() => undefined)
    line?.close()
  }

  async #line(): Promise<Line> {
    if (this.#closing.signal.aborted) throw new ClosedError('The log was closed with its cache. Create a new cache.')
    const known = this.#opening
    if (known && (await known).isOpen) return known
    // Several may have waited for the same broken one.
    if (this.#opening === known) this.#open()
    return this.#opening!
  }

  #open(): void {
    const opening = Line.open(this.#options)
    this.#opening = opening
    opening.then(
      (line) => {
        this.#opened = line
      },
      () => {
        if (this.#opening === opening) this.#opening = undefined
      },
    )
  }
}
