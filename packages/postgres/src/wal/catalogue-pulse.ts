/*
 * Whether the catalogue is as it was, at a hundredth of the cost of reading it: nothing can change in it without a row more, a row
 * less, or a row that a recent transaction wrote.
 */

/** Where the catalogue stood: how many rows each of its tables had, and below which transaction id all had ended. */
export interface Pulse {
  readonly counts: string
  readonly xmin: string
}

/** Columns of a SELECT that gives a pulse, of the snapshot that it runs in. */
export function pulseColumns(version: number): string {
  return `(select ${COUNTS} from (${counted(version, '')}) counted) as counts, ${XMIN}`
}

/** The SQL that gives a pulse, and whether what was there at another one ($1: its xmin) may have been written anew. */
export function pulseSql(version: number): string {
  const recent = ', coalesce(bool_or(age(xmin) <= (select age($1::xid8::xid))), false) as recent'
  return `select ${COUNTS} as counts, bool_or(recent) as recent, ${XMIN} from (${counted(version, recent)}) counted`
}

/** Roles stand in a table that only superusers may read. */
const COUNTS = `string_agg(n::text, ',' order by place)
  || (select coalesce(md5(string_agg(oid::text, ',' order by oid)), '') from pg_roles where rolsuper or rolbypassrls)`

const XMIN = 'pg_snapshot_xmin(pg_current_snapshot())::text as xmin'

function counted(version: number, more: string): string {
  return tablesOf(version)
    .map((from, place) => `select ${place} as place, count(*) as n${more} from ${from}`)
    .join('\n    union all ')
}

/** What the definitions and the publication are read from. TRUNCATE and CREATE INDEX show here too: then all is read once more. */
function tablesOf(version: number): readonly string[] {
  return [
    "pg_class where oid >= 16384 and relpersistence <> 't'",
    'pg_attribute where attrelid >= 16384',
    'pg_attrdef where adrelid >= 16384',
    'pg_inherits',
    'pg_index where indexrelid >= 16384',
    'pg_rewrite where ev_class >= 16384',
    'pg_namespace',
    'pg_policy',
    'pg_proc where oid >= 16384',
    'pg_type where oid >= 16384',
    'pg_enum',
    'pg_operator where oid >= 16384',
    'pg_cast where oid >= 16384',
    'pg_opclass where oid >= 16384',
    'pg_collation where oid >= 16384',
    'pg_publication',
    'pg_publication_rel',
    'pg_db_role_setting',
    'pg_auth_members',
    ...(version >= 150_000 ? ['pg_publication_namespace'] : []),
  ]
}
