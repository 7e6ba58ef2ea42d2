import {
  afterPrefix,
  type Bound,
  type Condition,
  compareKeys,
  keyOf,
  type Range,
  type RowsDependency,
  type RowTest,
} from 'tidemark'
import type { FollowedTable } from '../wal/tables.js'
import type { Bounds, Choice } from './bounds.js'
import { canonical, equalityOf, isRanked, orderOf, told, wireText } from './canonical.js'
import type { Column } from './catalogue.js'
import { chosen, type Value } from './values.js'

type Found = Extract<Choice, { kind: 'chain' | 'shown' }>

/** What a chain has found, or the answer shows: the texts of the column, or undefined if they are too many or can't be told. */
export type FoundValues = (choice: Found, column: Column) => readonly string[] | undefined

/** Rows of a table: all combinations of some columns' values, within a range, where more conditions hold. */
export interface RowSet {
  /** Sorted by name. */
  readonly equal: readonly { readonly column: Column; readonly values: readonly (string | null)[] }[]
  readonly range: Range | undefined
  readonly also: readonly Condition[]
}

/** What is true of no NULL. */
const REFUSING: ReadonlySet<Choice['kind']> = new Set<Choice['kind']>([
  'not-null',
  'compare',
  'prefix',
  'any',
  'chain',
  'shown',
])
/** More values than this are not compared with one by one. */
const VALUES_MAX = 1_000

/**
 * The rows that bounds describe, by the values of the parameters. What can't be told is left out.
 *
 * @param max  more combinations of values than this are not named one by one: the columns with most values are left out
 */
export function rowSetOf(
  bounds: Bounds,
  parameters: readonly unknown[],
  found: FoundValues,
  identity: FollowedTable | undefined,
  max: number,
): RowSet | 'value' | 'too-many-values' {
  const equal = shared(
    bounds.flatMap(({ column, choice }) => {
      const values = valuesOf(column, choice, parameters, found)
      if (!values) return []
      const refusesNull = bounds.some((each) => each.column === column && REFUSING.has(each.choice.kind))
      return [{ column, values: refusesNull ? values.filter((value) => value !== null) : values }]
    }),
  )
  const empty = equal.find(({ values }) => values.length === 0)
  if (empty) return noRow(empty.column)
  const unknown = bounds.find(({ column, choice }) => isWithNull(column, choice, parameters))
  if (unknown) return noRow(unknown.column)
  const ranges = rangesOf(bounds, parameters)
  const impossible = ranges.find(isEmpty)
  if (impossible) return noRow(bounds.find(({ column }) => column.name === impossible.column)!.column)
  const also = bounds.flatMap(({ column, choice }) => conditionOf(column, choice, parameters) ?? [])
  const named = narrowed(equal, identity, max)
  const isNamed = named.isIdentity && named.equal.length > 0
  const set = isNamed
    ? { equal: named.equal, range: undefined, also: [] }
    : {
        equal: named.equal,
        range: ranges[0],
        also: [...ranges.slice(1).map((range) => ({ is: 'range' as const, ...range })), ...also],
      }
  if (set.equal.length > 0 || set.range || set.also.length > 0) return set
  return equal.length > 0 || bounds.some(({ choice }) => isFound(choice)) ? 'too-many-values' : 'value'
}

/** Of a column that is named by several lists, the values that all of them have. */
function shared(lists: RowSet['equal']): RowSet['equal'] {
  const byColumn = new Map<number, RowSet['equal'][number]>()
  for (const { column, values } of lists) {
    const before = byColumn.get(column.number)
    const order = equalityOf(column) ?? 'text'
    const same = (left: string | null, right: string | null): boolean => {
      if (left === null || right === null) return left === right
      const [one, other] = [keyOf(order, left), keyOf(order, right)]
      return one === undefined || other === undefined || one === other
    }
    const both = before ? before.values.filter((each) => values.some((value) => same(each, value))) : values
    byColumn.set(column.number, { column, values: both })
  }
  return [...byColumn.values()]
}

/** No row can match, whatever changes. An entry without dependencies would not be kept, so it gets one that nothing touches. */
export function noRow(column: Column): RowSet {
  return { equal: [], range: undefined, also: [{ is: 'in', column: column.name, order: 'text', values: [] }] }
}

/** It compares with NULL, which is true of no row. */
function isWithNull(column: Column, choice: Choice, parameters: readonly unknown[]): boolean {
  switch (choice.kind) {
    case 'compare':
      return textOf(column, choice.value, parameters) === null
    case 'prefix':
      return plainText(choice.value, parameters) === null
    case 'not-in':
      return !choice.takesNull && choice.values.some((value) => textOf(column, value, parameters) === null)
    case 'not-any': {
      const value = parameters[choice.parameter - 1] ?? null
      return value === null || elementsOf(value)?.some((each) => each === null || each === undefined) === true
    }
    default:
      return false
  }
}

