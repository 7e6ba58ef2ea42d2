import type { Path } from './pointer.js'
import type { ConfigName } from './stored.js'

/** How often a node was read in this process, as a whole view of its own. */
export interface Reading {
  readonly reads: number
  /** Of these, how many loaded it; the others found it, or waited for another's load. */
  readonly loads: number
  /** Milliseconds since 1970. */
  readonly lastReadAt: number
}

export type Counted = { -readonly [Name in keyof Reading]: Reading[Name] }

/** A load that a change overtook is done again for the same read. */
export function hitsOf({ reads, loads }: Reading): number {
  return Math.max(0, reads - loads)
}

/** Counts reads by node, of the nodes that were first read last: beyond `most` the oldest are forgotten. */
export class Readings {
  readonly #most: number
  readonly #configs = new Map<string, Map<Path, Counted>>()
  #size = 0

  constructor(most: number) {
    this.#most = most
  }

  /** By path; undefined where nothing was read. */
  of(config: ConfigName): ReadonlyMap<Path, Reading> | undefined {
    return this.#configs.get(nameOf(config))
  }

  /** What counts the reads of a node; who holds it counts without a look-up. */
  counterOf(config: ConfigName, path: Path): Counted {
    const name = nameOf(config)
    let nodes = this.#configs.get(name)
    const known = nodes?.get(path)
    if (known) return known
    if (this.#size === this.#most) this.#forgetOldest()
    // Forgetting may have taken the config itself.
    nodes = this.#configs.get(name) ?? new Map()
    this.#configs.set(name, nodes)
    const reading = { reads: 0, loads: 0, lastReadAt: 0 }
    nodes.set(path, reading)
    this.#size++
    return reading
  }

  #forgetOldest(): void {
    const [name, nodes] = this.#configs.entries().next().value!
    nodes.delete(nodes.keys().next().value!)
    if (nodes.size === 0) this.#configs.delete(name)
    this.#size--
  }
}

function nameOf({ tenant, config }: ConfigName): string {
  return `${tenant}:${config}`
}
