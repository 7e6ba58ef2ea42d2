import type { FastifyRequest } from 'fastify'

/**
 * What is logged of requests and errors: the route and not the path, whose parameters are values and keys; of headers nothing;
 * of PostgreSQL's errors the code and what it names, not its words, which quote values.
 */
export const LOG_SERIALIZERS = {
  req: (request: FastifyRequest) => ({ method: request.method, route: request.routeOptions?.url ?? 'none' }),
  err: (error: unknown) => errorFields(error, 0),
}

const CAUSES_MAX = 5
const NAMED = ['severity', 'schema', 'table', 'column', 'constraint', 'routine'] as const

interface ErrorFields {
  readonly type: string
  readonly message: string
  readonly stack: string
  readonly [field: string]: unknown
}

function errorFields(error: unknown, depth: number): ErrorFields {
  if (!(error instanceof Error)) return { type: typeof error, message: 'What was thrown is no error.', stack: '' }
  const fields = error as Error & Readonly<Record<string, unknown>>
  const isOfPostgres = 'severity' in error
  return {
    type: error.name,
    message: isOfPostgres ? 'PostgreSQL refused it.' : error.message,
    stack: framesOf(error),
    ...(fields['code'] === undefined ? {} : { code: fields['code'] }),
    ...(isOfPostgres ? Object.fromEntries(NAMED.flatMap((name) => (name in error ? [[name, fields[name]]] : []))) : {}),
    ...(error.cause === undefined || depth === CAUSES_MAX ? {} : { cause: errorFields(error.cause, depth + 1) }),
  }
}

/** Without the first lines, which are the message. */
function framesOf({ stack = '' }: Error): string {
  return stack
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .join('\n')
}
