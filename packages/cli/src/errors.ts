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

/** A server that a command asks does not answer, or is another program. */
export class ServiceDownError extends TidemarkError {
  readonly code = 'TIDEMARK_SERVICE_DOWN'
  constructor(
    readonly url: string,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `No Tidemark server answers at ${url}: ${reason}. ` +
        'Start one (npm start, or tidemark serve), or name another one with --server or TIDEMARK_SERVER.',
      options,
    )
  }
}

/** What a server refuses a command for: the code is the server's. */
export class ServiceProblemError extends TidemarkError {
  constructor(
    override readonly code: string,
    /** The HTTP status. */
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}
