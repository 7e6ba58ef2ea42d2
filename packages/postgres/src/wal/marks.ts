import { randomUUID } from 'node:crypto'
import type { Clock } from 'tidemark'
import { MARK_PREFIX } from './messages.js'
import { pause } from './pause.js'

/** How often a mark is written: what was filled since the newest one is dropped when the server was restarted. */
const EVERY_MS = 10_000
/** One that no other has followed for so long no longer holds the slot back. */
const HOLD_MAX_MS = 60_000

/** A place by which the history of the log is known again. */
export interface Mark {
  /** The end of its commit. */
  readonly lsn: number
  readonly token: string
  /** Monotonic ms, before it was written: all that could be read by then lies before it in the log. */
  readonly writtenAt: number
}

export interface MarkWriter {
  message(prefix: string, content: string): Promise<void>
}

/**
 * Marks in the log, of the process that holds the shared slot. Files can be replaced under a stopped server by a copy from before, with
 * the slot in it: its log has the same places, and other changes there. But where it has the random token of a mark at its place, all
 * before that is the same.
 */
export class Marks {
  readonly #writer: MarkWriter
  readonly #clock: Clock
  #written: Omit<Mark, 'lsn'> | undefined
  #newest: Mark | undefined

  constructor(writer: MarkWriter, clock: Clock) {
    this.#writer = writer
    this.#clock = clock
  }

  /** The last one that the log has delivered, if it holds still. */
  get newest(): Mark | undefined {
    return this.#newest
  }

  /** Writes one now and then while `holds`, until the signal aborts. */
  async run(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.#clock, EVERY_MS, signal)
      if (signal.aborted) return
      if (this.#newest && this.#isPast(this.#newest)) this.#newest = undefined
      // While one is under way another would only take its place.
      if (holds() && (!this.#written || this.#isPast(this.#written))) await this.#write()
    }
  }

  /** The log delivered a mark, the first time or again. Returns it if it is the newest of this process. */
  delivered(token: string, lsn: number): Mark | undefined {
    if (token === this.#written?.token) {
      this.#newest = { ...this.#written, lsn }
      this.#written = undefined
    }
    return this.#newest?.token === token && this.#newest.lsn === lsn ? this.#newest : undefined
  }

  /** The history of the log is another one, or can't be known. */
  forget(): void {
    this.#newest = undefined
    this.#written = undefined
  }

  async #write(): Promise<void> {
    const written = { token: randomUUID(), writtenAt: this.#clock.now() }
    this.#written = written
    try {
      await this.#writer.message(MARK_PREFIX, written.token)
    } catch {
      // It may be in the log all the same; the next one is written after a while.
    }
  }

  #isPast({ writtenAt }: Omit<Mark, 'lsn'>): boolean {
    return this.#clock.now() - writtenAt > HOLD_MAX_MS
  }
}
