import { TreeLimitError, TreeValueError } from './errors.js'
import type { TreeLimits } from './limits.js'
import { childOf, isStorable, type Path } from './pointer.js'

/** JSON as it is written: members keep their order, and numbers all their digits. */
export type Json = JsonObject | JsonArray | JsonScalar

export interface JsonObject {
  readonly kind: 'object'
  readonly members: ReadonlyMap<string, Json>
}

export interface JsonArray {
  readonly kind: 'array'
  readonly items: readonly Json[]
}

/** A string, number, boolean or null. */
export interface JsonScalar {
  readonly kind: 'scalar'
  /** As JSON. */
  readonly text: string
}

/** PostgreSQL writes a number out, without an exponent: with so many characters at most, signs and point among them. */
const NUMBER_CHARS_MAX = 400

/**
 * Reads a document.
 *
 * @throws TreeValueError (`TIDEMARK_TREE_VALUE`) if it is no JSON, has a name twice in one object, is too deep or too large, or holds what
 *         PostgreSQL cannot store: the character NUL, half of a surrogate pair, a number of more than 400 digits; TreeLimitError
 *         (`TIDEMARK_TREE_LIMIT`) if it has more than 8 times as many values as an edit may write nodes
 */
export function parseJson(text: string, limits: TreeLimits, root: Path = ''): Json {
  if (text.length > limits.documentBytesMax || Buffer.byteLength(text) > limits.documentBytesMax)
    throw new TreeValueError(`The document is larger than ${limits.documentBytesMax} bytes (documentBytesMax).`)
  checkSize(text, limits)
  try {
    JSON.parse(text)
  } catch (error) {
    throw new TreeValueError(`The document is no JSON. ${(error as Error).message}`, undefined, { cause: error })
  }
  return new Parser(text, checked).value(root)
}

/** Takes text that is known to be JSON, and stored: SQL may have written what an edit could not. */
export function readJson(text: string): Json {
  return new Parser(text, asItIs).value('')
}

/** The document's text, without white space. */
export function printJson(json: Json): string {
  if (json.kind === 'scalar') return json.text
  if (json.kind === 'array') return `[${json.items.map(printJson).join(',')}]`
  return `{${[...json.members].map(([name, member]) => `${JSON.stringify(name)}:${printJson(member)}`).join(',')}}`
}

/**
 * The members of an object, each as JSON's text.
 *
 * @throws TreeValueError (`TIDEMARK_TREE_VALUE`) as `parseJson` does, and if it is no object
 */
export function memberTexts(text: string, limits: TreeLimits): Map<string, string> {
  const json = parseJson(text, limits)
  if (json.kind !== 'object') throw new TreeValueError('The document is no object.')
  return new Map([...json.members].map(([name, member]) => [name, printJson(member)]))
}

/** JSON's text cut off: what lies more than `depth` levels below its top is shown as `{}` or `[]`. Takes text that is known to be JSON. */
export function cutJson(text: string, depth: number): string {
  const cut = (json: Json, left: number): Json => {
    if (json.kind === 'scalar') return json
    if (json.kind === 'array')
      return { ...json, items: left === 0 ? [] : json.items.map((item) => cut(item, left - 1)) }
    const members = left === 0 ? [] : [...json.members].map(([name, member]) => [name, cut(member, left - 1)] as const)
    return { kind: 'object', members: new Map(members) }
  }
  return printJson(cut(readJson(text), depth))
}

/** The same from a JavaScript value; `bigint` is a number. */
export function jsonOf(value: unknown, limits: TreeLimits, path: Path = '', depth = 0): Json {
  if (depth > limits.depthMax) throw tooDeep(limits.depthMax)
  if (value === null || typeof value === 'boolean') return { kind: 'scalar', text: String(value) }
  if (typeof value === 'string') return { kind: 'scalar', text: checkText(value, path) }
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value)))
    return { kind: 'scalar', text: checkNumber(String(value), path) }
  if (Array.isArray(value))
    return { kind: 'array', items: value.map((item, index) => jsonOf(item, limits, `${path}/${index}`, depth + 1)) }
  const prototype: unknown = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined
  if (prototype !== null && prototype !== Object.prototype)
    throw new TreeValueError(
      'Only what JSON has can be stored: objects, arrays, strings, finite numbers, booleans, null.',
      path,
    )
  const members = new Map<string, Json>()
  for (const [name, member] of Object.entries(value as object)) {
    if (member === undefined) continue
    checkText(name, path)
    members.set(name, jsonOf(member, limits, childOf(path, name), depth + 1))
  }
  return { kind: 'object', members }
}

/** A JavaScript value of JSON's text: integers that a number cannot hold are `bigint`. */
export function valueIn(text: string): unknown {
  // 16 digits in a row are the least that a double may not hold.
  return /\d{16}/.test(text) ? exactValue(readJson(text)) : JSON.parse(text)
}

