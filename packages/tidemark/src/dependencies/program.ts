import type { Expression } from './expression.js'

/** A place in a pattern: what it asks for, and the places behind it. */
interface Place {
  /** A character of these; undefined: none. */
  readonly ranges?: readonly number[]
  /** Of the text. */
  readonly needs?: 'begin' | 'end'
  readonly next: number[]
}

/** Where a search may be: places that ask for a character, or for the end of the text. */
export interface Search {
  readonly places: readonly number[]
  /** All of the pattern was found, whatever follows. */
  readonly isFound: boolean
  /** Nothing was read. */
  readonly isFirst: boolean
}

const PLACES_MAX = 500
const FOUND = 0

/** A pattern as places, of which a search is in several at once. Source: Thompson, "Regular expression search algorithm", CACM 1968. */
export class Program {
  readonly #places: Place[] = [{ next: [] }]
  readonly #entry: number
  #steps = 0
  /** Which places were looked at, in the search of which number. */
  readonly #seen: Uint32Array
  #number = 0

  private constructor(expression: Expression) {
    this.#entry = this.#add(expression, FOUND)
    this.#seen = new Uint32Array(this.#places.length)
  }

  /** Undefined if it is too large. */
  static of(expression: Expression): Program | undefined {
    const program = new Program(expression)
    return program.#isTooLarge ? undefined : program
  }

  /** Before anything is read. */
  get first(): Search {
    return this.#closed([this.#entry], { isFirst: true })
  }

  /** What is found anywhere may also begin behind the character. */
  after({ places }: Search, point: number): Search {
    const next = [this.#entry]
    for (const at of places) {
      const { ranges, next: behind } = this.#places[at]!
      if (ranges && isOf(ranges, point)) next.push(...behind)
    }
    return this.#closed(next)
  }

  /** Whether the pattern is found if the text ends here. */
  isFoundAtEnd({ places, isFound, isFirst }: Search): boolean {
    return isFound || this.#closed([...places], { isFirst, isLast: true }).isFound
  }

  /** All ranges of characters that it tells apart. */
  *ranges(): Generator<readonly number[]> {
    for (const { ranges } of this.#places) if (ranges) yield ranges
  }

  get #isTooLarge(): boolean {
    return this.#steps > PLACES_MAX
  }

  /** Adds what is said, and returns where it begins. From the end to the beginning: what is behind has a number already. */
  #add(expression: Expression, behind: number): number {
    if (++this.#steps > PLACES_MAX) return behind
    switch (expression.kind) {
      case 'point':
        return this.#place({ ranges: expression.ranges, next: [behind] })
      case 'begin':
      case 'end':
        return this.#place({ needs: expression.kind, next: [behind] })
      case 'sequence':
        return expression.parts.reduceRight((next, part) => this.#add(part, next), behind)
      case 'choice':
        return this.#place({ next: expression.parts.map((part) => this.#add(part, behind)) })
      case 'repeat':
        return this.#addRepeated(expression, behind)
      default:
        return expression satisfies never
    }
  }

  #addRepeated({ part, min, max }: Extract<Expression, { kind: 'repeat' }>, behind: number): number {
    let entry = behind
    if (max === Number.POSITIVE_INFINITY) {
      const next = [behind]
      entry = this.#place({ next })
      next.push(this.#add(part, entry))
    } else {
      for (let i = min; i < max && !this.#isTooLarge; i++)
        entry = this.#place({ next: [behind, this.#add(part, entry)] })
    }
    for (let i = 0; i < min && !this.#isTooLarge; i++) entry = this.#add(part, entry)
    return entry
  }

  #place(place: Place): number {
    return this.#places.push(place) - 1
  }

  /** With all that is reached without reading on. */
  #closed(open: number[], { isFirst = false, isLast = false } = {}): Search {
    const number = ++this.#number
    const places: number[] = []
    let isFound = false
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (this.#seen[at] === number) continue
      this.#seen[at] = number
      const { ranges, needs, next } = this.#places[at]!
      if (at === FOUND) isFound = true
      else if (ranges) places.push(at)
      else if (needs === 'end' && !isLast) places.push(at)
      else if (needs !== 'begin' || isFirst) open.push(...next)
    }
    return { places: places.sort((a, b) => a - b), isFound, isFirst }
  }
}

function isOf(ranges: readonly number[], point: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) if (point >= ranges[i]! && point <= ranges[i + 1]!) return true
  return false
}
