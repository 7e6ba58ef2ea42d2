import { type Followed, Hub, type HubOptions } from './hub.js'
import type { Sink } from './sink.js'

/** The entries that are streamed now: one hub for each, however many clients it has. */
export class Hubs {
  readonly #options: HubOptions
  readonly #hubs = new Map<string, Hub>()

  constructor(options: HubOptions) {
    this.#options = options
  }

  /** Entries streamed now. */
  get size(): number {
    return this.#hubs.size
  }

  subscribe(bound: Followed, sink: Sink, lastEventId: string | undefined): void {
    let hub = this.#hubs.get(bound.key)
    if (!hub) {
      const opened: Hub = new Hub(bound, this.#options, () => {
        if (this.#hubs.get(bound.key) === opened) this.#hubs.delete(bound.key)
      })
      hub = opened
      this.#hubs.set(bound.key, hub)
    }
    hub.subscribe(sink, lastEventId)
  }
}
