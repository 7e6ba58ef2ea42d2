import { ancestorsOf, childOf, isWithin, nameOf, type Path, parentOf } from '../src/pointer.js'

/** JSON as the model has it: members in their order, scalars as JSON's text. */
export type Tree = Map<string, Tree> | Tree[] | string

export interface Config {
  tree: Tree | undefined
  base: string | undefined
  /** By the node that takes others along. */
  readonly dependents: Map<Path, Set<Path>>
}

/** A node, and the config that has it. */
export interface Place {
  readonly name: string
  readonly path: Path
}

/** What a reader sees of a node. */
export interface Seen {
  /** JSON's text; undefined where there is no such node. */
  readonly text: string | undefined
  readonly tree: Tree | undefined
  /** The node, and all that it was made of: of bases, and what references led to. */
  readonly madeOf: readonly Place[]
}

/** What trees promise, on plain objects, computed anew each time. */
export class Model {
  readonly configs = new Map<string, Config>()

  config(name: string): Config {
    const known = this.configs.get(name)
    if (known) return known
    const config: Config = { tree: undefined, base: undefined, dependents: new Map() }
    this.configs.set(name, config)
    return config
  }

  /** Throws 'cycle' where it has no end. */
  see(name: string, path: Path): Seen {
    const madeOf: Place[] = []
    const tree = this.#resolved(name, path, [], madeOf)
    return { text: tree === undefined ? undefined : print(tree), tree, madeOf }
  }

  /** Nodes whose change takes one of these along, as declared, one through another. */
  takeAlong(places: readonly Place[]): Place[] {
    const found = new Map<string, Place>()
    const look = ({ name, path: at }: Place): void => {
      for (const [source, dependents] of this.config(name).dependents)
        for (const dependent of dependents)
          if ((isWithin(at, dependent) || isWithin(dependent, at)) && !found.has(`${name} ${source}`)) {
            found.set(`${name} ${source}`, { name, path: source })
            look({ name, path: source })
          }
    }
    for (const place of places) look(place)
    return [...found.values()]
  }

  /** The text of a config's own node. */
  own({ name, path }: Place): string | undefined {
    const tree = find(this.config(name).tree, path)
    return tree === undefined ? undefined : print(tree)
  }

  #resolved(name: string, path: Path, running: readonly string[], madeOf: Place[]): Tree | undefined {
    const key = `${name} ${path}`
    if (running.includes(key) || running.length > 60) throw new Error('cycle')
    madeOf.push({ name, path })
    const inner = [...running, key]
    const { tree, base } = this.config(name)
    for (const at of ancestorsOf(path)) {
      const target = referenceOf(find(tree, at), name)
      if (target && `${at}/$ref` !== path)
        return this.#resolved(target.name, target.path + path.slice(at.length), inner, madeOf)
    }
    const own = find(tree, path)
    const inherits = () => this.#inherits(name, path, running)
    if (own instanceof Map && !referenceOf(own, name)) {
      const added = this.#unless(
        () => (base !== undefined && this.#names(base, path, inner) ? base : undefined),
        inherits,
      )
      return this.#expanded(name, own, path, added, inner, madeOf)
    }
    if (own !== undefined) return this.#expanded(name, own, path, undefined, inner, madeOf)
    if (base === undefined || ancestorsOf(path).some((at) => isValueOrArray(find(tree, at)))) return undefined
    const below: Place[] = []
    const inherited = this.#unless(() => this.#resolved(base, path, inner, below), inherits)
    if (inherited !== undefined || below.length === 0 || isTrue(inherits)) madeOf.push(...below)
    return inherited
  }

  /** Whether nothing above the node covers what a base has there. */
  #inherits(name: string, path: Path, running: readonly string[]): boolean {
    const { tree, base } = this.config(name)
    return !ancestorsOf(path).some((at) => this.#covers(find(tree, at), base, at, running))
  }

  /**
   * What is inherited, or nothing where it is covered. What covers is asked for only where it decides, for that may lead round: a base that
   * refers to a node that the config has itself is no circle, nor is one that is covered.
   */
  #unless<Value>(read: () => Value | undefined, inherits: () => boolean): Value | undefined {
    let found: Value | undefined
    try {
      found = read()
    } catch (error) {
      if (!inherits()) return undefined
      throw error
    }
    return found !== undefined && inherits() ? found : undefined
  }

  /** Whether nothing below is inherited: a value, an array, or an object in place of one of them. */
  #covers(own: Tree | undefined, base: string | undefined, at: Path, running: readonly string[]): boolean {
    if (own === undefined || base === undefined) return false
    return !(own instanceof Map) || this.#names(base, at, running) === undefined
  }

  /** The names below an object in their order, also of members that lead nowhere; undefined where there is no object. */
  #names(name: string, path: Path, running: readonly string[]): readonly string[] | undefined {
    const key = `names of ${name} ${path}`
    if (running.includes(key) || running.length > 60) throw new Error('cycle')
    const inner = [...running, key]
    const { tree, base } = this.config(name)
    for (const at of [...ancestorsOf(path), path]) {
      const target = referenceOf(find(tree, at), name)
      if (target) return this.#names(target.name, target.path + path.slice(at.length), inner)
    }
    const own = find(tree, path)
    if (own !== undefined && !(own instanceof Map)) return undefined
    const names = own === undefined ? undefined : [...own.keys()]
    const inherited = this.#unless(
      () => (base === undefined ? undefined : this.#names(base, path, inner)),
      () => this.#inherits(name, path, inner),
    )
    return inherited ? [...new Set([...inherited, ...(names ?? [])])] : names
  }

  #expanded(
    name: string,
    own: Tree,
    path: Path,
    base: string | undefined,
    running: readonly string[],
    madeOf: Place[],
  ): Tree | undefined {
    if (typeof own === 'string') return own
    if (Array.isArray(own))
      return own.map(
        (item, index) => this.#expanded(name, item, `${path}/${index}`, undefined, running, madeOf) ?? 'null',
      )
    const target = referenceOf(own, name)
    if (target) return this.#resolved(target.name, target.path, running, madeOf)
    const inherited = base === undefined ? undefined : this.#names(base, path, running)
    const members = new Map<string, Tree>()
    for (const member of new Set([...(inherited ?? []), ...own.keys()])) {
      const mine = own.get(member)
      const at = childOf(path, member)
      const tree =
        mine === undefined
          ? this.#resolved(base!, at, running, madeOf)
          : this.#expanded(name, mine, at, inherited && base, running, madeOf)
      if (tree !== undefined) members.set(member, tree)
    }
    return members
  }
}

