import { hash } from 'node:crypto'
import type { Sql } from '@tidemark/postgres'
import { type Cache, CycleError, type LoaderContext } from 'tidemark'
import { Assembly } from './assembly.js'
import { TreeCycleError } from './errors.js'
import { Inheritance } from './inheritance.js'
import { valueIn } from './json.js'
import type { TreeLimits } from './limits.js'
import { kindOf } from './nodes.js'
import { ancestorsOf, type Path } from './pointer.js'
import { isComposed, mayStay, TAKEN_ALONG } from './stays.js'
import {
  type ConfigName,
  movedTo,
  nodesOf,
  type Place,
  readNames,
  readObject,
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
  /** How many characters of `json` references brought in, its own or those of what it inherits. */
  readonly referred: number
}

/** The names below an object, in their order; null where there is none. */
type Names = readonly string[] | null

/** In a transaction nothing is kept, so nothing stays. */
export type TreesContext = { readonly sql: Sql } & Partial<Pick<LoaderContext, 'mayStay' | 'tag'>>
/** More than the connections that there are by default. */
const AT_ONCE = 16
/** Views that are remembered to be made of others. */
const COMPOSED_MAX = 100_000

type TreesCache = Cache<TreesContext>
export type Load<Value> = (context: TreesContext) => Promise<Value>

/**
 * How the entries of nodes are computed. Each is an entry of its tenant, under `config:path`, made of the rows of that config alone and of
 * other entries: of the base, for what it does not override, and of what references lead to.
 */
export class Views {
  /** How many views another one that is made of them waits for at once. */
  readonly atOnce: number
  readonly #cacheOf: (tenant: string) => TreesCache
  readonly #referredMax: number
  /** Views that were last made of others too, by tenant and key, the oldest first. */
  readonly #composed = new Set<string>()
  readonly #inheritance: Inheritance

