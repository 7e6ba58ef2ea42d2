import type { NotKept } from 'tidemark'
import { bodyOf, obstacleOf } from './body.js'
import type { Facts, NamedType, NamedTypes } from './catalogue.js'
import type { FunctionFact } from './function-facts.js'
import { type Call, type Mentions, type Name, quoted } from './mentions.js'

/** Why an answer can't be kept as it is, because of what runs while it is computed. */
export type CodeReason = Extract<NotKept, 'time' | 'session' | 'function' | 'writes'>

const names = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/** Built-in functions whose result depends on when they are called, or on chance. */
const TIME = names(`
  now transaction_timestamp statement_timestamp clock_timestamp timeofday mxid_age
  random random_normal gen_random_uuid uuidv4 uuidv7 array_sample array_shuffle setseed nextval currval lastval
  pg_sleep pg_sleep_for pg_sleep_until pg_xact_commit_timestamp pg_postmaster_start_time pg_conf_load_time
`)

/** Built-in functions whose result depends on the user or the settings of the session. */
const SESSION = names(`
  current_setting current_user session_user getpgusername system_user current_schema current_schemas
  row_security_active pg_has_role get_current_ts_config pg_client_encoding pg_show_all_settings
  to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype regclass
`)

/** Built-in functions that write, or change the session. */
const WRITES = names(`
  set_config setval pg_notify pg_logical_emit_message lo_create lo_creat lo_unlink lo_import lo_put lo_from_bytea lowrite
  pg_cancel_backend pg_terminate_backend pg_reload_conf pg_switch_wal pg_promote pg_export_snapshot pg_current_xact_id txid_current
  pg_create_logical_replication_slot pg_create_physical_replication_slot pg_drop_replication_slot pg_replication_slot_advance
  pg_logical_slot_get_changes pg_logical_slot_get_binary_changes pg_restore_relation_stats pg_restore_attribute_stats
`)

/**
 * Built-in functions that PostgreSQL calls STABLE for settings (time zone, text search, output styles), which one pool's
 * connections share, or because they call output functions. They read nothing.
 */
const STABLE = names(`
  age anytextcat textanycat array_to_json array_to_string concat concat_ws convert convert_from convert_to date date_add date_part
  date_subtract date_trunc extract format format_type generate_series in_range length make_timestamptz
  json_agg json_agg_strict json_build_array json_build_object json_object_agg json_object_agg_strict json_object_agg_unique
  json_object_agg_unique_strict json_populate_record json_populate_recordset json_to_record json_to_recordset json_to_tsvector
  jsonb_agg jsonb_agg_strict jsonb_build_array jsonb_build_object jsonb_populate_record jsonb_populate_record_valid
  jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_path_exists_tz jsonb_path_match_tz
  jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz row_to_json to_json to_jsonb
  money numeric overlaps time timestamp timestamptz timetz timezone xml xml_is_well_formed pg_typeof pg_collation_for
  pg_column_size pg_input_is_valid pg_input_error_info quote_literal quote_nullable to_char to_date to_number to_timestamp
  to_tsquery to_tsvector phraseto_tsquery plainto_tsquery websearch_to_tsquery ts_headline ts_match_tq ts_match_tt
  current_database getdatabaseencoding version
`)

const SESSION_VALUES = names(`
  SVFOP_CURRENT_USER SVFOP_CURRENT_ROLE SVFOP_USER SVFOP_SESSION_USER SVFOP_CURRENT_SCHEMA
`)

/** Types that text is cast to by which a parameter may be read as a moment: all but these, enums, and domains over them. */
const TIMELESS_CASTS = names(`
  bool int2 int4 int8 float4 float8 numeric text varchar bpchar char name uuid oid json jsonb bytea regclass regtype interval
`)

/** The same types by their OIDs, and arrays of the usual ones. */
const TIMELESS_TYPES: ReadonlySet<number> = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1186, 1700, 2205, 2206, 2950, 3802, 1000, 1005, 1007,
  1009, 1014, 1015, 1016, 1028, 1231, 2951,
])

