import type { SqlConnection } from '../wal/connection.js'
import { error, type Finding, listed, ok, warning } from './finding.js'

/** The newest major version that the tests have followed. */
const VERSION_TESTED = 18
/** A slot this far behind holds a notable part of a disk. */
const SLOT_LAG_BYTES = 2 ** 30
const LONG_SECONDS = 60

interface ServerRow {
  version: number
  versionText: string
  walLevel: string
  slots: number
  slotsMax: number
  senders: number
  sendersMax: number
  slotWalMb: number
  senderTimeoutMs: number
  standbys: string
  role: string
  isReplicator: boolean
  mayCreate: boolean
  database: string
}

/** The settings of the server and the rights of the role. */
export async function checkServer(sql: SqlConnection): Promise<Finding[]> {
  const [row] = await sql.rows<ServerRow>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as "versionText",
       current_setting('wal_level') as "walLevel",
       (select count(*)::int from pg_replication_slots) as slots, current_setting('max_replication_slots')::int as "slotsMax",
       (select count(*)::int from pg_stat_replication) as senders, current_setting('max_wal_senders')::int as "sendersMax",
       (select setting::int from pg_settings where name = 'max_slot_wal_keep_size') as "slotWalMb",
       (select setting::int from pg_settings where name = 'wal_sender_timeout') as "senderTimeoutMs",
       current_setting('synchronous_standby_names') as standbys, format('%I', current_user) as role,
       (select rolreplication or rolsuper from pg_roles where rolname = current_user) as "isReplicator",
       has_database_privilege(current_database(), 'create') as "mayCreate", format('%I', current_database()) as database`,
  )
  return [...checkVersion(row!), ...checkSettings(row!), ...checkRights(row!)]
}

function checkVersion({ version, versionText }: ServerRow): Finding[] {
  const major = Math.floor(version / 10_000)
  if (major < 14) {
    return [
      error(
        'TIDEMARK_VERSION',
        `PostgreSQL ${versionText} is too old to be followed`,
        'Entries live until they expire.',
        'Upgrade to PostgreSQL 14 or later.',
        false,
      ),
    ]
  }
  if (major <= VERSION_TESTED) return [ok('version', `PostgreSQL ${versionText}`)]
  return [
    warning(
      'version',
      `PostgreSQL ${versionText} is newer than what Tidemark was tested with (${VERSION_TESTED})`,
      'Nothing is known to break.',
      'Look for a newer version of Tidemark.',
      false,
    ),
  ]
}

function checkSettings(row: ServerRow): Finding[] {
  const findings: Finding[] = []
  findings.push(
    row.walLevel === 'logical'
      ? ok('wal-level', 'wal_level is logical')
      : error(
          'TIDEMARK_WAL_LEVEL',
          `wal_level is ${row.walLevel}`,
          'Changes cannot be followed: entries live until they expire.',
          'alter system set wal_level = logical; -- then restart the server',
        ),
  )
  findings.push(room('replication slots', row.slots, row.slotsMax, 'max_replication_slots'))
  findings.push(room('walsenders', row.senders, row.sendersMax, 'max_wal_senders'))
  findings.push(
    row.slotWalMb >= 0
      ? ok('slot-wal', `a slot holds at most ${row.slotWalMb} MB of WAL`)
      : warning(
          'slot-wal',
          'max_slot_wal_keep_size is not limited',
          'A follower that hangs without losing its connection makes the server keep its WAL until the disk is full.',
          "alter system set max_slot_wal_keep_size = '10GB';\nselect pg_reload_conf();",
        ),
  )
  findings.push(
    row.senderTimeoutMs > 0
      ? ok(
          'sender-timeout',
          `wal_sender_timeout is ${row.senderTimeoutMs} ms; Tidemark sets 10 s for its own connection`,
        )
      : warning(
          'sender-timeout',
          'wal_sender_timeout is off',
          "Tidemark sets 10 s for its own connection; another program's slot stays active for ever when its network goes silent.",
          "alter system set wal_sender_timeout = '60s';\nselect pg_reload_conf();",
        ),
  )
  if (row.standbys !== '') {
    findings.push(
      ok(
        'synchronous',
        'commits wait for synchronous standbys: until they are visible, what they changed is loaded but not kept',
      ),
    )
  }
  return findings
}

function room(what: string, used: number, max: number, setting: string): Finding {
  if (used < max)
    return ok(setting.replaceAll('_', '-'), `${used} of ${max} ${what} are in use; each process needs one`)
  return error(
    'TIDEMARK_NO_SLOT',
    `all ${max} ${what} are in use`,
    'No further process can follow.',
    `alter system set ${setting} = ${max + 10}; -- then restart the server`,
  )
}

function checkRights({ role, isReplicator, mayCreate, database }: ServerRow): Finding[] {
  return [
    isReplicator
      ? ok('replication', `role ${role} may replicate`)
      : warning(
          'replication',
          `role ${role} has no REPLICATION attribute`,
          'It cannot follow, unless the provider grants that by membership in a role of its own.',
          `alter role ${role} replication;`,
        ),
    mayCreate
      ? ok('create', `role ${role} may create publications in ${database}`)
      : warning(
          'create',
          `role ${role} may not create publications in ${database}`,
          'The publication has to be made, and new tables added to it, by somebody else.',
          `grant create on database ${database} to ${role};`,
        ),
  ]
}

interface SlotRow {
  name: string
  active: boolean
  status: string | null
  lag: number | null
}

/** What slots and transactions of others do to the server, and to the start of a follower. */
export async function checkActivity(sql: SqlConnection): Promise<Finding[]> {
  const slots = await sql.rows<SlotRow>(
    `select slot_name::text as name, active, wal_status as status,
       case when pg_is_in_recovery() then null else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 end as lag
     from pg_replication_slots where not temporary`,
  )
  const long = await sql.rows<{ name: string }>(
    `select 'process ' || pid || coalesce(' in ' || datname, '') as name from pg_stat_activity
     where backend_xid is not null and clock_timestamp() - xact_start > $1 * interval '1 second'
     union all select 'prepared transaction ' || gid from pg_prepared_xacts`,
    [LONG_SECONDS],
  )
  const findings = slots.flatMap(checkSlot)
  if (long.length > 0) {
    findings.push(
      warning(
        'long-transaction',
        `write transactions are open for more than ${LONG_SECONDS} s: ${listed(long.map(({ name }) => name))}`,
        'A process that starts now waits for them before it keeps anything.',
        'End them: select pg_terminate_backend(<pid>), or rollback prepared.',
        false,
      ),
    )
  }
  return findings.length > 0
    ? findings
    : [ok('activity', 'no slot is left over or far behind, and no write transaction is open for long')]
}

function checkSlot({ name, active, status, lag }: SlotRow): Finding[] {
  const drop = `select pg_drop_replication_slot('${name.replaceAll("'", "''")}');`
  if (status === 'lost') {
    return [warning('slot-lost', `slot ${name} has lost its WAL`, 'It is of no use and occupies a place.', drop)]
  }
  const megabytes = Math.round((lag ?? 0) / 2 ** 20)
  if (!active) {
    return [
      warning(
        'slot-idle',
        `slot ${name} is read by nobody and holds ${megabytes} MB of WAL`,
        'It makes the server keep WAL for ever.',
        drop,
      ),
    ]
  }
  if ((lag ?? 0) < SLOT_LAG_BYTES) return []
  return [
    warning(
      'slot-lag',
      `slot ${name} is ${megabytes} MB behind`,
      'The server keeps that much WAL for it.',
      'See why its reader is slow.',
      false,
    ),
  ]
}
