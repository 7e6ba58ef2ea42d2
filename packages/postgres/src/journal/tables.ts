import type { Client } from 'pg'
import { escapeIdentifier } from 'pg'
import { RightsError, sqlState } from '../wal/errors.js'
import { JOURNAL_SCHEMA } from '../wal/recording.js'
import { JournalError } from './errors.js'
import { REQUESTS } from './requests.js'

export const VERSION = 1
export const AUDIT = `${JOURNAL_SCHEMA}.invalidation_audit`

/**
 * What the index of names holds: a number for each key, tag and table, as names may be longer than an entry of an index. Alike for two names
 * now and then, so the names are compared too.
 */
const NAMES = `
  create function ${JOURNAL_SCHEMA}.names(keys text[], tags text[], tables text[]) returns bigint[]
  language sql immutable parallel safe as $names$
    select pg_catalog.array_agg(pg_catalog.hashtextextended(name, 0)) from pg_catalog.unnest(keys || tags || tables) name
  $names$;`

/** The condition that a record names what is given there. */
export function namesHave(place: string): string {
  const numbers = `${JOURNAL_SCHEMA}.names(a.keys, a.tags, a.tables) @> array[hashtextextended(${place}, 0)]`
  return `(${numbers} and ${place} = any(a.keys || a.tags || a.tables))`
}

/*
 * Append-only, twice: nobody has the right to change or remove records, not even the owner; and triggers refuse it, also to a superuser. A
 * superuser can take off both: that shows in the chain.
 */
const MIGRATION = `
  create schema if not exists ${JOURNAL_SCHEMA};
  create table ${JOURNAL_SCHEMA}.state (
    one boolean primary key default true check (one), version int not null, journal uuid not null,
    next_id bigint not null, month int not null);
  create table ${JOURNAL_SCHEMA}.places (
    log text primary key, epoch text not null, covered bigint not null, last bigint not null);
  create table ${JOURNAL_SCHEMA}.heads (chain text primary key, seq bigint not null, hash text not null);
  create table ${AUDIT} (
    id bigint not null, month int not null, chain text not null, seq bigint not null, tenant text, origin text not null,
    pattern text, keys text[] not null, tags text[] not null, tables text[] not null, mode text,
    triggered_by text, cause text, request_id text, timestamp timestamptz not null, latency_ms float8,
    created_at timestamptz not null, log text not null, epoch text not null, lsn bigint not null, n int not null, process text not null,
    detail json not null, hash text not null,
    primary key (month, id), unique (month, chain, seq), unique (month, timestamp, log, lsn, n, process)
  ) partition by list (month);
  create index on ${AUDIT} (log, lsn);
  create index on ${AUDIT} (request_id) where request_id is not null;
  create index on ${AUDIT} (timestamp);
  create function ${JOURNAL_SCHEMA}.refuse() returns trigger language plpgsql as $refuse$
    begin
      raise exception 'The journal is append-only: % of % is refused.', tg_op, tg_table_name using errcode = 'insufficient_privilege',
        hint = 'Old records go by the option retention.';
    end $refuse$;
  ${NAMES}
  ${REQUESTS}
`

interface Found {
  readonly encoding: string
  /** Of the tables, or of their schema; null where there is neither. */
  readonly owner: string | null
  readonly may: boolean
  readonly ours: boolean
  readonly named: boolean
  readonly remembers: boolean
}

/** By the catalogue, which anybody may read: a look at another role's schema is an error. */
const FIND = `
  select current_setting('server_encoding') as encoding, pg_get_userbyid(found.owner) as owner,
    found.owner is null or pg_has_role(found.owner, 'usage') as may, found.state is not null as ours,
    exists (select from pg_proc where pronamespace = found.schema and proname = 'names') as named,
    exists (select from pg_class where relnamespace = found.schema and relname = 'requests') as remembers
  from (select 1) one left join (
    select n.oid as schema, c.oid as state, coalesce(c.relowner, n.nspowner) as owner
    from pg_namespace n left join pg_class c on c.relnamespace = n.oid and c.relname = 'state'
    where n.nspname = '${JOURNAL_SCHEMA}') found on true`

