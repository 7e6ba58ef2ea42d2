import { type TreeNode, type Trees, type View, type Wildcard, wildcardOf } from '@tidemark/trees'
import type { Answer } from 'tidemark'
import { RequestError, UnknownResourceError } from '../errors.js'
import type { Argument } from '../resources/parameter-type.js'
import { type Representation, representationOf } from '../resources/representation.js'
import type { Resource } from '../resources/resource.js'
import type { Followed } from './hub.js'
import { checked, type Wanted } from './socket-messages.js'

const ABSENT: Representation = { ...representationOf('absent'), body: 'null', event: 'absent' }

/** A node, and all below it. */
export function followedNode(tenant: string, node: TreeNode): Followed {
  // A resource's key has no slash before its bracket, so none is the same.
  return followedView(JSON.stringify(['tree', tenant, node.key]), node, viewOf)
}

export interface Sources {
  /** Where they are served. */
  readonly trees: Trees | undefined
  readonly resources: readonly Resource[]
  /** How many nodes a path with wildcards may name. */
  readonly nodesMax: number
}

/** What is wanted, as it can be followed: `isMany` are all nodes that a path with wildcards names. */
export function followedOf(
  wanted: Wanted,
  { trees, resources, nodesMax }: Sources,
): { readonly followed: Followed; readonly isMany: boolean } {
  if (wanted.kind === 'resource') {
    const resource = resources.find(({ config }) => config.name === wanted.resource)
    if (!resource) throw new UnknownResourceError()
    return {
      followed: resource.bind(checked(resource.parameters, wanted.parameters) as Record<string, Argument>),
      isMany: false,
    }
  }
  if (!trees) throw new RequestError('TIDEMARK_NOT_FOUND', 'This server has no config trees. Set trees.enabled.')
  const { tenant, config, path, exact } = wanted
  const tree = trees.tree(tenant, config)
  const wildcard = exact ? undefined : wildcardOf(path, trees.limits)
  if (!wildcard) return { followed: followedNode(tenant, tree.node(path)), isMany: false }
  const top = tree.node(wildcard.top)
  const key = JSON.stringify(['tree', tenant, top.key, path])
  return { followed: followedView(key, top, matchesOf(wildcard, nodesMax)), isMany: true }
}

function followedView(key: string, node: TreeNode, represent: (view: View | null) => Representation): Followed {
  const shown = (answer: Answer<View | null>) => ({ ...answer, value: represent(answer.value) })
  return {
    key,
    ask: async (options) => shown(await node.ask(options)),
    async *watch(signal) {
      for await (const answer of node.watchAnswers({ signal })) yield shown(answer)
    },
  }
}

/** Each view is written once, for all who follow it. */
const written = new WeakMap<View, Representation>()

function viewOf(view: View | null): Representation {
  return view === null ? ABSENT : remembered(written, view, () => representationOf(view.json))
}

/** Those that match, as one value: so a change beside them is no change, and one of them is told apart from what the client has. */
function matchesOf({ nodesIn }: Wildcard, nodesMax: number): (view: View | null) => Representation {
  const matched = new WeakMap<View, Representation>()
  const none = matching(new Map())
  return (view) => (view === null ? none : remembered(matched, view, () => matching(nodesIn(view, nodesMax))))
}

function matching(nodes: ReadonlyMap<string, string>): Representation {
  const body = `{${[...nodes].map(([path, json]) => `${JSON.stringify(path)}:${json}`).join(',')}}`
  return { ...representationOf(body), nodes }
}

function remembered(all: WeakMap<View, Representation>, view: View, make: () => Representation): Representation {
  let found = all.get(view)
  if (!found) {
    found = make()
    all.set(view, found)
  }
  return found
}
