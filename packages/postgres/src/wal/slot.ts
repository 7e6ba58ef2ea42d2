import { randomBytes } from 'node:crypto'
import type { Client } from 'pg'
import { parsePosition, type Snapshot, type StartProof } from 'tidemark'
import type { SqlConnection } from './connection.js'
import { epochOf } from './epoch.js'
import { PoolerError, StandbyError, sqlState, VersionError, WalLevelError, walLevelText } from './errors.js'
import { parseSnapshot } from './visibility.js'

/** pg_logical_emit_message reaches pgoutput from this version on. */
const VERSION_MIN = 140_000

export interface Server {
  readonly epoch: string
  readonly version: number
  /** The walsender's process. */
  readonly pid: number
  readonly database: string
  readonly systemIdentifier: string
  readonly startedAt: string
}

export interface Slot {
  readonly name: string
  /** Every commit after this position is delivered. */
  readonly lsn: number
  readonly proof: StartProof
}

/** Asks a replication connection which server it reached, and refuses one that can't be followed. */
export async function identify(replication: Client): Promise<Server> {
  const system = await replication.query<{ systemid: string; timeline: number; dbname: string | null }>(
    'IDENTIFY_SYSTEM',
  )
  const { systemid, timeline, dbname } = system.rows[0] ?? {}
  if (systemid === undefined || timeline === undefined || !dbname) {
    throw new PoolerError(
      'The address did not open a replication connection. Give the address of the server itself as directUrl.',
    )
  }
  const { rows } = await replication.query<{
    started: string
    version: string
    level: string
    standby: boolean
    pid: number
  }>(
    `select extract(epoch from pg_postmaster_start_time())::text as started, current_setting('server_version_num') as version,
       current_setting('wal_level') as level, pg_is_in_recovery() as standby, pg_backend_pid() as pid`,
  )
  const row = rows[0]!
  const version = Number(row.version)
  if (version < VERSION_MIN) {
    throw new VersionError(
      'PostgreSQL before version 14 cannot carry messages in its log. Upgrade the server to 14 or later.',
    )
  }
  if (row.standby) {
    throw new StandbyError(
      'The server is a standby; it cannot say what is visible on the primary. Give the address of the primary.',
    )
  }
  if (row.level !== 'logical') throw new WalLevelError(walLevelText)
  const epoch = epochOf({ systemIdentifier: systemid, timeline, startedAt: row.started })
  return { epoch, version, pid: row.pid, database: dbname, systemIdentifier: systemid, startedAt: row.started }
}

/** Whether a connection reached the same run of the same server, and the same database. */
export async function isSameServer(client: Client, server: Server): Promise<boolean> {
  const { rows } = await client.query<{ same: boolean }>(
    `select (select system_identifier::text from pg_control_system()) = $1 and current_database() = $2
       and extract(epoch from pg_postmaster_start_time())::text = $3 and not pg_is_in_recovery() as same`,
    [server.systemIdentifier, server.database, server.startedAt],
  )
  return rows[0]!.same
}

/**
 * Creates a temporary slot: it goes with the connection. Takes as long as the oldest write transaction that is open on the server
 * (in any database), and says through `proof` what must be seen before anything is kept (rule Start).
 */
export async function createSlot(replication: Client, sql: SqlConnection): Promise<Slot> {
  const name = `tidemark_${process.pid}_${randomBytes(6).toString('hex')}`
  try {
    const { lsn, snapshot } = await create(replication, name, 'EXPORT_SNAPSHOT')
    // The next command on the replication connection would end the snapshot: it is read before the stream starts.
    return { name, lsn, proof: { kind: 'snapshot', snapshot: await readExported(sql, snapshot) } }
  } catch (error) {
    // "initial slot snapshot too large": under many transactions it can't be exported.
    if (sqlState(error) !== '40001') throw error
    const { lsn } = await create(replication, name, 'NOEXPORT_SNAPSHOT')
    return { name, lsn, proof: { kind: 'xmin', xid: await sql.use(ownTransaction) } }
  }
}

/** Writes a transaction of our own and returns its id: all that committed before has a lower one. */
export async function ownTransaction(client: Client): Promise<number> {
  const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
  return Number(rows[0]!.xid)
}

/** Names the transactions that the creation of a slot waits for, or undefined if it waits for none. */
export async function slotWaits(sql: SqlConnection, pid: number): Promise<string | undefined> {
  const rows = await sql.rows<{ pid: number; datname: string | null; seconds: number | null }>(
    `select b.pid, a.datname, extract(epoch from clock_timestamp() - a.xact_start)::int as seconds
     from unnest(pg_blocking_pids($1)) as b(pid) left join pg_stat_activity a on a.pid = b.pid limit 5`,
    [pid],
  )
  if (rows.length === 0) return undefined
  const names = rows.map(({ pid, datname, seconds }) =>
    pid === 0
      ? 'a prepared transaction (select * from pg_prepared_xacts)'
      : `process ${pid} (database ${datname ?? 'unknown'}, transaction open for ${seconds ?? '?'} s)`,
  )
  return (
    `TIDEMARK_SLOT_WAITS: the replication slot is created when every write transaction that is open now has ended; it waits for ` +
    `${names.join(', ')}. End it, or wait: until then answers come from the source and are not kept.`
  )
}

async function create(
  replication: Client,
  name: string,
  snapshot: 'EXPORT_SNAPSHOT' | 'NOEXPORT_SNAPSHOT',
): Promise<{ readonly lsn: number; readonly snapshot: string }> {
  // The options without parentheses are understood by every version.
  const { rows } = await replication.query<{ consistent_point: string; snapshot_name: string }>(
    `CREATE_REPLICATION_SLOT ${name} TEMPORARY LOGICAL pgoutput ${snapshot}`,
  )
  return { lsn: parsePosition(rows[0]!.consistent_point).lsn, snapshot: rows[0]!.snapshot_name }
}

function readExported(sql: SqlConnection, name: string): Promise<Snapshot> {
  if (!/^[0-9A-Fa-f-]+$/.test(name)) throw new PoolerError('The server exported a snapshot under a name that is none.')
  return sql.use(async (client) => {
    await client.query('begin isolation level repeatable read')
    try {
      await client.query(`set transaction snapshot '${name}'`)
      const { rows } = await client.query<{ snapshot: string }>('select pg_current_snapshot()::text as snapshot')
      return parseSnapshot(rows[0]!.snapshot)
    } finally {
      await client.query('rollback')
    }
  })
}
