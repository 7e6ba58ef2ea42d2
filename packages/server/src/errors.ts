import { TidemarkError } from 'tidemark'

/** One thing that is wrong in a configuration file: where, what, and the fix. */
export interface ConfigProblem {
  readonly line: number
  readonly column: number
  /** Where in the document, e.g. `resources.feed.params.author`. */
  readonly path: string
  readonly message: string
}

/** The configuration cannot be used. Names every problem at once. */
export class ConfigError extends TidemarkError {
  readonly code = 'TIDEMARK_CONFIG'
  constructor(
    readonly file: string,
    readonly problems: readonly ConfigProblem[],
    options?: ErrorOptions,
  ) {
    const lines = problems.map(
      ({ line, column, path, message }) => `${file}:${line}:${column}  ${path ? `${path}: ` : ''}${message}`,
    )
    super(`The configuration cannot be used:\n${lines.join('\n')}`, options)
  }
}

/** The port that was asked for is used by another program. */
export class PortTakenError extends TidemarkError {
  readonly code = 'TIDEMARK_PORT_TAKEN'
  constructor(
    readonly port: number,
    readonly host: string,
    options?: ErrorOptions,
  ) {
    super(
      `Port ${port} on ${host} is used by another program. Stop it, or choose another port with --port or ` +
        'TIDEMARK_PORT (0 takes any free one).',
      options,
    )
  }
}

/** No resource of that name is declared. */
export class UnknownResourceError extends TidemarkError {
  readonly code = 'TIDEMARK_RESOURCE_UNKNOWN'
  constructor() {
    super(
      'No resource of that name is declared. Declare it under `resources` in tidemark.yaml, or see /api/openapi.json for those that are.',
    )
  }
}

export interface ParameterProblem {
  readonly parameter: string
  readonly message: string
}

/** Parameters of a request are missing, surplus, mistyped or out of range. */
export class ParameterError extends TidemarkError {
  readonly code = 'TIDEMARK_PARAMETER'
  constructor(
    readonly problems: readonly ParameterProblem[],
    options?: ErrorOptions,
  ) {
    super(
      `The request's parameters cannot be used: ${problems.map((each) => `${each.parameter}: ${each.message}`).join('; ')}.`,
      options,
    )
  }
}

/** Where in a text an error lies. */
export interface Place {
  readonly line: number
  readonly column: number
  /** The line, and a caret below the place. */
  readonly excerpt: string
}

/** The SQL of a request cannot be explained: it does not parse, names what does not exist, or does more than read. */
export class RequestedSqlError extends TidemarkError {
  readonly code = 'TIDEMARK_REQUESTED_SQL'
  constructor(
    message: string,
    /** PostgreSQL's code; undefined where the SQL does more than read. */
    readonly sqlState: string | undefined,
    readonly place: Place | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** The database refuses the SQL of a resource: what it reads is missing, may not be read, or the SQL is wrong. */
export class BrokenResourceError extends TidemarkError {
  readonly code = 'TIDEMARK_RESOURCE_BROKEN'
}

/** A resource's query failed for a reason that lies neither in the request nor in the connection. */
export class QueryError extends TidemarkError {
  readonly code = 'TIDEMARK_QUERY'
}

/** As many streams are open as the configuration allows, in all or from one address. */
export class StreamLimitError extends TidemarkError {
  readonly code = 'TIDEMARK_STREAM_LIMIT'
}

/** The server is stopping; ask again, or elsewhere. */
export class DrainingError extends TidemarkError {
  readonly code = 'TIDEMARK_DRAINING'
  constructor() {
    super('This server is stopping. Ask again in a moment, or ask another one.')
  }
}

/** The Host header does not name this server: a web page of others may be trying to reach it by DNS rebinding. */
export class ForeignHostError extends TidemarkError {
  readonly code = 'TIDEMARK_FOREIGN_HOST'
  constructor() {
    super(
      'The Host header does not name this server. Use its own address: localhost, 127.0.0.1 or [::1], with its port.',
    )
  }
}

/** The request comes from a page of another origin. */
export class ForeignOriginError extends TidemarkError {
  readonly code = 'TIDEMARK_FOREIGN_ORIGIN'
  constructor() {
    super(
      'Requests from web pages of other origins are refused. Serve the page from this server, or ask from a program.',
    )
  }
}

/** Nothing fresh is stored under the key. */
export class NotStoredError extends TidemarkError {
  readonly code = 'TIDEMARK_NOT_STORED'
  constructor() {
    super(
      'Nothing fresh is stored under this key, in this tenant: it was never stored, or was changed, has expired or was evicted. Read it at its source, and PUT it with the Tidemark-Position of this answer as `as_of`.',
    )
  }
}

/** What is stored is not what the client has seen. */
export class PreconditionError extends TidemarkError {
  readonly code = 'TIDEMARK_PRECONDITION'
  constructor() {
    super('What is stored under this key is not what If-Match names. Nothing was changed. Read it again.')
  }
}

/** The request id was used for another request. */
export class ReusedRequestIdError extends TidemarkError {
  readonly code = 'TIDEMARK_REQUEST_ID'
  constructor() {
    super(
      'A request with this id was made before, and asked for something else. Nothing was changed. Use an id once for each request; the same one only to repeat it.',
    )
  }
}

/** As many requests are under way as are remembered. */
export class TooManyRequestsError extends TidemarkError {
  readonly code = 'TIDEMARK_BUSY'
  constructor() {
    super(
      'As many invalidations are under way as this server remembers. Ask again in a moment, or raise invalidation.requestsMax.',
    )
  }
}

/** No request of this id is remembered. */
export class UnknownRequestError extends TidemarkError {
  readonly code = 'TIDEMARK_REQUEST_UNKNOWN'
  constructor() {
    super(
      'No request of this id is remembered by this process: it was never made here, is still under way, or was forgotten (invalidation.requestsKeep).',
    )
  }
}

/** What HTTP itself refuses: no such path, a method that the path does not have, a body that is too large or unreadable. */
export class RequestError extends TidemarkError {
  constructor(
    readonly code:
      | 'TIDEMARK_NOT_FOUND'
      | 'TIDEMARK_METHOD'
      | 'TIDEMARK_BODY_TOO_LARGE'
      | 'TIDEMARK_MEDIA_TYPE'
      | 'TIDEMARK_REQUEST',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** The journal is not kept here. */
export class JournalOffError extends TidemarkError {
  readonly code = 'TIDEMARK_JOURNAL_OFF'
  constructor() {
    super(
      'No journal is kept by this server: /health says why, where it is not journal.enabled: false. A database of your own needs source.slot.',
    )
  }
}
