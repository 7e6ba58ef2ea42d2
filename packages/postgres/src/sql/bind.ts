import {
  judge,
  type Partners,
  type Reading,
  type RowsDependency,
  type RowTest,
  type TableDependency,
  VERSION,
} from 'tidemark'
import type { FollowedTable } from '../wal/tables.js'
import type { Analysis, RowRead } from './analyse.js'
import { type Answered, membersOf, shownValues } from './answered.js'
import type { Bounds, Choice, Presence } from './bounds.js'
import { boundsTestOf } from './bounds-test.js'
import type { Ask, Column, Relation } from './catalogue.js'
import { Chains, type Step } from './chains.js'
import { shortened } from './cut.js'
import { Ends } from './ends.js'
import { namesMoment } from './mentions.js'
import { pairedWays, partnerSteps } from './paired.js'
import type { Coarse } from './reads.js'
import {
  areOldValuesKnown,
  dependenciesOf,
  type FoundValues,
  isOfNoRow,
  noRow,
  type RowSet,
  rowSetOf,
} from './row-set.js'
import { testOf } from './row-test.js'
import { Spines } from './spines.js'
import { twinSteps } from './twins.js'
import { isWorthAsking, noteAnswer } from './worth.js'

/** Which tables are followed, as the log says: of no table while it is not followed itself. */
export interface FollowedTables {
  followed(table: string): FollowedTable | undefined
  want(table: string): void
}

/** How much is remembered of an answer, and of what leads to it. */
export interface BindingLimits {
  /** An answer of more rows is not remembered row by row. */
  readonly membersMax: number
  /** Of more join partners their values are not. */
  readonly partnersMax: number
}

/** All rows of a table. */
const ALL: RowSet = { equal: [], range: undefined, also: [] }
/** More dependencies than this of one table and query are not kept one by one: columns are left out, which only widens. */
const ROWS_MAX = 1_000

/**
 * Tells a fill what a query read. Made before the query runs, ended after it: a table counts as followed only if it was so
 * throughout, as what it did not send meanwhile is lost.
 */
export class Binding {
  readonly #analysis: Analysis
  readonly #values: readonly unknown[]
  readonly #reading: Reading
  readonly #tables: FollowedTables | undefined
  readonly #followed = new Map<string, FollowedTable>()
  readonly #chains: Chains
  readonly #ends: Ends
  readonly #spines: Spines
  /** By table, the partners that its rows need. */
  #paired: ReadonlyMap<string, readonly Partners[]> = new Map()
  readonly #membersMax: number
  readonly #partnersMax: number
  #answered: Answered | undefined

  /** @param tables  undefined where nothing is followed at all: then expiry decides, and no table is missing */
  constructor(
    analysis: Analysis,
    values: readonly unknown[],
    reading: Reading,
    tables: FollowedTables | undefined,
    limits: BindingLimits,
  ) {
    this.#membersMax = limits.membersMax
    this.#partnersMax = limits.partnersMax
    this.#analysis = analysis
    this.#values = values
    this.#reading = reading
    this.#tables = tables
    this.#chains = new Chains(values, limits.partnersMax)
    this.#ends = new Ends(values)
    this.#spines = new Spines(values)
    this.#judge()
    for (const table of this.#names()) {
      const followed = tables?.followed(table)
      if (followed) this.#followed.set(table, followed)
      else if (tables) this.#missing(table, tables)
    }
  }

