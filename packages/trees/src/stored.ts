import type { Sql } from '@tidemark/postgres'
import type { PoolClient } from 'pg'
import { TreeLimitError } from './errors.js'
import type { Node } from './nodes.js'
import { ancestorsOf, below, nameOf, type Path } from './pointer.js'
import { Steps } from './steps.js'

/** A node of a config. */
export interface Place {
  readonly tenant: string
  readonly config: string
  readonly path: Path
}

export type ConfigName = Omit<Place, 'path'>

/** JSON's text of members called `$ref`, by the path of the node that has it. */
export type References = ReadonlyMap<Path, string>

export interface StoredNodes {
  /** The node, if it is there, and all below it. */
  readonly nodes: ReadonlyMap<Path, Node>
  /** Of the nodes above. */
  readonly references: References
  /** Nodes that take this one along when they change, as declared. */
  readonly dependencies: readonly Path[]
}

/**
 * All that a node's tree is made of, in one statement. Each place names the columns that it reads, so that an update of others leaves the
 * entry where it is: of nodes above only the kind is read, of members not the place of the node itself.
 */
const READ = `
select 'node' as what, n.path, n.value::text as text, null::float8 as "order", n.version::float8 as version
from tidemark_trees.configs n where n.tenant = $1 and n.config = $2 and n.path = $3
union all
select 'node', b.path, b.value::text, b.position, b.version::float8
from tidemark_trees.configs b where b.tenant = $1 and b.config = $2 and b.path >= $4 and b.path < $5
union all
select 'reference', r.path, r.value::text, null, null
from tidemark_trees.configs r where r.tenant = $1 and r.config = $2 and r.path = any($6::text[])
union all
select 'dependency', d.path, d.dependent, null, null
from tidemark_trees.config_dependencies d where d.tenant = $1 and d.config = $2 and d.dependent = any($7::text[])
union all
select 'dependency', w.path, w.dependent, null, null
from tidemark_trees.config_dependencies w where w.tenant = $1 and w.config = $2 and w.dependent >= $4 and w.dependent < $5`

/** As PostgreSQL tells them. */
export type StoredRows = readonly (readonly (string | null)[])[]

export async function readRows(sql: Sql, { tenant, config, path }: Place): Promise<StoredRows> {
  const above = ancestorsOf(path)
  const values = [tenant, config, path, ...below(path), above.map(referenceAt), [...above, path]]
  return (await sql.texts(READ, values)).rows
}

/** Others have their turn meanwhile. */
export async function nodesOf(rows: StoredRows): Promise<StoredNodes> {
  const steps = new Steps()
  const nodes = new Map<Path, Node>()
  const references = new Map<Path, string>()
  const dependencies: Path[] = []
  for (const [what, at, text, order, version] of rows) {
    if (steps.isOver) await steps.next()
    if (what === 'node') nodes.set(at!, { path: at!, text: text!, order: Number(order), version: Number(version) })
    else if (what === 'reference') references.set(ownerOf(at!), text!)
    else dependencies.push(at!)
  }
  return { nodes, references, dependencies }
}

/** Which config a config extends. */
export async function readBase(sql: Sql, { tenant, config }: ConfigName): Promise<ConfigName | null> {
  const { rows } = await sql.texts(
    // A head without a base, as the first edit of what SQL wrote makes one, changes nothing.
    `select h.base_tenant, h.base_config from tidemark_trees.config_heads h
     where h.tenant = $1 and h.config = $2 and h.base_config is not null`,
    [tenant, config],
  )
  const [baseTenant, baseConfig] = rows[0] ?? []
  return baseTenant && baseConfig ? { tenant: baseTenant, config: baseConfig } : null
}

/** Whether a node is an object: what else it may be is not read. */
const READ_OBJECT = `
select 'node' as what, n.path, null as text
from tidemark_trees.configs n where n.tenant = $1 and n.config = $2 and n.path = $3 and n.kind = 'object'
union all
select 'reference', r.path, r.value::text
from tidemark_trees.configs r where r.tenant = $1 and r.config = $2 and r.path = any($4::text[])`

export interface StoredObject {
  readonly isObject: boolean
  /** Of the node, and of those above. */
  readonly references: References
}

export async function readObject(sql: Sql, { tenant, config, path }: Place): Promise<StoredObject> {
  const places = [...ancestorsOf(path), path]
  const { rows } = await sql.texts(READ_OBJECT, [tenant, config, path, places.map(referenceAt)])
  const references = new Map<Path, string>()
  let isObject = false
  for (const [what, at, text] of rows) {
    if (what === 'node') isObject = true
    else references.set(ownerOf(at!), text!)
  }
  return { isObject, references }
}

/** The names of an object's members, in their order: what these hold is not read. */
export async function readNames(sql: Sql, { tenant, config, path }: Place): Promise<string[]> {
  const { rows } = await sql.texts(
    'select c.path, c.position from tidemark_trees.configs c where c.tenant = $1 and c.config = $2 and c.parent = $3',
    [tenant, config, path],
  )
  return rows
    .map(([at, order]) => ({ name: nameOf(at!), order: Number(order) }))
    .sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name)
}

const NODES = `
select path, value::text as text, position as "order", version::float8 as version
from tidemark_trees.configs where tenant = $1 and config = $2`

/** The config's own node at a path, as a transaction sees it: one, or none. */
export async function nodeAt(client: PoolClient, { tenant, config, path }: Place): Promise<Node[]> {
  return (await client.query<Node>(`${NODES} and path = $3`, [tenant, config, path])).rows
}

