import { allBut, type Expression, inOrder } from './expression.js'
import { prefixOf } from './required.js'

/** What is known of a regular expression. */
export interface ReadRegex {
  /** All that it says; undefined where only RE2 knows. */
  readonly expression: Expression | undefined
  /** What every text begins with in which it is found; '' where that is not known. */
  readonly prefix: string
}

/**
 * Reads a regular expression that RE2 reads: characters, escaped ones, classes, `.`, groups, choices, repetition, `^` and `$`. Where it says
 * anything else (flags, word boundaries, classes by name, what `\Q` quotes …) nothing is guessed; what stands before that counts.
 */
export function readRegex(text: string): ReadRegex {
  return new Reader(text).all()
}

const DIGITS = [0x30, 0x39]
const WORD = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a]
const BLANKS = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20]
const CLASSES: Readonly<Record<string, readonly number[]>> = {
  d: DIGITS,
  D: allBut(DIGITS),
  w: WORD,
  W: allBut(WORD),
  s: BLANKS,
  S: allBut(BLANKS),
}
const ALL_BUT_NEWLINE: Expression = { kind: 'point', ranges: allBut([0x0a, 0x0a]) }
/** They stand for themselves behind a backslash. */
const ESCAPABLE = /^[!-/:-@[-^`{-~]$/
/** They are no characters of their own, or RE2 reads them in ways that depend on what follows. */
const SPECIAL = /^[\\^$.|?*+()[\]{}]$/

/** Groups in groups, which take the stack: more of them are left to RE2. */
const DEPTH_MAX = 200

class Reader {
  readonly #text: string
  #at = 0
  #depth = 0
  /** Where something stands that is not understood. */
  #end: number | undefined

  constructor(text: string) {
    this.#text = text
  }

  all(): ReadRegex {
    const all = this.#choice()
    if (this.#at < this.#text.length) this.#giveUp()
    if (this.#end === undefined) return { expression: all, prefix: prefixOf(all) }
    // What follows may be another way to begin.
    const isOneWay = !this.#text.includes('|', this.#end)
    return { expression: undefined, prefix: isOneWay ? prefixOf(all) : '' }
  }

  #choice(): Expression {
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }

  #sequence(): Expression {
    const parts: Expression[] = []
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at]!))
      parts.push(this.#repeated(this.#one()))
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts }
  }

  #one(): Expression {
    if (this.#take('^')) return { kind: 'begin' }
    if (this.#take('$')) return { kind: 'end' }
    if (this.#take('.')) return ALL_BUT_NEWLINE
    if (this.#take('[')) return this.#class()
    if (this.#take('(')) return this.#group()
    return { kind: 'point', ranges: this.#points(SPECIAL) }
  }

  #group(): Expression {
    if ((this.#take('?') && !this.#take(':')) || this.#depth === DEPTH_MAX) return this.#giveUp()
    this.#depth++
    const inner = this.#choice()
    this.#depth--
    return this.#take(')') ? inner : this.#giveUp()
  }

  #repeated(part: Expression): Expression {
    const times = this.#times()
    if (!times) return part
    // Few or many: what is found is the same.
    this.#take('?')
    return '*+?{'.includes(this.#text[this.#at] ?? ' ') ? this.#giveUp() : { kind: 'repeat', part, ...times }
  }

  #times(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY }
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY }
    if (this.#take('?')) return { min: 0, max: 1 }
    COUNTS.lastIndex = this.#at
    const counts = COUNTS.exec(this.#text)
    if (!counts) return undefined
    this.#at = COUNTS.lastIndex
    const [, min, comma, max] = counts
    return { min: Number(min), max: max ? Number(max) : comma ? Number.POSITIVE_INFINITY : Number(min) }
  }

  #class(): Expression {
    const isNegated = this.#take('^')
    const ranges: number[] = []
    do {
      const from = this.#points(IN_CLASS)
      if (this.#end !== undefined) return this.#giveUp()
      const isRange = this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']'
      if (!isRange) {
        ranges.push(...from)
        // One that comes last is a character.
        if (this.#take('-')) ranges.push(0x2d, 0x2d)
        continue
      }
      this.#at++
      const to = this.#points(IN_CLASS)
      if (from[0] !== from[1] || to[0] !== to[1]) return this.#giveUp()
      ranges.push(from[0]!, to[1]!)
    } while (!this.#take(']'))
    return { kind: 'point', ranges: isNegated ? allBut(inOrder(ranges)) : inOrder(ranges) }
  }

  /** A character, or those of an escaped class. */
  #points(special: RegExp): readonly number[] {
    const point = this.#text.codePointAt(this.#at)
    // A lone half of a character is left to RE2.
    if (point === undefined || (point >= 0xd800 && point < 0xe000)) return this.#giveUp().ranges
    const character = String.fromCodePoint(point)
    if (character === '\\') {
      const escaped = this.#text[this.#at + 1] ?? ''
      const known = Object.hasOwn(CLASSES, escaped) ? CLASSES[escaped] : undefined
      if (!known && !ESCAPABLE.test(escaped)) return this.#giveUp().ranges
      this.#at += 2
      return known ?? [escaped.charCodeAt(0), escaped.charCodeAt(0)]
    }
    if (special.test(character)) return this.#giveUp().ranges
    this.#at += character.length
    return [point, point]
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  /** Ends the reading. */
  #giveUp(): Extract<Expression, { kind: 'point' }> {
    this.#end ??= this.#at
    this.#at = this.#text.length
    return NOTHING
  }
}

/** Stands for what was not understood. */
const NOTHING = { kind: 'point', ranges: [] } as const
const COUNTS = /\{(\d+)(?:(,)(\d*))?\}/y
/** A dash that is none between two, and a bracket, which may begin a class by name. */
const IN_CLASS = /^[[\]-]$/
