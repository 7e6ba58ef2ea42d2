import type { By } from './by.js'

/**
 * The columns of one row as the log has them: column name → text of the value, or null. A column that is absent is
 * *unknown* (an unchanged TOAST value, or an old value that the replica identity does not carry). Unknown is never NULL.
 */
export type Image = Readonly<Record<string, string | null>>

/**
 * One row. `table` is `schema.name`, each part quoted as PostgreSQL's quote_ident does.
 * insert: `old` is null. delete: `new` is null, `old` has at least the identity columns that the log carries.
 * update: both; `old` has what is known of the row before (at the least its identity columns).
 */
export interface RowChange {
  readonly kind: 'row'
  readonly op: 'insert' | 'update' | 'delete'
  readonly table: string
  readonly old: Image | null
  readonly new: Image | null
}

/**
 * A whole table: TRUNCATE, or a transaction too large to be kept by rows, or a change of its definition. `columns-added`: it
 * got a column that is NULL in every row, which matters only to what reads all columns.
 */
export interface TableChange {
  readonly kind: 'table'
  readonly table: string
  readonly reason: 'truncate' | 'large' | 'ddl' | 'coarse' | 'columns-added'
}

/**
 * What a change says is stale: a key, a tag, the keys that match a pattern, all keys of one tenant; or everything, of every tenant.
 * `key` is the key's text form. With a key goes whatever was computed from it.
 */
export type Target =
  | { readonly kind: 'key'; readonly tenant: string; readonly key: string }
  | { readonly kind: 'tag'; readonly tenant: string; readonly tag: string }
  | {
      readonly kind: 'pattern'
      readonly tenant: string
      readonly syntax: 'glob' | 'regex'
      readonly pattern: string
    }
  | { readonly kind: 'tenant'; readonly tenant: string }
  | { readonly kind: 'everything' }

/** What a request names that turned out to mean nothing: a tag that no entry can have. So it is in the log, and in journals, all the same. */
export function nothingIn(tenant: string): Target {
  return { kind: 'tag', tenant, tag: '' }
}

export function isNothing(target: Target): boolean {
  return target.kind === 'tag' && target.tag === ''
}

/** drop: gone at once. expire: stale now, served by grace while refilled. */
export type Mode = 'drop' | 'expire'

/**
 * Somebody's request to invalidate. `nonce` lets the process that asked recognise its own record. `by` says who asked and why; it is
 * absent where nobody said, and where the log can't tell that it was us who wrote the record.
 */
export interface TargetChange {
  readonly kind: 'target'
  readonly targets: readonly Target[]
  readonly mode: Mode
  readonly nonce?: string
  readonly by?: By
}

/** Everything that came from the source is stale, e.g. after a change of its catalogue that can't be bounded. */
export interface EverythingChange {
  readonly kind: 'everything'
  readonly reason: string
}

export type Change = RowChange | TableChange | TargetChange | EverythingChange

/**
 * One record of the log: everything that one transaction changed. Applied as a whole.
 *
 * `lsn` is its position (the end of the commit). `xid` is its 64-bit transaction id, or undefined where a loader that
 * starts after delivery is sure to see it. `committedAt` is the source's wall clock in ms, with a fraction where it has one. `prev` names the record before
 * it, where the log has such names: a consumer that did not apply `prev` has a gap.
 */
export interface Commit {
  readonly lsn: number
  readonly xid: number | undefined
  readonly committedAt: number
  readonly changes: readonly Change[]
  readonly prev?: number
}
