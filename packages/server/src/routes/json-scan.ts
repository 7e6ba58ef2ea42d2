/** What a look over the bytes of a JSON body tells, before anything is made of them. */
export interface Scan {
  /** It nests deeper than allowed. */
  readonly isTooDeep: boolean
  /** The member of the body's object that is a longer list than allowed. */
  readonly tooLong: string | undefined
  /** Whether a number may be beyond those of JavaScript: it has a positive exponent, or so many digits. */
  readonly mayBeInfinite: boolean
}

export interface ScanLimits {
  readonly depthMax: number
  /** Items of a list that is a member of the body's object, but for one under a name in `free`. */
  readonly listMax: number
  readonly free: string
}

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
/** No finite number has more digits before its point. */
const DIGITS_MAX = 308

/**
 * Looks once over a body in UTF-8, and no further than where it is refused: a million brackets cost what a million bytes do. Whether it
 * is JSON is for the parser to say; of what is none, anything may be told.
 */
export function scanJson(body: Uint8Array, { depthMax, listMax, free }: ScanLimits): Scan {
  let [depth, items, digits] = [0, 0, 0]
  let mayBeInfinite = false
  /** The last text of the body's object itself: in front of a list, its name. */
  let [from, to] = [0, 0]
  let isObject = false
  let isCounted = false
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!
    if (byte >= ZERO && byte <= NINE) {
      if (++digits > DIGITS_MAX) mayBeInfinite = true
      continue
    }
    if (digits > 0) {
      digits = 0
      // E or e
      if ((byte | 0x20) === 0x65 && body[at + 1] !== MINUS) mayBeInfinite = true
    }
    if (byte === QUOTE) {
      const start = at + 1
      for (at = start; at < body.length && body[at] !== QUOTE; at++) if (body[at] === BACKSLASH) at++
      if (depth === 1) [from, to] = [start, at]
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > depthMax) return { isTooDeep: true, tooLong: undefined, mayBeInfinite }
      if (depth === 1) isObject = byte === OPEN_OBJECT
      else if (depth === 2) {
        isCounted = isObject && byte === OPEN_LIST && isOther(body, from, to, free)
        items = 0
      }
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      depth--
    } else if (byte === COMMA && depth === 2 && isCounted && ++items >= listMax) {
      return { isTooDeep: false, tooLong: textOf(body, from, to), mayBeInfinite }
    }
  }
  return { isTooDeep: false, tooLong: undefined, mayBeInfinite }
}

/** Whether the text is another than `free`, however that is written. */
function isOther(body: Uint8Array, from: number, to: number, free: string): boolean {
  const text = textOf(body, from, to)
  return text !== free && !text.includes('\\')
}

function textOf(body: Uint8Array, from: number, to: number): string {
  return Buffer.from(body.buffer, body.byteOffset + from, Math.min(to - from, 100)).toString()
}
