import { Alphabet } from '../dependencies/alphabet.js'

/** Some texts in order, each with its handle. */
export class Block {
  readonly texts: string[]
  readonly handles: number[]
  /** What all texts begin with; there may be more of it. */
  beginning = ''
  /** What they are made of behind that; and what others were that have left. */
  alphabet = new Alphabet()

  constructor(texts: string[], handles: number[]) {
    this.texts = texts
    this.handles = handles
    this.#describe()
  }

  insert(place: number, text: string, handle: number): void {
    this.#widen(text)
    this.texts.splice(place, 0, text)
    this.handles.splice(place, 0, handle)
  }

  remove(place: number): void {
    this.texts.splice(place, 1)
    this.handles.splice(place, 1)
  }

  /** Takes out what is at a place and behind it. */
  split(place: number): Block {
    const other = new Block(this.texts.splice(place), this.handles.splice(place))
    if (other.texts.length > 1) this.#describe()
    return other
  }

  has(place: number, text: string, handle: number): boolean {
    return this.handles[place] === handle && this.texts[place] === text
  }

  /** Where an item is, or belongs. */
  placeOf(text: string, handle: number): number {
    let [low, high] = [0, this.texts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.isAfter(middle, text, handle) || this.has(middle, text, handle)) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Whether what is at a place comes after an item. */
  isAfter(place: number, text: string, handle: number): boolean {
    const other = this.texts[place]!
    return text < other || (text === other && handle < this.handles[place]!)
  }

  /** Where those end that begin with the prefix, of which one is in this block or before it. */
  endOf(prefix: string): number {
    const { texts } = this
    // Where the last one begins with it, all before it do: they lie anywhere in memory, and need not be looked at.
    if (this.beginning.startsWith(prefix) || texts[texts.length - 1]!.startsWith(prefix)) return texts.length
    let [low, high] = [0, texts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (texts[middle]! > prefix && !texts[middle]!.startsWith(prefix)) high = middle
      else low = middle + 1
    }
    return low
  }

  /** What is inserted may begin with less. */
  #widen(text: string): void {
    const { beginning } = this
    const length = commonLength(beginning, text)
    this.alphabet.add(text, length)
    if (length === beginning.length) return
    this.alphabet.add(beginning, length)
    this.beginning = beginning.slice(0, length)
  }

  #describe(): void {
    const { texts } = this
    const first = texts[0]!
    this.beginning = first.slice(0, commonLength(first, texts[texts.length - 1]!))
    this.alphabet = new Alphabet()
    for (const text of texts) this.alphabet.add(text, this.beginning.length)
  }
}

function commonLength(a: string, b: string): number {
  const end = Math.min(a.length, b.length)
  let length = 0
  while (length < end && a.charCodeAt(length) === b.charCodeAt(length)) length++
  return length
}
