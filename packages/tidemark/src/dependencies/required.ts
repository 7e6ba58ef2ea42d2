import type { Expression } from './expression.js'

/** A shorter one is in most keys. */
const LENGTH_MIN = 2
/** Looked for in vain so much more often than not, it is left; and tried again at one text of so many. */
const DOUBT = 32

/** A text that is in all texts in which a pattern is found: to look for it costs less than to look for the pattern, which matters where it is rare. */
export class Required {
  readonly #text: string
  /** How often it was missing, less how often it was there; at most `DOUBT` of either. */
  #worth = 0
  #passed = 0

  private constructor(text: string) {
    this.#text = text
  }

  /** Undefined if there is none, or none that is worth while. */
  static of(expression: Expression): Required | undefined {
    const text = requiredBy(expression)
    return text.length < LENGTH_MIN ? undefined : new Required(text)
  }

  /** Whether the pattern is certainly not found in a text. */
  isMissingIn(text: string): boolean {
    if (this.#worth <= -DOUBT && ++this.#passed % DOUBT !== 0) return false
    const isMissing = !text.includes(this.#text)
    if (isMissing) this.#worth = Math.min(DOUBT, this.#worth + 1)
    else this.#worth = Math.max(-DOUBT, this.#worth - 1)
    return isMissing
  }
}

/** The longest text that each match holds in one piece; '' if that is not known. */
export function requiredBy(expression: Expression): string {
  let [longest, piece] = ['', '']
  const end = (next: string): void => {
    if (piece.length > longest.length) longest = piece
    piece = next
  }
  for (const part of partsOf(expression)) {
    const plain = plainOf(part)
    if (plain !== undefined) {
      piece += plain
      continue
    }
    end(part.kind === 'repeat' && part.min > 0 ? requiredBy(part.part) : '')
    end('')
  }
  end('')
  return longest
}

/** What each text begins with in which the pattern is found; '' if that is not known. */
export function prefixOf(expression: Expression): string {
  const [first, ...parts] = partsOf(expression)
  if (first?.kind !== 'begin') return ''
  let prefix = ''
  for (const part of parts) {
    const plain = plainOf(part)
    if (plain === undefined) break
    prefix += plain
  }
  return prefix
}

function* partsOf(expression: Expression): Generator<Expression> {
  if (expression.kind !== 'sequence') yield expression
  else for (const part of expression.parts) yield* partsOf(part)
}

/** What it stands for, if that is one text. */
function plainOf(part: Expression): string | undefined {
  if (part.kind === 'begin' || part.kind === 'end') return ''
  if (part.kind !== 'point' || part.ranges.length !== 2 || part.ranges[0] !== part.ranges[1]) return undefined
  return String.fromCodePoint(part.ranges[0]!)
}