function exactValue(json: Json): unknown {
  if (json.kind === 'array') return json.items.map(exactValue)
  if (json.kind === 'object') {
    const object: Record<string, unknown> = {}
    for (const [name, member] of json.members)
      Object.defineProperty(object, name, {
        value: exactValue(member),
        enumerable: true,
        writable: true,
        configurable: true,
      })
    return object
  }
  if (/^-?\d{16,}$/.test(json.text) && !Number.isSafeInteger(Number(json.text))) return BigInt(json.text)
  return JSON.parse(json.text)
}

/** What becomes of texts and numbers that are read: the string as JSON, the number as it was written, or an error. */
interface Rules {
  readonly text: (text: string, path: Path) => string
  readonly number: (text: string, path: Path) => string
}

const checked: Rules = { text: checkText, number: checkNumber }
const asItIs: Rules = { text: (text) => JSON.stringify(text), number: (text) => text }

/** Takes text apart that is known to be JSON. */
class Parser {
  readonly #text: string
  readonly #rules: Rules
  #at = 0

  constructor(text: string, rules: Rules) {
    this.#text = text
    this.#rules = rules
  }

  value(path: Path): Json {
    this.#space()
    const first = this.#text[this.#at]
    const json = first === '{' ? this.#object(path) : first === '[' ? this.#array(path) : this.#scalar(path)
    this.#space()
    return json
  }

  #object(path: Path): JsonObject {
    const members = new Map<string, Json>()
    this.#at++
    this.#space()
    while (this.#text[this.#at] !== '}') {
      const name = JSON.parse(this.#string()) as string
      this.#rules.text(name, path)
      const at = childOf(path, name)
      if (members.has(name)) throw new TreeValueError('An object has two members of one name.', at)
      this.#space()
      this.#at++ // :
      members.set(name, this.value(at))
      if (this.#text[this.#at] === ',') this.#at++
      this.#space()
    }
    this.#at++
    return { kind: 'object', members }
  }

  #array(path: Path): JsonArray {
    const items: Json[] = []
    this.#at++
    this.#space()
    while (this.#text[this.#at] !== ']') {
      items.push(this.value(`${path}/${items.length}`))
      if (this.#text[this.#at] === ',') this.#at++
    }
    this.#at++
    return { kind: 'array', items }
  }

  #scalar(path: Path): JsonScalar {
    if (this.#text[this.#at] === '"')
      return { kind: 'scalar', text: this.#rules.text(JSON.parse(this.#string()) as string, path) }
    const begin = this.#at
    while (this.#at < this.#text.length && !',]} \t\n\r'.includes(this.#text[this.#at]!)) this.#at++
    const text = this.#text.slice(begin, this.#at)
    return { kind: 'scalar', text: /^[-\d]/.test(text) ? this.#rules.number(text, path) : text }
  }

  #string(): string {
    const begin = this.#at++
    while (this.#text[this.#at] !== '"') this.#at += this.#text[this.#at] === '\\' ? 2 : 1
    return this.#text.slice(begin, ++this.#at)
  }

  #space(): void {
    while (this.#at < this.#text.length && ' \t\n\r'.includes(this.#text[this.#at]!)) this.#at++
  }
}

/** A document may have so many values for each node that an edit may write: a patch says more than it writes. */
const VALUES_PER_NODE = 8

/** Before anything recurses into it, or makes something of each of millions of values. */
function checkSize(text: string, { depthMax, editNodesMax }: TreeLimits): void {
  let depth = 0
  let values = 1
  let isString = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (isString) {
      if (char === 0x5c) at++
      else if (char === 0x22) isString = false
    } else if (char === 0x22) isString = true
    else if (char === 0x7b || char === 0x5b) {
      if (++depth > depthMax) throw tooDeep(depthMax)
    } else if (char === 0x7d || char === 0x5d) depth--
    else if (char === 0x2c && ++values > VALUES_PER_NODE * editNodesMax)
      throw new TreeLimitError(
        `The document has more than ${VALUES_PER_NODE * editNodesMax} values (${VALUES_PER_NODE} times editNodesMax).`,
      )
  }
}

function tooDeep(depthMax: number): TreeValueError {
  return new TreeValueError(`The document has more than ${depthMax} levels (depthMax).`)
}

/** The string as JSON. */
function checkText(text: string, path: Path): string {
  if (isStorable(text)) return JSON.stringify(text)
  throw new TreeValueError('Text cannot hold the character NUL (\\u0000) or half of a surrogate pair.', path)
}

function checkNumber(text: string, path: Path): string {
  if (writtenLength(text) <= NUMBER_CHARS_MAX) return text
  throw new TreeValueError(
    `A number has more than ${NUMBER_CHARS_MAX} digits when it is written without an exponent.`,
    path,
  )
}

/** How long a number is as PostgreSQL writes it: what it writes is read again, when it is exported and imported. */
function writtenLength(text: string): number {
  const parts = /^(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d+)$/.exec(text)
  if (!parts) return text.length
  const [, sign, whole, part = '', exponent] = parts
  const scale = Math.max(0, part.length - Number(exponent))
  return sign!.length + Math.max(1, whole!.length + Number(exponent)) + (scale > 0 ? 1 + scale : 0)
}
