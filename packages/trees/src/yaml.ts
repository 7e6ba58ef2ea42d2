import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Pair,
  parseDocument,
  Scalar,
  stringify,
  YAMLMap,
  YAMLSeq,
} from 'yaml'
import { TreeLimitError, TreeValueError } from './errors.js'
import { type Json, readJson } from './json.js'
import type { TreeLimits } from './limits.js'

/** YAML takes much longer to read than JSON. */
const BYTES_MAX = 2 ** 20

/**
 * A YAML document as JSON's text: what YAML 1.2's core schema calls a number keeps all its digits, members their order.
 *
 * @throws TreeValueError (`TIDEMARK_TREE_VALUE`) if it is no YAML, or holds what JSON has not: tags, NaN, infinities, keys that are no text;
 *         TreeLimitError (`TIDEMARK_TREE_LIMIT`) if its aliases stand for more nodes than an edit writes
 */
export function jsonOfYaml(text: string, limits: TreeLimits): string {
  const most = Math.min(BYTES_MAX, limits.documentBytesMax)
  if (text.length > most || Buffer.byteLength(text) > most)
    throw new TreeValueError(`The YAML document is larger than ${most} bytes. Send it as JSON.`)
  const document = parsed(text)
  const [error] = document.errors
  if (error) throw new TreeValueError(`The document is no YAML. ${error.message.split('\n', 1)[0]!}`)
  return new Reader(document, limits).text(document.contents, 0)
}

/** JSON's text as YAML. Takes text that is known to be JSON. */
export function yamlOfJson(json: string): string {
  return stringify(nodeOf(readJson(json)), { schema: 'failsafe', lineWidth: 0 })
}

function parsed(text: string): Document {
  try {
    // Nothing but text, maps and sequences: what a plain scalar means is read below, from what was written.
    return parseDocument(text, { schema: 'failsafe', prettyErrors: false, stringKeys: true, logLevel: 'error' })
  } catch (error) {
    if (error instanceof RangeError)
      throw new TreeValueError('The document nests too deep.', undefined, { cause: error })
    throw error
  }
}

class Reader {
  readonly #document: Document
  readonly #limits: TreeLimits
  #nodes = 0

  constructor(document: Document, limits: TreeLimits) {
    this.#document = document
    this.#limits = limits
  }

  text(node: unknown, depth: number): string {
    // Aliases may stand for much more than was sent, or for what they are in.
    if (++this.#nodes > this.#limits.editNodesMax)
      throw new TreeLimitError(`The document has more than ${this.#limits.editNodesMax} nodes (editNodesMax).`)
    if (depth > this.#limits.depthMax)
      throw new TreeValueError(`The document has more than ${this.#limits.depthMax} levels (depthMax).`)
    if (isAlias(node)) return this.text(node.resolve(this.#document), depth)
    if (isMap(node)) {
      const members = node.items.map(
        ({ key, value }) => `${JSON.stringify(String((key as Scalar).value))}:${this.text(value, depth + 1)}`,
      )
      return `{${members.join(',')}}`
    }
    if (isSeq(node)) return `[${node.items.map((item) => this.text(item, depth + 1)).join(',')}]`
    if (node === null || node === undefined) return 'null'
    if (!isScalar(node)) throw new TreeValueError('The document holds what JSON has not.')
    if (node.tag !== undefined && node.tag !== 'tag:yaml.org,2002:str')
      throw new TreeValueError(`The document has the tag ${node.tag}: JSON has no such values.`)
    if (node.type !== Scalar.PLAIN || node.tag !== undefined) return JSON.stringify(String(node.value))
    return meaningOf(node.source ?? '') ?? JSON.stringify(String(node.value))
  }
}

/** JSON's text of what a plain scalar means; undefined where it is text. */
function meaningOf(plain: string): string | undefined {
  if (/^(?:~|null|Null|NULL)?$/.test(plain)) return 'null'
  if (/^(?:true|True|TRUE)$/.test(plain)) return 'true'
  if (/^(?:false|False|FALSE)$/.test(plain)) return 'false'
  if (/^(?:0x[0-9a-fA-F]+|0o[0-7]+)$/.test(plain)) return String(BigInt(plain))
  if (/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(plain)) return asJsonNumber(plain)
  if (/^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$/.test(plain))
    throw new TreeValueError(`The document holds ${plain}: JSON has no such number.`)
  return undefined
}

/** JSON has no plus sign before a number, no zeros before its digits, and a digit on either side of its point. */
function asJsonNumber(plain: string): string {
  return plain
    .replace(/^\+/, '')
    .replace(/^(-?)0+(?=\d)/, '$1')
    .replace(/^(-?)\./, '$10.')
    .replace(/\.(?!\d)/, '')
}

/** What readers of YAML 1.1 take for something else than text. */
const AMBIGUOUS = /^(?:[-+.~=<\d].*|y|n|yes|no|on|off|true|false|null|)$/is

function nodeOf(json: Json): Scalar | YAMLMap | YAMLSeq {
  if (json.kind === 'array') {
    const sequence = new YAMLSeq()
    sequence.items = json.items.map(nodeOf)
    sequence.flow = json.items.length === 0
    return sequence
  }
  if (json.kind === 'object') {
    const map = new YAMLMap()
    map.items = [...json.members].map(([name, member]) => new Pair(textNode(name), nodeOf(member)))
    map.flow = json.members.size === 0
    return map
  }
  return json.text.startsWith('"') ? textNode(JSON.parse(json.text) as string) : new Scalar(json.text)
}

function textNode(text: string): Scalar {
  const scalar = new Scalar(text)
  // Escapes bring every character through.
  if (AMBIGUOUS.test(text) || /[^\P{C}\n]|^\s|\s$|[\u2028\u2029\ufeff]/u.test(text)) scalar.type = Scalar.QUOTE_DOUBLE
  return scalar
}
