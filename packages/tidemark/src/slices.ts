import type { Clock } from './clock.js'
import { Turns } from './turns.js'

/** Divides long work, so that the event loop gets its turn: all long work of a process alternates, in turns of half a millisecond. */
export class Slices {
  readonly #turns: Turns
  readonly #signal: AbortSignal | undefined

  /**
   * Begins in what is left of this turn.
   *
   * @param clock   all that goes by the same one alternates: `systemClock`, but in tests
   * @param signal  ends the work, when it is aborted, at its next turn
   */
  constructor(clock: Clock, signal: AbortSignal | undefined) {
    this.#turns = Turns.of(clock)
    this.#signal = signal
    this.#turns.begin()
  }

  /** To be asked after each step. */
  get isOver(): boolean {
    return this.#turns.isOver
  }

  /** Takes all the steps. @throws the signal's reason */
  async all(steps: Iterable<unknown>): Promise<void> {
    for (const _ of steps) if (this.isOver) await this.next()
  }

  /** Resolves when the event loop has done what waited, and others have had their turn. @throws the signal's reason */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => this.#turns.wait(resolve, 'asked'))
    this.#signal?.throwIfAborted()
  }
}
