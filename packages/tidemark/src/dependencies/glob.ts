import { PatternError } from '../errors.js'
import { ANY_POINT, ANY_TEXT, allBut, type Expression, inOrder, pointOf } from './expression.js'

/** What a glob says of one place of a text, in code points. */
type Unit = number | Class

interface Class {
  /** From and to, one range behind the other. */
  readonly ranges: readonly number[]
  readonly isNegated: boolean
}

/** Of none that is excluded. */
const ANY: Class = { ranges: [], isNegated: true }

const BEGIN: Expression = { kind: 'begin' }
const END: Expression = { kind: 'end' }

/** What stands between two stars: plain text, which is fast to find, or places with `?` and classes. */
type Segment = string | readonly Unit[]

/**
 * A glob: `*` stands for any text, also none, and also for what separates parts of a key; `?` for one character; `[a-z]`, `[^a-z]`
 * and `[!a-z]` for one of a class; `\` takes the meaning from the character behind it. All else, and every other case of a letter, stands for itself.
 *
 * Leftmost places for what is between the stars suffice, so nothing is ever tried twice: the cost of a match is the length of
 * the text times that of the longest part with `?` or classes.
 */
export class Glob {
  /** What every match begins and ends with. */
  readonly prefix: string
  readonly suffix: string
  /** Steps of a match for each character of the text, at most. */
  readonly width: number
  readonly #segments: readonly Segment[]
  /** The same in code points, unless all of it is plain text. */
  readonly #parts: readonly (readonly Unit[])[] | undefined
  /** Plain text between the stars. */
  readonly #texts: readonly string[]

  /** @throws PatternError (`TIDEMARK_PATTERN`), with the place */
  constructor(text: string) {
    this.#segments = segmentsOf(text)
    const [first, last] = [this.#segments[0]!, this.#segments.at(-1)!]
    this.prefix = typeof first === 'string' ? first : plainPart(first)
    this.suffix = typeof last === 'string' ? last : plainPart([...last].reverse(), true)
    this.#parts = this.#segments.every((segment) => typeof segment === 'string')
      ? undefined
      : this.#segments.map((segment) =>
          typeof segment === 'string' ? [...segment].map((each) => each.codePointAt(0)!) : segment,
        )
    this.#texts = this.#segments.slice(1, -1).filter((segment) => typeof segment === 'string')
    this.width = this.#segments.reduce((widest, segment) => Math.max(widest, segment.length), 1)
  }

  /** The only text that matches; undefined if there may be others. */
  get only(): string | undefined {
    const [only] = this.#segments
    return this.#segments.length === 1 && typeof only === 'string' ? only : undefined
  }

  /** Every text matches. */
  get isAll(): boolean {
    return this.#segments.length > 1 && this.#segments.every((segment) => segment === '')
  }

  /** What begins with the prefix matches, and nothing else. */
  get isPrefix(): boolean {
    return this.#segments.length === 2 && typeof this.#segments[0] === 'string' && this.#segments[1] === ''
  }

  /** The same, for whoever holds many texts against it; undefined where that would not be quite the same. */
  get expression(): Expression | undefined {
    // Half of a character is found in a whole one where all is plain text.
    if (this.#segments.some((segment) => typeof segment === 'string' && /\p{Surrogate}/u.test(segment)))
      return undefined
    const last = this.#segments.length - 1
    const parts = this.#segments.flatMap((segment, i): Expression[] => {
      // Stars at the ends: it is found anywhere.
      if (segment === '' && last > 0 && (i === 0 || i === last)) return []
      const points =
        typeof segment === 'string'
          ? [...segment].map((each) => pointOf(each.codePointAt(0)!))
          : segment.map(expressionOf)
      return [i === 0 ? BEGIN : ANY_TEXT, ...points, ...(i === last ? [END] : [])]
    })
    return { kind: 'sequence', parts }
  }

  matches(text: string): boolean {
    if (!this.#parts) return matchesPlain(this.#segments as readonly string[], text)
    // Most of what does not match is told by what is plain.
    if (!text.startsWith(this.prefix) || !text.endsWith(this.suffix)) return false
    for (const each of this.#texts) if (!text.includes(each)) return false
    return matchesPoints(this.#parts, readPoints(text))
  }
}

/** The glob that matches this text and no other: for what comes from users. */
export function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\]/g, '\\$&')
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

function segmentsOf(text: string): Segment[] {
  const segments: Segment[] = []
  let units: Unit[] = []
  const end = (): void => {
    segments.push(units.every((unit) => typeof unit === 'number') ? String.fromCodePoint(...units) : units)
    units = []
  }
  let isStar = false
  for (let at = 0; at < text.length; ) {
    const point = text.codePointAt(at)!
    const wasStar = isStar
    isStar = point === STAR
    if (isStar) {
      // Two stars say no more than one.
      if (!wasStar) end()
      at++
    } else if (point === QUESTION) {
      units.push(ANY)
      at++
    } else if (point === OPEN) {
      at = readClass(text, at, units)
    } else {
      const [literal, next] = readPoint(text, at)
      units.push(literal)
      at = next
    }
  }
  end()
  return segments
}

