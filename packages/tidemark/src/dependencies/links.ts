import { enlarged, listOf, NONE, nextCapacity } from '../arrays.js'

/** Set in a link that lies in the pool; else the link is that of the slot itself. */
const POOLED = 0x8000_0000

// The fields of a link lie side by side, so that to follow it costs one miss of the processor's cache, not one per field.
/** A slot's own link: 12 bytes. `FIRST` is its one dependency, or its first pooled link, or `NONE`. */
const OWN = 3
const OWN_FIRST = 2
/** A pooled link: 20 bytes. `FOLLOWING` is the next link of the same slot; a free link's `NEXT` is the next free one. */
const WIDTH = 5
const SLOT = 2
const DEPENDENCY = 3
const FOLLOWING = 4
/** In both: the neighbours in the list of the same dependency. */
const NEXT = 0
const PREVIOUS = 1

/**
 * Which entry has which dependency: for each dependency a doubly linked list of entries, so that an entry leaves all its
 * lists in as many steps as it has dependencies.
 *
 * An entry with one dependency has its link in an array by slot: 12 bytes. The links of an entry with more lie in a pool,
 * chained: 20 bytes each.
 */
export class Links {
  #own = new Uint32Array(0)
  #pool = new Uint32Array(0)
  #pooled = 0
  #free = NONE
  #used = 0

  /** Links that lie in the pool, of all entries. */
  get pooled(): number {
    return this.#pooled
  }

  resize(capacity: number): void {
    const from = this.#own.length
    this.#own = enlarged(this.#own, capacity * OWN).fill(NONE, from)
  }

  /** Gives a slot without links its only one. */
  addOnly(slot: number, dependency: number, heads: Uint32Array): void {
    this.#own[slot * OWN + OWN_FIRST] = dependency
    this.#push(slot, dependency, heads)
  }

  /** Adds one of several links to a slot, unless it has it. All links of a slot are added in a row. */
  add(slot: number, dependency: number, heads: Uint32Array): void {
    // Links are put in front: if the slot has this dependency, it was the last to get it.
    const head = heads[dependency]!
    if (head !== NONE && this.slotOf(head) === slot) return
    const at = this.#take()
    const link = (at | POOLED) >>> 0
    this.#pool[at * WIDTH + SLOT] = slot
    this.#pool[at * WIDTH + DEPENDENCY] = dependency
    this.#pool[at * WIDTH + FOLLOWING] = this.#own[slot * OWN + OWN_FIRST]!
    this.#own[slot * OWN + OWN_FIRST] = link
    this.#push(link, dependency, heads)
  }

  /** Takes away all links of a slot; `emptied` hears of each dependency that has no entry any more. */
  remove(slot: number, heads: Uint32Array, emptied: (dependency: number) => void): void {
    let link = this.#own[slot * OWN + OWN_FIRST]!
    if (link === NONE) return
    this.#own[slot * OWN + OWN_FIRST] = NONE
    if (link < POOLED) {
      this.#unlink(slot, link, heads)
      if (heads[link] === NONE) emptied(link)
      return
    }
    while (link !== NONE) {
      const at = link & ~POOLED
      const dependency = this.#pool[at * WIDTH + DEPENDENCY]!
      const following = this.#pool[at * WIDTH + FOLLOWING]!
      this.#unlink(link, dependency, heads)
      this.#release(at)
      if (heads[dependency] === NONE) emptied(dependency)
      link = following
    }
  }

  /** The ids of a slot's dependencies. */
  dependenciesOf(slot: number): number[] {
    let link = this.#own[slot * OWN + OWN_FIRST]!
    if (link < POOLED) return listOf(link)
    const dependencies = listOf<number>()
    while (link !== NONE) {
      const at = (link & ~POOLED) * WIDTH
      dependencies.push(this.#pool[at + DEPENDENCY]!)
      link = this.#pool[at + FOLLOWING]!
    }
    return dependencies
  }

  slotOf(link: number): number {
    return link < POOLED ? link : this.#pool[(link & ~POOLED) * WIDTH + SLOT]!
  }

  /** The next link in the list of the same dependency. */
  next(link: number): number {
    return link < POOLED ? this.#own[link * OWN + NEXT]! : this.#pool[(link & ~POOLED) * WIDTH + NEXT]!
  }

  #push(link: number, dependency: number, heads: Uint32Array): void {
    const head = heads[dependency]!
    this.#set(link, NEXT, head)
    this.#set(link, PREVIOUS, NONE)
    if (head !== NONE) this.#set(head, PREVIOUS, link)
    heads[dependency] = link
  }

  #unlink(link: number, dependency: number, heads: Uint32Array): void {
    const next = this.next(link)
    const previous =
      link < POOLED ? this.#own[link * OWN + PREVIOUS]! : this.#pool[(link & ~POOLED) * WIDTH + PREVIOUS]!
    if (previous === NONE) heads[dependency] = next
    else this.#set(previous, NEXT, next)
    if (next !== NONE) this.#set(next, PREVIOUS, previous)
  }

  #set(link: number, field: typeof NEXT | typeof PREVIOUS, to: number): void {
    if (link < POOLED) this.#own[link * OWN + field] = to
    else this.#pool[(link & ~POOLED) * WIDTH + field] = to
  }

  #take(): number {
    this.#pooled++
    const free = this.#free
    if (free !== NONE) {
      this.#free = this.#pool[free * WIDTH + NEXT]!
      return free
    }
    const capacity = this.#pool.length / WIDTH
    if (this.#used === capacity) this.#pool = enlarged(this.#pool, nextCapacity(capacity, POOLED - 1) * WIDTH)
    return this.#used++
  }

  #release(at: number): void {
    this.#pooled--
    this.#pool[at * WIDTH + NEXT] = this.#free
    this.#free = at
  }
}
