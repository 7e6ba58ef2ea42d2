import { STATUS_CODES } from 'node:http'
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { RateError } from '../access/errors.js'
import { ParameterError, type ParameterProblem, RequestError } from '../errors.js'
import { type Problem, problemOf } from '../problem.js'

/** Every error, of ours, of Fastify or of an application, is answered as a problem. */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply))
  app.setNotFoundHandler(() => {
    throw new RequestError(
      'TIDEMARK_NOT_FOUND',
      'There is nothing at this path. See /api/openapi.json for what there is.',
    )
  })
}

export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = withStatus(problemOf(understood(error), request.id), error)
  // Nobody is told of an answer that nobody waits for any more.
  if (problem.status >= 500 && problem.status !== 503 && !reply.raw.destroyed) logFailure(request.log, error, problem)
  return reply
    .code(problem.status)
    .headers({
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      ...retryAfter(problem, error),
      ...(problem.status === 401 ? { 'www-authenticate': 'Bearer realm="tidemark"' } : {}),
    })
    .send(JSON.stringify(problem))
}

/** What cannot be read as HTTP at all is answered on the bare socket. */
export function malformedAnswer(): string {
  const detail = 'This is not HTTP, its headers are too large, or it did not arrive in time.'
  return bareAnswer(new RequestError('TIDEMARK_REQUEST', detail))
}

/** `CONNECT`, which Node gives to nobody who answers: without a listener it closes the connection. */
export function connectAnswer(): string {
  return bareAnswer(new RequestError('TIDEMARK_METHOD', 'This is no proxy: CONNECT is not a method of any path here.'))
}

function bareAnswer(error: RequestError): string {
  const problem = problemOf(error)
  const body = JSON.stringify(problem)
  const head = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: application/problem+json\r\n`
  // RFC 9110 (15.5.6) wants them named; of no path in particular there are none.
  const allow = problem.status === 405 ? 'allow:\r\n' : ''
  return `${head}${allow}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
}

/** Fastify's errors in our words. */
function understood(error: FastifyError): unknown {
  if (hasZodFastifySchemaValidationErrors(error))
    return new ParameterError(parameterProblems(error.validation, error.validationContext), { cause: error })
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new RequestError('TIDEMARK_BODY_TOO_LARGE', 'The body is larger than the server reads. Send less.', {
        cause: error,
      })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new RequestError('TIDEMARK_MEDIA_TYPE', 'Send the body as application/json.', { cause: error })
    default:
      return isClientError(error)
        ? new RequestError('TIDEMARK_REQUEST', 'The request cannot be read: its URL, headers or body are malformed.', {
            cause: error,
          })
        : error
  }
}

function isClientError({ statusCode, code }: FastifyError): boolean {
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500 && !code?.startsWith('TIDEMARK_')
}

/** An application's own routes may say which of the 4xx it is. */
function withStatus(problem: Problem, error: FastifyError): Problem {
  const status = error.statusCode
  if (problem.code !== 'TIDEMARK_REQUEST' || status === undefined || status === 400) return problem
  return { ...problem, status, title: STATUS_CODES[status] ?? problem.title }
}

function parameterProblems(
  issues: readonly { instancePath: string; message?: string; keyword: string; params: Record<string, unknown> }[],
  whole = 'body',
): ParameterProblem[] {
  return issues.flatMap(({ instancePath, message, keyword, params }) => {
    const keys = params['keys']
    if (keyword === 'unrecognized_keys' && Array.isArray(keys)) {
      return keys.map((key) => ({ parameter: String(key).slice(0, 100), message: 'is not a parameter here' }))
    }
    return [{ parameter: instancePath.slice(1) || whole, message: message ?? 'cannot be used' }]
  })
}

function retryAfter({ status }: Problem, error: unknown): Record<string, string> {
  if (status !== 503 && status !== 429) return {}
  return { 'retry-after': String(error instanceof RateError ? Math.max(1, Math.ceil(error.retryInMs / 1_000)) : 1) }
}

/** PostgreSQL's own words and values stay in the log. */
function logFailure(log: FastifyBaseLogger, error: FastifyError, problem: Problem): void {
  log.error({ err: error, code: problem.code }, problem.title)
}
