import type { RowChange } from 'tidemark'
import type { NodeChange } from './draft.js'
import { kindOf, type Node } from './nodes.js'
import { type Path, parentOf } from './pointer.js'
import type { ConfigName } from './stored.js'

/* The rows that an edit changes, as the log will have them: what asks which entries an edit would touch needs them before. */

/** A row's columns as PostgreSQL's text. */
export type Image = Readonly<Record<string, string | null>>

/** Nodes whose members come, go or change places: each is another one then, though its own row says nothing of them. */
export function parentsOf(changes: readonly NodeChange[]): Path[] {
  const own = new Set(changes.filter(({ before, after }) => before?.text !== after?.text).map(({ path }) => path))
  const parents = new Set<Path>()
  for (const { path, before, after } of changes) {
    const parent = parentOf(path)
    if (parent !== undefined && !own.has(parent) && (!before || !after || before.order !== after.order))
      parents.add(parent)
  }
  return [...parents]
}

/** @param version  of the config, once it is edited */
export function rowsOf(config: ConfigName, version: number, changes: readonly NodeChange[]): RowChange[] {
  const rows = changes.map(({ path, before, after }): RowChange => {
    const [old, next] = [before && image(config, path, before), after && image(config, path, after)]
    const isOther = before?.text !== after?.text
    if (!old) return { ...NODE, op: 'insert', old: null, new: { ...next, version: String(version) } }
    if (!next) return { ...NODE, op: 'delete', old, new: null }
    return { ...NODE, op: 'update', old, new: isOther ? { ...next, version: String(version) } : next }
  })
  return [...rows, ...parentsOf(changes).map((path) => changedRow(config, path, ['version']))]
}

/** A node's row, of which these columns become others. */
export function changedRow({ tenant, config }: ConfigName, path: Path, columns: readonly string[]): RowChange {
  const own = { tenant, config, path, parent: parentOf(path) ?? null, position: '', value: '', kind: '', version: '' }
  return { ...NODE, op: 'update', old: own, new: { ...own, ...Object.fromEntries(columns.map((name) => [name, '+'])) } }
}

export function dependencyRow(op: 'insert' | 'delete', row: Image): RowChange {
  const [old, next] = op === 'insert' ? [null, row] : [row, null]
  return { kind: 'row', table: 'tidemark_trees.config_dependencies', op, old, new: next }
}

export const NODES = 'tidemark_trees.configs'
const NODE = { kind: 'row', table: NODES } as const

function image({ tenant, config }: ConfigName, path: Path, node: Omit<Node, 'version'> & { version?: number }): Image {
  return {
    tenant,
    config,
    path,
    parent: parentOf(path) ?? null,
    position: String(node.order),
    value: node.text,
    kind: kindOf(node.text),
    version: String(node.version ?? ''),
  }
}