  /**
   * Asks what must be known before the query runs: which values lead from one table to the next. On the connection that will run it, so
   * that both mean the same by names.
   */
  async prepare(ask: Ask): Promise<void> {
    // Where nothing is followed, nobody would go by it.
    if (!this.#tables) return
    const bounds = this.#analysis.rows.flatMap(({ ways }) => (typeof ways === 'string' ? [] : ways.flat()))
    const steps = stepsOf(bounds)
    const isWorth = steps.length > 0 || isWorthAsking(this.#analysis)
    const presences = isWorth ? bounds.flatMap(({ choice }) => (choice.kind === 'beside' ? choice.tables : [])) : []
    steps.push(...presences.flatMap((each) => stepsOf(each.bounds)))
    if (isWorth && this.#partnersMax > 0) steps.push(...partnerSteps(this.#analysis))
    for (const { relation, twins } of [...this.#analysis.rows, ...this.#analysis.tables])
      if (twins && this.#isFull(relation)) steps.push(...twinSteps(twins))
    // Before the ends of LIMITs: a row that leaves in between moves an end, and is one of these, so that it touches the entry. And before
    // twins: one that leaves after it was found is one of these, too, or matters to nothing.
    for (const { relation, spine } of this.#analysis.rows)
      if (spine && this.#mayAskForSpine(relation)) await this.#spines.ask(spine.asked, ask).catch(() => {})
    // Without the values the bounds are wider; what is wrong with the connection the statement itself will show.
    await this.#chains.resolve(steps, presences, ask).catch(() => {})
    for (const { relation, ways } of this.#analysis.rows) {
      if (typeof ways === 'string') continue
      for (const { column, choice } of ways.flat()) {
        if (choice.kind === 'cut' && this.#mayAskForEnds && this.#areOldValuesTold(relation, column))
          await this.#ends.ask(choice.cut, ask).catch(() => {})
      }
    }
  }

  /** Only where all old values are told, so that of a row it is known whether it meets its bounds. */
  #mayAskForSpine(relation: Relation): boolean {
    return this.#partnersMax > 0 && this.#isFull(relation) && this.#mayAskForEnds
  }

  #isFull({ table }: Relation): boolean {
    return this.#followed.get(table)?.identity === 'full'
  }

  /** A subquery is run once more only where that changes nothing, and it answers the same. */
  get #mayAskForEnds(): boolean {
    const isPure = [...this.#analysis.reasons.keys()].every((each) => each === 'session' || each === 'row-security')
    return isPure && !this.#namesMoment
  }

  get #namesMoment(): boolean {
    return this.#analysis.momentParameters.some((number) => mentionsMoment(this.#values[number - 1]))
  }

  /** Else an update or delete touches the entry wherever the row stood. */
  #areOldValuesTold({ table }: Relation, column: Column): boolean {
    const identity = this.#followed.get(table)
    return identity?.identity === 'full' || identity?.columns.includes(column.name) === true
  }

  /** @param answered  undefined if the answer can't be seen */
  end(answered: Answered | undefined): void {
    const followed = this.#tables
    // A table that left meanwhile may have changed unseen.
    if (followed)
      for (const table of this.#followed.keys()) if (!followed.followed(table)) this.#missing(table, followed)
    const { rows, tables, views, functions } = this.#analysis
    this.#answered = answered
    if (answered) noteAnswer(this.#analysis, answered.rowCount)
    // An answer without rows depends on no row that leaves.
    this.#paired = pairedWays(this.#analysis, this.#chains, this.#values, answered?.rowCount !== 0)
    // No row changes under the name of a view or a function, but its definition may.
    for (const table of [...views, ...functions]) this.#reading.depend({ kind: 'table', table, reads: [] })
    for (const { relation, reason, reads } of tables) this.#dependOnTable(relation, reason, reads)
    for (const read of rows) this.#dependOnRows(read, answered)
  }

  #judge(): void {
    const { reasons, unfollowable } = this.#analysis
    for (const reason of reasons.keys()) {
      const isDeclared = this.#reading.session !== undefined
      if (reason === 'time') this.#reading.needsExpiry(reason)
      else if ((reason !== 'session' && reason !== 'row-security') || !isDeclared) this.#reading.unkept(reason)
    }
    if (this.#tables && unfollowable.length > 0) this.#reading.unkept('unfollowed-table')
    if (this.#namesMoment) this.#reading.needsExpiry('time')
  }

  #names(): Set<string> {
    const { rows, tables, unfollowable } = this.#analysis
    const names = new Set([...rows, ...tables].map(({ relation }) => relation.table))
    for (const { table } of unfollowable) names.delete(table)
    return names
  }

  #missing(table: string, tables: FollowedTables): void {
    this.#reading.unkept('unfollowed-table')
    tables.want(table)
  }

  #dependOnTable({ table }: Relation, reason: Coarse | undefined, reads: readonly string[] | undefined): void {
    if (reason && this.#tables) this.#reading.coarse(table, reason)
    this.#depend({ kind: 'table', table }, reads)
  }

  #depend(dependency: TableDependency | RowsDependency, reads: readonly string[] | undefined): void {
    const ways = this.#paired.get(dependency.table)
    // Twins are known by their keys.
    const key = ways?.find(({ twins }) => twins)?.key?.map(({ column }) => column) ?? []
    this.#reading.depend(reads ? { ...dependency, reads: [...new Set([...reads, ...key])].sort() } : dependency, ways)
    if (this.#analysis.isVersionRead) this.#reading.depend({ ...dependency, reads: [VERSION] }, ways)
  }

  #dependOnRows(read: RowRead, answered: Answered | undefined): void {
    const { relation, isAll, ways } = read
    const { table } = relation
    const identity = this.#followed.get(table)
    const test = this.#testOf(read, identity)
    const columns = (test && read.tested) ?? read
    const reads = answered && answered.rowCount <= 1 ? columns.unordered : columns.reads
    const found = this.#setsOf(read, identity, answered)
    const sets = typeof found === 'string' ? [ALL] : found
    const isWhole = typeof found === 'string' && !test
    const isLoose = !test || read.tested?.testings.every(({ isPart }) => isPart)
    if (typeof found === 'string' && isLoose && !isAll && this.#tables) this.#reading.coarse(table, found)
    const isKnown = sets.every((set) => areOldValuesKnown(set, identity))
    const max = isKnown ? this.#shownMax(read, isWhole, test !== undefined) : this.#membersMax
    // The statement may have run without a row that moved an end which was asked for: the answer does not show that one.
    const isShown = !this.#hasAskedEnd(read)
    const isNone = isShown && isNoneShown(read, answered)
    const shown = isNone ? [] : isShown && max !== undefined ? membersOf(read, identity, answered, max) : 'unseen'
    const asked =
      typeof shown === 'string' && isKnown && max !== undefined ? this.#spines.membersOf(read, max, sets) : undefined
    const members = asked ?? shown
    const decides = asked ? read.spine?.decides[test ? 'tested' : 'untested'] : columns.decides
    if (Array.isArray(members)) {
      // Rows that leave are among those that it shows; of the others only what decides whether they are shown.
      for (const set of sets)
        for (const dependency of dependenciesOf(table, set, 'ignored', test)) this.#depend(dependency, decides)
      for (const dependency of members) this.#depend(test ? { ...dependency, test } : dependency, reads)
    } else if (isWhole) {
      this.#depend({ kind: 'table', table }, reads)
    } else {
      if (!isKnown && this.#tables) this.#reading.coarse(table, members)
      // Where old values are known, `coarse` never comes to bear; and should they be missing after all (the replica identity was
      // changed a moment ago), it is what is right.
      for (const set of sets)
        for (const dependency of dependenciesOf(table, set, 'coarse', test)) this.#depend(dependency, reads)
    }
    if (typeof ways === 'string') return
    for (const way of ways) {
      const absent = this.#absentBeside(way)
      if (absent) this.#dependOnEvidence(absent, [], answered)
      else this.#dependOnChains(way, answered)
    }
  }

  #hasAskedEnd({ ways }: RowRead): boolean {
    if (typeof ways === 'string') return false
    return ways.flat().some(({ choice }) => choice.kind === 'cut' && this.#ends.wasAsked(choice.cut))
  }

  /** A table without which no row matters in this way, and which has none, or can have none. */
  #absentBeside(way: Bounds): Presence | undefined {
    for (const { choice } of way) {
      if (choice.kind !== 'beside') continue
      const absent = choice.tables.find((each) => this.#isImpossible(each)) ?? this.#chains.absent(choice.tables)
      if (absent) return absent
    }
    return undefined
  }

  /** The values contradict each other, so that no row ever meets them. */
  #isImpossible({ bounds }: Pick<Presence, 'bounds'>): boolean {
    const own = bounds.filter(({ choice }) => !['cut', 'beside', 'chain'].includes(choice.kind))
    const set = own.length > 0 && rowSetOf(own, this.#values, () => undefined, undefined, ROWS_MAX)
    return typeof set === 'object' && isOfNoRow(set)
  }

  /** What more decides whether a row counts, where the log tells it of the rows before, too. */
  #testOf({ tested }: RowRead, identity: FollowedTable | undefined): RowTest | undefined {
    const test = identity && tested && testOf(tested.testings, this.#values)
    if (!test) return undefined
    const isTold = identity.identity === 'full' || test.columns.every((name) => identity.columns.includes(name))
    const isRefused = !tested.isNullable || ['no', 'null'].includes(judge(test.holds, () => null))
    return isTold && isRefused ? test : undefined
  }

  /** So many rows of the answer are named where that is not needed, but tells more: where its bounds may name rows that are not in it. */
  #shownMax({ isAll, isExact, tested }: RowRead, isWhole: boolean, isTested: boolean): number | undefined {
    const { rows, tables } = this.#analysis
    const isAllShown =
      isAll || (rows.length + tables.length === 1 && (isExact || (isTested && tested?.isWhole)) && !isWhole)
    return isAllShown || this.#partnersMax === 0 ? undefined : this.#partnersMax
  }

  /** The rows that can matter, or why all can. */
  #setsOf(
    { relation, ways, uncut = 'condition' }: RowRead,
    identity: FollowedTable | undefined,
    answered: Answered | undefined,
  ): readonly RowSet[] | Coarse {
    if (typeof ways === 'string') return ways
    const sets: RowSet[] = []
    for (const way of ways) {
      if (this.#absentBeside(way)) continue
      const bounds = way.filter(({ choice }) => choice.kind !== 'cut' && choice.kind !== 'beside')
      const found =
        bounds.length === 0 ? uncut : rowSetOf(bounds, this.#values, this.#found, identity, ROWS_MAX / ways.length)
      // Of all rows a cut may leave some.
      const own = this.#cutOff(way, typeof found === 'string' ? ALL : found, identity, answered)
      if (typeof found === 'string' && own.includes(ALL)) return found
      sets.push(...own)
    }
    return sets.length > 0 ? sets : [noRow(relation.columns[0]!)]
  }

  /** What is left of a set by the cuts of its way. */
  #cutOff(
    way: Bounds,
    set: RowSet,
    identity: FollowedTable | undefined,
    answered: Answered | undefined,
  ): readonly RowSet[] {
    let sets: readonly RowSet[] = [set]
    for (const { column, choice } of way) {
      if (choice.kind !== 'cut') continue
      const { cut, takesNull } = choice
      const end = this.#ends.of(cut, answered, (table) => this.#isSingle(table))
      if (end !== undefined) sets = sets.flatMap((each) => shortened(each, column, cut, takesNull, end, identity))
    }
    return sets
  }

  readonly #found: FoundValues = (choice, column) =>
    choice.kind === 'chain' ? this.#chains.values(choice) : shownValues(this.#answered, choice.place, column, ROWS_MAX)

  #isSingle(table: number): boolean {
    const { rows, tables } = this.#analysis
    return [...rows, ...tables].filter(({ relation }) => relation.oid === table).length === 1
  }

  /** Of chains that bound nothing nothing was read. */
  #dependOnChains(bounds: Bounds, answered: Answered | undefined): void {
    for (const { choice } of bounds)
      if (choice.kind === 'chain' && this.#chains.values(choice)) this.#dependOnChain(choice, answered)
  }

  /**
   * What a chain's values were read from: a row that comes into it may bring a value, and one that gets another value does. One that
   * leaves it takes none but its own.
   */
  #dependOnChain(chain: Extract<Choice, { kind: 'chain' }>, answered: Answered | undefined): void {
    this.#dependOnEvidence(chain, [chain.column], answered)
  }

  /** Rows by which others were left out: those that come into these bounds, or change in the columns. */
  #dependOnEvidence(
    { relation, bounds }: Pick<Presence, 'relation' | 'bounds'>,
    columns: readonly Column[],
    answered: Answered | undefined,
  ): void {
    // Nothing is waited for that can't come.
    if (this.#isImpossible({ bounds })) return
    const identity = this.#followed.get(relation.table)
    const named = bounds.filter(({ choice }) => choice.kind !== 'cut')
    const set = named.length === 0 ? ALL : rowSetOf(named, this.#values, this.#found, identity, ROWS_MAX)
    const tested = identity?.identity === 'full' ? boundsTestOf(bounds, this.#values) : undefined
    const matter = [...columns, ...(tested?.undecided ?? bounds.map((each) => each.column))]
    const reads = [...new Set(matter.map(({ name }) => name))].sort()
    if (typeof set === 'string') return this.#dependOnTable(relation, set, reads)
    for (const part of this.#cutOff(bounds, set, identity, answered))
      for (const dependency of dependenciesOf(relation.table, part, 'ignored', tested?.test))
        this.#depend(dependency, reads)
    this.#dependOnChains(bounds, answered)
  }
}

/** Without any row in the answer none of the table is in it that could leave: only what comes matters. */
function isNoneShown({ hidden, isAll, isGrowing }: RowRead, answered: Answered | undefined): boolean {
  return answered?.rowCount === 0 && !isAll && (isGrowing || hidden === undefined || hidden === 'self-join')
}

/** All chains of some bounds, and those that they lead through. */
function stepsOf(bounds: Bounds): Step[] {
  return bounds.flatMap(({ column, choice }) =>
    choice.kind === 'chain' ? [...stepsOf(choice.bounds), { target: column, chain: choice }] : [],
  )
}

function mentionsMoment(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(mentionsMoment)
  return typeof value === 'string' && namesMoment(value)
}
