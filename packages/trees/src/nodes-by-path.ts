import type { Node } from './nodes.js'
import { type Path, parentOf } from './pointer.js'

/** As an edit will leave it. */
export type DraftNode = Omit<Node, 'version'>

/** Nodes, and what lies right below what: those below a path are found without a look at all the others. */
export class NodesByPath {
  readonly #nodes = new Map<Path, DraftNode>()
  /** Also of nodes that are gone: they are few, or come again. */
  readonly #below = new Map<Path, Set<Path>>()
  #visits = 0

  /** How many paths `within` has looked at so far. */
  get visits(): number {
    return this.#visits
  }

  get(path: Path): DraftNode | undefined {
    return this.#nodes.get(path)
  }

  set(node: DraftNode): void {
    this.#nodes.set(node.path, node)
    // What is above may not have been read.
    for (let path = node.path, parent = parentOf(path); parent !== undefined; path = parent, parent = parentOf(path)) {
      const siblings = this.#below.get(parent)
      if (siblings?.has(path)) return
      if (siblings) siblings.add(path)
      else this.#below.set(parent, new Set([path]))
    }
  }

  delete(path: Path): void {
    this.#nodes.delete(path)
  }

  all(): Iterable<DraftNode> {
    return this.#nodes.values()
  }

  /** How many nodes are right below a path. */
  countBelow(path: Path): number {
    let count = 0
    for (const each of this.#below.get(path) ?? []) if (this.#nodes.has(each)) count++
    return count
  }

  /** The node at a path, and all below it. */
  within(path: Path): Map<Path, DraftNode> {
    const found = new Map<Path, DraftNode>()
    const paths = [path]
    for (let next = paths.pop(); next !== undefined; next = paths.pop()) {
      this.#visits++
      const node = this.#nodes.get(next)
      if (node) found.set(next, node)
      for (const each of this.#below.get(next) ?? []) paths.push(each)
    }
    return found
  }
}
