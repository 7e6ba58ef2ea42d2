import { TreeLimitError } from './errors.js'
import { childrenOf, kindOf, type Node } from './nodes.js'
import { childOf, nameOf, type Path } from './pointer.js'
import { type ConfigName, type Place, referenceAt, targetOf } from './stored.js'
import type { Views } from './view.js'

/** Writes a tree of a config's own nodes, of what its references lead to, and of what its base adds. */
export class Assembly {
  readonly #views: Views
  readonly #config: ConfigName
  readonly #nodes: ReadonlyMap<Path, Node>
  readonly #children: ReadonlyMap<Path, readonly Node[]>
  readonly #referredMax: number
  #referred = 0

  /** @param referredMax  characters that references may bring in: those to objects of references multiply, a few of them beyond all memory */
  constructor(views: Views, config: ConfigName, nodes: ReadonlyMap<Path, Node>, referredMax: number) {
    this.#views = views
    this.#config = config
    this.#referredMax = referredMax
    this.#nodes = nodes
    this.#children = childrenOf(nodes)
  }

  /** How many characters references have brought in. */
  get referred(): number {
    return this.#referred
  }

  /**
   * The tree at a path; null where it is a reference to what is not there.
   *
   * @param base  what it inherits from; what is in an array inherits nothing
   */
  async text(path: Path, base: ConfigName | undefined): Promise<string | null> {
    const children = this.#children.get(path) ?? []
    switch (kindOf(this.#nodes.get(path)!.text)) {
      case 'scalar':
        return this.#nodes.get(path)!.text
      case 'array': {
        const items: string[] = []
        for (const child of children) items.push((await this.#textOf(child, undefined)) ?? 'null')
        return `[${items.join(',')}]`
      }
      default: {
        const reference = this.#nodes.get(referenceAt(path))?.text
        const moved = reference === undefined ? undefined : targetOf(reference, this.#config)
        return moved ? this.#moved(moved) : this.#object(path, children, base)
      }
    }
  }

  async #object(path: Path, children: readonly Node[], base: ConfigName | undefined): Promise<string> {
    const own = new Map(children.map((child) => [nameOf(child.path), child]))
    const inherited = base ? await this.#views.names({ ...base, path }) : null
    const members: string[] = []
    for (const name of inherited ? new Set([...inherited, ...own.keys()]) : own.keys()) {
      const child = own.get(name)
      const text = child
        ? await this.#textOf(child, inherited ? base : undefined)
        : await this.#inherited({ ...base!, path: childOf(path, name) })
      if (text !== null) members.push(`${JSON.stringify(name)}:${text}`)
    }
    return `{${members.join(',')}}`
  }

  /** Values need no promise of their own: a tree has thousands. */
  #textOf(node: Node, base: ConfigName | undefined): Promise<string | null> | string {
    return kindOf(node.text) === 'scalar' ? node.text : this.text(node.path, base)
  }

  async #moved(place: Place): Promise<string | null> {
    const view = await this.#views.get(place)
    this.#refer(view?.json.length)
    return view?.json ?? null
  }

  async #inherited(place: Place): Promise<string | null> {
    const view = await this.#views.get(place)
    this.#refer(view?.referred)
    return view?.json ?? null
  }

  /** @throws TreeLimitError (`TIDEMARK_TREE_LIMIT`) */
  #refer(characters = 0): void {
    this.#referred += characters
    if (this.#referred > this.#referredMax)
      throw new TreeLimitError(
        `What is referred to in "${this.#config.config}" is more than ${this.#referredMax} characters, where all references are followed (referredCharactersMax).`,
      )
  }
}
