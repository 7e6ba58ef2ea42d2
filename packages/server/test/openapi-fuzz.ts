import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import type { Action } from '../src/access/action.js'

/** A JSON Schema, as far as the API's document uses it. */
interface Schema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
}

interface Content {
  readonly schema?: Schema
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}

interface Described {
  readonly content?: Readonly<Record<string, Content>>
  readonly headers?: Readonly<Record<string, unknown>>
}

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly schema: Schema
  readonly example?: unknown
}

/** One operation of the API's document. */
export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly action: Action
  readonly parameters: readonly Parameter[]
  readonly body: Readonly<Record<string, Content>>
  readonly responses: Readonly<Record<string, Described>>
  readonly isStream: boolean
}

/** What is sent. */
export interface Sent {
  readonly method: Operation['method']
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload?: string
}

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

export function operationsOf(document: { readonly paths: object }): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Record<string, unknown>>).map(([method, operation]) => ({
      method: method.toUpperCase() as Operation['method'],
      path,
      action: operation['x-tidemark-action'] as Action,
      parameters: (operation['parameters'] ?? []) as Parameter[],
      body: (operation['requestBody'] as Described | undefined)?.content ?? {},
      responses: operation['responses'] as Operation['responses'],
      isStream: JSON.stringify(operation['responses']).includes('text/event-stream'),
    })),
  )
}

// ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────

/** What the document's examples say: one for each type and example of the body. @param others  in the place of examples, or added */
export function examplesOf(operation: Operation, others: Readonly<Record<string, unknown>> = {}): Sent[] {
  const parameters = operation.parameters.filter(({ example }) => example !== undefined)
  const examples = Object.fromEntries(parameters.map((each) => [`${each.in} ${each.name}`, each.example]))
  const given = { ...examples, ...others }
  const bodies = Object.entries(operation.body).flatMap(([type, { example, examples = {} }]) => {
    const values = example === undefined ? Object.values(examples).map(({ value }) => value) : [example]
    return values.map((value) => ({ type, text: JSON.stringify(value) }))
  })
  return (bodies.length > 0 ? bodies : [undefined]).map((body) => sentOf(operation, given, body))
}

/** Examples in which one parameter after the other is this text. */
export function spoiltOf(operation: Operation, text: string): Sent[] {
  return operation.parameters.flatMap((each) => examplesOf(operation, { [`${each.in} ${each.name}`]: text }))
}

/** Missing, wrong, huge, hostile, and right. */
export function requestOf(operation: Operation): fc.Arbitrary<Sent> {
  const given = fc.record(
    Object.fromEntries(
      operation.parameters.map((each) => [
        `${each.in} ${each.name}`,
        fc.oneof(
          { weight: 3, arbitrary: fc.constant(each.example ?? 'T1') },
          { weight: 4, arbitrary: wantedOf(each.schema) },
          { weight: 2, arbitrary: hostile },
        ),
      ]),
    ),
    { requiredKeys: [] },
  )
  const surplus = fc.option(fc.tuple(hostile, hostile), { freq: 20, nil: undefined })
  return fc.tuple(given, bodyOf(operation), surplus).map(([parameters, body, extra]) => {
    const sent = sentOf(operation, withPlaces(operation, parameters), body)
    if (extra === undefined) return sent
    return { ...sent, url: `${sent.url}&${encoded(extra[0])}=${encoded(extra[1])}` }
  })
}

function bodyOf({ body, method }: Operation): fc.Arbitrary<{ type: string; text: string } | undefined> {
  if (method === 'GET') return fc.constant(undefined)
  const types = Object.entries(body)
  if (types.length === 0) return fc.constant(undefined)
  return fc.constantFrom(...types).chain(([type, content]) => {
    const examples = examplesIn(content)
    const values = fc.oneof(
      { weight: 6, arbitrary: wantedOf(content.schema ?? {}) },
      ...examples.map((example) => ({ weight: 2, arbitrary: spoilt(example) })),
      { weight: 1, arbitrary: odd },
    )
    const texts = fc.oneof(
      { weight: 20, arbitrary: values.map((value) => JSON.stringify(value) ?? 'null') },
      { weight: 1, arbitrary: hostile },
    )
    const types = fc.oneof(
      { weight: 20, arbitrary: fc.constant(type) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('text/plain', 'multipart/form-data', 'application/json; charset=utf-16'),
      },
    )
    return fc.record({ type: types, text: texts })
  })
}

function examplesIn({ example, examples = {} }: Content): unknown[] {
  return example === undefined ? Object.values(examples).map(({ value }) => value) : [example]
}

