import { TidemarkError } from 'tidemark'

/** The command line cannot be understood. */
export class UsageError extends TidemarkError {
  readonly code = 'TIDEMARK_USAGE'
}

/** A command needs a database, and none was named or runs in the data folder. */
export class NoDatabaseError extends TidemarkError {
  readonly code = 'TIDEMARK_NO_DATABASE'
  constructor(readonly dataDir: string) {
    super(
      `No database is named, and no private PostgreSQL runs in ${dataDir}. ` +
        'Start one (npm start, or tidemark serve), name its folder with --data, or name a database with --url or DATABASE_URL.',
    )
  }
}

/** PostgreSQL refused a statement. */
export class StatementError extends TidemarkError {
  readonly code = 'TIDEMARK_STATEMENT'
  constructor(
    /** PostgreSQL's own code, e.g. `42P01`. */
    readonly sqlState: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