/**
 * What runs while the statement is computed, in the order of gravity, and by what it shows: nothing if all of it depends on rows
 * alone.
 *
 * @param isLookedInto  what it calls, and can be looked into, is looked into
 */
export function codeReasons(
  mentions: Mentions,
  facts: Facts,
  isLookedInto: boolean,
): ReadonlyMap<CodeReason, ReadonlySet<string>> {
  const reasons = new Map<CodeReason, Set<string>>()
  const add = (reason: CodeReason, cause?: string): void => {
    const causes = reasons.get(reason) ?? new Set()
    reasons.set(reason, cause === undefined ? causes : causes.add(cause))
  }
  if (mentions.hasWrites) add('writes')
  if (!facts.isCatalogFirst)
    add('function', 'pg_catalog is not first in search_path, so any name may mean another function')
  if (facts.hasUnknownCode)
    add('function', 'an operator, a cast or an attribute calls a function that is not IMMUTABLE')
  for (const call of mentions.functions) {
    if (isLookedInto && bodyOf(call, facts)) continue
    for (const candidate of candidatesOf(call, facts.functions)) {
      const reason = reasonOf(candidate, call)
      const obstacle = isLookedInto ? obstacleOf(call, facts) : 'which a policy calls'
      if (reason) add(reason, causeOf(candidate, obstacle))
    }
  }
  for (const value of mentions.valueFunctions) {
    const name = value
      .replace(/^SVFOP_/, '')
      .replace(/_N$/, '')
      .toLowerCase()
    if (value !== 'SVFOP_CURRENT_CATALOG') add(SESSION_VALUES.has(value) ? 'session' : 'time', name)
  }
  if (mentions.hasSample) add('time', 'tablesample')
  for (const place of mentions.places) add('time', place)
  return reasons
}

/**
 * Says whether a parameter of this type may be read as a moment ('now', 'today'): then its value decides.
 *
 * @param types  what is named where it may be used
 */
export function mayNameMoment(type: number | undefined, types: readonly Name[], named: NamedTypes): boolean {
  if (type === undefined || !TIMELESS_TYPES.has(type)) return true
  return types.some((name) => !TIMELESS_CASTS.has(name.name) && !isTimeless(named.get(quoted(name))))
}

function isTimeless(type: NamedType | undefined): boolean {
  return type !== undefined && (type.kind === 'e' || TIMELESS_TYPES.has(type.oid))
}

/** Every function that the call may mean; PostgreSQL's choice among them is not repeated here. */
function candidatesOf({ schema, name, args }: Call, functions: readonly FunctionFact[]): readonly FunctionFact[] {
  const named = functions.filter((each) => each.name === name && (schema === undefined || each.schema === schema))
  const callable = named.filter((each) => args === undefined || (each.argsMin <= args && args <= each.argsMax))
  return callable.length > 0 ? callable : named
}

/** The function, and why it was not looked into. */
function causeOf({ schema, name, code }: FunctionFact, obstacle: string): string {
  if (!code) return `${name}()`
  return `${schema}.${name}()${obstacle ? `, ${obstacle}` : ''}`
}

function reasonOf(candidate: FunctionFact, { name, args }: Call): CodeReason | undefined {
  if (candidate.code) {
    // A default is computed for the call, whatever the function is.
    const takesDefault = candidate.defaults > 0 && (args === undefined || args < candidate.argsMin + candidate.defaults)
    return candidate.volatility === 'i' && !takesDefault ? undefined : 'function'
  }
  if (TIME.has(name) || (name === 'age' && args === 1)) return 'time'
  if (SESSION.has(name) || /^has_.*_privilege$|_is_visible$/.test(name)) return 'session'
  if (WRITES.has(name) || /^pg_(try_)?advisory_/.test(name)) return 'writes'
  return candidate.volatility === 'i' || STABLE.has(name) ? undefined : 'function'
}