/** One of an example's members is something else, or is missing. */
function spoilt(example: unknown): fc.Arbitrary<unknown> {
  if (typeof example !== 'object' || example === null || Array.isArray(example)) return fc.constant(example)
  return fc
    .tuple(fc.constantFrom(...Object.keys(example), 'surplus'), odd, fc.integer({ min: 0, max: 3 }))
    .map(([name, value, which]) => (which === 0 ? { ...example, [name]: value } : example))
}

/** What begins an URL must be there. */
function withPlaces({ parameters }: Operation, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const places = parameters.filter((each) => each.in === 'path')
  return { ...Object.fromEntries(places.map(({ name, example }) => [`path ${name}`, example ?? 'x'])), ...given }
}

function sentOf(
  { method, path, parameters }: Operation,
  given: Readonly<Record<string, unknown>>,
  body: { readonly type: string; readonly text: string } | undefined,
): Sent {
  const of = (place: Parameter['in']) =>
    parameters.filter((each) => each.in === place && given[`${place} ${each.name}`] !== undefined)
  const placed = path.replace(/\{([^}]+)\}/g, (_, name: string) => encoded(given[`path ${name}`] ?? 'x'))
  const query = of('query').map(({ name }) => `${encoded(name)}=${encoded(given[`query ${name}`])}`)
  // What no HTTP client can send is left out.
  const headers = of('header')
    .map(({ name }) => [name, textOf(given[`header ${name}`])] as const)
    .filter(([, text]) => /^[\t\x20-\x7e]*$/.test(text))
  return {
    method,
    url: `${placed}?${query.join('&')}`,
    headers: { ...Object.fromEntries(headers), ...(body ? { 'content-type': body.type } : {}) },
    ...(body ? { payload: body.text } : {}),
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

function encoded(value: unknown): string {
  const text = textOf(value)
  return text.isWellFormed() ? encodeURIComponent(text) : '%ff%zz'
}

/** Texts that did harm somewhere. */
export const hostile: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    '*',
    '**********a',
    '[',
    '(a+)+$',
    '(?=a)',
    '\\',
    '..',
    '../../etc/passwd',
    '%00',
    'a\u0000b',
    'a\r\nset-cookie: x=1',
    '\ud800',
    '__proto__',
    'constructor',
    "'; drop table posts; --",
    '<script>alert(1)</script>',
    '=cmd|calc',
    '{{7*7}}',
    '~nodes',
    '~',
    '/a~2',
    '😀'.repeat(300),
    'x'.repeat(1_024),
    'x'.repeat(5_000),
    '1e400',
    '-1',
    'NaN',
    '9007199254740993',
    '0/1',
    'fake-1:FFFFFFFF/FFFFFFFF',
    '"',
    'W/"x"',
  ),
  fc.string({ unit: 'binary', maxLength: 50 }),
)

/** What nobody expects in a body. */
const odd: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostile },
  { weight: 4, arbitrary: fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null)) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 10_001 }, String)) },
  { weight: 1, arbitrary: fc.constantFrom('{"__proto__":{"x":1}}', '{"$ref":"#"}').map((text) => JSON.parse(text)) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3_000 }).map(nested) },
)

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

/** Mostly what a schema asks for. */
function wantedOf(schema: Schema, depth = 0): fc.Arbitrary<unknown> {
  const right = rightOf(schema, depth)
  return depth === 0 ? right : fc.oneof({ weight: 20, arbitrary: right }, { weight: 1, arbitrary: odd })
}

function rightOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const some = schema.anyOf ?? schema.oneOf
  if (some) return fc.oneof(...some.map((each) => rightOf(each, depth)))
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (typeof schema.type === 'object')
    return fc.oneof(...schema.type.map((type) => rightOf({ ...schema, type }, depth)))
  switch (schema.type) {
    case 'string':
      return stringOf(schema)
    case 'integer':
      return fc.integer({
        min: Math.max(schema.minimum ?? -9, -(2 ** 31)),
        max: Math.min(schema.maximum ?? 99, 2 ** 31 - 1),
      })
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array': {
      const { items = {}, minItems: minLength = 0, maxItems = 4 } = schema
      return fc.array(wantedOf(items, depth + 1), { minLength, maxLength: Math.max(minLength, Math.min(4, maxItems)) })
    }
    case 'object': {
      const members: Record<string, fc.Arbitrary<unknown>> = {}
      for (const [name, each] of Object.entries(schema.properties ?? {})) members[name] = wantedOf(each, depth + 1)
      return fc.record(members, { requiredKeys: [...(schema.required ?? [])] })
    }
    default:
      return fc.jsonValue({ maxDepth: 3 })
  }
}

