import type { PoolClient } from 'pg'
import type { By, RowChange } from 'tidemark'
import { Draft, type NodeChange } from './draft.js'
import { TreeAbsentError, TreeVersionError } from './errors.js'
import type { TreeLimits } from './limits.js'
import { kindOf } from './nodes.js'
import { below, checkPath, type Path } from './pointer.js'
import { dependencyRow, type Image, rowsOf } from './rows.js'
import { checkSchema } from './schema-thread.js'
import type { ConfigName, Place } from './stored.js'
import type { Transactions } from './transaction.js'
import { uncachedViews } from './uncached.js'
import type { Views } from './view.js'
import { record, write } from './write.js'

/** Who edits: by no pattern. */
export type EditedBy = Omit<By, 'pattern'>

/** Of every edit. */
export interface EditOptions {
  /** Who asks, and why; kept in the history. */
  readonly by?: EditedBy
  /** The version that the edit was made for, of the node at its path; another one rejects it. 0: of what is not there. */
  readonly ifVersion?: number
  /** The same by what readers saw, with what is inherited and referred to: `ask()`'s `value.hash`. */
  readonly ifHash?: string
  /** Says what would change, and changes nothing. Default false. */
  readonly dryRun?: boolean
  /** From now on these nodes are invalidated with the one that is set. Default: as declared before. */
  readonly dependencies?: readonly Path[]
}

export interface Edited {
  /** Of the config, after the edit; the one before, where nothing changed. */
  readonly version: number
  /** Where the edit is in the log: a read that carries it shows the edit. undefined of a dry run. */
  readonly position: string | undefined
  readonly changes: readonly { readonly path: Path; readonly change: 'added' | 'changed' | 'removed' }[]
  /** Of a dry run: what the edit would make stale in this process, of this tenant. */
  readonly touched?: Touched
}

/** Entries of the memory tier; `keys` has the first 100. */
export interface Touched {
  readonly count: number
  readonly keys: readonly string[]
}

/** Changes a config, in one transaction. */
export class Edits {
  readonly #transactions: Transactions
  readonly #limits: TreeLimits
  readonly #touchedBy: (tenant: string, rows: readonly RowChange[]) => Promise<Touched>

  /** @param touchedBy  which entries changes of rows would touch */
  constructor(
    transactions: Transactions,
    limits: TreeLimits,
    touchedBy: (tenant: string, rows: readonly RowChange[]) => Promise<Touched>,
  ) {
    this.#transactions = transactions
    this.#limits = limits
    this.#touchedBy = touchedBy
  }

  /**
   * @param path     whose version `ifVersion` is, and who has the `dependencies`
   * @param work     makes the changes; `undefined` in place of them: those of the draft
   * @param creates  whether the config may be a new one
   */
  async edit(
    tenant: string,
    config: string,
    path: Path,
    options: EditOptions,
    creates: boolean,
    work: (
      draft: Draft,
      client: PoolClient,
      base: ConfigName | undefined,
    ) => Promise<readonly NodeChange[] | undefined>,
  ): Promise<Edited> {
    const { dependencies, ifVersion, ifHash, dryRun = false } = options
    for (const dependent of dependencies ?? []) checkPath(dependent, this.#limits)
    const { result, position } = await this.#transactions.run(tenant, async (client) => {
      const head = await lockHead(client, tenant, config)
      const draft = new Draft(client, { tenant, config }, head.lastOrder, this.#limits)
      if (!creates && (await draft.kind('')) === undefined) throw absent(config)
      if (ifVersion !== undefined) await checkVersion(client, tenant, config, path, ifVersion)
      if (ifHash !== undefined) await this.#checkHash(client, { tenant, config, path }, ifHash)
      const changes = (await work(draft, client, head.base)) ?? (await draft.changes())
      const declared = dependencies ? await declare(client, tenant, config, path, dependencies) : []
      const version = head.version + (changes.length > 0 ? 1 : 0)
      if (changes.length > 0) {
        await write(client, { tenant, config }, version, changes)
        await record(client, { tenant, config }, version, changes, options.by, draft.lastOrder)
        // A dry run is taken back, and must say what a real one would say.
        const mayCircle = changes.some((change) => change.path.endsWith('/$ref') || (head.base && uncovers(change)))
        if (head.schema !== null || mayCircle) await this.#check(client, { tenant, config }, head.schema)
      }
      const rows = dryRun ? [...rowsOf({ tenant, config }, version, changes), ...declared] : []
      return { result: { version, changes, rows }, isKept: !dryRun }
    })
    const edited = { version: result.version, position, changes: result.changes.map(summary) }
    return dryRun ? { ...edited, touched: await this.#touchedBy(tenant, result.rows) } : edited
  }

  /** Changes what a config is besides its nodes: its base, or its schema. */
  async changeHead(tenant: string, config: string, change: HeadChange, by: EditedBy | undefined): Promise<Edited> {
    if ('schema' in change && change.schema !== undefined)
      await checkSchema(tenant, change.schema, undefined, this.#limits.schemaMaxMs)
    const { result, position } = await this.#transactions.run(tenant, async (client) => {
      const head = await lockHead(client, tenant, config)
      const version = head.version + 1
      const base = 'base' in change ? change.base : head.base
      const schema = 'schema' in change ? (change.schema ?? null) : head.schema
      await client.query(
        'update tidemark_trees.config_heads set base_tenant = $3, base_config = $4, json_schema = $5 where tenant = $1 and config = $2',
        [tenant, config, base?.tenant ?? null, base?.config ?? null, schema],
      )
      await record(client, { tenant, config }, version, [], by, undefined)
      await this.#check(client, { tenant, config }, schema)
      return { result: version, isKept: true }
    })
    return { version: result, position, changes: [] }
  }

