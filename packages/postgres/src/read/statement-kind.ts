import type { Node } from '../sql/ast.js'
import { as } from '../sql/ast.js'
import { mentionsOf } from '../sql/mentions.js'
import { parseSql } from '../sql/parse.js'

/**
 * What a statement that no fill reads may do to its connection.
 *
 * transaction: begins or ends one. harmless: reads or writes rows; functions in it may have changed settings, which can be asked
 * for. reset: everything that was set is as at first. other: anything, also what can't be asked for.
 */
export type StatementKind = 'transaction' | 'harmless' | 'reset' | 'other'

const ROWS = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** Kinds of the texts that ran last, the oldest first: programs run the same ones over and over. */
const known = new Map<string, StatementKind>()
const KNOWN_MAX = 1_000
/** A longer text is rarely run twice. */
const KNOWN_LENGTH_MAX = 4_000

/** The kind of a text; of several statements, the gravest. Needs the parser to be loaded. */
export function kindOf(text: string): StatementKind {
  const before = known.get(text)
  if (before) return before
  try {
    const parsed = parseSql(text)
    const kind = 'statements' in parsed ? gravest(parsed.statements.map(kindOfStatement)) : 'other'
    if (text.length > KNOWN_LENGTH_MAX) return kind
    if (known.size === KNOWN_MAX) known.delete(known.keys().next().value!)
    known.set(text, kind)
    return kind
  } catch {
    // What does not parse here the server will refuse, or knows better; what is too deep to be walked through is not known.
    return 'other'
  }
}

function gravest(kinds: readonly StatementKind[]): StatementKind {
  const [first = 'other', ...rest] = new Set(kinds)
  if (rest.length === 0) return first
  return kinds.includes('other') || kinds.includes('reset') ? 'other' : 'harmless'
}

function kindOfStatement(statement: Node): StatementKind {
  if (as('TransactionStmt', statement)) return 'transaction'
  if (as('DiscardStmt', statement)?.target === 'DISCARD_ALL') return 'reset'
  const set = as('VariableSetStmt', statement)
  if (set?.kind === 'VAR_RESET_ALL') return 'reset'
  // SET TRANSACTION sets nothing that outlives it; but a snapshot is one from before.
  if (set?.kind === 'VAR_SET_MULTI' && set.name === 'TRANSACTION') return 'transaction'
  if (!ROWS.has(Object.keys(statement)[0]!)) return 'other'
  return mentionsOf([statement]).functions.some(({ name }) => name === 'set_config') ? 'other' : 'harmless'
}
