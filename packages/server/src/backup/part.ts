import type { Client } from 'pg'

/** One kind of what a backup holds: tables of ours, and how they are made and emptied. */
export interface BackupPart {
  readonly name: string
  /** Of its tables' shape. A backup of a later one than the program knows is refused. */
  readonly version: number
  /** Qualified names, in the order in which they are restored. */
  readonly tables: readonly string[]
  /** Those of them that say whether anything is there. */
  readonly content: readonly string[]
  /** Makes the tables where there are none. */
  prepare(client: Client): Promise<void>
  /** Keeps others from writing until the transaction ends, and takes out all that is there. */
  clear(client: Client): Promise<void>
  /** Rows of a table come next. */
  before?(client: Client, table: string, rows: readonly Row[]): Promise<void>
  /** All rows are there. @throws if they are not what was backed up */
  finish?(client: Client): Promise<void>
}

/** Values as PostgreSQL's text, by column. */
export type Row = Readonly<Record<string, string | null>>
