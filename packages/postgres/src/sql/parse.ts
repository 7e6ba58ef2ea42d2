import type * as Parser from 'libpg-query'
import type { Node } from './ast.js'
import { SqlError, sqlErrorAt } from './errors.js'

/** The statements of a text, or why they can't be had though PostgreSQL might run them. */
export type Parsed = { readonly statements: readonly Node[] } | { readonly tooDeep: true }

const TEXTS_MAX = 1_000
/** Longer texts are parsed each time: they are rare, and would hold much memory. */
const CACHED_LENGTH_MAX = 20_000

let parser: typeof Parser | undefined
/** Oldest use first. */
const parsed = new Map<string, Parsed>()

/** Loads PostgreSQL's own parser (WASM, about 50 ms, once). Call before `parseSql`. */
export async function loadParser(): Promise<void> {
  if (parser) return
  const loaded = await import('libpg-query')
  await loaded.loadModule()
  parser = loaded
}

/**
 * Parses SQL as PostgreSQL 18 does. The trees are shared: don't change them.
 *
 * @throws SqlError (`TIDEMARK_SQL`) if the text is not SQL.
 */
export function parseSql(text: string): Parsed {
  const known = parsed.get(text)
  if (known) {
    parsed.delete(text)
    parsed.set(text, known)
    return known
  }
  const result = parseAnew(text)
  if (text.length <= CACHED_LENGTH_MAX) {
    if (parsed.size >= TEXTS_MAX) parsed.delete(parsed.keys().next().value!)
    parsed.set(text, result)
  }
  return result
}

function parseAnew(text: string): Parsed {
  if (!parser) throw new Error('loadParser() must have resolved before parseSql()')
  // The parser works on C strings: what follows a NUL would not be seen.
  if (text.includes('\0'))
    throw sqlErrorAt(
      'The SQL contains a NUL character, which PostgreSQL does not accept',
      '42601',
      text,
      [...text].indexOf('\0') + 1,
      {},
      'Take it out.',
    )
  if (text.trim() === '') throw new SqlError('The SQL is empty. Pass a statement.', '42601', undefined)
  try {
    return { statements: (parser.parseSync(text).stmts ?? []).flatMap((raw) => raw.stmt ?? []) }
  } catch (error) {
    // Depth is a limit of this parser's stack, not of SQL: 10,000 parentheses, or 3,000 chained operators.
    if (error instanceof RangeError || (error instanceof Error && /memory exhausted|stack depth/.test(error.message)))
      return { tooDeep: true }
    if (!parser.hasSqlDetails(error)) throw error
    const position = (error.sqlDetails?.cursorPosition ?? 0) + 1
    throw sqlErrorAt(`The SQL does not parse: ${error.message}`, '42601', text, position, { cause: error })
  }
}