  /**
   * @param cacheOf  the cache as a tenant sees it, with the session that row security goes by
   * @param atOnce   1 where one statement runs after the other. Default 16
   */
  constructor(
    cacheOf: (tenant: string) => TreesCache,
    { referredCharactersMax }: Pick<TreeLimits, 'referredCharactersMax'>,
    atOnce = AT_ONCE,
  ) {
    this.atOnce = atOnce
    this.#cacheOf = cacheOf
    this.#inheritance = new Inheritance(cacheOf)
    this.#referredMax = referredCharactersMax
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
    return async (context) => {
      if (counted) counted.loads++
      const stored = await nodesIn(await this.#rows(context.sql, place))
      const view = await this.#load(context, place, stored).catch((error: unknown) => {
        // No edit makes a circle, but SQL may, and two edits at once of which each sees half of it.
        throw error instanceof CycleError ? circleAt(place, error) : error
      })
      if (isComposed(view)) {
        const overrides = this.#composed.has(nameOfPlace(place)) ? (path: Path) => stored.nodes.has(path) : () => false
        context.mayStay?.((change, isTagged) => mayStay(place, view, overrides, change) && !isTagged(TAKEN_ALONG))
      }
      return view
    }
  }

  async #load(context: TreesContext, place: Place, stored: StoredNodes): Promise<View | null> {
    const { nodes, references, dependencies } = stored
    if (dependencies.length > 0) await this.#watch(context, place, dependencies)
    const moved = movedTo(references, place)
    if (moved) {
      const view = await this.#other(place, moved)
      return view && referredTo(view)
    }
    const top = nodes.get(place.path)
    if (!top) return this.#inherited(place)
    const reference = referenceOf(nodes, place)
    if (reference) {
      this.#remember(place)
      const view = await this.get(reference)
      return view && { ...referredTo(view), version: newestOf(nodes) }
    }
    const base = await this.#baseOf(place, nodes)
    if (base || [...nodes.keys()].some((path) => path.endsWith('/$ref'))) this.#remember(place)
    const assembly = await Assembly.of(this, place, nodes, this.#referredMax)
    const json = await assembly.text(place.path, base)
    if (json === null) return null
    const { referred } = assembly
    return { json, version: newestOf(nodes), hash: hash('sha256', json, 'base64url').slice(0, 16), referred }
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

  #remember(place: Place): void {
    const name = nameOfPlace(place)
    if (this.#composed.has(name)) return
    if (this.#composed.size === COMPOSED_MAX) this.#composed.delete(this.#composed.values().next().value!)
    this.#composed.add(name)
  }

  /** The names below an object, with those that it inherits: what they hold is not asked for. */
  names(place: Place): Promise<Names> {
    const load: Load<Names> = async ({ sql }) => {
      const { isObject, references } = await readObject(sql, place)
      const reference = references.get(place.path)
      const moved = movedTo(references, place) ?? (reference === undefined ? undefined : targetOf(reference, place))
      if (moved) return this.names(moved)
      const own = isObject ? await readNames(sql, place) : null
      // Where it is no object, it may be there all the same: then it covers the base's.
      const covers = isObject ? ancestorsOf(place.path) : [...ancestorsOf(place.path), place.path]
      const inherited = await this.#inheritance.unlessCovered(place, covers, (base) =>
        this.names({ ...base, path: place.path }),
      )
      if (!inherited) return own
      return own ? [...new Set([...inherited, ...own])] : inherited
    }
    return this.#cacheOf(place.tenant).get(`${place.config}:names:${place.path}`, load) as Promise<Names>
  }

  /** What the base has there. */
  #inherited(place: Place): Promise<View | null> {
    return this.#inheritance.unlessCovered(place, ancestorsOf(place.path), (base) =>
      this.#other(place, { ...base, path: place.path }),
    )
  }

  /** The base, where it adds members to an object: an array or a value is the config's own, a reference leads elsewhere. */
  async #baseOf(place: Place, nodes: StoredNodes['nodes']): Promise<ConfigName | undefined> {
    if (kindOf(nodes.get(place.path)!.text) !== 'object') return undefined
    const base = await this.#inheritance.unlessCovered(place, ancestorsOf(place.path), async (found) =>
      (await this.names({ ...found, path: place.path })) ? found : null,
    )
    return base ?? undefined
  }

  /** The same tree as another; nothing of it is of a version of this config. */
  async #other(place: Place, target: Place): Promise<View | null> {
    this.#remember(place)
    const view = await this.get(target)
    return view && { ...view, version: 0 }
  }

  /** Makes the entry depend on all nodes that were declared to take it along, and on those that take these along. */
  async #watch({ sql, tag }: TreesContext, config: ConfigName, dependencies: readonly Path[]): Promise<void> {
    tag?.(TAKEN_ALONG)
    const watched = new Set<Path>()
    const next = [...dependencies]
    for (let path = next.pop(); path !== undefined; path = next.pop()) {
      if (watched.has(path)) continue
      watched.add(path)
      next.push(...(await readWatched(sql, { ...config, path })))
    }
  }
}

function referredTo(view: View): View {
  return { ...view, referred: view.json.length }
}

function circleAt({ config, path }: Place, cause: CycleError): TreeCycleError {
  const node = path === '' ? 'the root' : `"${path}"`
  return new TreeCycleError(`References or bases lead from ${node} of config "${config}" back to where they begin.`, {
    cause,
  })
}

function nameOfPlace(place: Place): string {
  return `${place.tenant}:${keyOf(place)}`
}

/** The key of a node's entry, in its tenant: a config's name has no colon. */
export function keyOf({ config, path }: Place): string {
  return `${config}:${path}`
}

/** Where the tree leads as a whole. */
function referenceOf(nodes: StoredNodes['nodes'], place: Place): Place | undefined {
  if (kindOf(nodes.get(place.path)!.text) !== 'object') return undefined
  const text = nodes.get(referenceAt(place.path))?.text
  return text === undefined ? undefined : targetOf(text, place)
}

function newestOf(nodes: StoredNodes['nodes']): number {
  let version = 0
  for (const node of nodes.values()) version = Math.max(version, node.version)
  return version
}

const stored = new WeakMap<StoredRows, StoredNodes>()

/** What rows say: rows that are an entry of their own are read once for all the times that they are needed. */
async function nodesIn(rows: StoredRows): Promise<StoredNodes> {
  let nodes = stored.get(rows)
  if (!nodes) {
    nodes = await nodesOf(rows)
    stored.set(rows, nodes)
  }
  return nodes
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
