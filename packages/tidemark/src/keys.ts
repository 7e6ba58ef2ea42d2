import { KeyError } from './errors.js'
import type { SlotKey } from './tiers/space.js'

/** Marks slot keys that are the text of several arguments, so that no single string argument can equal one. */
const TEXT = '\u0000'
const DEPTH_MAX = 32
const LENGTH_MAX = 65_536

/**
 * The slot key of a definition's arguments. One primitive is its own key (no text is built on a hit); anything else becomes
 * text that keeps each argument's type: `1` and `"1"`, `1` and `1n` differ.
 *
 * @throws KeyError (`TIDEMARK_KEY`) for a function, symbol, class instance, NaN, invalid Date, cycle, or more than 64 Ki characters.
 */
export function slotKey(args: readonly unknown[]): SlotKey {
  // Trailing undefined is the same call as leaving the argument out.
  let length = args.length
  while (length > 1 && args[length - 1] === undefined) length--
  if (length === 1) {
    const only = args[0]
    switch (typeof only) {
      case 'number':
        if (Number.isNaN(only)) throw new KeyError('A key cannot hold NaN. Check the argument before the call.')
        return only === 0 ? 0 : only
      case 'string':
        if (only.length <= LENGTH_MAX && only.charCodeAt(0) !== 0) return only
        break
      case 'bigint':
      case 'boolean':
        return only
      case 'object':
        if (only === null) return null
    }
  }
  return TEXT + argumentsText(args)
}

/** The arguments as they stand between the parentheses of a key's text form: `42`, `"a",true`, `42n`, `@2026-01-01T00:00:00.000Z`. */
function argumentsText(args: readonly unknown[]): string {
  let length = args.length
  while (length > 0 && args[length - 1] === undefined) length--
  let text = ''
  for (let i = 0; i < length; i++) text += (i ? ',' : '') + write(args[i], 0)
  if (text.length > LENGTH_MAX)
    throw new KeyError(`A key holds at most ${LENGTH_MAX} characters. Hash large arguments before the call.`)
  return text
}

/** The text between the parentheses for a slot key. */
export function slotText(key: SlotKey): string {
  return typeof key === 'string' && key.charCodeAt(0) === 0 ? key.slice(1) : write(key, 0)
}

/** The parts of a definition's key in its text form: `post(7)`. Undefined for any other text. */
export function splitKey(text: string): { readonly name: string; readonly key: SlotKey } | undefined {
  const open = text.indexOf('(')
  if (open < 1 || !text.endsWith(')')) return undefined
  return { name: text.slice(0, open), key: parseSlotText(text.slice(open + 1, -1)) }
}

/**
 * The slot key for the text between the parentheses, as `explain` and `invalidate` get it. Only the text that `slotText` would
 * write names a key: `042` is not 42, or a request for it would find the entry and not the fill that runs.
 */
export function parseSlotText(text: string): SlotKey {
  const key = primitiveOf(text)
  return key !== undefined && slotText(key) === text ? key : TEXT + text
}

function primitiveOf(text: string): SlotKey | undefined {
  if (text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^-?\d+n$/.test(text)) return BigInt(text.slice(0, -1))
  if (/^-?(\d|Infinity)/.test(text)) {
    const number = Number(text)
    if (!Number.isNaN(number)) return number === 0 ? 0 : number
  }
  if (text.startsWith('"')) {
    try {
      const parsed: unknown = JSON.parse(text)
      if (typeof parsed === 'string' && parsed.charCodeAt(0) !== 0 && parsed.length <= LENGTH_MAX) return parsed
    } catch {
      // Several arguments, the first of which is a string.
    }
  }
  return undefined
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      if (Number.isNaN(value)) throw new KeyError('A key cannot hold NaN. Check the argument before the call.')
      return String(value === 0 ? 0 : value)
    case 'bigint':
      return `${value}n`
    case 'boolean':
      return String(value)
    case 'undefined':
      return 'undefined'
    case 'object':
      return value === null ? 'null' : writeObject(value, depth)
    default:
      throw new KeyError(
        `A key cannot hold a ${typeof value}. Use strings, numbers, bigints, booleans, null, Dates, arrays and plain objects.`,
      )
  }
}

function writeObject(value: object, depth: number): string {
  if (depth >= DEPTH_MAX)
    throw new KeyError(
      `A key's argument is nested deeper than ${DEPTH_MAX} levels, or contains itself. Pass what identifies it instead.`,
    )
  if (Array.isArray(value)) return `[${Array.from(value, (item) => write(item, depth + 1)).join(',')}]`
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime()))
      throw new KeyError('A key cannot hold an invalid Date. Check the argument before the call.')
    return `@${value.toISOString()}`
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new KeyError(
      `A key cannot hold an instance of ${value.constructor?.name ?? 'a class'}. Pass its id, or a plain object.`,
    )
  }
  if (Object.getOwnPropertySymbols(value).length > 0)
    throw new KeyError('A key cannot hold a property that a symbol names. Pass an object without it.')
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${write(field, depth + 1)}`).join(',')}}`
}