  async #checkHash(client: PoolClient, place: Place, expected: string): Promise<void> {
    const view = await uncachedViews(client, this.#limits).get(place)
    if (view?.hash !== expected)
      throw new TreeVersionError(
        `The node at "${place.path}" is not what it was, of itself or of what it inherits: read it again, and edit what it is now.`,
        view === null ? undefined : String(view.version),
      )
  }

  /** The whole config as readers will see it: that it comes to an end, and is what its schema says. */
  async #check(client: PoolClient, config: ConfigName, schema: string | null): Promise<void> {
    const views: Views = uncachedViews(client, this.#limits)
    const view = await views.get({ ...config, path: '' })
    if (schema !== null && view) await checkSchema(config.tenant, schema, view.json, this.#limits.schemaMaxMs)
  }
}

/** What a config is besides its nodes; undefined takes it away. */
export type HeadChange = { readonly base: ConfigName | undefined } | { readonly schema: string | undefined }

/** Whether more is inherited than before: what this node, or all of an array, stood in front of. */
function uncovers({ before, after }: NodeChange): boolean {
  if (before === undefined) return false
  return after === undefined || (kindOf(before.text) !== 'object' && kindOf(after.text) === 'object')
}

function summary({ path, before, after }: NodeChange): Edited['changes'][number] {
  return { path, change: before === undefined ? 'added' : after === undefined ? 'removed' : 'changed' }
}

/** One edit of a config after the other. One whose nodes a program wrote by SQL gets its head here. */
async function lockHead(client: PoolClient, tenant: string, config: string) {
  const lock = () => client.query<HeadRow>(LOCK_HEAD, [tenant, config])
  let { rows } = await lock()
  if (rows.length === 0) {
    await client.query(
      'insert into tidemark_trees.config_heads (tenant, config) values ($1, $2) on conflict do nothing',
      [tenant, config],
    )
    rows = (await lock()).rows
  }
  const { version, lastOrder, tenant: baseTenant, config: baseConfig, schema } = rows[0]!
  return {
    version,
    lastOrder,
    schema,
    base: baseTenant && baseConfig ? { tenant: baseTenant, config: baseConfig } : undefined,
  }
}

const LOCK_HEAD = `
select version::float8 as version, last_order::float8 as "lastOrder", base_tenant as tenant, base_config as config, json_schema::text as schema
from tidemark_trees.config_heads where tenant = $1 and config = $2 for update`

interface HeadRow {
  readonly version: number
  readonly lastOrder: number
  readonly tenant: string | null
  readonly config: string | null
  readonly schema: string | null
}

function absent(config: string): TreeAbsentError {
  return new TreeAbsentError(`There is no config "${config}".`)
}

async function checkVersion(
  client: PoolClient,
  tenant: string,
  config: string,
  path: Path,
  expected: number,
): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    `select coalesce(max(version), 0)::float8 as version from tidemark_trees.configs
     where tenant = $1 and config = $2 and (path = $3 or (path >= $4 and path < $5))`,
    [tenant, config, path, ...below(path)],
  )
  const { version } = rows[0]!
  if (version !== expected)
    throw new TreeVersionError(
      `The node at "${path}" is of version ${version}, not ${expected}: read it again, and edit what it is now.`,
      String(version),
    )
}

async function declare(
  client: PoolClient,
  tenant: string,
  config: string,
  path: Path,
  dependents: readonly Path[],
): Promise<RowChange[]> {
  const removed = await client.query<Image & { dependent: Path }>(
    `delete from tidemark_trees.config_dependencies where tenant = $1 and config = $2 and path = $3 and dependent <> all($4)
     returning tenant, config, path, dependent`,
    [tenant, config, path, dependents],
  )
  const added = await client.query<Image & { dependent: Path }>(
    `insert into tidemark_trees.config_dependencies (tenant, config, path, dependent)
     select $1, $2, $3, dependent from unnest($4::text[]) as d(dependent) on conflict do nothing
     returning tenant, config, path, dependent`,
    [tenant, config, path, dependents],
  )
  return [
    ...removed.rows.map((row) => dependencyRow('delete', row)),
    ...added.rows.map((row) => dependencyRow('insert', row)),
  ]
}
