import type { Column } from './catalogue.js'

/*
 * Values as the log writes them. A dependency and a change are compared as text, so for every column that is taken here one
 * value must have one text only: `=` holds if and only if the texts are equal. Types for which that is not so (floats, timestamps
 * under a time zone, numeric without a scale, json, …) are not taken, and neither is a value whose text is not certain.
 */

export const BOOL = 16
export const INT8 = 20
export const INT2 = 21
export const INT4 = 23
export const TEXT = 25
export const OID = 26
export const BPCHAR = 1042
export const VARCHAR = 1043
export const DATE = 1082
export const NUMERIC = 1700
export const UUID = 2950

export const INTEGERS: ReadonlySet<number> = new Set([INT2, INT4, INT8])
const STRINGS: ReadonlySet<number> = new Set([TEXT, VARCHAR])
const OTHERS: ReadonlySet<number> = new Set([BOOL, OID, BPCHAR, DATE, NUMERIC, UUID])

/** Types of arrays of the types above, and of their elements. */
const ELEMENTS: ReadonlyMap<number, number> = new Map([
  [1000, BOOL],
  [1005, INT2],
  [1007, INT4],
  [1009, TEXT],
  [1014, BPCHAR],
  [1015, VARCHAR],
  [1016, INT8],
  [1028, OID],
  [1182, DATE],
  [1231, NUMERIC],
  [2951, UUID],
])

/** Why no value of this column can be compared with the log's text, or undefined if it can. */
export function incomparable(column: Column): 'generated' | 'operator' | 'collation' | 'type' | undefined {
  // The log does not carry generated columns.
  if (column.isGenerated) return 'generated'
  if (column.hasOwnEquality) return 'operator'
  if (!column.isDeterministic) return 'collation'
  const isTaken =
    column.kind === 'e' || INTEGERS.has(column.type) || STRINGS.has(column.type) || OTHERS.has(column.type)
  if (!isTaken || scaleOf(column) === 'none' || lengthOf(column) === 'none') return 'type'
  return undefined
}

/** Says whether two columns that are equal have one text for one value, so that what bounds the one bounds the other. */
export function areAlike(left: Column, right: Column): boolean {
  if (incomparable(left) || incomparable(right) || left.collation !== right.collation) return false
  return left.type === right.type || isPair(INTEGERS, left.type, right.type) || isPair(STRINGS, left.type, right.type)
}

/**
 * Says whether `column = value` compares by the column's own equality, where the value is of `type` (0: a constant without
 * one, which takes the column's) and was perhaps cast to `cast`.
 */
export function fits(column: Column, type: number, cast: number | undefined): boolean {
  if (cast !== undefined && cast !== type && type !== 0 && !STRINGS.has(type) && !isPair(INTEGERS, cast, type))
    return false
  const compared = cast ?? type
  if (compared === 0 || compared === column.type) return true
  if (INTEGERS.has(column.type)) return INTEGERS.has(compared) || compared === NUMERIC
  if (column.type === NUMERIC) return INTEGERS.has(compared)
  return STRINGS.has(compared) && (STRINGS.has(column.type) || column.type === BPCHAR)
}

/** Like `fits`, for the elements of an array. */
export function elementsFit(column: Column, type: number, cast: number | undefined): boolean {
  if (type === column.arrayType && (cast === undefined || cast === column.type)) return true
  const element = ELEMENTS.get(type)
  // A text that is cast to an array is not taken apart here.
  return element !== undefined && fits(column, element, cast)
}

/**
 * The text that the log has where `column` equals `text`; or undefined if that can't be told from the text. If no value of the
 * column can equal it, any text that none has will do.
 */
export function canonical(column: Column, text: string): string | undefined {
  if (column.kind === 'e') return text
  switch (column.type) {
    case BOOL:
      return BOOLEANS.get(text)
    case INT2:
    case INT4:
    case INT8:
      return /^\s*[+-]?[0-9]{1,40}\s*$/.test(text) ? String(BigInt(text.trim().replace(/^\+/, ''))) : undefined
    case OID:
      // Negative ones are taken for large ones.
      return /^[0-9]{1,10}$/.test(text) ? String(Number(text)) : undefined
    case TEXT:
    case VARCHAR:
      return text.toWellFormed()
    case BPCHAR:
      return padded(text.toWellFormed(), lengthOf(column))
    case UUID:
      return UUID_TEXT.test(text) ? text.toLowerCase() : undefined
    case DATE:
      return DATE_TEXT.test(text) && isDay(text) ? text : undefined
    case NUMERIC:
      return scaled(text, scaleOf(column))
    default:
      return undefined
  }
}

/**
 * A value of the answer as the log writes it, if that can be told: from PostgreSQL's own text (`raw`), or from what the
 * driver made of it.
 */
export function stored(column: Column, value: unknown): string | undefined {
  const text = wireText(value)
  if (typeof text !== 'string') return undefined
  // What a parser rounded is not what is stored.
  if (typeof value === 'number' && !(Number.isSafeInteger(value) && (INTEGERS.has(column.type) || column.type === OID)))
    return undefined
  const reason = incomparable(column)
  if (reason === 'collation') return text
  return reason === undefined ? canonical(column, text) : undefined
}

/** What the driver sends for a value: text, null, or undefined where it is not taken (objects, dates with a time, bytes). */
export function wireText(value: unknown): string | null | undefined {
  if (value === null || value === undefined) return null
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    default:
      return undefined
  }
}

const BOOLEANS: ReadonlyMap<string, string> = new Map([
  ['t', 't'],
  ['true', 't'],
  ['f', 'f'],
  ['false', 'f'],
])
const UUID_TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const DATE_TEXT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/

function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`)
  return !text.startsWith('0000') && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text)
}

/** char(n) is stored with blanks up to its length; blanks at the end count in no comparison. */
function padded(text: string, length: number | 'none'): string | undefined {
  if (length === 'none') return undefined
  const bare = text.replace(/ +$/, '')
  return bare + ' '.repeat(Math.max(0, length - [...bare].length))
}

/** numeric(p, s) is written with all s digits. More digits than that: no stored value is equal. */
function scaled(text: string, scale: number | 'none'): string | undefined {
  const parts = /^\s*([+-]?)0*([0-9]+?)(?:\.([0-9]*))?\s*$/.exec(text)
  if (!parts || scale === 'none') return undefined
  const fraction = (parts[3] ?? '').replace(/0+$/, '').padEnd(scale, '0')
  const isZero = /^0*$/.test(parts[2]! + fraction)
  return `${parts[1] === '-' && !isZero ? '-' : ''}${parts[2]}${fraction === '' ? '' : `.${fraction}`}`
}

/** Characters of char(n). */
function lengthOf({ type, modifier }: Column): number | 'none' {
  if (type !== BPCHAR) return 0
  return modifier < 4 ? 'none' : modifier - 4
}

/** Digits after the point of numeric(p, s); PostgreSQL 15 and later also know negative ones, which are not taken. */
function scaleOf({ type, modifier }: Column): number | 'none' {
  if (type !== NUMERIC) return 0
  if (modifier < 4) return 'none'
  const scale = (modifier - 4) & 0x7ff
  return scale > 1000 ? 'none' : scale
}

function isPair(types: ReadonlySet<number>, left: number, right: number): boolean {
  return types.has(left) && types.has(right)
}
