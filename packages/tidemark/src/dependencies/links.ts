import { enlarged, NONE, nextCapacity } from '../arrays.js'

/** Set in a link that lies in the pool; else the link is that of the slot itself. */
const POOLED = 0x8000_0000

/**
 * Which entry has which dependency: for each dependency a doubly linked list of entries, so that an entry leaves all its
 * lists in as many steps as it has dependencies.
 *
 * An entry with one dependency has its link in arrays by slot: 12 bytes. The links of an entry with more lie in a pool,
 * chained: 20 bytes each. Lists of ids would take no less, and objects five times as much.
 */
export class Links {
  /** By slot: the one dependency, or the first pooled link, or `NONE`. */
  #first = new Uint32Array(0)
  #next = new Uint32Array(0)
  #previous = new Uint32Array(0)
  #pool = new Pool()

  /** Links that lie in the pool, of all entries. */
  get pooled(): number {
    return this.#pool.size
  }

  resize(capacity: number): void {
    const from = this.#first.length
    this.#first = enlarged(this.#first, capacity).fill(NONE, from)
    this.#next = enlarged(this.#next, capacity)
    this.#previous = enlarged(this.#previous, capacity)
  }

  /** Gives a slot without links its only one. */
  addOnly(slot: number, dependency: number, heads: Uint32Array): void {
    this.#first[slot] = dependency
    this.#push(slot, dependency, heads)
  }

  /** Adds one of several links to a slot, unless it has it. All links of a slot are added in a row. */
  add(slot: number, dependency: number, heads: Uint32Array): void {
    // Links are put in front: if the slot has this dependency, it was the last to get it.
    const head = heads[dependency]!
    if (head !== NONE && this.slotOf(head) === slot) return
    const at = this.#pool.take()
    this.#pool.slots[at] = slot
    this.#pool.dependencies[at] = dependency
    this.#pool.own[at] = this.#first[slot]!
    const link = (at | POOLED) >>> 0
    this.#first[slot] = link
    this.#push(link, dependency, heads)
  }

  /** Takes away all links of a slot; `emptied` hears of each dependency that has no entry any more. */
  remove(slot: number, heads: Uint32Array, emptied: (dependency: number) => void): void {
    let link = this.#first[slot]!
    if (link === NONE) return
    this.#first[slot] = NONE
    if (link < POOLED) {
      this.#unlink(slot, link, heads)
      if (heads[link] === NONE) emptied(link)
      return
    }
    while (link !== NONE) {
      const at = link & ~POOLED
      const dependency = this.#pool.dependencies[at]!
      const following = this.#pool.own[at]!
      this.#unlink(link, dependency, heads)
      this.#pool.release(at)
      if (heads[dependency] === NONE) emptied(dependency)
      link = following
    }
  }

  /** The ids of a slot's dependencies. */
  dependenciesOf(slot: number): number[] {
    let link = this.#first[slot]!
    if (link < POOLED) return [link]
    const dependencies: number[] = []
    while (link !== NONE) {
      const at = link & ~POOLED
      dependencies.push(this.#pool.dependencies[at]!)
      link = this.#pool.own[at]!
    }
    return dependencies
  }

  slotOf(link: number): number {
    return link < POOLED ? link : this.#pool.slots[link & ~POOLED]!
  }

  /** The next link in the list of the same dependency. */
  next(link: number): number {
    return link < POOLED ? this.#next[link]! : this.#pool.next[link & ~POOLED]!
  }

  #push(link: number, dependency: number, heads: Uint32Array): void {
    const head = heads[dependency]!
    this.#setNext(link, head)
    this.#setPrevious(link, NONE)
    if (head !== NONE) this.#setPrevious(head, link)
    heads[dependency] = link
  }

  #unlink(link: number, dependency: number, heads: Uint32Array): void {
    const next = this.next(link)
    const previous = link < POOLED ? this.#previous[link]! : this.#pool.previous[link & ~POOLED]!
    if (previous === NONE) heads[dependency] = next
    else this.#setNext(previous, next)
    if (next !== NONE) this.#setPrevious(next, previous)
  }

  #setNext(link: number, next: number): void {
    if (link < POOLED) this.#next[link] = next
    else this.#pool.next[link & ~POOLED] = next
  }

  #setPrevious(link: number, previous: number): void {
    if (link < POOLED) this.#previous[link] = previous
    else this.#pool.previous[link & ~POOLED] = previous
  }
}

/** The links of entries that have several. A free place's `next` is the next free place. */
class Pool {
  slots = new Uint32Array(0)
  dependencies = new Uint32Array(0)
  next = new Uint32Array(0)
  previous = new Uint32Array(0)
  /** The next link of the same slot. */
  own = new Uint32Array(0)
  size = 0
  #free = NONE
  #used = 0

  take(): number {
    this.size++
    const free = this.#free
    if (free !== NONE) {
      this.#free = this.next[free]!
      return free
    }
    if (this.#used === this.slots.length) this.#resize(nextCapacity(this.#used, POOLED - 1))
    return this.#used++
  }

  release(at: number): void {
    this.size--
    this.next[at] = this.#free
    this.#free = at
  }

  #resize(capacity: number): void {
    this.slots = enlarged(this.slots, capacity)
    this.dependencies = enlarged(this.dependencies, capacity)
    this.next = enlarged(this.next, capacity)
    this.previous = enlarged(this.previous, capacity)
    this.own = enlarged(this.own, capacity)
  }
}
