import { escapeIdentifier } from 'pg'
import type { ColumnRef, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Item } from './from.js'
import { levelOf } from './from.js'
import { resolve } from './scope.js'
import type { SourceText } from './source-text.js'
import { typeNameOf } from './values.js'

/** A query that is made of a part of a statement, and answers with one row of one text. */
export interface Asked {
  readonly text: string
  /** Which of the statement's parameters it takes, from 1. */
  readonly parameters: readonly number[]
}

/** Where a subquery stands. */
export interface Standing {
  readonly source: SourceText | undefined
  /** It sees a level around it. */
  readonly isInside: boolean
  /** The names of common table expressions that it sees. */
  readonly ctes: ReadonlyMap<string, unknown>
}

/**
 * The query that asks for the end of a subquery: how many rows it has, how many are NULL in the column, and the last value. undefined if it can't be run by itself: it depends on the rows around it, or on a common
 * table expression.
 *
 * @param order  the column that it is sorted by first, as it names it
 * @param types  type OIDs of the statement's parameters
 */
export function askedOf(
  select: SelectStmt,
  order: ColumnRef,
  isDescending: boolean,
  from: Item,
  { source, isInside, ctes }: Standing,
  types: readonly number[],
): Asked | undefined {
  // A place in the list would mean another one: the column goes in front.
  const hasPlaces = [select.sortClause, select.groupClause].flat().some((each) => {
    const node = as('SortBy', each)?.node ?? each
    return as('A_Const', node) !== undefined
  })
  if (!source || hasPlaces || mentionsAny(select, ctes) || (isInside && !isClosed(select, from))) return undefined
  const found = source.find(select)
  const first = as('ResTarget', found?.select.targetList?.[0])?.location
  const fields = strings(order.fields)
  if (!found || first === undefined || fields.length !== order.fields?.length) return undefined
  const column = fields.map(escapeIdentifier).join('.')
  const prepared = withParameters(found.text, found.select, types, [
    { at: first, length: 0, text: `${column} as tidemark_end, ` },
  ])
  if (!prepared) return undefined
  // It may end with a comment.
  const text = `with s(v) as materialized (${prepared.text}
  ) select json_build_object(
    'count', (select count(*) from s), 'nulls', (select count(*) from s where v is null),
    'end', (select s.v::text from s where s.v is not null order by s.v ${isDescending ? 'asc' : 'desc'} limit 1))::text`
  return { text, parameters: prepared.parameters }
}

/**
 * A text that is run by itself: its parameters are numbered anew, and typed, as the server might take them for others there.
 *
 * @param edits  what else is changed in it
 * @param isFree  whether the server will take a parameter for what it is without a type
 * @returns undefined if a parameter has no type that can be written
 */
export function withParameters(
  text: string,
  tree: unknown,
  types: readonly number[],
  edits: readonly Edit[] = [],
  isFree = (_number: number): boolean => false,
): Asked | undefined {
  const parameters: number[] = []
  const all = [...edits]
  let isTyped = true
  walk(tree, (tag, content) => {
    if (tag !== 'ParamRef') return
    const { number = 0, location = 0 } = content as { number?: number; location?: number }
    const type = typeNameOf(types[number - 1] ?? 0)
    isTyped &&= type !== undefined || isFree(number)
    const place = parameters.includes(number) ? parameters.indexOf(number) + 1 : parameters.push(number)
    all.push({ at: location, length: `$${number}`.length, text: type ? `($${place})::${type}` : `$${place}` })
  })
  return isTyped ? { text: edited(text, all), parameters } : undefined
}

/** How often each parameter stands in it. */
export function parametersIn(tree: unknown): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  walk(tree, (tag, content) => {
    const { number } = content as { number?: number }
    if (tag === 'ParamRef' && number) counts.set(number, (counts.get(number) ?? 0) + 1)
  })
  return counts
}

export function mentionsAny(part: unknown, ctes: ReadonlyMap<string, unknown>): boolean {
  let isFound = false
  walk(part, (tag, content) => {
    const { schemaname, relname = '' } = content as { schemaname?: string; relname?: string }
    if (tag === 'RangeVar' && schemaname === undefined) isFound ||= ctes.has(relname)
  })
  return isFound
}

/** All that it names is in its own FROM, as far as that can be told. */
export function isClosed(part: unknown, from: Item): boolean {
  const level = levelOf(from, undefined)
  let closed = from.sources.every(({ isComplete }) => isComplete)
  walk(part, (tag, content) => {
    if (tag === 'SelectStmt') closed = false
    if (tag !== 'ColumnRef') return
    const { fields = [] } = content as ColumnRef
    const parts = strings(fields)
    const isStar = fields.length === 1 && parts.length === 0
    closed &&= isStar || (parts.length === fields.length && typeof resolve(level, parts) !== 'string')
  })
  return closed
}

interface Edit {
  /** In bytes of UTF-8, as the parser counts. */
  readonly at: number
  readonly length: number
  readonly text: string
}

function edited(text: string, edits: readonly Edit[]): string {
  const bytes = Buffer.from(text)
  const parts: string[] = []
  let done = 0
  for (const { at, length, text: own } of [...edits].sort((left, right) => left.at - right.at)) {
    parts.push(bytes.subarray(done, at).toString(), own)
    done = at + length
  }
  return [...parts, bytes.subarray(done).toString()].join('')
}
