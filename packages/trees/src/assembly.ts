import { TreeLimitError } from './errors.js'
import { childrenOf, kindOf, type Node } from './nodes.js'
import { childOf, nameOf, type Path } from './pointer.js'
import { Steps } from './steps.js'
import { type ConfigName, type Place, referenceAt, targetOf } from './stored.js'
import type { Views } from './view.js'

/**
 * Writes a tree of a config's own nodes, of what its references lead to, and of what its base adds.
 */
export class Assembly {
  readonly #views: Views
  readonly #config: ConfigName
  readonly #nodes: ReadonlyMap<Path, Node>
  readonly #children: ReadonlyMap<Path, readonly Node[]>
  readonly #referredMax: number
  /** What is in memory is read without waiting for anything, however much it is: so others are given their turn. */
  readonly #steps = new Steps()
  #referred = 0

  private constructor(
    views: Views,
    config: ConfigName,
    nodes: ReadonlyMap<Path, Node>,
    children: ReadonlyMap<Path, readonly Node[]>,
    referredMax: number,
  ) {
    this.#views = views
    this.#config = config
    this.#nodes = nodes
    this.#children = children
    this.#referredMax = referredMax
  }

  /** @param referredMax  characters that references may bring in: those to objects of references multiply, a few of them beyond all memory */
  static async of(
    views: Views,
    config: ConfigName,
    nodes: ReadonlyMap<Path, Node>,
    referredMax: number,
  ): Promise<Assembly> {
    return new Assembly(views, config, nodes, await childrenOf(nodes), referredMax)
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
        const items = await this.#each(children, (child) => this.#textOf(child, undefined))
        return `[${items.map((item) => item ?? 'null').join(',')}]`
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
    const names = [...(inherited ? new Set([...inherited, ...own.keys()]) : own.keys())]
    const texts = await this.#each(names, (name) => {
      const child = own.get(name)
      return child
        ? this.#textOf(child, inherited ? base : undefined)
        : this.#inherited({ ...base!, path: childOf(path, name) })
    })
    const members = names.map((name, at) => texts[at] !== null && `${JSON.stringify(name)}:${texts[at]}`)
    return `{${members.filter((member) => member !== false).join(',')}}`
  }

  /** Values need no promise of their own: a tree has thousands. */
  #textOf(node: Node, base: ConfigName | undefined): Promise<string | null> | string {
    return kindOf(node.text) === 'scalar' ? node.text : this.text(node.path, base)
  }

  /** What each comes to, in their order. Those that have to be waited for are waited for together, some at a time. */
  async #each<Item>(
    items: readonly Item[],
    textOf: (item: Item) => Promise<string | null> | string,
  ): Promise<(string | null)[]> {
    const texts: (string | null)[] = []
    let next = 0
    const work = async (): Promise<void> => {
      while (next < items.length) {
        const at = next++
        if (this.#steps.isOver) await this.#steps.next()
        const text = textOf(items[at]!)
        texts[at] = typeof text === 'string' ? text : await text
      }
    }
    // The first comes to the end by itself where nothing is waited for.
    const working: Promise<void>[] = []
    while (next < items.length && working.length < this.#views.atOnce) working.push(work())
    try {
      await Promise.all(working)
    } finally {
      next = items.length
    }
    return texts
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
