import type { PostgresSource, Sql } from '@tidemark/postgres'
import type { PoolClient } from 'pg'
import type { Cache } from 'tidemark'
import { Edits } from './edit.js'
import { limitsOf, type TreeLimits } from './limits.js'
import { checkList, type Head, type ListOptions, type NodeInfo, readConfigs, readNodeList } from './lists.js'
import { checkName, type Path } from './pointer.js'
import { Readings } from './readings.js'
import { migrate, TENANT_SETTING } from './schema.js'
import { Transactions } from './transaction.js'
import { Tree } from './tree.js'
import { Views } from './view.js'

export interface TreesOptions {
  readonly cache: Cache<{ readonly sql: Sql }>
  /** The source of that cache. */
  readonly source: PostgresSource
  readonly limits?: Partial<TreeLimits>
}

/** Nodes whose reads a process counts. */
const NODES_COUNTED_MAX = 100_000

/**
 * Config trees in PostgreSQL: for each tenant any number of configs, each a JSON tree whose nodes are cached, edited, watched and
 * invalidated by themselves.
 *
 * Makes its tables in the schema `tidemark_trees` when they are not there (the account needs the right to create one).
 */
export async function openTrees(options: TreesOptions): Promise<Trees> {
  const limits = limitsOf(options.limits)
  const client = await options.source.pool.connect()
  try {
    const role = await migrate(client)
    return new Trees(options, limits, role)
  } finally {
    client.release()
  }
}

export class Trees {
  readonly limits: TreeLimits
  readonly #views: Views
  readonly #edits: Edits
  readonly #transactions: Transactions
  readonly #cacheOf: (tenant: string) => Cache<{ readonly sql: Sql }>
  readonly #readings = new Readings(NODES_COUNTED_MAX)

  /** @internal  use `openTrees` */
  constructor({ cache, source }: TreesOptions, limits: TreeLimits, role: string | undefined) {
    this.limits = limits
    const caches = new Map<string, Cache<{ readonly sql: Sql }>>()
    this.#cacheOf = (tenant) => {
      let own = caches.get(tenant)
      if (!own) {
        own = cache
          .tenant(tenant)
          .as({ settings: { [TENANT_SETTING]: tenant }, ...(role === undefined ? {} : { role }) })
        caches.set(tenant, own)
      }
      return own
    }
    this.#views = new Views(this.#cacheOf)
    this.#transactions = new Transactions(source.pool, role)
    this.#edits = new Edits(this.#transactions, limits, async (tenant, rows) => {
      const { dependents: count, dependentSample: keys } = await this.#cacheOf(tenant).preview({ rows, sampleMax: 100 })
      return { count, keys }
    })
  }

  /** The configs of a tenant, by name. @throws TreeNameError (`TIDEMARK_TREE_NAME`) */
  configs(tenant: string, options: ListOptions = {}): Promise<Head[]> {
    checkName('tenant', tenant)
    return this.#reading(tenant, (client) => readConfigs(client, tenant, checkList(options), this.limits))
  }

  /** The nodes of all configs of a tenant, by config and path. */
  nodes(
    tenant: string,
    { after, ...options }: Omit<ListOptions, 'after'> & { readonly after?: { config: string; path: Path } } = {},
  ): Promise<NodeInfo[]> {
    checkName('tenant', tenant)
    const asked = { tenant, config: undefined, path: '' }
    return this.#reading(tenant, (client) =>
      readNodeList(client, asked, { ...checkList(options), ...(after && { after }) }, this.limits),
    )
  }

  #reading<Result>(tenant: string, read: (client: PoolClient) => Promise<Result>): Promise<Result> {
    return this.#transactions.read(tenant, read)
  }

  /** @throws TreeNameError (`TIDEMARK_TREE_NAME`) */
  tree(tenant: string, config: string): Tree {
    checkName('tenant', tenant)
    checkName('config', config)
    return new Tree(
      { tenant, config },
      this.#cacheOf(tenant),
      this.#views,
      this.#edits,
      this.#transactions,
      this.limits,
      this.#readings,
    )
  }
}
