import type { PoolClient } from 'pg'
import { TreeAbsentError, TreeLimitError } from './errors.js'
import type { Json } from './json.js'
import type { TreeLimits } from './limits.js'
import { assemble, flatten, type Kind, kindOf, type Node, placesFor } from './nodes.js'
import { type DraftNode, NodesByPath } from './nodes-by-path.js'
import { ancestorsOf, checkPath, childOf, indexOf, nameOf, type Path, parentOf } from './pointer.js'
import { Steps } from './steps.js'
import { type ConfigName, nodeAt, nodesAround, nodesWithin } from './stored.js'

/** What a commit changes at one node. */
export interface NodeChange {
  readonly path: Path
  readonly before: Node | undefined
  readonly after: DraftNode | undefined
}

/** How often all nodes that an edit may write can be looked at: a patch whose every operation moves a long array would take minutes. */
const LOOKS_MAX = 200

/**
 * A config in the making: what an edit looks at is read when it is first looked at, in the edit's transaction, and what it makes of it
 * is compared with that in the end. So an edit costs what it touches, not the size of the config.
 */
export class Draft {
  readonly #client: PoolClient
  readonly #config: ConfigName
  readonly #limits: TreeLimits
  /** As they are stored, of all that was read. */
  readonly #before = new Map<Path, Node>()
  /** As they will be. */
  readonly #nodes = new NodesByPath()
  /** Nodes that were read by themselves, and those that were read with all below them. */
  readonly #read = new Set<Path>()
  readonly #readWhole = new Set<Path>()
  readonly #steps = new Steps()
  #lastOrder: number

  constructor(client: PoolClient, config: ConfigName, lastOrder: number, limits: TreeLimits) {
    this.#client = client
    this.#config = config
    this.#limits = limits
    this.#lastOrder = lastOrder
  }

  /** Beyond the place of every member that was ever added. */
  get lastOrder(): number {
    return this.#lastOrder
  }

  /** Reads what is at a path, above and below it, in one go. */
  async look(path: Path): Promise<void> {
    for (const above of ancestorsOf(path)) this.#read.add(above)
    this.#readWhole.add(path)
    await this.#add(await nodesAround(this.#client, { ...this.#config, path }))
  }

  async kind(path: Path): Promise<Kind | undefined> {
    if (!this.#isRead(path)) {
      this.#read.add(path)
      await this.#add(await nodeAt(this.#client, { ...this.#config, path }))
    }
    const node = this.#nodes.get(path)
    return node && kindOf(node.text)
  }

