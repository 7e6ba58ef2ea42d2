import { type PostgresSource, RightsError, type Sql } from '@tidemark/postgres'
import { DatabaseError, escapeIdentifier, type Pool, type PoolClient } from 'pg'
import { type Cache, SourceDownError } from 'tidemark'
import { Edits } from './edit.js'
import { limitsOf, type TreeLimits } from './limits.js'
import { checkList, type Head, type ListOptions, type NodeInfo, readConfigs, readNodeList } from './lists.js'
import { giveOwnTables } from './own-tables.js'
import { checkName, type Path } from './pointer.js'
import { Readings } from './readings.js'
import { migrate, TENANT_SETTING } from './schema.js'
import { connect, Transactions } from './transaction.js'
import { Tree } from './tree.js'
import { Views } from './view.js'

export interface TreesOptions {
  readonly cache: Cache<{ readonly sql: Sql }>
  /** The source of that cache. */
  readonly source: PostgresSource
  readonly limits?: Partial<TreeLimits>
  /**
   * Tenants that have tables of their own, in a schema each (`tidemark_trees_<tenant>`): they get them, with all that they have, when the
   * trees are opened. Who has them keeps them, in this list or not. Default: none.
   */
  readonly ownTables?: readonly string[]
  /**
   * Where the database cannot be reached: `fail` rejects; `later` resolves, and all that is asked for throws SourceDownError
   * (`TIDEMARK_SOURCE_DOWN`) until it can. Default `fail`.
   */
  readonly whenDown?: 'fail' | 'later'
}

/** Nodes whose reads a process counts. */
const NODES_COUNTED_MAX = 100_000

/**
 * Config trees in PostgreSQL: for each tenant any number of configs, each a JSON tree whose nodes are cached, edited, watched and
 * invalidated by themselves.
 *
 * Makes its tables in the schema `tidemark_trees` when they are not there (the account needs the right to create one).
 *
 * @throws RightsError (`TIDEMARK_RIGHTS`), SourceDownError (`TIDEMARK_SOURCE_DOWN`), OptionError (`TIDEMARK_OPTION`) for a limit, TreeNameError
 *   (`TIDEMARK_TREE_NAME`) for a tenant
 */
export async function openTrees(options: TreesOptions): Promise<Trees> {
  const trees = new Trees(options, limitsOf(options.limits))
  await trees.open().catch((error: unknown) => {
    if (options.whenDown !== 'later' || !(error instanceof SourceDownError)) throw error
  })
  return trees
}

export class Trees {
  readonly limits: TreeLimits
  readonly #views: Views
  readonly #edits: Edits
  readonly #transactions: Transactions
  readonly #cacheOf: (tenant: string) => Cache<{ readonly sql: Sql }>
  readonly #readings = new Readings(NODES_COUNTED_MAX)
  readonly #pool: Pool
  readonly #ownTables: readonly string[]
  /** Once the tables are known to be there. */
  #opened: { readonly role: string | undefined } | undefined
  #opening: Promise<void> | undefined

  /** @internal  use `openTrees` */
  constructor({ cache, source, ownTables = [] }: TreesOptions, limits: TreeLimits) {
    for (const tenant of ownTables) checkName('tenant', tenant)
    this.limits = limits
    this.#ownTables = [...new Set(ownTables)]
    this.#pool = source.pool
    const caches = new Map<string, Cache<{ readonly sql: Sql }>>()
    this.#cacheOf = (tenant) => {
      let own = caches.get(tenant)
      if (!own) {
        const { role } = this.#open()
        own = cache
          .tenant(tenant)
          .as({ settings: { [TENANT_SETTING]: tenant }, ...(role === undefined ? {} : { role }) })
        caches.set(tenant, own)
      }
      return own
    }
    this.#views = new Views(this.#cacheOf, limits)
    this.#transactions = new Transactions(source.pool, () => this.#open().role, limits.transactionMaxMs)
    this.#edits = new Edits(this.#transactions, limits, async (tenant, rows) => {
      const { dependents: count, dependentSample: keys } = await this.#cacheOf(tenant).preview({ rows, sampleMax: 100 })
      return { count, keys }
    })
  }

  /** @internal  Makes the tables; of several calls at once, one does. */
  open(): Promise<void> {
    this.#opening ??= tablesIn(this.#pool, this.limits, this.#ownTables)
      .then((role) => {
        this.#opened = { role }
      })
      .finally(() => {
        this.#opening = undefined
      })
    return this.#opening
  }

  #open(): { readonly role: string | undefined } {
    if (this.#opened) return this.#opened
    // Whoever asks next may find it there.
    this.open().catch(() => {})
    throw new SourceDownError('The database of the config trees has not been reached yet. Ask again in a moment.')
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
      readNodeList(client, asked, checkList({ ...options, ...(after && { after }) }), this.limits),
    )
  }

  async #reading<Result>(tenant: string, read: (client: PoolClient) => Promise<Result>): Promise<Result> {
    return this.#transactions.read(tenant, read)
  }

  /** @throws TreeNameError (`TIDEMARK_TREE_NAME`) */
  tree(tenant: string, config: string): Tree {
    checkName('tenant', tenant)
    checkName('config', config)
    this.#open()
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

/** @returns the role to take on; see `migrate` */
async function tablesIn(
  pool: Pool,
  { transactionMaxMs }: TreeLimits,
  ownTables: readonly string[],
): Promise<string | undefined> {
  const client = await connect(pool, transactionMaxMs)
  try {
    return await migrate(client, (within) => giveOwnTables(within, ownTables))
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== '42501') throw error
    const database = escapeIdentifier(client.database ?? '<database>')
    throw new RightsError(
      'The role may not make the schemas of config trees, or is not the owner of what is in tidemark_trees.',
      `grant create on database ${database} to ${escapeIdentifier(client.user ?? '<role>')}`,
      { cause: error },
    )
  } finally {
    client.release()
  }
}
