import type { FuncCall, Node, TypeName } from './ast.js'
import { as } from './ast.js'
import { type Body, PARAMETERS, parameterName } from './body.js'
import { FIRST_OWN_OID } from './catalogue.js'
import { columnOf } from './conditions.js'
import type { TypeFact } from './function-facts.js'
import { castOf, valueIn } from './passed.js'
import type { BoundColumn, Level } from './scope.js'
import { passedKey } from './scope.js'
import { isHarmless, typeOf } from './values.js'

/** What a call passes to a function's body. */
export interface Passing {
  /** The level around the body: its parameters, by their names and numbers. */
  readonly level: Level
  /** All texts that are passed have the collation of their types, so that the body compares by its columns' own. */
  readonly isPlain: boolean
  /** A name with one argument may stand for a column of it (`title(p)`); it does not if the argument is a single value. */
  readonly isCall: boolean
}

/**
 * Binds a body's parameters to what a call passes: a value (of parameters and constants of the statement, cast as the function takes
 * it), or a column at the call. What is neither says nothing.
 *
 * @param level  what names mean at the call
 * @param types  type OIDs of the statement's parameters
 */
export function passTo(body: Body, call: FuncCall, level: Level | undefined, types: readonly number[]): Passing {
  const { fact, code } = body
  const given = argumentsOf(body, call)
  const bound = given.map((node, i) => bind(node, code.parameters[i]!.type, level ?? NOWHERE, types))
  const isPlain = bound.every((each, i) => code.parameters[i]!.type.collation === 0 || each?.isPlain === true)
  const columns = new Map<string, BoundColumn | undefined>()
  const numbered = new Map<string, BoundColumn | undefined>()
  const passed = new Map<string, Node>()
  for (const [index, { name, type }] of code.parameters.entries()) {
    const isKnown = isPlain || type.collation === 0
    const { value, column } = (isKnown ? bound[index] : undefined) ?? {}
    const number = parameterName(index + 1)
    numbered.set(number, column)
    if (name !== null) columns.set(name, column)
    const names = [[PARAMETERS, number], ...(name === null ? [] : [[name], [fact.name, name]])]
    if (value) for (const parts of names) passed.set(passedKey(parts), value)
  }
  const source = { schema: undefined, isComplete: true }
  const sources = [
    { ...source, name: PARAMETERS, columns: numbered },
    { ...source, name: fact.name, columns },
  ]
  const isOne = call.args?.length === 1 && call.funcname?.length === 1
  const isCall = !isOne || isNoRow(call.args![0], code.parameters[0]!.type, level ?? NOWHERE, types)
  return { level: { sources, merged: new Map(), outer: undefined, passed }, isPlain, isCall }
}

const NOWHERE: Level = { sources: [], merged: new Map(), outer: undefined }

/** By parameter: what is passed, or its default. */
function argumentsOf({ code, defaults }: Body, call: FuncCall): readonly (Node | undefined)[] {
  const given = new Map<number, Node>()
  for (const [index, node] of (call.args ?? []).entries()) {
    const named = as('NamedArgExpr', node)
    const place = named ? code.parameters.findIndex(({ name }) => name === named.name) : index
    given.set(place, named?.arg ?? node)
  }
  // Of a default nothing is taken but a value: other names in it mean nothing at the call.
  return code.parameters.map((_, i) => given.get(i) ?? (isValue(defaults[i]) ? defaults[i] : undefined))
}

interface Bound {
  readonly value?: Node
  readonly column?: BoundColumn
  readonly isPlain: boolean
}

function bind(node: Node | undefined, type: TypeFact, level: Level, types: readonly number[]): Bound | undefined {
  // A domain may have a collation, and checks, of its own.
  if (type.isDomain) return undefined
  const value = valueIn(node, level)
  if (value && isValue(value)) {
    const number = as('ParamRef', value)?.number
    if (number && types[number - 1] === type.oid) return { value, isPlain: isTypesOwn(type) }
    return { value: castTo(value, type), isPlain: isTypesOwn(type) && isBuiltIn(value) }
  }
  const column = columnOf(node, level)
  const from = column?.column
  if (!column || !from || from.kind === 'c' || (from.type !== type.oid && !isHarmless(from.type, type.oid)))
    return undefined
  return { column, isPlain: isTypesOwn(type) && from.collation === type.collation }
}

/** Whether an expression is certain not to be a row, unless the function takes one of its type. */
function isNoRow(node: Node | undefined, type: TypeFact, level: Level, types: readonly number[]): boolean {
  const value = valueIn(node, level)
  const cast = as('TypeCast', value)
  if (cast) return isValueOf(typeIn(cast.typeName) ?? FIRST_OWN_OID, type)
  const first = as('CoalesceExpr', value)?.args
  if (first) return first.every((each) => isNoRow(each, type, level, types))
  const number = as('ParamRef', value)?.number
  if (number) return isValueOf(types[number - 1] ?? FIRST_OWN_OID, type)
  if (as('A_Const', value) || as('A_Expr', value) || as('A_ArrayExpr', value)) return true
  const column = columnOf(value, level)?.column
  return column !== undefined && column.kind !== 'c'
}

function isValueOf(oid: number, { oid: taken, element }: TypeFact): boolean {
  return (oid > 0 && oid < FIRST_OWN_OID) || oid === taken || oid === element
}

const DEFAULT_COLLATION = 100

function isTypesOwn({ collation }: TypeFact): boolean {
  return collation === DEFAULT_COLLATION
}

/** Made of the statement's parameters and of constants alone: it means the same everywhere in the statement. */
function isValue(node: Node | undefined): boolean {
  const cast = as('TypeCast', node)
  if (cast) return isValue(cast.arg)
  const elements = as('A_ArrayExpr', node)?.elements
  if (elements) return elements.every(isValue)
  const first = as('CoalesceExpr', node)?.args
  if (first) return first.every(isValue)
  return as('ParamRef', node) !== undefined || as('A_Const', node) !== undefined
}

/** No cast in it names a type that may have a collation of its own. */
function isBuiltIn(node: Node | undefined): boolean {
  const first = as('CoalesceExpr', node)?.args
  if (first) return first.every(isBuiltIn)
  const cast = as('TypeCast', node)
  if (!cast) return true
  return (typeIn(cast.typeName) ?? 0) > 0 && isBuiltIn(cast.arg)
}

function typeIn(name: TypeName | undefined): number | undefined {
  return typeOf(name, name?.arrayBounds !== undefined)
}

/** As the function takes it. What is of this type already, or of a narrower one with the same values, stays as it is. */
function castTo(node: Node, { schema, name, isArray, element }: TypeFact): Node {
  const typeName: TypeName = {
    names: [schema, name].map((sval) => ({ String: { sval } })),
    typeOid: element,
    typemod: -1,
    ...(isArray ? { arrayBounds: [{ Integer: { ival: -1 } }] } : {}),
  }
  return castOf(node, typeName)
}
