import { z } from 'zod'
import { ParameterError, type ParameterProblem } from '../errors.js'

/** What a subscription tells: values, what leads from one to the next, or values as JSON's text, with all digits and members in order. */
export type As = 'value' | 'patch' | 'text'

/** What a client asks to follow. */
export type Wanted = NodesWanted | ResourceWanted

export interface NodesWanted {
  readonly kind: 'nodes'
  readonly tenant: string
  readonly config: string
  /** A JSON Pointer, with wildcards or without. */
  readonly path: string
  /** Whether `*` and `**` in the path are names like any other. */
  readonly exact: boolean
  readonly as: As
  readonly from: string | undefined
}

export interface ResourceWanted {
  readonly kind: 'resource'
  readonly resource: string
  /** As a query has them. */
  readonly parameters: Readonly<Record<string, string>>
  readonly as: Exclude<As, 'patch'>
  readonly from: string | undefined
}

const NAME_MAX = 256
const PATH_MAX = 8_000
const ID_MAX = 300
const PARAMETERS_MAX = 100
/** Of what is wrong, and of each. */
const PROBLEMS_MAX = 20
const TOLD_MAX = 100

const name = z.string('must be text').min(1, 'must not be empty').max(NAME_MAX, `has at most ${NAME_MAX} characters`)
const from = z.string('must be the `id` of what was told last').max(ID_MAX).nullish()

const nodesSchema = z.strictObject({
  tenant: name,
  config: name,
  path: z.string('must be a JSON Pointer, as text').max(PATH_MAX, `has at most ${PATH_MAX} characters`).default(''),
  exact: z.boolean('must be true or false').default(false),
  as: z.enum(['value', 'patch', 'text'], 'must be value, patch or text').default('value'),
  from,
})

const resourceSchema = z.strictObject({
  resource: name,
  parameters: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()], 'must be text, a number, true or false'))
    .refine((all) => Object.keys(all).length <= PARAMETERS_MAX, `has at most ${PARAMETERS_MAX} members`)
    .default({}),
  as: z.enum(['value', 'text'], 'must be value or text').default('value'),
  from,
})

const unsubscribeSchema = z.strictObject({ subscription: name })

/** Reads what a client sends with `subscribe`, whatever that is. @throws ParameterError (`TIDEMARK_PARAMETER`) */
export function readSubscribe(input: unknown): Wanted {
  if (isObject(input) && Object.hasOwn(input, 'resource')) {
    const { resource, parameters, as, from: last } = checked(resourceSchema, input)
    const texts = Object.entries(parameters).map(([key, value]) => [key, String(value)] as const)
    return { kind: 'resource', resource, parameters: Object.fromEntries(texts), as, from: last ?? undefined }
  }
  const { from: last, ...wanted } = checked(nodesSchema, input)
  return { kind: 'nodes', ...wanted, from: last ?? undefined }
}

/** The subscription that a client no longer wants. @throws ParameterError (`TIDEMARK_PARAMETER`) */
export function readUnsubscribe(input: unknown): string {
  return checked(unsubscribeSchema, input).subscription
}

/** What fits the schema. @throws ParameterError (`TIDEMARK_PARAMETER`) */
export function checked<Output>(schema: z.ZodType<Output>, input: unknown): Output {
  if (!isObject(input)) throw new ParameterError([{ parameter: 'message', message: 'must be an object' }])
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  throw new ParameterError(
    parsed.error.issues.slice(0, PROBLEMS_MAX).flatMap((issue) => {
      if (issue.code === 'unrecognized_keys')
        return issue.keys.slice(0, PROBLEMS_MAX).map((key) => problem(key, 'is not a parameter here'))
      return [problem(issue.path.map(String).join('.'), issue.message)]
    }),
  )
}

function problem(parameter: string, message: string): ParameterProblem {
  return { parameter: parameter.slice(0, TOLD_MAX) || 'message', message: message.slice(0, TOLD_MAX) }
}

function isObject(input: unknown): input is object {
  return typeof input === 'object' && input !== null && !Array.isArray(input)
}
