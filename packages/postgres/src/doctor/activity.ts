import { escapeLiteral } from 'pg'
import type { SqlConnection } from '../wal/connection.js'
import { error, type Finding, listed, ok, warning } from './finding.js'

/** From when on something is worth a warning. */
export interface ActivityBounds {
  /** WAL that a slot holds: a notable part of a disk. Default 1 GiB. */
  readonly heldBytes?: number
  /** How long a write transaction is open. Default 60. */
  readonly openSeconds?: number
}

interface SlotRow {
  name: string
  temporary: boolean
  isOurs: boolean
  /** The walsender that reads it. */
  pid: number | null
  status: string | null
  /** Bytes of WAL that are kept for it; null for a standby's server. */
  held: number | null
  /** Since when nobody reads it; only versions from 17 on know. */
  idleSeconds: number | null
}

/**
 * What slots and transactions do to the server, and to the start of a follower.
 *
 * @param shared  the slot that the processes share, if they do
 */
export async function checkActivity(
  sql: SqlConnection,
  shared: string | undefined,
  { heldBytes = 2 ** 30, openSeconds = 60 }: ActivityBounds = {},
): Promise<Finding[]> {
  // Columns that not every version has are read by name from the row as JSON.
  const slots = await sql.rows<SlotRow>(
    `select slot_name::text as name, temporary, case when active then active_pid end as pid, wal_status as status,
       coalesce(plugin = 'pgoutput' and database = current_database() and not temporary, false) as "isOurs",
       case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) end::float8 as held,
       extract(epoch from clock_timestamp() - (to_jsonb(s)->>'inactive_since')::timestamptz)::float8 as "idleSeconds"
     from pg_replication_slots s order by slot_name`,
  )
  const unshared = slots.filter(({ name }) => name !== shared)
  const others = [
    ...unshared.flatMap((slot) => checkSlot(slot, heldBytes)),
    ...(await checkTransactions(sql, openSeconds)),
  ]
  return [
    ...(shared === undefined ? [] : [checkShared(shared, slots)]),
    ...(others.length > 0
      ? others
      : [ok('activity', 'no slot is left over or far behind, and no write transaction is seen to be open for long')]),
  ]
}

function checkSlot({ name, temporary, pid, status, held, idleSeconds }: SlotRow, heldBytes: number): Finding[] {
  const drop = `select pg_drop_replication_slot(${escapeLiteral(name)});`
  if (status === 'lost')
    return [warning('slot-lost', `slot ${name} has lost its WAL`, 'It is of no use and occupies a place.', drop)]
  if (status === 'unreserved')
    return [
      warning(
        'slot-lag',
        `slot ${name} is about to lose its WAL${reader(pid)}`,
        'The next checkpoint may remove WAL that it still needs, which makes it useless.',
        'See why nobody reads it, or why its reader is slow; or raise max_slot_wal_keep_size.',
        false,
      ),
    ]
  if (pid === null && !temporary) {
    return [
      warning(
        'slot-idle',
        `slot ${name} is read by nobody${since(idleSeconds)} and holds ${megabytes(held)} of WAL`,
        'It makes the server keep WAL until somebody reads it. If nobody will, drop it.',
        drop,
      ),
    ]
  }
  if ((held ?? 0) < heldBytes) return []
  return [
    warning(
      'slot-lag',
      `slot ${name} is ${megabytes(held)} behind${reader(pid)}`,
      'The server keeps that much WAL for it.',
      'See why its reader is slow.',
      false,
    ),
  ]
}

function checkShared(name: string, slots: readonly SlotRow[]): Finding {
  const code = 'shared-slot'
  const slot = slots.find((each) => each.name === name)
  if (!slot) return ok(code, `the shared slot ${name} will be made at the first start`)
  const { isOurs, pid, status, held, idleSeconds } = slot
  if (!isOurs) {
    return error(
      'TIDEMARK_SLOT',
      `slot ${name} is another program's, or another database's`,
      'No process follows through it.',
      'Give another name as slot.',
      false,
    )
  }
  const drop = `select pg_drop_replication_slot(${escapeLiteral(name)});`
  if (status === 'lost')
    return warning(
      code,
      `the shared slot ${name} has lost its WAL`,
      'The next start makes it anew, and L1 empty.',
      drop,
    )
  if (status === 'unreserved')
    return warning(
      code,
      `the shared slot ${name} is about to lose its WAL${reader(pid)}`,
      'The next checkpoint may remove WAL that it still needs: then the next start makes it anew, and L1 empty.',
      'Start a process that reads it, or raise max_slot_wal_keep_size.',
      false,
    )
  if (pid !== null) return ok(code, `the shared slot ${name} holds ${megabytes(held)} of WAL${reader(pid)}`)
  return warning(
    code,
    `the shared slot ${name} is held by no process${since(idleSeconds)} and holds ${megabytes(held)} of WAL`,
    'It makes the server keep WAL until a process starts. If none will, drop it.',
    drop,
  )
}

async function checkTransactions(sql: SqlConnection, openSeconds: number): Promise<Finding[]> {
  const long = await sql.rows<{ name: string; seconds: number }>(
    `select 'process ' || pid || coalesce(' in ' || datname, '') as name,
       extract(epoch from clock_timestamp() - xact_start)::float8 as seconds from pg_stat_activity
     where backend_xid is not null and clock_timestamp() - xact_start > $1 * interval '1 second'
     union all
     select 'prepared transaction ' || gid || ' in ' || database, extract(epoch from clock_timestamp() - prepared)::float8
     from pg_prepared_xacts
     order by seconds desc`,
    [openSeconds],
  )
  if (long.length === 0) return []
  const names = listed(long.map(({ name, seconds }) => `${name} (${duration(seconds)})`))
  return [
    warning(
      'long-transaction',
      `write transactions are open for long: ${names}`,
      'A process that starts now waits for them before it keeps anything.',
      'End them: select pg_terminate_backend(<pid>), or rollback prepared.',
      false,
    ),
  ]
}

function reader(pid: number | null): string {
  return pid === null ? '' : `, read by process ${pid}`
}

function since(seconds: number | null): string {
  return seconds === null ? '' : ` for ${duration(seconds)}`
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`
}

function megabytes(bytes: number | null): string {
  return bytes === null ? 'an unknown amount' : `${Math.round(bytes / 2 ** 20)} MB`
}
