import type { Alphabet } from './alphabet.js'
import { type Expression, POINT_MAX } from './expression.js'
import { Program, type Search } from './program.js'
import type { Required } from './required.js'

/** Places that are looked at to make all states there are: some 10 ms. What would take more is not made. */
const WORK_MAX = 50_000
/** Characters that are looked at in one go: some 0.1 ms. */
const LENGTH_MAX = 50_000
/** States that are looked at, to say what comes of an alphabet. */
const REACHED_MAX = 16
/** Below it the kind of a character is looked up, above it searched for. */
const LATIN = 256
const UNKNOWN = -1

/** Some of a list of texts. */
export interface Texts {
  readonly texts: readonly string[]
  readonly from: number
  /** Not included. */
  readonly to: number
}

/** What is known of a pattern beside its table. */
interface Pattern {
  matches(text: string): boolean
  readonly required: Required | undefined
}

/** What some texts begin with. */
export interface Begun {
  /** So much of it was read. */
  readonly length: number
  readonly state: number
  /** Whether the pattern is found in each of them (true), or in none; undefined: that depends. */
  readonly ofAll: boolean | undefined
  /** The same of all texts that begin with what was read. */
  readonly isFinal: boolean
}

/**
 * A pattern as a table: for each state, and each kind of character that the pattern tells apart, the next state. A text costs a look-up for
 * each of its characters, 1 to 2 ns. States are made as texts lead to them. Source: McNaughton and Yamada, 1960; lazily, as in RE2.
 */
export class Automaton {
  readonly #program: Program
  /** The first character of each kind, in order. */
  readonly #kinds: Uint32Array
  readonly #latin = new Uint16Array(LATIN)
  /** A state is where its row begins: its next states by kind, and whether the pattern is found if the text ends there. */
  readonly #width: number
  #table: Int32Array
  readonly #searches: (Search | undefined)[] = []
  readonly #states = new Map<string, number>()
  #work = 0
  /** How far a text was read. */
  #readTo = 0
  /** The last answer to what is made of an alphabet. */
  #made: { readonly state: number; readonly alphabet: Alphabet; readonly ofAll: boolean | undefined } | undefined
  /** Nothing can be found any more; it was found, whatever follows; nobody knows. They lead nowhere. */
  readonly #never: number
  readonly #always: number
  readonly #untold: number
  readonly #first: number

  private constructor(program: Program) {
    this.#program = program
    const firsts = new Set([0])
    for (const ranges of program.ranges())
      for (let i = 0; i < ranges.length; i += 2) firsts.add(ranges[i]!).add(ranges[i + 1]! + 1)
    firsts.delete(POINT_MAX + 1)
    this.#kinds = Uint32Array.from(firsts).sort()
    for (let point = 0; point < LATIN; point++) this.#latin[point] = this.#kindOf(point)
    this.#width = this.#kinds.length + 1
    this.#table = new Int32Array(8 * this.#width).fill(UNKNOWN)
    this.#never = this.#row(undefined, false)
    this.#always = this.#row(undefined, true)
    this.#untold = this.#row(undefined, false)
    // Not to be found again: only here is it the beginning of the text.
    this.#first = this.#make(program.first)
  }

  /** Undefined for a pattern that is too large. */
  static of(expression: Expression): Automaton | undefined {
    const program = Program.of(expression)
    return program && new Automaton(program)
  }

  /** Whether the pattern is found in a text; undefined: it takes a longer look. */
  matches(text: string): boolean | undefined {
    return this.#isFound(this.#run(text, 0, text.length, this.#first))
  }

