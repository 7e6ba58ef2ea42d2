/** Which characters texts are made of: of ASCII each, of all others whether there are any. */
export class Alphabet {
  hasOthers = false
  /** A bit for each of 32 characters. */
  #controls = 0
  #signs = 0
  #capitals = 0
  #smalls = 0

  /** Adds those of a text from a place on. */
  add(text: string, from: number, to = text.length): void {
    for (let at = from; at < to; at++) {
      const unit = text.charCodeAt(at)
      const bit = 1 << (unit & 31)
      if (unit >= 96 && unit < 128) this.#smalls |= bit
      else if (unit < 32) this.#controls |= bit
      else if (unit < 64) this.#signs |= bit
      else if (unit < 96) this.#capitals |= bit
      else this.hasOthers = true
    }
  }

  copy(): Alphabet {
    const copy = new Alphabet()
    copy.hasOthers = this.hasOthers
    copy.#controls = this.#controls
    copy.#signs = this.#signs
    copy.#capitals = this.#capitals
    copy.#smalls = this.#smalls
    return copy
  }

  /** Whether it has the same characters of ASCII. */
  equals(other: Alphabet): boolean {
    return (
      this.#signs === other.#signs &&
      this.#smalls === other.#smalls &&
      this.#capitals === other.#capitals &&
      this.#controls === other.#controls
    )
  }

  /** Those of ASCII. */
  units(): number[] {
    const units: number[] = []
    for (const [i, bits] of [this.#controls, this.#signs, this.#capitals, this.#smalls].entries())
      for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) units.push(32 * i + bit)
    return units
  }
}
