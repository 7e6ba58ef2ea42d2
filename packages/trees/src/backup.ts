import type { Client } from 'pg'
import { isAbove, migrate, TABLES, VERSION } from './schema.js'

const named = TABLES.map((table) => `tidemark_trees.${table}`)

/** An owner that is under row security restores rows of all tenants: for this transaction it is not. */
async function setForce(client: Client, force: 'force' | 'no force'): Promise<void> {
  if (await isAbove(client)) return
  for (const table of named) await client.query(`alter table ${table} ${force} row level security`)
}

/** Config trees in a backup, with their history. */
export const treesBackup = {
  name: 'trees',
  version: VERSION,
  tables: named,
  content: ['tidemark_trees.configs', 'tidemark_trees.config_heads'],

  async prepare(client: Client): Promise<void> {
    await migrate(client)
  },

  async clear(client: Client): Promise<void> {
    await client.query(`lock table ${named.join(', ')} in access exclusive mode`)
    await setForce(client, 'no force')
    await client.query(`truncate ${named.join(', ')}`)
  },

  async finish(client: Client): Promise<void> {
    await setForce(client, 'force')
  },
} as const
