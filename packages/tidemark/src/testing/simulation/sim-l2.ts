import type { L2, L2Answer, L2Ask, L2Batch, L2Fill, L2Read } from '../../tiers/l2.js'
import type { MemoryL2 } from '../memory-l2.js'
import type { Chance } from './chance.js'
import type { SimClock } from './sim-clock.js'

interface Parked {
  /** The request reaches L2; its answer is under way, and this hands it over. */
  readonly run: () => Promise<() => void>
  readonly fail: () => void
  /** Set once it has run. */
  answer: (() => void) | undefined
}

/** L2 as one process reaches it: a request arrives at one step and its answer at another, and either may be lost. */
export class SimL2 implements L2 {
  readonly #l2: MemoryL2
  readonly #chance: Chance
  readonly #clock: SimClock
  #parked: Parked[] = []

  constructor(l2: MemoryL2, chance: Chance, clock: SimClock) {
    this.#l2 = l2
    this.#chance = chance
    this.#clock = clock
  }

  read(key: string, ask?: L2Ask): Promise<L2Read> {
    return this.#park(() => this.#l2.read(key, ask))
  }

  readAll(keys: readonly string[], ask?: L2Ask): Promise<L2Read[]> {
    return this.#park(() => this.#l2.readAll(keys, ask))
  }

  fill(key: string, fill: L2Fill): Promise<'stored' | 'refused'> {
    const sentAt = this.#clock.trueMs
    return this.#park(() => {
      // How long a request is under way counts for nothing in reality; here it may be for ever.
      const passed = this.#clock.trueMs - sentAt
      return this.#l2.fill(key, { ...fill, ageMs: fill.ageMs + passed, remainingMs: fill.remainingMs - passed })
    })
  }

  invalidate(batch: L2Batch): Promise<L2Answer> {
    return this.#park(() => this.#l2.invalidate(batch))
  }

  lease(key: string, holder: string, ms: number): Promise<boolean> {
    return this.#park(() => this.#l2.lease(key, holder, ms))
  }

  release(key: string, holder: string): Promise<void> {
    return this.#park(() => this.#l2.release(key, holder))
  }

  async close(): Promise<void> {
    for (const { fail } of this.#parked.splice(0)) fail()
  }

  get parked(): number {
    return this.#parked.length
  }

  /** A request arrives, or an answer. */
  async step(): Promise<void> {
    const parked = this.#chance.of(this.#parked)
    if (parked.answer) {
      this.#parked = this.#parked.filter((other) => other !== parked)
      return parked.answer()
    }
    parked.answer = await parked.run()
  }

  /** A request, or an answer, never arrives. */
  fail(): void {
    const parked = this.#chance.of(this.#parked)
    this.#parked = this.#parked.filter((other) => other !== parked)
    parked.fail()
  }

  #park<Result>(call: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#parked.push({
        run: async () => {
          const result = await call()
          return () => resolve(result)
        },
        fail: () => reject(new Error('The simulation lost a call to L2.')),
        answer: undefined,
      })
    })
  }
}
