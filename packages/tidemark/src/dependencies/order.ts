/**
 * How the text of a column in the log is compared, so that keys are equal, and ordered, as PostgreSQL's `=` and `<` say.
 *
 * `text`: the text itself, ordered by code point (collation C, and prefixes). `number`: integers, and numeric of any scale.
 * `float`: float4 and float8. `moment`: date, timestamp and timestamptz, in ISO style and UTC. `padded`: char(n), whose blanks at the
 * end do not count. `folded`: citext; it takes more for equal than PostgreSQL does under any locale, never less, and has no order.
 */
export type Order = 'text' | 'number' | 'float' | 'moment' | 'padded' | 'folded'

/** Two texts have the same key (`===`) if and only if they are equal under the order. A key's own text has that key again. */
export type Key = string | number

/** The key of a text, or undefined if the text is not one that PostgreSQL writes for such a value: then nothing is known of it. */
export function keyOf(order: Order, text: string): Key | undefined {
  switch (order) {
    case 'text':
      return text
    case 'number':
      return numberKey(text)
    case 'float':
      return floatKey(text)
    case 'moment':
      return momentKey(text)
    case 'padded':
      return text.endsWith(' ') ? text.replace(/ +$/, '') : text
    case 'folded':
      return foldedKey(text)
    default:
      return order satisfies never
  }
}

/** Less than, equal to or greater than zero, as `a` comes before `b`, equals it, or comes after it. */
export function compareKeys(order: Order, a: Key, b: Key): number {
  if (a === b) return 0
  if (typeof a === 'number' && typeof b === 'number') return a < b ? -1 : 1
  switch (order) {
    case 'number':
      return compareNumbers(a, b)
    case 'float':
      // The one key that is no number is that of NaN, which PostgreSQL puts after all others.
      return typeof a === 'string' ? 1 : -1
    default:
      return compareTexts(String(a), String(b))
  }
}

/**
 * The least text, by code point, that comes after all that begin with `prefix`; undefined if there is none. So `like 'prefix%'` is the
 * range from the prefix (included) to this (not included) in the order `text`.
 */
export function afterPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0)!)
  while (points.length > 0) {
    const last = points.pop()!
    // Surrogates are no characters.
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
  }
  return undefined
}

/** So many digits a double holds exactly; and with so few behind the point it is written without an exponent. */
const DIGITS_MAX = 15
const FRACTION_MAX = 6

function numberKey(text: string): Key | undefined {
  if (text.length <= DIGITS_MAX && /^-?[0-9]+$/.test(text)) return Number(text) + 0
  if (text === 'NaN') return text
  if (text === 'Infinity') return Number.POSITIVE_INFINITY
  if (text === '-Infinity') return Number.NEGATIVE_INFINITY
  const parts = /^([+-]?)0*([0-9]*)(?:\.([0-9]*?)0*)?$/.exec(text)
  if (!parts || !/[0-9]/.test(text)) return undefined
  const [, sign, whole = '', fraction = ''] = parts
  if (whole === '' && fraction === '') return 0
  const key = `${sign === '-' ? '-' : ''}${whole || '0'}${fraction === '' ? '' : `.${fraction}`}`
  const fits = whole.length + fraction.length <= DIGITS_MAX && fraction.length <= FRACTION_MAX
  return fits ? Number(key) : key
}

/** At least one of the two is a text. */
function compareNumbers(a: Key, b: Key): number {
  if (a === 'NaN') return 1
  if (b === 'NaN') return -1
  if (typeof a === 'number' && !Number.isFinite(a)) return a < 0 ? -1 : 1
  if (typeof b === 'number' && !Number.isFinite(b)) return b < 0 ? 1 : -1
  const [left, right] = [String(a), String(b)]
  const [isLeftNegative, isRightNegative] = [left.startsWith('-'), right.startsWith('-')]
  if (isLeftNegative !== isRightNegative) return isLeftNegative ? -1 : 1
  return isLeftNegative ? compareMagnitudes(right.slice(1), left.slice(1)) : compareMagnitudes(left, right)
}

/** Of decimals without needless zeros. */
function compareMagnitudes(a: string, b: string): number {
  const [left, right] = [wholeDigits(a), wholeDigits(b)]
  if (left !== right) return left - right
  // As long before the point, they compare as texts do: a fraction goes on where the other ends.
  return a < b ? -1 : a > b ? 1 : 0
}

function wholeDigits(text: string): number {
  const point = text.indexOf('.')
  return point < 0 ? text.length : point
}

function floatKey(text: string): Key | undefined {
  if (text === 'NaN') return text
  if (!/^[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)$/i.test(text)) return undefined
  const number = Number(text)
  return Number.isNaN(number) ? undefined : number + 0
}

const MOMENT = /^([0-9]{4,7})(-[0-9]{2}-[0-9]{2})( [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)?(?:\+00)?( BC)?$/

/**
 * ISO texts sort by themselves from the year 1 to 9999, which is what there is, but for an offset. Others get a first character that
 * puts them before or after: `!` -infinity, `-` years before Christ, counted backwards, `:` years of five digits and more, `~` infinity.
 */
function momentKey(text: string): Key | undefined {
  const parts = MOMENT.exec(text)
  if (!parts) return otherMoment(text)
  const [, year = '', day = '', time = '', isBefore] = parts
  const rest = day + (time.includes('.') ? time.replace(/\.?0+$/, '') : time)
  if (isBefore) return `-${String(9_999_999 - Number(year))}${rest}`
  return year.length === 4 ? year + rest : `:${year.padStart(7, '0')}${rest}`
}

function otherMoment(text: string): Key | undefined {
  if (text === 'infinity') return '~'
  if (text === '-infinity') return '!'
  // A key has itself.
  return /^(?:[!~]|[-:][0-9]{7}-[0-9]{2}-[0-9]{2}(?: [0-9:.]+)?)$/.test(text) ? text : undefined
}

/**
 * Folds so far that no lower-casing tells two texts apart that this one takes for equal: `İ` is `i` under some locales and `i` with a
 * dot above under others, Lithuanian puts that dot under accents; `ı` is the small letter of `I` in Turkish. What Unicode pairs it pairs for ever (its stability policy), but
 * for characters that came after the tables of this process: nothing is known of them.
 */
function foldedKey(text: string): Key | undefined {
  // Most texts are ASCII.
  if (!/[^ -~]/.test(text)) return text.toUpperCase()
  if (/\p{Cn}/u.test(text)) return undefined
  return text.normalize('NFD').toLowerCase().toUpperCase().normalize('NFD').replaceAll('\u0307', '')
}

/** By code point, as the collation C does in UTF-8. Units of UTF-16 differ where surrogates meet what lies above them. */
function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (left === right) continue
    if (left >= 0xd800 && right >= 0xd800) return byPoint(left) - byPoint(right)
    return left - right
  }
  return a.length - b.length
}

/** Puts surrogates, which stand for all above U+FFFF, behind the rest. */
function byPoint(unit: number): number {
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
