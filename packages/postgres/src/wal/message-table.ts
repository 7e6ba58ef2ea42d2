import type { Image } from 'tidemark'
import type { SqlConnection } from './connection.js'
import { RightsError, sqlState } from './errors.js'
import type { Relation } from './protocol.js'

/*
 * Before PostgreSQL 14 logical replication does not carry messages. There a small published table of ours does: writing a message
 * is writing one of its few rows, and whoever follows reads that as the message.
 */

/** From this version on the log carries messages itself. */
const VERSION_MESSAGES = 140_000
const SCHEMA = 'tidemark'
const NAME = 'messages'
/** So many rows it has: who writes at the same moment seldom waits for another. */
const PLACES = 32

const CREATE = `create schema if not exists ${SCHEMA};
create table if not exists ${SCHEMA}.${NAME} (place int primary key, prefix text not null, content text not null);`

export function needsMessageTable(version: number): boolean {
  return version < VERSION_MESSAGES
}

export function isMessageTable({ schema, name }: Relation): boolean {
  return schema === SCHEMA && name === NAME
}

/** The message that a row of the table is. */
export function messageOf(row: Image | null): { readonly prefix: string; readonly content: Buffer } | undefined {
  const { prefix, content } = row ?? {}
  if (typeof prefix !== 'string' || typeof content !== 'string') return undefined
  return { prefix, content: Buffer.from(content) }
}

/**
 * Makes the table: before the publication is looked at, which then lists it.
 *
 * @throws RightsError if the role may not
 */
export async function createMessageTable(sql: SqlConnection): Promise<void> {
  try {
    await sql.rows(CREATE)
  } catch (error) {
    // Another process made it at the same moment.
    if (sqlState(error) === '23505' || sqlState(error) === '42P07') return
    if (sqlState(error) !== '42501') throw error
    const [row] = await sql.rows<{ role: string }>('select quote_ident(current_user) as role')
    throw new RightsError(
      'PostgreSQL 13 carries messages only in a table, which the role may not create.',
      `create schema ${SCHEMA} authorization ${row!.role}`,
      { cause: error },
    )
  }
}

export async function writeToTable(sql: SqlConnection, prefix: string, content: string): Promise<void> {
  await sql.rows(
    `insert into ${SCHEMA}.${NAME} (place, prefix, content) values ($1, $2, $3)
     on conflict (place) do update set prefix = excluded.prefix, content = excluded.content`,
    [Math.floor(Math.random() * PLACES), prefix, content],
  )
}
