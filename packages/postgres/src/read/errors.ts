import { DatabaseError } from 'pg'
import { SourceDownError, TidemarkError } from 'tidemark'
import { sqlErrorAt } from '../sql/errors.js'
import { whyDown } from '../wal/errors.js'

/** A session was declared for a loader (`cache.as`), and can't be set where its query runs. */
export class SessionError extends TidemarkError {
  readonly code = 'TIDEMARK_SESSION'
}

/** A client was given that reads past what can be seen of it: not one of `pg`, or one of its native binding. */
export class ClientError extends TidemarkError {
  readonly code = 'TIDEMARK_CLIENT'
}

/** Says in Tidemark's terms why a connection could not be had. */
export function connectionError(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error
  const why =
    error instanceof DatabaseError && error.code === '42501'
      ? 'PostgreSQL does not let this role connect to the database (42501). Run: grant connect on database <database> to <role>.'
      : whyDown(error)
  return new SourceDownError(why, { cause: error })
}

/** Whether an error of this SQLSTATE was the last that its connection said. */
export function endsConnection(state: string): boolean {
  return /^(08|57P|25P0[34])/.test(state)
}

/**
 * Says in Tidemark's terms why a query failed, and what to do. PostgreSQL's own words are in the cause only, as they may hold values;
 * except for errors in the statement itself, which they explain.
 *
 * @param text  the statement: the error names the place in it
 */
export function queryError(error: unknown, isConnected: boolean, text = ''): unknown {
  // What is thrown while the connection stands is no fault of it.
  if (!(error instanceof DatabaseError) || !error.code) return isConnected ? error : connectionError(error)
  // The connection ended, or the server goes down.
  if (/^(08|57P)/.test(error.code)) return connectionError(error)
  const position = error.position === undefined ? undefined : Number(error.position)
  const { what, advice } = explained(error, error.code)
  const said = `PostgreSQL refused the query (${error.code}): ${what}`
  return sqlErrorAt(said, error.code, text, position, { cause: error }, advice)
}

function explained(error: DatabaseError, state: string): { readonly what: string; readonly advice: string } {
  const { message, hint } = error
  if (state === '42501') return { what: message, advice: 'Grant its role SELECT on what the query names.' }
  if (/^(42|0A)/.test(state)) return { what: message, advice: hint ? sentence(hint) : 'Correct the statement.' }
  const known = REASONS[state] ?? REASONS[state.slice(0, 2)]
  const [what, advice] = known ?? ['it failed', "The cause has PostgreSQL's own words, which say what to do."]
  return { what, advice }
}

/** What an error is, and what to do, by SQLSTATE or its class. */
const REASONS: Readonly<Record<string, readonly [what: string, advice: string]>> = {
  '21': ['a subquery that must be one row is several', 'Add a condition or LIMIT 1 to it.'],
  '22': ['a value does not fit the type that the query uses it as', 'Pass a value that does, or cast it.'],
  '23': ['a constraint forbids it', 'Pass a value that it allows.'],
  '25006': ['it writes, and the server or its transaction only reads', 'Let a loader read only, and write elsewhere.'],
  '25P02': ['an error before it had ended its transaction', 'Roll the transaction back and begin anew.'],
  '25P03': [
    'its transaction was idle for longer than idle_in_transaction_session_timeout allows, and the connection ended',
    'Do less between the queries of a transaction, or raise the limit.',
  ],
  '25P04': [
    'it, or its transaction, took longer than transaction_timeout allows, and the connection ended',
    'Make it faster, or raise the limit.',
  ],
  '25': ['its transaction is in a state that does not allow it', 'Run it outside of that transaction.'],
  '40': ['it conflicted with another transaction', 'Ask again.'],
  '53': ['the server lacks memory, disk space or connections', 'Ask again later; if it repeats, give the server more.'],
  '54': ['it is larger or more deeply nested than PostgreSQL takes', 'Simplify or split it.'],
  '55P03': ['it waited for a lock for longer than lock_timeout allows', 'Ask again, or raise the limit.'],
  '57014': ['it was cancelled, or took longer than statement_timeout allows', 'Make it faster, or raise the limit.'],
  P0: ['a function of the database raised an error', "The cause has that function's own words, which say what to do."],
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
