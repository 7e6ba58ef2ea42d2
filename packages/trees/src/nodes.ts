import type { Json } from './json.js'
import { childOf, nameOf, type Path, parentOf } from './pointer.js'
import { Steps } from './steps.js'

/** A node as it is stored: a scalar's JSON, or `{}` or `[]` for what has its children in nodes of their own. */
export interface Node {
  readonly path: Path
  readonly text: string
  /** Members of an object are in this order. */
  readonly order: number
  readonly version: number
}

export type Kind = 'object' | 'array' | 'scalar'

export function kindOf(text: string): Kind {
  return text === '{}' ? 'object' : text === '[]' ? 'array' : 'scalar'
}

/** The nodes below each node, in their order. Others have their turn meanwhile. */
export async function childrenOf<N extends Pick<Node, 'path' | 'text' | 'order'>>(
  nodes: ReadonlyMap<Path, N>,
  steps = new Steps(),
): Promise<Map<Path, N[]>> {
  const children = new Map<Path, N[]>()
  for (const node of nodes.values()) {
    if (steps.isOver) await steps.next()
    const parent = parentOf(node.path)
    if (parent === undefined) continue
    const siblings = children.get(parent)
    if (siblings) siblings.push(node)
    else children.set(parent, [node])
  }
  for (const [parent, siblings] of children) {
    if (steps.isOver) await steps.next()
    if (siblings.length > 1) siblings.sort(nodes.get(parent)?.text === '[]' ? byIndex : byOrder)
  }
  return children
}

/** The tree that nodes are of; undefined if the root is not among them. */
export async function assemble(
  root: Path,
  nodes: ReadonlyMap<Path, Pick<Node, 'path' | 'text' | 'order'>>,
): Promise<Json | undefined> {
  const top = nodes.get(root)
  if (!top) return undefined
  const children = await childrenOf(nodes)
  const json = (node: Pick<Node, 'path' | 'text'>): Json => {
    const own = children.get(node.path) ?? []
    switch (kindOf(node.text)) {
      case 'scalar':
        return { kind: 'scalar', text: node.text }
      case 'array':
        return { kind: 'array', items: own.map(json) }
      default:
        return { kind: 'object', members: new Map(own.map((child) => [nameOf(child.path), json(child)])) }
    }
  }
  return json(top)
}

/** The nodes of a tree at a path; `orderOf` says where a member stands. */
export function* flatten(
  path: Path,
  json: Json,
  order: number,
  ordersOf: (path: Path, names: readonly string[]) => readonly number[],
): Generator<Omit<Node, 'version'>> {
  if (json.kind === 'scalar') {
    yield { path, text: json.text, order }
  } else if (json.kind === 'array') {
    yield { path, text: '[]', order }
    for (const [index, item] of json.items.entries()) yield* flatten(`${path}/${index}`, item, index, ordersOf)
  } else {
    yield { path, text: '{}', order }
    const orders = ordersOf(path, [...json.members.keys()])
    let at = 0
    for (const [name, member] of json.members) yield* flatten(childOf(path, name), member, orders[at++]!, ordersOf)
  }
}

/**
 * Places for the members of an object that is written anew, increasing. Of those that had one, as many as can keep it do (a longest
 * increasing subsequence); the others go between, or behind `last`, which is beyond all that were ever given.
 */
export function placesFor(had: readonly (number | undefined)[], last: number): number[] {
  const kept = longestIncreasing(had)
  const places: number[] = had.map((place, index) => (kept.has(index) ? place! : Number.NaN))
  for (let from = 0; from < places.length; ) {
    if (!Number.isNaN(places[from])) {
      from++
      continue
    }
    let to = from
    while (to < places.length && Number.isNaN(places[to])) to++
    const low = from === 0 ? undefined : places[from - 1]!
    const high = to === places.length ? undefined : places[to]!
    for (let index = from; index < to; index++) {
      const share = (index - from + 1) / (to - from + 1)
      places[index] =
        high === undefined
          ? Math.max(last, low ?? 0) + (index - from + 1)
          : low === undefined
            ? high - (to - index)
            : low + (high - low) * share
    }
    from = to
  }
  // Between two places that are next to each other in doubles there is none.
  return places.every((place, index) => index === 0 || place > places[index - 1]!)
    ? places
    : places.map((_, index) => last + 1 + index)
}

/** Indexes of a longest increasing subsequence of the numbers (patience sorting). */
function longestIncreasing(numbers: readonly (number | undefined)[]): Set<number> {
  const tails: number[] = []
  const before: (number | undefined)[] = []
  for (const [index, number] of numbers.entries()) {
    if (number === undefined) continue
    let low = 0
    let high = tails.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (numbers[tails[middle]!]! < number) low = middle + 1
      else high = middle
    }
    before[index] = tails[low - 1]
    tails[low] = index
  }
  const kept = new Set<number>()
  for (let at = tails.at(-1); at !== undefined; at = before[at]) kept.add(at)
  return kept
}

function byOrder(a: Pick<Node, 'path' | 'order'>, b: Pick<Node, 'path' | 'order'>): number {
  return a.order - b.order || (a.path < b.path ? -1 : 1)
}

function byIndex(a: Pick<Node, 'path'>, b: Pick<Node, 'path'>): number {
  return Number(nameOf(a.path)) - Number(nameOf(b.path))
}
