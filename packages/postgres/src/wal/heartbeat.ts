import type { Clock } from 'tidemark'

/** How long the log may stand short of what was flushed before it is helped on. */
const STALL_MS = 250
/** At most one heartbeat in this time. */
const PAUSE_MS = 1_000

/**
 * Helps the log over a record that is flushed only in part.
 *
 * `pg_current_wal_flush_lsn()` may lie in the middle of a record: a transaction that is open wrote across the end of a page. The
 * server can't decode that record until the rest is flushed, and nothing flushes it while the database is at rest. A small
 * transaction of our own does.
 */
export class Heartbeat {
  readonly #clock: Clock
  readonly #beat: () => Promise<void>
  #timer: { cancel(): void } | undefined
  #lastAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, beat: () => Promise<void>) {
    this.#clock = clock
    this.#beat = beat
  }

  /**
   * Somebody waits for the log to reach what was flushed.
   *
   * @param lsn  how far the log is, now and when asked again; undefined when nobody needs to wait any more
   */
  watch(lsn: () => number | undefined): void {
    const before = lsn()
    if (before === undefined || this.#timer) return
    const pauseMs = this.#lastAt + PAUSE_MS - this.#clock.now()
    this.#timer = this.#clock.after(Math.max(STALL_MS, pauseMs), () => {
      this.#timer = undefined
      // While it moves it is busy, not stalled.
      if (lsn() !== before) return
      this.#lastAt = this.#clock.now()
      this.#beat().catch(() => {
        // The connection is broken: whoever asks the source next is told.
      })
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
