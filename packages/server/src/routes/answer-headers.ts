import type { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { ACTIONS, type Action } from '../access/action.js'

/** What an answer says beside its body, as the API's document has it. What every answer of every server says is not in it. */
const HEADERS = {
  'Tidemark-Position':
    'The place in the log as of which this holds: a later read that carries it is answered with nothing older',
  'Tidemark-Version': 'The version of the config in which the node was changed last',
  ETag: 'This value: If-None-Match asks for another one only, If-Match changes this one only',
  'Cache-Status': 'Whether it came out of the cache, from which tier, and how far it can be trusted (RFC 9211)',
  Age: 'Seconds since it was read at its source',
  'Content-Disposition': 'The name of the file, where a download was asked for',
  'Retry-After': 'With 429 and 503: seconds to wait',
  Location: 'Where the browser is sent',
  'Set-Cookie': 'What the browser keeps, or forgets',
  'WWW-Authenticate': 'With 401: how to say who asks',
  RateLimit: 'What is left of the limit, and when all of it is there again',
  'RateLimit-Policy': 'The limit',
} as const

export type AnswerHeader = keyof typeof HEADERS

/** Of a value out of the cache. */
export const VALUE_HEADERS = ['Tidemark-Position', 'ETag', 'Cache-Status', 'Age'] as const satisfies AnswerHeader[]

/** Of a node of a tree, and of an edit. */
export const NODE_HEADERS = [...VALUE_HEADERS, 'Tidemark-Version'] as const
export const EDIT_HEADERS = ['Tidemark-Position', 'ETag', 'Tidemark-Version'] as const satisfies AnswerHeader[]

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What its answers say beside what those of all routes do. */
    headers?: readonly AnswerHeader[]
  }
}

type Transform = typeof jsonSchemaTransform

/** Adds to what the API's document says of each route the headers of its answers. */
export function describeHeaders(describe: Transform): Transform {
  return (input) => {
    const { schema, url } = describe(input)
    const config = input.route.config as
      | { readonly action?: Action; readonly headers?: readonly AnswerHeader[] }
      | undefined
    const responses = schema?.['response'] as Record<string, object> | undefined
    if (!responses || config?.action === undefined) return { schema, url }
    const limits = ACTIONS[config.action].reach === 'open' ? [] : (['RateLimit', 'RateLimit-Policy'] as const)
    const own = [...(config.headers ?? []), ...limits]
    const described = Object.entries(responses).map(([status, response]) => {
      const names = status === 'default' ? ([...own, 'Retry-After', 'WWW-Authenticate'] as const) : own
      const headers = Object.fromEntries(names.map((name) => [name, { type: 'string', description: HEADERS[name] }]))
      return [status, names.length > 0 ? { ...response, headers } : response]
    })
    return { schema: { ...schema, response: Object.fromEntries(described) }, url }
  }
}
