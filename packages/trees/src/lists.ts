import type { PoolClient } from 'pg'
import { OptionError } from 'tidemark'
import { TreeLimitError } from './errors.js'
import { type Json, printJson } from './json.js'
import type { TreeLimits } from './limits.js'
import { assemble, type Kind } from './nodes.js'
import { below, type Path } from './pointer.js'
import { type ConfigName, nodesWithin, type Place } from './stored.js'

/** Which ones, and where the page begins. */
export interface ListOptions {
  /** Text that must occur: in a config's name; in a node's path, or in its value as JSON. Letters' case counts. */
  readonly contains?: string
  /** The last of the page before. */
  readonly after?: string
  /** Default 50; 1,000 at most. */
  readonly limit?: number
}

const LIST_MAX = 1_000

type Listed = Omit<ListOptions, 'after'> & {
  readonly after?: string | { readonly config: string; readonly path: Path }
}

/** @throws OptionError (`TIDEMARK_OPTION`) */
export function checkList<Options extends Listed>(options: Options): Options {
  const { limit = 50, contains = '', after = '' } = options
  if (!Number.isInteger(limit) || limit < 1 || limit > LIST_MAX)
    throw new OptionError(`limit is a whole number from 1 to ${LIST_MAX}.`)
  const texts = typeof after === 'string' ? [contains, after] : [contains, after.config, after.path]
  if (texts.some((text) => text.includes('\0'))) throw new OptionError('contains and after have no character NUL.')
  return options
}

/** What a config is besides its nodes. */
export interface Head {
  readonly config: string
  /** Of its last edit; 0 of what a program wrote by SQL, and nobody edited since. */
  readonly version: number
  readonly base: ConfigName | undefined
  readonly hasSchema: boolean
  /** Of its last edit: milliseconds since 1970. */
  readonly updatedAt: number | undefined
}

/** A node of the config itself. */
export interface NodeInfo {
  readonly config: string
  readonly path: Path
  readonly kind: Kind
  /** JSON's text of a scalar; undefined of an object or array. */
  readonly value: string | undefined
  readonly version: number
  readonly updatedAt: number
}

/** Of the names in order the next one is looked up, however many nodes each config has. */
const CONFIGS = `
with recursive names as (
  (select c.config from tidemark_trees.configs c where c.tenant = $1 and c.config > $2 order by c.config limit 1)
  union all
  select (select c.config from tidemark_trees.configs c where c.tenant = $1 and c.config > n.config order by c.config limit 1)
  from names n where n.config is not null)
select a.config, coalesce(h.version, 0)::float8 as version, h.base_tenant as "baseTenant", h.base_config as "baseConfig",
  h.json_schema is not null as "hasSchema", (extract(epoch from h.updated_at) * 1000)::float8 as "updatedAt"
from (
  (select n.config from names n where n.config is not null and strpos(n.config, $3) > 0 limit $4)
  union
  (select b.config from tidemark_trees.config_heads b
   where b.tenant = $1 and b.config > $2 and b.base_config is not null and strpos(b.config, $3) > 0 order by b.config limit $4)) a
left join tidemark_trees.config_heads h on h.tenant = $1 and h.config = a.config
order by a.config limit $4`

/** The configs of a tenant, by name. */
export async function readConfigs(
  client: PoolClient,
  tenant: string,
  { contains = '', after = '', limit = 50 }: ListOptions,
  limits: TreeLimits,
): Promise<Head[]> {
  const { rows } = await searching(client, contains, limits, () =>
    client.query<HeadRow>(CONFIGS, [tenant, after, contains, limit]),
  )
  return rows.map(headOf)
}

/** What is searched for text looks at much more than it answers with: within a time. @throws TreeLimitError (`TIDEMARK_TREE_LIMIT`) */
async function searching<Found>(
  client: PoolClient,
  contains: string,
  { searchMaxMs }: TreeLimits,
  search: () => Promise<Found>,
): Promise<Found> {
  if (contains === '') return search()
  await client.query(`set local statement_timeout = ${searchMaxMs}`)
  try {
    return await search()
  } catch (error) {
    if ((error as { code?: string }).code !== QUERY_CANCELED) throw error
    throw new TreeLimitError(
      `The search for text took longer than ${searchMaxMs} ms (searchMaxMs): search in one config, or below one path.`,
      { cause: error },
    )
  }
}

