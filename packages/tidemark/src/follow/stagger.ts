import { type Clock, soon } from '../clock.js'

/** So many in one turn of the event loop. */
const SLICE = 16

/**
 * Lets what waits for one moment go on in slices, with a turn of the event loop between two: what the first of them ask the source for is on its
 * way while the others begin, and whatever else waits in the process has its turn too.
 */
export class Stagger {
  readonly #clock: Clock
  /** The moment that was waited for last. */
  #moment: Promise<void> | undefined
  /** When the slice goes on that is being filled. */
  #slice: Promise<void> | undefined
  #count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves at the moment, or a few turns of the event loop after it. */
  after(moment: Promise<void>): Promise<void> {
    if (this.#moment !== moment) {
      this.#moment = this.#slice = moment
      this.#count = 0
    } else if (this.#count % SLICE === 0) this.#slice = this.#slice!.then(this.#turn)
    this.#count++
    return this.#slice!
  }

  readonly #turn = (): Promise<void> =>
    new Promise((resolve) => {
      soon(this.#clock, resolve)
    })
}
