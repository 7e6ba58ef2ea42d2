import type { Change, Image, RowChange } from '../log/change.js'
import type { Dependency } from './dependency.js'

type RowsDependency = Extract<Dependency, { kind: 'rows' }>

/**
 * How far a change reaches a dependency. `coarse`: it may not concern it at all, but the log does not tell the values
 * that would decide, so it counts as touching everything of this shape.
 */
export type Reach = 'none' | 'exact' | 'coarse'

/** Whether the change makes what depends on this stale. Agrees exactly with what `DependencyIndex.resolve` finds. */
export function touches(dependency: Dependency, change: Change): boolean {
  return reach(dependency, change) !== 'none'
}

/** Like `touches`, and says whether values were missing. Pure; allocates nothing. */
export function reach(dependency: Dependency, change: Change): Reach {
  switch (change.kind) {
    case 'row':
      if (dependency.kind === 'rows') return dependency.table === change.table ? rowReach(dependency, change) : 'none'
      return dependency.kind === 'table' && dependency.table === change.table ? 'exact' : 'none'
    case 'table':
      return 'table' in dependency && dependency.table === change.table ? 'exact' : 'none'
    case 'everything':
      return 'table' in dependency ? 'exact' : 'none'
    case 'target':
      for (const target of change.targets) {
        if (target.kind === 'tag') {
          if (dependency.kind === 'tag' && dependency.tag === target.tag && dependency.tenant === target.tenant)
            return 'exact'
        } else if (dependency.kind === 'key' && dependency.key === target.key && dependency.tenant === target.tenant) {
          return 'exact'
        }
      }
      return 'none'
    default:
      change satisfies never
      return 'coarse'
  }
}

function rowReach(dependency: RowsDependency, change: RowChange): Reach {
  const after = change.op === 'delete' ? 'none' : imageReach(dependency, change, valueAfter)
  if (after === 'coarse') return 'coarse'
  const before = change.op === 'insert' ? 'none' : imageReach(dependency, change, valueBefore)
  if (before === 'coarse') return dependency.old === 'coarse' ? 'coarse' : after
  return after === 'exact' ? 'exact' : before
}

/** One unknown column is enough: which rows the others leave is not worth an index by every subset of columns. */
function imageReach(dependency: RowsDependency, change: RowChange, columnOf: typeof valueAfter): Reach {
  let matches = true
  for (let i = 0; i < dependency.columns.length; i++) {
    const value = columnOf(change, dependency.columns[i]!)
    if (value === undefined) return 'coarse'
    if (value !== dependency.values[i]) matches = false
  }
  return matches ? 'exact' : 'none'
}

/** A column of the row as it now is. One that the new image leaves out did not change (TOAST), so the old one may tell. */
export function valueAfter(change: RowChange, column: string): string | null | undefined {
  const value = valueIn(change.new, column)
  return value === undefined ? valueIn(change.old, column) : value
}

/** A column of the row as it was. */
export function valueBefore(change: RowChange, column: string): string | null | undefined {
  return valueIn(change.old, column)
}

function valueIn(image: Image | null, column: string): string | null | undefined {
  const value: unknown = image?.[column]
  // A column may be called `constructor`: what an image inherits is no value.
  return typeof value === 'string' || value === null ? value : undefined
}
