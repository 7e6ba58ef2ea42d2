import { journalBackup } from '@tidemark/postgres'
import { treesBackup } from '@tidemark/trees'
import type { Client } from 'pg'
import { tokensBackup } from '../access/token-store.js'
import { BackupError } from './errors.js'
import {
  checkBackup,
  type Header,
  headerOf,
  type Line,
  type PartHeader,
  readRows,
  type Summary,
  tableOf,
  writeBackup,
} from './file.js'
import type { BackupPart, Row } from './part.js'

/** All that a server keeps of its own. What applications keep is theirs, and caches fill themselves. */
const PARTS: readonly BackupPart[] = [tokensBackup, treesBackup, journalBackup]

const FETCH_ROWS = 1_000
/** Rows of one insert, in characters of values. */
const INSERT_MAX = 2 ** 20
const LOCK_WAIT_MS = 30_000
/** Values are told as text that any server reads alike. */
const TEXT_FORMS = `set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres'; set local bytea_output = 'hex';
  set local extra_float_digits = 1`

/**
 * Writes tokens, config trees and the journal into a file: one snapshot of all, at one position. The server may run.
 *
 * @throws BackupError if the role does not see all rows; what PostgreSQL and the disk refuse
 */
export async function backup(client: Client, path: string, program: string): Promise<Summary> {
  await client.query('begin isolation level repeatable read, read only')
  try {
    // A row that row security hides is an error, not a row that is missing.
    await client.query(`set local row_security = off; ${TEXT_FORMS}`)
    const { rows } = await client.query<{ at: Date; position: string }>(
      `select now() as at, (select system_identifier from pg_control_system())::text || '/' ||
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end as position`,
    )
    const parts = await partsOf(client)
    const header = headerOf({ at: rows[0]!.at.toISOString(), position: rows[0]!.position, program, parts })
    const counts = new Map<string, number>()
    const count = await writeBackup(path, header, rowsOf(client, header, counts))
    await client.query('commit')
    return { header, rows: count, counts }
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw mayNotSee(error)
  }
}

export interface RestoreOptions {
  /** Take out what is there. Default false: where anything is there, nothing is changed. */
  readonly replace?: boolean
}

/**
 * Checks a file, and restores it in one transaction: all of it, or nothing. The server may run; one of a later version than that of the backup
 * too.
 *
 * @throws BackupError if the file is damaged or of a later version, if something is there already, or if the journal's chains do not hold
 */