const PLAIN = ['user:7', 'user:123', 'T1', 'C1', 'posts', 'req-100', '/theme', 'users', '1']

function stringOf({ format, pattern, minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<string> {
  if (format === 'date-time')
    return fc.date({ noInvalidDate: true, min: new Date(0) }).map((date) => date.toISOString())
  if (pattern !== undefined) {
    const fitting = PLAIN.filter((text) => new RegExp(pattern).test(text))
    const any = fc.stringMatching(new RegExp(pattern))
    return fitting.length > 0 ? fc.oneof(fc.constantFrom(...fitting), any) : any
  }
  const plain = fc.constantFrom(...PLAIN)
  const unit = fc.constantFrom('a', 'b', ':', '/', '*', '1', 'é', '😀', ' ')
  return fc.oneof(plain, fc.string({ unit, minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)) }))
}

// ── what is answered ─────────────────────────────────────────────────────────────────────────────────────

/** What answers of all routes may say, which the document does not repeat. */
const COMMON = new Set(
  `content-type content-length date connection keep-alive transfer-encoding cache-control vary allow x-route
  x-content-type-options cross-origin-resource-policy referrer-policy x-frame-options content-security-policy
  x-accel-buffering`.split(/\s+/),
)

/** Says what is wrong with answers, by what the document says of an operation's. */
export class Judge {
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
  readonly #compiled = new Map<Schema, ValidateFunction>()

  /** @param operation  undefined: no route is there, or not with this method */
  faultsOf(operation: Operation | undefined, answer: Answered): string[] {
    const faults = answer.status >= 500 ? ['the server failed'] : []
    if (answer.status >= 400) faults.push(...problemFaults(answer))
    // Where a body cannot be read, that is said first.
    if (!operation) return answer.status >= 400 ? faults : [...faults, 'answered by no route']
    const { [answer.status]: exact, default: other } = operation.responses
    const described = exact ?? (answer.status >= 400 ? other : undefined)
    if (!described) return [...faults, 'a status that is not in the document']
    const said = Object.keys(described.headers ?? {}).map((name) => name.toLowerCase())
    const unsaid = Object.keys(answer.headers).filter((name) => !COMMON.has(name) && !said.includes(name))
    return [
      ...faults,
      ...unsaid.map((name) => `a header that is not in the document: ${name}`),
      ...this.#bodyFaults(described, answer),
    ]
  }

  #bodyFaults({ content }: Described, { headers, text }: Answered): string[] {
    const type = String(headers['content-type'] ?? '').split(';')[0]!
    if (!content) return text === '' ? [] : ['a body that is not in the document']
    const { schema } = content[type] ?? {}
    if (!schema) return [`a type that is not in the document: ${type}`]
    if (/event-stream|yaml|plain|csv/.test(type)) return []
    // Each line is one of the records of which the JSON has an array.
    const record = content['application/json']?.schema?.properties?.['records']?.items
    if (type === 'application/x-ndjson' && record)
      return text
        .split('\n')
        .filter(Boolean)
        .flatMap((line) => this.#valueFaults(record, parsed(line)))
    return this.#valueFaults(schema, parsed(text))
  }

  #valueFaults(schema: Schema, value: unknown): string[] {
    if (value === undefined) return ['a body that is no JSON']
    let validate = this.#compiled.get(schema)
    if (!validate) {
      validate = this.#ajv.compile(schema)
      this.#compiled.set(schema, validate)
    }
    return validate(value) ? [] : [this.#ajv.errorsText(validate.errors)]
  }
}

function problemFaults({ status, headers, text }: Answered): string[] {
  const faults: string[] = []
  if (!String(headers['content-type']).startsWith('application/problem+json'))
    faults.push('an error that is no problem')
  const problem = (parsed(text) ?? {}) as Record<string, unknown>
  if (problem['status'] !== status) faults.push('a problem of another status')
  if (!/^TIDEMARK_[A-Z_0-9]+$/.test(String(problem['code']))) faults.push('a problem without a code')
  if (problem['type'] !== `/docs/errors.md#${String(problem['code']).toLowerCase()}`)
    faults.push('a type that leads nowhere')
  if (!problem['title'] || !problem['detail']) faults.push('a problem that says nothing')
  if (/\/src\/|node_modules| at .*\.[jt]s:/.test(text)) faults.push('a problem that tells where the program lies')
  if ((status === 429 || status === 503) && headers['retry-after'] === undefined) faults.push('no Retry-After')
  if (status === 405 && headers['allow'] === undefined) faults.push('no Allow')
  if (status === 401 && headers['www-authenticate'] === undefined) faults.push('no WWW-Authenticate')
  return faults
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