/** Whether it is the set that no row is in. */
export function isOfNoRow({ also }: RowSet): boolean {
  return also.some((each) => each.is === 'in' && each.values.length === 0)
}

export function areOldValuesKnown(set: RowSet, identity: FollowedTable | undefined): boolean {
  const { equal, range, also } = set
  if (identity?.identity === 'full' || isOfNoRow(set)) return true
  const names = [
    ...equal.map(({ column }) => column.name),
    ...(range ? [range.column] : []),
    ...also.map((each) => each.column),
  ]
  return names.every((name) => identity?.columns.includes(name))
}

export function dependenciesOf(
  table: string,
  { equal, range, also }: RowSet,
  old: RowsDependency['old'],
  test?: RowTest,
): RowsDependency[] {
  const columns = equal.map(({ column }) => column.name)
  const combinations = equal.reduce<(string | null)[][]>(
    (all, { values }) => all.flatMap((before) => values.map((value) => [...before, value])),
    [[]],
  )
  const rest = {
    ...ordersOf(equal.map(({ column }) => column)),
    ...(range ? { range } : {}),
    ...(also.length > 0 ? { also } : {}),
    ...(test ? { test } : {}),
  }
  return combinations.map((values) => ({ kind: 'rows', table, columns, values, ...rest, old }))
}

/** How the columns' values are compared; undefined if all are as texts. */
export function ordersOf(columns: readonly Column[]): Pick<RowsDependency, 'orders'> {
  const orders = columns.map((column) => equalityOf(column) ?? 'text')
  return orders.every((order) => order === 'text') ? {} : { orders }
}

function isFound(choice: Choice): choice is Found {
  return choice.kind === 'chain' || choice.kind === 'shown'
}

/** The texts that a bound allows, or undefined if they can't be told. */
function valuesOf(
  column: Column,
  choice: Choice,
  parameters: readonly unknown[],
  found: FoundValues,
): readonly (string | null)[] | undefined {
  if (choice.kind === 'null') return [null]
  if (!isFound(choice) && choice.kind !== 'in' && choice.kind !== 'any') return undefined
  const all = isFound(choice) ? found(choice, column) : listOf(column, choice, parameters)
  if (!all?.every((text) => text !== undefined)) return undefined
  // Equality with NULL is never true, unless it is IS NOT DISTINCT FROM.
  const takesNull = choice.kind === 'in' && choice.takesNull
  const texts = new Set(all.filter((text) => text !== null || takesNull))
  return [...texts]
}

/** What a list allows or excludes, as texts; of another bound undefined. */
export function listOf(
  column: Column,
  choice: Choice,
  parameters: readonly unknown[],
): readonly (string | null | undefined)[] | undefined {
  switch (choice.kind) {
    case 'in':
    case 'not-in':
      return choice.values.map((value) => textOf(column, value, parameters))
    case 'any':
    case 'not-any':
      return elementsOf(parameters[choice.parameter - 1])?.map((element) => told(column, element))
    default:
      return undefined
  }
}

export function textOf(column: Column, value: Value, parameters: readonly unknown[]): string | null | undefined {
  const single = chosen(value, parameters)
  if (!('constant' in single)) return told(column, parameters[single.parameter - 1])
  return single.constant === null ? null : canonical(column, single.constant)
}

/** The elements of an array parameter as texts; `null` for an array that is NULL. */
export function elementTexts(column: Column, value: unknown): readonly (string | null)[] | 'null' | undefined {
  if (value === null || value === undefined) return 'null'
  const texts = elementsOf(value)?.map((element) => told(column, element))
  return texts?.every((text) => text !== undefined) ? texts : undefined
}

/** The elements of an array parameter, of any depth. */
function elementsOf(value: unknown): readonly unknown[] | undefined {
  if (value === null || value === undefined) return []
  return Array.isArray(value) ? value.flat(6) : undefined
}

/** Ranges, those with two ends first: they are looked up, the others are looked at. */
function rangesOf(bounds: Bounds, parameters: readonly unknown[]): Range[] {
  const ranges: Range[] = []
  const open = new Map<string, { -readonly [K in keyof Range]: Range[K] }>()
  for (const { column, choice } of bounds) {
    if (choice.kind === 'prefix') {
      const range = prefixRange(column, choice, parameters)
      if (range) ranges.push(range)
    }
    const order = choice.kind === 'compare' ? orderOf(column) : undefined
    const value = choice.kind === 'compare' ? textOf(column, choice.value, parameters) : undefined
    if (choice.kind !== 'compare' || !order || typeof value !== 'string') continue
    const end: Bound = { value, isIncluded: choice.operator.endsWith('=') }
    const side = choice.operator.startsWith('>') ? 'from' : 'to'
    const range = open.get(column.name) ?? { column: column.name, order }
    if (range[side]) ranges.push({ column: column.name, order, [side]: end })
    else range[side] = end
    open.set(column.name, range)
  }
  const ends = (range: Range) => Number(range.from !== undefined) + Number(range.to !== undefined)
  return [...open.values(), ...ranges].sort((left, right) => ends(right) - ends(left))
}

