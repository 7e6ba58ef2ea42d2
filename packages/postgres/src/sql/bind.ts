import type { Reading, RowsDependency, TableDependency } from 'tidemark'
import type { FollowedTable } from '../wal/tables.js'
import type { Analysis, RowRead } from './analyse.js'
import type { Choice } from './bounds.js'
import { canonical, equalityOf, stored, told } from './canonical.js'
import type { Column, Relation } from './catalogue.js'
import type { Value } from './conditions.js'
import { namesMoment } from './mentions.js'
import type { Coarse } from './reads.js'

/** Which tables are followed, as the log says: of no table while it is not followed itself. */
export interface FollowedTables {
  followed(table: string): FollowedTable | undefined
  want(table: string): void
}

/** What the server answered: which columns of which tables, and the rows. */
export interface Answered {
  readonly fields: readonly { readonly tableID: number; readonly columnID: number }[]
  readonly rowCount: number
  /** A cell of a row; undefined where it can't be told. */
  cell(row: number, field: number): unknown
}

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

  /** @param tables  undefined where nothing is followed at all: then expiry decides, and no table is missing */
  constructor(analysis: Analysis, values: readonly unknown[], reading: Reading, tables: FollowedTables | undefined) {
    this.#analysis = analysis
    this.#values = values
    this.#reading = reading
    this.#tables = tables
    this.#judge()
    for (const table of this.#names()) {
      const followed = tables?.followed(table)
      if (followed) this.#followed.set(table, followed)
      else if (tables) this.#missing(table, tables)
    }
  }

  /** @param answered  undefined if the answer can't be seen */
  end(answered: Answered | undefined, membersMax: number): void {
    const followed = this.#tables
    // A table that left meanwhile may have changed unseen.
    if (followed)
      for (const table of this.#followed.keys()) if (!followed.followed(table)) this.#missing(table, followed)
    const { rows, tables } = this.#analysis
    for (const { relation, reason } of tables) this.#dependOnTable(relation, reason)
    for (const read of rows) this.#dependOnRows(read, answered, membersMax)
  }

  #judge(): void {
    const { reasons, unfollowable, momentParameters } = this.#analysis
    for (const reason of reasons) {
      const isDeclared = this.#reading.session !== undefined
      if (reason === 'time') this.#reading.needsExpiry(reason)
      else if ((reason !== 'session' && reason !== 'row-security') || !isDeclared) this.#reading.unkept(reason)
    }
    if (this.#tables && unfollowable.length > 0) this.#reading.unkept('unfollowed-table')
    if (momentParameters.some((number) => mentionsMoment(this.#values[number - 1]))) this.#reading.needsExpiry('time')
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

  #dependOnTable(relation: Relation, reason: Coarse | undefined): void {
    if (reason && this.#tables) this.#reading.coarse(relation.table, reason)
    this.#depend(relation, { kind: 'table', table: relation.table })
  }

  /** With the columns that are read: the dependency names rows of no other table. */
  #depend({ oid }: Relation, dependency: TableDependency | RowsDependency): void {
    const reads = this.#analysis.columns.get(oid)
    this.#reading.depend(reads ? { ...dependency, reads } : dependency)
  }

  #dependOnRows(read: RowRead, answered: Answered | undefined, membersMax: number): void {
    const { table } = read.relation
    if (typeof read.ways === 'string') return this.#dependOnTable(read.relation, read.ways)
    const identity = this.#followed.get(table)
    const sets: RowSet[] = []
    for (const way of read.ways) {
      const bounds = way.flatMap(({ column, choice }) => {
        const values = valuesOf(column, choice, this.#values)
        return values ? [{ column, values }] : []
      })
      if (bounds.length === 0) return this.#dependOnTable(read.relation, 'value')
      const set = narrowed(bounds, identity, ROWS_MAX / read.ways.length)
      if (set.length === 0) return this.#dependOnTable(read.relation, 'too-many-values')
      sets.push(set)
    }
    const isKnown = sets.every((set) => areOldValuesKnown(set, identity))
    const members = isKnown ? undefined : membersOf(read, identity, answered, membersMax)
    if (typeof members === 'string' && this.#tables) this.#reading.coarse(table, members)
    // Where old values are known, `coarse` never comes to bear; and should they be missing after all (the replica identity was
    // changed a moment ago), it is what is right.
    const old = Array.isArray(members) ? 'members' : 'coarse'
    for (const set of sets)
      for (const dependency of dependenciesOf(table, set, old)) this.#depend(read.relation, dependency)
    if (Array.isArray(members)) for (const dependency of members) this.#depend(read.relation, dependency)
  }
}

/** Columns, each with the texts that it may have: all combinations of them. Sorted by name. */
type RowSet = readonly { readonly column: Column; readonly values: readonly (string | null)[] }[]

/** The texts that a bound allows, or undefined if they can't be told. */
function valuesOf(
  column: Column,
  choice: Choice,
  parameters: readonly unknown[],
): readonly (string | null)[] | undefined {
  if (choice.kind === 'null') return [null]
  const all =
    choice.kind === 'any'
      ? elementsOf(parameters[choice.parameter - 1])?.map((element) => told(column, element))
      : choice.values.map((value) => textOf(column, value, parameters))
  const texts = new Set<string>()
  for (const text of all ?? [undefined]) {
    if (text === undefined) return undefined
    // Equality with NULL is never true.
    if (text !== null) texts.add(text)
  }
  // No row can match, whatever changes. An entry without dependencies would not be kept, so it gets one that does no harm.
  return texts.size === 0 ? [null] : [...texts]
}

function textOf(column: Column, value: Value, parameters: readonly unknown[]): string | null | undefined {
  if (!('constant' in value)) return told(column, parameters[value.parameter - 1])
  return value.constant === null ? null : canonical(column, value.constant)
}

/** The elements of an array parameter, of any depth. */
function elementsOf(value: unknown): readonly unknown[] | undefined {
  if (value === null || value === undefined) return []
  return Array.isArray(value) ? value.flat(6) : undefined
}

/** How the columns' values are compared; undefined if all are as texts. */
function ordersOf(columns: readonly Column[]): Pick<RowsDependency, 'orders'> {
  const orders = columns.map((column) => equalityOf(column) ?? 'text')
  return orders.every((order) => order === 'text') ? {} : { orders }
}

/**
 * Leaves out what is not needed. If the bounds name rows by their identity, nothing else is: then the old values are always
 * known. Of too many combinations the columns with most values go first.
 */
function narrowed(bounds: RowSet, identity: FollowedTable | undefined, max: number): RowSet {
  const sorted = [...bounds].sort((left, right) => (left.column.name < right.column.name ? -1 : 1))
  const columns = identity && identity.identity !== 'full' ? identity.columns : []
  const named = sorted.filter(({ column }) => columns.includes(column.name))
  const set = columns.length > 0 && named.length === columns.length ? named : sorted
  while (set.length > 0 && set.reduce((product, { values }) => product * values.length, 1) > max) {
    set.splice(set.indexOf(set.reduce((most, each) => (each.values.length > most.values.length ? each : most))), 1)
  }
  return set
}

function areOldValuesKnown(set: RowSet, identity: FollowedTable | undefined): boolean {
  return identity?.identity === 'full' || set.every(({ column }) => identity?.columns.includes(column.name))
}

/** The answer's rows by their identity, or why they can't stand in for old values. */
function membersOf(
  read: RowRead,
  identity: FollowedTable | undefined,
  answered: Answered | undefined,
  membersMax: number,
): RowsDependency[] | Coarse {
  if (read.hidden) return read.hidden
  if (!answered) return 'unseen'
  if (answered.rowCount > membersMax) return 'too-many-members'
  const columns = [...(identity?.columns ?? [])].sort()
  const { relation } = read
  const parts = columns.map((name) => {
    const column = relation.columns.find((each) => each.name === name)
    const field = answered.fields.findIndex(
      ({ tableID, columnID }) => tableID === relation.oid && columnID === column?.number,
    )
    return column && field >= 0 ? { column, field } : undefined
  })
  if (parts.length === 0 || !parts.every((part) => part !== undefined)) return 'identity-not-selected'
  const orders = ordersOf(parts.map(({ column }) => column))
  const members: RowsDependency[] = []
  for (let row = 0; row < answered.rowCount; row++) {
    const values = parts.map(({ column, field }) => stored(column, answered.cell(row, field)))
    if (!values.every((value) => value !== undefined)) return 'type'
    members.push({ kind: 'rows', table: relation.table, columns, values, ...orders, old: 'coarse' })
  }
  return members
}

function dependenciesOf(table: string, set: RowSet, old: 'members' | 'coarse'): RowsDependency[] {
  const columns = set.map(({ column }) => column.name)
  const combinations = set.reduce<(string | null)[][]>(
    (all, { values }) => all.flatMap((before) => values.map((value) => [...before, value])),
    [[]],
  )
  const orders = ordersOf(set.map(({ column }) => column))
  return combinations.map((values) => ({ kind: 'rows', table, columns, values, ...orders, old }))
}

function mentionsMoment(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(mentionsMoment)
  return typeof value === 'string' && namesMoment(value)
}
