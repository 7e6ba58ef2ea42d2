/** Chance from a seed: the same numbers on every machine (mulberry32). */
export class Random {
  #state: number
  #count = 0

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 1, 2, 3 …: for names that differ. */
  count(): number {
    return ++this.#count
  }

  /** From 0 up to, but not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number from 0 up to, but not including, `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** Some of them, in their order; at least `least`. */
  some<T>(from: readonly T[], probability: number, least = 1): T[] {
    const chosen = new Set(from.filter(() => this.chance(probability)))
    while (chosen.size < Math.min(least, from.length)) chosen.add(this.pick(from))
    return from.filter((each) => chosen.has(each))
  }

  /** One of the names, each as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries(weights) as [Name, number][]
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      left -= weight
      if (left < 0) return name
    }
    return entries.at(-1)![0]
  }
}
