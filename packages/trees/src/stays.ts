import type { RowChange } from 'tidemark'
import type { Path } from './pointer.js'
import { NODES } from './rows.js'
import type { Place } from './stored.js'
import type { View } from './view.js'

/** The tag of views that go along with nodes by declaration: they go also where they are the same. */
export const TAKEN_ALONG = 'tidemark_trees:taken-along'

/** What is loaded again at once when that changes which decides where it is looked for. */
export function isComposed(view: View | null): boolean {
  return view === null || view.version === 0 || view.json.startsWith('{')
}

/**
 * Whether a change that touches a view may leave it as it is: one of what decides where it is looked for, which is a reference, a base, or what
 * covers a base. What is there then is not known before it is read: so the view is loaded again, and stays if it is the same.
 *
 * @param overrides  whether the config has a node of its own in place of its base's
 */
export function mayStay(
  place: Place,
  view: View | null,
  overrides: (path: Path) => boolean,
  { table, op, old, new: now }: RowChange,
): boolean {
  if (table === 'tidemark_trees.config_heads') return true
  if (table !== NODES) return false
  const { tenant, config, path } = { ...old, ...now }
  if (typeof path !== 'string') return false
  const isOwn = tenant === place.tenant && config === place.config
  // A node that is made just there is what is read there then, but for what stands above it.
  if (view === null) return !(isOwn && op === 'insert' && path === place.path)
  const isReference = path.endsWith('/$ref')
  // One of its own nodes gives a view a new version.
  if (isOwn) return isReference && view.version === 0
  return isReference || (op === 'update' && old?.['kind'] !== now?.['kind']) || overrides(path)
}
