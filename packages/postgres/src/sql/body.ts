import type { FuncCall, Node, SelectStmt } from './ast.js'
import { as, strings } from './ast.js'
import type { Facts, NamedTypes } from './catalogue.js'
import type { FunctionCode, FunctionFact } from './function-facts.js'
import { type Call, callOf, type Mentions, mentionsOf } from './mentions.js'
import { withTypes } from './named-types.js'
import { parseSql } from './parse.js'

/** What a call of a function of one's own runs, where that can be looked into: one SELECT. */
export interface Body {
  readonly fact: FunctionFact
  readonly code: FunctionCode
  /** Its parameters (`$1`) stand in it as columns of `PARAMETERS`, the columns of its answer have names, and of several rows that one value is made of the first counts. */
  readonly select: SelectStmt
  readonly statement: Node
  readonly mentions: Mentions
  /** What stands for an argument that is left out, by parameter. */
  readonly defaults: readonly (Node | undefined)[]
}

/** The qualifier by which a body's parameters are told from all that SQL can name. */
export const PARAMETERS = '\0'

/** The name of a parameter, from 1. */
export function parameterName(number: number): string {
  return `$${number}`
}

const bodies = new WeakMap<FunctionFact, Body | string>()

/** The body of what is called, if only one function can be meant, and that can be looked into. */
export function bodyOf(call: Call, facts: Facts): Body | undefined {
  const found = lookInto(call, facts)
  return typeof found === 'string' ? undefined : found
}

export function bodyOfCall(call: FuncCall, facts: Facts): Body | undefined {
  return bodyOf(callOf(call), facts)
}

/** Why a call is not looked into: what the function is. Empty where there is nothing to look into. */
export function obstacleOf(call: Call, facts: Facts): string {
  const found = lookInto(call, facts)
  return typeof found === 'string' ? found : ''
}

/** What may be computed for arguments that a call of so many leaves out. */
export function defaultsOf({ defaults, code }: Body, args: number): readonly Node[] {
  return args < code.parameters.length ? defaults.flatMap((each) => each ?? []) : []
}

function lookInto({ schema, name, args }: Call, { functions, isCatalogFirst, types }: Facts): Body | string {
  const named = functions.filter((each) => each.name === name && (schema ? each.schema === schema : each.isInPath))
  const meant = args === undefined ? named : named.filter((each) => each.argsMin <= args && args <= each.argsMax)
  const [fact] = meant
  if (!fact?.code) return ''
  if (meant.length > 1) return 'which may be one of several'
  if (args === undefined || !isCatalogFirst) return 'which is called in a special way'
  const known = bodies.get(fact) ?? readBody(fact, fact.code, types)
  bodies.set(fact, known)
  return known
}

function readBody(fact: FunctionFact, code: FunctionCode, types: NamedTypes): Body | string {
  if (code.obstacle !== null || code.definition === null) return code.obstacle ?? ''
  try {
    const parsed = parseSql(code.definition)
    const made = 'tooDeep' in parsed ? undefined : as('CreateFunctionStmt', parsed.statements[0])
    const statement = made && statementIn(made)
    if (!statement) return 'which is more than one SELECT'
    const mentions = mentionsOf([statement])
    if (mentions.hasWrites) return 'which writes'
    if (code.hasOwnPath && mentions.relations.some(({ schema }) => schema === undefined))
      return 'which has settings of its own, and names a table without its schema'
    const written = code.isSet ? statement.SelectStmt : firstRow(statement.SelectStmt)
    const select = named(withParameters(withTypes(written, types)))
    const inputs = (made.parameters ?? []).flatMap((node) => as('FunctionParameter', node) ?? [])
    const defaults = inputs
      .filter(({ mode }) => mode !== 'FUNC_PARAM_OUT' && mode !== 'FUNC_PARAM_TABLE')
      .map(({ defexpr }) => withTypes(defexpr, types))
    return { fact, code, select, statement: { SelectStmt: select }, mentions, defaults }
  } catch {
    // What can't be parsed is left to the server.
    return 'whose text does not parse'
  }
}

function statementIn(made: { options?: Node[]; sql_body?: Node }): { SelectStmt: SelectStmt } | undefined {
  const body = made.sql_body && statementsIn(made.sql_body)
  const text = made.options?.map((node) => as('DefElem', node)).find((option) => option?.defname === 'as')?.arg
  const source = strings(as('List', text)?.items)[0]
  const parsed = body ? { statements: body } : source === undefined ? undefined : parseSql(source)
  if (!parsed || 'tooDeep' in parsed || parsed.statements.length !== 1) return undefined
  const returned = as('ReturnStmt', parsed.statements[0])?.returnval
  if (returned) return { SelectStmt: { targetList: [{ ResTarget: { val: returned } }] } as SelectStmt }
  const select = as('SelectStmt', parsed.statements[0])
  return select && { SelectStmt: select }
}

/** BEGIN ATOMIC has a list of lists of statements, RETURN is one. */
function statementsIn(body: Node): readonly Node[] {
  const items = as('List', body)?.items
  return items ? items.flatMap(statementsIn) : [body]
}

/** Of several rows the first counts; what answers with a subquery answers what that does. */
function firstRow(select: SelectStmt): SelectStmt {
  const { fromClause, whereClause, targetList, op, limitCount } = select
  const isAlone = !fromClause && !whereClause && targetList?.length === 1
  const link = isAlone ? as('SubLink', as('ResTarget', targetList[0])?.val) : undefined
  const inner = link?.subLinkType === 'EXPR_SUBLINK' ? as('SelectStmt', link.subselect) : undefined
  if (inner && !select.withClause && !select.limitOffset && !limitCount) return firstRow(inner)
  const isOne = isAlone && (op === undefined || op === 'SETOP_NONE')
  return limitCount || isOne ? select : { ...select, limitCount: { A_Const: { ival: { ival: 1 } } } }
}

function withParameters<T>(tree: T): T {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) return tree.map(withParameters) as T
  const number = as('ParamRef', tree as unknown as Node)?.number
  if (number !== undefined) return parameterReference(number) as T
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, withParameters(value)])) as T
}

function parameterReference(number: number): Node {
  const fields = [PARAMETERS, parameterName(number)].map((sval): Node => ({ String: { sval } }))
  return { ColumnRef: { fields } }
}

/** The caller knows the columns by their places, so any name will do where the SELECT gives none. */
function named(select: SelectStmt): SelectStmt {
  const { larg, rarg, targetList } = select
  if (larg && rarg) return { ...select, larg: named(larg), rarg: named(rarg) }
  const targets = targetList?.map((node, index): Node => {
    const target = as('ResTarget', node)
    const last = as('ColumnRef', target?.val)?.fields ?? as('A_Indirection', target?.val)?.indirection
    const isStar = as('A_Star', last?.at(-1)) !== undefined
    return target && !target.name && !isStar ? { ResTarget: { ...target, name: `\0${index}` } } : node
  })
  return targets ? { ...select, targetList: targets } : select
}
