import { TidemarkError } from 'tidemark'
import { type Place, placeOf } from './place.js'

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
    /** The same place by line and column, with the line. */
    readonly place?: Place,
  ) {
    super(message, options)
  }
}

/** SqlError whose message names the place in the text. `what` ends without a full stop; `advice` are sentences. */
export function sqlErrorAt(
  what: string,
  sqlState: string,
  text: string,
  position: number | undefined,
  options?: ErrorOptions,
  advice = 'Correct the statement.',
): SqlError {
  if (position === undefined) return new SqlError(`${what}. ${advice}`, sqlState, undefined, options)
  const place = placeOf(text, position)
  const where = `at line ${place.line}, column ${place.column}`
  return new SqlError(`${what}, ${where}. ${advice}`, sqlState, position, options, place)
}

/** The SQL writes, or does something else than read, where only reads are allowed. */
export class SqlWritesError extends TidemarkError {
  readonly code = 'TIDEMARK_SQL_WRITES'
}

/** A query that must answer with one row answered with several, or a row is not as its schema says. */
export class SqlRowsError extends TidemarkError {
  readonly code = 'TIDEMARK_SQL_ROWS'
}
