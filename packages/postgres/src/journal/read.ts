import type { Client } from 'pg'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import type { JournalRecord, Origin } from './record.js'
import { COLUMNS, type Row, recordOf } from './rows.js'
import { AUDIT, namesHave } from './tables.js'

/** Which records to read, newest first. What is not said does not narrow it. */
export interface JournalQuery {
  /** Those of these tenants; null stands for the source's own: rows, DDL, gaps. */
  readonly tenants?: readonly (string | null)[]
  readonly actor?: string
  readonly origins?: readonly Origin[]
  /** A key, a tag, a pattern or a table (`schema.name`), as it was named. */
  readonly target?: string
  readonly requestId?: string
  /** Those of one change: what was asked for, what it did in each process, what was filled again. */
  readonly position?: { readonly epoch: string; readonly lsn: number }
  /** Committed at or after, and before: ms since 1970. */
  readonly from?: number
  readonly to?: number
  /** Only records older than this one. */
  readonly before?: number
  /** How many to pass over. For those who count pages; a cursor (`before`) costs less. */
  readonly offset?: number
}

/** A record as readers see it. */
export interface ReadRecord extends JournalRecord {
  readonly hash: string
  /** The longest that the change took to take effect in a process, as its effects say; null while none does. */
  readonly effectMs: number | null
}

/** Newest first. */
export async function readPage(client: Client, query: JournalQuery, limit: number): Promise<ReadRecord[]> {
  const { where, values } = conditionOf(query)
  // The effect of a change is a later record; where there are several processes, the last to be done counts.
  const effect = `(select max(e.latency_ms) from ${AUDIT} e where e.log = a.log and e.lsn = a.lsn and e.origin = 'effect')`
  const { rows } = await client.query<Row & { effect: number | null }>(
    `select ${COLUMNS}, case when a.origin in ('request', 'edit', 'rows', 'ddl') then ${effect} else a.latency_ms end as effect
     from ${AUDIT} a where ${where} order by a.id desc limit ${limit} offset ${query.offset ?? 0}`,
    values,
  )
  return rows.map((row) => {
    const { record, hash } = recordOf(row)
    return { ...record, hash, effectMs: row.effect }
  })
}

/** How many there are. */
export async function countOf(client: Client, query: JournalQuery): Promise<number> {
  const { where, values } = conditionOf(query)
  const { rows } = await client.query<{ count: string }>(`select count(*)::text from ${AUDIT} a where ${where}`, values)
  return Number(rows[0]!.count)
}

/** The clocks of processes may differ by so much. */
const SKEW_MS = 86_400_000

function conditionOf(query: JournalQuery): { readonly where: string; readonly values: unknown[] } {
  const { tenants, actor, origins, target, requestId, position, from, to, before } = query
  const values: unknown[] = []
  const parts: string[] = []
  const add = (value: unknown, part: (place: string) => string): void => {
    values.push(value)
    parts.push(part(`$${values.length}`))
  }
  if (tenants) {
    const named = tenants.filter((tenant) => tenant !== null)
    const orSource = tenants.includes(null) ? ' or a.tenant is null' : ''
    add(named, (place) => `(a.tenant = any(${place})${orSource})`)
  }
  if (actor !== undefined) add(actor, (place) => `a.triggered_by = ${place}`)
  if (origins) add(origins, (place) => `a.origin = any(${place})`)
  if (target !== undefined) add(target, (place) => `(a.pattern = ${place} or ${namesHave(place)})`)
  if (requestId !== undefined) add(requestId, (place) => `a.request_id = ${place}`)
  if (position) {
    add(position.epoch, (place) => `a.epoch = ${place}`)
    // By the index: there are few logs.
    add(position.lsn, (place) => `a.lsn = ${place} and a.log = any(array(select log from ${JOURNAL_SCHEMA}.places))`)
  }
  if (from !== undefined) {
    add(new Date(from).toISOString(), (place) => `a.timestamp >= ${place}::timestamptz`)
    // A record is filed under the month in which it was written, or a later one: older partitions need not be looked into.
    add(monthBefore(from), (place) => `a.month >= ${place}`)
  }
  if (to !== undefined) add(new Date(to).toISOString(), (place) => `a.timestamp < ${place}::timestamptz`)
  if (before !== undefined) add(before, (place) => `a.id < ${place}`)
  return { where: parts.length > 0 ? parts.join(' and ') : 'true', values }
}

function monthBefore(ms: number): number {
  const date = new Date(ms - SKEW_MS)
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1
}