const STAR = 0x2a
const QUESTION = 0x3f
const OPEN = 0x5b
const CLOSE = 0x5d
const BACKSLASH = 0x5c
const DASH = 0x2d

/** A character that stands for itself, escaped or not, and where it ends. */
function readPoint(text: string, at: number): [point: number, next: number] {
  const start = text.charCodeAt(at) === BACKSLASH ? at + 1 : at
  const point = text.codePointAt(start)
  if (point === undefined)
    throw new PatternError(
      `A glob ends with a backslash that takes the meaning from nothing, at ${at}. Write '\\\\' for a backslash itself.`,
      at,
    )
  return [point, start + (point > 0xffff ? 2 : 1)]
}

function readClass(text: string, open: number, units: Unit[]): number {
  let at = open + 1
  const isNegated = text[at] === '^' || text[at] === '!'
  if (isNegated) at++
  const ranges: number[] = []
  while (text.charCodeAt(at) !== CLOSE) {
    if (at >= text.length)
      throw new PatternError(
        `A class of a glob begins at ${open} and does not end. Write '\\[' for a bracket itself.`,
        open,
      )
    const [from, next] = readPoint(text, at)
    let to = from
    let end = next
    if (text.charCodeAt(next) === DASH && next + 1 < text.length && text.charCodeAt(next + 1) !== CLOSE)
      [to, end] = readPoint(text, next + 1)
    if (to < from)
      throw new PatternError(
        `A range of a glob's class ends before it begins, at ${at}. Put the lower character first.`,
        at,
      )
    ranges.push(from, to)
    at = end
  }
  if (ranges.length === 0)
    throw new PatternError(`A class of a glob at ${open} is empty. Write '\\[\\]' for two brackets themselves.`, open)
  const isOne = !isNegated && ranges.length === 2 && ranges[0] === ranges[1]
  units.push(isOne ? ranges[0]! : { ranges, isNegated })
  return at + 1
}

function expressionOf(unit: Unit): Expression {
  if (typeof unit === 'number') return pointOf(unit)
  if (unit === ANY) return ANY_POINT
  const ranges = inOrder(unit.ranges)
  return { kind: 'point', ranges: unit.isNegated ? allBut(ranges) : ranges }
}

/** The characters before the first that may be several. */
function plainPart(units: readonly Unit[], isReversed = false): string {
  const first = units.findIndex((unit) => typeof unit !== 'number')
  const points = units.slice(0, first) as number[]
  return String.fromCodePoint(...(isReversed ? points.reverse() : points))
}

// ── matching ─────────────────────────────────────────────────────────────────────────────────────────────

function matchesPlain(segments: readonly string[], text: string): boolean {
  const first = segments[0]!
  if (segments.length === 1) return text === first
  const last = segments.at(-1)!
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let at = first.length
  for (let i = 1; i < segments.length - 1; i++) {
    const found = text.indexOf(segments[i]!, at)
    at = found + segments[i]!.length
    if (found < 0 || at > end) return false
  }
  return true
}

/** @param count  how many there are of the points that were read last */
function matchesPoints(parts: readonly (readonly Unit[])[], count: number): boolean {
  const first = parts[0]!
  if (parts.length === 1) return count === first.length && isAt(first, 0)
  const last = parts[parts.length - 1]!
  const end = count - last.length
  if (end < first.length || !isAt(first, 0) || !isAt(last, end)) return false
  let at = first.length
  for (let i = 1; i < parts.length - 1; i++) {
    const part = parts[i]!
    while (at + part.length <= end && !isAt(part, at)) at++
    at += part.length
    if (at > end) return false
  }
  return true
}

function isAt(units: readonly Unit[], at: number): boolean {
  for (let i = 0; i < units.length; i++) {
    const unit = units[i]!
    const point = points[at + i]!
    if (typeof unit === 'number' ? unit !== point : !isOf(unit, point)) return false
  }
  return true
}

function isOf({ ranges, isNegated }: Class, point: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) if (point >= ranges[i]! && point <= ranges[i + 1]!) return !isNegated
  return isNegated
}

/** The text that is looked at, in code points: one list for all, as a million keys are read in a row. */
let points = new Uint32Array(1_024)

/** Returns how many there are. */
function readPoints(text: string): number {
  if (points.length < text.length) points = new Uint32Array(2 * text.length)
  let count = 0
  for (let at = 0; at < text.length; at++) {
    let point = text.charCodeAt(at)
    if (point >= 0xd800 && point < 0xdc00) {
      point = text.codePointAt(at)!
      if (point > 0xffff) at++
    }
    points[count++] = point
  }
  return count
}
