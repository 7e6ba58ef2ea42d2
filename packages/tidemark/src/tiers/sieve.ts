import { enlarged, NONE } from '../arrays.js'
import type { Eviction } from './eviction.js'

/** Where a slot's neighbours in the queue lie. */
const WIDTH = 2
const NEWER = 0
const OLDER = 1

/**
 * SIEVE: a queue in order of insertion and a hand that walks from the oldest to the newest. The hand takes the first
 * entry that was not read since it last came by. A hit is one write of a byte; nothing moves.
 *
 * Cost: 9 bytes per slot. A victim is found in amortised constant time: each step of the hand uses up one hit.
 * Source: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.
 */
export class Sieve implements Eviction {
  #visited = new Uint8Array(0)
  #queue = new Uint32Array(0)
  #newest = NONE
  #oldest = NONE
  #hand = NONE

  insert(slot: number): void {
    this.#visited[slot] = 0
    this.#queue[slot * WIDTH + NEWER] = NONE
    this.#queue[slot * WIDTH + OLDER] = this.#newest
    if (this.#newest === NONE) this.#oldest = slot
    else this.#queue[this.#newest * WIDTH + NEWER] = slot
    this.#newest = slot
  }

  hit(slot: number): void {
    this.#visited[slot] = 1
  }

  takeHit(slot: number): boolean {
    const wasHit = this.#visited[slot] !== 0
    this.#visited[slot] = 0
    return wasHit
  }

  isHot(slot: number): boolean {
    return this.#visited[slot] !== 0
  }

  remove(slot: number): void {
    const newer = this.#queue[slot * WIDTH + NEWER]!
    const older = this.#queue[slot * WIDTH + OLDER]!
    if (newer === NONE) this.#newest = older
    else this.#queue[newer * WIDTH + OLDER] = older
    if (older === NONE) this.#oldest = newer
    else this.#queue[older * WIDTH + NEWER] = newer
    if (this.#hand === slot) this.#hand = newer
  }

  victim(): number {
    let hand = this.#hand === NONE ? this.#oldest : this.#hand
    if (hand === NONE) return -1
    while (this.#visited[hand] !== 0) {
      this.#visited[hand] = 0
      hand = this.#queue[hand * WIDTH + NEWER]!
      if (hand === NONE) hand = this.#oldest
    }
    this.#hand = hand
    return hand
  }

  resize(capacity: number): void {
    this.#visited = enlarged(this.#visited, capacity)
    this.#queue = enlarged(this.#queue, capacity * WIDTH)
  }
}
