import { escapeIdentifier } from 'pg'
import type { ColumnRef, SelectStmt } from './ast.js'
import { as, strings, walk } from './ast.js'
import type { Item } from './from.js'
import { levelOf } from './from.js'
import { resolve } from './scope.js'
import type { SourceText } from './source-text.js'
import { typeNameOf } from './values.js'

/** A query that says where a subquery's LIMIT cuts rows off. */
export interface Asked {
  /** Answers with one row of one text: how many rows the subquery has, how many are NULL in the column, and the last value. */
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
 * The query that asks for the end of a subquery; undefined if it can't be run by itself: it depends on the rows around it, or on a common
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
  const parameters: number[] = []
  const edits: Edit[] = [{ at: first, length: 0, text: `${column} as tidemark_end, ` }]
  let isTyped = true
  walk(found.select, (tag, content) => {
    if (tag !== 'ParamRef') return
    const { number = 0, location = 0 } = content as { number?: number; location?: number }
    const type = typeNameOf(types[number - 1] ?? 0)
    isTyped &&= type !== undefined
    const place = parameters.includes(number) ? parameters.indexOf(number) + 1 : parameters.push(number)
    // By itself the server might take it for another type.
    edits.push({ at: location, length: `$${number}`.length, text: `($${place})::${type}` })
  })
  if (!isTyped) return undefined
  const text = `with s(v) as materialized (${edited(found.text, edits)}) select json_build_object(
    'count', (select count(*) from s), 'nulls', (select count(*) from s where v is null),
    'end', (select v::text from s where v is not null order by v ${isDescending ? 'asc' : 'desc'} limit 1))::text`
  return { text, parameters }
}

function mentionsAny(select: SelectStmt, ctes: ReadonlyMap<string, unknown>): boolean {
  let isFound = false
  walk(select, (tag, content) => {
    const { schemaname, relname = '' } = content as { schemaname?: string; relname?: string }
    if (tag === 'RangeVar' && schemaname === undefined) isFound ||= ctes.has(relname)
  })
  return isFound
}

/** All that it names is in its own FROM, as far as that can be told. */
function isClosed(select: SelectStmt, from: Item): boolean {
  const level = levelOf(from, undefined)
  let closed = from.sources.every(({ isComplete }) => isComplete)
  walk(select, (tag, content) => {
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
