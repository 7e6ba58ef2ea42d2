import type { Former, SlotKey, Space } from './space.js'

/** The spaces of an L1 under small numbers, of which each slot has one. */
export class Spaces {
  readonly #spaces: (Space | undefined)[] = []
  readonly #free: number[] = []

  /** One more than the highest number that was ever given. */
  get used(): number {
    return this.#spaces.length
  }

  at(id: number): Space {
    return this.#spaces[id]!
  }

  add(space: Space): void {
    if (space.id === -1) space.id = this.#number(space)
  }

  remove(space: Space): void {
    this.#release(space.id)
    space.id = -1
  }

  /** What the space holds is no longer found under its keys, and keeps its number; the space goes on empty, under another one. */
  part(space: Space): void {
    space.formers.push({ id: space.id, slots: space.slots, left: space.slots.size })
    space.slots = new Map<SlotKey, number>()
    space.id = this.#number(space)
  }

  /** One of what the space held before it was parted from it has left memory. */
  left(space: Space, id: number): void {
    const former = space.formers.find((each) => each.id === id)!
    if (--former.left === 0) this.#forget(space, former)
  }

  /** All slots are free. */
  clear(): void {
    for (const space of this.#spaces) {
      if (!space) continue
      space.slots.clear()
      for (const former of [...space.formers]) this.#forget(space, former)
    }
  }

  #forget(space: Space, former: Former): void {
    former.left = 0
    space.formers.splice(space.formers.indexOf(former), 1)
    this.#release(former.id)
  }

  #number(space: Space): number {
    const id = this.#free.pop() ?? this.#spaces.length
    this.#spaces[id] = space
    return id
  }

  #release(id: number): void {
    this.#spaces[id] = undefined
    this.#free.push(id)
  }
}
