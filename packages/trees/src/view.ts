import { hash } from 'node:crypto'
import type { Sql } from '@tidemark/postgres'
import { type Cache, CycleError } from 'tidemark'
import { TreeCycleError } from './errors.js'
import { valueIn } from './json.js'
import { childrenOf, kindOf, type Node } from './nodes.js'
import { childOf, nameOf, type Path } from './pointer.js'
import {
  type ConfigName,
  isHidden,
  movedTo,
  nodesOf,
  type Place,
  readKind,
  readNames,
  readRows,
  readWatched,
  referenceAt,
  type StoredNodes,
  type StoredRows,
  targetOf,
} from './stored.js'

/** What an entry of a node holds: the tree at it, with what it inherits, and with references followed. */
export interface View {
  /** Members in their order, numbers with all their digits. */
  readonly json: string
  /** The version of the config in which any of its own nodes here was changed last; 0 if all is inherited. */
  readonly version: number
  /** A hash of `json`. */
  readonly hash: string
}

/** The names below an object, in their order; null where there is none. */
type Names = readonly string[] | null

export type TreesContext = { readonly sql: Sql }
/** Views that are remembered to be made of others. */
const COMPOSED_MAX = 100_000

type TreesCache = Cache<TreesContext>
type Load<Value> = (context: TreesContext) => Promise<Value>

/**
 * How the entries of nodes are computed. Each is an entry of its tenant, under `config:path`, made of the rows of that config alone and of
 * other entries: of the base, for what it does not override, and of what references lead to.
 */
export class Views {
  readonly #cacheOf: (tenant: string) => TreesCache
  /** Views that were last made of others too, by tenant and key, the oldest first. */
  readonly #composed = new Set<string>()

  /** @param cacheOf  the cache as a tenant sees it, with the session that row security goes by */
  constructor(cacheOf: (tenant: string) => TreesCache) {
    this.#cacheOf = cacheOf
  }

  get(place: Place): Promise<View | null> {
    return this.#cacheOf(place.tenant).get(keyOf(place), this.load(place)) as Promise<View | null>
  }

  /**
   * The loader of a node's entry: null where there is no such node.
   *
   * @param counted  counts the times that it ran
   */
  load(place: Place, counted?: { loads: number }): Load<View | null> {
    return async ({ sql }) => {
      if (counted) counted.loads++
      const stored = nodesOf(await this.#rows(sql, place))
      const { nodes, references, base, dependencies } = stored
      this.#remember(place, stored)
      await this.#watch(sql, place, dependencies)
      const moved = movedTo(references, place)
      if (moved) return this.#other(moved)
      const top = nodes.get(place.path)
      if (!top) return base ? this.#inherited(sql, place, base) : null
      const json = await new Assembly(this, place, nodes).text(
        place.path,
        await this.#baseOf(sql, place, top.text, base),
      )
      if (json === null) return null
      let version = 0
      for (const node of nodes.values()) version = Math.max(version, node.version)
      return { json, version, hash: hash('sha256', json, 'base64url').slice(0, 16) }
    }
  }

  /**
   * The rows of a view that is made of others too are an entry of their own: when one of the others changes, they are at hand. Those of a
   * view that is made of nothing else would go with it at each change.
   */
  #rows(sql: Sql, place: Place): Promise<StoredRows> {
    if (!this.#composed.has(nameOfPlace(place))) return readRows(sql, place)
    const load: Load<StoredRows> = (context) => readRows(context.sql, place)
    return this.#cacheOf(place.tenant).get(`${place.config}:rows:${place.path}`, load)
  }

  #remember(place: Place, { nodes, references, base }: StoredNodes): void {
    const name = nameOfPlace(place)
    const isComposed =
      base !== undefined || references.size > 0 || [...nodes.keys()].some((path) => path.endsWith('/$ref'))
    if (!isComposed || this.#composed.has(name)) return
    if (this.#composed.size === COMPOSED_MAX) this.#composed.delete(this.#composed.values().next().value!)
    this.#composed.add(name)
  }

  /** The names below an object, with those that it inherits: what they hold is not asked for. */
  names(place: Place): Promise<Names> {
    const load: Load<Names> = async ({ sql }) => {
      const { kind, references, base } = await readKind(sql, place)
      const reference = references.get(place.path)
      const moved = movedTo(references, place) ?? (reference === undefined ? undefined : targetOf(reference, place))
      if (moved) return this.names(moved)
      if (kind !== undefined && kind !== 'object') return null
      const own = kind === undefined ? null : await readNames(sql, place)
      const inherited = base
        ? await this.#unlessHidden(sql, place, () => this.names({ ...base, path: place.path }))
        : null
      if (!inherited) return own
      return own ? [...new Set([...inherited, ...own])] : inherited
    }
    return this.#cacheOf(place.tenant).get(`${place.config}:names:${place.path}`, load) as Promise<Names>
  }

  /** What the base has there, unless something above covers it; that is asked last, as it is one more thing to depend on. */
  async #inherited(sql: Sql, place: Place, base: ConfigName): Promise<View | null> {
    return this.#unlessHidden(sql, place, () => this.#other({ ...base, path: place.path }))
  }

  /** What a base has, where nothing covers it. What is covered may lead back to here: nobody follows it. */
  async #unlessHidden<Value>(sql: Sql, place: Place, read: () => Promise<Value | null>): Promise<Value | null> {
    try {
      const found = await read()
      return found && !(await isHidden(sql, place)) ? found : null
    } catch (error) {
      if (isCycle(error) && (await isHidden(sql, place))) return null
      throw error
    }
  }