/** Its ends leave nothing between them. */
function isEmpty({ order, from, to }: Range): boolean {
  const [first, last] = [from && keyOf(order, from.value), to && keyOf(order, to.value)]
  if (first === undefined || last === undefined) return false
  const side = compareKeys(order, first, last)
  return side > 0 || (side === 0 && !(from!.isIncluded && to!.isIncluded))
}

/** Of a pattern of LIKE, what stands before its first wildcard. */
function prefixRange(
  { name }: Column,
  { value, escape: escaping }: Extract<Choice, { kind: 'prefix' }>,
  parameters: readonly unknown[],
): Range | undefined {
  const pattern = plainText(value, parameters)
  if (typeof pattern !== 'string') return undefined
  const { prefix, isWhole } =
    escaping === undefined ? { prefix: pattern, isWhole: false } : prefixOf(pattern.toWellFormed(), escaping)
  if (prefix === '' && !isWhole) return undefined
  const from = { value: prefix.toWellFormed(), isIncluded: true }
  if (isWhole) return { column: name, order: 'text', from, to: from }
  const after = afterPrefix(from.value)
  return {
    column: name,
    order: 'text',
    from,
    ...(after === undefined ? {} : { to: { value: after, isIncluded: false } }),
  }
}

function plainText(value: Value, parameters: readonly unknown[]): string | null | undefined {
  const single = chosen(value, parameters)
  return 'constant' in single ? single.constant : wireText(parameters[single.parameter - 1])
}

function prefixOf(pattern: string, escaping: string): { prefix: string; isWhole: boolean } {
  let prefix = ''
  const characters = [...pattern]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!
    if (character === escaping) {
      i++
      prefix += characters[i] ?? ''
    } else if (character === '%' || character === '_') {
      return { prefix, isWhole: false }
    } else prefix += character
  }
  return { prefix, isWhole: true }
}

function conditionOf(column: Column, choice: Choice, parameters: readonly unknown[]): Condition | undefined {
  if (choice.kind === 'not-null') return { is: 'not-null', column: column.name }
  if (choice.kind === 'compare' && isRanked(column)) return rankOf(column, choice, parameters)
  const order = equalityOf(column)
  if ((choice.kind !== 'not-in' && choice.kind !== 'not-any') || !order) return undefined
  const list = listOf(column, choice, parameters)
  // Every row differs from all of none, also one that is NULL.
  if (!list || list.length === 0) return undefined
  const values = list.filter((text) => typeof text === 'string')
  if (values.length > VALUES_MAX) return undefined
  // Nothing differs from NULL, and what can't be told may be left out; NULL itself differs from none of the others.
  return values.length === 0
    ? { is: 'not-null', column: column.name }
    : { is: 'not-in', column: column.name, order, values }
}

/** Names the labels that are out of the range, rather than those that are in it: one that the enum gets later may stand anywhere. */
function rankOf(
  { name, labels }: Column,
  { operator, value }: Extract<Choice, { kind: 'compare' }>,
  parameters: readonly unknown[],
): Condition | undefined {
  const text = plainText(value, parameters)
  const place = labels?.indexOf(text ?? '') ?? -1
  if (!labels || place < 0) return undefined
  const isBefore = operator.startsWith('<')
  const isItself = operator.endsWith('=')
  const values = labels.filter((_, index) => (index === place ? !isItself : index < place !== isBefore))
  return values.length === 0 ? { is: 'not-null', column: name } : { is: 'not-in', column: name, order: 'text', values }
}

/**
 * Leaves out what is not needed. If the bounds name rows by their identity, nothing else is: then the old values are always
 * known. Of too many combinations the columns with most values go first.
 */
function narrowed(
  bounds: RowSet['equal'],
  identity: FollowedTable | undefined,
  max: number,
): { equal: RowSet['equal']; isIdentity: boolean } {
  const sorted = [...bounds].sort((left, right) => (left.column.name < right.column.name ? -1 : 1))
  const columns = identity && identity.identity !== 'full' ? identity.columns : []
  const named = sorted.filter(({ column }) => columns.includes(column.name))
  const isIdentity = columns.length > 0 && named.length === columns.length
  const set = isIdentity ? named : sorted
  const count = () => set.reduce((product, { values }) => product * values.length, 1)
  const isWhole = count() <= max
  while (set.length > 0 && count() > max) {
    set.splice(set.indexOf(set.reduce((most, each) => (each.values.length > most.values.length ? each : most))), 1)
  }
  return { equal: set, isIdentity: isIdentity && isWhole }
}
