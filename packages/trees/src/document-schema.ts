import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { RE2JS } from 're2js'
import { TreeSchemaError, TreeValueError } from './errors.js'

/** Compiled schemas are kept: compiling takes milliseconds. */
const KEPT_MAX = 100
const compiled = new Map<string, ValidateFunction>()

/**
 * Compares a tree with a JSON Schema (2020-12).
 *
 * @param schema  JSON's text
 * @param tree    a JavaScript value
 * @throws TreeSchemaError (`TIDEMARK_TREE_SCHEMA`) that names the nodes that are wrong; TreeValueError if the schema is none
 */
export function checkSchema(schema: string, tree: unknown): void {
  const validate = compile(schema)
  if (validate(tree)) return
  const problems = (validate.errors ?? []).slice(0, 20).map(({ instancePath, message = 'is wrong', params }) => ({
    path: instancePath,
    message: 'additionalProperty' in params ? `${message}: "${String(params['additionalProperty'])}"` : message,
  }))
  const [first] = problems
  throw new TreeSchemaError(
    `The config would not be what its schema says: "${first?.path ?? ''}" ${first?.message ?? 'is wrong'}${problems.length > 1 ? `, and ${problems.length - 1} more` : ''}.`,
    problems,
  )
}

/** @throws TreeValueError (`TIDEMARK_TREE_VALUE`) if it is no JSON Schema */
export function compile(schema: string): ValidateFunction {
  const known = compiled.get(schema)
  if (known) return known
  let validate: ValidateFunction
  try {
    validate = new Ajv2020({ allErrors: true, strict: false, validateFormats: false, code: { regExp } }).compile(
      JSON.parse(schema) as object,
    )
  } catch (error) {
    throw new TreeValueError(`The schema is no JSON Schema (2020-12). ${(error as Error).message}`, undefined, {
      cause: error,
    })
  }
  if (compiled.size >= KEPT_MAX) compiled.delete(compiled.keys().next().value!)
  compiled.set(schema, validate)
  return validate
}

/** Patterns run in linear time, whatever they are: a schema is somebody's input. */
const regExp = Object.assign(
  (pattern: string) => {
    const expression = RE2JS.compile(pattern)
    // Its text tells one from another.
    return { test: (text: string) => expression.matcher(text).find(), toString: () => pattern }
  },
  { code: '' },
)
