import type { A_Const, Node, TypeName } from './ast.js'
import { as, strings } from './ast.js'
import {
  BOOL,
  BPCHAR,
  DATE,
  ELEMENTS,
  FLOAT4,
  FLOAT8,
  fits,
  INT2,
  INT4,
  INT8,
  INTEGERS,
  NUMERIC,
  OID,
  TEXT,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from './canonical.js'
import type { Column } from './catalogue.js'

/**
 * A value that a statement compares with: a parameter, or a constant. `type` is its type's OID; 0 takes the other side's, `UNKNOWN` is of
 * none that can be told.
 */
export type Value =
  | Single
  /** The first that is not NULL (`coalesce($1, 5)`), perhaps cast. */
  | { readonly first: readonly Single[]; readonly cast: number | undefined }

export type Single =
  | { readonly parameter: number; readonly cast: number | undefined }
  | { readonly constant: string | null; readonly type: number; readonly node: A_Const | undefined }

/** A type that is known by its name only: a domain that changes values, or one of the schema that nobody asked for. */
const UNKNOWN = -1

/** Built-in types that a cast may name. */
const TYPES: ReadonlyMap<string, number> = new Map([
  ['bool', BOOL],
  ['int8', INT8],
  ['int2', INT2],
  ['int4', INT4],
  ['text', TEXT],
  ['oid', OID],
  ['bpchar', BPCHAR],
  ['varchar', VARCHAR],
  ['date', DATE],
  ['float4', FLOAT4],
  ['float8', FLOAT8],
  ['timestamp', TIMESTAMP],
  ['timestamptz', TIMESTAMPTZ],
  ['numeric', NUMERIC],
  ['uuid', UUID],
])

/** A type by its name, as SQL; undefined if it is none of the usual ones, or an array of them. */
export function typeNameOf(type: number): string | undefined {
  const element = ELEMENTS.get(type)
  const name = NAMES.get(element ?? type)
  return name && `pg_catalog.${name}${element === undefined ? '' : '[]'}`
}

const NAMES: ReadonlyMap<number, string> = new Map([...TYPES].map(([name, type]) => [type, name]))
const BUILT_IN: ReadonlySet<number> = new Set(TYPES.values())

/**
 * Says whether comparing with the value goes by the column's own equality and order.
 *
 * @param types  type OIDs of the statement's parameters, from the server
 */
export function valueFits(column: Column, value: Value, types: readonly number[]): boolean {
  if ('constant' in value) return fits(column, value.type, undefined)
  if ('first' in value) return firstFits(column, value, types)
  const type = types[value.parameter - 1]
  return type !== undefined && fits(column, type, value.cast)
}

/** Only of one type: what has another is first made one of it, and that may be another value. Literals without one are texts there. */
function firstFits(
  column: Column,
  { first, cast }: Extract<Value, { first: unknown }>,
  types: readonly number[],
): boolean {
  const given = first.filter((each) => !('constant' in each) || each.constant !== null)
  const found = new Set(given.map((each) => (typeOfValue(each, types) === 0 ? TEXT : typeOfValue(each, types))))
  const [type] = found
  const isOne = found.size === 1 && type !== undefined && type !== UNKNOWN
  const isRead = (each: Single): boolean =>
    !('parameter' in each) || each.cast === undefined || valueFits(column, each, types)
  return isOne && given.every(isRead) && fits(column, type, cast)
}

/** The type of a value by itself; undefined if it has none that can be told. */
export function typeOfValue(value: Value, types: readonly number[]): number | undefined {
  if ('first' in value) return value.cast
  return 'constant' in value ? value.type : (value.cast ?? types[value.parameter - 1])
}

/** What a value is for these parameters: one of them, or a constant. */
export function chosen(value: Value, parameters: readonly unknown[]): Single {
  if (!('first' in value)) return value
  const isGiven = (each: Single): boolean =>
    ('constant' in each ? each.constant : (parameters[each.parameter - 1] ?? null)) !== null
  return value.first.find(isGiven) ?? { constant: null, type: 0, node: undefined }
}

export function readValue(node: Node | undefined): Value | undefined {
  const cast = as('TypeCast', node)
  // A text that is cast to a type of the schema, as a rule an enum: `cast($1::text as mood)`.
  const inner = as('TypeCast', cast?.arg)
  const isOwn = cast?.typeName?.typeOid !== undefined && !BUILT_IN.has(cast.typeName.typeOid)
  if (cast && inner && typeOf(inner.typeName, false) === TEXT && isOwn)
    return readValue({ TypeCast: { ...cast, arg: inner.arg! } })
  const parameter = as('ParamRef', cast ? cast.arg : node)
  const type = cast && typeOf(cast.typeName, false)
  if (cast && type === undefined) return undefined
  if (parameter) return parameter.number ? { parameter: parameter.number, cast: type } : undefined
  const first = as('CoalesceExpr', cast ? cast.arg : node)?.args?.map(readValue)
  if (first) return first.every(isSingle) ? { first, cast: type } : undefined
  const constant = as('A_Const', cast ? cast.arg : node)
  return constant && constantOf(constant, type)
}

function isSingle(value: Value | undefined): value is Single {
  return value !== undefined && !('first' in value)
}

/** The elements of an array that is written out, or the parameter that stands for one. */
export function readArray(
  node: Node | undefined,
):
  | { readonly elements: readonly Node[] }
  | { readonly parameter: number; readonly cast: number | undefined }
  | undefined {
  const cast = as('TypeCast', node)
  const type = cast && typeOf(cast.typeName, true)
  if (cast && type === undefined) return undefined
  const inner = cast ? cast.arg : node
  const elements = as('A_ArrayExpr', inner)?.elements
  // A cast of the whole is one of each element.
  if (elements) return { elements: cast ? elements.map((arg) => castOf(arg, cast.typeName)) : elements }
  const parameter = as('ParamRef', inner)?.number
  return parameter ? { parameter, cast: type } : undefined
}

function castOf(arg: Node, typeName: TypeName | undefined): Node {
  const { arrayBounds: _, ...element } = typeName ?? {}
  return { TypeCast: { arg, typeName: element } }
}

const WIDER: readonly number[] = [INT2, INT4, INT8, NUMERIC]

/** Says whether a cast between built-in types changes no comparison: what was different stays so. */
export function isHarmless(from: number, to: number): boolean {
  if (from === to) return to !== NUMERIC
  if ([TEXT, VARCHAR].includes(from)) return [TEXT, VARCHAR].includes(to)
  const [narrow, wide] = [WIDER.indexOf(from), WIDER.indexOf(to)]
  return narrow >= 0 && narrow < wide
}

/** Says whether two values written out are the same, if that can be told: `1 = 1`. */
export function isSameConstant(left: Node | undefined, right: Node | undefined): boolean | undefined {
  const [one, other] = [as('A_Const', left)?.ival, as('A_Const', right)?.ival]
  return one && other ? (one.ival ?? 0) === (other.ival ?? 0) : undefined
}

/** A constant as its type's text. A cast that would write it differently (`true::text`, `1e3::text`) is not understood. */
function constantOf(node: A_Const, cast: number | undefined): Value | undefined {
  const constant = (text: string | null, type: number): Value => ({ constant: text, type: cast ?? type, node })
  if (node.isnull) return constant(null, 0)
  if (node.sval) return constant(node.sval.sval ?? '', 0)
  if (cast === UNKNOWN) return undefined
  if (node.boolval)
    return cast === undefined || cast === BOOL ? constant(node.boolval.boolval ? 't' : 'f', BOOL) : undefined
  if (node.ival) return constant(String(node.ival.ival ?? 0), INT4)
  // A number with a point, or too large for an integer.
  const isNumber = cast === undefined || INTEGERS.has(cast) || cast === NUMERIC
  return node.fval && isNumber ? constant(node.fval.fval ?? '0', NUMERIC) : undefined
}

/** The type that a cast names, unless it has a length (which would cut the value) or bounds other than asked for. */
export function typeOf(name: TypeName | undefined, isArray: boolean): number | undefined {
  const parts = strings(name?.names)
  const isPlain = !name?.setof && !name?.pct_type && !name?.typmods && (name?.arrayBounds !== undefined) === isArray
  if (!isPlain || parts.length === 0 || parts.length > 2) return undefined
  if (name?.typeOid !== undefined) return name.typeOid
  const builtIn = TYPES.get(parts.at(-1)!)
  if (parts.length === 1) return builtIn ?? UNKNOWN
  return parts[0] === 'pg_catalog' ? builtIn : UNKNOWN
}
