import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type Node,
  Pair,
  parseDocument,
  Scalar,
  stringify,
  visit,
  YAMLMap,
  YAMLSeq,
} from 'yaml'
import { TreeLimitError, TreeValueError } from './errors.js'
import { type Json, readJson } from './json.js'
import type { TreeLimits } from './limits.js'

/** YAML takes much longer to read than JSON. */
const BYTES_MAX = 2 ** 20

/** A member has five (a mark before its name, the name, the colon, a mark, the value); anchor, tag, spaces, comments and ends of lines one each. */
const LEXEMES_OF_NODE_MAX = 16

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
  checkSize(text, limits)
  const document = parsed(text)
  const [error] = document.errors
  if (error) throw new TreeValueError(`The document is no YAML. ${error.message.split('\n', 1)[0]!}`)
  return new Reader(meanings(document), limits).text(document.contents, 0)
}

/** JSON's text as YAML. Takes text that is known to be JSON. */
export function yamlOfJson(json: string): string {
  return stringify(nodeOf(readJson(json)), { schema: 'failsafe', lineWidth: 0 })
}

/** Before it is parsed, which takes seconds for a document of many nodes, or lines. */
function checkSize(text: string, { editNodesMax }: TreeLimits): void {
  let left = editNodesMax * LEXEMES_OF_NODE_MAX
  for (const _ of new Lexer().lex(text))
    if (--left < 0)
      throw new TreeLimitError(
        `The YAML document has more parts than ${editNodesMax} nodes need (editNodesMax). Send it as JSON, or in pieces.`,
      )
}

function parsed(text: string): Document {
  try {
    // Nothing but text, maps and sequences: what a plain scalar means is read below, from what was written. Names that are there twice are found
    // below too: here each would be compared with all before it.
    const options = {
      schema: 'failsafe',
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: false,
      logLevel: 'error',
    } as const
    const document = parseDocument(text, options)
    if (document.errors.some(({ message }) => message.includes('call stack'))) throw new RangeError('too deep')
    return document
  } catch (error) {
    if (error instanceof RangeError)
      throw new TreeValueError('The document nests too deep.', undefined, { cause: error })
    throw error
  }
}

/** What each alias stands for: the last node before it that has its anchor. One walk for all: the library looks through the document for each. */
function meanings(document: Document): ReadonlyMap<Alias, Node> {
  const anchored = new Map<string, Node>()
  const meant = new Map<Alias, Node>()
  visit(document, {
    Node(_, node) {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchored.set(node.anchor, node)
        return
      }
      const target = anchored.get(node.source)
      if (target === undefined)
        throw new TreeValueError('The document has an alias (*) before which nothing has its anchor (&).')
      meant.set(node, target)
    },
  })
  return meant
}

class Reader {
  readonly #meant: ReadonlyMap<Alias, Node>
  readonly #limits: TreeLimits
  #nodes = 0

  constructor(meant: ReadonlyMap<Alias, Node>, limits: TreeLimits) {
    this.#meant = meant
    this.#limits = limits
  }

  text(node: unknown, depth: number): string {
    if (isAlias(node)) return this.text(this.#meant.get(node), depth)
    // Aliases may stand for much more than was sent, or for what they are in.
    if (++this.#nodes > this.#limits.editNodesMax)
      throw new TreeLimitError(`The document has more than ${this.#limits.editNodesMax} nodes (editNodesMax).`)
    if (depth > this.#limits.depthMax)
      throw new TreeValueError(`The document has more than ${this.#limits.depthMax} levels (depthMax).`)
    if (isMap(node)) {
      const names = new Set<string>()
      const members = node.items.map(({ key, value }) => {
        const name = JSON.stringify(String((key as Scalar).value))
        if (names.has(name)) throw new TreeValueError(`A map has two members of the name ${name}.`)
        names.add(name)
        return `${name}:${this.text(value, depth + 1)}`
      })
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
  if (/^(?:0x[0-9a-fA-F]+|0o[0-7]+)$/.test(plain)) {
    // What is longer takes a second to convert, and has too many digits then.
    if (plain.length > BASED_CHARS_MAX) throw new TreeValueError('The document holds a number of too many digits.')
    return String(BigInt(plain))
  }
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

/** Of a number in base 8 or 16. */
const BASED_CHARS_MAX = 500

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
