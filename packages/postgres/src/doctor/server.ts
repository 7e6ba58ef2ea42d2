import type { SqlConnection } from '../wal/connection.js'
import { error, type Finding, ok, warning } from './finding.js'
import { type Provider, settingFix } from './provider.js'

/** The newest major version that the tests have followed. */
const VERSION_TESTED = 18

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
  decodingMemory: string
  /** null before version 18. */
  slotIdle: string | null
}

/**
 * The version of the server and its settings.
 *
 * @param ownPid  our own walsender, which may be about to end
 */
export async function checkServer(
  sql: SqlConnection,
  provider: Provider | undefined,
  ownPid: number | undefined,
): Promise<Finding[]> {
  const [row] = await sql.rows<ServerRow>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as "versionText",
       current_setting('wal_level') as "walLevel",
       (select count(*)::int from pg_replication_slots) as slots, current_setting('max_replication_slots')::int as "slotsMax",
       (select count(*)::int from pg_stat_replication where pid <> $1) as senders, current_setting('max_wal_senders')::int as "sendersMax",
       (select setting::int from pg_settings where name = 'max_slot_wal_keep_size') as "slotWalMb",
       (select setting::int from pg_settings where name = 'wal_sender_timeout') as "senderTimeoutMs",
       current_setting('synchronous_standby_names') as standbys, current_setting('logical_decoding_work_mem') as "decodingMemory",
       current_setting('idle_replication_slot_timeout', true) as "slotIdle"`,
    [ownPid ?? 0],
  )
  return [...checkVersion(row!), ...checkSettings(row!, provider)]
}

function checkVersion({ version, versionText }: ServerRow): Finding[] {
  const major = Math.floor(version / 10_000)
  if (major < 13) {
    return [
      error(
        'TIDEMARK_VERSION',
        `PostgreSQL ${versionText} is too old to be followed`,
        'Entries live until they expire.',
        'Upgrade to PostgreSQL 13 or later.',
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

function checkSettings(row: ServerRow, provider: Provider | undefined): Finding[] {
  const findings: Finding[] = []
  findings.push(
    row.walLevel === 'logical'
      ? ok('wal-level', 'wal_level is logical')
      : error(
          'TIDEMARK_WAL_LEVEL',
          `wal_level is ${row.walLevel}`,
          'Changes cannot be followed: entries live until they expire.',
          ...settingFix(provider, 'wal_level', 'logical', true),
        ),
  )
  findings.push(room('replication slots', row.slots, row.slotsMax, 'max_replication_slots', provider))
  findings.push(room('walsenders', row.senders, row.sendersMax, 'max_wal_senders', provider))
  findings.push(
    row.slotWalMb >= 0
      ? ok('slot-wal', `a slot holds at most ${row.slotWalMb} MB of WAL`)
      : warning(
          'slot-wal',
          'max_slot_wal_keep_size is not limited',
          'A follower that hangs without losing its connection makes the server keep its WAL until the disk is full.',
          ...settingFix(provider, 'max_slot_wal_keep_size', '10GB', false),
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
          ...settingFix(provider, 'wal_sender_timeout', '60s', false),
        ),
  )
  findings.push(ok('decoding-memory', `a transaction above ${row.decodingMemory} is decoded while it runs`))
  if (row.slotIdle !== null && row.slotIdle !== '0') {
    findings.push(ok('slot-idle-timeout', `the server gives up a slot that nobody reads for ${row.slotIdle}`))
  }
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

function room(what: string, used: number, max: number, setting: string, provider: Provider | undefined): Finding {
  if (used < max)
    return ok(setting.replaceAll('_', '-'), `${used} of ${max} ${what} are in use; each process needs one`)
  return error(
    'TIDEMARK_NO_SLOT',
    `all ${max} ${what} are in use`,
    'No further process can follow.',
    ...settingFix(provider, setting, `${max + 10}`, true),
  )
}
