/** SQL with named parameters, made ready for PostgreSQL. */
export interface NumberedSql {
  /** The SQL with `$1`, `$2`… in place of `:name`. */
  readonly text: string
  /** The name behind `$1`, `$2`…; each name once. */
  readonly order: readonly string[]
  /** Where each name was found first, as an offset (UTF-16) in the original. */
  readonly found: ReadonlyMap<string, number>
  /** Offsets of `$1`-style parameters in the original, which declared resources may not use. */
  readonly numbered: readonly number[]
  /** The offset in the original of an offset in `text`. */
  original(offset: number): number
}

/**
 * Replaces `:name` by `$n`. Reads SQL as PostgreSQL's own lexer does where that matters: strings ('…', E'…', $tag$…$tag$),
 * quoted identifiers, nested comments, `::` casts and `:=` are left as they are.
 *
 * The tests compare it with PostgreSQL's lexer. It never throws: SQL that does not parse is for the server to refuse.
 */
export function numberParameters(sql: string): NumberedSql {
  const found = new Map<string, number>()
  const numbered: number[] = []
  const shifts: { readonly from: number; readonly by: number }[] = []
  let text = ''
  let at = 0
  while (at < sql.length) {
    const end = tokenEnd(sql, at)
    const name = parameterName(sql, at)
    if (name === undefined) {
      if (/^\$[0-9]/.test(sql.slice(at, at + 2))) numbered.push(at)
      text += sql.slice(at, end)
      at = end
      continue
    }
    if (!found.has(name)) found.set(name, at)
    text += `$${[...found.keys()].indexOf(name) + 1}`
    at += 1 + name.length
    shifts.push({ from: text.length, by: at - text.length })
  }
  const original = (offset: number) => offset + (shifts.findLast(({ from }) => from <= offset)?.by ?? 0)
  return { text, order: [...found.keys()], found, numbered, original }
}

/** `:name` at this place, where `name` is a plain identifier and not the prefix of a string (e'…', b'…', u&'…'). */
function parameterName(sql: string, at: number): string | undefined {
  if (sql[at] !== ':') return undefined
  NAME.lastIndex = at + 1
  return NAME.exec(sql)?.[0]
}

const NAME = /(?![ebnx]'|u&['"])[a-z_][a-z0-9_]*(?![a-z0-9_$\u0080-\uffff])/iy

/** Where the token that begins at `at` ends. Tokens that can't hide a parameter are passed over one character at a time. */
function tokenEnd(sql: string, at: number): number {
  const rest = sql[at]!
  const pair = sql.slice(at, at + 2)
  if (pair === '--') return endOfLine(sql, at)
  if (pair === '/*') return endOfComment(sql, at)
  if (pair === '::' || pair === ':=') return at + 2
  if (rest === "'") return endOfString(sql, at, false)
  if (rest === '"') return endOfQuoted(sql, at)
  if (rest === '$') return endOfDollar(sql, at)
  if (IDENTIFIER_START.test(rest)) return endOfWord(sql, at)
  return at + 1
}

const IDENTIFIER_START = /[A-Za-z_\u0080-\uffff]/
const IDENTIFIER = /[A-Za-z0-9_$\u0080-\uffff]*/y

function endOfLine(sql: string, at: number): number {
  const end = sql.slice(at).search(/[\n\r]/)
  return end === -1 ? sql.length : at + end
}

/** Comments nest. */
function endOfComment(sql: string, at: number): number {
  const edge = /\/\*|\*\//g
  let depth = 0
  edge.lastIndex = at
  for (let match = edge.exec(sql); match; match = edge.exec(sql)) {
    depth += match[0] === '/*' ? 1 : -1
    if (depth === 0) return edge.lastIndex
  }
  return sql.length
}

/** A doubled quote does not end a string; in E'…' neither does a quote behind a backslash. */
function endOfString(sql: string, at: number, escapes: boolean): number {
  for (let here = at + 1; here < sql.length; here += 1) {
    if (escapes && sql[here] === '\\') here += 1
    else if (sql[here] === "'") {
      if (sql[here + 1] === "'") here += 1
      else return continuationEnd(sql, here + 1, escapes)
    }
  }
  return sql.length
}

/** Strings with only white space and a line break between them are one: E'…' goes on with its escapes. */
function continuationEnd(sql: string, at: number, escapes: boolean): number {
  const gap = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:\s|--[^\n\r]*(?=[\n\r]))*'/y
  gap.lastIndex = at
  return escapes && gap.test(sql) ? endOfString(sql, gap.lastIndex - 1, true) : at
}

function endOfQuoted(sql: string, at: number): number {
  const end = /(?:[^"]|"")*(?:"|$)/y
  end.lastIndex = at + 1
  end.test(sql)
  return end.lastIndex
}

/** `$tag$ … $tag$`; `$1` and a lone `$` are passed over. */
function endOfDollar(sql: string, at: number): number {
  const tag = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y
  tag.lastIndex = at
  const opening = tag.exec(sql)?.[0]
  if (opening === undefined) return at + 1
  const closing = sql.indexOf(opening, at + opening.length)
  return closing === -1 ? sql.length : closing + opening.length
}

/** An identifier or keyword; `e` right before a quote begins a string with escapes. */
function endOfWord(sql: string, at: number): number {
  IDENTIFIER.lastIndex = at
  IDENTIFIER.test(sql)
  const end = IDENTIFIER.lastIndex
  return sql[end] === "'" && /^e$/i.test(sql.slice(at, end)) ? endOfString(sql, end, true) : end
}
