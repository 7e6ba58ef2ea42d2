import { TidemarkError } from 'tidemark'
import { sqlState, startError } from '../wal/errors.js'
import { JOURNAL_SCHEMA as schema } from '../wal/recording.js'

/** The journal's tables cannot be used as they are, or its key cannot be read. */
export class JournalError extends TidemarkError {
  readonly code = 'TIDEMARK_JOURNAL'
}

/** Why its tables, which are there, can't be written now, and what to do. */
export function whyNotWritten(error: unknown): string {
  switch (sqlState(error)) {
    case '42501':
      return (
        `The role may not write its tables any more (42501). Have somebody with the right run: grant usage, create on schema ${schema} to <role>; ` +
        `grant select, insert on ${schema}.invalidation_audit to <role>; ` +
        `grant select, insert, update on ${schema}.state, ${schema}.places, ${schema}.heads to <role>.`
      )
    case '25006':
      return 'Its database is read-only (25006): the address names a standby. Give that of the primary.'
    case '53100':
      return 'The disk of its database is full (53100). Make room on it.'
    default:
      return startError(error).message
  }
}

/** Why the signed heads were not written into their folder, and what to do. */
export function headsError(error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException
  if (error instanceof TidemarkError || syscall === undefined) return error
  const why =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? `The disk of the folder of its signed heads (journal.heads) is full (${code}). Make room on it.`
      : `Its signed heads can't be written into their folder, journal.heads (${code}). Correct the folder's owner and mode, or name another.`
  return new JournalError(why, { cause: error })
}
