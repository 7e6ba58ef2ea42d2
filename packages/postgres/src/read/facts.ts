import { escapeLiteral } from 'pg'
import type { Session } from 'tidemark'
import type { Ask } from '../sql/catalogue.js'

/** What a connection is: asked once, when it has been set up. */
export interface ConnectionFacts {
  /** null where the role may not ask. */
  readonly systemIdentifier: string | null
  readonly database: string
  readonly startedAt: string
  readonly isStandby: boolean
  /** Everything that can change what a statement means or how values are written, as one text. */
  readonly settings: string
  /** SQL means what the parser takes it for: backslashes in strings, `= null`. */
  readonly isParsedPlainly: boolean
}

/** The followed server and database, as the log names them. */
export interface FollowedServer {
  readonly systemIdentifier: string
  readonly database: string
  readonly startedAt: string
}

/**
 * Settings that change answers; to which comes whatever was set in the session (of extensions: `hnsw.ef_search`). Custom ones can't
 * be listed: SQL that reads them is not kept unless they were declared.
 */
const SETTINGS = [
  'search_path',
  'TimeZone',
  'DateStyle',
  'IntervalStyle',
  'extra_float_digits',
  'bytea_output',
  'lc_messages',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'default_text_search_config',
  'row_security',
  'standard_conforming_strings',
  'array_nulls',
  'transform_null_equals',
  'xmlbinary',
  'xmloption',
  'timezone_abbreviations',
  'session_replication_role',
  'client_encoding',
]

/** Under other values than these the server reads SQL otherwise than the parser: escapes in strings, and `= null` as IS NULL. */
const PLAIN: ReadonlyMap<string, string> = new Map([
  ['standard_conforming_strings', 'on'],
  ['transform_null_equals', 'off'],
])

/** Settings that change no answer, or that a transaction sets by itself. Programs set some of these on lent connections. */
const HARMLESS =
  `(application_name|client_min_messages|cpu_.*|deadlock_timeout|enable_.*|in_hot_standby|is_superuser|jit.*|log_.*|maintenance_work_mem
|max_parallel.*|min_parallel.*|parallel_.*|plan_cache_mode|random_page_cost|seed|seq_page_cost|statement_timeout|synchronous_commit|tcp_.*|temp_buffers
|track_.*|transaction_.*|work_mem|.*_timeout)`.replaceAll('\n', '')

const facts = (systemIdentifier: string): string => `
select json_build_object(
  'systemIdentifier', ${systemIdentifier},
  'database', current_database(),
  'startedAt', extract(epoch from pg_postmaster_start_time())::text,
  'isStandby', pg_is_in_recovery(),
  'isParsedPlainly', ${[...PLAIN].map(([name, value]) => `current_setting('${name}') = '${value}'`).join(' and ')},
  'settings', concat_ws('/', current_user, session_user, pg_my_temp_schema(), ${SETTINGS.map((name) => `current_setting('${name}', true)`).join(', ')},
    (select string_agg(name || '=' || setting, ',' order by name) from pg_catalog.pg_settings where source = 'session' and name !~ '^${HARMLESS}$'))
)::text`
const IDENTIFIED = facts('(select system_identifier::text from pg_control_system())')
const UNIDENTIFIED = facts('null::text')

export async function askFacts(ask: Ask): Promise<ConnectionFacts> {
  // In two steps: a statement that only mentions a function which the role may not call is refused, even where it would not call it.
  const mayIdentify = await ask("select has_function_privilege('pg_control_system()', 'execute')::text", [])
  return JSON.parse(await ask(mayIdentify === 'true' ? IDENTIFIED : UNIDENTIFIED, [])) as ConnectionFacts
}

/** Whether a declared session leaves it so that SQL means what the parser takes it for. */
export function isPlain(session: Session | undefined): boolean {
  return (
    !session?.settings ||
    Object.entries(session.settings).every(([name, value]) => (PLAIN.get(name.toLowerCase()) ?? value) === value)
  )
}

/** Where a connection leads, seen from what is followed. */
export function whereTo(facts: ConnectionFacts, server: FollowedServer): 'followed' | 'standby' | 'elsewhere' {
  const { systemIdentifier, database, isStandby } = facts
  if (database !== server.database) return 'elsewhere'
  // A role that may not ask for the identifier is told by the moment of the start, in microseconds; of a standby that says nothing.
  if (systemIdentifier === null ? isStandby : systemIdentifier !== server.systemIdentifier) return 'elsewhere'
  if (isStandby) return 'standby'
  // A primary of the same identifier that runs since another moment is one from before a fail-over.
  return facts.startedAt === server.startedAt ? 'followed' : 'elsewhere'
}

/** How far a standby has replayed the WAL, or undefined if it is none any more. */
export async function askReplayed(ask: Ask): Promise<number | undefined> {
  // A promoted server keeps the position at which it was, so whether it is a standby is asked in the same statement.
  const text = await ask(
    "select case when pg_is_in_recovery() then (pg_last_wal_replay_lsn() - '0/0')::text else '' end",
    [],
  )
  return text === '' ? undefined : Number(text)
}

/** The statements that begin a transaction for a session: one round trip. */
export function opening(session: Session): string {
  const { text, values } = declaration(session)
  return `begin; ${text.replace(/\$(\d+)/g, (_, place: string) => escapeLiteral(values[Number(place) - 1]!))}`
}

/** The statement that declares a session for the rest of a transaction, and its values. */
export function declaration(session: Session): { readonly text: string; readonly values: string[] } {
  // The role last: it may not be allowed to change the other settings.
  const settings: [string, string][] = [...Object.entries(session.settings ?? {})]
  if (session.timeZone !== undefined) settings.push(['TimeZone', session.timeZone])
  if (session.role !== undefined) settings.push(['role', session.role])
  const calls = settings.map((_, index) => `pg_catalog.set_config($${2 * index + 1}, $${2 * index + 2}, true)`)
  return { text: `select ${calls.join(', ') || '1'}`, values: settings.flat() }
}
