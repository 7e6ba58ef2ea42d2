import { RE2JS, RE2JSException, RE2JSSyntaxException } from 're2js'
import { PatternError } from '../errors.js'
import type { Expression } from './expression.js'
import { readRegex } from './regex-reader.js'

/** Instructions of a compiled expression: a match takes at most about 0.1 µs for each of them and each character. */
const PROGRAM_MAX = 500

/**
 * A regular expression that is found anywhere in a text, in time that is linear in its length (RE2; JavaScript's own engine takes
 * minutes for some innocent-looking ones). RE2 has no look-around and no references to groups.
 */
export class Regex {
  /** What every text begins with in which it is found: plain characters behind a leading `^`. */
  readonly prefix: string
  readonly suffix = ''
  readonly isPrefix = false
  /** Steps of a match for each character of the text, at most. */
  readonly width: number
  /** What it says; undefined where only RE2 knows. */
  readonly expression: Expression | undefined
  readonly #program: RE2JS

  /** @throws PatternError (`TIDEMARK_PATTERN`), with the place */
  constructor(text: string) {
    this.#program = compile(text)
    this.width = this.#program.programSize()
    if (this.width > PROGRAM_MAX)
      throw new PatternError(
        `A regular expression compiles to ${this.width} instructions, and ${PROGRAM_MAX} are allowed. Repeat less, or split it.`,
        0,
      )
    const { expression, prefix } = readRegex(text)
    this.prefix = prefix
    this.expression = expression
  }

  matches(text: string): boolean {
    return this.#program.test(text)
  }
}

function compile(text: string): RE2JS {
  try {
    return RE2JS.compile(text)
  } catch (error) {
    // RE2 takes the stack for groups in groups, before it says that they are too many.
    if (error instanceof RangeError)
      throw new PatternError("A regular expression can't be read: it nests too deeply.", 0, { cause: error })
    if (!(error instanceof RE2JSException)) throw error
    const where = error instanceof RE2JSSyntaxException ? text.indexOf(error.input ?? '') : 0
    const position = Math.max(0, where)
    const what = error instanceof RE2JSSyntaxException ? error.error : 'it is too large'
    throw new PatternError(
      `A regular expression can't be read, at ${position}: ${what}. The syntax is RE2's: without look-around and references to groups.`,
      position,
      { cause: error },
    )
  }
}
