import type { PoolClient } from 'pg'
import type { NodeChange } from './draft.js'
import { TreeAbsentError } from './errors.js'
import type { Json } from './json.js'
import { assemble, type Node } from './nodes.js'
import { below, type Path } from './pointer.js'
import { nodesWithin, type Place } from './stored.js'

/** An edit, as the history has it. */
export interface PastEdit {
  /** The version of the config that it made. */
  readonly version: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly actor: string | undefined
  readonly requestId: string | undefined
  readonly cause: string | undefined
  /** What it changed at the node that was asked for, and below it. */
  readonly changes: readonly Difference[]
}

/** A node that is different; JSON's text of it before and after, without what is below it; undefined where there was none. */
export interface Difference {
  readonly path: Path
  readonly before: string | undefined
  readonly after: string | undefined
}

/** The edits that changed a node or something below it, the newest first. */
export async function readHistory(
  client: PoolClient,
  { tenant, config, path }: Place,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<PastEdit[]> {
  const { rows } = await client.query<{
    version: number
    at: number
    actor: string | null
    requestId: string | null
    cause: string | null
    changes: { path: Path; before: string | null; after: string | null }[]
  }>(
    `select e.version::float8 as version, (extract(epoch from e.at) * 1000)::float8 as at, e.actor, e.request_id as "requestId", e.cause, n.changes
     from tidemark_trees.config_edits e cross join lateral (
       select json_agg(json_build_object('path', n.path, 'before', n.old_value::text, 'after', n.new_value::text) order by n.path) as changes
       from tidemark_trees.config_edit_nodes n
       where n.tenant = e.tenant and n.config = e.config and n.version = e.version and (n.path = $3 or (n.path >= $4 and n.path < $5))) n
     where e.tenant = $1 and e.config = $2 and ($6::bigint is null or e.version < $6) and n.changes is not null
     order by e.version desc limit $7`,
    [tenant, config, path, ...below(path), before ?? null, limit],
  )
  return rows.map(({ version, at, actor, requestId, cause, changes }) => ({
    version,
    at: Math.round(at),
    actor: actor ?? undefined,
    requestId: requestId ?? undefined,
    cause: cause ?? undefined,
    changes: changes.map((change) => ({
      path: change.path,
      before: change.before ?? undefined,
      after: change.after ?? undefined,
    })),
  }))
}

/** The nodes at a path, and below it, as they were in a version; of the config itself, without what it inherits. */
async function nodesAt(client: PoolClient, asked: Place, version: number): Promise<Map<Path, Node>> {
  await checkVersionExists(client, asked, version)
  const nodes = await nodesNow(client, asked)
  for (const { path, before } of await changesSince(client, asked, version)) {
    if (before) nodes.set(path, before)
    else nodes.delete(path)
  }
  return nodes
}

/** The tree as it was in a version; undefined where it was not. */
export async function treeAt(client: PoolClient, asked: Place, version: number): Promise<Json | undefined> {
  return assemble(asked.path, await nodesAt(client, asked, version))
}

/** What is different between two versions, node by node. */
export async function differences(client: PoolClient, asked: Place, from: number, to: number): Promise<Difference[]> {
  const [before, after] = [await nodesAt(client, asked, from), await nodesAt(client, asked, to)]
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path)?.text !== after.get(path)?.text)
    .sort()
    .map((path) => ({ path, before: before.get(path)?.text, after: after.get(path)?.text }))
}

/** What brings a config back to what it was in a version. */
export async function changesBackTo(client: PoolClient, asked: Place, version: number): Promise<NodeChange[]> {
  await checkVersionExists(client, asked, version)
  const now = await nodesNow(client, asked)
  const back: NodeChange[] = []
  for (const { path, before } of await changesSince(client, asked, version)) {
    const current = now.get(path)
    if (current?.text !== before?.text || current?.order !== before?.order)
      back.push({ path, before: current, after: before })
  }
  return back
}

/** The oldest change of each node after a version: what it was in it. */
async function changesSince(client: PoolClient, { tenant, config, path }: Place, version: number) {
  const { rows } = await client.query<{ path: Path; text: string | null; order: number | null }>(
    `select distinct on (path) path, old_value::text as text, old_position as "order"
     from tidemark_trees.config_edit_nodes
     where tenant = $1 and config = $2 and version > $3 and (path = $4 or (path >= $5 and path < $6)) order by path, version`,
    [tenant, config, version, path, ...below(path)],
  )
  return rows.map((row) => ({
    path: row.path,
    before: row.text === null ? undefined : { path: row.path, text: row.text, order: row.order!, version: 0 },
  }))
}

async function nodesNow(client: PoolClient, place: Place): Promise<Map<Path, Node>> {
  return new Map((await nodesWithin(client, place)).map((node) => [node.path, node]))
}

async function checkVersionExists(client: PoolClient, { tenant, config }: Place, version: number): Promise<void> {
  const { rows } = await client.query(
    'select from tidemark_trees.config_edits where tenant = $1 and config = $2 and version = $3',
    [tenant, config, version],
  )
  if (rows.length === 0) throw new TreeAbsentError(`The config "${config}" has no version ${version}.`)
}
