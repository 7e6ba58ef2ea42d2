import type { Cache, CacheEvents, Clock } from 'tidemark'

/** What one change did in L1 of this process. */
export interface Effect {
  /** Entries that really went (or expired); undefined where that is not known, as the log was taken up anew meanwhile. */
  readonly removed: number | undefined
  /** The pattern holds, but its entries are not all out of memory yet: `removed` counts some. */
  readonly isSweeping: boolean
  /** While it is sweeping: resolves with all that it did. */
  readonly ended?: Promise<Effect>
}

/** Between a change and who asked for it lie few others. */
const HEARD_MAX = 1_000
/** So long an answer waits for the last entry of a pattern to be gone, if it waits. */
const SWEPT_MAX_MS = 1_000
/** After so long it is not believed to end: the log was taken up anew, and nothing is left to sweep. */
const ENDED_MAX_MS = 60_000

/** Hears what changes do, while somebody asks for some. */
export class Effects {
  readonly #cache: Cache
  readonly #clock: Clock
  readonly #heard = new Map<string, CacheEvents['applied']>()
  readonly #sweeping = new Map<string, (touched: number) => void>()
  #asking = 0
  #leave = (): void => {}

  constructor(cache: Cache, clock: Clock) {
    this.#cache = cache
    this.#clock = clock
  }

  /**
   * Runs a request that resolves with its position, and says what that did.
   *
   * @param isAwaited  it is worth waiting until all entries are out of memory; for readers they are gone already
   */
  async of(request: () => Promise<string>, isAwaited: boolean): Promise<Effect & { readonly position: string }> {
    this.#begin()
    try {
      const position = await request()
      const event = this.#heard.get(position)
      if (!event) return { position, removed: undefined, isSweeping: false }
      if (event.sweeping === 0) return { position, removed: event.touched, isSweeping: false }
      this.#begin()
      const ended = this.#swept(position, event).finally(() => this.#end())
      const soFar = { removed: event.touched, isSweeping: true, ended }
      return { position, ...(isAwaited ? await this.#within(SWEPT_MAX_MS, ended, soFar) : soFar) }
    } finally {
      this.#end()
    }
  }

  #within(ms: number, ended: Promise<Effect>, soFar: Effect): Promise<Effect> {
    return new Promise((resolve) => {
      const late = this.#clock.after(ms, () => resolve(soFar))
      void ended.then((effect) => {
        late.cancel()
        resolve(effect)
      })
    })
  }

  #swept(position: string, { touched, sweeping }: CacheEvents['applied']): Promise<Effect> {
    return new Promise((resolve) => {
      // What the first slice took out is counted in `touched`, and again by the event that ends the sweep.
      let [left, removed] = [sweeping, 0]
      const end = (effect: Effect): void => {
        this.#sweeping.delete(position)
        late.cancel()
        resolve(effect)
      }
      const late = this.#clock.after(ENDED_MAX_MS, () =>
        end({ removed: Math.max(touched, removed), isSweeping: false }),
      )
      this.#sweeping.set(position, (count) => {
        removed += count
        if (--left === 0) end({ removed, isSweeping: false })
      })
    })
  }

  #begin(): void {
    if (this.#asking++ === 0) this.#listen()
  }

  #listen(): void {
    const leaves = [
      this.#cache.on('applied', (event) => {
        this.#heard.set(event.position, event)
        if (this.#heard.size > HEARD_MAX) for (const oldest of this.#heard.keys()) if (this.#heard.delete(oldest)) break
      }),
      this.#cache.on('swept', ({ position, touched }) => this.#sweeping.get(position)?.(touched)),
    ]
    this.#leave = () => {
      for (const leave of leaves) leave()
    }
  }

  #end(): void {
    if (--this.#asking > 0) return
    this.#leave()
    this.#heard.clear()
  }
}
