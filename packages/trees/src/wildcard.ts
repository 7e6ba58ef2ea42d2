import { TreeLimitError, TreePathError } from './errors.js'
import { type Json, printJson, readJson } from './json.js'
import type { TreeLimits } from './limits.js'
import { childOf, type Path, stepsOf } from './pointer.js'
import type { View } from './view.js'

/** The nodes of a config that a path with wildcards names, those of later included. */
export interface Wildcard {
  /** The node above all of them: the path up to the first wildcard. */
  readonly top: Path
  /**
   * The nodes that are named, each with its JSON, in the order of their paths.
   *
   * @param view  the tree at `top`; null where there is no such node. It is read once for all paths that are asked of it in a row
   * @throws TreeLimitError (`TIDEMARK_TREE_LIMIT`) if there are more than `nodesMax`
   */
  nodesIn(view: Pick<View, 'json'> | null, nodesMax: number): Map<Path, string>
}

const ANY = '*'
const ALL = '**'

/**
 * Reads a path in which a step `*` is any one name (or item), and `**`, as the last step, is every leaf at that place and below it: a
 * value, or an empty object or array.
 *
 * @returns undefined if it has no wildcard, so that it is the path of one node
 * @throws TreePathError (`TIDEMARK_TREE_PATH`) if it is no path, or `**` is not its last step
 */
export function wildcardOf(path: unknown, limits: TreeLimits): Wildcard | undefined {
  const steps = stepsOf(path, limits)
  const first = steps.findIndex((step) => step === ANY || step === ALL)
  if (first === -1) return undefined
  if (steps.slice(0, -1).includes(ALL))
    throw new TreePathError('In a path, "**" is the last step: all that is below. For any one name write "*".')
  const top = steps.slice(0, first).reduce(childOf, '')
  const rest = steps.slice(first)
  return {
    top,
    nodesIn(view, nodesMax) {
      const found = new Map<Path, string>()
      if (view === null) return found
      collect(treeOf(view), top, rest, 0, (at, node) => {
        if (found.size === nodesMax)
          throw new TreeLimitError(
            `The path names more than ${nodesMax} nodes. Name fewer of them, or raise the limit.`,
          )
        found.set(at, printJson(node))
      })
      return new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)))
    },
  }
}

/** What was read, until its memory is needed: a node that many paths begin with is read by all of them when it changes. */
const trees = new WeakMap<Pick<View, 'json'>, WeakRef<Json>>()

function treeOf(view: Pick<View, 'json'>): Json {
  const known = trees.get(view)?.deref()
  if (known) return known
  const tree = readJson(view.json)
  trees.set(view, new WeakRef(tree))
  return tree
}

function collect(json: Json, path: Path, steps: readonly string[], at: number, take: (path: Path, json: Json) => void) {
  const step = steps[at]
  if (step === undefined) return take(path, json)
  const below = childrenOf(json)
  if (step === ALL && below.length === 0) return take(path, json)
  for (const [name, child] of below) {
    if (step === ALL) collect(child, childOf(path, name), steps, at, take)
    else if (step === ANY || step === name) collect(child, childOf(path, name), steps, at + 1, take)
  }
}

function childrenOf(json: Json): (readonly [string, Json])[] {
  if (json.kind === 'object') return [...json.members]
  return json.kind === 'array' ? json.items.map((item, index) => [String(index), item] as const) : []
}
