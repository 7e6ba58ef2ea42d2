import { type Analysis, canBeFollowed } from '../sql/analyse.js'
import type { Relation } from '../sql/catalogue.js'
import type { Touched } from './touched.js'

/** always: each query of a loader. sampled: the first run of each statement, then one in so many. */
export type SelfCheckMode = 'always' | 'sampled' | 'off'

const EVERY = 100
const STATEMENTS_MAX = 10_000

/**
 * Compares what statements were found to depend on with what they really read. A statement that read more depends on whole
 * tables from then on: on all that it was found to depend on, and all that it read.
 *
 * The comparison is by tables: of a table that the statement names, it does not tell which rows something hidden in it reads.
 */
export class SelfCheck {
  readonly #mode: SelfCheckMode
  /** Statements that ran; what they read beyond their analysis. Oldest first. */
  readonly #statements = new Map<string, Map<number, Touched>>()
  #runs = 0

  constructor(mode: SelfCheckMode) {
    this.#mode = mode
  }

  get isAlways(): boolean {
    return this.#mode === 'always'
  }

  /** Whether this run of a statement is to be compared. */
  isDue(statement: string): boolean {
    if (this.#mode !== 'sampled') return this.#mode === 'always'
    if (!this.#statements.has(statement)) return true
    return ++this.#runs % EVERY === 0
  }

  /** The analysis, with what earlier runs of the statement read beyond it. */
  amended(statement: string, analysis: Analysis): Analysis {
    const found = this.#statements.get(statement)
    if (!found || found.size === 0) return analysis
    const relations = [...found.values()].map(relationOf)
    const known = [...analysis.rows, ...analysis.tables].map(({ relation }) => relation)
    const secured = relations.filter(({ isRowSecured }) => isRowSecured).map(({ table }) => table)
    const reasons = new Map(analysis.reasons)
    if (secured.length > 0) reasons.set('row-security', new Set([...(reasons.get('row-security') ?? []), ...secured]))
    return {
      ...analysis,
      rows: [],
      // What is hidden in it may read other columns than it names.
      columns: new Map(),
      tables: [...known, ...relations].map((relation) => ({
        relation,
        reason: 'self-check' as const,
        reads: undefined,
        twins: undefined,
      })),
      unfollowable: [...analysis.unfollowable, ...relations.filter((relation) => !canBeFollowed(relation))],
      reasons,
    }
  }

  /** Notes what a run read; answers with what its analysis lacks. */
  judge(statement: string, analysis: Analysis, touched: readonly Touched[]): readonly Touched[] {
    const missing = missingFrom(analysis, touched)
    const found = this.#statements.get(statement) ?? new Map<number, Touched>()
    this.#statements.delete(statement)
    for (const each of missing) found.set(each.oid, each)
    // A statement that is forgotten is one that has not run: it is compared again.
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.delete(this.#statements.keys().next().value!)
    this.#statements.set(statement, found)
    return missing
  }
}

/** What was read, and is not among what the statement depends on. */
function missingFrom(analysis: Analysis, touched: readonly Touched[]): readonly Touched[] {
  const { rows, tables, unfollowable } = analysis
  const known = new Set([...rows, ...tables].map(({ relation }) => relation.table))
  for (const { table } of unfollowable) known.add(table)
  // What a sequence gives is not kept without an expiry; that `nextval` opened it is no news.
  const isDrawn = ({ kind }: Touched): boolean => kind === 'S' && analysis.reasons.has('time')
  const isKnown = (each: Touched): boolean => isDrawn(each) || each.names.some((name) => known.has(name))
  return touched.filter((each) => !isKnown(each) && !isOnlyParent(each, touched, isKnown))
}

/** A partition's parent is opened with it, and has no rows of its own. */
function isOnlyParent(each: Touched, touched: readonly Touched[], isKnown: (each: Touched) => boolean): boolean {
  return (
    each.kind === 'p' && touched.some((other) => other !== each && other.names.includes(each.table) && isKnown(other))
  )
}

function relationOf({ oid, table, kind, persistence, isRowSecured }: Touched): Relation {
  return {
    oid,
    table,
    kind,
    persistence,
    isSystem: false,
    isRowSecured,
    hasPolicies: isRowSecured,
    policyColumns: null,
    isReadable: false,
    via: ['query'],
    columns: [],
    keys: [],
    isSmall: false,
    definitions: [],
  }
}
