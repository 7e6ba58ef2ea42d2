import type { Clock } from 'tidemark'

/** The first server that can miss that it is woken, as server_version_num has it. */
const FROM_VERSION = 160_000
/** A server that has sent nothing for so long is woken; again after twice as long each time, up to the second. */
const FIRST_MS = 20
const MAX_MS = 250

/**
 * Wakes a server that may sleep over a commit.
 *
 * Since PostgreSQL 16 a walsender begins to wait for what is flushed (`WalSndWait`, a condition variable) after it has looked how far the WAL is flushed.
 * Of what is flushed in between it hears nothing: that commit stays with it until the next one, or until anything comes from its client. Servers whose
 * processors are busy do so with one commit in a thousand; those before 16 never.
 */
export class Wakes {
  readonly #wake: () => void
  readonly #clock: Clock
  #heardAt: number
  #waitMs = FIRST_MS
  #timer: { cancel(): void }

  /**
   * @param wake  sends the server a word that wants no reply
   * @returns undefined for a server that never misses it
   */
  static of(version: number, clock: Clock, wake: () => void): Wakes | undefined {
    return version < FROM_VERSION ? undefined : new Wakes(clock, wake)
  }

  private constructor(clock: Clock, wake: () => void) {
    this.#wake = wake
    this.#clock = clock
    this.#heardAt = clock.now()
    this.#timer = this.#after(FIRST_MS)
  }

  /** Something that was committed has come: what was committed right after it is what the server may have missed. */
  heard(now: number): void {
    this.#heardAt = now
    if (this.#waitMs === FIRST_MS) return
    this.#waitMs = FIRST_MS
    this.#timer.cancel()
    this.#timer = this.#after(FIRST_MS)
  }

  stop(): void {
    this.#timer.cancel()
  }

  #after(ms: number): { cancel(): void } {
    return this.#clock.after(ms, () => {
      const silentMs = this.#clock.now() - this.#heardAt
      if (this.#waitMs === FIRST_MS && silentMs < FIRST_MS) {
        this.#timer = this.#after(FIRST_MS - silentMs)
        return
      }
      this.#wake()
      this.#waitMs = Math.min(this.#waitMs * 2, MAX_MS)
      this.#timer = this.#after(this.#waitMs)
    })
  }
}
