const NAMES: ReadonlyMap<string, string> = new Map([
  ['nan', 'NaN'],
  ['infinity', 'Infinity'],
  ['+infinity', 'Infinity'],
  ['-infinity', '-Infinity'],
  ['inf', 'Infinity'],
  ['+inf', 'Infinity'],
  ['-inf', '-Infinity'],
])
const NUMBER = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]{1,3}))?$/i
const DIGITS_MAX = 2_000

/** A number of any precision without an exponent or needless zeros. Other spellings (hexadecimal, underscores) are not taken. */
export function decimalText(text: string): string | undefined {
  const bare = text.trim()
  const parts = NUMBER.exec(bare)
  if (!parts || !/[0-9]/.test(bare.split(/e/i)[0]!)) return NAMES.get(bare.toLowerCase())
  const [, sign, whole = '', fraction = '', exponent = '0'] = parts
  if (bare.length > DIGITS_MAX) return undefined
  const point = whole.length + Number(exponent)
  const digits = (whole + fraction).padEnd(point, '0').padStart((whole + fraction).length - Math.min(0, point), '0')
  const integer = digits.slice(0, Math.max(0, point)).replace(/^0+/, '') || '0'
  const rest = digits.slice(Math.max(0, point)).replace(/0+$/, '')
  const isZero = integer === '0' && rest === ''
  return `${sign === '-' && !isZero ? '-' : ''}${integer}${rest === '' ? '' : `.${rest}`}`
}

export function float8Text(text: string): string | undefined {
  const number = floatOf(text)
  return typeof number === 'number' ? String(number + 0) : number
}

/** The shortest text that is read as the float4 that the server reads. */
export function float4Text(text: string): string | undefined {
  const number = floatOf(text)
  if (typeof number !== 'number') return number
  const float = Math.fround(number)
  // In the middle between two: what the text says beyond a float8 would decide.
  const isBetween = Math.fround(number * (1 + Number.EPSILON)) !== Math.fround(number * (1 - Number.EPSILON))
  if (!Number.isFinite(float) || (isBetween && float !== number)) return undefined
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(float.toPrecision(digits))
    if (Math.fround(short) === float) return String(short + 0)
  }
  return String(Number(float.toPrecision(9)) + 0)
}

/** A number, or the text of one that is none. The server refuses numbers that are too large, or too small to be told from zero. */
function floatOf(text: string): number | string | undefined {
  const bare = text.trim()
  const name = NAMES.get(bare.toLowerCase())
  if (name) return name
  if (!NUMBER.test(bare) || !/[0-9]/.test(bare.split(/e/i)[0]!)) return undefined
  const number = Number(bare)
  return Number.isFinite(number) ? number : undefined
}
