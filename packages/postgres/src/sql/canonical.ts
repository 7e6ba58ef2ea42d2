import { keyOf, type Order } from 'tidemark'
import { arrayText } from './array-text.js'
import type { Column } from './catalogue.js'
import { dateText, parameterDateText, timestampText, timestamptzText, timeText } from './moment-text.js'
import { decimalText, float4Text, float8Text } from './number-text.js'

/*
 * Values as the log writes them. A dependency and a change are compared by the keys of their texts (`keyOf`), under an order that
 * depends on the column's type: two keys are the same if and only if `=` holds. Types for which there is no such key (interval, json,
 * jsonb, money, ranges, …) are not taken, and neither is a value whose text is not certain.
 */

export const BOOL = 16
const BYTEA = 17
const NAME = 19
export const INT8 = 20
export const INT2 = 21
export const INT4 = 23
export const TEXT = 25
export const OID = 26
const CIDR = 650
export const FLOAT4 = 700
export const FLOAT8 = 701
const MACADDR8 = 774
const MACADDR = 829
const INET = 869
export const BPCHAR = 1042
export const VARCHAR = 1043
export const DATE = 1082
const TIME = 1083
export const TIMESTAMP = 1114
export const TIMESTAMPTZ = 1184
const BIT = 1560
const VARBIT = 1562
export const NUMERIC = 1700
export const UUID = 2950

export const INTEGERS: ReadonlySet<number> = new Set([INT2, INT4, INT8])
const STRINGS: ReadonlySet<number> = new Set([TEXT, VARCHAR])
/** Compared exactly, whichever of them stands on either side. */
const EXACT: ReadonlySet<number> = new Set([...INTEGERS, NUMERIC])

/** How the values of a type are told to be equal, and how `<` orders them; without the second, no text tells that. */
type Comparison = readonly [equality: Order, order?: Order]

const COMPARISONS: ReadonlyMap<number, Comparison> = new Map([
  [BOOL, ['text', 'text']],
  [BYTEA, ['text', 'text']],
  [NAME, ['text']],
  [INT8, ['text', 'number']],
  [INT2, ['text', 'number']],
  [INT4, ['text', 'number']],
  [TEXT, ['text', 'text']],
  [OID, ['text', 'number']],
  [CIDR, ['text']],
  [FLOAT4, ['float', 'float']],
  [FLOAT8, ['float', 'float']],
  [MACADDR8, ['text']],
  [MACADDR, ['text']],
  [INET, ['text']],
  [BPCHAR, ['padded', 'padded']],
  [VARCHAR, ['text', 'text']],
  [DATE, ['moment', 'moment']],
  [TIME, ['text', 'text']],
  [TIMESTAMP, ['moment', 'moment']],
  [TIMESTAMPTZ, ['moment', 'moment']],
  [BIT, ['text']],
  [VARBIT, ['text']],
  [NUMERIC, ['number', 'number']],
  [UUID, ['text', 'text']],
])

/** Types of arrays of types above, and of their elements. */
export const ELEMENTS: ReadonlyMap<number, number> = new Map([
  [1000, BOOL],
  [1005, INT2],
  [1007, INT4],
  [1009, TEXT],
  [1014, BPCHAR],
  [1015, VARCHAR],
  [1016, INT8],
  [1021, FLOAT4],
  [1022, FLOAT8],
  [1028, OID],
  [1115, TIMESTAMP],
  [1182, DATE],
  [1185, TIMESTAMPTZ],
  [1231, NUMERIC],
  [2951, UUID],
])

/** Elements that have one text for a value: then an array of them has one too, and a column of arrays can be compared. */
const PLAIN_ELEMENTS: ReadonlySet<number> = new Set([BOOL, INT2, INT4, INT8, OID, TEXT, VARCHAR, UUID])

/** Why no value of this column can be compared with the log's text, or undefined if it can. */
export function incomparable(column: Column): 'generated' | 'operator' | 'collation' | 'type' | undefined {
  // The log does not carry generated columns.
  if (column.isGenerated) return 'generated'
  if (column.hasOwnEquality) return 'operator'
  if (!column.isDeterministic) return 'collation'
  return comparisonOf(column) ? undefined : 'type'
}

