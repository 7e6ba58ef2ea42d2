import { escapeIdentifier } from 'pg'
import { type Image, SourceDownError } from 'tidemark'
import { OWN_SCHEMA_SQL } from '../own-schema.js'
import type { Catalogue } from './catalogue.js'
import type { SqlConnection } from './connection.js'
import { PublicationError, RightsError, sqlState } from './errors.js'
import type { Relation } from './protocol.js'

/*
 * Before PostgreSQL 14 logical replication does not carry messages. There a small published table of ours does: writing a message
 * is writing one of its few rows, and whoever follows reads that as the message.
 */

/** From this version on the log carries messages itself. */
const VERSION_MESSAGES = 140_000
const SCHEMA = 'tidemark'
const NAME = 'messages'
/** Quoted as in the catalogue. */
export const MESSAGE_TABLE = `${SCHEMA}.${NAME}`
/** So many rows it has: who writes at the same moment seldom waits for another. */
const PLACES = 32

const CREATE_TABLE = `create table if not exists ${MESSAGE_TABLE} (place int primary key, prefix text not null, content text not null)`

export function needsMessageTable(version: number): boolean {
  return version < VERSION_MESSAGES
}

export function isMessageTable({ schema, name }: Pick<Relation, 'schema' | 'name'>): boolean {
  return schema === SCHEMA && name === NAME
}

/** The message that a row of the table is. */
export function messageOf(row: Image | null): { readonly prefix: string; readonly content: Buffer } | undefined {
  const { prefix, content } = row ?? {}
  if (typeof prefix !== 'string' || typeof content !== 'string') return undefined
  return { prefix, content: Buffer.from(content) }
}

interface Standing {
  readonly role: string
  readonly hasTable: boolean
  readonly mayWrite: boolean
  /** A publication of the name exists. */
  readonly hasPublication: boolean
}

/**
 * Makes the table where it is missing: before the publication is looked at, which then lists it.
 *
 * @throws RightsError if the role may not make it, or not write into it
 */
export async function prepareMessageTable(sql: SqlConnection, publication: string): Promise<void> {
  const before = await look(sql, publication)
  if (before.mayWrite) return
  try {
    if (!before.hasTable) await sql.rows(`${OWN_SCHEMA_SQL}; ${CREATE_TABLE}`)
  } catch (error) {
    if (sqlState(error) !== '42501') throw error
    throw new RightsError(
      'PostgreSQL 13 carries messages only in a table, which the role may not create.',
      [
        `create schema if not exists ${SCHEMA}`,
        CREATE_TABLE,
        ...grants(before),
        ...(before.hasPublication ? [publish(publication)] : []),
      ].join('; '),
      { cause: error },
    )
  }
  const after = await look(sql, publication)
  if (after.mayWrite) return
  throw new RightsError(
    `PostgreSQL 13 carries messages only in a table, ${MESSAGE_TABLE}, into which the role may not write.`,
    grants(after).join('; '),
  )
}

/** @throws PublicationError if the publication does not send the table's rows: nobody would hear of what is written into it */
export function checkMessageTable(publication: string, { tables }: Catalogue): void {
  for (const table of tables.values()) if (isMessageTable(table) && table.entry !== 0 && !table.isRestricted) return
  throw new PublicationError(
    `PostgreSQL 13 carries messages only in the table ${MESSAGE_TABLE}, which the publication "${publication}" does not send, and the role ` +
      `may not change that. Have somebody with the right run: ${publish(publication)}`,
  )
}

export async function writeToTable(sql: SqlConnection, prefix: string, content: string): Promise<void> {
  try {
    await sql.rows(
      `insert into ${MESSAGE_TABLE} (place, prefix, content) values ($1, $2, $3)
       on conflict (place) do update set prefix = excluded.prefix, content = excluded.content`,
      [Math.floor(Math.random() * PLACES), prefix, content],
    )
  } catch (error) {
    if (sqlState(error) !== '42P01') throw error
    throw new SourceDownError(
      `The table ${MESSAGE_TABLE}, which carries messages on PostgreSQL 13, does not exist; it is made when the log is taken up. ` +
        'Wait until it is followed, or see in its status why it is not.',
      { cause: error },
    )
  }
}

async function look(sql: SqlConnection, publication: string): Promise<Standing> {
  const [row] = await sql.rows<Standing>(
    `select quote_ident(current_user) as role, c.oid is not null as "hasTable",
       coalesce(has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
         and has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update'), false) as "mayWrite",
       exists (select from pg_publication where pubname = $3) as "hasPublication"
     from (values (1)) one left join pg_namespace n on n.nspname = $1
     left join pg_class c on c.relnamespace = n.oid and c.relname = $2`,
    [SCHEMA, NAME, publication],
  )
  return row!
}

function grants({ role }: Standing): string[] {
  return [`grant usage on schema ${SCHEMA} to ${role}`, `grant select, insert, update on ${MESSAGE_TABLE} to ${role}`]
}

function publish(publication: string): string {
  return `alter publication ${escapeIdentifier(publication)} add table only ${MESSAGE_TABLE}`
}