/** The config's own nodes above a path, at it and below it. */
export async function nodesAround(client: PoolClient, { tenant, config, path }: Place): Promise<Node[]> {
  const values = [tenant, config, [...ancestorsOf(path), path], ...below(path)]
  return (await client.query<Node>(AROUND, values)).rows
}

// Each part is a look-up in an index, whatever the planner knows of the table.
const AROUND = `${NODES} and path = any($3::text[]) union all ${NODES} and path >= $4 and path < $5`

/** The config's own node at a path, and all below it. */
export async function nodesWithin(client: PoolClient, { tenant, config, path }: Place): Promise<Node[]> {
  return (await client.query<Node>(AROUND, [tenant, config, [path], ...below(path)])).rows
}

/** All at a node and below it. */
const WATCHED = `
select n.path, n.value::text, n.version from tidemark_trees.configs n where n.tenant = $1 and n.config = $2 and n.path = $3
union all
select b.path, b.value::text, b.version
from tidemark_trees.configs b where b.tenant = $1 and b.config = $2 and b.path >= $4 and b.path < $5`

/** What was declared to take a node along: the node itself, what is above it, or what is below it. */
const DECLARED = `
select d.path from tidemark_trees.config_dependencies d where d.tenant = $1 and d.config = $2 and d.dependent = any($3::text[])
union all
select w.path
from tidemark_trees.config_dependencies w where w.tenant = $1 and w.config = $2 and w.dependent >= $4 and w.dependent < $5`

/** Makes the entry depend on a node and all below it; returns those that take that one along. */
export async function readWatched(sql: Sql, { tenant, config, path }: Place): Promise<Path[]> {
  const range = below(path)
  await sql.texts(WATCHED, [tenant, config, path, ...range])
  const { rows } = await sql.texts(DECLARED, [tenant, config, [path, ...ancestorsOf(path)], ...range])
  return rows.map(([at]) => at!)
}

/** Whether a value or an array of the config itself is at one of these paths: it covers what the base has there, and below. */
export async function readCovered(sql: Sql, { tenant, config }: ConfigName, paths: readonly Path[]): Promise<boolean> {
  const { rows } = await sql.texts(
    `select u.path from tidemark_trees.configs u
     where u.tenant = $1 and u.config = $2 and u.path = any($3::text[]) and u.kind <> 'object'`,
    [tenant, config, paths],
  )
  return rows.length > 0
}

/** At which of these paths the config itself has a node. */
export async function readOwned(sql: Sql, { tenant, config }: ConfigName, paths: readonly Path[]): Promise<Path[]> {
  if (paths.length === 0) return []
  const { rows } = await sql.texts(
    'select u.path from tidemark_trees.configs u where u.tenant = $1 and u.config = $2 and u.path = any($3::text[])',
    [tenant, config, paths],
  )
  return rows.map(([path]) => path!)
}

/** Which nodes of the config itself from the root down to this one are arrays, what references are among them, and whether this one is there. */
export async function readArrays(
  sql: Sql,
  { tenant, config, path }: Place,
): Promise<{ readonly arrays: readonly Path[]; readonly references: References; readonly isThere: boolean }> {
  const paths = [...ancestorsOf(path), path]
  const { rows } = await sql.texts(
    `select 'array' as what, n.path, null as text
     from tidemark_trees.configs n where n.tenant = $1 and n.config = $2 and n.path = any($3::text[]) and n.kind = 'array'
     union all
     select 'reference', r.path, r.value::text
     from tidemark_trees.configs r where r.tenant = $1 and r.config = $2 and r.path = any($4::text[])
     union all
     select 'there', o.path, null
     from tidemark_trees.configs o where o.tenant = $1 and o.config = $2 and o.path = $5`,
    [tenant, config, paths, paths.map(referenceAt), path],
  )
  const arrays: Path[] = []
  const references = new Map<Path, string>()
  let isThere = false
  for (const [what, at, text] of rows) {
    if (what === 'array') arrays.push(at!)
    else if (what === 'there') isThere = true
    else references.set(ownerOf(at!), text!)
  }
  return { arrays, references, isThere }
}

/** Where a path leads if a node above it is a reference. */
export function movedTo(references: References, { path, ...config }: Place): Place | undefined {
  for (const at of ancestorsOf(path)) {
    const text = references.get(at)
    // What the reference itself says can be read.
    const place = text === undefined || referenceAt(at) === path ? undefined : targetOf(text, config)
    if (place) return placeBelow(place, path.slice(at.length))
  }
  return undefined
}

/** More than twice the levels of any config: what a reference leads to, and what is below it. */
const LEVELS_MAX = 1_000

/** @throws TreeLimitError for a reference that leads below itself, as only SQL can write one: each reading of it would lead further down */
export function placeBelow(target: Place, rest: Path): Place {
  const path = target.path + rest
  if (ancestorsOf(path).length > LEVELS_MAX)
    throw new TreeLimitError(
      `References of "${target.config}" lead further down each time, more than ${LEVELS_MAX} levels.`,
    )
  return { ...target, path }
}

/** The path of the member that makes a node a reference. */
export function referenceAt(path: Path): Path {
  return `${path}/$ref`
}

/** `"#/a"` is in the same config, `"other#/a"` in another one of the tenant. Anything else is plain data. */
export function targetOf(text: string, { tenant, config }: ConfigName): Place | undefined {
  if (!text.startsWith('"')) return undefined
  const [, other, path] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,127})?#((?:\/.*)?)$/s.exec(JSON.parse(text) as string) ?? []
  return path === undefined ? undefined : { tenant, config: other ?? config, path }
}

function ownerOf(reference: Path): Path {
  return reference.slice(0, -'/$ref'.length)
}
