import type { CheckedRecord } from './chain.js'
import type { JournalRecord, Origin } from './record.js'

/** The columns of a record, as `recordOf` reads them. Moments are in µs: as text a date has many forms. */
export const COLUMNS = `
  a.id::text, a.month, a.chain, a.seq::text, a.tenant, a.origin, a.pattern, a.keys, a.tags, a.tables, a.mode, a.triggered_by, a.cause,
  a.request_id, round(extract(epoch from a.timestamp) * 1000000)::bigint::text as at, a.latency_ms,
  round(extract(epoch from a.created_at) * 1000000)::bigint::text as created, a.log, a.epoch, a.lsn::text, a.n, a.process,
  a.detail::text, a.hash`

export interface Row {
  readonly id: string
  readonly month: number
  readonly chain: string
  readonly seq: string
  readonly tenant: string | null
  readonly origin: string
  readonly pattern: string | null
  readonly keys: string[]
  readonly tags: string[]
  readonly tables: string[]
  readonly mode: string | null
  readonly triggered_by: string | null
  readonly cause: string | null
  readonly request_id: string | null
  readonly at: string
  readonly latency_ms: number | null
  readonly created: string
  readonly log: string
  readonly epoch: string
  readonly lsn: string
  readonly n: number
  readonly process: string
  readonly detail: string
  readonly hash: string
}

export function recordOf(row: Row): CheckedRecord {
  const record: JournalRecord = {
    id: Number(row.id),
    month: row.month,
    chain: row.chain,
    seq: Number(row.seq),
    tenant: row.tenant,
    origin: row.origin as Origin,
    pattern: row.pattern,
    keys: row.keys,
    tags: row.tags,
    tables: row.tables,
    mode: row.mode as JournalRecord['mode'],
    actor: row.triggered_by,
    cause: row.cause,
    requestId: row.request_id,
    at: Number(row.at),
    latencyMs: row.latency_ms,
    created: Number(row.created),
    log: row.log,
    epoch: row.epoch,
    lsn: Number(row.lsn),
    n: row.n,
    process: row.process,
    detail: row.detail,
  }
  return { record, hash: row.hash }
}

/** Inserts the records that `rowsOf` makes JSON of, in one statement: `$1`. */
export function insertSql(table: string): string {
  const moment = (micros: string): string => `timestamptz 'epoch' + r.${micros} * interval '1 microsecond'`
  return `
    insert into ${table} (id, month, chain, seq, tenant, origin, pattern, keys, tags, tables, mode, triggered_by, cause, request_id,
      timestamp, latency_ms, created_at, log, epoch, lsn, n, process, detail, hash)
    select r.id, r.month, r.chain, r.seq, r.tenant, r.origin, r.pattern, r.keys, r.tags, r.tables, r.mode, r.actor, r.cause, r."requestId",
      ${moment('at')}, r."latencyMs", ${moment('created')}, r.log, r.epoch, r.lsn, r.n, r.process, r.detail::json, r.hash
    from pg_catalog.json_to_recordset($1::json) as r(id bigint, month int, chain text, seq bigint, tenant text, origin text, pattern text,
      keys text[], tags text[], tables text[], mode text, actor text, cause text, "requestId" text, at bigint, "latencyMs" float8,
      created bigint, log text, epoch text, lsn bigint, n int, process text, detail text, hash text)`
}

export function rowsOf(records: readonly CheckedRecord[]): string {
  return JSON.stringify(records.map(({ record, hash }) => ({ ...record, hash })))
}
