import { type Key, keyOf, type Partner, type Partners } from 'tidemark'
import type { Analysis, RowRead } from './analyse.js'
import type { PartnerBound } from './bounds.js'
import { equalityOf } from './canonical.js'
import type { Chains, Step } from './chains.js'

/** What is asked, besides chains, to know which partners rows of joined tables have. */
export function partnerSteps({ rows }: Analysis): Step[] {
  return rows.flatMap(({ partners = [] }) => partners.flat().map(({ column, chain }) => ({ target: column, chain })))
}

/**
 * By table, the ways in which a row of it can matter, with the partners that it needs in each: of a table that is read in any place where a
 * row needs none nothing is said.
 */
export function pairedWays({ rows, tables }: Analysis, values: Chains['values']): ReadonlyMap<string, Partners[]> {
  const ways = new Map<string, Partners[]>()
  const names = new Set(rows.map(({ relation }) => relation.table))
  for (const name of names) {
    if (tables.some(({ relation }) => relation.table === name)) continue
    const own = rows
      .filter(({ relation }) => relation.table === name)
      .map(({ partners }) => partners?.map((way) => way.flatMap((each) => partnerOf(each, values, rows) ?? [])))
    // Where nothing is said a row may matter without a partner.
    const all = own.flatMap((each) => each ?? [[]])
    if (all.length > 0 && all.every(({ length }) => length > 0)) ways.set(name, all)
  }
  return ways
}

/** undefined if its values are too many, or can't be told. */
function partnerOf(
  { column, chain }: PartnerBound,
  values: Chains['values'],
  rows: readonly RowRead[],
): Partner | undefined {
  const order = equalityOf(column)
  const keys = order && values(chain)?.map((text) => keyOf(order, text))
  if (!order || !keys?.every((key): key is Key => key !== undefined)) return undefined
  const { relation, bounds } = chain
  const { table } = relation
  const counts = [...new Set([chain.column.name, ...bounds.map((each) => each.column.name)])].sort()
  const reads = readsOf(table, rows, counts)
  return { column: column.name, order, keys: new Set(keys), table, of: chain.column.name, counts, reads }
}

/** All columns that are read of a table, wherever it is named; undefined where that is not known. */
function readsOf(table: string, rows: readonly RowRead[], counts: readonly string[]): readonly string[] | undefined {
  const found = new Set(counts)
  for (const { relation, reads } of rows) {
    if (relation.table !== table) continue
    if (!reads) return undefined
    for (const column of reads) found.add(column)
  }
  return [...found].sort()
}
