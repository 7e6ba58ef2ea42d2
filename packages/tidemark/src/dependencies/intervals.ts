import type { Range } from './dependency.js'
import { compareKeys, type Key, keyOf, type Order } from './order.js'

/**
 * One range in a tree of `Intervals`, by the keys of its ends; a missing end is open. Several may have the same ends: `rank` tells
 * them apart. An end whose text has no key counts as open.
 */
export class Interval {
  readonly from: Key | undefined
  readonly to: Key | undefined
  readonly isFromIncluded: boolean
  readonly isToIncluded: boolean
  readonly rank: string
  /** Whose `to` is the last in the subtree. */
  furthest: Interval = this
  left: Interval | undefined
  right: Interval | undefined
  readonly seed: number

  /** @param seed  any number that no other interval of the tree has */
  constructor(range: Range | undefined, rank: string, seed: number) {
    this.from = range?.from && keyOf(range.order, range.from.value)
    this.to = range?.to && keyOf(range.order, range.to.value)
    this.isFromIncluded = range?.from?.isIncluded ?? false
    this.isToIncluded = range?.to?.isIncluded ?? false
    this.rank = rank
    this.seed = seed
  }

  /** As good as random, so that no order of insertion makes the tree deep; and the same in every run. */
  get priority(): number {
    let hash = Math.imul(this.seed ^ (this.seed >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return (hash ^ (hash >>> 16)) >>> 0
  }
}

/**
 * Ranges of one order, found by a value that they hold: in steps that grow with the logarithm of their number, and with what is found.
 *
 * A treap by the begin of the ranges, where each node knows which range below it reaches furthest. Source: Seidel and Aragon, "Randomized
 * Search Trees", 1996; interval trees as in Cormen et al., "Introduction to Algorithms".
 */
export class Intervals<Node extends Interval> {
  readonly #order: Order
  #root: Interval | undefined

  constructor(order: Order) {
    this.#order = order
  }

  get isEmpty(): boolean {
    return this.#root === undefined
  }

  /** The interval that is there with the same ends and rank. */
  find(interval: Node): Node | undefined {
    let node = this.#root
    while (node) {
      const side = this.#compare(interval, node)
      if (side === 0) return node as Node
      node = side < 0 ? node.left : node.right
    }
    return undefined
  }

  /** Adds an interval that is not there. */
  insert(interval: Node): void {
    this.#root = this.#inserted(this.#root, interval)
  }

  /** Takes out one that is there. */
  remove(interval: Node): void {
    this.#root = this.#removed(this.#root, interval)
  }

  /** Calls `found` for every interval that holds the key; without a key, for every one. It must not change the tree. */
  stab(key: Key | undefined, found: (interval: Node) => void): void {
    if (key === undefined) this.#each(this.#root, found)
    else this.#stab(this.#root, key, found)
  }

  #stab(node: Interval | undefined, key: Key, found: (interval: Node) => void): void {
    if (!node || !this.#reaches(node.furthest, key)) return
    this.#stab(node.left, key, found)
    if (!this.#begins(node, key)) return
    if (this.#reaches(node, key)) found(node as Node)
    this.#stab(node.right, key, found)
  }

  #each(node: Interval | undefined, found: (interval: Node) => void): void {
    if (!node) return
    this.#each(node.left, found)
    found(node as Node)
    this.#each(node.right, found)
  }

  #begins({ from, isFromIncluded }: Interval, key: Key): boolean {
    if (from === undefined) return true
    const side = compareKeys(this.#order, from, key)
    return side < 0 || (side === 0 && isFromIncluded)
  }

  #reaches({ to, isToIncluded }: Interval, key: Key): boolean {
    if (to === undefined) return true
    const side = compareKeys(this.#order, key, to)
    return side < 0 || (side === 0 && isToIncluded)
  }

  #inserted(node: Interval | undefined, interval: Interval): Interval {
    if (!node) return interval
    if (interval.priority > node.priority) {
      const [left, right] = this.#split(node, interval)
      interval.left = left
      interval.right = right
      return this.#measured(interval)
    }
    if (this.#compare(interval, node) < 0) node.left = this.#inserted(node.left, interval)
    else node.right = this.#inserted(node.right, interval)
    return this.#measured(node)
  }

  /** What comes before the interval, and what comes after it. */
  #split(node: Interval | undefined, at: Interval): [Interval | undefined, Interval | undefined] {
    if (!node) return [undefined, undefined]
    if (this.#compare(node, at) < 0) {
      const [left, right] = this.#split(node.right, at)
      node.right = left
      return [this.#measured(node), right]
    }
    const [left, right] = this.#split(node.left, at)
    node.left = right
    return [left, this.#measured(node)]
  }

  #removed(node: Interval | undefined, interval: Interval): Interval | undefined {
    if (!node) return undefined
    if (node === interval) return this.#merged(node.left, node.right)
    if (this.#compare(interval, node) < 0) node.left = this.#removed(node.left, interval)
    else node.right = this.#removed(node.right, interval)
    return this.#measured(node)
  }

  #merged(left: Interval | undefined, right: Interval | undefined): Interval | undefined {
    if (!left || !right) return left ?? right
    if (left.priority > right.priority) {
      left.right = this.#merged(left.right, right)
      return this.#measured(left)
    }
    right.left = this.#merged(left, right.left)
    return this.#measured(right)
  }

  #measured(node: Interval): Interval {
    node.furthest = node
    for (const below of [node.left, node.right]) {
      if (below && this.#compareEnds(below.furthest, node.furthest) > 0) node.furthest = below.furthest
    }
    return node
  }

  #compare(a: Interval, b: Interval): number {
    return this.#compareBegins(a, b) || this.#compareEnds(a, b) || (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0)
  }

  /** An open begin comes first; of two at one key, the one that includes it. */
  #compareBegins(a: Interval, b: Interval): number {
    if (a.from === undefined || b.from === undefined) return Number(b.from === undefined) - Number(a.from === undefined)
    return compareKeys(this.#order, a.from, b.from) || Number(b.isFromIncluded) - Number(a.isFromIncluded)
  }

  /** An open end comes last; of two at one key, the one that includes it. */
  #compareEnds(a: Interval, b: Interval): number {
    if (a.to === undefined || b.to === undefined) return Number(a.to === undefined) - Number(b.to === undefined)
    return compareKeys(this.#order, a.to, b.to) || Number(a.isToIncluded) - Number(b.isToIncluded)
  }
}
