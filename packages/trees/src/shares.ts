interface Share {
  taken: number
  readonly waiting: Set<() => void>
}

/** Lets each tenant have a part of what all need, so that one whose work takes long leaves some of it to the others. */
export class Shares {
  readonly #most: number
  /** Of tenants that have some, or wait for it. */
  readonly #shares = new Map<string, Share>()

  /** @param most  how many one tenant may have at once */
  constructor(most: number) {
    this.#most = most
  }

  /**
   * Waits until the tenant may have one more: in the order in which they ask.
   *
   * @param late  called when that takes longer than `maxMs`; what it returns is thrown
   * @returns gives it back
   */
  async take(tenant: string, maxMs: number, late: () => Error): Promise<() => void> {
    let share = this.#shares.get(tenant)
    if (!share) {
      share = { taken: 0, waiting: new Set() }
      this.#shares.set(tenant, share)
    }
    if (share.taken < this.#most) share.taken++
    else await turnOf(share, maxMs, late)
    return () => this.#giveBack(tenant)
  }

  #giveBack(tenant: string): void {
    const share = this.#shares.get(tenant)!
    const [next] = share.waiting
    // Handed on, so that nobody who asks now comes before.
    if (next) next()
    else if (--share.taken === 0) this.#shares.delete(tenant)
  }
}

function turnOf({ waiting }: Share, maxMs: number, late: () => Error): Promise<void> {
  return new Promise((resolve, reject) => {
    const go = (): void => {
      clearTimeout(timer)
      waiting.delete(go)
      resolve()
    }
    const timer = setTimeout(() => {
      waiting.delete(go)
      reject(late())
    }, maxMs)
    waiting.add(go)
  })
}
