import { Slices, systemClock } from 'tidemark'

/** After so many steps the clock is looked at: most work has fewer. */
const AT_ONCE = 64

/** Counts the steps of work that may be long, and divides it, so that others have their turn of the event loop. */
export class Steps {
  #count = 0
  #slices: Slices | undefined

  /** To be asked after each step: whether others are to have their turn, with `next`. */
  get isOver(): boolean {
    if (++this.#count % AT_ONCE !== 0) return false
    this.#slices ??= new Slices(systemClock, undefined)
    return this.#slices.isOver
  }

  /** Resolves when they have had it. */
  async next(): Promise<void> {
    await this.#slices?.next()
  }
}