  /** The base, where it adds members to an object: an array or a value is the config's own, and so is what stands below one. */
  async #baseOf(sql: Sql, place: Place, text: string, base: ConfigName | undefined): Promise<ConfigName | undefined> {
    if (!base || kindOf(text) !== 'object') return undefined
    const names = await this.#unlessHidden(sql, place, () => this.names({ ...base, path: place.path }))
    return names ? base : undefined
  }

  /** The same tree as another; nothing of it is of a version of this config. */
  async #other(place: Place): Promise<View | null> {
    const view = await this.get(place)
    return view && { ...view, version: 0 }
  }

  /** Makes the entry depend on all nodes that were declared to take it along, and on those that take these along. */
  async #watch(sql: Sql, config: ConfigName, dependencies: readonly Path[]): Promise<void> {
    const watched = new Set<Path>()
    const next = [...dependencies]
    for (let path = next.pop(); path !== undefined; path = next.pop()) {
      if (watched.has(path)) continue
      watched.add(path)
      next.push(...(await readWatched(sql, { ...config, path })))
    }
  }
}

/** Writes a tree of a config's own nodes, of what its references lead to, and of what its base adds. */
class Assembly {
  readonly #views: Views
  readonly #config: ConfigName
  readonly #nodes: ReadonlyMap<Path, Node>
  readonly #children: ReadonlyMap<Path, readonly Node[]>

  constructor(views: Views, config: ConfigName, nodes: ReadonlyMap<Path, Node>) {
    this.#views = views
    this.#config = config
    this.#nodes = nodes
    this.#children = childrenOf(nodes)
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
        return moved ? this.#other(moved) : this.#object(path, children, base)
      }
    }
  }

  async #object(path: Path, children: readonly Node[], base: ConfigName | undefined): Promise<string> {
    const own = new Map(children.map((child) => [nameOf(child.path), child]))
    const inherited = base ? await this.#views.names({ ...base, path }) : null
    const members: string[] = []
    for (const name of inherited ? new Set([...inherited, ...own.keys()]) : own.keys()) {
      const child = own.get(name)
      const text = child ? await this.#textOf(child, base) : await this.#other({ ...base!, path: childOf(path, name) })
      if (text !== null) members.push(`${JSON.stringify(name)}:${text}`)
    }
    return `{${members.join(',')}}`
  }

  /** Values need no promise of their own: a tree has thousands. */
  #textOf(node: Node, base: ConfigName | undefined): Promise<string | null> | string {
    return kindOf(node.text) === 'scalar' ? node.text : this.text(node.path, base)
  }

  async #other(place: Place): Promise<string | null> {
    return (await this.#views.get(place))?.json ?? null
  }
}

/** Among entries, the cache finds it; in a transaction, we do. */
function isCycle(error: unknown): boolean {
  return error instanceof CycleError || error instanceof TreeCycleError
}

function nameOfPlace(place: Place): string {
  return `${place.tenant}:${keyOf(place)}`
}

/** The key of a node's entry, in its tenant: a config's name has no colon. */
export function keyOf({ config, path }: Place): string {
  return `${config}:${path}`
}

const values = new WeakMap<View, unknown>()

/** The JavaScript value of a view: the same frozen object for all readers. */
export function valueOfView(view: View): unknown {
  const known = values.get(view)
  if (known !== undefined) return known
  const value = deepFreeze(valueIn(view.json))
  values.set(view, value)
  return value
}

function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) deepFreeze(each)
    Object.freeze(value)
  }
  return value
}
