import { escapeIdentifier } from 'pg'
import type { SqlConnection } from '../wal/connection.js'

/** A managed service: what is changed there in another way than by SQL. */
export interface Provider {
  readonly name: string
  /** Where its settings are changed. */
  readonly settings: string
  /** What turns logical decoding on. */
  readonly walLevel: string
  /** A role whose members may replicate, where it is not an attribute. */
  readonly replicators?: string
}

/** By a role, or a setting, that each of them has and no other server. */
const PROVIDERS: readonly (Provider & { readonly role: string; readonly setting?: string })[] = [
  {
    name: 'Amazon RDS',
    role: 'rdsadmin',
    setting: 'rds.logical_replication',
    settings: "in the instance's parameter group (Aurora: the cluster's)",
    walLevel:
      "set rds.logical_replication = 1 in the instance's parameter group (Aurora: the cluster's), then reboot it.",
    replicators: 'rds_replication',
  },
  {
    name: 'Cloud SQL',
    role: 'cloudsqladmin',
    setting: 'cloudsql.logical_decoding',
    settings: "among the instance's flags",
    walLevel: "set cloudsql.logical_decoding = on among the instance's flags; that restarts it.",
  },
  {
    name: 'Azure Database for PostgreSQL',
    role: 'azure_pg_admin',
    settings: "among the instance's server parameters",
    walLevel: "set wal_level = logical among the instance's server parameters, then restart it.",
  },
  {
    name: 'Supabase',
    role: 'supabase_admin',
    settings: "with Supabase's CLI (supabase postgres-config update)",
    walLevel: 'restore wal_level = logical, which it has by default, or ask its support.',
  },
  {
    name: 'Neon',
    role: 'neon_superuser',
    settings: 'through its support',
    walLevel: "enable logical replication in the project's settings; that restarts its computes, and can't be undone.",
  },
]

/** Which managed service the server is of; undefined for one that its owner runs, or that is not known. */
export async function recognise(sql: SqlConnection): Promise<Provider | undefined> {
  const names = PROVIDERS.map(({ role }) => role)
  const rows = await sql.rows<{ name: string }>('select rolname::text as name from pg_roles where rolname = any ($1)', [
    names,
  ])
  const roles = new Set(rows.map(({ name }) => name))
  for (const provider of PROVIDERS) {
    if (roles.has(provider.role)) return provider
    if (provider.setting === undefined) continue
    const [row] = await sql.rows<{ value: string | null }>('select current_setting($1, true) as value', [
      provider.setting,
    ])
    if (row!.value) return provider
  }
  return undefined
}

/** How a setting is changed: the text, and whether it is SQL. */
export function settingFix(
  provider: Provider | undefined,
  name: string,
  value: string,
  needsRestart: boolean,
): [fix: string, isSql: boolean] {
  if (provider) {
    const fix = name === 'wal_level' ? provider.walLevel : `${provider.settings} set ${name} = ${value}.`
    return [`${provider.name}: ${fix}`, false]
  }
  const quoted = /^\w+$/.test(value) && !/^\d+\D/.test(value) ? value : `'${value}'`
  const then = needsRestart ? ' -- then restart the server' : '\nselect pg_reload_conf();'
  return [`alter system set ${name} = ${quoted};${then}`, true]
}

/** The SQL that lets a role replicate. */
export function replicationSql(provider: Provider | undefined, role: string): string {
  const { replicators } = provider ?? {}
  return replicators ? `grant ${escapeIdentifier(replicators)} to ${role};` : `alter role ${role} replication;`
}
