import type { Analysis, RowRead } from './sql/analyse.js'
import type { Ask, Relation } from './sql/catalogue.js'
import { explainReasons, explainRows, explainTable, explainTests, explainUnfollowable } from './sql/explain.js'

/** One place where a statement reads a table: of one that is joined to itself there are several. */
export interface PlaceExplanation {
  /** `rows of public.posts where author_id = $1`, `all of public.posts (condition)`. */
  readonly line: string
  /**
   * Conditions that are tested on a row before and after a change, where the log has its values before (`REPLICA IDENTITY FULL`): one that
   * meets them neither before nor after touches nothing, nor does an update of what only they name while they hold.
   */
  readonly tests: readonly string[]
  /** The columns that are read there. undefined: all, or that is not known. */
  readonly reads: readonly string[] | undefined
  /** Which updates touch the answer there, in a sentence; undefined where the table sends no changes. */
  readonly updates: string | undefined
}

/** What a statement depends on in one table, and why. */
export interface TableExplanation {
  /** `schema.name`. */
  readonly table: string
  /** rows: of its rows, those that conditions bound. table: all of it. nothing: it sends no changes. */
  readonly follows: 'rows' | 'table' | 'nothing'
  readonly places: readonly PlaceExplanation[]
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
  readonly isPartitioned: boolean
}

const IDENTITIES = { d: 'default', f: 'full', i: 'index', n: 'nothing' } as const

/** Explains an analysis with what the server says of the tables in it. */
export async function explainTables(analysis: Analysis, ask: Ask): Promise<Explanation> {
  const relations = new Map<string, Relation>()
  for (const { relation } of [...analysis.rows, ...analysis.tables]) relations.set(relation.table, relation)
  for (const relation of analysis.unfollowable) relations.set(relation.table, relation)
  const oids = [...relations.values()].map(({ oid }) => oid)
  const facts = JSON.parse(await ask(FACTS, [oids])) as Readonly<Record<string, TableFacts>>
  const tables = [...relations.values()].map((relation) => explainRelation(relation, analysis, facts[relation.oid]))
  return {
    tables: tables.sort((left, right) => (left.table < right.table ? -1 : 1)),
    notKept: explainReasons(analysis),
  }
}

function explainRelation(relation: Relation, analysis: Analysis, facts: TableFacts | undefined): TableExplanation {
  const isOf = (each: { readonly relation: Relation }): boolean => each.relation.table === relation.table
  const rows = analysis.rows.filter(isOf)
  const tables = analysis.tables.filter(isOf)
  const isUnfollowable = analysis.unfollowable.some(({ table }) => table === relation.table)
  const isWhole = tables.length > 0 || rows.some(({ ways }) => typeof ways === 'string')
  const place = (
    line: string,
    reads: readonly string[] | undefined,
    tests: readonly string[] = [],
  ): PlaceExplanation => ({
    line,
    tests,
    reads: isUnfollowable ? undefined : reads,
    updates: isUnfollowable || !facts ? undefined : updatesOf(reads, facts),
  })
  const { table } = relation
  return {
    table,
    follows: isUnfollowable ? 'nothing' : isWhole ? 'table' : 'rows',
    places: [
      ...rows.map((row) => place(explainRows(row), row.reads, explainTests(row))),
      ...tables.map((whole) => place(explainTable(whole), whole.reads)),
      ...(isUnfollowable ? [place(explainUnfollowable(relation), undefined)] : []),
    ],
    identity: facts && IDENTITIES[facts.identity],
    advice: isUnfollowable
      ? [`Changes of ${table} are not in the log: give the entry a ttl.`, ...readAdvice(table, facts)]
      : [...readAdvice(table, facts), ...identityAdvice(table, facts, isWhole ? [] : rows)],
  }
}

/** Which updates of a row that is read touch the answer: those that change a column that is read, as far as the log tells. */
function updatesOf(reads: readonly string[] | undefined, { identity, columns }: TableFacts): string {
  if (!reads) return 'Every update counts that changes something, as all columns are read, or it is not known which.'
  if (reads.length === 0) return 'No update counts, as no column is read; only rows that come or go.'
  const untold = identity === 'f' ? [] : reads.filter((name) => !columns.includes(name))
  if (untold.length === 0) return 'An update of other columns touches nothing.'
  return (
    `An update of other columns touches nothing only under replica identity full: the log does not say whether it left ${untold.join(', ')} as ` +
    'before, except large values that it did not write anew.'
  )
}

function readAdvice(table: string, facts: TableFacts | undefined): string[] {
  return facts?.mayRead === false ? [`This role may not read it: grant select on ${table} to it.`] : []
}

function identityAdvice(table: string, facts: TableFacts | undefined, rows: readonly RowRead[]): string[] {
  if (!facts) return []
  if (!facts.isPartitioned && facts.identity !== 'f' && facts.columns.length === 0)
    return [
      `${table} has no usable replica identity, so its changes are not followed and what reads it is not kept: give it a primary key.`,
    ]
  if (!isWonByFull(rows, facts)) return []
  return [
    `alter table ${table} replica identity full would win: updates and deletes touch only entries whose rows they change; now they may ` +
      'touch every entry of this shape, as the log does not say which values a row had.',
  ]
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
  'isPartitioned', c.relkind = 'p',
  'mayRead', pg_catalog.has_any_column_privilege(c.oid, 'select')
)), '{}')::text
from pg_catalog.pg_class c where c.oid = any($1::oid[]) and c.relkind in ('r', 'p')`