/**
 * The order under whose keys values of the column are equal as `=` says; undefined if it is `incomparable`. Only `folded` may take
 * values for equal that are not: it bounds what must be equal, never what must differ.
 */
export function equalityOf(column: Column): Order | undefined {
  return incomparable(column) ? undefined : comparisonOf(column)?.[0]
}

/** The order of `<`, `<=`, `>` and `>=` on the column; undefined if the texts do not tell it (a language's collation, enum, inet, …). */
export function orderOf(column: Column): Order | undefined {
  if (incomparable(column) || column.hasOwnOrder) return undefined
  const isText = STRINGS.has(column.type) || column.type === BPCHAR
  return isText && !column.isBytewise ? undefined : comparisonOf(column)?.[1]
}

/** Whether `<` goes by a place in a list that is known: an enum's. */
export function isRanked(column: Column): boolean {
  return column.labels !== null && !incomparable(column) && !column.hasOwnOrder
}

function comparisonOf(column: Column): Comparison | undefined {
  if (column.kind === 'e') return ['text']
  if (column.isFolded) return ['folded']
  const element = ELEMENTS.get(column.type)
  if (element !== undefined && PLAIN_ELEMENTS.has(element)) return ['text']
  return COMPARISONS.get(column.type)
}

/** Says whether `=` between two columns compares as each does by itself, so that what bounds the one bounds the other. */
export function areAlike(left: Column, right: Column): boolean {
  if (incomparable(left) || incomparable(right) || left.collation !== right.collation) return false
  return left.type === right.type || isPair(EXACT, left.type, right.type) || isPair(STRINGS, left.type, right.type)
}

/**
 * Says whether `column = value` compares by the column's own equality (and `<` by its order), where the value is of `type` (0: a
 * constant without one, which takes the column's) and was perhaps cast to `cast`.
 */
export function fits(column: Column, type: number, cast: number | undefined): boolean {
  if (cast !== undefined && cast !== type && type !== 0 && !STRINGS.has(type) && !isPair(INTEGERS, cast, type))
    return false
  const compared = cast ?? type
  if (compared === 0 || compared === column.type) return true
  switch (column.type) {
    case INT2:
    case INT4:
    case INT8:
    case NUMERIC:
      return EXACT.has(compared)
    case FLOAT8:
      // Rounded to a float8, as a number in JavaScript is. (float4 is widened, which its text does not show.)
      return EXACT.has(compared)
    case TIMESTAMP:
      return compared === DATE
    case TEXT:
    case VARCHAR:
      return STRINGS.has(compared)
    default:
      return column.isFolded && STRINGS.has(compared)
  }
}

/** Like `fits`, for the elements of an array. */
export function elementsFit(column: Column, type: number, cast: number | undefined): boolean {
  if (type === column.arrayType && (cast === undefined || cast === column.type)) return true
  const element = ELEMENTS.get(type)
  // A text that is cast to an array is not taken apart here.
  return element !== undefined && fits(column, element, cast)
}

/**
 * The text that has the key (under `equalityOf`, and under `orderOf`) of what `text` is as a value of the column; or undefined if that
 * can't be told from the text.
 */
export function canonical(column: Column, text: string): string | undefined {
  if (column.kind === 'e') return text
  const own = column.isFolded ? text.toWellFormed() : plainText(column.type, text)
  const order = own === undefined ? undefined : comparisonOf(column)?.[0]
  return order && keyOf(order, own!) !== undefined ? own : undefined
}

/** A parameter's value as `canonical` has it; null for NULL, undefined if it can't be told. */
export function told(column: Column, value: unknown): string | null | undefined {
  if (Array.isArray(value)) {
    const element = ELEMENTS.get(column.type)
    if (element === undefined || !PLAIN_ELEMENTS.has(element)) return undefined
    return arrayText(value, (each) => {
      const text = wireText(each)
      return typeof text === 'string' ? plainText(element, text) : text
    })
  }
  // The driver sends bytes as they are, whatever the parameter's type.
  if (ArrayBuffer.isView(value)) {
    if (column.type !== BYTEA) return undefined
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  }
  const text = wireText(value)
  return typeof text === 'string' ? canonical(column, text) : text
}

