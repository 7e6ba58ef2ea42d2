import type { SqlConnection } from '../wal/connection.js'
import { type Finding, ok, warning } from './finding.js'

/** A process that is behind by less is only busy. */
const BEHIND_BYTES = 64 * 2 ** 20

interface FollowerRow {
  readonly pid: number
  readonly slot: string
  /** Bytes between the end of the WAL and what was sent; null where the role is not shown it. */
  readonly sent: number | null
  /** … and what the process acknowledged; null while the slot is being made. */
  readonly applied: number | null
}

/** Our temporary slots, by their name. */
const OWN = '^tidemark_[0-9]+_[0-9a-f]{12}$'

/**
 * How far the processes that follow this database are behind, those with temporary slots too.
 *
 * @param shared  the slot that the processes share, if they do
 * @param behindBytes  from how much on it is a warning
 */
export async function checkFollowers(
  sql: SqlConnection,
  shared: string | undefined,
  behindBytes = BEHIND_BYTES,
): Promise<Finding[]> {
  // What was acknowledged stands in the slot too, which everybody is shown; what was sent only in the view of the walsenders.
  const followers = await sql.rows<FollowerRow>(
    `with wal as (select case when not pg_is_in_recovery() then pg_current_wal_lsn() end as ends)
     select s.active_pid as pid, s.slot_name::text as slot, pg_wal_lsn_diff(ends, r.sent_lsn)::float8 as sent,
       pg_wal_lsn_diff(ends, coalesce(r.replay_lsn, s.confirmed_flush_lsn))::float8 as applied
     from wal, pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid
     where s.active and s.plugin = 'pgoutput' and s.database = current_database()
       and (s.temporary and s.slot_name ~ $1 or s.slot_name = $2) order by applied desc nulls last`,
    [OWN, shared ?? null],
  )
  if (followers.length === 0) return []
  const code = 'follower-lag'
  const behind = followers.filter(({ sent, applied }) => Math.max(sent ?? 0, applied ?? 0) >= behindBytes)
  if (behind.length === 0) {
    const most = Math.max(...followers.map(({ applied }) => applied ?? 0))
    return [ok(code, `${followers.length} process(es) follow, at most ${megabytes(most)} behind`)]
  }
  return behind.map((follower) => {
    const { pid, slot } = follower
    return warning(
      code,
      `the follower of slot ${slot} (walsender ${pid}) is behind: ${where(follower)}`,
      'Until it has caught up its process keeps nothing, and answers from the database.',
      whatToDo(follower, behindBytes),
      false,
    )
  })
}

function where({ sent, applied }: FollowerRow): string {
  const done = applied === null ? 'its slot is being made' : `${megabytes(applied)} are not applied`
  return sent === null
    ? `${done} (how much was sent, this role is not shown)`
    : `${megabytes(sent)} are not sent, ${done}`
}

function whatToDo({ sent, applied }: FollowerRow, behindBytes: number): string {
  if (sent === null)
    return 'See whether the server decodes slowly, or the process is busy or hangs: grant pg_read_all_stats to see which.'
  // What was sent and not applied waits in the process, or on the way to it.
  return (applied ?? 0) - sent >= behindBytes
    ? 'It was sent: see what keeps the process busy, or whether it hangs.'
    : 'The server has not sent it: a large transaction is decoded, or the network or the process does not take it.'
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`
}
