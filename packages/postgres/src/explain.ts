import type { Analysis, RowRead } from './sql/analyse.js'
import type { Ask, Relation } from './sql/catalogue.js'
import { explainAnalysis } from './sql/explain.js'

/** What a statement depends on in one table, and why. */
export interface TableExplanation {
  /** `schema.name`. */
  readonly table: string
  /** rows: of its rows, those that conditions bound. table: all of it. nothing: it sends no changes. */
  readonly follows: 'rows' | 'table' | 'nothing'
  /** A line for each place where it is read: `rows of public.posts where author_id = $1`, `all of public.posts (condition)`. */
  readonly lines: readonly string[]
  /** The columns that are read: an update which changes none of them touches nothing. undefined: all, or that is not known. */
  readonly reads: readonly string[] | undefined
  /** Its replica identity: what a change tells of the row before it. undefined where it has none (a view, a sequence). */
  readonly identity: 'default' | 'full' | 'index' | 'nothing' | undefined
  /** What can be done about it, in sentences: empty if all is well. */
  readonly advice: readonly string[]
}

/** What a statement depends on, table by table, and what keeps its answers from being kept. */
export interface Explanation {
  readonly tables: readonly TableExplanation[]
  /** `not kept: session`, `needs an expiry: time`: empty if answers are kept until a change touches them. */
  readonly notKept: readonly string[]
}

interface TableFacts {
  readonly identity: 'd' | 'f' | 'i' | 'n'
  /** The columns that a change tells of the row before it, unless the identity is full. */
  readonly columns: readonly string[]
  readonly mayRead: boolean
}

const IDENTITIES = { d: 'default', f: 'full', i: 'index', n: 'nothing' } as const

/** Explains an analysis with what the server says of the tables in it. */
export async function explainTables(analysis: Analysis, ask: Ask): Promise<Explanation> {
  const relations = new Map<string, Relation>()
  for (const { relation } of [...analysis.rows, ...analysis.tables]) relations.set(relation.table, relation)
  for (const relation of analysis.unfollowable) relations.set(relation.table, relation)
  const oids = [...relations.values()].map(({ oid }) => oid)
  const facts = JSON.parse(await ask(FACTS, [oids])) as Readonly<Record<string, TableFacts>>
  const tables = [...relations.values()].map((relation) => explainTable(relation, analysis, facts[relation.oid]))
  return {
    tables: tables.sort((left, right) => (left.table < right.table ? -1 : 1)),
    notKept: explainAnalysis({ ...analysis, rows: [], tables: [], unfollowable: [] }),
  }
}

function explainTable(relation: Relation, analysis: Analysis, facts: TableFacts | undefined): TableExplanation {
  const isOf = (each: { readonly relation: Relation }): boolean => each.relation.table === relation.table
  const rows = analysis.rows.filter(isOf)
  const tables = analysis.tables.filter(isOf)
  const unfollowable = analysis.unfollowable.filter(({ table }) => table === relation.table)
  const isWhole = tables.length > 0 || rows.some(({ ways }) => typeof ways === 'string')
  const { table } = relation
  const advice: string[] = []
  if (unfollowable.length > 0) advice.push(`Changes of ${table} are not in the log: give the entry a ttl.`)
  if (facts?.mayRead === false) advice.push(`This role may not read it: grant select on ${table} to it.`)
  if (unfollowable.length === 0 && facts && !isWhole && isWonByFull(rows, facts)) {
    advice.push(
      `alter table ${table} replica identity full would win: updates and deletes touch only entries whose rows they change; now they may ` +
        'touch every entry of this shape, as the log does not say which values a row had.',
    )
  }
  return {
    table,
    follows: unfollowable.length > 0 ? 'nothing' : isWhole ? 'table' : 'rows',
    lines: explainAnalysis({ ...analysis, rows, tables, unfollowable, reasons: new Map() }),
    reads: unfollowable.length > 0 ? undefined : analysis.columns.get(relation.oid),
    identity: facts && IDENTITIES[facts.identity],
    advice,
  }
}

/** The old values of what bounds the rows are not in the log. */
function isWonByFull(rows: readonly RowRead[], { identity, columns }: TableFacts): boolean {
  if (identity === 'f') return false
  const bounding = rows.flatMap(({ ways }) =>
    typeof ways === 'string' ? [] : ways.flat().map((bound) => bound.column.name),
  )
  return bounding.some((name) => !columns.includes(name))
}

const FACTS = `
select coalesce(json_object_agg(c.oid::text, json_build_object(
  'identity', c.relreplident,
  'columns', (select coalesce(json_agg(a.attname), '[]') from pg_catalog.pg_index i join pg_catalog.pg_attribute a
    on a.attrelid = c.oid and a.attnum = any(i.indkey) where i.indrelid = c.oid
    and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end),
  'mayRead', pg_catalog.has_any_column_privilege(c.oid, 'select')
)), '{}')::text
from pg_catalog.pg_class c where c.oid = any($1::oid[]) and c.relkind in ('r', 'p')`