function isValueOrArray(tree: Tree | undefined): boolean {
  return tree !== undefined && !(tree instanceof Map)
}

/** Where the question itself leads round, nothing is known to cover. */
function isTrue(claim: () => boolean): boolean {
  try {
    return claim()
  } catch {
    return true
  }
}

function referenceOf(tree: Tree | undefined, name: string): { readonly name: string; readonly path: Path } | undefined {
  const text = tree instanceof Map ? tree.get('$ref') : undefined
  if (typeof text !== 'string' || text[0] !== '"') return undefined
  const [, other, path] = /^([A-Za-z0-9]+)?#((?:\/.*)?)$/.exec(JSON.parse(text) as string) ?? []
  return path === undefined ? undefined : { name: other ?? name, path }
}

export function find(tree: Tree | undefined, path: Path): Tree | undefined {
  if (path === '') return tree
  const parent = find(tree, parentOf(path)!)
  if (parent instanceof Map) return parent.get(nameOf(path))
  return Array.isArray(parent) && /^(0|[1-9]\d*)$/.test(nameOf(path)) ? parent[Number(nameOf(path))] : undefined
}

export function print(tree: Tree): string {
  if (typeof tree === 'string') return tree
  if (Array.isArray(tree)) return `[${tree.map(print).join(',')}]`
  return `{${[...tree].map(([name, member]) => `${JSON.stringify(name)}:${print(member)}`).join(',')}}`
}

export function copy(tree: Tree): Tree {
  if (typeof tree === 'string') return tree
  return Array.isArray(tree) ? tree.map(copy) : new Map([...tree].map(([name, member]) => [name, copy(member)]))
}

/** Every node of a tree, and what it is without what is below it. */
export function nodesOf(tree: Tree | undefined, path: Path = '', nodes = new Map<Path, string>()): Map<Path, string> {
  if (tree === undefined) return nodes
  nodes.set(path, typeof tree === 'string' ? tree : Array.isArray(tree) ? '[]' : '{}')
  if (Array.isArray(tree)) for (const [index, item] of tree.entries()) nodesOf(item, `${path}/${index}`, nodes)
  else if (tree instanceof Map) for (const [name, member] of tree) nodesOf(member, childOf(path, name), nodes)
  return nodes
}
