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
  return new SourceDownError(whyDown(error), { cause: error })
}

/**
 * Says in Tidemark's terms why a query failed. PostgreSQL's own words are in the cause only, as they may hold values; except for
 * errors in the statement itself, which they explain.
 *
 * @param text  the statement: the error names the place in it
 */
export function queryError(error: unknown, isConnected: boolean, text = ''): unknown {
  // What is thrown while the connection stands is no fault of it.
  if (!(error instanceof DatabaseError) || !error.code) return isConnected ? error : connectionError(error)
  // The connection ended, or the server goes down.
  if (/^(08|57P)/.test(error.code)) return connectionError(error)
  const position = error.position === undefined ? undefined : Number(error.position)
  const isStatement = /^(42|0A)/.test(error.code)
  const what = isStatement ? error.message : reasonOf(error.code)
  const advice = error.code === '42501' ? '. Grant its role SELECT on what the query names' : ''
  return sqlErrorAt(`PostgreSQL refused the query (${error.code}): ${what}${advice}`, error.code, text, position, {
    cause: error,
  })
}

function reasonOf(state: string): string {
  if (state === '57014') return 'it was cancelled, or took longer than statement_timeout allows'
  switch (state.slice(0, 2)) {
    case '22':
      return 'a value does not fit the type that the query uses it as'
    case '23':
      return 'a constraint forbids it'
    case '40':
      return 'it conflicted with another transaction; ask again'
    case '53':
      return 'the server lacks memory, disk space or connections'
    default:
      return 'see the cause'
  }
}
