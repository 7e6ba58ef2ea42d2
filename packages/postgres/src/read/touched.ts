import type { Ask } from '../sql/catalogue.js'

/** A relation that a transaction has really read, or written. */
export interface Touched {
  readonly oid: number
  /** `schema.name`, quoted as in the log. */
  readonly table: string
  /** pg_class.relkind and relpersistence. */
  readonly kind: string
  readonly persistence: string
  /** Policies apply to whoever asked. */
  readonly isRowSecured: boolean
  /** It and all that it is a partition or child of: under any of these names its changes are told. */
  readonly names: readonly string[]
}

/**
 * What the transaction has touched so far: PostgreSQL holds a lock on every relation that it opens until the transaction ends,
 * whoever opened it: the statement itself, a view, a function, a policy. Views, indexes and the system's own relations have no
 * rows to depend on. Outside of a transaction it tells nothing.
 */
export async function askTouched(ask: Ask): Promise<readonly Touched[]> {
  return JSON.parse(await ask(TOUCHED, [])) as Touched[]
}

/** Relations below this OID came with PostgreSQL. */
const TOUCHED = `
with recursive locked as (
  select distinct relation as oid from pg_catalog.pg_locks
  where pid = pg_catalog.pg_backend_pid() and locktype = 'relation' and relation >= 16384
    and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
), above(oid, name) as (
  select oid, oid from locked
  union select a.oid, i.inhparent from above a join pg_catalog.pg_inherits i on i.inhrelid = a.name
), named as (
  select c.*, quote_ident(n.nspname) || '.' || quote_ident(c.relname) as quoted
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.oid in (select name from above) and c.relkind in ('r', 'p', 'm', 'f', 'S')
)
select coalesce(json_agg(json_build_object('oid', n.oid::int8, 'table', n.quoted, 'kind', n.relkind, 'persistence', n.relpersistence,
  'isRowSecured', n.relkind in ('r', 'p') and pg_catalog.row_security_active(n.oid),
  'names', (select json_agg(o.quoted) from above a join named o on o.oid = a.name where a.oid = n.oid))), '[]')::text
from named n where n.oid in (select oid from locked)`
