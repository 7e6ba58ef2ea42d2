import { escapeIdentifier } from 'pg'
import { type Asked, isClosed, mentionsAny, parametersIn, type Standing, withParameters } from './asked.js'
import type { SelectStmt } from './ast.js'
import { as, walk } from './ast.js'
import { type Item, levelOf } from './from.js'
import { parseSql } from './parse.js'
import { type Occurrence, resolve, type TableOccurrence } from './scope.js'
import { formOf, wordsOf } from './source-text.js'

/*
 * What a SELECT makes of its rows (sums, groups, windows, DISTINCT) need not show which these are. So they are asked for, by their keys, as FROM
 * and WHERE are written. Of the others none is in the answer that could leave it.
 */

/** The query that asks for the rows that FROM and WHERE leave, up to `SPINE_MAX`: a list of lists of texts. */
export interface Spine extends Asked {
  /** Where each table's key begins in a list, and of how many columns it is. */
  readonly places: ReadonlyMap<Occurrence, number>
  /** Names of columns in the SELECT's other clauses: they decide nothing of which rows these are. */
  readonly besides: ReadonlySet<object>
}

/** Of more rows it is not known which tables' rows they are. */
export const SPINE_MAX = 1_000

/**
 * @param ctes  what names in it may mean
 * @param types  type OIDs of the statement's parameters
 * @param statement  the whole
 * @returns undefined if there is none: its text is not found, it depends on what stands around it, or no table's key can be named
 */
export function spineOf(
  select: SelectStmt,
  from: Item,
  { source, isInside, ctes }: Standing,
  types: readonly number[],
  statement: unknown,
): Spine | undefined {
  const rows = { fromClause: select.fromClause, whereClause: select.whereClause }
  if (!source || !rows.fromClause || mentionsAny(rows, ctes) || isSampled(rows.fromClause)) return undefined
  if (isInside && !isClosed(rows, from)) return undefined
  const places = new Map<Occurrence, number>()
  const keys: string[] = []
  for (const occurrence of from.occurrences) {
    const own = isTable(occurrence) ? keyOf(occurrence, from) : undefined
    if (own) places.set(occurrence, keys.length)
    keys.push(...(own ?? []))
  }
  const found = keys.length > 0 ? source.find(select) : undefined
  const text = found && rowsIn(found.text, rows)
  const parsed = text === undefined ? undefined : parseSql(text)
  if (text === undefined || !parsed || 'tooDeep' in parsed) return undefined
  // What no other part of the statement says of a parameter is said here again.
  const [all, own] = [parametersIn(statement), parametersIn(parsed.statements)]
  const isFree = (number: number): boolean => all.get(number) === own.get(number)
  const prepared = withParameters(text, parsed.statements, types, [], isFree)
  if (!prepared) return undefined
  const names = keys.map((_, index) => `c${index}`).join(', ')
  // Its list is empty so far, and it may end with a comment.
  const asked = `select ${keys.map((key) => `${key}::text`).join(', ')}${prepared.text.slice('select'.length)}\n limit ${SPINE_MAX + 1}`
  return {
    parameters: prepared.parameters,
    places,
    besides: columnsIn({ ...select, fromClause: undefined, whereClause: undefined }),
    text: `select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(${names})), '[]')::text from (${asked}) s(${names})`,
  }
}

export function isTable(occurrence: Occurrence): occurrence is TableOccurrence {
  return occurrence.relation !== undefined && 'place' in occurrence
}

/** The columns of its primary key, as they are named beside FROM; undefined for what NULLs may stand for, or whose rows are another SELECT's. */
function keyOf({ relation, isNullable, place, ...occurrence }: TableOccurrence, from: Item): string[] | undefined {
  if (isNullable || relation.keys.length === 0 || !relation.isReadable) return undefined
  const name = place.alias?.aliasname ?? place.relname ?? ''
  const level = levelOf(from, undefined)
  const isNamed = relation.keys.every((key) => {
    const found = resolve(level, [name, key])
    return typeof found !== 'string' && found.occurrence.number === occurrence.number && found.column.name === key
  })
  return isNamed ? relation.keys.map((key) => `${escapeIdentifier(name)}.${escapeIdentifier(key)}`) : undefined
}

function columnsIn(tree: unknown): ReadonlySet<object> {
  const found = new Set<object>()
  walk(tree, (tag, content) => {
    if (tag === 'ColumnRef') found.add(content)
  })
  return found
}

/** What is asked for at most once, and by few. */
export function once<T>(find: () => T): () => T {
  let found: { readonly value: T } | undefined
  return () => {
    found ??= { value: find() }
    return found.value
  }
}

/** Another sample has other rows. */
function isSampled(fromClause: unknown): boolean {
  let isFound = false
  walk(fromClause, (tag) => {
    if (tag === 'RangeTableSample') isFound = true
  })
  return isFound
}

const AFTER: ReadonlySet<string> = new Set([
  ...['group', 'having', 'window', 'order', 'limit', 'offset', 'fetch', 'for', 'union', 'intersect', 'except'],
])

/** `select from … where …` out of a SELECT's text; undefined if that is not what it is taken for. */
function rowsIn(text: string, rows: object): string | undefined {
  const words = wordsOf(text)
  // `is distinct from` is none.
  const begin = words.findIndex(({ word }, index) => word === 'from' && words[index - 1]?.word !== 'distinct')
  const end = words.findIndex(({ word }, index) => index > begin && AFTER.has(word))
  if (begin < 0) return undefined
  const own = `select ${text.slice(words[begin]!.index, words[end]?.index)}`
  try {
    const parsed = parseSql(own)
    const select = 'tooDeep' in parsed ? undefined : as('SelectStmt', parsed.statements[0])
    const isSame = select && formOf({ fromClause: select.fromClause, whereClause: select.whereClause }) === formOf(rows)
    return isSame ? own : undefined
  } catch {
    return undefined
  }
}
