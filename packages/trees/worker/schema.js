// The thread that compares trees with JSON Schemas (2020-12), as src/schema-thread.ts asks: a schema is somebody's input, and may ask for
// more than can ever be done. Plain JavaScript, as it runs beside the sources in tests and beside the build.
import { parentPort } from 'node:worker_threads'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { RE2JS } from 're2js'

/** Compiled schemas are kept: compiling takes milliseconds. */
const KEPT_MAX = 100
/** So many problems of a tree are named. */
const NAMED_MAX = 20

/** @type {Map<string, import('ajv').ValidateFunction>} */
const compiled = new Map()

/** Patterns run in linear time, whatever they are. */
const regExp = Object.assign(
  (/** @type {string} */ pattern) => {
    const expression = RE2JS.compile(pattern)
    // Its text tells one from another.
    return { test: (/** @type {string} */ text) => expression.matcher(text).find(), toString: () => pattern }
  },
  { code: '' },
)

/** @param {string} schema */
function compile(schema) {
  const known = compiled.get(schema)
  if (known) return known
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false, code: { regExp } })
  const validate = ajv.compile(JSON.parse(schema))
  if (compiled.size >= KEPT_MAX) compiled.delete(compiled.keys().next().value)
  compiled.set(schema, validate)
  return validate
}

/**
 * @param {string} schema
 * @param {string | undefined} json  undefined: whether the schema is one is all that is asked
 * @returns what src/schema-thread.ts calls a verdict
 */
function judge(schema, json) {
  let validate
  try {
    validate = compile(schema)
  } catch (error) {
    return isStackSpent(error) ? { kind: 'endless' } : { kind: 'no-schema', message: error.message }
  }
  if (json === undefined) return { kind: 'right' }
  try {
    if (validate(JSON.parse(json))) return { kind: 'right' }
  } catch (error) {
    if (isStackSpent(error)) return { kind: 'endless' }
    throw error
  }
  const errors = validate.errors ?? []
  const problems = errors.slice(0, NAMED_MAX).map(({ instancePath, message = 'is wrong', params }) => ({
    path: instancePath,
    message: 'additionalProperty' in params ? `${message}: "${String(params.additionalProperty)}"` : message,
  }))
  return { kind: 'wrong', problems }
}

/** @param {unknown} error */
function isStackSpent(error) {
  return error instanceof RangeError
}

parentPort.on('message', ({ schema, json }) => parentPort.postMessage(judge(schema, json)))
parentPort.postMessage('ready')
