import type { Change, RowChange } from 'tidemark'
import { type Happening, NOTHING, type Place } from './record.js'
import { detailOf, firstOf, storable, textOf } from './texts.js'

/** The tables in which config trees keep who edited what: @tidemark/trees writes both in the transaction of the edit. */
const TREES_SCHEMA = 'tidemark_trees'
const EDITS = `${TREES_SCHEMA}.config_edits`
const EDITED_NODES = `${TREES_SCHEMA}.config_edit_nodes`

export function isOfTrees(table: string): boolean {
  return table.startsWith(`${TREES_SCHEMA}.`)
}

/** Whether a change is the row that says who edited a config. */
export function isEditRow(change: Change): boolean {
  return change.kind === 'row' && change.table === EDITS && change.op === 'insert'
}

/**
 * Each edit of a config: who, why, and which nodes, as `config/path`. Their values are none of the journal's: the history of the config has
 * them. They are believed as the database has them: whoever may write those tables may name anybody.
 */
export function edits(place: Place, changes: readonly Change[], namesMax: number): Happening[] {
  const told = changes.filter((change): change is RowChange => isEditRow(change))
  if (told.length === 0) return []
  const nodes = new Map<string, string[]>()
  for (const change of changes) {
    if (change.kind !== 'row' || change.table !== EDITED_NODES || !change.new) continue
    const name = nameOf(change)
    const paths = nodes.get(name)
    if (paths) paths.push(change.new.path ?? '')
    else nodes.set(name, [change.new.path ?? ''])
  }
  return told.map((edit) => editOf(place, edit, nodes.get(nameOf(edit)) ?? [], namesMax))
}

function editOf(place: Place, edit: RowChange, paths: readonly string[], namesMax: number): Happening {
  const { tenant, config, version, actor, request_id, cause } = edit.new!
  const keys = [`${config}`, ...paths.filter((path) => path !== '').map((path) => `${config}${path}`)]
  return {
    ...NOTHING,
    ...place,
    tenant: storable(tenant ?? ''),
    origin: 'edit',
    keys: firstOf(keys, namesMax).map(storable),
    actor: textOf(actor ?? undefined),
    requestId: textOf(request_id ?? undefined),
    cause: textOf(cause ?? undefined),
    detail: detailOf({ config, version: Number(version), nodes: paths.length }),
  }
}

/** Which edit a row belongs to. */
function nameOf({ new: row }: RowChange): string {
  return JSON.stringify([row?.tenant, row?.config, row?.version])
}
