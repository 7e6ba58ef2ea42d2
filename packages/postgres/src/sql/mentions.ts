import type { A_Const, A_Expr, ColumnRef, FuncCall, Node, RangeFunction, RangeVar, TypeName } from './ast.js'
import { as, strings, walk } from './ast.js'
import { cteReferences } from './cte-names.js'

/** A name as SQL has it: with its schema, or to be found by the search path. */
export interface Name {
  readonly schema: string | undefined
  readonly name: string
}

/** A call of a function. `args` is undefined where the number of its arguments is not plain (VARIADIC, WITHIN GROUP). */
export interface Call extends Name {
  readonly args: number | undefined
}

/**
 * Everything that a statement mentions, anywhere in it. This is the net below the analysis: whatever the analysis does not
 * understand was mentioned, and what was mentioned is looked up.
 */
export interface Mentions {
  readonly relations: readonly Name[]
  readonly functions: readonly Call[]
  readonly operators: readonly string[]
  /** Names behind a dot: a column, or a function called as one (`p.full_name`). */
  readonly attributes: readonly string[]
  /** Those of them whose left side may be a value that is no row: there, too, a function may be meant (`g.half` of `generate_series(1, 3) g`). */
  readonly valueAttributes: readonly string[]
  /** CURRENT_DATE, CURRENT_USER … by the parser's names. */
  readonly valueFunctions: ReadonlySet<string>
  /** Constants that PostgreSQL may read as a moment: 'now', 'today' … */
  readonly momentConstants: ReadonlySet<A_Const>
  /** How many parameters there are. */
  readonly parameters: number
  readonly hasSample: boolean
  /** System columns that change without a change of the row: by VACUUM FULL, or by a lock. */
  readonly places: ReadonlySet<string>
  /** A data-modifying statement, SELECT INTO or a row lock, at any depth. */
  readonly hasWrites: boolean
  /** Types that are named anywhere, most of them as what something is cast to. */
  readonly types: readonly Name[]
}

/** Where a row lies, and who locks it: nothing in the log tells that these changed. */
const PLACES = new Set(['ctid', 'cmin', 'cmax', 'xmax'])

/** What comparisons use without naming it: USING, CASE, IN, ORDER BY, BETWEEN. */
const IMPLICIT_OPERATORS = ['=', '<>', '<', '>', '<=', '>=']
const WRITES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'IntoClause', 'LockingClause'])
const MOMENT = /(^|[^a-z])(now|today|tomorrow|yesterday)([^a-z]|$)/i

/** Says whether PostgreSQL may read this text as a moment that depends on when it is read. */
export function namesMoment(text: string): boolean {
  return MOMENT.test(text)
}

export function mentionsOf(statements: readonly Node[]): Mentions {
  const named = new Set<RangeVar>()
  const functions = new Map<string, Call>()
  const operators = new Set(IMPLICIT_OPERATORS)
  const attributes = new Set<string>()
  const valueAttributes = new Set<string>()
  const qualified: (readonly string[])[] = []
  const called = new Set<string | undefined>()
  const valueFunctions = new Set<string>()
  const momentConstants = new Set<A_Const>()
  const types = new Map<string, Name>()
  let parameters = 0
  let hasSample = false
  let hasWrites = false
  let hasCtes = false
  walk(statements, (tag, content) => {
    switch (tag) {
      case 'RangeVar':
        named.add(content as RangeVar)
        break
      case 'FuncCall':
        addCall(functions, content as FuncCall)
        break
      case 'A_Expr':
        addLast(operators, strings((content as A_Expr).name))
        break
      case 'SubLink':
        addLast(operators, strings((content as { operName?: Node[] }).operName))
        break
      case 'SortBy':
        addLast(operators, strings((content as { useOp?: Node[] }).useOp))
        break
      case 'ColumnRef':
        addAttributes(attributes, strings((content as ColumnRef).fields).slice(1))
        qualified.push(strings((content as ColumnRef).fields))
        break
      case 'A_Indirection':
        addAttributes(attributes, strings((content as { indirection?: Node[] }).indirection))
        addAttributes(valueAttributes, strings((content as { indirection?: Node[] }).indirection))
        break
      case 'RangeFunction':
        for (const name of namesOfFunctions(content as RangeFunction)) called.add(name)
        break
      case 'SQLValueFunction':
        valueFunctions.add((content as { op?: string }).op ?? '')
        break
      case 'A_Const':
        if (namesMoment((content as A_Const).sval?.sval ?? '')) momentConstants.add(content as A_Const)
        break
      case 'ParamRef':
        parameters = Math.max(parameters, (content as { number?: number }).number ?? 0)
        break
      case 'TypeName':
        add(types, nameOfParts(strings((content as TypeName).names)))
        break
      case 'RangeTableSample':
        hasSample = true
        break
      default:
        hasWrites ||= WRITES.has(tag)
    }
    // INTO stands in its SELECT without its kind.
    if ('intoClause' in content) hasWrites = true
    if ('withClause' in content) hasCtes = true
  })
  for (const [qualifier, ...names] of qualified) if (called.has(qualifier)) addAttributes(valueAttributes, names)
  const columns = qualified.map((names) => names.at(-1) ?? '')
  const places = new Set([...columns, ...attributes].filter((name) => PLACES.has(name)))
  const relations = new Map<string, Name>()
  const ctes = hasCtes ? cteReferences(statements) : undefined
  for (const place of named) if (!ctes?.has(place)) add(relations, nameOfRelation(place))
  return {
    relations: [...relations.values()],
    functions: [...functions.values()],
    operators: [...operators],
    attributes: [...attributes],
    valueAttributes: [...valueAttributes],
    valueFunctions,
    momentConstants,
    parameters,
    hasSample,
    places,
    hasWrites,
    types: [...types.values()],
  }
}

export function nameOfRelation(relation: RangeVar): Name {
  return { schema: relation.schemaname, name: relation.relname ?? '' }
}

/** `a.b` or `b`; of longer names the last two parts count. */
export function nameOfParts(parts: readonly string[]): Name {
  return { schema: parts.at(-2), name: parts.at(-1) ?? '' }
}

export function callOf({ funcname, args = [], func_variadic, agg_within_group }: FuncCall): Call {
  return { ...nameOfParts(strings(funcname)), args: func_variadic || agg_within_group ? undefined : args.length }
}

/** The name as SQL text, each part quoted: also the key by which facts are found. */
export function quoted(name: Name): string {
  return name.schema === undefined ? quote(name.name) : `${quote(name.schema)}.${quote(name.name)}`
}

function quote(part: string): string {
  return `"${part.replaceAll('"', '""')}"`
}

/** What a function in FROM may be called. */
function namesOfFunctions({ alias, functions = [] }: RangeFunction): (string | undefined)[] {
  if (alias) return [alias.aliasname]
  return functions.map((item) => strings(as('FuncCall', as('List', item)?.items?.[0])?.funcname).at(-1))
}

function add(names: Map<string, Name>, name: Name): void {
  names.set(quoted(name), name)
}

function addCall(calls: Map<string, Call>, node: FuncCall): void {
  const call = callOf(node)
  calls.set(`${quoted(call)} ${call.args}`, call)
}

function addLast(names: Set<string>, parts: readonly string[]): void {
  const last = parts.at(-1)
  if (last !== undefined) names.add(last)
}

function addAttributes(names: Set<string>, parts: readonly string[]): void {
  for (const part of parts) names.add(part)
}