  /**
   * What is known of all texts that begin so.
   *
   * @param alphabet  what they are made of behind that, if it is known
   */
  begin(beginning: string, alphabet?: Alphabet): Begun {
    const { length } = beginning
    // A character of two units is read as one.
    const isHalf = (beginning.charCodeAt(length - 1) & 0xfc00) === 0xd800
    const state = this.#run(beginning, 0, isHalf ? length - 1 : length, this.#first)
    const isFinal = state === this.#never || state === this.#always
    const isMade = !isFinal && !isHalf && alphabet?.hasOthers === false
    const ofAll = isFinal ? state === this.#always : isMade ? this.#ofMade(state, alphabet) : undefined
    return { length: this.#readTo, state, ofAll, isFinal }
  }

  /**
   * Puts the places of those texts into `found` in which the pattern is found, of texts that begin so, from a place to another. Returns where it
   * ended: it looks at some 50,000 characters at most, or at one text.
   *
   * @param of.matches   what to do with a text that takes a longer look
   * @param of.required  what each text has in which the pattern is found
   */
  find(
    { texts, from, to }: Texts,
    { length, state: begun }: Begun,
    found: number[],
    { matches, required }: Pattern,
  ): number {
    const [latin, untold, last] = [this.#latin, this.#untold, this.#width - 1]
    let table = this.#table
    let left = LENGTH_MAX
    let place = from
    for (; place < to && left > 0; place++) {
      const text = texts[place]!
      left -= text.length
      if (required?.isMissingIn(text)) continue
      let state = begun
      for (let at = length; at < text.length; at++) {
        const unit = text.charCodeAt(at)
        const next = unit < LATIN ? table[state + latin[unit]!]! : UNKNOWN
        if (next <= untold) {
          state = next === UNKNOWN ? this.#run(text, at, text.length, state) : next
          table = this.#table
          break
        }
        state = next
      }
      if (state === untold ? matches(text) : table[state + last] === 1) found.push(place)
    }
    return place
  }

  /** No more states are made: there are texts that take a longer look. */
  get isSpent(): boolean {
    return this.#work > WORK_MAX
  }

  #isFound(state: number): boolean | undefined {
    return state === this.#untold ? undefined : this.#table[state + this.#width - 1] === 1
  }

  /** Whether the pattern is found, or not found, whatever is made of the alphabet behind this state. */
  #ofMade(state: number, alphabet: Alphabet): boolean | undefined {
    // Neighbours are much alike.
    if (this.#made?.state === state && this.#made.alphabet.equals(alphabet)) return this.#made.ofAll
    const ofAll = this.#ofReached(state, new Set(alphabet.units().map((unit) => this.#latin[unit]!)))
    this.#made = { state, alphabet: alphabet.copy(), ofAll }
    return ofAll
  }

  /** Whether the pattern is found in all states, or in none, that characters of these kinds lead to. */
  #ofReached(state: number, kinds: ReadonlySet<number>): boolean | undefined {
    const reached = new Set([state])
    const ofAll = this.#isFound(state)
    for (const each of reached) {
      if (ofAll === undefined || this.#isFound(each) !== ofAll || reached.size > REACHED_MAX) return undefined
      if (each <= this.#untold) continue
      for (const kind of kinds) {
        const next = this.#table[each + kind]!
        reached.add(next === UNKNOWN ? this.#next(each, kind) : next)
      }
    }
    return ofAll
  }

  #run(text: string, from: number, to: number, state: number): number {
    const latin = this.#latin
    const ends = this.#untold
    let table = this.#table
    let at = from
    for (; at < to && state > ends; at++) {
      let point = text.charCodeAt(at)
      let kind: number
      if (point < LATIN) kind = latin[point]!
      else {
        if ((point & 0xfc00) === 0xd800) {
          point = text.codePointAt(at)!
          if (point > 0xffff) at++
        }
        kind = this.#kindOf(point)
      }
      const next = table[state + kind]!
      if (next !== UNKNOWN) state = next
      else {
        state = this.#next(state, kind)
        table = this.#table
      }
    }
    this.#readTo = at
    return state
  }

  #next(state: number, kind: number): number {
    const search = this.#searches[state / this.#width]!
    this.#work += search.places.length
    const next = this.isSpent ? this.#untold : this.#state(this.#program.after(search, this.#kinds[kind]!))
    this.#table[state + kind] = next
    return next
  }

  #state(search: Search): number {
    if (search.isFound) return this.#always
    if (search.places.length === 0) return this.#never
    const name = search.places.join()
    let state = this.#states.get(name)
    if (state === undefined) {
      state = this.#make(search)
      this.#states.set(name, state)
    }
    return state
  }

  #make(search: Search): number {
    if (search.isFound) return this.#always
    this.#work += search.places.length + this.#width
    if (this.isSpent) return this.#untold
    return this.#row(search, this.#program.isFoundAtEnd(search))
  }

  #row(search: Search | undefined, isFoundAtEnd: boolean): number {
    const state = this.#searches.push(search) * this.#width - this.#width
    if (state + this.#width > this.#table.length) {
      const table = new Int32Array(2 * this.#table.length).fill(UNKNOWN)
      table.set(this.#table)
      this.#table = table
    }
    this.#table[state + this.#width - 1] = isFoundAtEnd ? 1 : 0
    return state
  }

  /** Of which kind a character is: the last that begins at or before it. */
  #kindOf(point: number): number {
    let [low, high] = [0, this.#kinds.length]
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.#kinds[middle]! <= point) low = middle
      else high = middle
    }
    return low
  }
}
