import { createHash } from 'node:crypto'
import { type ClientBase, escapeIdentifier, escapeLiteral } from 'pg'
import { rowSecurityOf, TABLES, TENANT_SETTING, TRIGGER } from './schema.js'

/** Tables of which the log has to tell all old values. */
const FULL: ReadonlySet<string> = new Set(['configs', 'config_heads'])
/** PostgreSQL cuts longer names off. */
const NAME_BYTES_MAX = 63

/**
 * Gives tenants tables of their own, in a schema each, and moves there what they have. They are partitions of the tables that all share, so
 * every statement names these as before, and row security holds there. A tenant that has its own keeps them.
 *
 * @param client  in a transaction, which holds the lock of `migrate`
 */
export async function giveOwnTables(client: ClientBase, tenants: readonly string[]): Promise<void> {
  if (tenants.length === 0) return
  const { rows } = await client.query<{ tenant: string }>(
    `select tenant from unnest($1::text[], $2::text[]) as t(tenant, name)
     where not exists (select from pg_namespace n where n.nspname = t.name)`,
    [tenants, tenants.map(schemaOf)],
  )
  if (rows.length === 0) return
  if (!(await isDivided(client))) for (const table of TABLES) await divide(client, table)
  for (const { tenant } of rows) await moveOut(client, tenant)
}

/** The schema of a tenant that has its own. */
export function schemaOf(tenant: string): string {
  const name = `tidemark_trees_${tenant}`
  if (name.length <= NAME_BYTES_MAX) return name
  const digest = createHash('sha256').update(tenant).digest('hex').slice(0, 16)
  return `${name.slice(0, NAME_BYTES_MAX - digest.length - 1)}_${digest}`
}

async function isDivided(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ isDivided: boolean }>(
    `select relkind = 'p' as "isDivided" from pg_class where oid = 'tidemark_trees.configs'::regclass`,
  )
  return rows[0]!.isDivided
}

/** What was the table becomes the partition of all tenants that have none of their own. */
async function divide(client: ClientBase, table: string): Promise<void> {
  const [whole, rest] = [`tidemark_trees.${table}`, `tidemark_trees.${table}_of_others`]
  await client.query(`
    alter table ${whole} rename to ${table}_of_others;
    create table ${whole} (like ${rest} including all) partition by list (tenant);
    ${table === 'configs' ? `drop trigger config_node on ${rest};` : ''}
    alter table ${whole} attach partition ${rest} default;
    ${table === 'configs' ? TRIGGER : ''}
    ${FULL.has(table) ? `alter table ${whole} replica identity full;` : ''}
    ${rowSecurityOf(table)}`)
}

async function moveOut(client: ClientBase, tenant: string): Promise<void> {
  const schema = escapeIdentifier(schemaOf(tenant))
  // An owner that is under row security sees this tenant's rows only, which are those that move.
  await client.query('select set_config($1, $2, true)', [TENANT_SETTING, tenant])
  await client.query(`create schema ${schema}`)
  for (const table of TABLES) {
    const [whole, own] = [`tidemark_trees.${table}`, `${schema}.${table}`]
    await client.query(`
      create table ${own} (like ${whole} including all);
      ${FULL.has(table) ? `alter table ${own} replica identity full;` : ''}
      with moved as (delete from ${whole} where tenant = ${escapeLiteral(tenant)} returning *) insert into ${own} select * from moved;
      alter table ${whole} attach partition ${own} for values in (${escapeLiteral(tenant)})`)
  }
}