/** Makes the tables, or finds out that they are there. For one transaction: processes that begin at once wait for each other. */
export async function migrate(client: Client): Promise<void> {
  await client.query(`select pg_advisory_xact_lock(hashtextextended('${JOURNAL_SCHEMA}', 0))`)
  const { rows } = await client.query<Found>(FIND)
  const { encoding, owner, may, ours, named, remembers } = rows[0]!
  if (encoding !== 'UTF8') {
    throw new JournalError(
      `The journal needs a database in UTF8, and this one is in ${encoding}: keys may hold any character. Give the journal another (journal.url).`,
    )
  }
  if (!may) {
    const role = escapeIdentifier(client.user ?? '<role>')
    throw new RightsError("The journal's tables are another role's.", `grant ${escapeIdentifier(owner!)} to ${role}`)
  }
  if (ours) {
    await checkVersion(client)
    // An older process made them. Months that are there already are searched without an index of names.
    if (!named) await client.query(NAMES)
    if (!remembers) await client.query(REQUESTS)
    return
  }
  try {
    await client.query(MIGRATION)
    await client.query(closing(AUDIT))
    await client.query(
      `insert into ${JOURNAL_SCHEMA}.state (version, journal, next_id, month) values (${VERSION}, gen_random_uuid(), 1, 0)`,
    )
  } catch (error) {
    throw mayNot(error, client, `create schema ${JOURNAL_SCHEMA} authorization`)
  }
}

/** Makes the partition of a month. */
export async function makeMonth(client: Client, month: number): Promise<void> {
  const name = partitionOf(month)
  try {
    const { rows } = await client.query<{ made: boolean }>(`select to_regclass('${name}') is not null as made`)
    if (rows[0]!.made) return
    await client.query(`create table ${name} partition of ${AUDIT} for values in (${month})`)
    await client.query(`
      create index on ${name} using gin (${JOURNAL_SCHEMA}.names(keys, tags, tables));
      create index on ${name} using hash (pattern) where pattern is not null`)
    await client.query(closing(name))
  } catch (error) {
    throw mayNot(error, client, `alter table ${AUDIT} owner to`)
  }
}

/** The months that have a partition. */
export async function monthsOf(client: Client): Promise<number[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = to_regclass($1)`,
    [AUDIT],
  )
  return rows.flatMap(({ name }) => /_(\d{6})$/.exec(name)?.[1] ?? []).map(Number)
}

export function partitionOf(month: number): string {
  return `${AUDIT}_${month}`
}

/** Triggers of a partitioned table do not hold for its partitions, where somebody could go past it. */
function closing(table: string): string {
  const trigger = (events: string, name: string): string =>
    `create trigger ${name} before ${events} on ${table} for each statement execute function ${JOURNAL_SCHEMA}.refuse();
     alter table ${table} enable always trigger ${name};`
  return `
    revoke update, delete, truncate on ${table} from public, current_user;
    ${trigger('update or delete', 'refuse_change')}
    ${trigger('truncate', 'refuse_truncate')}`
}

async function checkVersion(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>(`select version from ${JOURNAL_SCHEMA}.state`)
  if (rows[0]?.version === VERSION) return
  throw new JournalError(
    `The journal's tables are of version ${rows[0]?.version ?? 'none'}, and this is version ${VERSION}. Update this process, or give it another journal.`,
  )
}

function mayNot(error: unknown, client: Client, sql: string): unknown {
  if (sqlState(error) !== '42501') return error
  const role = client.user ? escapeIdentifier(client.user) : '<role>'
  return new RightsError("The role may not make the journal's tables.", `${sql} ${role}`, { cause: error })
}
