import type { Clock } from './clock.js'

/** How long the event loop is held at most, but for the step that ends it. */
const SLICE_MS = 5

/** Divides long work, so that the event loop gets its turn. */
export class Slices {
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined
  #until: number

  constructor(clock: Clock, signal: AbortSignal | undefined) {
    this.#clock = clock
    this.#signal = signal
    this.#until = clock.now() + SLICE_MS
  }

  get isOver(): boolean {
    return this.#clock.now() >= this.#until
  }

  /** Resolves when the event loop has done what waited. @throws the signal's reason */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.after(0, resolve))
    this.#signal?.throwIfAborted()
    this.#until = this.#clock.now() + SLICE_MS
  }
}
