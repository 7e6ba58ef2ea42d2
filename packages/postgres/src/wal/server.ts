import type { Client } from 'pg'
import { SourceDownError } from 'tidemark'
import { type ConnectionOptions, client, type SqlConnection } from './connection.js'
import { epochOf } from './epoch.js'
import { PoolerError, StandbyError, startError, VersionError, WalLevelError, walLevelText } from './errors.js'

const VERSION_MIN = 130_000

export interface Server {
  readonly epoch: string
  readonly version: number
  /** The walsender's process. */
  readonly pid: number
  readonly database: string
  readonly systemIdentifier: string
  readonly startedAt: string
}

/** The walsender gives up a follower that is silent for this long; it asks at half of it. */
export const SENDER_TIMEOUT_MS = 10_000
/** So long the creation of a slot waits for one transaction of another before it is tried anew. */
const SLOT_WAIT_MAX_MS = 600_000

/** A replication connection, not yet connected. */
export function replicationClient(options: ConnectionOptions): Client {
  // statement_timeout does not bound replication commands, where lock_timeout does; but it would bound what is asked beside them.
  const settings = {
    wal_sender_timeout: `${SENDER_TIMEOUT_MS}`,
    lock_timeout: `${SLOT_WAIT_MAX_MS}`,
    statement_timeout: '0',
  }
  return client(options, settings, true)
}

/** Connects the replication connection and asks which server it reached; refuses one that can't be followed. */
export async function connectReplication(replication: Client): Promise<Server> {
  try {
    await replication.connect()
    const server = await identify(replication)
    await unlimit(replication)
    return server
  } catch (error) {
    throw startError(error, replication)
  }
}

/** A connection for SQL, to the server that is followed (if one is) and no other. */
export async function connectSql(
  options: ConnectionOptions,
  settings: Readonly<Record<string, string>>,
  server: Server | undefined,
): Promise<Client> {
  const made = client(options, settings)
  try {
    await made.connect()
    if (server && !(await isSameServer(made, server))) {
      throw new SourceDownError(
        'The address answers as another server, or another run of it, than the one that is followed.',
      )
    }
    await unlimit(made)
    return made
  } catch (error) {
    await made.end().catch(() => {})
    throw startError(error, made)
  }
}

/**
 * Takes off what the role may have set, and not every version takes as a start-up parameter: of what bounds the decoding of a transaction,
 * or a connection that nothing is asked on for long, each version has other ones.
 */
async function unlimit(client: Client): Promise<void> {
  await client.query(
    "select set_config(name, '0', false) from pg_settings where name in ('idle_session_timeout', 'transaction_timeout')",
  )
}

async function identify(replication: Client): Promise<Server> {
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
    throw new VersionError('PostgreSQL before version 13 cannot be followed. Upgrade the server to 13 or later.')
  }
  if (row.standby) {
    throw new StandbyError(
      'The server is a standby; it cannot say what is visible on the primary. Give the address of the primary.',
    )
  }
  // Asked once it is known that recovery is over: until then a standby that is promoted names the timeline of before.
  const system = await replication.query<{ systemid: string; timeline: number; dbname: string | null }>(
    'IDENTIFY_SYSTEM',
  )
  const { systemid, timeline, dbname } = system.rows[0] ?? {}
  if (systemid === undefined || timeline === undefined || !dbname) {
    throw new PoolerError(
      'The address did not open a replication connection. Give the address of the server itself as directUrl.',
    )
  }
  if (row.level !== 'logical') throw new WalLevelError(walLevelText)
  const epoch = epochOf({ systemIdentifier: systemid, timeline, startedAt: row.started })
  return { epoch, version, pid: row.pid, database: dbname, systemIdentifier: systemid, startedAt: row.started }
}

/** Ends a walsender of ours, though it waits for something. */
export async function endWalsender(sql: SqlConnection, pid: number): Promise<void> {
  // By now the number may belong to another process.
  await sql.rows(
    `select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_type = 'walsender'`,
    [pid],
  )
}

/** Whether a connection reached the same run of the same server, and the same database. */
export async function isSameServer(client: Client, server: Server): Promise<boolean> {
  // The moment of the start, in microseconds, stands for the system identifier, which not every role may ask for.
  const { rows } = await client.query<{ same: boolean }>(
    `select extract(epoch from pg_postmaster_start_time())::text = $1 and current_database() = $2 and not pg_is_in_recovery() as same`,
    [server.startedAt, server.database],
  )
  return rows[0]!.same
}
