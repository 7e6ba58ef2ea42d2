import type { SelectStmt } from './ast.js'
import { as } from './ast.js'
import { parseSql } from './parse.js'

/** What may hold a bracket that is none: constants, quoted names, comments. */
const TOKEN =
  /[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*|)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|[()]/g

/** A statement's text, in which its subqueries are found. */
export class SourceText {
  readonly #text: string
  /** By what the parser makes of it. */
  #subqueries: Map<string, { readonly text: string; readonly select: SelectStmt }> | undefined

  constructor(text: string) {
    this.#text = text
  }

  /**
   * The text of a subquery, and the tree of that text alone, whose locations count from its start. Of several that are the same it is any.
   *
   * @returns undefined if it is not found: then it stands without brackets, or the text is read otherwise than here
   */
  find(select: SelectStmt): { readonly text: string; readonly select: SelectStmt } | undefined {
    this.#subqueries ??= new Map(
      groupsOf(this.#text).flatMap((text) => {
        const own = selectOf(text)
        return own ? [[formOf(own), { text, select: own }]] : []
      }),
    )
    return this.#subqueries.get(formOf(select))
  }
}

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
function formOf(select: SelectStmt): string {
  return JSON.stringify(select, (key, value) => (key === 'location' || key === 'typeOid' ? undefined : value))
}