function plainText(type: number, text: string): string | undefined {
  switch (type) {
    case BOOL:
      return BOOLEANS.get(text)
    case INT2:
    case INT4:
    case INT8:
    case NUMERIC:
      // Also of integers: one with a fraction equals none, and lies between two.
      return decimalText(text)
    case OID:
      // Negative ones are taken for large ones.
      return /^[0-9]{1,10}$/.test(text) ? String(Number(text)) : undefined
    case FLOAT4:
      return float4Text(text)
    case FLOAT8:
      return float8Text(text)
    case TEXT:
    case VARCHAR:
    case BPCHAR:
      return text.toWellFormed()
    case NAME:
      // Longer ones are cut.
      return Buffer.byteLength(text) < 64 ? text.toWellFormed() : undefined
    case UUID:
      return UUID_TEXT.test(text) ? text.toLowerCase() : undefined
    case BYTEA:
      return /^\\x(?:[0-9a-f]{2})*$/i.test(text) ? text.toLowerCase() : undefined
    case DATE:
      return dateText(text)
    case TIME:
      return timeText(text)
    case TIMESTAMP:
      return timestampText(text)
    case TIMESTAMPTZ:
      return timestamptzText(text)
    case MACADDR:
      return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text) ? text.toLowerCase() : undefined
    case MACADDR8:
      return /^(?:[0-9a-f]{2}:){7}[0-9a-f]{2}$/i.test(text) ? text.toLowerCase() : undefined
    case INET:
      return isAddress(text) ? text.replace(/\/32$/, '') : undefined
    case CIDR:
      return isAddress(text) && text.includes('/') ? text : undefined
    case BIT:
    case VARBIT:
      return /^[01]*$/.test(text) ? text : undefined
    default: {
      // An array in braces, without anything that would need quotes.
      const element = ELEMENTS.get(type)
      if (element === undefined || !/^\{(?:[\w-]+(?:,[\w-]+)*)?\}$/.test(text) || /\bnull\b/i.test(text))
        return undefined
      const parts = text === '{}' ? [] : text.slice(1, -1).split(',')
      return arrayText(parts, (each) => plainText(element, String(each)))
    }
  }
}

/**
 * A value of the answer as `canonical` has it, if that can be told: from PostgreSQL's own text (`raw`), or from what the driver made
 * of it.
 */
export function stored(column: Column, value: unknown): string | undefined {
  // What a parser rounded, or read in the zone of this process, is not what is stored; a session may write fewer digits.
  if (typeof value === 'object' || column.type === FLOAT4 || column.type === FLOAT8) return undefined
  if (typeof value === 'number' && !(Number.isSafeInteger(value) && (INTEGERS.has(column.type) || column.type === OID)))
    return undefined
  const text = wireText(value)
  if (typeof text !== 'string') return undefined
  const reason = incomparable(column)
  if (reason === 'collation') return text
  return reason === undefined ? canonical(column, text) : undefined
}

/** What the driver sends for a value: text, null, or undefined where it is not taken (objects, bytes, arrays). */
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
      return value instanceof Date ? parameterDateText(value) : undefined
  }
}

const BOOLEANS: ReadonlyMap<string, string> = new Map([
  ['t', 't'],
  ['true', 't'],
  ['f', 'f'],
  ['false', 'f'],
])
const UUID_TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** An IPv4 address as PostgreSQL writes it, perhaps with a length. Those of IPv6 have many texts. */
function isAddress(text: string): boolean {
  const parts = /^([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)(?:\/([0-9]+))?$/.exec(text)
  if (!parts) return false
  const [length = '32', ...bytes] = [parts[5], ...parts.slice(1, 5)]
  const isPlain = (number: string | undefined, max: number) =>
    String(Number(number)) === number && Number(number) <= max
  return isPlain(length, 32) && bytes.every((byte) => isPlain(byte, 255))
}

function isPair(types: ReadonlySet<number>, left: number, right: number): boolean {
  return types.has(left) && types.has(right)
}
