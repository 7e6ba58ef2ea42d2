import type { ClientBase } from 'pg'

/** What reads and writes trees where the account itself is above row security: it is taken on for each transaction. */
const ROLE = 'tidemark_trees'
/** The setting that row security goes by. */
export const TENANT_SETTING = 'tidemark.tenant'
/** Whose configs all may read. */
export const SHARED_TENANT = 'shared'

const LOCK = 0x7464_6d6b // "tdmk"
export const TABLES = ['configs', 'config_heads', 'config_dependencies', 'config_edits', 'config_edit_nodes']

/** Programs that write nodes by SQL need not know of what it fills in. */
export const TRIGGER = `
  create trigger config_node before insert or update of path, value on tidemark_trees.configs
    for each row execute function tidemark_trees.config_node();`

/** Statements that let a transaction see the rows of one tenant of a table, and those that are shared. */
export function rowSecurityOf(table: string): string {
  return `
  alter table tidemark_trees.${table} enable row level security;
  alter table tidemark_trees.${table} force row level security;
  create policy own on tidemark_trees.${table} using (tenant = current_setting('${TENANT_SETTING}', true));
  create policy shared on tidemark_trees.${table} for select using (tenant = '${SHARED_TENANT}');`
}

/** Statements of each version, in order. What is here is never changed, only added to. */
const VERSIONS: readonly string[] = [
  `
  create table tidemark_trees.config_heads (
    tenant text collate "C" not null,
    config text collate "C" not null,
    version bigint not null default 0,
    last_order bigint not null default 0,
    base_tenant text collate "C",
    base_config text collate "C",
    json_schema json,
    updated_at timestamptz not null default now(),
    primary key (tenant, config)
  );
  create table tidemark_trees.configs (
    tenant text collate "C" not null,
    config text collate "C" not null,
    path text collate "C" not null check (path = '' or path like '/%'),
    parent text collate "C",
    position double precision not null default 1e15,
    value jsonb not null,
    kind text collate "C" not null,
    version bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (tenant, config, path)
  );
  create index configs_parent on tidemark_trees.configs (tenant, config, parent);
  create function tidemark_trees.config_node() returns trigger language plpgsql as $$
    begin
      new.parent := case when new.path <> '' then left(new.path, -length(substring(new.path from '/[^/]*$'))) end;
      new.kind := case jsonb_typeof(new.value) when 'object' then 'object' when 'array' then 'array' else 'scalar' end;
      return new;
    end $$;
  ${TRIGGER}
  create table tidemark_trees.config_dependencies (
    tenant text collate "C" not null,
    config text collate "C" not null,
    path text collate "C" not null,
    dependent text collate "C" not null,
    primary key (tenant, config, path, dependent)
  );
  create index config_dependents on tidemark_trees.config_dependencies (tenant, config, dependent);
  create table tidemark_trees.config_edits (
    tenant text collate "C" not null,
    config text collate "C" not null,
    version bigint not null,
    at timestamptz not null default now(),
    actor text,
    request_id text,
    cause text,
    primary key (tenant, config, version)
  );
  create table tidemark_trees.config_edit_nodes (
    tenant text collate "C" not null,
    config text collate "C" not null,
    version bigint not null,
    path text collate "C" not null,
    old_value jsonb,
    old_position double precision,
    new_value jsonb,
    new_position double precision,
    primary key (tenant, config, path, version)
  );
  create index config_edit_nodes_version on tidemark_trees.config_edit_nodes (tenant, config, version);
  -- So that the log says which columns an update changed.
  alter table tidemark_trees.configs replica identity full;
  alter table tidemark_trees.config_heads replica identity full;
  ${TABLES.map(rowSecurityOf).join('')}`,
  // Before the server has statistics it would take an index that begins as the primary key does for a look-up by path, and read the whole config.
  `
  drop index tidemark_trees.configs_parent;
  create index configs_parent on tidemark_trees.configs (parent, config, tenant);`,
]

/** Of the tables' shape. */
export const VERSION = VERSIONS.length

/**
 * Makes the tables, or brings them to this version, under a lock, in one transaction.
 *
 * @param prepare  what else is to be done in that transaction, once the tables are there
 * @returns the role to take on for reads and writes; undefined where row security holds for the account itself
 * @throws what PostgreSQL says, e.g. that the account may not create a schema
 */
export async function migrate(
  client: ClientBase,
  prepare: (client: ClientBase) => Promise<void> = async () => {},
): Promise<string | undefined> {
  await client.query('begin')
  try {
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    // What is there is not made again: any change of definitions drops the entries of all processes.
    if (!(await isThere(client))) {
      await client.query('create schema if not exists tidemark_trees')
      await client.query(
        'create table tidemark_trees.config_schema (version int primary key, at timestamptz not null default now())',
      )
    }
    const { rows } = await client.query<{ version: number }>(
      'select coalesce(max(version), 0) as version from tidemark_trees.config_schema',
    )
    for (let version = rows[0]!.version; version < VERSIONS.length; version++) {
      await client.query(VERSIONS[version]!)
      await client.query('insert into tidemark_trees.config_schema (version) values ($1)', [version + 1])
    }
    await prepare(client)
    const role = await roleFor(client)
    await client.query('commit')
    return role
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw error
  }
}

async function isThere(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ isThere: boolean }>(
    `select to_regclass('tidemark_trees.config_schema') is not null as "isThere"`,
  )
  return rows[0]!.isThere
}

/** Superusers, and roles with BYPASSRLS, are above every policy. */
export async function isAbove(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ isAbove: boolean }>(
    'select rolsuper or rolbypassrls as "isAbove" from pg_roles where rolname = current_user',
  )
  return rows[0]!.isAbove
}

/** Who is above every policy may take on a role that is not. */
async function roleFor(client: ClientBase): Promise<string | undefined> {
  if (!(await isAbove(client))) return undefined
  const { rows } = await client.query<{ exists: boolean }>(
    `select exists (select from pg_roles where rolname = '${ROLE}') as exists`,
  )
  // Roles are the cluster's: another database may make it in this moment.
  if (!rows[0]!.exists)
    await client.query(
      `do $$ begin create role ${ROLE} nologin; exception when duplicate_object or unique_violation then null; end $$`,
    )
  if (await isGranted(client)) return ROLE
  await client.query(`grant usage on schema tidemark_trees to ${ROLE}`)
  await client.query(`grant ${RIGHTS} on ${TABLES.map((table) => `tidemark_trees.${table}`).join(', ')} to ${ROLE}`)
  return ROLE
}

const RIGHTS = 'select, insert, update, delete'

async function isGranted(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ isGranted: boolean }>(
    `select has_schema_privilege($1, 'tidemark_trees', 'usage')
       and (select bool_and(has_table_privilege($1, 'tidemark_trees.' || name, "right"))
            from unnest($2::text[]) as t(name), unnest($3::text[]) as r("right")) as "isGranted"`,
    [ROLE, TABLES, RIGHTS.split(', ')],
  )
  return rows[0]!.isGranted
}
