// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the variables of configuration files look like that
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, Scalar, visit } from 'yaml'
import type { ConfigProblem } from '../errors.js'
import { type Environment, maskVariables } from './variables.js'

export type Path = readonly (string | number)[]

/** A place in the file, from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A YAML file that was read, and where everything in it stands. */
export interface YamlDocument {
  /** The values, as plain data; undefined if the file is no YAML. */
  readonly value: unknown
  /** What is wrong with it as YAML, and with its variables. */
  readonly problems: readonly ConfigProblem[]
  /** Where a value stands, or the nearest thing above it that exists. */
  valueAt(path: Path): Place
  /** Where the key of a mapping's entry stands. */
  keyAt(path: Path): Place
  /** Where a place in a text value stands: `offset` in UTF-16 units. Falls back to the value's beginning. */
  within(path: Path, offset: number): Place
  /** The variables that the value has its text from. */
  variablesAt(path: Path): readonly string[]
  /** Whether the file has a value there. */
  has(path: Path): boolean
}

/** Paths whose variables may be unset: without a database's address the server starts its own. */
const OPTIONAL = new Set([
  'source.url',
  'source.directUrl',
  'source.slot',
  'l2.redis',
  'relay.redis',
  'relay.secret',
  'server.address',
])

/** Reads YAML. Never throws: everything that is wrong is in `problems`. */
export function readYaml(source: string, environment: Environment): YamlDocument {
  const lines = new LineCounter()
  const masked = maskVariables(source)
  const document = parseDocument(masked.text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const problems: ConfigProblem[] = [
    ...masked.malformed.map((at) => ({
      ...place(at),
      path: '',
      message: 'a variable has the form ${NAME} or ${NAME:-default}',
    })),
    ...document.errors.map((error) => ({
      ...place(error.pos[0]),
      path: '',
      message: `this is not YAML: ${sentence(error.message)}`,
    })),
  ]
  if (problems.length > 0)
    return {
      value: undefined,
      problems,
      valueAt: () => place(0),
      keyAt: () => place(0),
      within: () => place(0),
      variablesAt: () => [],
      has: () => false,
    }

  const variables = new Map<unknown, readonly string[]>()
  visit(document, {
    Scalar(key, scalar, ancestors) {
      if (typeof scalar.value !== 'string') return
      const { text, missing, refused, set } = masked.fill(scalar.value, environment)
      const path = pathOf(ancestors, scalar)
      if (text === scalar.value) return
      if (key === 'key')
        problems.push({ ...place(scalar.range?.[0] ?? 0), path, message: 'variables stand for values, not for names' })
      scalar.value = scalar.type === Scalar.PLAIN ? plainValue(text) : text
      variables.set(scalar, set)
      for (const message of refused) problems.push({ ...place(scalar.range?.[0] ?? 0), path, message })
      for (const name of OPTIONAL.has(path) ? [] : missing) {
        problems.push({
          ...place(scalar.range?.[0] ?? 0),
          path,
          message: `the variable ${name} is not set; set it, or give a default: \${${name}:-…}`,
        })
      }
    },
  })

  const find = (path: Path) => findNodes(document.contents, document, path)
  const valueAt = (path: Path) => place(find(path).value?.range?.[0] ?? 0)
  return {
    value: plainData(document, problems),
    problems,
    valueAt,
    keyAt: (path) => place((find(path).key ?? find(path).value)?.range?.[0] ?? 0),
    within(path, offset) {
      const node = find(path).value
      const start = valueAt(path)
      return (
        (isScalar(node) && typeof node.value === 'string' && placeInText(source, start.line, node.value, offset)) ||
        start
      )
    },
    variablesAt: (path) => variables.get(find(path).value) ?? [],
    has: (path) => document.hasIn(path),
  }
}

function plainData(document: ReturnType<typeof parseDocument>, problems: ConfigProblem[]): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch {
    problems.push({
      line: 1,
      column: 1,
      path: '',
      message: 'its aliases (*name) cannot be resolved; write the values out',
    })
    return undefined
  }
}

/** What a plain scalar means once its variables are filled in: `${PORT}` is a number if PORT is. */
function plainValue(text: string): string | number | boolean {
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  return text === 'true' || text === 'false' ? text === 'true' : text
}

function findNodes(
  contents: unknown,
  document: ReturnType<typeof parseDocument>,
  path: Path,
): { key?: Node; value?: Node } {
  let found: { key?: Node; value?: Node } = { value: contents as Node }
  for (const step of path) {
    const node = isAlias(found.value) ? found.value.resolve(document) : found.value
    if (isSeq(node)) found = { value: (node.items[Number(step)] ?? node) as Node }
    else if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step)
      if (!pair) return found
      found = { key: pair.key as Node, value: (pair.value ?? pair.key) as Node }
    } else return found
  }
  return found
}

function pathOf(ancestors: readonly unknown[], leaf: unknown): string {
  const keys = [...ancestors, leaf].map((node) => (node as { key?: unknown }).key).filter(isScalar)
  return keys.map((key) => String(key.value)).join('.')
}

/** Finds a line of a text value in the file's lines, from the line in which the value begins. */
function placeInText(source: string, from: number, text: string, offset: number): Place | undefined {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  const line = text.slice(lineStart).split('\n', 1)[0]!
  const indent = line.length - line.trimStart().length
  const lines = source.split(/\r\n|\n|\r/)
  for (let index = from - 1; index < lines.length && line.trim() !== ''; index += 1) {
    const column = lines[index]!.indexOf(line.trim())
    if (column !== -1) return { line: index + 1, column: column + Math.max(offset - lineStart - indent, 0) + 1 }
  }
  return undefined
}

function sentence(message: string): string {
  return message.split('\n', 1)[0]!.replace(/\.?$/, '')
}