  /** The tree at a path. */
  async json(path: Path): Promise<Json | undefined> {
    await this.#readAll(path)
    return assemble(path, this.#within(path))
  }

  /** Sets what is at a path, or adds it: a member of an object, the root, or an item that an array has. */
  async put(path: Path, json: Json): Promise<void> {
    const parent = parentOf(path)
    if (parent !== undefined) await this.#checkPlace(parent, path)
    await this.#readAll(path)
    const had = this.#nodes.get(path)
    const order =
      had?.order ??
      (parent !== undefined && (await this.kind(parent)) === 'array' ? Number(nameOf(path)) : ++this.#lastOrder)
    await this.#write(path, json, order)
  }

  /** Puts an item into an array, and moves those behind it; `index` may be its length. */
  async insert(array: Path, index: number, json: Json): Promise<void> {
    // Behind the last one, no other moves.
    if (index === (await this.length(array))) return this.#write(childOf(array, String(index)), json, index)
    const items = [...(await this.#items(array))]
    items.splice(index, 0, json)
    await this.#write(array, { kind: 'array', items }, this.#nodes.get(array)!.order)
  }

  /** Takes away what is at a path; items behind it move. */
  async remove(path: Path): Promise<void> {
    const parent = parentOf(path)
    if (parent !== undefined && (await this.kind(parent)) === 'array') {
      const items = [...(await this.#items(parent))]
      items.splice(indexOf(nameOf(path))!, 1)
      await this.#write(parent, { kind: 'array', items }, this.#nodes.get(parent)!.order)
      return
    }
    await this.#readAll(path)
    for (const each of this.#within(path).keys()) this.#nodes.delete(each)
  }

  /** How many items an array has. */
  async length(array: Path): Promise<number> {
    await this.#readAll(array)
    return this.#nodes.countBelow(array)
  }

  /** What is different from what is stored, by path. */
  async changes(): Promise<NodeChange[]> {
    const changes: NodeChange[] = []
    for (const [path, before] of this.#before) {
      if (this.#steps.isOver) await this.#steps.next()
      const after = this.#nodes.get(path)
      if (!after || after.text !== before.text || after.order !== before.order) changes.push({ path, before, after })
    }
    for (const after of this.#nodes.all()) {
      if (this.#steps.isOver) await this.#steps.next()
      if (!this.#before.has(after.path)) changes.push({ path: after.path, before: undefined, after })
    }
    return changes.sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  async #items(array: Path): Promise<readonly Json[]> {
    const json = await this.json(array)
    return json?.kind === 'array' ? json.items : []
  }

  /** @throws TreeAbsentError if there is no place for it: no such parent, a scalar, or an index that the array does not have */
  async #checkPlace(parent: Path, path: Path): Promise<void> {
    const kind = await this.kind(parent)
    if (kind === 'object') return
    if (kind === 'array') {
      const index = indexOf(nameOf(path))
      if (index !== undefined && index < (await this.length(parent))) return
      throw new TreeAbsentError(`The array at "${parent}" has no item "${nameOf(path)}".`)
    }
    throw new TreeAbsentError(
      kind === undefined
        ? `There is no node at "${parent}".`
        : `The node at "${parent}" is a value, and has nothing below it.`,
    )
  }

  async #write(path: Path, json: Json, order: number): Promise<void> {
    const had = this.#within(path)
    for (const each of had.keys()) this.#nodes.delete(each)
    if (this.#steps.isOver) await this.#steps.next()
    const ordersOf = (object: Path, names: readonly string[]): readonly number[] => {
      const isObject = had.get(object)?.text === '{}'
      const places = placesFor(
        names.map((name) => (isObject ? had.get(childOf(object, name))?.order : undefined)),
        this.#lastOrder,
      )
      this.#lastOrder = Math.max(this.#lastOrder, Math.ceil(places.at(-1) ?? 0))
      return places
    }
    let count = 0
    for (const node of flatten(path, json, order, ordersOf)) {
      if (++count > this.#limits.editNodesMax)
        throw new TreeLimitError(`The edit writes more than ${this.#limits.editNodesMax} nodes (editNodesMax).`)
      // The names in a document make paths longer and deeper than the one that it is put at.
      checkPath(node.path, this.#limits)
      this.#nodes.set(node)
      if (this.#steps.isOver) await this.#steps.next()
    }
  }

  #within(path: Path): Map<Path, DraftNode> {
    const found = this.#nodes.within(path)
    if (this.#nodes.visits > LOOKS_MAX * this.#limits.editNodesMax)
      throw new TreeLimitError(
        `The operations of the edit move too many nodes, over and over (${LOOKS_MAX} times editNodesMax): put the array as a whole.`,
      )
    return found
  }

  #isRead(path: Path): boolean {
    return this.#read.has(path) || this.#isReadWhole(path)
  }

  #isReadWhole(path: Path): boolean {
    return this.#readWhole.has(path) || ancestorsOf(path).some((above) => this.#readWhole.has(above))
  }

  async #readAll(path: Path): Promise<void> {
    if (this.#isReadWhole(path)) return
    this.#readWhole.add(path)
    await this.#add(await nodesWithin(this.#client, { ...this.#config, path }))
  }

  async #add(nodes: readonly Node[]): Promise<void> {
    for (const node of nodes) {
      if (this.#steps.isOver) await this.#steps.next()
      if (this.#before.has(node.path)) continue
      this.#before.set(node.path, node)
      this.#nodes.set(node)
    }
  }
}
