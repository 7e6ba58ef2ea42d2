import { TreePatchError, TreeSchemaError, TreeValueError } from '@tidemark/trees'
import { TidemarkError } from 'tidemark'
import { ParameterError, type ParameterProblem, type Place, RequestedSqlError } from './errors.js'

/** An error as RFC 9457 has it (`application/problem+json`). */
export interface Problem {
  /** Where the error is explained: the anchor of its code in docs/errors.md. */
  readonly type: string
  /** The same sentence for every problem of this code. */
  readonly title: string
  readonly status: number
  /** Stable: programs decide by it. */
  readonly code: string
  readonly detail: string
  readonly requestId?: string
  /** Which parameters, or which nodes of a tree (JSON Pointers), and what is wrong with each. */
  readonly errors?: readonly (ParameterProblem | NodeProblem)[]
  /** PostgreSQL's code for what is wrong with the SQL of the request, and where that is. */
  readonly sqlState?: string
  readonly place?: Place
}

export interface NodeProblem {
  readonly pointer: string
  readonly message: string
}

/** The only place where an error becomes an HTTP status. */
const STATUSES: Readonly<Record<string, readonly [status: number, title: string]>> = {
  TIDEMARK_PARAMETER: [400, 'The parameters of the request cannot be used'],
  TIDEMARK_POSITION: [400, 'The position cannot be read'],
  TIDEMARK_REQUEST: [400, 'The request cannot be read'],
  TIDEMARK_REQUESTED_SQL: [400, 'The SQL of the request cannot be explained'],
  TIDEMARK_KEY: [400, 'The parameters make no key'],
  TIDEMARK_UNAUTHENTICATED: [401, 'Who asks is not known'],
  TIDEMARK_FORBIDDEN: [403, 'Who asks may not do this'],
  TIDEMARK_FOREIGN_ORIGIN: [403, 'Pages of other origins are refused'],
  TIDEMARK_NOT_FOUND: [404, 'There is nothing at this path'],
  TIDEMARK_TENANT_UNKNOWN: [404, 'There is no such tenant'],
  TIDEMARK_CSRF: [403, 'A session alone does not suffice'],
  TIDEMARK_SIGN_IN: [400, 'Nobody was signed in'],
  TIDEMARK_SIGN_IN_OFF: [404, 'Nobody can sign in here'],
  TIDEMARK_SESSION_UNKNOWN: [404, 'There is no such session'],
  TIDEMARK_PROVIDER: [503, 'The identity provider cannot be asked'],
  TIDEMARK_TOKENS_OFF: [404, 'Tokens are not asked for here'],
  TIDEMARK_TOKEN_UNKNOWN: [404, 'There is no such token'],
  TIDEMARK_JOURNAL_OFF: [404, 'No journal is kept here'],
  TIDEMARK_JOURNAL: [503, 'The journal cannot be used'],
  TIDEMARK_RESOURCE_UNKNOWN: [404, 'There is no such resource'],
  TIDEMARK_NOT_STORED: [404, 'Nothing is stored under this key'],
  TIDEMARK_REQUEST_UNKNOWN: [404, 'No such request is remembered'],
  TIDEMARK_TREE_NAME: [400, 'A tenant or config cannot have this name'],
  TIDEMARK_TREE_PATH: [400, 'The path names no node'],
  TIDEMARK_TREE_ABSENT: [404, 'There is no such config, node or version'],
  TIDEMARK_TREE_VERSION: [412, 'The node is of another version'],
  TIDEMARK_TREE_VALUE: [422, 'The document cannot be stored'],
  TIDEMARK_TREE_PATCH: [422, 'The patch cannot be done'],
  TIDEMARK_TREE_SCHEMA: [422, 'The config would not keep to its schema'],
  TIDEMARK_TREE_CYCLE: [422, 'References or bases lead back to where they begin'],
  TIDEMARK_TREE_LIMIT: [422, 'A limit of trees is reached'],
  TIDEMARK_METHOD: [405, 'The path does not have this method'],
  TIDEMARK_NOT_WATCHABLE: [409, 'This resource cannot be streamed'],
  TIDEMARK_PRECONDITION: [412, 'Something else is stored'],
  TIDEMARK_BODY_TOO_LARGE: [413, 'The body is too large'],
  TIDEMARK_MEDIA_TYPE: [415, 'The body is of a type that is not read here'],
  TIDEMARK_FOREIGN_HOST: [421, 'The Host header does not name this server'],
  TIDEMARK_VALUE: [422, 'The value cannot be kept'],
  TIDEMARK_PATTERN: [422, 'The pattern cannot be used'],
  TIDEMARK_REQUEST_ID: [422, 'The request id was used for another request'],
  TIDEMARK_RATE: [429, 'Too much was asked for'],
  TIDEMARK_STREAM_LIMIT: [429, 'Too many streams are open'],
  TIDEMARK_BUSY: [503, 'Too much is under way'],
  TIDEMARK_LIMIT: [503, 'A limit of the cache is reached'],
  TIDEMARK_QUERY: [500, 'The query failed'],
  TIDEMARK_RESOURCE_BROKEN: [500, 'The database refuses the SQL of this resource'],
  TIDEMARK_SQL: [500, 'The SQL cannot be run'],
  TIDEMARK_SQL_WRITES: [500, 'The SQL does more than read'],
  TIDEMARK_ACCESS_UNKNOWN: [503, 'Who asks cannot be found out now'],
  TIDEMARK_BEHIND: [503, 'The position has not been reached'],
  TIDEMARK_CLOSED: [503, 'The server is stopping'],
  TIDEMARK_DRAINING: [503, 'The server is stopping'],
  TIDEMARK_SOURCE_DOWN: [503, 'The database cannot be reached'],
  TIDEMARK_LOADER_TIMEOUT: [504, 'The query took too long'],
}

const INTERNAL = 'TIDEMARK_INTERNAL'

/** What a client is told of an error. Errors that are not ours are told by nothing but that they happened. */
export function problemOf(error: unknown, requestId?: string): Problem {
  const known = error instanceof TidemarkError && Object.hasOwn(STATUSES, error.code) ? error : undefined
  const code = known?.code ?? INTERNAL
  const [status, title] = STATUSES[code] ?? [500, 'The server failed']
  return {
    type: `/docs/errors.md#${code.toLowerCase()}`,
    title,
    status,
    code,
    detail: known?.message ?? "This is a fault of the server's, or of its application. Its log says more.",
    ...(requestId === undefined ? {} : { requestId }),
    ...errorsOf(known),
    ...(known instanceof RequestedSqlError && known.sqlState !== undefined ? { sqlState: known.sqlState } : {}),
    ...(known instanceof RequestedSqlError && known.place !== undefined ? { place: known.place } : {}),
  }
}

function errorsOf(error: TidemarkError | undefined): Pick<Problem, 'errors'> {
  if (error instanceof ParameterError) return { errors: error.problems }
  if (error instanceof TreeSchemaError)
    return { errors: error.problems.map(({ path, message }) => ({ pointer: path, message })) }
  if (error instanceof TreeValueError && error.path !== undefined)
    return { errors: [{ pointer: error.path, message: error.message }] }
  // The operation that cannot be done, in the patch that was sent.
  if (error instanceof TreePatchError) return { errors: [{ pointer: `/${error.operation}`, message: error.message }] }
  return {}
}

/** Whether asking again will not mend it: the fault lies in the request. */
export function isFinal(error: unknown): boolean {
  const { status } = problemOf(error)
  return status < 500 && status !== 429
}
