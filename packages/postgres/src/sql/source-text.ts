import type { SelectStmt } from './ast.js'
import { as } from './ast.js'
import { parseSql } from './parse.js'

/** What may hold a bracket that is none: constants, quoted names, comments. */
const TOKEN =
  /[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*|)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|[()]/g
const WORD_OR_TOKEN = new RegExp(`${TOKEN.source}|[A-Za-z_\\u0080-\\uffff$][\\w\\u0080-\\uffff$]*`, 'g')

/** Where it stands in no constant. */
const END = /;(?:\s|--[^\n]*|\/\*[\s\S]*?\*\/)*$/

/** A word that stands in no brackets. */
interface Word {
  /** In lower case. */
  readonly word: string
  readonly index: number
}

/** The words of a text that stand in no brackets, quotes or comments. */
export function wordsOf(text: string): readonly Word[] {
  const words: Word[] = []
  let depth = 0
  for (const { 0: token, index } of text.matchAll(WORD_OR_TOKEN)) {
    if (token === '(') depth++
    else if (token === ')') depth--
    else if (depth === 0 && /^[A-Za-z_]+$/.test(token)) words.push({ word: token.toLowerCase(), index })
  }
  return words
}

/** A statement's text, in which it and its subqueries are found. */
export class SourceText {
  readonly #text: string
  /** By what the parser makes of it. */
  #queries: Map<string, { readonly text: string; readonly select: SelectStmt }> | undefined

  constructor(text: string) {
    this.#text = text.replace(END, '')
  }

  /**
   * The text of a subquery, and the tree of that text alone, whose locations count from its start. Of several that are the same it is any.
   *
   * @returns undefined if it is not found: then it stands without brackets, or the text is read otherwise than here
   */
  find(select: SelectStmt): { readonly text: string; readonly select: SelectStmt } | undefined {
    this.#queries ??= new Map(
      [this.#text, ...groupsOf(this.#text)].flatMap(partsOf).flatMap((text) => {
        const own = selectOf(text)
        return own ? [[formOf(own), { text, select: own }]] : []
      }),
    )
    return this.#queries.get(formOf(select))
  }
}

/** A query, and what it is made of by UNION, INTERSECT and EXCEPT. */
function partsOf(text: string): string[] {
  const words = wordsOf(text)
  const ends = words.flatMap(({ word, index }) => (SET_OPERATIONS.has(word) ? [index] : []))
  const begins = words.flatMap(({ word, index }) => (word === 'select' ? [index] : []))
  return ends.length === 0
    ? [text]
    : [
        text,
        ...begins.map((begin) =>
          text.slice(
            begin,
            ends.find((end) => end > begin),
          ),
        ),
      ]
}

const SET_OPERATIONS: ReadonlySet<string> = new Set(['union', 'intersect', 'except'])

/** What stands in brackets and begins as a query does. */
function groupsOf(text: string): string[] {
  const groups: string[] = []
  const open: number[] = []
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === '(') open.push(index + 1)
    if (token !== ')') continue
    const group = text.slice(open.pop() ?? index, index)
    if (/^\s*(?:select|with)\b/i.test(group)) groups.push(group)
  }
  return groups
}

function selectOf(text: string): SelectStmt | undefined {
  try {
    const parsed = parseSql(text)
    return 'tooDeep' in parsed ? undefined : as('SelectStmt', parsed.statements[0])
  } catch {
    // It was no bracket after all.
    return undefined
  }
}

/** The tree without where it stands, and without what was found out of it. */
export function formOf(part: object): string {
  return JSON.stringify(part, (key, value) => (key === 'location' || key === 'typeOid' ? undefined : value))
}
