import { createHash } from 'node:crypto'
import { type Column, rowsToJson, rowToJson, type TextRow } from './rows-json.js'

/** Raise it when the same rows are represented in another way: servers of both versions may run side by side, and share L2. */
export const REPRESENTATION_VERSION = 1

/** What is kept for a resource: its JSON, written once when it was loaded, and a strong hash of it. */
export interface Representation {
  readonly body: string
  /** 128 bits of SHA-256, in hexadecimal. */
  readonly hash: string
  /** The event's name, where it is not the usual one. */
  readonly event?: string
  /** Of nodes that a path with wildcards names: the JSON of each, by its path. */
  readonly nodes?: ReadonlyMap<string, string>
}

export function represent(columns: readonly Column[], rows: readonly TextRow[], isOne: boolean): Representation {
  const body = isOne ? rowToJson(columns, rows[0]) : rowsToJson(columns, rows)
  return representationOf(body)
}

export function representationOf(body: string): Representation {
  return { body, hash: createHash('sha256').update(body).digest('hex').slice(0, 32) }
}