export async function restore(
  client: Client,
  path: string,
  { replace = false }: RestoreOptions = {},
): Promise<Summary> {
  const summary = await checkBackup(path)
  const { header } = summary
  const parts = header.parts.map((part) => knownPart(path, part))
  for (const part of parts) await part.prepare(client)
  await client.query('begin')
  try {
    await client.query(`set local lock_timeout = ${LOCK_WAIT_MS}; ${TEXT_FORMS}`)
    for (const part of parts) {
      if (!replace) await refuseUnlessEmpty(client, part)
      await part.clear(client)
    }
    await insertAll(client, path, header, parts)
    for (const part of parts) await part.finish?.(client)
    await client.query('commit')
    return summary
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

/** Those whose tables are there. */
async function partsOf(client: Client): Promise<PartHeader[]> {
  const parts: PartHeader[] = []
  for (const { name, version, tables } of PARTS) {
    const found: PartHeader['tables'][number][] = []
    for (const table of tables)
      found.push({ name: table, columns: (await columnsOf(client, table)).map((column) => column.name) })
    const there = found.filter(({ columns }) => columns.length > 0)
    if (there.length > 0) parts.push({ name, version, tables: there })
  }
  return parts
}

/** In their order; those that are computed are not among them. */
async function columnsOf(client: Client, table: string): Promise<{ readonly name: string; readonly type: string }[]> {
  const { rows } = await client.query<{ name: string; type: string }>(
    `select attname::text as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`,
    [table],
  )
  return rows
}

async function* rowsOf(client: Client, header: Header, counts: Map<string, number>): AsyncGenerator<Line> {
  for (const [part, { tables }] of header.parts.entries()) {
    for (const [table, { name, columns }] of tables.entries()) {
      const values = columns.map((column) => `"${column}"::text`).join(', ')
      await client.query(`declare rows no scroll cursor for select array[${values}] as values from ${name}`)
      for (;;) {
        const { rows } = await client.query<{ values: (string | null)[] }>(`fetch ${FETCH_ROWS} from rows`)
        for (const row of rows) yield [part, table, row.values]
        counts.set(name, (counts.get(name) ?? 0) + rows.length)
        if (rows.length < FETCH_ROWS) break
      }
      await client.query('close rows')
    }
  }
}

function knownPart(path: string, { name, version }: PartHeader): BackupPart {
  const part = PARTS.find((each) => each.name === name)
  if (part && version <= part.version) return part
  throw new BackupError(
    `${path} has ${name} of version ${version}, and this program knows ${part ? `version ${part.version}` : 'none'}. Restore it with the program that made it, or a later one. Nothing was changed.`,
  )
}

async function refuseUnlessEmpty(client: Client, { name, content }: BackupPart): Promise<void> {
  for (const table of content) {
    const { rows } = await client.query<{ has: boolean }>(`select exists (select from ${table}) as has`)
    if (!rows[0]!.has) continue
    throw new BackupError(
      `The database has its own ${name} already (in ${table}), and nothing was changed. Restore into another database, or say --replace: then they are taken out first.`,
    )
  }
}

/** What rows of one table are restored with. */
interface Insert {
  readonly part: BackupPart
  readonly table: PartHeader['tables'][number]
  readonly sql: string
}

async function insertAll(client: Client, path: string, header: Header, parts: readonly BackupPart[]): Promise<void> {
  let insert: Insert | undefined
  let waiting: Line[] = []
  let size = 0
  const flush = async () => {
    if (insert && waiting.length > 0) await insertRows(client, insert, waiting)
    waiting = []
    size = 0
  }
  for await (const line of readRows(path)) {
    const table = tableOf(header, line)
    if (insert?.table !== table) {
      await flush()
      insert = await insertInto(client, parts[line[0]]!, table)
    } else if (size > INSERT_MAX) await flush()
    waiting.push(line)
    size += line[2].reduce((sum, value) => sum + (value?.length ?? 4), 2)
  }
  await flush()
}

/** The text of each value becomes what its column has: PostgreSQL reads it as it reads a literal. */
async function insertInto(client: Client, part: BackupPart, table: PartHeader['tables'][number]): Promise<Insert> {
  const { name, columns } = table
  if (!part.tables.includes(name)) throw new BackupError(`${name} is no table of ${part.name}. Nothing was changed.`)
  const known = new Map((await columnsOf(client, name)).map((column) => [column.name, column.type]))
  const unknown = columns.filter((column) => !known.has(column))
  if (unknown.length > 0)
    throw new BackupError(`${name} has no column ${unknown.join(', ')} any more. Nothing was changed.`)
  const list = columns.map((column) => `"${column}"`).join(', ')
  const values = columns.map((column, at) => `(r ->> ${at})::${known.get(column)}`).join(', ')
  const sql = `insert into ${name} (${list}) select ${values} from json_array_elements($1::json) r`
  return { part, table, sql }
}

async function insertRows(client: Client, { part, table, sql }: Insert, lines: readonly Line[]): Promise<void> {
  const { name, columns } = table
  await part.before?.(
    client,
    name,
    lines.map(([, , values]) => rowOf(columns, values)),
  )
  await client.query(sql, [JSON.stringify(lines.map(([, , row]) => row))])
}

function rowOf(columns: readonly string[], values: readonly (string | null)[]): Row {
  return Object.fromEntries(columns.map((column, at) => [column, values[at]!]))
}

function mayNotSee(error: unknown): unknown {
  const { code, message } = error as { code?: string; message?: string }
  if (code !== '42501') return error
  return new BackupError(
    `The role does not see all that is to be backed up (${message}). Use the owner with BYPASSRLS, or a superuser: ` +
      'config trees are under row security.',
    { cause: error },
  )
}
