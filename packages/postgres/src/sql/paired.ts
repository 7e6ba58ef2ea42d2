import { type Beyond, type Key, keyOf, type Order, type Partner, type Partners } from 'tidemark'
import type { Analysis, RowRead } from './analyse.js'
import type { PartnerBound, PartnerWay } from './bounds.js'
import { boundsTestOf } from './bounds-test.js'
import { equalityOf } from './canonical.js'
import type { Column, Relation } from './catalogue.js'
import type { Chains, Step } from './chains.js'
import { twinsOf } from './twins.js'

/** What is asked, besides chains, to know which partners rows of joined tables have. */
export function partnerSteps({ rows }: Analysis): Step[] {
  return rows.flatMap(({ partners = [] }) => partners.flatMap((way) => way.partners.flatMap(stepsTo)))
}

function stepsTo(bound: PartnerBound): Step[] {
  const own = { target: bound.column, chain: bound.chain, beside: columnsBeside(bound) }
  return [own, ...bound.beyond.flatMap(stepsTo)]
}

/** The columns of its rows that say whether they are partners. */
function columnsBeside({ beyond, ties }: PartnerBound): readonly Column[] {
  return [...new Set([...beyond, ...ties].map(({ column }) => column))]
}

/**
 * By table, the ways in which a row of it can matter, with the partners that it needs in each: of a table that is read in any place where a
 * row needs none nothing is said.
 *
 * @param parameters  the statement's values
 * @param areTold  rows that leave it touch the entry
 */
export function pairedWays(
  { rows, tables }: Analysis,
  chains: Chains,
  parameters: readonly unknown[],
  areTold: boolean,
): ReadonlyMap<string, Partners[]> {
  const ways = new Map<string, Partners[]>()
  const names = new Set([...rows, ...tables].map(({ relation }) => relation.table))
  for (const name of names) {
    const places = [...rows, ...tables].filter(({ relation }) => relation.table === name)
    // Most fills are of one table, of whose rows nothing is said.
    if (!places.some(isAnythingSaid)) continue
    // Where nothing is said a row may matter without a partner.
    const all = places.flatMap((read): Partners[] => {
      const partners = ('partners' in read && read.partners) || undefined
      const own = partners?.map((way) => wayOf(way, read.relation, chains, parameters, rows)) ?? [ANY]
      const twins = areTold ? read.twins && twinsOf(read.twins, chains) : undefined
      return twins ? own.map((way) => ({ ...way, key: twins.key, twins })) : own
    })
    const isAnySaid = all.some(({ partners, twins }) => partners.length > 0 || twins)
    if (isAnySaid && all.every(({ partners, test, twins }) => partners.length > 0 || test || twins)) ways.set(name, all)
  }
  return ways
}

function isAnythingSaid(read: Analysis['rows' | 'tables'][number]): boolean {
  return (
    read.twins !== undefined || ('partners' in read && !!read.partners?.some(({ partners }) => partners.length > 0))
  )
}

const ANY: Partners = { partners: [] }

function wayOf(
  { own, partners }: PartnerWay,
  { keys, columns }: Relation,
  chains: Chains,
  parameters: readonly unknown[],
  rows: readonly RowRead[],
): Partners {
  const found = partners.flatMap((each) => partnerOf(each, chains, rows) ?? [])
  const tested = boundsTestOf(own, parameters, true)
  const key = columns.flatMap((column) => {
    const order = keys.includes(column.name) ? equalityOf(column) : undefined
    return order ? [{ column: column.name, order }] : []
  })
  return { partners: found, key, ...(tested ? { test: tested.test } : {}) }
}

/** undefined if its values are too many, or can't be told. */
function partnerOf(bound: PartnerBound, chains: Chains, rows: readonly RowRead[]): Partner | undefined {
  const { column, chain } = bound
  const order = equalityOf(column)
  const keys = order && chains.values(chain)?.map((text) => keyOf(order, text))
  if (!order || !keys?.every((key): key is Key => key !== undefined)) return undefined
  const { relation, bounds } = chain
  const { table } = relation
  const beyond = beyondOf(bound, order, chains, rows)
  const needed = beyond?.columns ?? []
  const counts = [...new Set([chain.column.name, ...bounds.map((each) => each.column.name), ...needed])].sort()
  const reads = readsOf(table, rows, counts)
  const own = { column: column.name, order, keys: new Set(keys), table, of: chain.column.name, counts, reads }
  return beyond ? { ...own, beyond } : own
}

/** undefined if nothing is known of what the table's rows need themselves. */
function beyondOf(bound: PartnerBound, order: Order, chains: Chains, rows: readonly RowRead[]): Beyond | undefined {
  const { chain, beyond, ties } = bound
  const lines = chains.lines(chain)
  if (!lines) return undefined
  const byKey = new Map<Key, (string | null)[][]>()
  for (const [value, ...others] of lines) {
    const key = keyOf(order, value!)
    if (key === undefined) return undefined
    byKey.set(key, [...(byKey.get(key) ?? []), others])
  }
  return {
    columns: columnsBeside(bound).map(({ name }) => name),
    rows: byKey,
    partners: beyond.flatMap((each) => partnerOf(each, chains, rows) ?? []),
    ties: ties.map(({ column, up, of }) => ({ column: column.name, up, of: of.name, order: equalityOf(column)! })),
  }
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
