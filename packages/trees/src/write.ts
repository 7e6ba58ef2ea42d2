import type { PoolClient } from 'pg'
import type { NodeChange } from './draft.js'
import type { EditedBy } from './edit.js'
import { TreeValueError } from './errors.js'
import type { Path } from './pointer.js'
import { parentsOf } from './rows.js'
import type { ConfigName } from './stored.js'

/** Rows of one statement: to write its parameters holds the event loop. */
const ROWS_AT_ONCE = 2_000

/** Writes what an edit changes into the config's rows. @throws TreeValueError (`TIDEMARK_TREE_VALUE`) for what PostgreSQL cannot store */
export async function write(
  client: PoolClient,
  { tenant, config }: ConfigName,
  version: number,
  changes: readonly NodeChange[],
): Promise<void> {
  const removed = changes.filter(({ after }) => !after)
  const added = changes.filter(({ before }) => !before)
  const changed = changes.filter(({ before, after }) => before && after)
  try {
    for (const part of partsOf(removed))
      await client.query('delete from tidemark_trees.configs where tenant = $1 and config = $2 and path = any($3)', [
        tenant,
        config,
        part.map(({ path }) => path),
      ])
    for (const part of partsOf(added))
      await client.query(
        `insert into tidemark_trees.configs (tenant, config, path, position, value, version)
         select $1, $2, path, position, value::jsonb, $3 from unnest($4::text[], $5::float8[], $6::text[]) as n(path, position, value)`,
        [tenant, config, version, ...columns(part)],
      )
    for (const part of partsOf(changed))
      await client.query(
        `update tidemark_trees.configs c set position = n.position, value = n.value::jsonb,
           version = case when c.value::text = n.value then c.version else $3 end, updated_at = now()
         from unnest($4::text[], $5::float8[], $6::text[]) as n(path, position, value)
         where c.tenant = $1 and c.config = $2 and c.path = n.path and c.path = any($4)`,
        [tenant, config, version, ...columns(part)],
      )
    for (const part of partsOf(parentsOf(changes)))
      await client.query(
        'update tidemark_trees.configs set version = $3, updated_at = now() where tenant = $1 and config = $2 and path = any($4)',
        [tenant, config, version, part],
      )
  } catch (error) {
    // Numbers are PostgreSQL's numeric; all else was looked at before.
    const { code } = error as { code?: string }
    if (code?.startsWith('22')) throw new TreeValueError((error as Error).message, undefined, { cause: error })
    throw error
  }
}

function columns(changes: readonly NodeChange[]): [Path[], number[], string] {
  return [
    changes.map(({ path }) => path),
    changes.map(({ after }) => after!.order),
    textsOf(changes.map(({ after }) => after!.text)),
  ]
}

/**
 * Nodes' JSON as PostgreSQL's text of an array. The driver writes one too, but takes seconds for megabytes of quotes or backslashes. JSON's text
 * has neither control characters nor halves of surrogate pairs, so as a string of JSON it is an element as PostgreSQL reads it.
 */
function textsOf(texts: readonly (string | undefined)[]): string {
  return `{${texts.map((text) => (text === undefined ? 'NULL' : JSON.stringify(text))).join(',')}}`
}

/** Writes the edit into the history, and the new version into the config's head: in one statement, where the edit is small. */
export async function record(
  client: PoolClient,
  { tenant, config }: ConfigName,
  version: number,
  changes: readonly NodeChange[],
  by: EditedBy | undefined,
  lastOrder: number | undefined,
): Promise<void> {
  const rows = (part: readonly NodeChange[]) => [
    part.map(({ path }) => path),
    textsOf(part.map(({ before }) => before?.text)),
    part.map(({ before }) => before?.order ?? null),
    textsOf(part.map(({ after }) => after?.text)),
    part.map(({ after }) => after?.order ?? null),
  ]
  const [first = [], ...others] = partsOf(changes)
  const { actor = null, requestId = null, cause = null } = by ?? {}
  await client.query(RECORD, [tenant, config, version, ...rows(first), actor, requestId, cause, lastOrder ?? null])
  for (const part of others) await client.query(RECORD_NODES, [tenant, config, version, ...rows(part)])
}

const RECORD_NODES = `
insert into tidemark_trees.config_edit_nodes (tenant, config, version, path, old_value, old_position, new_value, new_position)
select $1, $2, $3, path, old_value::jsonb, old_position, new_value::jsonb, new_position
from unnest($4::text[], $5::text[], $6::float8[], $7::text[], $8::float8[]) as n(path, old_value, old_position, new_value, new_position)`

const RECORD = `
with head as (
  update tidemark_trees.config_heads set version = $3, last_order = coalesce($12, last_order), updated_at = now()
  where tenant = $1 and config = $2
), edit as (
  insert into tidemark_trees.config_edits (tenant, config, version, actor, request_id, cause) values ($1, $2, $3, $9, $10, $11)
)${RECORD_NODES}`

function* partsOf<Row>(rows: readonly Row[]): Generator<readonly Row[]> {
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) yield rows.slice(from, from + ROWS_AT_ONCE)
}
