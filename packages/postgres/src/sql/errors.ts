import { TidemarkError } from 'tidemark'

/**
 * The SQL can't be run: it does not parse, or PostgreSQL refused it. `sqlState` is PostgreSQL's code (22xxx: a value does
 * not fit; 42xxx: the statement is wrong; 42501: a right is missing). The cause has PostgreSQL's own words, which may hold values.
 */
export class SqlError extends TidemarkError {
  readonly code = 'TIDEMARK_SQL'
  constructor(
    message: string,
    readonly sqlState: string,
    /** Where in the text, counted in characters from 1; undefined where that is not known. */
    readonly position: number | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** The SQL writes, or does something else than read, where only reads are allowed. */
export class SqlWritesError extends TidemarkError {
  readonly code = 'TIDEMARK_SQL_WRITES'
}

/** A query that must answer with one row answered with several, or a row is not as its schema says. */
export class SqlRowsError extends TidemarkError {
  readonly code = 'TIDEMARK_SQL_ROWS'
}
