/**
 * Slots, each once, in the order in which they came. Not a Set: that of a million moves all that it has whenever it grows, and the event loop
 * would wait for it.
 */
export class SlotSet {
  readonly #slots: number[] = []
  #bits = new Uint8Array(1_024)

  add(slot: number): void {
    const at = slot >>> 3
    if (at >= this.#bits.length) {
      const wider = new Uint8Array(Math.max(2 * this.#bits.length, at + 1))
      wider.set(this.#bits)
      this.#bits = wider
    }
    const bit = 1 << (slot & 7)
    if ((this.#bits[at]! & bit) !== 0) return
    this.#bits[at]! |= bit
    this.#slots.push(slot)
  }

  has(slot: number): boolean {
    return (((this.#bits[slot >>> 3] ?? 0) >>> (slot & 7)) & 1) === 1
  }

  [Symbol.iterator](): Iterator<number> {
    return this.#slots[Symbol.iterator]()
  }
}
