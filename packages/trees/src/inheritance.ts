import { AsyncResource } from 'node:async_hooks'
import { type Cache, CycleError } from 'tidemark'
import { TreeCycleError } from './errors.js'
import { ancestorsOf, isWithin, type Path } from './pointer.js'
import {
  type ConfigName,
  type Place,
  placeBelow,
  readArrays,
  readBase,
  readCovered,
  readOwned,
  referenceAt,
  targetOf,
} from './stored.js'
import type { Load, TreesContext } from './view.js'

/**
 * What a config has of its base: all that it does not cover by a value, an array or a reference of its own. Each answer is an entry of its tenant.
 *
 * An entry depends on what decided it, and on no more: what is decided is looked at first, unseen by the entry that is being filled
 * (`#unseen`), and then read again, as it is now, by that entry. If it changed meanwhile, the entry depends on both.
 */
export class Inheritance {
  readonly #cacheOf: (tenant: string) => Cache<TreesContext>
  readonly #outside = new AsyncResource('tidemark-trees')

  /** @param cacheOf  the cache as a tenant sees it, with the session that row security goes by */
  constructor(cacheOf: (tenant: string) => Cache<TreesContext>) {
    this.#cacheOf = cacheOf
  }

  /**
   * What a config inherits, where no value or array of its own is at one of these paths. Where one is, that alone is depended on; but where
   * there is nothing to inherit, it does not matter whether one is. What is covered may lead back to here: nobody follows it.
   */
  async unlessCovered<Value>(
    place: Place,
    paths: readonly Path[],
    read: (base: ConfigName) => Promise<Value | null>,
  ): Promise<Value | null> {
    if ((await this.#unseen(() => this.#hasCovered(place, paths))) && (await this.#isCovered(place, paths))) return null
    const base = await this.#base(place)
    if (!base) return null
    try {
      const found = await read(base)
      return found && (await this.#isInherited(place, base, paths)) ? found : null
    } catch (error) {
      if (isCycle(error) && !(await this.#isInherited(place, base, paths))) return null
      throw error
    }
  }

  /** A guess at what decides: whether something covers what a base has. A wrong one makes the entry depend on more. */
  async #hasCovered(place: Place, paths: readonly Path[]): Promise<boolean> {
    let base = await this.#base(place)
    if (!base || !(await this.#isCovered(place, paths))) return false
    // Two may extend each other, where each covers what the other has.
    const seen = new Set<string>()
    for (; base; base = await this.#base(base)) {
      const name = `${base.tenant}:${base.config}`
      if (seen.has(name)) return false
      if (await this.#has({ ...base, path: place.path })) return true
      seen.add(name)
    }
    return false
  }

  /** Whether a config has a row there, or a reference above: it may lead back to who covers it, further down each time. */
  #has(place: Place): Promise<boolean> {
    const rows = [place.path, ...ancestorsOf(place.path).map(referenceAt)]
    const load: Load<boolean> = async ({ sql }) => (await readOwned(sql, place, rows)).length > 0
    return this.#cacheOf(place.tenant).get(`${place.config}:has:${place.path}`, load) as Promise<boolean>
  }

  #base(config: ConfigName): Promise<ConfigName | null> {
    const load: Load<ConfigName | null> = ({ sql }) => readBase(sql, config)
    return this.#cacheOf(config.tenant).get(`${config.config}:base`, load) as Promise<ConfigName | null>
  }

  /** @param paths  from the root down, each below the one before */
  async #isCovered(config: ConfigName, paths: readonly Path[]): Promise<boolean> {
    const last = paths.at(-1)
    if (last === undefined) return false
    const load: Load<boolean> = ({ sql }) => readCovered(sql, config, paths)
    return this.#cacheOf(config.tenant).get(`${config.config}:covered:${last}`, load) as Promise<boolean>
  }

  async #isInherited(config: ConfigName, base: ConfigName, paths: readonly Path[]): Promise<boolean> {
    return !(await this.#isCovered(config, paths)) && !(await this.#isReplaced(config, base, paths))
  }

  /** Whether the config has a node of its own where its base has an array: what is in that is not inherited. */
  async #isReplaced(config: ConfigName, base: ConfigName, paths: readonly Path[]): Promise<boolean> {
    const last = paths.at(-1)
    if (last === undefined) return false
    const load: Load<boolean> = async ({ sql }) =>
      (await readOwned(sql, config, await this.#arrays({ ...base, path: last }))).length > 0
    return this.#cacheOf(config.tenant).get(`${config.config}:replaced:${last}`, load) as Promise<boolean>
  }

  /** Which nodes from the root down to this one are arrays, as readers see them. */
  #arrays(place: Place): Promise<readonly Path[]> {
    const load: Load<readonly Path[]> = async ({ sql }) => {
      const { arrays, references, isThere } = await readArrays(sql, place)
      for (const at of [...ancestorsOf(place.path), place.path]) {
        const text = references.get(at)
        const target = text === undefined ? undefined : targetOf(text, place)
        if (!target) continue
        const there = await this.#arrays(placeBelow(target, place.path.slice(at.length)))
        const moved = there.filter((path) => isWithin(path, target.path))
        return [
          ...arrays.filter((path) => isWithin(at, path)),
          ...moved.map((path) => at + path.slice(target.path.length)),
        ]
      }
      const base = isThere || arrays.length > 0 ? null : await this.#base(place)
      if (!base) return arrays
      const inherited = await this.#arrays({ ...base, path: place.path })
      const owned = await readOwned(sql, place, inherited)
      return inherited.filter((path) => !owned.some((own) => isWithin(path, own)))
    }
    return this.#cacheOf(place.tenant).get(`${place.config}:arrays:${place.path}`, load) as Promise<readonly Path[]>
  }

  /** Outside of the entry that is being filled. Only for what asks nothing but rows: nobody would find a circle here. */
  #unseen<Value>(read: () => Promise<Value>): Promise<Value> {
    return this.#outside.runInAsyncScope(read)
  }
}

/** Among entries, the cache finds it; in a transaction, we do. */
function isCycle(error: unknown): boolean {
  return error instanceof CycleError || error instanceof TreeCycleError
}
