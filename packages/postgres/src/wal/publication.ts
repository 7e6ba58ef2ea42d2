import { escapeIdentifier } from 'pg'
import type { Catalogue, CatalogueTable } from './catalogue.js'
import type { SqlConnection } from './connection.js'
import { PublicationError, RightsError, sqlState } from './errors.js'
import { MESSAGE_TABLE } from './message-table.js'
import { JOURNAL_SCHEMA } from './recording.js'

/** Duplicate or undefined object or table, and "tuple concurrently updated". */
const OVERTAKEN: ReadonlySet<string> = new Set(['42710', '42704', '42P01', 'XX000'])
/** lock_not_available. */
const LOCKED = '55P03'
/** After so many tables that are locked the others wait for the next time: each costs a lock timeout. */
const LOCKED_MAX = 3

/** What Tidemark keeps for itself (the journal, tokens) is followed by nobody, but for the messages on PostgreSQL 13. */
export const OWN_SCHEMAS: ReadonlySet<string> = new Set([JOURNAL_SCHEMA, 'tidemark'])

/** What the publication should list beyond what it lists, and no longer. */
export interface Plan {
  readonly add: readonly CatalogueTable[]
  readonly drop: readonly CatalogueTable[]
  /** What could be followed if the role owned it. */
  readonly unowned: readonly CatalogueTable[]
}

/**
 * Decides what to publish: every table whose own updates and deletes that can't make fail, never another one.
 *
 * A partitioned table is published as a whole only if that is true of all its partitions, so that new ones come by themselves; else
 * those that can be are published one by one. Tables that lost their identity are taken out again.
 */
export function planPublication({ publication, tables }: Catalogue): Plan {
  const wanted = new Set<CatalogueTable>()
  const visit = (table: CatalogueTable): void => {
    if (isSafe(table, tables)) wanted.add(table)
    else if (table.kind === 'partitioned') for (const oid of table.children) visit(tables.get(oid)!)
  }
  for (const table of tables.values()) {
    const isPartition = table.parents.some((oid) => tables.get(oid)?.kind === 'partitioned')
    if (!isPartition) visit(table)
  }
  const missing = [...wanted].filter((table) => table.entry === 0)
  const mayChange = publication === undefined || (publication.isOwned && !publication.isAllTables)
  return {
    add: mayChange ? missing.filter((table) => table.isOwned) : [],
    drop: mayChange ? [...tables.values()].filter((table) => table.isNamed && !isSafe(table, tables)) : [],
    unowned: missing.filter((table) => !mayChange || !table.isOwned),
  }
}

/**
 * Carries the plan out. Never throws for one table: what can't be published now (locked, dropped meanwhile) is tried again later.
 *
 * @throws RightsError if there is no publication and the role may not create it
 */
export async function applyPlan(sql: SqlConnection, name: string, catalogue: Catalogue, plan: Plan): Promise<void> {
  const { publication } = catalogue
  const id = escapeIdentifier(name)
  if (!publication) return create(sql, name, plan)
  // What makes the user's own updates fail goes first.
  if (plan.drop.length > 0)
    await inParts(sql, plan.drop, (tables) => `alter publication ${id} drop table ${only(tables)}`)
  if (plan.add.length > 0) await inParts(sql, plan.add, (tables) => `alter publication ${id} add table ${only(tables)}`)
}

/** @throws PublicationError if what it sends can't be followed */
export function checkPublication(name: string, { publication }: Catalogue): void {
  if (!publication || publication.isComplete) return
  throw new PublicationError(
    `The publication "${name}" does not send every change under its own table's name. Run: alter publication ` +
      `${escapeIdentifier(name)} set (publish = 'insert, update, delete, truncate', publish_via_partition_root = false)`,
  )
}

/** The SQL that publishes these tables: for somebody who has the rights. */
export function publishSql(name: string, tables: readonly CatalogueTable[], doesExist: boolean): string {
  const id = escapeIdentifier(name)
  if (doesExist) return `alter publication ${id} add table ${only(tables)}`
  return `create publication ${id}${tables.length > 0 ? ` for table ${only(tables)}` : ''}`
}

/** Whether publishing it, and what is or will be below a partitioned table, can't make a write fail. */
function isSafe(table: CatalogueTable, tables: ReadonlyMap<number, CatalogueTable>): boolean {
  if (!table.isLogged || table.identity === undefined || isOwn(table)) return false
  return table.kind !== 'partitioned' || table.children.every((oid) => isSafe(tables.get(oid)!, tables))
}

function isOwn({ schema, table }: CatalogueTable): boolean {
  return OWN_SCHEMAS.has(schema) && table !== MESSAGE_TABLE
}

/** ONLY, as children by INHERITS would else be added too, whatever their identity. */
function only(tables: readonly CatalogueTable[]): string {
  return tables.map(({ table, kind }) => (kind === 'partitioned' ? table : `only ${table}`)).join(', ')
}

async function create(sql: SqlConnection, name: string, plan: Plan): Promise<void> {
  const text = publishSql(name, plan.add, false)
  try {
    await sql.rows(text)
  } catch (error) {
    const state = sqlState(error)
    // Another process created it at the same moment.
    if (state === '42710' || state === '23505') return
    if (state === '42501') {
      throw new RightsError(
        `The publication "${name}" does not exist, and the role may not create it.`,
        publishSql(name, plan.unowned, false),
        {
          cause: error,
        },
      )
    }
    // A table is locked, or was dropped meanwhile: the publication itself must stand; the tables follow one by one.
    if (plan.add.length === 0) throw error
    await create(sql, name, { ...plan, add: [] })
  }
}

/** All in one statement; if that fails, one by one, so that a table that is locked does not hold up the others. */
async function inParts(
  sql: SqlConnection,
  tables: readonly CatalogueTable[],
  text: (tables: readonly CatalogueTable[]) => string,
): Promise<string | undefined> {
  try {
    await sql.rows(text(tables))
  } catch (error) {
    const state = sqlState(error)
    if (state === undefined) throw error
    // Another process did the same at this moment, or a table is gone: the catalogue is read anew, and what remains is tried again.
    if (tables.length === 1 || OVERTAKEN.has(state)) return state
    for (let i = 0, locked = 0; i < tables.length && locked < LOCKED_MAX; i++) {
      if ((await inParts(sql, [tables[i]!], text)) === LOCKED) locked++
    }
  }
  return undefined
}

export function unownedError(name: string, tables: readonly CatalogueTable[]): RightsError {
  return new RightsError(
    `${tables.length} table(s) send no changes, as the role may not add them to the publication "${name}"; what reads them is not kept.`,
    publishSql(name, tables, true),
  )
}
