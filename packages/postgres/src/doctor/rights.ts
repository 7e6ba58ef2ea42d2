import type { SqlConnection } from '../wal/connection.js'
import { OWN_SCHEMAS } from '../wal/publication.js'
import { advice, error, type Finding, listed, ok, warning } from './finding.js'
import { type Provider, replicationSql } from './provider.js'

interface RightsRow {
  role: string
  isReplicator: boolean
  mayCreate: boolean
  database: string
}

/**
 * The rights of the role.
 *
 * @param mayReplicate  what the attempt showed, which counts: some providers grant it by membership; undefined if it told nothing
 */
export async function checkRights(
  sql: SqlConnection,
  provider: Provider | undefined,
  mayReplicate: boolean | undefined,
): Promise<Finding[]> {
  const [row] = await sql.rows<RightsRow>(
    `select format('%I', current_user) as role, format('%I', current_database()) as database,
       (select rolreplication or rolsuper from pg_roles where rolname = current_user) as "isReplicator",
       has_database_privilege(current_database(), 'create') as "mayCreate"`,
  )
  const { role, isReplicator, mayCreate, database } = row!
  return [
    (mayReplicate ?? isReplicator)
      ? ok('replication', `role ${role} may replicate`)
      : error(
          'TIDEMARK_RIGHTS',
          `role ${role} may not replicate`,
          'Changes cannot be followed: entries live until they expire.',
          replicationSql(provider, role),
        ),
    mayCreate
      ? ok('create', `role ${role} may create publications in ${database}`)
      : warning(
          'create',
          `role ${role} may not create publications in ${database}`,
          'The publication has to be made, and new tables added to it, by somebody else.',
          `grant create on database ${database} to ${role};`,
        ),
    await checkReading(sql, role),
    ...(await checkSight(sql, role)),
  ]
}

/** Whether it may read anything: which tables it is meant to, nobody knows but its loaders. */
async function checkReading(sql: SqlConnection, role: string): Promise<Finding> {
  const [row] = await sql.rows<{ tables: number; readable: number; schemas: string[] | null }>(
    `select count(*)::int as tables, count(*) filter (where may)::int as readable, array_agg(distinct schema) filter (where not may) as schemas
     from (
       select format('%I', n.nspname) as schema,
         has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select') as may
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relpersistence <> 't' and c.oid >= 16384
         and n.nspname not in (${['information_schema', ...OWN_SCHEMAS].map((name) => `'${name}'`).join(', ')})
     ) t`,
  )
  const { tables, readable, schemas } = row!
  const code = 'select'
  if (readable > 0 || tables === 0)
    return ok(code, `role ${role} may read ${readable} of ${tables} table(s) and view(s)`)
  return warning(
    code,
    `role ${role} may read none of ${tables} table(s) and view(s)`,
    'Every query of a loader fails (TIDEMARK_SQL, 42501).',
    (schemas ?? [])
      .map(
        (schema) =>
          `grant usage on schema ${schema} to ${role};\ngrant select on all tables in schema ${schema} to ${role};`,
      )
      .join('\n'),
  )
}

/** What the role is not shown of other roles' sessions: a look that finds nothing must not pass for one that found nothing wrong. */
async function checkSight(sql: SqlConnection, role: string): Promise<Finding[]> {
  const [row] = await sql.rows<{ all: boolean }>(`select pg_has_role('pg_read_all_stats', 'usage') as all`)
  if (row!.all) return []
  // That a session holds a transaction id is shown to everybody, by its lock; since when is not.
  const open = await sql.rows<{ name: string }>(
    `select distinct pid, 'process ' || pid || coalesce(' in ' || datname, '') as name
     from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted and a.xact_start is null order by pid`,
  )
  const writers = open.length > 0 ? `; write transactions are open in ${listed(open.map(({ name }) => name))}` : ''
  return [
    advice(
      'unseen',
      `role ${role} is not shown since when transactions of other roles are open, nor how much walsenders have sent${writers}`,
      'One that is open for long delays every start, and is not named here.',
      `grant pg_read_all_stats to ${role};`,
    ),
  ]
}