const QUERY_CANCELED = '57014'

export async function readHead(
  client: PoolClient,
  { tenant, config }: ConfigName,
): Promise<Head & { schema?: string }> {
  const { rows } = await client.query<HeadRow & { schema: string | null }>(
    `select config, version::float8 as version, base_tenant as "baseTenant", base_config as "baseConfig", json_schema is not null as "hasSchema",
       (extract(epoch from updated_at) * 1000)::float8 as "updatedAt", json_schema::text as schema
     from tidemark_trees.config_heads where tenant = $1 and config = $2`,
    [tenant, config],
  )
  const [row] = rows
  if (!row) return { config, version: 0, base: undefined, hasSchema: false, updatedAt: undefined }
  return { ...headOf(row), ...(row.schema === null ? {} : { schema: row.schema }) }
}

interface HeadRow {
  readonly config: string
  readonly version: number
  readonly baseTenant: string | null
  readonly baseConfig: string | null
  readonly hasSchema: boolean
  readonly updatedAt: number | null
}

function headOf({ config, version, baseTenant, baseConfig, hasSchema, updatedAt }: HeadRow): Head {
  return {
    config,
    version,
    base: baseTenant !== null && baseConfig !== null ? { tenant: baseTenant, config: baseConfig } : undefined,
    hasSchema,
    updatedAt: updatedAt === null ? undefined : Math.round(updatedAt),
  }
}

/** The nodes of a config at a path and below it, or of all configs of a tenant, by config and path. */
export async function readNodeList(
  client: PoolClient,
  { tenant, config, path }: { readonly tenant: string; readonly config: string | undefined; readonly path: Path },
  {
    contains = '',
    after,
    limit = 50,
  }: Omit<ListOptions, 'after'> & { readonly after?: { config: string; path: Path } },
  limits: TreeLimits,
): Promise<NodeInfo[]> {
  const values = [
    tenant,
    config ?? null,
    path,
    ...below(path),
    after?.config ?? null,
    after?.path ?? null,
    contains,
    limit,
  ]
  const { rows } = await searching(client, contains, limits, () =>
    client.query<Omit<NodeInfo, 'value'> & { value: string }>(NODE_LIST, values),
  )
  return rows.map(({ value, updatedAt, ...row }) => ({
    ...row,
    value: row.kind === 'scalar' ? value : undefined,
    updatedAt: Math.round(updatedAt),
  }))
}

// The first line of conditions on the path is one range of the index.
const NODE_LIST = `
     select config, path, kind, value::text as value, version::float8 as version, (extract(epoch from updated_at) * 1000)::float8 as "updatedAt"
     from tidemark_trees.configs
     where tenant = $1 and ($2::text is null or config = $2) and path >= $3 and path < $5
       and (path = $3 or path >= $4)
       and ($6::text is null or (config, path) > ($6::text, $7::text))
       and ($8 = '' or strpos(path, $8) > 0 or (kind = 'scalar' and strpos(value::text, $8) > 0))
     order by config, path limit $9`

/** What was declared to go along, by the node that takes it. */
export async function readDeclared(
  client: PoolClient,
  { tenant, config, path }: Place,
): Promise<{ readonly path: Path; readonly dependent: Path }[]> {
  const { rows } = await client.query<{ path: Path; dependent: Path }>(
    `select path, dependent from tidemark_trees.config_dependencies
     where tenant = $1 and config = $2 and (path = $3 or (path >= $4 and path < $5)) order by path, dependent`,
    [tenant, config, path, ...below(path)],
  )
  return rows
}

/** The tree at a path as the config itself has it: nothing inherited, no reference followed. */
export async function readOwn(client: PoolClient, place: Place): Promise<string | undefined> {
  const nodes = new Map((await nodesWithin(client, place)).map((node) => [node.path, node]))
  const json: Json | undefined = await assemble(place.path, nodes)
  return json && printJson(json)
}
